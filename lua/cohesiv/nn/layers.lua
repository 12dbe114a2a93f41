--- The layers that networks here are made of. Each is a function that returns a Module; images are channels-last.
local Module = require "cohesiv.nn.module"
local folding = require "cohesiv.nn.folding"
local tensor = require "cohesiv.tensor"
local core = require "cohesiv.core"

local M = {}
local ops = core.ops
local ACT = { none = 0, relu = 1, relu6 = 2 }

--- Uniform numbers in ±sqrt(6 / ((1 + a²) fan_in)) (He et al., ICCV 2015), the usual start of convolutions: a² = 5.
function M.kaiming_uniform(shape, fan_in, a2)
  local bound = math.sqrt(6 / ((1 + (a2 or 5)) * fan_in))
  return (tensor.rand(shape) * 2 - 1) * bound
end

--- Conv2d{ in_channels, out_channels, kernel, stride = 1, padding = 0, groups = 1, bias = true }: N×H×W×I → N×H'×W'×O.
function M.Conv2d(o)
  local cin, cout, k = o[1], o[2], o[3] or 1
  local m = Module.new()
  local stride, padding, groups = o.stride or 1, o.padding or 0, o.groups or 1
  local fan_in = cin // groups * k * k
  m:parameter("weight", M.kaiming_uniform({ cout, k, k, cin // groups }, fan_in))
  if o.bias ~= false then m:parameter("bias", (tensor.rand(cout) * 2 - 1) * (1 / math.sqrt(fan_in))) end
  m.stride, m.padding, m.groups = stride, padding, groups
  m.forward = function(self, x)
    return ops.conv2d.call(x, self.params.weight, self.params.bias, stride, padding, groups)
  end
  m.flops = function(_, _, y)
    local n, h, w = table.unpack(y.shape)
    return 2 * n * h * w * cout * fan_in
  end
  return m
end

--- BatchNorm2d(channels, { act = "none" | "relu" | "relu6", eps = 1e-5, momentum = 0.1 }): over N, H and W. Called as
-- bn(x, residual?): act(normalised x + residual), one op.
function M.BatchNorm2d(channels, o)
  o = o or {}
  local m = Module.new()
  m:parameter("weight", tensor.ones(channels))
  m:parameter("bias", tensor.zeros(channels))
  m:buffer("running_mean", tensor.zeros(channels))
  m:buffer("running_var", tensor.ones(channels))
  m.eps, m.momentum, m.act = o.eps or 1e-5, o.momentum or 0.1, ACT[o.act or "none"]
  m.forward = function(self, x, residual)
    return ops.batch_norm.call(x, self.params.weight, self.params.bias, self.buffers.running_mean,
      self.buffers.running_var, residual, self.training, self.momentum, self.eps, self.act)
  end
  return m
end

--- conv_bn(conv, bn, x, residual?): bn(conv(x), residual). In inference without gradients it is one op: the
-- convolution's epilogue normalises, adds and rectifies while the result is in registers.
function M.conv_bn(conv, bn, x, residual)
  if bn.training or core.grad_enabled() then return bn(conv(x), residual) end
  local weight, scale, shift = folding.of(conv, bn)
  return ops.conv2d_act.call(x, weight, scale, shift, residual, conv.stride, conv.padding, conv.groups, bn.act)
end

--- ConvBN(o): Conv2d without bias and BatchNorm2d as one module with children named by o.names (default "0", "1").
function M.ConvBN(o)
  local m = Module.new()
  local names = o.names or { "0", "1" }
  local conv = m:add(names[1], M.Conv2d { o[1], o[2], o[3], stride = o.stride, padding = o.padding, groups = o.groups,
    bias = false })
  local bn = m:add(names[2], M.BatchNorm2d(o[2], { act = o.act }))
  m.forward = function(_, x, residual) return M.conv_bn(conv, bn, x, residual) end
  return m
end

--- UpConvBN{ map_channels, skip_channels, out_channels, act = "none" }: called as m(x, skip?): ×2 nearest up-sampling of
-- x, skip's channels behind it, a 3×3 convolution without bias, batch norm. Children "0", "1", as ConvBN's.
function M.UpConvBN(o)
  local m = Module.new()
  local conv = m:add("0", M.Conv2d { o[1] + o[2], o[3], 3, padding = 1, bias = false })
  local bn = m:add("1", M.BatchNorm2d(o[3], { act = o.act }))
  m.forward = function(_, x, skip)
    if bn.training or core.grad_enabled() then return bn(ops.upconv2d.call(x, conv.params.weight, skip)) end
    local weight, scale, shift = folding.of(conv, bn)
    return ops.upconv2d_act.call(x, weight, skip, scale, shift, bn.act)
  end
  m.flops = function(_, _, y) return conv:flops(nil, y) end
  return m
end

--- ReLU(): as a module, for Sequential.
function M.ReLU() return Module.new(function(_, x) return x:relu() end) end

--- Linear{ in, out, bias = true }: …×in → …×out.
function M.Linear(o)
  local m = Module.new()
  m:parameter("weight", M.kaiming_uniform({ o[2], o[1] }, o[1]))
  if o.bias ~= false then m:parameter("bias", (tensor.rand(o[2]) * 2 - 1) * (1 / math.sqrt(o[1]))) end
  m.forward = function(self, x)
    local y = ops.matmul.call(x, self.params.weight:transpose(1, 2))
    return self.params.bias and y + self.params.bias or y
  end
  m.flops = function(_, _, y)
    local outputs = 1
    for _, s in ipairs(y.shape) do outputs = outputs * s end
    return 2 * outputs * o[1]
  end
  return m
end

--- Sequential{ a, b, ... }: children named "0", "1", …, called in turn.
function M.Sequential(list)
  local m = Module.new()
  for i, child in ipairs(list) do m:add(i - 1, child) end
  m.forward = function(_, x)
    for _, child in ipairs(list) do x = child(x) end
    return x
  end
  return m
end

return M
