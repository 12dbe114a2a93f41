-- Broadcasting, comparisons over dtypes, reductions, moves and joins: values written out, refusals, empty tensors.
-- And inputs of many chunks, which the generated samples are too small for.
local co = require "cohesiv"
local core = require "cohesiv.core"
local support = require "tests.support"

local function values(t) return t:reshape({ -1 }):totable() end

describe("broadcasting", function()
  local a = co.tensor { { 1, 2, 3 }, { 4, 5, 6 } }

  it("repeats rows, columns and numbers", function()
    assert.same({ 11, 22, 33, 14, 25, 36 }, values(a + co.tensor { 10, 20, 30 }))
    assert.same({ 11, 12, 13, 24, 25, 26 }, values(a + co.tensor { { 10 }, { 20 } }))
    assert.same({ 3, 4, 5, 6, 7, 8 }, values(2 + a))
    assert.same({ 2, 3 }, (a + 1).shape)
    assert.same({ 0.5, 1, 1.5, 2, 2.5, 3 }, values(a / 2))
    assert.same({ 1, 4, 9, 16, 25, 36 }, values(a ^ 2))
  end)

  it("goes both ways at once", function()
    local y = co.tensor { { 1 }, { 2 } } * co.tensor { { 3, 5, 7 } }
    assert.same({ 2, 3 }, y.shape)
    assert.same({ 3, 5, 7, 6, 10, 14 }, values(y))
    assert.same({ 4, 1, 2, 3 }, (co.ones(4, 1, 1, 3) - co.ones(2, 1)).shape)
    local most = co.ones(2, 1, 2, 1, 2, 1, 2, 1) + co.ones(1, 3, 1, 1, 1, 1, 1, 2) -- as many dimensions as there may be
    assert.same({ 2, 3, 2, 1, 2, 1, 2, 2 }, most.shape)
    assert.equal(2 * 96, most:sum():item())
  end)

  it("keeps empty tensors empty", function()
    assert.same({ 0, 3 }, (co.zeros(0, 3) + co.zeros(1, 3)).shape)
    assert.same({ 2, 0 }, (co.zeros(2, 1) * co.zeros(0)).shape)
    assert.equal(0, co.zeros(0, 3):sum():item())
    assert.same({ 0, 0, 0 }, values(co.zeros(0, 3):sum(1)))
  end)

  it("sums gradients of what was repeated", function()
    local x = co.tensor({ { 1, 2, 3 } }, { requires_grad = true })
    local w = co.tensor(2, { requires_grad = true });
    (a * x * w):sum():backward()
    assert.same({ 10, 14, 18 }, values(x.grad))
    assert.equal(1 * 5 + 2 * 7 + 3 * 9, w.grad:item())
  end)

  it("refuses what does not fit in one line", function()
    support.raises("found 2x3, 2", function() return a + co.tensor { 1, 2 } end)
    support.raises("found 2x3, 4x2x2", function() return co.maximum(a, co.zeros(4, 2, 2)) end)
  end)
end)

