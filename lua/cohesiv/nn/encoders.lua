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

-- One residual block: `basic` (two 3×3) or bottleneck (1×1, 3×3 with groups and stride, 1×1; stride_first: the first
-- 1×1 has the stride).
local function residual_block(e, cin, planes, stride)
  local m = Module.new()
  local expansion = e.block == "basic" and 1 or 4
  local out, chain, seen = planes * expansion, {}, {} -- seen[i]: the modules that see the i-th's result
  local function see(i, conv, bn) seen[i], seen[i - 1] = { bn }, i > 1 and { seen[i - 1][1], conv } or nil end
  local function conv_bn(i, a, b, k, s, groups, act)
    local conv = m:add("conv" .. i,
      layers.Conv2d { a, b, k, stride = s, padding = k // 2, groups = groups, bias = false })
    local bn = m:add("bn" .. i, layers.BatchNorm2d { b, act = act })
    chain[i] = function(x, residual) return layers.conv_bn(conv, bn, x, residual) end
    see(i, conv, bn)
  end
  -- Squeeze and excitation before the addition and the ReLU: how the chain then ends.
  local function conv_bn_se(i, a, b, reduction)
    local conv = m:add("conv" .. i, layers.Conv2d { a, b, 1, bias = false })
    local bn = m:add("bn" .. i, layers.BatchNorm2d { b })
    local fc1, fc2 = layers.Conv2d { b, b // reduction, 1 }, layers.Conv2d { b // reduction, b, 1 }
    local se = m:add("se_module", excite.gate(fc1, fc2, "relu"))
    se:add("fc1", fc1)
    se:add("fc2", fc2)
    chain[i] = function(x, residual)
      local y = conv(x)
      local z = excite.after(bn, se, y, residual)
      layers.let_go(y, conv, bn, se)
      return z
    end
    see(i, conv, bn)
    m.flops = function(_, _, y) return excite.flops(bn, se, y.shape[1]) end
  end
  if e.block == "basic" then
    conv_bn(1, cin, planes, 3, stride, 1, "relu")
    conv_bn(2, planes, planes, 3, 1, 1, "relu")
  else
    local groups = e.groups or 1
    local width = math.floor(planes * (e.base_width or 64) / 64) * groups
    local first = e.stride_first and stride or 1
    conv_bn(1, cin, width, 1, first, 1, "relu")
    conv_bn(2, width, width, 3, stride // first, groups, "relu")
    if e.reduction then
      conv_bn_se(3, width, out, e.reduction)
    else
      conv_bn(3, width, out, 1, 1, 1, "relu")
    end
  end
  local downsample
  if stride ~= 1 or cin ~= out then
    downsample = m:add("downsample", layers.ConvBN { cin, out, 1, stride = stride })
  end
  m.forward = function(_, x)
    local shortcut = downsample and downsample(x) or x
    for i, step in ipairs(chain) do
      local y = step(x, i == #chain and shortcut or nil)
      if i > 1 then layers.let_go(x, table.unpack(seen[i - 1])) end
      x = y
    end
    return x
  end
  return m, out
end

local function resnet(e)
  local m = Module.new()
  -- Cadene's networks hold the stem in layer0 and pool without padding, rounding sizes up
  local owner = e.layer0 and m:add("layer0", Module.new()) or m
  local conv = owner:add("conv1", layers.Conv2d { 3, 64, 7, stride = 2, padding = 3, bias = false })
  local bn = owner:add("bn1", layers.BatchNorm2d { 64, act = "relu" })
  local stem = stages.view({ { "conv1", conv }, { "bn1", bn } }, function(_, x) return layers.conv_bn(conv, bn, x) end)
  local list, cin, widths = { { name = e.layer0 and "layer0" or "conv1", module = stem } }, 64, { 64 }
  for i, depth in ipairs(e.depths) do
    local name = "layer" .. i
    local stage, blocks = m:add(name, Module.new()), {}
    for b = 1, depth do
      local block
      block, cin = residual_block(e, cin, 64 << (i - 1), (b == 1 and i > 1) and 2 or 1)
      blocks[b] = stage:add(b - 1, block)
    end
    stage.forward = function(_, x)
      if i == 1 then x = ops.max_pool2d.call(x, 3, 2, e.layer0 and 0 or 1, e.layer0 or false) end
      for _, block in ipairs(blocks) do x = block(x) end
      return x
    end
    list[i + 1], widths[i + 1] = { name = name, module = stage }, cin
  end
  return stages.encoder(m, list, widths)
end

-- ---- MobileNetV2 (Sandler et al., CVPR 2018) ----

-- Expansion, depthwise 3×3, linear projection; torchvision's names: conv.0.{0,1}, conv.1.{0,1}, conv.2, conv.3.
local function inverted_residual(cin, out, stride, expand)
  local m = Module.new()
  local body = m:add("conv", Module.new())
  local chain, hidden, n = {}, cin * expand, 0
  if expand ~= 1 then
    chain[1] = body:add(0, layers.ConvBN { cin, hidden, 1, act = "relu6" })
    n = 1
  end
  chain[n + 1] = body:add(n, layers.ConvBN { hidden, hidden, 3, stride = stride, padding = 1, groups = hidden,
    act = "relu6" })
  local conv = body:add(n + 1, layers.Conv2d { hidden, out, 1, bias = false })
  local bn = body:add(n + 2, layers.BatchNorm2d { out })
  local shortcut = stride == 1 and cin == out
  m.forward = function(_, x)
    local y = x
    for i, layer in ipairs(chain) do
      local z = layer(y)
      if i > 1 then layers.let_go(y, chain[i - 1], layer) end
      y = z
    end
    local z = layers.conv_bn(conv, bn, y, shortcut and x or nil)
    layers.let_go(y, chain[#chain], conv)
    return z
  end
  return m
end

local function mobilenet(e)
  local m = Module.new()
  local features = m:add("features", Module.new())
  local list, widths, part, n, cin = {}, {}, {}, 0, 32
  local function add(layer)
    part[#part + 1] = { n, features:add(n, layer) }
    n = n + 1
  end
  local function close_stage()
    list[#list + 1] = { name = ("features.%d-%d"):format(part[1][1], n - 1), module = stages.view(part) }
    widths[#widths + 1], part = cin, {}
  end
  add(layers.ConvBN { 3, cin, 3, stride = 2, padding = 1, act = "relu6" })
  for _, stage in ipairs(e.stages) do
    if stage.stride == 2 then close_stage() end -- what lies before a halving is a feature
    for i = 1, stage.repeats do
      add(inverted_residual(cin, stage.width, i == 1 and stage.stride or 1, stage.expand))
      cin = stage.width
    end
  end
  add(layers.ConvBN { cin, 1280, 1, act = "relu6" })
  cin = 1280
  close_stage()
  return stages.encoder(m, list, widths)
end

M.table = {
  resnet18 = { build = resnet, block = "basic", depths = { 2, 2, 2, 2 } },
  resnet34 = { build = resnet, block = "basic", depths = { 3, 4, 6, 3 } },
  resnet50 = { build = resnet, block = "bottleneck", depths = { 3, 4, 6, 3 } },
  resnet101 = { build = resnet, block = "bottleneck", depths = { 3, 4, 23, 3 } },
  resnext50_32x4d = { build = resnet, block = "bottleneck", depths = { 3, 4, 6, 3 }, groups = 32, base_width = 4 },
  se_resnet50 = {
    build = resnet, block = "bottleneck", depths = { 3, 4, 6, 3 }, reduction = 16, layer0 = true, stride_first = true,
  },
  se_resnext50_32x4d = {
    build = resnet, block = "bottleneck", depths = { 3, 4, 6, 3 }, groups = 32, base_width = 4, reduction = 16,
    layer0 = true,
  },
  se_resnext101_32x4d = {
    build = resnet, block = "bottleneck", depths = { 3, 4, 23, 3 }, groups = 32, base_width = 4, reduction = 16,
    layer0 = true,
  },
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
