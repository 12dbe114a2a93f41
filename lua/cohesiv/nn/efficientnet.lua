--- EfficientNet (Tan and Le, ICML 2019) as an encoder: inverted residuals with squeeze and excitation, SiLU throughout.
--
-- Two public networks are called efficientnet_b0. This is the one that segmentation_models.pytorch 0.6 calls
-- "efficientnet-b0": names and numerics of its checkpoints (_conv_stem, _blocks.N._depthwise_conv, …), batch norm with
-- eps 1e-3 and momentum 0.01, TensorFlow's "same" padding (that of even sizes: the extra row and column are right and
-- bottom). Not here: dropping whole blocks by chance in training (drop connect), which that network does by default and
-- which would need random numbers in the forward pass.
local Module = require "cohesiv.nn.module"
local excite = require "cohesiv.nn.squeeze_excite"
local layers = require "cohesiv.nn.layers"
local stages = require "cohesiv.nn.stages"
local core = require "cohesiv.core"

local ops = core.ops
local M = {}

-- A convolution without bias, added to m → it, and what pads x before it: a stride of 2 pads k - 2 in all, (k - 3) / 2
-- on the left and the top, one more on the right and at the bottom.
local function convolution(m, name, o)
  local k = o[3]
  o.padding, o.bias = o.stride == 2 and (k - 3) // 2 or k // 2, false
  return m:add(name, layers.Conv2d(o)), function(x)
    return o.stride == 2 and ops.pad_crop.call(x, x.shape[2] + 1, x.shape[3] + 1) or x
  end
end

local function batch_norm(m, name, channels, act)
  return m:add(name, layers.BatchNorm2d { channels, act = act, eps = 1e-3, momentum = 0.01 })
end

-- Both → a function of x and of what is added at the end.
local function conv_bn(m, conv_name, bn_name, act, o)
  local conv, pad = convolution(m, conv_name, o)
  local bn = batch_norm(m, bn_name, o[2], act)
  return function(x, residual) return layers.conv_bn(conv, bn, pad(x), residual) end
end

-- Expansion (unless 1), depthwise k×k, squeeze and excitation, linear projection, shortcut where shapes agree.
local function block(cin, out, kernel, stride, expansion)
  local m = Module.new()
  local hidden, squeezed = cin * expansion, math.max(1, cin // 4)
  local expand = expansion ~= 1 and conv_bn(m, "_expand_conv", "_bn0", "silu", { cin, hidden, 1 })
  local depthwise, pad = convolution(m, "_depthwise_conv", { hidden, hidden, kernel, stride = stride, groups = hidden })
  local bn = batch_norm(m, "_bn1", hidden, "silu")
  local gate = excite.gate(m:add("_se_reduce", layers.Conv2d { hidden, squeezed, 1 }),
    m:add("_se_expand", layers.Conv2d { squeezed, hidden, 1 }), "silu")
  local project = conv_bn(m, "_project_conv", "_bn2", "none", { hidden, out, 1 })
  local shortcut = stride == 1 and cin == out
  local steps = { pad, depthwise, function(x) return excite.after(bn, gate, x) end }
  if expand then table.insert(steps, 1, expand) end
  m.forward = function(_, x)
    local y = x
    for _, step in ipairs(steps) do
      local z = step(y)
      if not rawequal(y, x) and not rawequal(y, z) then layers.let_go(y, m) end
      y = z
    end
    local z = project(y, shortcut and x or nil)
    layers.let_go(y, m)
    return z
  end
  m.flops = function(_, _, y) return excite.flops(bn, gate, y.shape[1]) end
  return m
end

--- build{ stages = { { kernel, expand, width, repeats, stride }, … }, last = { … } }: the encoder. last: numbers (from
-- 0) of the blocks after which a feature is taken; the stem gives the first.
function M.build(e)
  local m = Module.new()
  local stem = conv_bn(m, "_conv_stem", "_bn0", "silu", { 3, 32, 3, stride = 2 })
  local part = { { "_conv_stem", m.children._conv_stem }, { "_bn0", m.children._bn0 } }
  local list = { { name = "_conv_stem", module = stages.view(part, function(_, x) return stem(x) end) } }
  local blocks = m:add("_blocks", Module.new())
  local widths, n, first, cin = { 32 }, 0, 0, 32
  part = {}
  for _, stage in ipairs(e.stages) do
    for i = 1, stage.repeats do
      local stride = i == 1 and stage.stride or 1
      part[#part + 1] = { n, blocks:add(n, block(cin, stage.width, stage.kernel, stride, stage.expand)) }
      cin = stage.width
      if n == e.last[#list] then
        list[#list + 1] = { name = ("_blocks.%d-%d"):format(first, n), module = stages.view(part) }
        widths[#widths + 1], part, first = cin, {}, n + 1
      end
      n = n + 1
    end
  end
  -- The head is part of the public files; only their classifier reads it. It counts as the last stage's.
  conv_bn(m, "_conv_head", "_bn1", "silu", { cin, 1280, 1 })
  for _, name in ipairs { "_conv_head", "_bn1" } do list[#list].module:add(name, m.children[name]) end
  return stages.encoder(m, list, widths)
end

return M
