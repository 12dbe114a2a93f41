--- What TensorFlow Lite's operators compute, in ops of ours: a row for each, name → function(o) → f(x, …). It
-- is called
-- once, when a network is built, and f whenever it runs, with the inputs that are no constants, in their order.
--   o:option(name)      a number            o:shape(i)     of input i in the file      o:result()  of the output
--   o:numbers(i)        the constant input i, a flat list
--   o:weight(i, turn)   → a function that gives the constant input i, a parameter of the network, turned once
--   o:refuse(format, …) one line that names file and operator
-- Images are N×H×W×C in both; of convolutions only the kernels lie in another order (depthwise ones).
local core = require "cohesiv.core"
local tensor = require "cohesiv.tensor"

local ops = core.ops
local M = {}

-- ---- activations that other operators end with ----
local function clamp1(x) return ops.clamp.call(x, -1, 1) end

local ACTIVATIONS = { [1] = ops.relu.call, [2] = clamp1, [3] = ops.relu6.call, [4] = ops.tanh.call }
local IN_CONVOLUTIONS = { [0] = "none", [1] = "relu", [3] = "relu6" }

local function activation(o)
  local act = math.tointeger(o:option "act")
  if act == 0 then return function(x) return x end end
  return ACTIVATIONS[act] or o:refuse("expected no activation, RELU, RELU_N1_TO_1, RELU6 or TANH, found number %d", act)
end

-- ---- convolutions ----
local function padding_of(o) return o:option "padding" == 0 and "same" or { 0, 0 } end

-- f(x, residual?): act(convolution + bias + residual); in inference without gradients one op.
local function convolution(o, weight, groups)
  local bias = o:constant(3) and o:weight(3)
  local stride = { o:option "stride_h", o:option "stride_w" }
  local dilation, padding = { o:option "dilation_h", o:option "dilation_w" }, padding_of(o)
  for _, list in ipairs { stride, dilation } do
    for i = 1, 2 do
      list[i] = math.tointeger(list[i])
      if list[i] < 1 then o:refuse("expected strides and dilations of 1 or more, found %d", list[i]) end
    end
  end
  local act, ending = IN_CONVOLUTIONS[o:option "act"], activation(o)
  return function(x, residual)
    local shift = bias and bias()
    if act and not core.grad_enabled() then
      return ops.conv2d_act.call(x, weight(), nil, shift, residual, stride, padding, groups, act, dilation)
    end
    local y = ops.conv2d.call(x, weight(), shift, stride, padding, groups, dilation)
    return ending(residual and y + residual or y)
  end
end

