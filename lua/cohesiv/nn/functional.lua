--- Layers without parameters: activations, pooling, resampling, dropout. Each is a function that returns a Module, for
-- Sequential; inside a forward function the ops do the same. Images are N×H×W×C. How layers are called: layer.lua.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local tensor = require "cohesiv.tensor"
local layer = require "cohesiv.nn.layer"

local ops, axes = core.ops, layer.axes
local integer, between = options.integer, options.between

-- A module of this kind that calls f(x).
local function plain(kind, given, f)
  local m = layer.new(kind, {}, given)
  m.forward = function(_, x) return f(x) end
  return m
end

-- What needs nothing but its input.
local M = {
  --- GlobalAvgPool{}: the mean over all pixels: N×H×W×C → N×C.
  GlobalAvgPool = function(given)
    return plain("GlobalAvgPool", given, function(x)
      local y = ops.global_pool.call(x)
      return y:reshape(y.shape[1], y.shape[4])
    end)
  end,
  --- Flatten{}: N×… → N×C, in the order in which the numbers lie (of images: rows, columns, channels).
  Flatten = function(given) return plain("Flatten", given, function(x) return x:reshape(x.shape[1], -1) end) end,
  --- Identity{}: its input.
  Identity = function(given) return plain("Identity", given, function(x) return x end) end,
}

for kind, op in pairs { ReLU = "relu", ReLU6 = "relu6", SiLU = "silu", Sigmoid = "sigmoid", Tanh = "tanh",
  Softmax = "softmax", LogSoftmax = "log_softmax" } do
  --- ReLU{}, ReLU6{}, SiLU{}, Sigmoid{}, Tanh{}, Softmax{}, LogSoftmax{}: the op of that name as a layer.
  M[kind] = function(given) return plain(kind, given, ops[op].call) end
end

--- LeakyReLU{ slope = 0.01 }: x above 0, slope x below.
function M.LeakyReLU(given)
  local m, o = layer.new("LeakyReLU", { between(0.01, 0, 1, "slope") }, given)
  m.forward = function(_, x) return ops.maximum.call(x, x * o[1]) end
  return m
end

--- MaxPool2d{ kernel, stride = kernel, padding = 0, ceil = false }: the windows' maxima; ceil: the last may stick out.
function M.MaxPool2d(given, named)
  local m, o = layer.new("MaxPool2d", { integer(nil, 1, nil, "kernel"), stride = options.optional(integer()),
    padding = integer(0, 0), ceil = false }, given, named)
  m.forward = function(_, x) return ops.max_pool2d.call(x, o[1], o.stride or o[1], o.padding, o.ceil) end
  return m
end

--- AvgPool2d{ kernel, stride = kernel, padding = 0, count_include_pad = true }: the mean of each window; zeros of the
-- padding count as numbers or not. kernel, stride and padding may differ for height and width, as Conv2d's.
function M.AvgPool2d(given, named)
  local m, o = layer.new("AvgPool2d", { axes(nil, 1, "kernel"), stride = options.optional(axes()), padding = axes(0, 0),
    count_include_pad = true }, given, named)
  m.forward = function(_, x)
    if #x.shape ~= 4 then core.refuse("AvgPool2d: expected N×H×W×C, found %d dimensions", #x.shape) end
    return ops.avg_pool2d.call(x, o[1], o.stride or o[1], o.padding, o.count_include_pad)
  end
  return m
end

--- Unfold{ kernel, stride = 1, padding = 0, dilation = 1 }: every window of an image as a row: N×H×W×C →
-- N×windows×(kernel kernel C), the numbers of a pixel side by side. All may differ for height and width, as Conv2d's.
function M.Unfold(given, named)
  local m, o = layer.new("Unfold", { axes(nil, 1, "kernel"), stride = axes(1), padding = axes(0, 0),
    dilation = axes(1) }, given, named)
  m.forward = function(_, x) return ops.unfold.call(x, o[1], o.stride, o.padding, o.dilation) end
  return m
end

--- Upsample{ factor = 2 }: every pixel repeated factor × factor times; factor a power of 2.
function M.Upsample(given)
  local m, o = layer.new("Upsample", { integer(2, 1, nil, "factor") }, given)
  local factor = o[1]
  if factor & (factor - 1) ~= 0 then core.refuse("Upsample: factor: expected a power of 2, found %d", factor) end
  m.forward = function(_, x)
    local times = factor
    while times > 1 do
      x, times = ops.upsample2.call(x), times // 2
    end
    return x
  end
  return m
end

--- Dropout{ p = 0.5 }: in training each number becomes 0 with probability p, the others are divided by 1 - p
-- (Srivastava et al., JMLR 2014); in eval mode nothing changes. Random numbers follow co.seed.
function M.Dropout(given)
  local m, o = layer.new("Dropout", { between(0.5, 0, 1, "p") }, given)
  local p = o[1]
  m.forward = function(self, x)
    if not self.training or p == 0 then return x end
    local kept = ops.ge.call(tensor.rand(x.shape, { dtype = x.dtype }), p)
    return x * kept * (p < 1 and 1 / (1 - p) or 0)
  end
  return m
end

return M
