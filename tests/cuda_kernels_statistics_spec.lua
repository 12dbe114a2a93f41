-- Convolutions on a GPU that add up what the batch norm behind them takes in training (csrc/cuda/statistics.c), where
-- cuDNN has a plan for that: a double of it (tests/cuda/cudnn.c) has, and sees what it is asked for.
local core = require "cohesiv.core"
core.system.setenv("COHESIV_CUDNN", "double") -- before the first convolution asks
local alike = require "tests.alike"
local co = require "cohesiv"
local support = require "tests.support"

local STATISTICS = 3 -- the pass as plans count it (csrc/cuda/graph.h)

-- images N,H,W,C; weights O,kH,kW,C/groups; arguments: paddings per side, strides and dilations, few and odd channels,
-- few rows and, last, as many as are cut into parts
local shapes = {
  { { 2, 6, 7, 3 }, { 4, 3, 3, 3 }, { padding = 1 } },
  { { 2, 9, 8, 3 }, { 7, 7, 7, 3 }, { padding = 3, stride = 2 } },
  { { 1, 7, 6, 5 }, { 1, 1, 1, 5 } },
  { { 2, 6, 5, 7 }, { 9, 2, 3, 7 }, { padding = { 0, 1, 2, 0 } } },
  { { 1, 9, 11, 16 }, { 16, 3, 3, 4 }, { groups = 4, padding = { 2, 3 }, stride = { 2, 1 }, dilation = { 2, 3 } } },
  { { 3, 6, 8, 16 }, { 33, 3, 3, 16 }, { padding = "same", stride = 2 } },
  { { 1, 57, 57, 8 }, { 16, 3, 3, 8 }, { padding = 1 } },
}

-- Output, running statistics and gradients of a convolution, a norm and a ReLU, as float32 of the CPU.
local function results(shape, device, dtype, statistics, half)
  local image, weight, args = table.unpack(shape)
  local o = { stride = 1, statistics = statistics }
  for name, value in pairs(args or {}) do o[name] = value end
  co.seed(4)
  local C = weight[1]
  local list = { co.randn(image), co.randn(weight), co.rand(C) + 0.5, co.randn(C) }
  for i, t in ipairs(list) do
    if half and i < 3 then t = t:to(half):to "float32" end -- what both compute with
    list[i] = t:to(device):to(i == 1 and dtype or dtype == "float64" and dtype or "float32")
    list[i].requires_grad = true
  end
  local x, w, scale, shift = table.unpack(list)
  local wide = scale.dtype
  local mean, var = co.zeros(C, { dtype = wide, device = device }), co.ones(C, { dtype = wide, device = device })
  local y = co.batch_norm(co.conv2d(x, w, o), scale, shift, mean, var, { training = true })
  alike.walk(y, device, dtype, half)
  return alike.home { y:detach(), mean, var, x.grad, w.grad, scale.grad, shift.grad }
end

-- Problems that were measured or chosen for.
local function problems()
  local count = 0
  for _, row in ipairs(core.plans.rows()) do
    if row.key[1] == STATISTICS and row.offer >= 0 then count = count + 1 end
  end
  return count
end

it("values and gradients are the CPU's in float32", function()
  for i, shape in ipairs(shapes) do
    support.close_lists(results(shape, "cpu", "float64"), results(shape, "cuda", "float32", true), 1e-5, "shape " .. i)
  end
end)