M.CONV_2D = function(o) -- O×kH×kW×I, as ours
  local channels, each = o:shape(1)[4], o:shape(2)[4]
  if not each or each == 0 or channels % each ~= 0 then
    o:refuse("expected kernels for %s channels, found %s", channels, table.concat(o:shape(2), "x"))
  end
  return convolution(o, o:weight(2), channels // each)
end

M.DEPTHWISE_CONV_2D = function(o) -- 1×kH×kW×O
  if #o:shape(2) ~= 4 or #o:shape(1) ~= 4 then
    o:refuse("expected 1×kH×kW×O, found %s", table.concat(o:shape(2), "x"))
  end
  return convolution(o, o:weight(2, function(w) return w:permute { 4, 2, 3, 1 } end), o:shape(1)[4])
end

M.FULLY_CONNECTED = function(o)
  local act, weight, bias = activation(o), o:weight(2), o:constant(3) and o:weight(3)
  local inner, keep = o:shape(2)[2], o:option "keep_dims" ~= 0
  if #o:shape(2) ~= 2 or o:option "format" ~= 0 then o:refuse "expected a matrix out×in of numbers, found another" end
  return function(x)
    local shape = x.shape
    local y = ops.matmul.call(x:reshape(-1, inner), weight(), false, true)
    if bias then y = y + bias() end
    if keep then
      shape[#shape] = -1
      y = y:reshape(shape)
    end
    return act(y)
  end
end

-- ---- shapes ----
-- x with constant numbers around it: before and after, how many along each dimension.
local function surround(x, before, after, value)
  for d = 1, #before do
    local parts = {}
    local function add(n)
      local shape = x.shape
      shape[d] = n
      if n > 0 then parts[#parts + 1] = tensor.full(value, shape) end
    end
    add(before[d])
    parts[#parts + 1] = x
    add(after[d])
    if #parts > 1 then x = tensor.cat(parts, d) end
  end
  return x
end

M.PAD = function(o)
  local numbers, before, after = o:numbers(2), {}, {}
  for d = 1, #numbers // 2 do before[d], after[d] = numbers[2 * d - 1], numbers[2 * d] end
  if #before ~= #o:shape(1) then o:refuse("expected two numbers for each dimension, found %d", #numbers) end
  for _, n in ipairs(numbers) do
    if n < 0 then o:refuse("expected paddings of 0 or more, found %d", n) end
  end
  return function(x) return surround(x, before, after, 0) end
end

-- The shape that the file says; the first dimension follows from the rest where there are more images than one.
local function reshaping(o)
  local shape = o:result()
  return function(x)
    local target, size = {}, 1
    for d, n in ipairs(shape) do target[d], size = n, size * n end
    if size ~= x:numel() and target[1] then target[1] = -1 end
    return x:reshape(target)
  end
end

M.RESHAPE, M.SQUEEZE, M.EXPAND_DIMS = reshaping, reshaping, reshaping

M.TRANSPOSE = function(o)
  local dims = {}
  for i, d in ipairs(o:numbers(2)) do dims[i] = d + 1 end
  return function(x) return x:permute(dims) end
end

-- A dimension that counts from 0, negative from the end, of `rank`.
local function dimension(o, d, rank)
  d = math.tointeger(d < 0 and d + rank or d)
  if not d or d < 0 or d >= rank then o:refuse("expected a dimension of %d, found number %s", rank, d) end
  return d + 1
end

M.CONCATENATION = function(o)
  local dim, act, all = dimension(o, o:option "axis", #o:result()), activation(o), {}
  for i = 1, o.count do all[i] = o:constant(i) and o:weight(i) or false end
  return function(...)
    local given, parts, k = { ... }, {}, 0
    for i = 1, o.count do
      if not all[i] then k = k + 1 end
      parts[i] = all[i] and all[i]() or given[k]
    end
    return act(tensor.cat(parts, dim))
  end
end

M.STRIDED_SLICE = function(o)
  local begins, ends, steps, shape = o:numbers(2), o:numbers(3), o:numbers(4), o:shape(1)
  if o:option "ellipsis_mask" ~= 0 or o:option "new_axis_mask" ~= 0 then
    o:refuse "expected plain ranges, found an ellipsis or a new dimension"
  end
  local function masked(name, d) return math.tointeger(o:option(name)) >> (d - 1) & 1 == 1 end
  local ranges = {}
  for d, first in ipairs(begins) do
    local size = shape[d]
    if steps[d] ~= 1 or not size then o:refuse("expected steps of 1, found %s", steps[d]) end
    local last = ends[d]
    first = masked("begin_mask", d) and 0 or first < 0 and first + size or first
    last = masked("end_mask", d) and size or last < 0 and last + size or last
    if masked("shrink_axis_mask", d) then last = first + 1 end
    if first < 0 or last > size or last < first then o:refuse("expected ranges of %d, found %d to %d", size, first,
      last) end
    ranges[d] = { first + 1, last - first }
  end
  local shaped = reshaping(o)
  return function(x)
    for d, range in ipairs(ranges) do
      if range[1] ~= 1 or range[2] ~= shape[d] then x = x:narrow(d, range[1], range[2]) end
    end
    return shaped(x)
  end
end

M.DEPTH_TO_SPACE = function(o)
  local b = math.tointeger(o:option "block")
  if b < 1 then o:refuse("expected blocks of 1 or more, found %d", b) end
  return function(x)
    local n, h, w, c = table.unpack(x.shape)
    return x:reshape(n, h, w, b, b, c // (b * b)):permute({ 1, 2, 4, 3, 5, 6 }):reshape(n, h * b, w * b, c // (b * b))
  end
end

M.SPACE_TO_DEPTH = function(o)
  local b = math.tointeger(o:option "block")
  if b < 1 then o:refuse("expected blocks of 1 or more, found %d", b) end
  return function(x)
    local n, h, w, c = table.unpack(x.shape)
    return x:reshape(n, h // b, b, w // b, b, c):permute({ 1, 2, 4, 3, 5, 6 }):reshape(n, h // b, w // b, c * b * b)
  end
end

-- ---- windows and resampling ----
-- Zeros before and after a side so that windows cover it: TensorFlow's SAME has the odd one behind.
local function margins(size, kernel, stride, same)
  local missing = same and math.max(0, ((size + stride - 1) // stride - 1) * stride + kernel - size) or 0
  return missing // 2, missing - missing // 2
end

local function window(o)
  local kernel = { math.tointeger(o:option "kernel_h"), math.tointeger(o:option "kernel_w") }
  local stride = { math.tointeger(o:option "stride_h"), math.tointeger(o:option "stride_w") }
  for i = 1, 2 do
    if kernel[i] < 1 or stride[i] < 1 then o:refuse("expected windows and strides of 1 or more, found another") end
  end
  return kernel, stride, o:option "padding" == 0
end

M.MAX_POOL_2D = function(o)
  local kernel, stride, same = window(o)
  local act, square = activation(o), kernel[1] == kernel[2] and stride[1] == stride[2] and kernel[1] <= 15
  return function(x)
    local shape = x.shape
    local top, bottom = margins(shape[2], kernel[1], stride[1], same)
    local left, right = margins(shape[3], kernel[2], stride[2], same)
    x = surround(x, { 0, top, left, 0 }, { 0, bottom, right, 0 }, -3.4e38)
    if square then return act(ops.max_pool2d.call(x, kernel[1], stride[1], 0, false)) end
    local h, w = (x.shape[2] - kernel[1]) // stride[1] + 1, (x.shape[3] - kernel[2]) // stride[2] + 1
    local windows = ops.unfold.call(x, kernel, stride, { 0, 0 })
    windows = windows:reshape(shape[1] * h * w, kernel[1] * kernel[2], shape[4])
    return act((windows:max(2)):reshape(shape[1], h, w, shape[4]))
  end
end

M.AVERAGE_POOL_2D = function(o)
  local kernel, stride, same = window(o)
  local act = activation(o)
  return function(x)
    return act(ops.avg_pool2d.call(x, kernel, stride, same and "same" or { 0, 0 }, false))
  end
end

-- Where the numbers of a side of `to` lie on a side of `from`, as grid_sample counts.
local function places(from, to, corners, centres)
  local list = {}
  for i = 0, to - 1 do
    local at = i * from / to
    if corners and to > 1 then at = i * (from - 1) / (to - 1) elseif centres then at = (i + 0.5) * from / to - 0.5 end
    list[i + 1] = (2 * at + 1) / from - 1
  end
  return tensor.tensor(list)
end

M.RESIZE_BILINEAR = function(o)
  local size, shape = o:numbers(2), o:shape(1)
  local h, w = size[1], size[2]
  if #size ~= 2 or h < 1 or w < 1 then o:refuse "expected a height and a width, found others" end
  local corners, centres = o:option "align_corners" ~= 0, o:option "half_pixel_centers" ~= 0
  local ys, xs = places(shape[2], h, corners, centres), places(shape[3], w, corners, centres)
  local grid = core.keep(tensor.stack({ xs:reshape(1, w):expand { h, w }, ys:reshape(h, 1):expand { h, w } }, 3))
  return function(x)
    return ops.grid_sample.call(x, grid:reshape(1, h, w, 2):expand { x.shape[1], h, w, 2 }, "border", false)
  end
end

-- ---- pointwise ----
-- Of two inputs, either of which may be a constant.
local function binary(f)
  return function(o)
    local a, b = o:constant(1) and o:weight(1), o:constant(2) and o:weight(2)
    local act = o.options.act and activation(o) or function(x) return x end
    return function(x, y)
      if a then return act(f(a(), x)) end
      return act(f(x, b and b() or y))
    end
  end
end

M.ADD, M.SUB, M.MUL, M.DIV = binary(ops.add.call), binary(ops.sub.call), binary(ops.mul.call), binary(ops.div.call)
M.MAXIMUM, M.MINIMUM, M.POW = binary(ops.maximum.call), binary(ops.minimum.call), binary(ops.pow.call)
M.SQUARED_DIFFERENCE = binary(function(a, b) return ops.square.call(a - b) end)

local function unary(f) return function() return function(x) return f(x) end end end

M.RELU, M.RELU6, M.RELU_N1_TO_1 = unary(ops.relu.call), unary(ops.relu6.call), unary(clamp1)
M.LOGISTIC, M.TANH, M.EXP, M.LOG = unary(ops.sigmoid.call), unary(ops.tanh.call), unary(ops.exp.call),
  unary(ops.log.call)
M.SQRT, M.ABS, M.NEG, M.SQUARE = unary(ops.sqrt.call), unary(ops.abs.call), unary(ops.neg.call), unary(ops.square.call)
M.RSQRT = unary(function(x) return 1 / ops.sqrt.call(x) end)
M.HARD_SWISH = unary(function(x) return x * ops.relu6.call(x + 3) * (1 / 6) end)
M.RELU_0_TO_1 = unary(function(x) return ops.clamp.call(x, 0, 1) end)

M.LEAKY_RELU = function(o)
  local slope = o:option "slope"
  return function(x) return ops.maximum.call(x, 0) + ops.minimum.call(x, 0) * slope end
end

M.PRELU = function(o)
  local shape = o:shape(2)
  local channels = shape[#shape] or 1
  local all = 1
  for _, n in ipairs(shape) do all = all * n end
  if all ~= channels then
    local slope = o:weight(2)
    return function(x) return ops.maximum.call(x, 0) + ops.minimum.call(x, 0) * slope() end
  end
  local slope = o:weight(2, function(w) return w:reshape { channels } end)
  return function(x) return ops.prelu.call(x, slope()) end
end

M.SOFTMAX = function(o)
  local beta = o:option "beta"
  return function(x) return ops.softmax.call(beta == 1 and x or x * beta) end
end

-- ---- sums ----
local function reduction(f)
  return function(o)
    local rank, dims, seen = #o:shape(1), {}, {}
    for _, d in ipairs(o:numbers(2)) do
      d = dimension(o, d, rank)
      if not seen[d] then dims[#dims + 1] = d end
      seen[d] = true
    end
    table.sort(dims, function(a, b) return a > b end)
    local keep = o:option "keep_dims" ~= 0
    return function(x)
      for _, d in ipairs(dims) do x = f(x, d, keep) end
      return x
    end
  end
end

M.SUM = reduction(function(x, d, keep) return x:sum(d, keep) end)
M.REDUCE_MAX = reduction(function(x, d, keep) return (x:max(d, keep)) end)
M.MEAN = reduction(function(x, d, keep) return x:mean(d, keep) end)

return M
