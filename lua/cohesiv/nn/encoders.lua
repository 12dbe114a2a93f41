--- Encoders as tables of stages. An entry says what is special; the builders below know the three families. Every
-- encoder returns its features at strides 2, 4, 8, 16, 32; names and numerics match the public checkpoints
-- (torchvision's for resnet* and mobilenet_v2, Cadene's for se_resnext50_32x4d).
local Module = require "cohesiv.nn.module"
local layers = require "cohesiv.nn.layers"
local core = require "cohesiv.core"

local ops = core.ops
local M = {}

-- ---- ResNets (He et al., CVPR 2016), ResNeXt (Xie et al., CVPR 2017), squeeze and excitation (Hu et al., 2018) ----

-- Squeeze and excitation, the addition of the shortcut and the ReLU: relu(x · sigmoid(fc2(relu(fc1(mean x)))) + y).
local function squeeze_excite(channels, reduction)
  local m = Module.new()
  local fc1 = m:add("fc1", layers.Conv2d { channels, channels // reduction, 1 })
  local fc2 = m:add("fc2", layers.Conv2d { channels // reduction, channels, 1 })
  m.forward = function(_, x, shortcut)
    local gate = fc2(fc1(ops.global_pool.call(x)):relu()):sigmoid()
    return ops.se_gate.call(x, gate, shortcut)
  end
  return m
end

-- One residual block: `basic` (two 3×3) or bottleneck (1×1, 3×3 with groups and stride, 1×1).
local function residual_block(e, cin, planes, stride)
  local m = Module.new()
  local expansion = e.block == "basic" and 1 or 4
  local out, chain = planes * expansion, {}
  local function conv_bn(i, a, b, k, s, groups, act)
    local conv = m:add("conv" .. i,
      layers.Conv2d { a, b, k, stride = s, padding = k // 2, groups = groups, bias = false })
    local bn = m:add("bn" .. i, layers.BatchNorm2d(b, { act = act }))
    chain[i] = function(x, residual) return layers.conv_bn(conv, bn, x, residual) end
  end
  local se
  if e.block == "basic" then
    conv_bn(1, cin, planes, 3, stride, 1, "relu")
    conv_bn(2, planes, planes, 3, 1, 1, "relu")
  else
    local groups = e.groups or 1
    local width = math.floor(planes * (e.base_width or 64) / 64) * groups
    conv_bn(1, cin, width, 1, 1, 1, "relu")
    conv_bn(2, width, width, 3, stride, groups, "relu")
    conv_bn(3, width, out, 1, 1, 1, e.reduction and "none" or "relu")
    if e.reduction then se = m:add("se_module", squeeze_excite(out, e.reduction)) end
  end
  local downsample
  if stride ~= 1 or cin ~= out then
    downsample = m:add("downsample", layers.ConvBN { cin, out, 1, stride = stride })
  end
  m.forward = function(_, x)
    local shortcut = downsample and downsample(x) or x
    for i = 1, #chain - 1 do x = chain[i](x) end
    if se then return se(chain[#chain](x), shortcut) end
    return chain[#chain](x, shortcut)
  end
  return m, out
end

local function resnet(e)
  local m = Module.new()
  -- Cadene's networks hold the stem in layer0 and pool without padding, rounding sizes up
  local stem_owner = e.layer0 and m:add("layer0", Module.new()) or m
  local conv = stem_owner:add("conv1", layers.Conv2d { 3, 64, 7, stride = 2, padding = 3, bias = false })
  local bn = stem_owner:add("bn1", layers.BatchNorm2d(64, { act = "relu" }))
  local stages, cin, widths = {}, 64, { 64 }
  for i, depth in ipairs(e.depths) do
    local stage = m:add("layer" .. i, Module.new())
    local blocks = {}
    for b = 1, depth do
      local block
      block, cin = residual_block(e, cin, 64 << (i - 1), (b == 1 and i > 1) and 2 or 1)
      blocks[b] = stage:add(b - 1, block)
    end
    stages[i], widths[i + 1] = blocks, cin
  end
  m.widths = widths
  m.forward = function(_, x)
    x = layers.conv_bn(conv, bn, x)
    local features = { x }
    x = ops.max_pool2d.call(x, 3, 2, e.layer0 and 0 or 1, e.layer0 or false)
    for i, blocks in ipairs(stages) do
      for _, block in ipairs(blocks) do x = block(x) end
      features[i + 1] = x
    end
    return features
  end
  return m
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
  local bn = body:add(n + 2, layers.BatchNorm2d(out))
  local shortcut = stride == 1 and cin == out
  m.forward = function(_, x)
    local y = x
    for _, layer in ipairs(chain) do y = layer(y) end
    return layers.conv_bn(conv, bn, y, shortcut and x or nil)
  end
  return m
end

local function mobilenet(e)
  local m = Module.new()
  local features = m:add("features", Module.new())
  local list = { features:add(0, layers.ConvBN { 3, 32, 3, stride = 2, padding = 1, act = "relu6" }) }
  local cin, taps, widths = 32, {}, {}
  for _, stage in ipairs(e.stages) do
    for i = 1, stage.repeats do
      local stride = i == 1 and stage.stride or 1
      if stride == 2 then -- what lies before a halving is a feature
        taps[#list], widths[#widths + 1] = true, cin
      end
      list[#list + 1] = features:add(#list, inverted_residual(cin, stage.width, stride, stage.expand))
      cin = stage.width
    end
  end
  list[#list + 1] = features:add(#list, layers.ConvBN { cin, 1280, 1, act = "relu6" })
  taps[#list], widths[#widths + 1] = true, 1280
  m.widths = widths
  m.forward = function(_, x)
    local out = {}
    for i, layer in ipairs(list) do
      x = layer(x)
      if taps[i] then out[#out + 1] = x end
    end
    return out
  end
  return m
end

M.table = {
  resnet18 = { build = resnet, block = "basic", depths = { 2, 2, 2, 2 } },
  resnet34 = { build = resnet, block = "basic", depths = { 3, 4, 6, 3 } },
  resnet50 = { build = resnet, block = "bottleneck", depths = { 3, 4, 6, 3 } },
  resnet101 = { build = resnet, block = "bottleneck", depths = { 3, 4, 23, 3 } },
  se_resnext50_32x4d = {
    build = resnet, block = "bottleneck", depths = { 3, 4, 6, 3 }, groups = 32, base_width = 4, reduction = 16,
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
}

--- The sorted list of encoder names.
function M.names()
  local list = {}
  for name in pairs(M.table) do list[#list + 1] = name end
  table.sort(list)
  return list
end

--- encoder(name): the module; module.widths are its channels at strides 2, 4, 8, 16, 32.
function M.encoder(name)
  local e = M.table[name]
  if not e then
    error(("encoder: expected one of %s, found %s"):format(table.concat(M.names(), ", "), tostring(name)), 0)
  end
  return e.build(e)
end

return M
