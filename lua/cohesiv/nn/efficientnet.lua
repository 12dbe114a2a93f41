--- EfficientNet (Tan and Le, ICML 2019) as an encoder: inverted residuals with squeeze and excitation, SiLU throughout.
-- Two public networks are called efficientnet_b0. This is the one that segmentation_models.pytorch 0.6 calls
-- "efficientnet-b0": names and numerics of its checkpoints (_conv_stem, _blocks.N._depthwise_conv, …), batch norm with
-- eps 1e-3 and momentum 0.01, TensorFlow's "same" padding (that of even sizes: the extra row and column are right and
-- bottom). Not here: dropping whole blocks by chance in training (drop connect), as that network does by default.
local Module = require "cohesiv.nn.module"
local excite = require "cohesiv.nn.squeeze_excite"
local layers = require "cohesiv.nn.layers"
local stages = require "cohesiv.nn.stages"
local ops = require("cohesiv.core").ops

local M = {}

-- As stages.conv_bn. A stride of 2 pads (k - 3) / 2 on each side and what `widened` puts on the right and the bottom.
local function conv_bn(m, conv, bn, o)
  o.eps, o.momentum, o.padding = 1e-3, 0.01, o.stride == 2 and (o[3] - 3) // 2 or nil
  return stages.conv_bn(m, conv, bn, o)
end

local function widened(x) return ops.pad_crop.call(x, x.shape[2] + 1, x.shape[3] + 1) end

-- Expansion (unless 1), depthwise k×k, squeeze and excitation, linear projection, shortcut where shapes agree.
local function block(cin, out, kernel, stride, expansion)
  local m, steps = Module.new(), {}
  local hidden, squeezed = cin * expansion, math.max(1, cin // 4)
  local function then_do(step) steps[#steps + 1] = step end
  if expansion ~= 1 then then_do(conv_bn(m, "_expand_conv", "_bn0", { cin, hidden, 1, act = "silu" })) end
  if stride == 2 then then_do(widened) end
  local depthwise = conv_bn(m, "_depthwise_conv", "_bn1",
    { hidden, hidden, kernel, stride = stride, groups = hidden, act = "silu" })
  local gate = excite.gate(m:add("_se_reduce", layers.Conv2d { hidden, squeezed, 1 }),
    m:add("_se_expand", layers.Conv2d { squeezed, hidden, 1 }), "silu")
  then_do(depthwise.conv)
  then_do(function(x) return excite.after(depthwise.bn, gate, x) end)
  then_do(conv_bn(m, "_project_conv", "_bn2", { hidden, out, 1 }))
  return stages.block(m, steps, stride == 1 and cin == out)
end

--- build{ stages = { { expansion, width, repeats, stride, kernel }, … }, last = { … } }: the encoder. last: numbers
-- (from 0) of the blocks after which a feature is taken; the stem gives the first.
function M.build(e)
  local m = Module.new()
  local stem = conv_bn(m, "_conv_stem", "_bn0", { 3, 32, 3, stride = 2, act = "silu" })
  local blocks = m:add("_blocks", Module.new())
  local list, ends, widths, cin = {}, {}, { 32 }, 32
  for _, stage in ipairs(e.stages) do
    local expansion, width, repeats, stride, kernel = table.unpack(stage)
    for i = 1, repeats do
      list[#list + 1] = blocks:add(#list, block(cin, width, kernel, i == 1 and stride or 1, expansion))
      cin = width
      if #list - 1 == e.last[#ends + 1] then ends[#ends + 1], widths[#widths + 1] = #list, cin end
    end
  end
  local parts = stages.cut("_blocks", list, ends)
  -- The head is part of the public files; only their classifier reads it. It counts as the last stage's.
  local last = parts[#parts].module
  last:add("_conv_head", conv_bn(m, "_conv_head", "_bn1", { cin, 1280, 1, act = "silu" }))
  local first = Module.new()
  table.insert(parts, 1, { name = "_conv_stem",
    module = stages.block(first, { widened, first:add("_conv_stem", stem) }) })
  return stages.encoder(m, parts, widths)
end

return M