describe("comparisons", function()
  it("give uint8 over any dtypes, exactly", function()
    local big = co.tensor({ 9007199254740992, 9007199254740993 }, { dtype = "int64" })
    local same = co.tensor({ 9007199254740993, 9007199254740993 }, { dtype = "int64" })
    local y = co.eq(big, same)
    assert.equal("uint8", y.dtype)
    assert.same({ 0, 1 }, values(y))
    assert.same({ 1, 0, 0 }, values(co.lt(co.tensor({ 1, 2, 3 }, { dtype = "uint8" }), co.tensor(1.5))))
    assert.same({ 0, 1, 1 }, values(co.ge(co.tensor { 1, 2, 3 }, co.tensor({ 2 }, { dtype = "int32" }))))
    assert.same({ 1, 0, 0, 1 }, values(co.ne(co.tensor { { 1 }, { 2 } }, co.tensor { 2, 1 }):permute { 2, 1 }))
  end)

  it("know that NaN equals nothing", function()
    local nan = co.tensor { 0 / 0, 1 }
    assert.same({ 0, 1 }, values(co.eq(nan, nan)))
    assert.same({ 1, 0 }, values(co.ne(nan, nan)))
    assert.is_true(nan:max():item() ~= nan:max():item())
  end)

  it("choose with where", function()
    local y = co.where(co.tensor({ 1, 0, 2 }, { dtype = "int32" }), co.tensor { 1, 2, 3 }, co.tensor(-1))
    assert.same({ 1, -1, 3 }, values(y))
    local seven, eight = co.tensor({ 7 }, { dtype = "int64" }), co.tensor({ 8 }, { dtype = "int64" })
    local labels = co.where(co.tensor { 0, 0.5 }, seven, eight)
    assert.equal("int64", labels.dtype)
    assert.same({ 8, 7 }, values(labels))
  end)
end)

describe("reductions", function()
  local a = co.tensor { { 1, 5, 3 }, { 4, 2, 6 } }

  it("count dimensions from 1, negative ones from the end", function()
    assert.same({ 5, 7, 9 }, values(a:sum(1)))
    assert.same({ 9, 12 }, values(a:sum(-1)))
    assert.same({ 2, 1 }, a:mean(2, true).shape)
    assert.same({ 3, 4 }, values(a:mean(2)))
    assert.equal(3.5, a:mean():item())
    assert.same({ 4.5, 4.5, 4.5 }, values(a:var(1)))
    support.raises("expected 1 .. 2 or -2 .. -1, found 3", function() return a:sum(3) end)
    support.raises("found 0", function() return a:sum(0) end)
  end)

  it("tell values and places", function()
    local v, i = a:max(2)
    assert.same({ 5, 6 }, values(v))
    assert.same({ 2, 3 }, values(i))
    assert.equal("int64", i.dtype)
    v, i = a:min(1)
    assert.same({ 1, 2, 3 }, values(v))
    assert.same({ 1, 2, 1 }, values(i))
    assert.equal(6, a:max():item())
    assert.equal(6, a:argmax():item())
    assert.same({ 2, 1, 2 }, values(a:argmax(1)))
    assert.equal(3, co.tensor({ 3, 1, 3 }, { dtype = "uint8" }):max():item())
    assert.equal(1, co.tensor({ 3, 1, 3 }, { dtype = "uint8" }):argmax():item())
    support.raises("at least one number", function() return co.zeros(0):max() end)
  end)
end)

describe("moves and joins", function()
  local a = co.arange(1, 25):reshape { 2, 3, 4 }

  it("permute, transpose, expand, select, narrow", function()
    local p = a:permute { 3, 1, 2 }
    assert.same({ 4, 2, 3 }, p.shape)
    assert.equal(a[2][3][1], p[1][2][3])
    assert.same(values(a:permute { 1, 3, 2 }), values(a:transpose(2, 3)))
    assert.same({ 13, 17, 21 }, values(a:select(3, 1):select(1, 2)))
    assert.same({ 6, 7, 10, 11, 18, 19, 22, 23 }, values(a:narrow(3, 2, 2):narrow(2, 2, 2)))
    assert.same({ 1, 1, 2, 2 }, values(co.tensor { { 1 }, { 2 } }:expand { 2, 2 }))
    support.raises("expected a shape of 24 elements", function() return a:reshape { 5, -1 } end)
    support.raises("each of 1 .. 3 once", function() return a:permute { 1, 1, 2 } end)
    support.raises("range within 1 .. 3", function() return a:narrow(2, 2, 3) end)
    support.raises("broadcasts to", function() return a:expand { 2, 3, 5 } end)
  end)

  it("cat and stack any dtype", function()
    for _, dtype in ipairs { "float32", "float64", "uint8", "int32", "int64", "bfloat16" } do
      local x, y = co.tensor({ { 1, 2 } }, { dtype = dtype }), co.tensor({ { 3, 4 } }, { dtype = dtype })
      assert.same({ 1, 2, 3, 4 }, values(co.cat { x, y }))
      assert.same({ 1, 2, 3, 4 }, values(co.cat({ x, y }, 2)))
      assert.same({ 1, 2, 1 }, co.stack({ x }, -1).shape)
      assert.same({ 1, 3, 2, 4 }, values(co.stack({ x, y }, 3)))
      assert.equal(dtype, co.cat({ x, y }, 1).dtype)
    end
    support.raises("expected the shape of the first one", function() return co.cat { a, co.zeros(2, 2, 4) } end)
    support.raises("expected float32 like the first one", function()
      return co.cat { a, co.zeros(2, 3, 4, { dtype = "int32" }) }
    end)
  end)

  it("pad and crop images", function()
    local image = co.tensor({ { { 1 }, { 2 } }, { { 3 }, { 4 } } }, { dtype = "uint8" })
    assert.same({ 1, 2, 0, 3, 4, 0, 0, 0, 0 }, values(co.pad_crop(image, 3, 3)))
    assert.same({ 1, 3 }, values(co.pad_crop(image, { width = 1 })))
  end)
end)

