-- Convolutions on a GPU where cuDNN has plans for them, and where it has none: a double of it (tests/cuda/cudnn.c)
-- sees what it is asked for.
local alike = require "tests.alike"
local co = require "cohesiv"
local large = require "tests.large"
local samples = require "tests.samples"
local support = require "tests.support"

require("cohesiv.core").system.setenv("COHESIV_CUDNN", "double") -- before the first convolution asks

for _, name in ipairs { "conv2d", "conv2d_act", "upconv2d", "upconv2d_act" } do
  it(name .. " computes with plans what it does on the CPU", function()
    local count = samples.each(name, false, function(inputs, args, variant)
      for _ = 1, 2 do -- the second time with the plan that is kept
        alike.same(alike.expected(name, inputs, args), large.results(name, alike.there(inputs), args),
          "sample " .. variant)
      end
    end)
    assert.is_true(count > 0)
  end)
end

it("halves are computed with plans, gradients of weights in float32", function()
  for _, half in ipairs { "bfloat16", "float16" } do
    local list = {}
    for i, kind in ipairs { "float32", half } do
      co.seed(5)
      local x = co.randn(1, 5, 6, 8):to(half):to "cuda":to(kind)
      local w = co.randn(8, 3, 3, 8):to(half):to "float32":to "cuda"
      x.requires_grad, w.requires_grad = true, true
      co.conv2d(x, w, { padding = 1 }):sum():backward()
      list[i] = { x.grad:to "cpu":to "float32", w.grad:to "cpu" }
    end
    for k = 1, 2 do
      local difference = support.difference(list[1][k], list[2][k])
      assert.is_true(difference <= 2e-2 * list[1][k]:abs():max():item(), k .. " differs by " .. difference)
    end
  end
  local x = co.randn({ 1, 14, 5, 8 }, { device = "cuda" }):to "bfloat16"
  local w = co.randn({ 8, 3, 3, 8 }, { device = "cuda" })
  support.raises("cuDNN: double: pass 0 fails", co.conv2d, x, w, { stride = { 11, 1 } })
end)

describe("gradients of weights that come as halves", function()
  -- loss(x, weights) → a number; its gradients of the weights, in float32 and in halves, and the launches of backward.
  local function both(count, loss, half)
    local found, started = {}, nil
    for i, kind in ipairs { "float32", half } do
      co.seed(9)
      local x = co.randn(1, 5, 6, 8):to(half):to "cuda":to(kind)
      local weights, list = {}, {}
      for k = 1, count do
        weights[k] = (co.randn(8, 3, 3, 8) * 0.1):to(half):to "float32":to "cuda"
        weights[k].requires_grad = true
      end
      local total = loss(x, weights)
      local before = support.launches()
      total:backward()
      started = support.launches() - before
      for k, w in ipairs(weights) do
        assert.equal("float32", w.grad.dtype)
        list[k] = w.grad:to "cpu"
      end
      found[i] = list
    end
    for k, wide in ipairs(found[1]) do
      local difference = support.difference(wide, found[2][k])
      assert.is_true(difference <= 2e-2 * wide:abs():max():item(), ("weights %d differ by %g"):format(k, difference))
    end
    return started
  end

  local function chain(x, weights)
    for _, w in ipairs(weights) do x = co.conv2d(x, w, { padding = 1 }) end
    return x:to("float32"):sum()
  end

  it("are widened all together", function()
    for _, half in ipairs { "bfloat16", "float16" } do
      local two, five = both(2, chain, half), both(5, chain, half)
      -- Three more convolutions take three plans of each gradient, in the double that many kernels more, and no other.
      local each = both(3, chain, half) - two
      assert.equal(two + 3 * each, five)
    end
  end)

  it("are there for who reads them before the walk ends", function()
    for _, half in ipairs { "bfloat16", "float16" } do
      both(1, function(x, w) return chain(x, { w[1], w[1], w[1] }) end, half) -- added to each other
      both(2, function(x, w) return chain(x, { w[1] * 2, w[2] }) end, half) -- of what was computed from a leaf
      local seen
      both(1, function(x, w)
        return chain(x, w) + (w[1] * w[1]):sum() -- added to by another op
      end, half)
      local anomaly = require("cohesiv.core").detect_anomaly(true)
      seen = pcall(both, 2, chain, half) -- looks at every gradient at once
      require("cohesiv.core").detect_anomaly(anomaly)
      assert.is_true(seen)
    end
  end)
end)

