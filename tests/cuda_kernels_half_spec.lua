-- Halves on the GPU: every op takes bfloat16 and float16 and comes near what the CPU computes in float32 from the same
-- numbers, to 2e-2 of the largest, forward and backward.
local co = require "cohesiv"
local large = require "tests.large"
local lists = require "cohesiv.base.lists"
local samples = require "tests.samples"
local support = require "tests.support"

-- What gives float32.
local exact = lists.set { "cross_entropy", "embedding_loss", "responsibility_loss", "adamw", "sgd", "scale",
  "sum_squares", "gradient_factor", "cast" }

local function near(name, inputs, args, half, what)
  local here, there = samples.halves(name, inputs, half)
  local plain = large.rounding(name, inputs)
  local expected, found = large.results(name, here, args, plain, half), large.results(name, there, args, plain, half)
  assert.equal(#expected, #found, what)
  if expected[1].dtype == "float32" and not exact[name] then assert.equal(half, found[1].dtype, what) end
  for k, a in ipairs(expected) do
    local b, where = found[k]:to "cpu", ("%s of %s: result %d"):format(what, half, k)
    assert.same(a.shape, b.shape, where)
    a, b = a:to("float32"):reshape { -1 }, b:to("float32"):reshape { -1 }
    if #a > 0 then
      local largest, difference = math.max(a:abs():max():item(), 0.1), support.difference(a, b)
      assert.is_true(difference <= 2e-2 * largest, ("%s: differs by %g, the largest number is %g"):format(where,
        difference, largest))
    end
  end
end

for _, name in ipairs(samples.names) do
  it("op " .. name .. " takes halves", function()
    samples.each(name, false, function(inputs, args, variant)
      near(name, inputs, args, variant % 2 == 0 and "bfloat16" or "float16", "sample " .. variant)
    end)
    local inputs, args = large.case(name)
    near(name, inputs, args or {}, "bfloat16", "the large case")
  end)
end

-- images N,H,W,C; weights O,kH,kW,C/groups; arguments: a shape for each kernel of convolutions
local shapes = {
  { { 1, 9, 10, 48 }, { 48, 3, 3, 4 }, { groups = 12, padding = 1, stride = 2 } },
  { { 1, 7, 6, 48 }, { 48, 3, 3, 16 }, { groups = 3, padding = 1 } },
  { { 1, 13, 12, 36 }, { 36, 5, 5, 1 }, { groups = 36, padding = 2 } },
  { { 1, 5, 6, 7 }, { 7, 3, 3, 1 }, { groups = 7, padding = 1 } },
  { { 1, 9, 8, 7 }, { 67, 3, 3, 7 }, { stride = 2, padding = 1 } },
  { { 1, 4, 5, 72 }, { 76, 3, 3, 72 }, { padding = 1 } },
  { { 1, 12, 13, 3 }, { 24, 7, 7, 3 }, { stride = 2, padding = 3 } }, -- a stem
  { { 1, 6, 5, 32 }, { 32, 3, 3, 8 }, { groups = 4, padding = 1 } },
  { { 1, 4, 5, 64 }, { 64, 3, 3, 32 }, { groups = 2, padding = 1 } },
  { { 1, 9, 8, 32 }, { 16, 3, 3, 32 }, { padding = 1 } }, -- thin
}

it("convolutions of every kind take halves, and weights of halves", function()
  co.seed(3)
  for k, shape in ipairs(shapes) do
    local image, weight, args = table.unpack(shape)
    local inputs = { co.randn(image), co.randn(weight), co.randn(weight[1]) }
    for _, half in ipairs { "bfloat16", "float16" } do
      near("conv2d", inputs, args, half, "shape " .. k)
      local x, w = inputs[1]:to(half):to "cuda", inputs[2]:to(half):to "cuda"
      assert.same(co.conv2d(x, w:to "float32", args):totable(), co.conv2d(x, w, args):totable())
    end
  end
end)

it("sums of rows and columns of any length take halves", function()
  co.seed(3)
  for _, case in ipairs { { { 3, 9000 }, 2 }, { { 3, 9001 }, 2 }, { { 5000, 16 }, 1 }, { { 5000, 3 }, 1 },
    { { 300, 24 }, 2 } } do
    for _, name in ipairs { "sum", "var" } do
      near(name, { co.rand(case[1]) }, { dim = case[2] }, "bfloat16", name .. " of " .. table.concat(case[1], "x"))
    end
  end
end)

describe("beside halves", function()
  local gpu = { device = "cuda" }

  it("parameters of float32 are rounded, and their gradients come back in float32", function()
    local x, p = co.full(2, 3, gpu):to "bfloat16", co.tensor({ 1, 2, 3 }, { device = "cuda", requires_grad = true })
    local y = x * p + 1
    assert.equal("bfloat16", y.dtype)
    y:sum():backward()
    assert.same({ "float32", { 2, 2, 2 } }, { p.grad.dtype, p.grad:totable() })
  end)

  it("weights of halves may have gradients", function()
    local x, w = co.ones({ 1, 2, 2, 8 }, gpu):to "float16", co.ones({ 1, 1, 1, 8 }, gpu):to "float16"
    x.requires_grad, w.requires_grad = true, true
    co.conv2d(x, w):sum():backward()
    assert.same({ "float16", "float16", 4 }, { x.grad.dtype, w.grad.dtype, w.grad:totable()[1][1][1][1] })
  end)

  it("the CPU refuses gradients, and gives float32", function()
    local x = co.ones(2):to "bfloat16"
    assert.equal("float32", (x + x).dtype)
    support.raises("requires_grad: expected float32 or float64, found bfloat16", function() x.requires_grad = true end)
  end)

  it("two kinds are of the first", function()
    local a, b = co.ones(2, gpu):to "float16", co.ones(2, gpu):to "bfloat16"
    assert.same({ "float16", "bfloat16" }, { (a + b).dtype, (b + a).dtype })
  end)
end)