describe("functions of float32", function()
  -- The largest relative error against float64.
  local function worst(f, x)
    local y, exact = f(x):to "float64", f(x:to "float64")
    return ((y - exact):abs() / (exact:abs() + 1e-38)):max():item()
  end

  it("are within two units in the last place", function()
    assert.is_true(worst(co.exp, co.arange(-87, 88, 0.013)) < 2.4e-7)
    assert.is_true(worst(co.log, co.exp(co.arange(-86, 88, 0.013))) < 2.4e-7)
    assert.is_true(worst(co.log, co.arange(0.5, 2, 1e-3)) < 2.4e-7)
    assert.is_true(worst(co.tanh, co.arange(1e-4, 10, 1e-3)) < 2.4e-7)
    assert.is_true(worst(co.sigmoid, co.arange(-80, 80, 0.01)) < 2.4e-7)
  end)

  it("know infinities, NaN and zero", function()
    local inf = math.huge
    local edges = co.tensor { inf, -inf, 0 / 0, 0, 200, -200 }
    local function is(expected, found)
      for i, v in ipairs(found:totable()) do
        local e = expected[i]
        assert.is_true(v == e or (v ~= v and e ~= e), ("%d: expected %s, found %s"):format(i, e, v))
      end
    end
    is({ inf, 0, 0 / 0, 1, inf, 0 }, edges:exp())
    is({ inf, 0 / 0, 0 / 0, -inf }, edges:narrow(1, 1, 4):log())
    is({ 1, -1, 0 / 0, 0, 1, -1 }, edges:tanh())
    is({ 1, 0, 0 / 0, 0.5, 1, 0 }, edges:sigmoid())
    is({ inf, 0, 0 / 0, 0, 200, 0 }, edges:relu())
    is({ 6, 0, 0 / 0, 0, 6, 0 }, edges:relu6())
    is({ inf, 0 / 0, 0 / 0, 0, 200, 0 }, edges:silu()) -- -inf times 0
    is({ 1, -1, 0 / 0, 0, 1, -1 }, edges:clamp(-1, 1))
  end)
end)

