--- What the networks are built of: steps, which are modules or functions called in turn, and the five stages that all
-- encoders have, each at half the size of the one before; what a stage gives is a feature. A stage may be a module of
-- the encoder's tree, or a view: a module outside the tree that holds some of its modules, where public names do not
-- follow the stages.
local Module = require "cohesiv.nn.module"
local layers = require "cohesiv.nn.layers"

local M = {}

--- in_turn(steps): a forward function that calls them one after the other.
function M.in_turn(steps)
  return function(_, x)
    for _, step in ipairs(steps) do x = step(x) end
    return x
  end
end

--- block(m, steps, shortcut?): m, whose pass calls the steps in turn; what is between two of them is closed as soon as
-- the second has seen it. The first step gets what m gets. The last also gets what is to be added: shortcut(m's input),
-- or that input where shortcut is true.
function M.block(m, steps, shortcut)
  m.forward = function(_, x, ...)
    local added = shortcut == true and x or shortcut and shortcut(x) or nil
    local y = steps[1](x, ...)
    for i = 2, #steps do
      local z = steps[i](y, i == #steps and added or nil)
      layers.let_go(y, m)
      y = z
    end
    return y
  end
  return m
end

--- conv_bn(m, conv, bn, { in, out, kernel, … }): adds a convolution without bias and its batch norm to m under these
-- names; options are Conv2d's (padding = kernel // 2) and BatchNorm2d's → both as a step, and each.
function M.conv_bn(m, conv_name, bn_name, o)
  local conv = m:add(conv_name, layers.Conv2d { o[1], o[2], o[3], stride = o.stride,
    padding = o.padding or o[3] // 2, groups = o.groups, bias = false })
  local bn = m:add(bn_name, layers.BatchNorm2d { o[2], act = o.act, eps = o.eps, momentum = o.momentum })
  return function(x, residual) return layers.conv_bn(conv, bn, x, residual) end, conv, bn
end

--- view(list, forward?): a stage made of { own name, module } pairs that the tree holds; called in turn, unless
-- forward says otherwise.
function M.view(list, forward)
  local steps = {}
  local view = Module.new(forward or M.in_turn(steps))
  for i, pair in ipairs(list) do steps[i] = view:add(pair[1], pair[2]) end
  return view
end

--- cut(name, list, ends): a list of such pairs, numbered from 0, as stages: views that end at these places.
function M.cut(name, list, ends)
  local parts, first = {}, 1
  for i, last in ipairs(ends) do
    local part = table.move(list, first, last, 1, {})
    parts[i] = { name = ("%s.%d-%d"):format(name, first - 1, last - 1), module = M.view(part) }
    first = last + 1
  end
  return parts
end

--- encoder(m, stages, widths): m, now with a forward pass that returns the stages' features. stages: a list of
-- { name, module }; widths: their channels, at strides 2, 4, 8, 16, 32. Both stay in m for others to read.
function M.encoder(m, stages, widths)
  m.stages, m.widths = stages, widths
  m.forward = function(_, x)
    local features = {}
    for i, stage in ipairs(stages) do
      x = stage.module(x)
      features[i] = x
    end
    return features
  end
  return m
end

return M
