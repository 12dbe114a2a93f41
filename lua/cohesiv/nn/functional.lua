--- Layers without parameters: activations, pooling, resampling, dropout. Each is a function that returns a Module, for
-- Sequential; inside a forward function the ops do the same. Images are N×H×W×C.
local Module = require "cohesiv.nn.module"
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local tensor = require "cohesiv.tensor"
local error = core.error -- a line, whatever it quotes

local M = {}
local ops = core.ops
local whole = options.whole

local function pointwise(kind, op)
  local call = ops[op].call
  return Module.new(function(_, x) return call(x) end, kind)
end

-- ---- activations ----

--- ReLU(): max(x, 0).
function M.ReLU() return pointwise("ReLU", "relu") end

--- ReLU6(): min(max(x, 0), 6).
function M.ReLU6() return pointwise("ReLU6", "relu6") end

--- SiLU(): x / (1 + exp(-x)).
function M.SiLU() return pointwise("SiLU", "silu") end

--- Sigmoid(): 1 / (1 + exp(-x)).
function M.Sigmoid() return pointwise("Sigmoid", "sigmoid") end

--- Tanh(): hyperbolic tangent.
function M.Tanh() return pointwise("Tanh", "tanh") end

--- LeakyReLU(slope = 0.01): x above 0, slope x below.
function M.LeakyReLU(slope)
  slope = options.within("LeakyReLU", "slope", slope or 0.01, 0, 1)
  return Module.new(function(_, x) return ops.maximum.call(x, x * slope) end, "LeakyReLU")
end

--- Softmax(): exp(x) / Σ exp(x) over the last dimension.
function M.Softmax() return pointwise("Softmax", "softmax") end

--- LogSoftmax(): the logarithm of Softmax.
function M.LogSoftmax() return pointwise("LogSoftmax", "log_softmax") end

-- ---- pooling and resampling ----

--- MaxPool2d{ kernel, stride = kernel, padding = 0, ceil = false }: the largest number of each window. ceil: a last
-- window may hang over the border.
function M.MaxPool2d(o)
  if type(o) ~= "table" then o = { o } end
  local k = whole("MaxPool2d", "kernel", o[1])
  o = options.read("MaxPool2d", o, { stride = k, padding = 0, ceil = false })
  local stride, padding = whole("MaxPool2d", "stride", o.stride), whole("MaxPool2d", "padding", o.padding, 0)
  return Module.new(function(_, x) return ops.max_pool2d.call(x, k, stride, padding, o.ceil) end, "MaxPool2d")
end

--- AvgPool2d{ kernel, stride = kernel, padding = 0 }: the mean of each window, zeros of the padding counted in.
function M.AvgPool2d(o)
  if type(o) ~= "table" then o = { o } end
  local k = whole("AvgPool2d", "kernel", o[1])
  o = options.read("AvgPool2d", o, { stride = k, padding = 0 })
  local stride, padding = whole("AvgPool2d", "stride", o.stride), whole("AvgPool2d", "padding", o.padding, 0)
  return Module.new(function(_, x) -- a depthwise convolution with equal weights
    local channels = x.shape[4]
    if not channels then error(("AvgPool2d: expected N×H×W×C, found %d dimensions"):format(#x.shape), 0) end
    local weight = core.full(1 / (k * k), channels, k, k, 1, { dtype = x.dtype })
    return ops.conv2d.call(x, weight, stride, padding, channels)
  end, "AvgPool2d")
end

--- GlobalAvgPool(): the mean over all pixels: N×H×W×C → N×C.
function M.GlobalAvgPool()
  return Module.new(function(_, x)
    local y = ops.global_pool.call(x)
    return y:reshape(y.shape[1], y.shape[4])
  end, "GlobalAvgPool")
end

--- Upsample(factor = 2): every pixel repeated factor × factor times; factor a power of 2.
function M.Upsample(factor)
  factor = whole("Upsample", "factor", factor or 2)
  local doublings = 0
  while 2 ^ doublings < factor do doublings = doublings + 1 end
  if 2 ^ doublings ~= factor then
    error(("Upsample: factor: expected a power of 2, found %d"):format(factor), 0)
  end
  return Module.new(function(_, x)
    for _ = 1, doublings do x = ops.upsample2.call(x) end
    return x
  end, "Upsample")
end

--- Flatten(): N×… → N×C, in the order in which the numbers lie (of images: rows, columns, channels).
function M.Flatten()
  return Module.new(function(_, x) return x:reshape(x.shape[1], -1) end, "Flatten")
end

--- Identity(): its input.
function M.Identity() return Module.new(function(_, x) return x end, "Identity") end

--- Dropout(p = 0.5): in training each number becomes 0 with probability p, the others are divided by 1 - p (Srivastava
-- et al., JMLR 2014); in eval mode nothing changes. Random numbers follow co.seed.
function M.Dropout(p)
  p = options.within("Dropout", "p", p or 0.5, 0, 1)
  return Module.new(function(self, x)
    if not self.training or p == 0 then return x end
    local kept = ops.ge.call(tensor.rand(x.shape, { dtype = x.dtype }), p)
    return x * kept * (p < 1 and 1 / (1 - p) or 0)
  end, "Dropout")
end

return M
