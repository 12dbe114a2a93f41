-- What an op's samples do not reach on a GPU: every dtype, memory that is not aligned, long rows and columns, gradients
-- that are added to others, values that are refused. As tests/cuda_kernels_spec.lua it runs on the CPU.
local alike = require "tests.alike"
local co = require "cohesiv"
local large = require "tests.large"
local samples = require "tests.samples"
local support = require "tests.support"

local same, there, twice = alike.same, alike.there, large.twice
local DTYPES = { "float64", "float32", "float16", "bfloat16", "uint8", "int32", "int64" }

-- f's results for tensors on the CPU, and for their copies on the GPU.
local function both(f, inputs, what)
  same({ f(table.unpack(inputs)) }, { f(table.unpack(there(inputs))) }, what)
end

for _, name in ipairs { "reshape", "permute", "transpose", "expand", "select", "narrow", "cat", "stack", "pad_crop",
  "where", "max", "min", "argmax", "cast" } do
  it("op " .. name .. " computes float64 on a GPU", function()
    local count = samples.each(name, true, function(inputs, args, variant)
      same(large.results(name, inputs, args), large.results(name, there(inputs), args), "sample " .. variant)
    end)
    assert.is_true(count > 0)
  end)
end

for _, name in ipairs { "permute", "transpose", "expand", "select", "narrow", "cat", "stack", "pad_crop", "where",
  "max", "min", "softmax", "log_softmax", "cross_entropy", "normalise", "prelu" } do
  it("op " .. name .. " adds to gradients that are there on a GPU", function()
    samples.each(name, false, function(inputs, args, variant)
      if large.rounding(name, inputs) then return end
      same(twice(name, inputs, args), twice(name, there(inputs), args), "sample " .. variant)
    end)
    if support.small then return end
    local inputs, args = large.case(name)
    same(twice(name, inputs, args or {}), twice(name, there(inputs), args or {}), "the large case")
  end)
end

