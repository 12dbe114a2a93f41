--- Encoders as tables of stages. An entry says what is special; the builders know the families. Every encoder returns
-- its features at strides 2, 4, 8, 16, 32; names and numerics match the public checkpoints (torchvision's for resnet*,
-- resnext* and mobilenet_v2, Cadene's for se_*, timm's for efficientnet_lite*), as in segmentation_models.pytorch 0.6.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local layers, Module = require "cohesiv.nn.layers", require "cohesiv.nn.module"
local excite, stages = require "cohesiv.nn.squeeze_excite", require "cohesiv.nn.stages"

local ops = core.ops
local M = {}

-- ---- ResNets (He et al., CVPR 2016), ResNeXt (Xie et al., CVPR 2017), squeeze and excitation (Hu et al., 2018) ----
-- One residual block: `basic` (two 3×3) or a bottleneck (1×1, 3×3 with groups and stride, 1×1; stride_first: the first
-- 1×1 has the stride). With a reduction, squeeze and excitation stand before the addition and the last ReLU.
local function residual_block(e, cin, planes, stride)
  local m, steps = Module.new(), {}
  local out = planes * (e.basic and 1 or 4)
  local width = math.floor(planes * (e.base_width or 64) / 64) * (e.groups or 1)
  local first = e.stride_first and stride or 1
  local convolutions = e.basic and { { cin, planes, 3, stride = stride }, { planes, planes, 3 } } or {
    { cin, width, 1, stride = first }, { width, width, 3, stride = stride // first, groups = e.groups },
    { width, out, 1, act = e.reduction and "none" },
  }
  for i, o in ipairs(convolutions) do
    o.act = o.act or "relu"
    steps[i] = stages.conv_bn(m, "conv" .. i, "bn" .. i, o)
  end
  if e.reduction then
    local fc1 = layers.Conv2d { out, out // e.reduction, 1 }
    local fc2 = layers.Conv2d { out // e.reduction, out, 1 }
    local gate, last = m:add("se_module", excite.gate(fc1, fc2, "relu")), steps[3]
    gate:add("fc1", fc1)
    gate:add("fc2", fc2)
    steps[3], steps[4] = last.conv, function(x, residual) return excite.after(last.bn, gate, x, residual) end
  end
  local halved = stride ~= 1 or cin ~= out
  local shortcut = halved and m:add("downsample", layers.ConvBN { cin, out, 1, stride = stride })
  return stages.block(m, steps, shortcut or true), out
end

local function resnet(e)
  local m = Module.new()
  local cadene = e.reduction ~= nil -- those networks hold the stem in layer0 and pool without padding, sizes rounded up
  local owner = cadene and m:add("layer0", Module.new()) or m
  local stem = stages.conv_bn(owner, "conv1", "bn1", { 3, 64, 7, stride = 2, act = "relu" })
  local list, cin, widths = { { name = cadene and "layer0" or "conv1", module = stem } }, 64, { 64 }
  for i, depth in ipairs(e.depths) do
    local stage = m:add("layer" .. i, layers.Sequential {})
    if i == 1 then
      stage[1] = function(x) return ops.max_pool2d.call(x, 3, 2, cadene and 0 or 1, cadene) end
    end
    for b = 1, depth do
      local block
      block, cin = residual_block(e, cin, 64 << (i - 1), (b == 1 and i > 1) and 2 or 1)
      stage[#stage + 1] = stage:add(b - 1, block)
    end
    list[i + 1], widths[i + 1] = { name = stage.name, module = stage }, cin
  end
  return stages.encoder(m, list, widths)
end

-- ---- MobileNetV2 (Sandler et al., CVPR 2018) ----
-- Expansion, depthwise 3×3, linear projection; torchvision's names: conv.0.{0,1}, conv.1.{0,1}, conv.2, conv.3.
local function inverted_residual(cin, out, stride, expansion)
  local m, steps = Module.new(), {}
  local body, hidden = m:add("conv", Module.new()), cin * expansion
  if expansion ~= 1 then steps[1] = body:add(0, layers.ConvBN { cin, hidden, 1, act = "relu6" }) end
  local n = #steps
  steps[n + 1] = body:add(n, layers.ConvBN { hidden, hidden, 3, stride = stride, padding = 1, groups = hidden,
    act = "relu6" })
  steps[n + 2] = stages.conv_bn(body, n + 1, n + 2, { hidden, out, 1 })
  return stages.block(m, steps, stride == 1 and cin == out)
end

local function mobilenet(e)
  local m = Module.new()
  local features = m:add("features", Module.new())
  local list, ends, widths, cin = {}, {}, {}, 32
  local function add(layer) list[#list + 1] = features:add(#list, layer) end
  local function end_stage(width) ends[#ends + 1], widths[#widths + 1] = #list, width end
  add(layers.ConvBN { 3, cin, 3, stride = 2, padding = 1, act = "relu6" })
  for _, stage in ipairs(e.stages) do
    local expansion, width, repeats, stride = table.unpack(stage)
    if stride == 2 then end_stage(cin) end -- what lies before a halving is a feature
    for i = 1, repeats do
      add(inverted_residual(cin, width, i == 1 and stride or 1, expansion))
      cin = width
    end
  end
  add(layers.ConvBN { cin, 1280, 1, act = "relu6" })
  end_stage(1280)
  return stages.encoder(m, stages.cut("features", list, ends), widths)
end

-- ---- EfficientNet (Tan and Le, ICML 2019): inverted residuals with squeeze and excitation, SiLU throughout ----
--
-- Two public networks are called efficientnet_b0. This is the one that segmentation_models.pytorch 0.6 calls
-- "efficientnet-b0": names and numerics of its checkpoints (_conv_stem, _blocks.N._depthwise_conv, …), batch norm with
-- eps 1e-3 and momentum 0.01, TensorFlow's "same" padding (that of even sizes: the extra row and column are right and
-- bottom). Not here: dropping whole blocks by chance in training (drop connect), as that network does by default.

-- As stages.conv_bn. A stride of 2 pads (k - 3) / 2 on each side and what `widened` puts on the right and the bottom.
local function conv_bn(m, conv, bn, o)
  o.eps, o.momentum, o.padding = 1e-3, 0.01, o.stride == 2 and (o[3] - 3) // 2 or nil
  return stages.conv_bn(m, conv, bn, o)
end

local function widened(x) return ops.pad_crop.call(x, x.shape[2] + 1, x.shape[3] + 1) end

-- The names of convolution and batch norm in a block: of "efficientnet-b0", and timm's.
local NUMBERED = { expand = { "_expand_conv", "_bn0" }, depthwise = { "_depthwise_conv", "_bn1" },
  project = { "_project_conv", "_bn2" } }
local PLAIN = { depthwise = { "conv_dw", "bn1" }, project = { "conv_pw", "bn2" } }
local EXPANDING = { expand = { "conv_pw", "bn1" }, depthwise = { "conv_dw", "bn2" }, project = { "conv_pwl", "bn3" } }

-- Expansion (unless 1), depthwise k×k, squeeze and excitation (where squeezed), linear projection, shortcut where the
-- shapes agree.
local function efficient_block(names, cin, out, kernel, stride, expansion, act, squeezed)
  local m, steps = Module.new(), {}
  local hidden = cin * expansion
  local function then_do(step) steps[#steps + 1] = step end
  local function conv(part, o) return conv_bn(m, names[part][1], names[part][2], o) end
  if expansion ~= 1 then then_do(conv("expand", { cin, hidden, 1, act = act })) end
  if stride == 2 then then_do(widened) end
  local depthwise = conv("depthwise", { hidden, hidden, kernel, stride = stride, groups = hidden, act = act })
  if squeezed then
    local gate = excite.gate(m:add("_se_reduce", layers.Conv2d { hidden, squeezed, 1 }),
      m:add("_se_expand", layers.Conv2d { squeezed, hidden, 1 }), act)
    then_do(depthwise.conv)
    then_do(function(x) return excite.after(depthwise.bn, gate, x) end)
  else
    then_do(depthwise)
  end
  then_do(conv("project", { hidden, out, 1 }))
  return stages.block(m, steps, stride == 1 and cin == out)
end

-- The stages of an EfficientNet from those behind its stem, `parts`. The head is part of the public files; only their
-- classifier reads it. It counts as the last stage's.
local function efficient_encoder(m, parts, widths, stem, head)
  local last = parts[#parts].module
  last:add(head[1], conv_bn(m, head[1], head[2], { widths[#widths], 1280, 1, act = stem.bn.act }))
  local first = Module.new()
  stages.block(first, { widened, first:add(stem.name, stem) })
  table.insert(parts, 1, { name = stem.name, module = first })
  return stages.encoder(m, parts, widths)
end

-- e.last: numbers (from 0) of the blocks after which a feature is taken; the stem gives the first.
local function efficientnet(e)
  local m = Module.new()
  local stem = conv_bn(m, "_conv_stem", "_bn0", { 3, 32, 3, stride = 2, act = "silu" })
  local blocks = m:add("_blocks", Module.new())
  local list, ends, widths, cin = {}, {}, { 32 }, 32
  for _, stage in ipairs(e.stages) do
    local expansion, width, repeats, stride, kernel = table.unpack(stage)
    for i = 1, repeats do
      list[#list + 1] = blocks:add(#list, efficient_block(NUMBERED, cin, width, kernel, i == 1 and stride or 1,
        expansion, "silu", math.max(1, cin // 4)))
      cin = width
      if #list - 1 == e.last[#ends + 1] then ends[#ends + 1], widths[#widths + 1] = #list, cin end
    end
  end
  stem.name = "_conv_stem"
  return efficient_encoder(m, stages.cut("_blocks", list, ends), widths, stem, { "_conv_head", "_bn1" })
end

-- EfficientNet-lite (R. Liu, 2020): no squeeze and excitation, ReLU6, stem and head of one size. Names and numerics of
-- timm's tf_efficientnet_lite*, which are segmentation_models.pytorch's: blocks.STAGE.BLOCK.conv_pw, ….
local function efficientnet_lite(e)
  local m = Module.new()
  local stem = conv_bn(m, "conv_stem", "bn1", { 3, 32, 3, stride = 2, act = "relu6" })
  local blocks = m:add("blocks", Module.new())
  local list, ends, widths, cin = {}, {}, { 32 }, 32
  for s, stage in ipairs(e.stages) do
    local expansion, width, repeats, stride, kernel = table.unpack(stage)
    list[s] = blocks:add(s - 1, layers.Sequential {})
    for i = 1, repeats do
      list[s][i] = list[s]:add(i - 1, efficient_block(expansion == 1 and PLAIN or EXPANDING, cin, width, kernel,
        i == 1 and stride or 1, expansion, "relu6"))
      cin = width
    end
    local following = e.stages[s + 1]
    if s > 1 and (not following or following[4] == 2) then ends[#ends + 1], widths[#widths + 1] = s, width end
  end
  stem.name = "conv_stem"
  return efficient_encoder(m, stages.cut("blocks", list, ends), widths, stem, { "conv_head", "bn2" })
end

-- Stages are { expansion, width, repeats, stride, kernel }, as in the tables of the papers.
M.table = {
  resnet18 = { build = resnet, basic = true, depths = { 2, 2, 2, 2 } },
  resnet34 = { build = resnet, basic = true, depths = { 3, 4, 6, 3 } },
  resnet50 = { build = resnet, depths = { 3, 4, 6, 3 } },
  resnet101 = { build = resnet, depths = { 3, 4, 23, 3 } },
  resnext50_32x4d = { build = resnet, depths = { 3, 4, 6, 3 }, groups = 32, base_width = 4 },
  se_resnet50 = { build = resnet, depths = { 3, 4, 6, 3 }, reduction = 16, stride_first = true },
  se_resnext50_32x4d = { build = resnet, depths = { 3, 4, 6, 3 }, groups = 32, base_width = 4, reduction = 16 },
  se_resnext101_32x4d = { build = resnet, depths = { 3, 4, 23, 3 }, groups = 32, base_width = 4, reduction = 16 },
  mobilenet_v2 = { build = mobilenet, stages = { { 1, 16, 1, 1 }, { 6, 24, 2, 2 }, { 6, 32, 3, 2 }, { 6, 64, 4, 2 },
    { 6, 96, 3, 1 }, { 6, 160, 3, 2 }, { 6, 320, 1, 1 } } },
  efficientnet_b0 = { build = efficientnet, last = { 2, 4, 8, 15 }, stages = { { 1, 16, 1, 1, 3 }, { 6, 24, 2, 2, 3 },
    { 6, 40, 2, 2, 5 }, { 6, 80, 3, 2, 3 }, { 6, 112, 3, 1, 5 }, { 6, 192, 4, 2, 5 }, { 6, 320, 1, 1, 3 } } },
  efficientnet_lite0 = { build = efficientnet_lite, stages = { { 1, 16, 1, 1, 3 }, { 6, 24, 2, 2, 3 },
    { 6, 40, 2, 2, 5 }, { 6, 80, 3, 2, 3 }, { 6, 112, 3, 1, 5 }, { 6, 192, 4, 2, 5 }, { 6, 320, 1, 1, 3 } } },
  efficientnet_lite1 = { build = efficientnet_lite, stages = { { 1, 16, 1, 1, 3 }, { 6, 24, 3, 2, 3 },
    { 6, 40, 3, 2, 5 }, { 6, 80, 4, 2, 3 }, { 6, 112, 4, 1, 5 }, { 6, 192, 5, 2, 5 }, { 6, 320, 1, 1, 3 } } },
  efficientnet_lite2 = { build = efficientnet_lite, stages = { { 1, 16, 1, 1, 3 }, { 6, 24, 3, 2, 3 },
    { 6, 48, 3, 2, 5 }, { 6, 88, 4, 2, 3 }, { 6, 120, 4, 1, 5 }, { 6, 208, 5, 2, 5 }, { 6, 352, 1, 1, 3 } } },
}

--- names(first?): the sorted list of encoder names, `first` at its head.
function M.names(first) return lists.keys(M.table, first) end

--- encoder(name): the module; module.widths are its channels at strides 2, 4, 8, 16, 32.
function M.encoder(name)
  local e = M.table[name]
  if not e then core.refuse("encoder: expected one of %s, found %s", table.concat(M.names(), ", "), core.text(name)) end
  return e.build(e)
end

return M
