--- Encoders as tables of stages. An entry says what is special; the builders know the families. Every encoder returns
-- its features at strides 2, 4, 8, 16, 32; names and numerics match the public checkpoints (torchvision's for resnet*,
-- resnext* and mobilenet_v2, Cadene's for se_*), as in segmentation_models.pytorch 0.6.
local Module = require "cohesiv.nn.module"
local layers = require "cohesiv.nn.layers"
local stages = require "cohesiv.nn.stages"
local efficientnet = require "cohesiv.nn.efficientnet"
local excite = require "cohesiv.nn.squeeze_excite"
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local refuse = require "cohesiv.base.refuse"

local ops = core.ops
local M = {}

-- ---- ResNets (He et al., CVPR 2016), ResNeXt (Xie et al., CVPR 2017), squeeze and excitation (Hu et al., 2018) ----

-- One residual block: `basic` (two 3×3) or a bottleneck (1×1, 3×3 with groups and stride, 1×1; stride_first: the first
-- 1×1 has the stride). With a reduction, squeeze and excitation stand before the addition and the last ReLU.
local function residual_block(e, cin, planes, stride)
  local m, steps = Module.new(), {}
  local out = planes * (e.basic and 1 or 4)
  local function conv_bn(a, b, kernel, o)
    local i = #steps + 1
    local step, conv, bn = stages.conv_bn(m, "conv" .. i, "bn" .. i,
      { a, b, kernel, stride = o.stride, groups = o.groups, act = o.act or "relu" })
    steps[i] = step
    return conv, bn
  end
  if e.basic then
    conv_bn(cin, planes, 3, { stride = stride })
    conv_bn(planes, planes, 3, {})
  else
    local groups = e.groups or 1
    local width = math.floor(planes * (e.base_width or 64) / 64) * groups
    local first = e.stride_first and stride or 1
    conv_bn(cin, width, 1, { stride = first })
    conv_bn(width, width, 3, { stride = stride // first, groups = groups })
    local conv, bn = conv_bn(width, out, 1, { act = e.reduction and "none" })
    if e.reduction then
      local fc1 = layers.Conv2d { out, out // e.reduction, 1 }
      local fc2 = layers.Conv2d { out // e.reduction, out, 1 }
      local gate = m:add("se_module", excite.gate(fc1, fc2, "relu"))
      gate:add("fc1", fc1)
      gate:add("fc2", fc2)
      steps[3], steps[4] = conv, function(x, residual) return excite.after(bn, gate, x, residual) end
    end
  end
  local shortcut = true
  if stride ~= 1 or cin ~= out then
    shortcut = m:add("downsample", layers.ConvBN { cin, out, 1, stride = stride })
  end
  return stages.block(m, steps, shortcut), out
end

local function resnet(e)
  local m = Module.new()
  local cadene = e.reduction ~= nil -- those networks hold the stem in layer0 and pool without padding, sizes rounded up
  local owner = cadene and m:add("layer0", Module.new()) or m
  local stem, conv, bn = stages.conv_bn(owner, "conv1", "bn1", { 3, 64, 7, stride = 2, act = "relu" })
  local view = stages.view({ { "conv1", conv }, { "bn1", bn } }, function(_, x) return stem(x) end)
  local list, cin, widths = { { name = cadene and "layer0" or "conv1", module = view } }, 64, { 64 }
  for i, depth in ipairs(e.depths) do
    local name = "layer" .. i
    local stage, steps = m:add(name, Module.new()), {}
    if i == 1 then
      steps[1] = function(x) return ops.max_pool2d.call(x, 3, 2, cadene and 0 or 1, cadene) end
    end
    for b = 1, depth do
      local block
      block, cin = residual_block(e, cin, 64 << (i - 1), (b == 1 and i > 1) and 2 or 1)
      steps[#steps + 1] = stage:add(b - 1, block)
    end
    stage.forward = stages.in_turn(steps)
    list[i + 1], widths[i + 1] = { name = name, module = stage }, cin
  end
  return stages.encoder(m, list, widths)
end

-- ---- MobileNetV2 (Sandler et al., CVPR 2018) ----

-- Expansion, depthwise 3×3, linear projection; torchvision's names: conv.0.{0,1}, conv.1.{0,1}, conv.2, conv.3.
local function inverted_residual(cin, out, stride, expand)
  local m, steps = Module.new(), {}
  local body, hidden = m:add("conv", Module.new()), cin * expand
  if expand ~= 1 then steps[1] = body:add(0, layers.ConvBN { cin, hidden, 1, act = "relu6" }) end
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
  local function add(layer) list[#list + 1] = { #list, features:add(#list, layer) } end
  local function end_stage(width) ends[#ends + 1], widths[#widths + 1] = #list, width end
  add(layers.ConvBN { 3, cin, 3, stride = 2, padding = 1, act = "relu6" })
  for _, stage in ipairs(e.stages) do
    if stage.stride == 2 then end_stage(cin) end -- what lies before a halving is a feature
    for i = 1, stage.repeats do
      add(inverted_residual(cin, stage.width, i == 1 and stage.stride or 1, stage.expand))
      cin = stage.width
    end
  end
  add(layers.ConvBN { cin, 1280, 1, act = "relu6" })
  end_stage(1280)
  return stages.encoder(m, stages.cut("features", list, ends), widths)
end

M.table = {
  resnet18 = { build = resnet, basic = true, depths = { 2, 2, 2, 2 } },
  resnet34 = { build = resnet, basic = true, depths = { 3, 4, 6, 3 } },
  resnet50 = { build = resnet, depths = { 3, 4, 6, 3 } },
  resnet101 = { build = resnet, depths = { 3, 4, 23, 3 } },
  resnext50_32x4d = { build = resnet, depths = { 3, 4, 6, 3 }, groups = 32, base_width = 4 },
  se_resnet50 = { build = resnet, depths = { 3, 4, 6, 3 }, reduction = 16, stride_first = true },
  se_resnext50_32x4d = { build = resnet, depths = { 3, 4, 6, 3 }, groups = 32, base_width = 4, reduction = 16 },
  se_resnext101_32x4d = { build = resnet, depths = { 3, 4, 23, 3 }, groups = 32, base_width = 4, reduction = 16 },
  mobilenet_v2 = {
    build = mobilenet,
    stages = {
      { expand = 1, width = 16, repeats = 1, stride = 1 },
      { expand = 6, width = 24, repeats = 2, stride = 2 },
      { expand = 6, width = 32, repeats = 3, stride = 2 },
      { expand = 6, width = 64, repeats = 4, stride = 2 },
      { expand = 6, width = 96, repeats = 3, stride = 1 },
      { expand = 6, width = 160, repeats = 3, stride = 2 },
      { expand = 6, width = 320, repeats = 1, stride = 1 },
    },
  },
  efficientnet_b0 = {
    build = efficientnet.build,
    stages = {
      { kernel = 3, expand = 1, width = 16, repeats = 1, stride = 1 },
      { kernel = 3, expand = 6, width = 24, repeats = 2, stride = 2 },
      { kernel = 5, expand = 6, width = 40, repeats = 2, stride = 2 },
      { kernel = 3, expand = 6, width = 80, repeats = 3, stride = 2 },
      { kernel = 5, expand = 6, width = 112, repeats = 3, stride = 1 },
      { kernel = 5, expand = 6, width = 192, repeats = 4, stride = 2 },
      { kernel = 3, expand = 6, width = 320, repeats = 1, stride = 1 },
    },
    last = { 2, 4, 8, 15 },
  },
}

--- names(first?): the sorted list of encoder names, `first` at its head.
function M.names(first) return lists.keys(M.table, first) end

--- encoder(name): the module; module.widths are its channels at strides 2, 4, 8, 16, 32.
function M.encoder(name)
  local e = M.table[name]
  if not e then refuse("encoder: expected one of %s, found %s", table.concat(M.names(), ", "), core.text(name)) end
  return e.build(e)
end

return M