local function images(stride, groups)
  groups = groups or 1
  local x, w = co.randn({ 2, 16, 9, 6 }, { device = "cuda" }), co.randn({ 6, 3, 3, 6 // groups }, { device = "cuda" })
  return x, w, { stride = { stride, 1 }, groups = groups }
end

it("a plan that fails is an error of the op", function()
  local x, w, o = images(11)
  support.raises("cuDNN: double: pass 0 fails", co.conv2d, x, w, o)
  x, w, o = images(12)
  x.requires_grad = true
  local y = co.conv2d(x, w, o):sum()
  support.raises("cuDNN: double: pass 1 fails", y.backward, y)
  x, w, o = images(13)
  w.requires_grad = true
  y = co.conv2d(x, w, o):sum()
  support.raises("cuDNN: double: pass 2 fails", y.backward, y)
end)

it("float32 is rounded to TF32 where that is allowed", function()
  local core = require "cohesiv.core"
  local x, w, o = images(14)
  support.raises("cuDNN: double: in float32", co.conv2d, x, w, o)
  core.tf32(true)
  support.raises("cuDNN: double: in TF32", co.conv2d, x, w, o)
  core.tf32(false)
  support.raises("cuDNN: double: in float32", co.conv2d, x, w, o)
end)

it("what has no plan, is not aligned or computes in bfloat16 is for the other kernels", function()
  local x, w, o = images(11, 3)
  assert.same({ 2, 2, 7, 6 }, co.conv2d(x, w, o).shape)
  x, w, o = images(11)
  local function fine(...) assert.same({ 2, 2, 7, 6 }, co.conv2d(...).shape) end
  local flat = co.randn({ 2 * 16 * 9 * 6 + 1 }, { device = "cuda" })
  fine(flat:narrow(1, 2, #flat - 1):reshape(2, 16, 9, 6), w, o)
  fine(x, w:to "bfloat16", o)
  support.raises("pass 0 fails", co.conv2d_act, x, w, { stride = { 11, 1 }, act = "relu" }) -- and then rectified
  support.raises("pass 0 fails", fine, flat:narrow(1, 1, #flat - 1):reshape(2, 16, 9, 6), w, o)
end)

-- Rows of what is measured while f runs twice: the numbers of csrc/cuda/plans.c that these tests look at.
local function measured(f)
  local core = require "cohesiv.core"
  co.autotune "reset"
  core.plans.measure(true)
  local ok, message = pcall(function()
    for _ = 1, 2 do f() end
  end)
  core.plans.measure(false)
  assert(ok, message)
  local list = {}
  for i, row in ipairs(core.plans.rows()) do
    local n = {}
    for k, number in ipairs(row.key) do n[k] = math.tointeger(number) end
    local more = n[6] + n[7] + n[8] + n[9] > 0
    list[i] = { pass = n[1], more = more, channels = n[13], offer = math.tointeger(row.offer) }
  end
  co.autotune "reset"
  return list
end

it("all that follows is in the same graph where that is faster, and a NaN stays one", function()
  local w, shift = co.randn({ 8, 3, 3, 8 }, { device = "cuda" }), co.randn({ 8 }, { device = "cuda" })
  local residual = co.randn({ 1, 6, 24, 8 }, { device = "cuda" })
  local o = { padding = 1, act = "relu" }
  local function whole(width, ...)
    local x, more = co.randn({ 1, 6, width, 8 }, { device = "cuda" }), { ... }
    local y
    for _, row in ipairs(measured(function() y = co.conv2d_act(x, w, nil, table.unpack(more)) end)) do
      if row.more then return row.offer, x, y end
    end
  end
  local offer, x, y = whole(24, shift, residual, o)
  assert.equal(1, offer)
  local expected = co.conv2d_act(x:to "cpu", w:to "cpu", nil, shift:to "cpu", residual:to "cpu", o)
  alike.same({ expected }, { y }, "whole")
  assert.equal(-1, (whole(25, shift, o))) -- this one hides it
  assert.equal(-1, (whole(24, o))) -- of this nobody can tell
end)

it("skip's convolution is cuDNN's as the map's is", function()
  local x, w = co.randn({ 1, 4, 5, 8 }, { device = "cuda" }), co.randn({ 8, 3, 3, 20 }, { device = "cuda" })
  local skip, passes = co.randn({ 1, 8, 10, 12 }, { device = "cuda" }), {}
  x.requires_grad, w.requires_grad, skip.requires_grad = true, true, true
  for _, row in ipairs(measured(function() co.upconv2d(x, w, skip):sum():backward() end)) do
    if row.channels == 12 then passes[row.pass] = true end
  end
  assert.same({ [0] = true, true, true }, passes)
end)

it("gradients are added to what is there", function()
  local list = {}
  for i, device in ipairs { "cpu", "cuda" } do
    co.seed(7)
    local x, w = co.randn(2, 6, 5, 8):to(device), co.randn(8, 3, 3, 8):to(device)
    x.requires_grad, w.requires_grad = true, true
    for _ = 1, 2 do co.conv2d(x, w, { padding = 1 }):sum():backward() end
    list[i] = { x.grad, w.grad }
  end
  alike.same(list[1], list[2], "two passes")
end)

it("more sizes than plans are kept", function()
  local w = co.ones({ 1, 1, 1, 1 }, { device = "cuda" })
  for n = 1, support.small and 200 or 2100 do
    local y = co.conv2d(co.ones({ 1, 1, n, 1 }, { device = "cuda" }), w)
    if n % 100 == 0 then assert.equal(n, y:sum():item()) end
  end
end)