it("values and gradients are near the CPU's in halves, where engines are compiled first, too", function()
  core.plans.measure(true)
  local before = problems()
  for i, shape in ipairs(shapes) do
    for _, half in ipairs { "bfloat16", "float16" } do
      local expected = results(shape, "cpu", "float32", false, half)
      support.close_lists(expected, results(shape, "cuda", half, true, half), 2e-2, ("shape %d of %s"):format(i, half))
    end
  end
  core.plans.measure(false)
  assert.equal(before + 2 * #shapes, problems())
  core.plans.reset()
end)

local function striding(stride, dtype)
  local x = co.randn({ 2, 40, 9, 6 }, { device = "cuda" }):to(dtype or "float32")
  return x, co.randn({ 5, 3, 3, 6 }, { device = "cuda" }), { stride = { stride, 1 }, statistics = true }
end

it("is asked for where the next op is batch norm in training, and there is no bias", function()
  local x, w, o = striding(16)
  support.raises("cuDNN: double: pass 3 fails", co.conv2d, x, w, o)
  assert.same({ 2, 3, 7, 5 }, co.conv2d(x, w, co.zeros({ 5 }, { device = "cuda" }), o).shape)
  assert.same({ 2, 3, 7, 5 }, co.conv2d(x, w, { stride = o.stride }).shape)
  local flat = co.randn({ 2 * 40 * 9 * 6 + 1 }, { device = "cuda" })
  assert.same({ 2, 3, 7, 5 }, co.conv2d(flat:narrow(1, 2, #flat - 1):reshape(2, 40, 9, 6), w, o).shape)
  local layer = co.nn.ConvBN { 6, 5, 3, stride = { 16, 1 }, act = "relu" }
  layer:to "cuda"
  support.raises("cuDNN: double: pass 3 fails", layer, x)
  layer:eval()
  assert.same({ 2, 3, 7, 5 }, layer(x).shape)
  layer:train()
  layer.conv:hook(function() end)
  assert.same({ 2, 3, 7, 5 }, layer(x).shape)
  x, w, o = striding(16, "bfloat16") -- all engines are compiled first: not unless it is measured
  assert.same({ 2, 3, 7, 5 }, co.conv2d(x, w, o).shape)
  x, w = co.randn({ 2, 16, 9, 6 }, { device = "cuda" }), co.randn({ 6, 3, 3, 2 }, { device = "cuda" })
  assert.same({ 2, 1, 7, 6 }, co.conv2d(x, w, { stride = { 16, 1 }, groups = 3, statistics = true }).shape)
end)

local function normalised(y)
  local C = y.shape[4]
  local gpu = { device = "cuda" }
  return co.batch_norm(y, co.ones(C, gpu), co.zeros(C, gpu), co.zeros(C, gpu), co.ones(C, gpu), { training = true })
end

it("norm takes the sums as long as they are the tensor's", function()
  co.seed(6)
  local x, w, o = striding(17) -- whose sums are those of numbers one larger
  local y = co.conv2d(x, w, o)
  local right, found = normalised(y + 0), normalised(y)
  local std = y:reshape({ -1, 5 }):var(1, { unbiased = false }):sqrt()
  support.close_lists({ (right - 1 / std):to "cpu" }, { found:to "cpu" }, 1e-5, "sums of others")
  support.close_lists({ found:to "cpu" }, { normalised(y:reshape { 2, 7, 3, 5 }):reshape({ 2, 3, 7, 5 }):to "cpu" }, 0,
    "a view")
  for what, t in pairs { ["a part"] = y:narrow(1, 1, 1), ["other channels"] = y:reshape { 2, 3, 5, 7 } } do
    support.close_lists({ normalised(t + 0):to "cpu" }, { normalised(t):to "cpu" }, 1e-6, what)
  end
  y = co.conv2d(x, w, o) -- nobody else's
  y:copy(y + 0)
  support.close_lists({ right:to "cpu" }, { normalised(y):to "cpu" }, 1e-6, "written to meanwhile")
end)

it("channels far from 0, whose sums have lost the variance, are read again", function()
  for _, size in ipairs { 20, 60 } do -- few rows, and parts
    co.seed(7)
    local x = co.randn({ 1, size, size, 4 }, { device = "cuda" }) * 0.01 + 30
    local w
    for _ = 1, 8 do -- of a single channel: a variance below 0 would show what it is, one above does not
      w = co.rand({ 1, 1, 1, 4 }, { device = "cuda" })
      local one, other = co.conv2d(x, w), co.conv2d(x, w, { statistics = true })
      assert.same(normalised(one):totable(), normalised(other):totable())
    end
    x = co.zeros({ 1, size, size, 4 }, { device = "cuda" })
    assert.equal(0, normalised(co.conv2d(x, w, { statistics = true })):abs():max():item())
    x = co.full(1 / 0, { 1, size, size, 4 }, { device = "cuda" })
    local y = normalised(co.conv2d(x, w, { statistics = true }))
    assert.equal(0, y:eq(y):sum():item()) -- none is a number
  end
end)

it("takes as many launches as without", function()
  local x, w = co.randn({ 1, 60, 60, 8 }, { device = "cuda" }), co.randn({ 8, 3, 3, 8 }, { device = "cuda" })
  local counts = {}
  for i, statistics in ipairs { false, true } do
    for _ = 1, 2 do
      local before = support.launches()
      normalised(co.conv2d(x, w, { padding = 1, statistics = statistics }))
      counts[i] = support.launches() - before
    end
  end
  assert.equal(counts[1], counts[2])
end)
