-- Batch norm in training by cuDNN (csrc/cuda/norm_plans.c), where co.autotune has measured it to be faster than our own
-- passes, and has seen that it gives what they do: a double of it (tests/cuda/cudnn.c).
local core = require "cohesiv.core"
core.system.setenv("COHESIV_CUDNN", "double") -- before the first convolution asks
local alike = require "tests.alike"
local co = require "cohesiv"
local support = require "tests.support"

local FORWARD, BACKWARD = 4, 5 -- the passes as plans count them (csrc/cuda/graph.h)

-- Maps, channels last: few rows, many, and no images; what follows the norm.
local shapes = { { 2, 6, 7, 16 }, { 2, 60, 40, 8 }, { 50, 24 } }
local follows = { {}, { act = "relu" }, { residual = true, act = "relu" }, { residual = true }, { act = "silu" },
  { residual = true, act = "relu6" }, { residual = true, act = "relu", constant = true } }

-- Output, running statistics and gradients, as float32 of the CPU.
local function results(shape, how, device, dtype, half)
  co.seed(4)
  local C = shape[#shape]
  local list = { co.randn(shape) * 2 + 0.5, co.randn(shape), co.rand(C) + 0.5, co.randn(C) }
  for i, t in ipairs(list) do
    if half and i < 3 then t = t:to(half):to "float32" end -- what both compute with
    list[i] = t:to(device):to(i < 3 and dtype or dtype == "float64" and dtype or "float32")
    list[i].requires_grad = not (how.constant and i == 2)
  end
  local x, residual, weight, bias = table.unpack(list)
  local wide = weight.dtype
  local mean, var = co.zeros(C, { dtype = wide, device = device }), co.ones(C, { dtype = wide, device = device })
  local o = { training = true, act = how.act }
  local y = how.residual and co.batch_norm(x, weight, bias, mean, var, residual, o)
    or co.batch_norm(x, weight, bias, mean, var, o)
  alike.walk(y, device, dtype, half)
  return alike.home { y:detach(), mean, var, x.grad, weight.grad, bias.grad, residual.grad }
end

-- f while cuDNN is measured → what was chosen for norms, by pass: lists of offers.
local function measured(f)
  co.autotune "reset"
  core.plans.measure(true)
  local ok, message = pcall(f)
  core.plans.measure(false)
  assert(ok, message)
  local found = { [FORWARD] = {}, [BACKWARD] = {} }
  for _, row in ipairs(core.plans.rows()) do
    local list = found[math.tointeger(row.key[1])]
    if list then list[#list + 1] = math.tointeger(row.offer) end
  end
  return found
end

local function compare(shape, how, half)
  local what = table.concat(shape, "x") .. " " .. tostring(how.act) .. " " .. tostring(how.residual)
  support.close_lists(results(shape, how, "cpu", half and "float32" or "float64", half),
    results(shape, how, "cuda", half or "float32", half), half and 2e-2 or 1e-5, what)
end

it("values, statistics and gradients are the CPU's while it is measured, and then", function()
  for _, half in ipairs { false, "bfloat16", "float16" } do
    for _, shape in ipairs(shapes) do
      for i, how in ipairs(follows) do
        local found = measured(function() results(shape, how, "cuda", half or "float32", half) end)
        -- cuDNN has ReLU and nothing, ReLU alone after an addition, in halves, and gives the residual a gradient.
        local ours = how.residual and how.act and not half
        local forward, backward = (i <= 3 or i == 7) and not ours, i <= 4 and not ours
        assert.same({ [FORWARD] = forward and { 1 } or {}, [BACKWARD] = backward and { 1 } or {} }, found,
          ("%s %d"):format(table.concat(shape, "x"), i))
        compare(shape, how, half or nil)
      end
    end
  end
  co.autotune "reset"
end)

it("is not asked unless it was measured", function()
  co.autotune "reset"
  compare(shapes[1], follows[3])
  assert.same({}, core.plans.rows())
end)

it("takes what gives the same as our own kernels alone, and is clearly faster", function()
  local how = { residual = true, act = "relu" }
  for width, expected in pairs { [18] = { 1, 1 }, [19] = { 2, 2 }, [21] = { -1, 1 }, [23] = { -1, -1 } } do
    local shape = { 2, 6, width, 8 }
    local found = measured(function() results(shape, how, "cuda", "bfloat16", "bfloat16") end)
    assert.same({ [FORWARD] = { expected[1] }, [BACKWARD] = { expected[2] } }, found, "width " .. width)
    compare(shape, how, "bfloat16")
  end
  co.autotune "reset"
end)

it("is one launch, and one more for the line, where there were two or three", function()
  local function forward(shape)
    local x, C = co.randn(shape, { device = "cuda" }), shape[#shape]
    x.requires_grad = true
    local gpu = { device = "cuda" }
    local function norm()
      return co.batch_norm(x, co.ones(C, gpu), co.zeros(C, gpu), co.zeros(C, gpu), co.ones(C, gpu),
        { training = true, act = "relu" })
    end
    local counts = {}
    for i, how in ipairs { "own", "cuDNN" } do
      if how == "cuDNN" then assert.same({ 1 }, measured(norm)[FORWARD]) end
      norm()
      local before = support.launches()
      norm()
      counts[i] = support.launches() - before
    end
    return counts
  end
  local counts = forward { 2, 60, 40, 8 }
  assert.equal(counts[1], counts[2])
  co.autotune "reset"
end)

it("sums that are known already are not found again", function()
  local found = measured(function()
    local x, w = co.randn({ 2, 12, 14, 8 }, { device = "cuda" }), co.randn({ 8, 3, 3, 8 }, { device = "cuda" })
    local gpu = { device = "cuda" }
    w.requires_grad = true
    local y = co.conv2d(x, w, { padding = 1, statistics = true })
    co.batch_norm(y, co.ones(8, gpu), co.zeros(8, gpu), co.zeros(8, gpu), co.ones(8, gpu), { training = true })
  end)
  assert.same({}, found[FORWARD])
  co.autotune "reset"
end)

it("gradients that are added to what is there stay ours", function()
  local found = measured(function()
    local gpu = { device = "cuda" }
    local x, w, b = co.randn({ 2, 6, 7, 8 }, gpu), co.ones(8, gpu), co.zeros(8, gpu)
    w.requires_grad, b.requires_grad, x.requires_grad = true, true, true
    for _ = 1, 2 do
      co.batch_norm(x, w, b, co.zeros(8, gpu), co.ones(8, gpu), { training = true }):sum():backward()
    end
  end)
  assert.equal(1, #found[BACKWARD]) -- of the first pass
  co.autotune "reset"
end)