describe("inputs of many chunks", function()
  local cases = {
    { "add", function(d) return co.randn(64, 65, 33, d), co.randn(33, d) end },
    { "mul", function(d) return co.randn(3, 1, 40000, d), co.randn(2, 1, d) end },
    { "sigmoid", function(d) return co.randn(150001, d) end },
    { "sum", function(d) return co.randn(300001, d) end },
    { "sum", function(d) return co.randn(9000, 33, d) end, { dim = 1 } },
    { "mean", function(d) return co.randn(50, 700, 9, d) end, { dim = 2 } },
    { "var", function(d) return co.randn(40000, 3, d) end, { dim = 1 } },
    { "max", function(d) return co.randn(70, 5, 900, d) end, { dim = 2 } },
    { "permute", function(d) return co.randn(40, 50, 60, d) end, { dims = { 3, 1, 2 } } },
    { "batch_norm", function(d)
      return co.randn(2, 90, 70, 16, d), co.randn(16, d), co.randn(16, d), co.zeros(16, d), co.ones(16, d),
        co.randn(2, 90, 70, 16, d)
    end, { training = true, act = "relu" } },
    { "batch_norm", function(d)
      return co.randn(2, 90, 70, 16, d), co.randn(16, d), co.randn(16, d), co.zeros(16, d), co.ones(16, d)
    end, { training = true, act = "silu" } },
    { "batch_norm_se", function(d)
      return co.randn(2, 60, 70, 24, d), co.randn(24, d), co.randn(24, d), co.zeros(24, d), co.ones(24, d),
        co.randn(6, 1, 1, 24, d), co.randn(6, d), co.randn(24, 1, 1, 6, d), co.randn(24, d), co.randn(2, 60, 70, 24, d)
    end, { training = true, act = "relu" } },
    { "batch_norm_se", function(d)
      return co.randn(2, 60, 70, 24, d), co.randn(24, d), co.randn(24, d), co.zeros(24, d), co.ones(24, d),
        co.randn(6, 1, 1, 24, d), co.randn(6, d), co.randn(24, 1, 1, 6, d), co.randn(24, d)
    end, { training = true, act = "silu" } },
    { "upsample2_cat", function(d) return co.randn(2, 30, 31, 7, d), co.randn(2, 60, 62, 5, d) end },
    { "max_pool2d", function(d) return co.randn(2, 61, 59, 8, d) end },
    { "conv2d", function(d) return co.randn(2, 40, 37, 16, d), co.randn(24, 3, 3, 16, d) end, { padding = 1 } },
    { "matmul", function(d) return co.randn(700, 65, d), co.randn(65, 300, d) end },
    { "attention", function(d) return co.randn(3, 64, d), co.randn(50, 60, 64, d) end },
    { "responsibility_loss", function(d)
      return co.randn(2, 50, 60, 16, d), co.randn(2, 50, 60, 16, d), co.rand(2, 50, 60, d), co.rand(2, 2, d) * 50
    end },
    { "embedding_loss", function(d) return co.randn(2, 50, 60, 64, d), (co.rand(2, 50, 60) * 4):to "int32" end },
  }

  local function run(name, args, inputs)
    local list, n = {}, #inputs
    for i, t in ipairs(inputs) do
      list[i] = t:clone()
      if t.dtype:find "float" and i < 4 then list[i].requires_grad = true end
    end
    list[n + 1] = args
    local y = core.ops[name].call(table.unpack(list, 1, args and n + 1 or n))
    y:sum():backward()
    local out = { y:totable() }
    for i = 1, n do out[i + 1] = list[i].grad and list[i].grad:totable() or false end
    return out, y:detach()
  end

  for k, case in ipairs(cases) do
    local name, make, args = case[1], case[2], case[3]
    it(("give equal bits on any number of threads: %s (%d)"):format(name, k), function()
      local threads = co.threads()
      co.seed(k)
      local inputs, first = { make {} }, nil
      for _, n in ipairs { 1, 2, 4 } do
        co.threads(n)
        local found, y = run(name, args, inputs)
        if first then assert.same(first, found) end
        first = first or found
        if n == 1 then
          local wide = {}
          for i, t in ipairs(inputs) do wide[i] = t.dtype == "float32" and t:to "float64" or t end
          local _, exact = run(name, args, wide)
          local scale = exact:abs():max():item()
          assert.is_true(support.difference(y, exact) <= 3e-5 * (scale + 1))
        end
      end
      co.threads(threads)
    end)
  end
end)
