-- Norms with a residual and a ReLU behind it on a GPU: forward writes a bit of each number for backward, in place of
-- which the output is read where channels do not fill 16 bytes.
local co = require "cohesiv"
local support = require "tests.support"

local function gate(C) return co.randn(2, 1, 1, C), co.randn(2), co.randn(C, 1, 1, 2), co.randn(C) end

-- y of a norm, at x and residual.
local norms = {
  batch_norm = function(p, x, residual, act, training)
    return co.batch_norm(x, p[1], p[2], p[3], p[4], residual, { training = training, act = act })
  end,
  batch_norm_se = function(p, x, residual, _, training)
    return co.batch_norm_se(x, p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], residual, { training = training })
  end,
}

-- Output and gradients on a device, of numbers of `half` or float32; shifted: y's gradient lies one number off.
local function results(name, shape, act, device, half, training, shifted)
  co.seed(11)
  local C = shape[4]
  local p = { co.rand(C) + 0.5, co.randn(C), co.zeros(C), co.ones(C), gate(C) }
  local x, residual, slope = co.randn(shape), co.randn(shape) * 3, co.randn(shape)
  local function there(t, kind)
    if half then t = t:to(half) end
    return t:to(device):to(device == "cuda" and kind or "float32")
  end
  x, residual = there(x, half), there(residual, half)
  for i, t in ipairs(p) do p[i] = t:to(device) end
  for _, t in ipairs { x, residual, p[1], p[2] } do t.requires_grad = true end
  local y = norms[name](p, x, residual, act, training)
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  local flat = there(co.cat { co.zeros(1), slope:reshape { -1 } }, half):to(y.dtype)
  y:backward(shifted and flat:narrow(1, 2, n):reshape(shape) or (flat:narrow(1, 2, n) + 0):reshape(shape))
  local list = { y, x.grad, residual.grad, p[1].grad, p[2].grad, p[3], p[4] }
  for i, t in ipairs(list) do list[i] = t:detach():to("cpu"):to "float32" end
  return list
end

-- Channels that fill 16 bytes of float32, of halves, and of neither; few rows, and parts of many.
local shapes = { { 2, 5, 4, 8 }, { 2, 3, 5, 12 }, { 1, 4, 5, 7 }, { 2, 41, 40, 16 } }

for name in pairs(norms) do
  it(name .. " with a residual has the CPU's gradients", function()
    for _, shape in ipairs(shapes) do
      for _, act in ipairs(name == "batch_norm" and { "relu", "relu6", "silu", "none" } or { "relu" }) do
        for _, training in ipairs { true, false } do
          local what = ("%s %s %s"):format(table.concat(shape, "x"), act, training)
          support.close_lists(results(name, shape, act, "cpu", nil, training),
            results(name, shape, act, "cuda", nil, training), 2e-5,
            what)
        end
      end
    end
  end)

  it(name .. " with a residual is near the CPU's in halves, and reads gradients that are not aligned", function()
    for _, shape in ipairs(shapes) do
      for _, half in ipairs { "bfloat16", "float16" } do
        local what = ("%s of %s"):format(table.concat(shape, "x"), half)
        local expected = results(name, shape, "relu", "cpu", half, true)
        support.close_lists(expected, results(name, shape, "relu", "cuda", half, true), 4e-2, what)
        support.close_lists(expected, results(name, shape, "relu", "cuda", half, true, true), 4e-2, what .. ", shifted")
      end
      local expected = results(name, shape, "relu", "cpu", nil, true)
      support.close_lists(expected, results(name, shape, "relu", "cuda", nil, true, true), 2e-5, "shifted")
    end
  end)
end

it("what is no number has no slope", function()
  local x = co.zeros({ 1, 2, 2, 8 }, { device = "cuda" })
  local residual = co.full(0 / 0, { 1, 2, 2, 8 }, { device = "cuda" })
  local line = { device = "cuda" }
  residual.requires_grad = true
  local y = co.batch_norm(x, co.ones(8, line), co.zeros(8, line), co.zeros(8, line), co.ones(8, line), residual,
    { training = true, act = "relu" })
  y:sum():backward()
  assert.equal(0, residual.grad:abs():max():item())
end)

it("the output itself is kept no longer than it is used", function()
  local function kept(act)
    local line = { device = "cuda" }
    local x, residual = co.randn({ 4, 64, 64, 32 }, line), co.randn({ 4, 64, 64, 32 }, line)
    x.requires_grad = true
    local y = co.batch_norm(x, co.ones(32, line), co.zeros(32, line), co.zeros(32, line), co.ones(32, line), residual,
      { training = true, act = act })
    local z = y:sum()
    residual:close()
    y:close()
    collectgarbage()
    return co.memory().cuda.live, z
  end
  local masked, one = kept "relu"
  one:close()
  collectgarbage()
  local given, two = kept "silu"
  two:close()
  assert.is_true(given - masked > 0.9 * 4 * 4 * 64 * 64 * 32 * 15 // 16, ("%d and %d"):format(given, masked))
end)
