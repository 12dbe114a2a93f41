--- What the networks are built of: steps, which are modules or functions called in turn, and the five stages that all
-- encoders have, each at half the size of the one before; what a stage gives is a feature. A stage is a module of the
-- encoder's tree or, where public names do not follow the stages, a view: one beside it with some of its modules.
local layers = require "cohesiv.nn.layers"
local M = {}

--- block(m, steps, shortcut?): m, whose pass calls the steps in turn, the first with all that m gets, and closes what
-- lies between two of them. The last also gets what is to be added: shortcut(m's input), that input if it is true.
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

--- conv_bn(m, conv, bn, o): adds the two modules of layers.ConvBN(o) to m under these names; the padding is kernel // 2
-- unless o has another → both as a step, with the fields conv and bn.
function M.conv_bn(m, conv, bn, o)
  o.padding = o.padding or o[3] // 2
  local step = layers.ConvBN(o)
  m:add(conv, step.conv)
  m:add(bn, step.bn)
  return step
end

--- cut(name, list, ends): the list of a tree's modules, numbered from 0, as stages: views that end at these places.
function M.cut(name, list, ends)
  local parts, first = {}, 1
  for i, last in ipairs(ends) do
    local view = layers.Sequential {}
    for k = first, last do view[#view + 1] = view:add(k - 1, list[k]) end
    parts[i] = { name = ("%s.%d-%d"):format(name, first - 1, last - 1), module = view }
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
