-- A case of every op with more elements than one chunk of work, or block of threads, holds; and what a call gives.
local co = require "cohesiv"
local core = require "cohesiv.core"
local samples = require "tests.samples"

local large = {}

local function image() return co.randn(2, 64, 65, 16) end
local function rows() return co.randn(3000, 70) end

-- name → inputs, arguments. What is not here takes one or two tensors of a size and no argument.
local cases = {
  clamp = function() return { image() }, { min = -0.5, max = 0.5 } end,
  where = function() return { co.gt(image(), 0), image(), co.randn(16) } end,
  cat = function() return { image(), image() }, { dim = 4 } end,
  stack = function() return { image(), image() }, { dim = 2 } end,
  sum = function() return { rows() }, { dim = 1 } end,
  mean = function() return { rows() } end,
  var = function() return { co.randn(500, 70) }, { dim = 2 } end,
  max = function() return { rows() }, { dim = 2 } end,
  min = function() return { rows() }, { dim = 1 } end,
  argmax = function() return { rows() }, { dim = 2 } end,
  reshape = function() return { rows() }, { sizes = { 700, 300 } } end,
  permute = function() return { image() }, { dims = { 1, 4, 2, 3 } } end,
  transpose = function() return { rows() }, { a = 1, b = 2 } end,
  select = function() return { image() }, { dim = 3, index = 5 } end,
  narrow = function() return { image() }, { dim = 2, start = 3, length = 60 } end,
  expand = function() return { co.randn(600, 1) }, { sizes = { 600, 70 } } end,
  pad_crop = function() return { image() }, { height = 96, width = 60 } end,
  cast = function() return { image() }, { float64 = true } end,
  conv2d = function() return { image(), co.randn(24, 3, 3, 16), co.randn(24) }, { padding = 1 } end,
  batch_norm = function()
    return { image(), co.rand(16), co.randn(16), co.zeros(16), co.ones(16), image() }, { training = true }
  end,
  max_pool2d = function() return { image() } end,
  global_pool = function() return { image() } end,
  upsample2 = function() return { image() } end,
  upsample2_cat = function() return { image(), co.randn(2, 128, 130, 8) } end,
  upconv2d = function() return { co.randn(1, 40, 41, 16), co.randn(8, 3, 3, 24), co.randn(1, 80, 82, 8) } end,
  matmul = function() return { rows(), co.randn(70, 90) } end,
  adamw = function() return { rows(), rows(), rows(), co.rand(3000, 70) } end,
  sgd = function() return { rows(), rows(), rows() }, { momentum = 0.9 } end,
  lerp = function() return { rows(), rows() }, { share = 0.3 } end,
  scale = function() return { rows() }, { by = 0.3 } end,
  sum_squares = function() return { rows(), co.ones(1) } end,
  gradient_factor = function()
    return { co.ones(1), co.zeros(core.op_numbers), co.ones(1), co.zeros(1) }, { limit = 0.3 }
  end,
  round_weights = function() return { image() } end,
  softmax = function() return { co.randn(900, 70) } end,
  log_softmax = function() return { co.randn(900, 70) } end,
  cross_entropy = function() return { co.randn(900, 70), co.full(3, 900) } end,
  normalise = function() return { image() } end,
  responsibility_loss = function()
    return { image(), image(), co.rand(2, 64, 65), co.rand(2, 2) * 60 }
  end,
  attention = function() return { co.randn(2, 16), co.randn(2, 64, 65, 16) } end,
  avg_pool2d = function() return { image() }, { kernel = { 3, 3 }, stride = { 2, 2 }, padding = { 1, 1 } } end,
  batch_norm_se = function()
    return { image(), co.rand(16), co.randn(16), co.zeros(16), co.ones(16), co.randn(4, 1, 1, 16), co.randn(4),
      co.randn(16, 1, 1, 4), co.randn(16) }, { training = true }
  end,
  conv2d_act = function() return { image(), co.randn(24, 3, 3, 16), co.randn(24), co.randn(24) } end,
  grid_sample = function() return { image(), co.rand(2, 64, 65, 2) * 2.2 - 1.1 } end,
  correlation = function()
    return { co.randn(1, 13, 14, 16), co.rand(2, 13, 14, 2) * 17 - 2, co.randn(2, 13, 14, 16), co.randn(2, 6, 7, 16) }
  end,
  gru_reset = function() return { image(), co.randn(2, 64, 65, 12) } end,
  gru_update = function() return { image(), co.randn(2, 64, 65, 12), co.randn(2, 64, 65, 8) } end,
  convex_upsample = function() return { co.randn(1, 20, 21, 2), co.randn(1, 20, 21, 144) }, { factor = 4 } end,
  instance_norm = function() return { image(), co.rand(16), co.randn(16) } end,
  prelu = function() return { image(), co.rand(16) } end,
  unfold = function() return { image() }, { kernel = { 3, 3 } } end,
  upconv2d_act = function() return { co.randn(1, 40, 41, 16), co.randn(8, 3, 3, 24), co.randn(1, 80, 82, 8) } end,
  embedding_loss = function() return { image(), co.rand(2, 64, 65):gt(0.5) + 1 } end,
}

--- case(name): inputs and arguments, drawn anew; nil for an op that has none here.
function large.case(name)
  local op = core.ops[name]
  co.seed(9)
  if cases[name] then return cases[name]() end
  if op.inputs > 2 or op.variadic or not (op.args == "input" or op.args:match "^%*?a b$") then return nil end
  return { co.rand(2, 64, 65, 16) + 0.1, op.inputs == 2 and co.randn(65, 16) or nil }
end

-- What outputs are differentiated with: not like them, or normalisations would have nothing to say. half: a dtype that
-- it is rounded to.
local function slope(y, half)
  local n = 1
  for _, size in ipairs(y.shape) do n = n * size end
  local t = co.arange(1, n + 1, { dtype = y.dtype == "float64" and "float64" or nil }) / (n + 1)
  if half then t = t:to(half) end
  return t:reshape(y.shape):to(y.device):to(y.dtype)
end

--- rounding(name, inputs): whether nothing but rounding is left of the call's gradients: of a row of one number, whose
-- direction is fixed.
function large.rounding(name, inputs)
  local shape = inputs[1] and inputs[1].shape
  return name == "normalise" and shape[#shape] == 1
end

--- results(name, inputs, args, plain, half): outputs, written inputs and, unless plain, gradients of a call, as
-- tensors; half: the outputs' gradients are numbers of this dtype.
function large.results(name, inputs, args, plain, half)
  local own, list = samples.copies(inputs), {}
  local op = core.ops[name]
  if op.differentiable and not plain then
    for _, i in ipairs(samples.wanted(name, own)) do own[i].requires_grad = true end
  end
  for _, y in ipairs { samples.call(name, own, args) } do
    list[#list + 1] = y:detach()
    if y.requires_grad then y:backward(slope(y, half)) end
  end
  for _, t in ipairs(own) do
    if t then list[#list + 1] = t:detach() end
    if t and t.grad then list[#list + 1] = t.grad end
  end
  return list
end

--- twice(name, inputs, args): an output and the gradients of a call where every input is used twice, so that the second
-- gradient is added to the first.
function large.twice(name, inputs, args)
  local own = samples.copies(inputs)
  for _, i in ipairs(samples.wanted(name, own)) do own[i].requires_grad = true end
  local y, z = samples.call(name, own, args), samples.call(name, own, args)
  local list = { y:detach() }
  y:backward(slope(y))
  z:backward(slope(z))
  for _, t in ipairs(own) do
    if t and t.grad then list[#list + 1] = t.grad end
  end
  return list
end

return large
