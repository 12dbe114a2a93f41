--- Layers without parameters: activations, pooling, resampling, dropout. Each is a function that returns a Module, for
-- Sequential; inside a forward function the ops do the same. Images are N×H×W×C. How layers are called: arguments.lua.
local Module = require "cohesiv.nn.module"
local arguments = require "cohesiv.nn.arguments"
local axes = require "cohesiv.nn.axes"
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local refuse = require "cohesiv.base.refuse"
local tensor = require "cohesiv.tensor"

local M = {}
local ops = core.ops
local integer, between = options.integer, options.between

-- ---- activations, and what else needs nothing ----

-- A module of this kind that calls f(x); o: what the layer was called with.
local function plain(kind, o, f)
  arguments(kind, {}, o or {})
  return Module.new(function(_, x) return f(x) end, kind)
end

--- ReLU{}: max(x, 0).
function M.ReLU(o) return plain("ReLU", o, ops.relu.call) end

--- ReLU6{}: min(max(x, 0), 6).
function M.ReLU6(o) return plain("ReLU6", o, ops.relu6.call) end

--- SiLU{}: x / (1 + exp(-x)).
function M.SiLU(o) return plain("SiLU", o, ops.silu.call) end

--- Sigmoid{}: 1 / (1 + exp(-x)).
function M.Sigmoid(o) return plain("Sigmoid", o, ops.sigmoid.call) end

--- Tanh{}: hyperbolic tangent.
function M.Tanh(o) return plain("Tanh", o, ops.tanh.call) end

--- Softmax{}: exp(x) / Σ exp(x) over the last dimension.
function M.Softmax(o) return plain("Softmax", o, ops.softmax.call) end

--- LogSoftmax{}: the logarithm of Softmax.
function M.LogSoftmax(o) return plain("LogSoftmax", o, ops.log_softmax.call) end

--- GlobalAvgPool{}: the mean over all pixels: N×H×W×C → N×C.
function M.GlobalAvgPool(o)
  return plain("GlobalAvgPool", o, function(x)
    local y = ops.global_pool.call(x)
    return y:reshape(y.shape[1], y.shape[4])
  end)
end

--- Flatten{}: N×… → N×C, in the order in which the numbers lie (of images: rows, columns, channels).
function M.Flatten(o) return plain("Flatten", o, function(x) return x:reshape(x.shape[1], -1) end) end

--- Identity{}: its input.
function M.Identity(o) return plain("Identity", o, function(x) return x end) end

--- LeakyReLU{ slope = 0.01 }: x above 0, slope x below.
function M.LeakyReLU(o)
  local slope = arguments("LeakyReLU", { between(0.01, 0, 1, "slope") }, o)[1]
  return Module.new(function(_, x) return ops.maximum.call(x, x * slope) end, "LeakyReLU")
end

-- ---- pooling and resampling ----

--- MaxPool2d{ kernel, stride = kernel, padding = 0, ceil = false }: the largest number of each window. ceil: a last
-- window may hang over the border.
function M.MaxPool2d(o, named)
  o = arguments("MaxPool2d", { integer(nil, 1, nil, "kernel"), stride = options.optional(integer()),
    padding = integer(0, 0), ceil = false }, o, named)
  return Module.new(function(_, x)
    return ops.max_pool2d.call(x, o[1], o.stride or o[1], o.padding, o.ceil)
  end, "MaxPool2d")
end

--- AvgPool2d{ kernel, stride = kernel, padding = 0, count_include_pad = true }: the mean of each window; zeros of the
-- padding count as numbers or not. kernel, stride and padding may differ for height and width, as Conv2d's.
function M.AvgPool2d(o, named)
  local given = type(o) == "table" and o or named
  o = arguments("AvgPool2d", { axes.rule(nil, 1, "kernel"), stride = options.optional(axes.rule()),
    padding = axes.padding(given), count_include_pad = true }, o, named)
  local kernel = axes.checked("AvgPool2d", "kernel", o[1])
  local stride = o.stride and axes.checked("AvgPool2d", "stride", o.stride) or kernel
  local padding = axes.checked("AvgPool2d", "padding", o.padding, 0)
  return Module.new(function(_, x)
    if #x.shape ~= 4 then refuse("AvgPool2d: expected N×H×W×C, found %d dimensions", #x.shape) end
    return ops.avg_pool2d.call(x, kernel, stride, padding, o.count_include_pad)
  end, "AvgPool2d")
end

--- Unfold{ kernel, stride = 1, padding = 0, dilation = 1 }: every window of an image as a row: N×H×W×C →
-- N×windows×(kernel kernel C), the numbers of a pixel side by side. All may differ for height and width, as Conv2d's.
function M.Unfold(o, named)
  local given = type(o) == "table" and o or named
  o = arguments("Unfold", { axes.rule(nil, 1, "kernel"), stride = axes.rule(1), padding = axes.padding(given),
    dilation = axes.rule(1) }, o, named)
  local list = { o[1], o.stride, o.padding, o.dilation }
  for i, name in ipairs { "kernel", "stride", "padding", "dilation" } do
    list[i] = axes.checked("Unfold", name, list[i], name == "padding" and 0 or 1)
  end
  return Module.new(function(_, x) return ops.unfold.call(x, table.unpack(list)) end, "Unfold")
end

--- Upsample{ factor = 2 }: every pixel repeated factor × factor times; factor a power of 2.
function M.Upsample(o)
  local factor, doublings = arguments("Upsample", { integer(2, 1, nil, "factor") }, o)[1], 0
  while 2 ^ doublings < factor do doublings = doublings + 1 end
  if 2 ^ doublings ~= factor then refuse("Upsample: factor: expected a power of 2, found %d", factor) end
  return Module.new(function(_, x)
    for _ = 1, doublings do x = ops.upsample2.call(x) end
    return x
  end, "Upsample")
end

--- Dropout{ p = 0.5 }: in training each number becomes 0 with probability p, the others are divided by 1 - p
-- (Srivastava et al., JMLR 2014); in eval mode nothing changes. Random numbers follow co.seed.
function M.Dropout(o)
  local p = arguments("Dropout", { between(0.5, 0, 1, "p") }, o)[1]
  return Module.new(function(self, x)
    if not self.training or p == 0 then return x end
    local kept = ops.ge.call(tensor.rand(x.shape, { dtype = x.dtype }), p)
    return x * kept * (p < 1 and 1 / (1 - p) or 0)
  end, "Dropout")
end

return M