describe("on a GPU", function()
  before_each(function() co.seed(3) end)

  it("elements of every dtype move, wherever they stand", function()
    local n = 2 * 9 * 40 * 12
    for _, dtype in ipairs(DTYPES) do
      local all = (co.rand(n + 2) * 250):to(dtype)
      for skip = 0, 2 do
        local function moves(f)
          local function from(t) return f(t:narrow(1, skip + 1, n):reshape { 2, 9, 40, 12 }) end
          both(from, { all }, dtype .. " from " .. skip)
        end
        moves(function(t) return t:permute { 1, 4, 2, 3 }, t:permute { 1, 3, 2, 4 }, t:permute { 4, 3, 2, 1 } end)
        moves(function(t) return t:transpose(1, 4), t:transpose(2, 3), t:select(4, 5) end)
        moves(function(t) return t:narrow(4, 5, 4), t:narrow(2, 2, 3) end)
        moves(function(t) return t:reshape({ 2, 9, 1, 480 }):expand { 2, 9, 3, 480 } end)
        moves(function(t) return co.cat({ t, t, t }, 4), co.cat({ t, t }, 1), co.stack({ t, t }, 2) end)
        moves(function(t) return t:pad_crop(12, 44), t:pad_crop(7, 38), t:pad_crop(9, 41) end)
        moves(function(t) return co.where(t:to("float32"):gt(100), t, t:pad_crop(9, 40)) end)
      end
    end
  end)

  it("conditions of every dtype choose", function()
    for _, dtype in ipairs(DTYPES) do
      local cond = co.tensor({ 0, 1, -0.0, 3, 0, 200 }):to(dtype)
      both(function(c, a, b) return co.where(c, a, b) end, { cond, co.randn(4, 6), co.randn(4, 1) }, dtype)
    end
  end)

  it("extremes are the first ones, of long rows and columns, of all, in every dtype", function()
    local shapes = { { 3, 12000 }, { 12000, 3 }, { 700, 513 }, { 2, 5000, 7 }, { 9, 1 }, { 1, 9 }, { 5, 300 } }
    for _, dtype in ipairs { "float32", "float64", "uint8", "int32", "int64" } do
      for k, shape in ipairs(shapes) do
        if dtype ~= "float32" and (k == 3 or k == 4) then goto continue end -- the same kernels
        local x = (co.rand(shape) * 60 - (dtype == "uint8" and 0 or 30)):to(dtype)
        for dim = 1, #shape do
          both(function(t)
            local most, at = t:max(dim)
            local least, there_ = t:min(dim)
            return most, at, least, there_, t:argmax(dim)
          end, { x }, ("%s %s over %d"):format(dtype, table.concat(shape, "x"), dim))
        end
        both(function(t) return t:max(), t:min(), t:argmax() end, { x }, dtype)
        ::continue::
      end
    end
  end)

  it("sums and their gradients are of rows and columns of any length, wherever they stand", function()
    -- rows in parts, columns in parts, of few numbers, of many parts, more columns than rows, rows for a few threads
    for _, case in ipairs { { { 3, 9000 }, 2 }, { { 3, 9001 }, 2 }, { { 900, 40 }, 1 }, { { 900, 42 }, 1 },
      { { 2, 300, 8 }, 2 }, { { 9000, 3 }, 1 }, { { 5000, 8 }, 1 }, { { 300001, 2 }, 1 }, { { 3, 1300 }, 1 },
      { { 5, 7, 6 }, 2 }, { { 700, 2 }, 2 }, { { 300, 64 }, 2 }, { { 9, 1000 }, 2 } } do
      local shape, dim = case[1], case[2]
      local n = shape[1] * shape[2] * (shape[3] or 1)
      local all = co.randn(n + 1)
      for skip = 0, 1 do
        local x = all:narrow(1, skip + 1, n):reshape(shape)
        local what = ("%s from %d"):format(table.concat(shape, "x"), skip)
        for _, name in ipairs { "sum", "mean", "var" } do
          local args = { dim = dim }
          same(large.results(name, { x }, args), large.results(name, there { x }, args), name .. " " .. what)
        end
        both(function(t) return t:gt(t:abs()), t:le(0), t:to("bfloat16"):to("float32") end, { x }, what)
      end
    end
  end)

  it("no number is the extreme, the first one", function()
    for _, n in ipairs { 6, 700, 30000 } do
      local x = co.rand(3, n)
      x[{ 2, n - 2 }], x[{ 2, n - 1 }] = 0 / 0, 0 / 0
      local y = x:to "cuda"
      assert.equal(n - 2, y:argmax(2)[2])
      local _, at = y:min(2)
      assert.equal(n - 2, at[2])
      assert.equal(2 * n - 2, y:argmax():item())
      local value = y:max():item()
      assert.is_true(value ~= value)
    end
  end)

  it("rows of any length are normalised, and classified", function()
    for _, shape in ipairs { { 5, 511 }, { 5, 512 }, { 3, 5000 }, { 2000, 3 }, { 301, 33 }, { 300, 1 } } do
      local x = co.randn(shape) * 5 + 1
      local label = (co.rand(shape[1]) * (shape[2] + 1)):to("int32"):to "float32"
      for _, name in ipairs { "softmax", "log_softmax" } do
        same(large.results(name, { x }, {}), large.results(name, there { x }, {}), name .. table.concat(shape, "x"))
      end
      same(large.results("cross_entropy", { x, label }, {}), large.results("cross_entropy", there { x, label }, {}),
        "cross_entropy " .. table.concat(shape, "x"))
      if shape[2] > 1 then -- the gradient of one number is but what rounding leaves
        same(large.results("normalise", { x }, {}), large.results("normalise", there { x }, {}), "normalise")
      else
        both(function(t) return t:normalise() end, { x }, "normalise")
      end
    end
  end)

  it("softmax is around the largest number", function()
    local y = co.tensor({ { 1000, 1001, -1e30 }, { -1000, -1000, -1000 } }, { device = "cuda" }):softmax()
    assert.near(1 / (1 + math.exp(1)), y[1][1], 1e-6)
    assert.near(0, y[1][3], 0)
    assert.near(1 / 3, y[2][2], 1e-6)
  end)

  it("a label that is no class is refused, and brings no gradient", function()
    for _, wrong in ipairs { 4, -1, 1.5 } do
      local x = co.randn(4, 3, { device = "cuda" })
      x.requires_grad = true
      local loss = x:cross_entropy(co.tensor({ 1, 0, wrong, 3 }, { device = "cuda" }))
      support.raises(("cross_entropy: label: expected a class from 1 to 3, or 0 (ignored), found %g"):format(wrong),
        function() return loss:item() end)
      local value = loss:item()
      assert.is_true(value ~= value)
      loss:backward()
      assert.equal(0, x.grad:abs():sum():item())
    end
  end)

  it("labels that are all ignored make a loss of 0", function()
    local x = co.randn(4, 3, { device = "cuda" })
    x.requires_grad = true
    local loss = x:cross_entropy(co.zeros(4, { device = "cuda" }))
    loss:backward()
    assert.equal(0, loss:item())
    assert.equal(0, x.grad:abs():sum():item())
  end)

  it("an optimiser's step is the CPU's, wherever its tensors stand", function()
    local function stretch(t, start, n) -- of memory that is its own
      local own = t:clone()
      local view = own:narrow(1, start, n)
      own:close()
      return view
    end
    for _, n in ipairs { 1, 7, 1000, 1001 } do
      for start = 1, 2 do
        local inputs = { co.randn(n + 1), co.randn(n + 1), co.randn(n + 1), co.rand(n + 1) }
        for name, count in pairs { adamw = 4, sgd = 3, lerp = 2, scale = 1 } do
          local args = name == "sgd" and { momentum = 0.9, weight_decay = 0.1, nesterov = n > 7 }
            or name == "scale" and { by = 0.7 } or {}
          local expected, found = {}, {}
          for i = 1, count do
            expected[i] = stretch(inputs[i], start, n)
            found[i] = stretch(inputs[i]:to "cuda", start, n)
          end
          samples.call(name, expected, args)
          samples.call(name, found, args)
          same(expected, found, ("%s of %d from %d"):format(name, n, start))
        end
      end
    end
  end)
end)
