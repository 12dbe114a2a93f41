--- The layers that hold parameters, and Sequential. Each is a function that returns a Module; images are channels-last.
-- Layers without parameters are in functional.lua, how layers are called in layer.lua.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local tensor = require "cohesiv.tensor"
local init, layer, Module = require "cohesiv.nn.initializers", require "cohesiv.nn.layer", require "cohesiv.nn.module"
local fold = require("cohesiv.nn.freeze").fold
local M = {}
local ops, axes = core.ops, layer.axes
local integer, optional = options.integer, options.optional
local act = options.one_of("none", "relu", "relu6", "silu")

local function count(name, least) return integer(nil, least or 1, nil, name) end

local function tensor_of(what, x, last)
  if not core.is_tensor(x) then core.refuse("%s: expected a tensor, found %s", what, type(x)) end
  local shape = x.shape
  if shape[#shape] ~= last then
    core.refuse("%s: expected %d numbers in the last dimension, found %s", what, last,
      #shape == 0 and "a scalar" or table.concat(shape, "x"))
  end
  return x
end

-- The parameters of a layer: a weight, which o.init(weight) may start in another way, and perhaps a bias.
local function weigh(m, o, shape, fan_in, out)
  m:parameter("weight", init.fan_uniform(tensor.zeros(shape), fan_in))
  if o.bias then m:parameter("bias", init.fan_uniform(tensor.zeros(out), fan_in)) end
  if o.init then o.init(m.params.weight) end
end

--- Conv2d{ in, out, kernel = 1, stride = 1, padding = 0, dilation = 1, groups = 1, bias = true, init = co.nn.init.… }:
-- N×H×W×in → N×H'×W'×out. kernel, stride and dilation: n or { height, width }. padding: zeros on each side, { height,
-- width }, { top, bottom, left, right }, or "same": H' = ⌈H / stride⌉, an odd zero below or on the right, as in
-- TensorFlow. Weights {out, kernel, kernel, in / groups} start uniform in ± 1 / √fan_in, biases too.
function M.Conv2d(given)
  local m, o = layer.new("Conv2d", { count "in channels", count "out channels", axes(1, 1, "kernel"), stride = axes(1),
    padding = axes(0, 0), dilation = axes(1), groups = integer(1), bias = true, init = optional "function" }, given)
  local cin, cout, groups, kernel = o[1], o[2], o.groups, o[3]
  if cin % groups ~= 0 or cout % groups ~= 0 then
    core.refuse("Conv2d: groups: expected a divisor of the channels %d and %d, found %d", cin, cout, groups)
  end
  if type(kernel) ~= "table" then kernel = { kernel, kernel } end
  weigh(m, o, { cout, kernel[1], kernel[2], cin // groups }, cin // groups * kernel[1] * kernel[2], cout)
  m.stride, m.padding, m.dilation, m.groups = o.stride, o.padding, o.dilation, groups
  -- statistics: whether batch norm of the result will follow, which conv_bn knows
  m.forward = function(self, x, statistics)
    return ops.conv2d.call(x, self.params.weight, self.params.bias, m.stride, m.padding, groups, m.dilation,
      statistics == true)
  end
  return m
end

-- A weight of ones and a bias of zeros, as norms start.
local function scale_and_shift(m, channels)
  m:parameter("weight", tensor.ones(channels))
  m:parameter("bias", tensor.zeros(channels))
end

--- BatchNorm2d{ channels, act = "none" | "relu" | "relu6" | "silu", eps = 1e-5, momentum = 0.1 }: over all but
-- the last dimension. Called as bn(x, residual?): act(normalised x + residual), one op.
function M.BatchNorm2d(given, named)
  local m, o = layer.new("BatchNorm2d", { count "channels", eps = 1e-5, momentum = 0.1, act = act }, given, named)
  scale_and_shift(m, o[1])
  m:buffer("running_mean", tensor.zeros(o[1]))
  m:buffer("running_var", tensor.ones(o[1]))
  m.eps, m.momentum, m.act = o.eps, o.momentum, o.act
  m.forward = function(self, x, residual)
    return ops.batch_norm.call(x, self.params.weight, self.params.bias, self.buffers.running_mean,
      self.buffers.running_var, residual, self.training, self.momentum, self.eps, self.act)
  end
  return m
end

local function module_of(what, name, m)
  if not Module.is_module(m) then core.refuse("%s: %s: expected a module, found %s", what, name, options.text(m)) end
end

local function is_hooked(m)
  if m.hooks then return true end
  for _, child in pairs(m.children) do
    if is_hooked(child) then return true end
  end
  return false
end

--- let_go(x, ...): closes x, which a module's own pass has made for its next step alone: the tape keeps what backward
-- reads. It stays if one of these modules, which have seen it, or a child has hooks: they may have kept it.
function M.let_go(x, ...)
  options.expect("let_go", "x tensor", x)
  for i, m in ipairs { ... } do
    module_of("let_go", i, m)
    if is_hooked(m) then return end
  end
  x:close()
end

-- Whether a convolution's epilogue may do what bn does: in inference without gradients, and not for SiLU.
local function foldable(bn) return not (bn.training or core.grad_enabled() or bn.hooks or bn.act == "silu") end

--- conv_bn(conv, bn, x, residual?): bn(conv(x), residual). In inference without gradients it is one op: the
-- convolution's epilogue normalises, adds and rectifies while the result is in registers (unless one has hooks).
function M.conv_bn(conv, bn, x, residual)
  module_of("conv_bn", "conv", conv)
  module_of("conv_bn", "bn", bn)
  if conv.hooks or not foldable(bn) then
    local y = conv.hooks and conv(x) or conv(x, bn.training)
    local z = bn(y, residual)
    M.let_go(y, conv, bn)
    return z
  end
  local weight, scale, shift = fold(conv, bn)
  return ops.conv2d_act.call(x, weight, scale, shift, residual, conv.stride, conv.padding, conv.groups, bn.act,
    conv.dilation)
end

--- ConvBN{ in, out, kernel, stride = 1, padding = 0, dilation = 1, groups = 1, act = "none", names = { "0", "1" } }:
-- Conv2d without bias and BatchNorm2d (with its eps, momentum), also m.conv and m.bn, as one; called as conv_bn is.
function M.ConvBN(o)
  options.expect("ConvBN", "options table", o)
  options.expect("ConvBN", "names list?, act string?", o.names, o.act)
  local m, names = Module.new(nil, "ConvBN"), o.names or { "0", "1" }
  m.conv = m:add(names[1], M.Conv2d { o[1], o[2], o[3], stride = o.stride, padding = o.padding, groups = o.groups,
    dilation = o.dilation, bias = false })
  m.bn = m:add(names[2], M.BatchNorm2d { o[2], act = o.act, eps = o.eps, momentum = o.momentum })
  m.forward = function(_, x, residual) return M.conv_bn(m.conv, m.bn, x, residual) end
  return m
end

--- UpConvBN{ map_channels, skip_channels, out_channels, act = "none" }: called as m(x, skip?): ×2 nearest up-sampling
-- of x, skip's channels behind it, a 3×3 convolution without bias, batch norm. Children "0", "1", as ConvBN's.
function M.UpConvBN(given)
  local _, o = layer.new("UpConvBN", { count "map channels", count("skip channels", 0), count "out channels",
    act = optional "string" }, given)
  local m = M.ConvBN { o[1] + o[2], o[3], 3, padding = 1, act = o.act }
  local conv, bn = m.conv, m.bn
  m.kind = "UpConvBN"
  m.forward = function(_, x, skip)
    if conv.hooks then return bn(conv(ops.upsample2_cat.call(x, skip))) end
    if not foldable(bn) then
      local y = ops.upconv2d.call(x, conv.params.weight, skip)
      local z = bn(y)
      M.let_go(y, bn)
      return z
    end
    local weight, scale, shift = fold(conv, bn)
    return ops.upconv2d_act.call(x, weight, skip, scale, shift, bn.act)
  end
  return m
end

--- Linear{ in, out, bias = true, init = co.nn.init.… }: …×in → …×out. Weights {out, in}, bias: uniform in ± 1 / √in.
function M.Linear(given)
  local m, o = layer.new("Linear", { count "in", count "out", bias = true, init = optional "function" }, given)
  local input, output = o[1], o[2]
  weigh(m, o, { output, input }, input, output)
  m.forward = function(self, x)
    local one = #tensor_of("Linear", x, input).shape == 1
    local y = ops.matmul.call(one and x:reshape(1, input) or x, self.params.weight, false, true)
    if self.params.bias then y = y + self.params.bias end
    return one and y:reshape { output } or y
  end
  return m
end

--- LayerNorm{ channels, eps = 1e-5 }: the last dimension's rows, normalised, times weight, plus bias (Ba et al., 2016).
function M.LayerNorm(given, named)
  local m, o = layer.new("LayerNorm", { count "channels", eps = 1e-5 }, given, named)
  scale_and_shift(m, o[1])
  m.forward = function(self, x)
    local centred = tensor_of("LayerNorm", x, o[1]) - x:mean(-1, true)
    local deviation = (centred:square():mean(-1, true) + o.eps):sqrt()
    return centred / deviation * self.params.weight + self.params.bias
  end
  return m
end

--- InstanceNorm2d{ channels, act = "none" | "relu" | "relu6" | "silu", eps = 1e-5, affine = false }: act of every
-- channel of every image with mean 0 and variance 1 over its pixels; affine: times weight, plus bias.
function M.InstanceNorm2d(given, named)
  local m, o = layer.new("InstanceNorm2d", { count "channels", eps = 1e-5, affine = false, act = act }, given, named)
  if o.affine then scale_and_shift(m, o[1]) end
  m.forward = function(self, x)
    tensor_of("InstanceNorm2d", x, o[1])
    return ops.instance_norm.call(x, self.params.weight, self.params.bias, o.eps, o.act)
  end
  return m
end

--- PReLU{ channels = 1, init = 0.25 }: x above 0, weight x below, one learnt or one per channel (He et al., ICCV 2015).
function M.PReLU(given, named)
  local m, o = layer.new("PReLU", { integer(1, 1, nil, "channels"), init = 0.25 }, given, named)
  m:parameter("weight", tensor.full(o.init, o[1]))
  m.forward = function(self, x) return ops.prelu.call(x, self.params.weight) end
  return m
end

--- Sequential{ a, b, ... }: modules, called in turn; seq[1] … seq[#seq]; named "0", "1", … as in public checkpoints.
function M.Sequential(list)
  if type(list) ~= "table" or Module.is_module(list) then
    core.refuse("Sequential: expected a list of modules, found %s", Module.is_module(list) and "a module" or type(list))
  end
  local m = Module.new(nil, "Sequential")
  for i, child in ipairs(list) do m[i] = m:add(i - 1, child) end
  m.forward = function(self, x)
    for _, child in ipairs(self) do x = child(x) end
    return x
  end
  return m
end

return M
