--- EfficientNet (Tan and Le, ICML 2019) as an encoder: inverted residuals with squeeze and excitation, SiLU throughout.
--
-- Two public networks are called efficientnet_b0. This is the one that segmentation_models.pytorch 0.6 calls
-- "efficientnet-b0": names and numerics of its checkpoints (_conv_stem, _blocks.N._depthwise_conv, …), batch norm with
-- eps 1e-3 and momentum 0.01, TensorFlow's "same" padding (that of even sizes: the extra row and column are right and
-- bottom). Not here: dropping whole blocks by chance in training (drop connect), which that network does by default and
-- which would need random numbers in the forward pass.
local Module = require "cohesiv.nn.module"
local layers = require "cohesiv.nn.layers"
local stages = require "cohesiv.nn.stages"
local core = require "cohesiv.core"

local ops = core.ops
local M = {}

local function batch_norm(channels) return layers.BatchNorm2d(channels, { eps = 1e-3, momentum = 0.01 }) end

-- A convolution without bias and its batch norm, added to m → a function of x and of what is added at the end. A
-- stride of 2 pads k - 2 in all: (k - 3) / 2 on the left and the top, one more on the right and at the bottom.
local function conv_bn(m, conv_name, bn_name, o)
  local k = o[3]
  o.padding, o.bias = o.stride == 2 and (k - 3) // 2 or k // 2, false
  local conv, bn = m:add(conv_name, layers.Conv2d(o)), m:add(bn_name, batch_norm(o[2]))
  return function(x, residual)
    if o.stride == 2 then x = ops.pad_crop.call(x, x.shape[2] + 1, x.shape[3] + 1) end
    return layers.conv_bn(conv, bn, x, residual)
  end
end

-- Expansion (unless 1), depthwise k×k, squeeze and excitation, linear projection, shortcut where shapes agree.
local function block(cin, out, kernel, stride, expansion)
  local m = Module.new()
  local hidden, squeezed = cin * expansion, math.max(1, cin // 4)
  local expand = expansion ~= 1 and conv_bn(m, "_expand_conv", "_bn0", { cin, hidden, 1 })
  local depthwise = conv_bn(m, "_depthwise_conv", "_bn1", { hidden, hidden, kernel, stride = stride, groups = hidden })
  local reduce = m:add("_se_reduce", layers.Conv2d { hidden, squeezed, 1 })
  local excite = m:add("_se_expand", layers.Conv2d { squeezed, hidden, 1 })
  local project = conv_bn(m, "_project_conv", "_bn2", { hidden, out, 1 })
  local shortcut = stride == 1 and cin == out
  m.forward = function(_, x)
    local y = expand and ops.silu.call(expand(x)) or x
    y = ops.silu.call(depthwise(y))
    local gate = excite(ops.silu.call(reduce(ops.global_pool.call(y))))
    return project(y * gate:sigmoid(), shortcut and x or nil)
  end
  return m
end

--- build{ stages = { { kernel, expand, width, repeats, stride }, … }, last = { … } }: the encoder. last: numbers (from
-- 0) of the blocks after which a feature is taken; the stem gives the first.
function M.build(e)
  local m = Module.new()
  local stem = conv_bn(m, "_conv_stem", "_bn0", { 3, 32, 3, stride = 2 })
  local part = { { "_conv_stem", m.children._conv_stem }, { "_bn0", m.children._bn0 } }
  local list = { { name = "_conv_stem", module = stages.view(part, function(_, x) return ops.silu.call(stem(x)) end) } }
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
  conv_bn(m, "_conv_head", "_bn1", { cin, 1280, 1 })
  for _, name in ipairs { "_conv_head", "_bn1" } do list[#list].module:add(name, m.children[name]) end
  return stages.encoder(m, list, widths)
end

return M
