-- Tensors as a user meets them: making, looking, writing, values that never change behind one's back, reductions,
-- shapes, dtypes, handles. Operators over many shapes are in broadcast_spec, gradients of ops in ops_spec, the tape
-- and its scopes in graph_spec.
local co = require "cohesiv"
local support = require "tests.support"

local function values(t) return t:reshape({ -1 }):totable() end

describe("making tensors", function()
  it("takes numbers and nested tables", function()
    local t = co.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
    assert.same({ 2, 3 }, t.shape)
    assert.same({ "float32", "cpu", false, 2 }, { t.dtype, t.device, t.requires_grad, #t })
    assert.is_nil(t.grad)
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, t:totable())
    local one = co.tensor(2.5)
    assert.same({}, one.shape)
    assert.equal(2.5, one:item())
    assert.equal(2.5, one:totable())
    assert.same({ 0 }, co.tensor({}).shape)
    assert.same({ 1, 1, 1 }, co.tensor({ { { 7 } } }).shape)
  end)

  it("takes options: dtype, device, requires_grad", function()
    for _, dtype in ipairs { "float32", "float64", "uint8", "int32", "int64", "bfloat16", "float16" } do
      local t = co.tensor({ 1, 2, 200 }, { dtype = dtype, device = "cpu" })
      assert.equal(dtype, t.dtype)
      assert.same({ 1, 2, 200 }, t:totable())
    end
    assert.is_true(co.tensor({ 1 }, { requires_grad = true }).requires_grad)
    assert.is_true(co.zeros(2, 2, { requires_grad = true, dtype = "float64" }).requires_grad)
    support.raises("dtype: expected float32", function() return co.zeros(2, { dtype = "float" }) end)
    support.raises("device: expected cpu or cuda, found tpu", function() return co.zeros(2, { device = "tpu" }) end)
    support.raises("found dtyp", function() return co.zeros(2, { dtyp = "float64" }) end)
    support.raises("requires_grad: expected float32 or float64, found int32", function()
      return co.zeros(2, { dtype = "int32", requires_grad = true })
    end)
  end)

  it("fills, counts and draws", function()
    assert.same({ 0, 0, 0, 0, 0, 0 }, values(co.zeros(2, 3)))
    assert.same({ 1, 1 }, values(co.ones(2, 1)))
    assert.same({ 2, 3 }, co.zeros({ 2, 3 }).shape)
    assert.same({ 7, 7 }, values(co.full(7, 2, { dtype = "uint8" })))
    assert.same({ 0, 1, 2, 3 }, values(co.arange(4)))
    assert.same({ 1, 2, 3 }, values(co.arange(1, 4)))
    assert.same({ 1, 0.5, 0 }, values(co.arange(1, -0.5, -0.5)))
    assert.same({ 0, 2, 4 }, values(co.arange(0, 5, 2, { dtype = "int64" })))
    assert.same({ 0 }, co.arange(3, 1).shape)
    assert.same({ { 1, 0 }, { 0, 1 } }, co.eye(2):totable())
    assert.same({ { 1, 0, 0 }, { 0, 1, 0 } }, co.eye(2, 3):totable())
    local u, n = co.rand(3, 4), co.randn(1000, { dtype = "float64" })
    assert.is_true(u:min():item() >= 0 and u:max():item() < 1)
    assert.is_true(math.abs(n:mean():item()) < 0.15 and math.abs(n:var():item() - 1) < 0.2)
  end)

  it("refuses what is no tensor in one line", function()
    support.raises("expected", function() return co.tensor { { 1, 2 }, { 3 } } end)
    support.raises("element 2: expected a number, found string", function() return co.tensor { 1, "x" } end)
    support.raises("expected", function() return co.tensor "x" end)
    support.raises("expected", function() return co.tensor() end)
    support.raises("sizes of 0 or more, found -1", function() return co.zeros(2, -1) end)
    support.raises("found 1.5", function() return co.zeros(1.5) end)
    support.raises("at most 8", function() return co.zeros(1, 1, 1, 1, 1, 1, 1, 1, 1) end)
    support.raises("memory", function() return co.zeros(1 << 40, 1 << 40) end)
    support.raises("step", function() return co.arange(1, 2, 0) end)
    support.raises("finite", function() return co.arange(math.huge) end)
  end)

  it("draws the same numbers after the same seed, on any number of threads", function()
    local threads, drawn = co.threads(), {}
    for i, n in ipairs { 1, 2, 4 } do
      co.threads(n)
      assert.equal(n, co.threads())
      co.seed(5)
      drawn[i] = { co.rand(3, 700):totable(), co.randn(9000):totable() }
    end
    co.threads(threads)
    assert.same(drawn[1], drawn[2])
    assert.same(drawn[1], drawn[3])
    co.seed(6)
    assert.not_same(drawn[1][1], co.rand(3, 700):totable())
    assert.not_same(co.rand(8):totable(), co.rand(8):totable())
    support.raises("seed: expected an integer, found \"x\"", co.seed, "x")
    support.raises("expected 1", co.threads, 0)
  end)
end)

describe("indexing", function()
  local function grid() return co.arange(1, 25):reshape { 2, 3, 4 } end

  it("t[i] is a number for one dimension, else a tensor", function()
    local t = grid()
    assert.same({ 3, 4 }, t[2].shape)
    assert.equal(24, t[2][3][4])
    assert.equal("float", math.type(co.tensor({ 1 })[1]))
    assert.equal("integer", math.type(co.tensor({ 1 }, { dtype = "uint8" })[1]))
    assert.equal(9007199254740993, co.tensor({ 9007199254740993 }, { dtype = "int64" })[1])
    for _, bad in ipairs { 0, 3, -1 } do
      support.raises("index: expected 1 to 2, found " .. bad, function() return t[bad] end)
    end
    support.raises("integer", function() return t[1.5] end)
    support.raises("scalar", function() return co.tensor(1)[1] end)
    support.raises("expected a number, a table or a name", function() return t[true] end)
    assert.is_nil(t.nothing)
  end)

  it("t[{ i, {a, b}, {} }] takes an index, a range, all", function()
    local t = grid()
    assert.same({ { 5, 6, 7, 8 }, { 9, 10, 11, 12 } }, t[{ 1, { 2, 3 }, {} }]:totable())
    assert.same({ { 14, 18, 22 } }, t[{ { 2, 2 }, {}, 2 }]:totable())
    assert.equal(7, t[{ 1, 2, 3 }])
    assert.same({ 2, 3, 1 }, t[{ {}, {}, { 4, 4 } }].shape)
    assert.same(t:totable(), t[{}]:totable())
    assert.same({ 3, 4 }, t[{ 2 }].shape)
    support.raises("dimension 2: expected", function() return t[{ 1, 4 }] end)
    support.raises("dimension 2: expected", function() return t[{ 1, { 2, 4 } }] end)
    support.raises("dimension 2: expected", function() return t[{ 1, { 3, 2 } }] end)
    support.raises("dimension 1: expected", function() return t[{ { 0, 1 } }] end)
    support.raises("dimension 1: expected", function() return t[{ "x" }] end)
    support.raises("dimension 1: expected", function() return t[{ { 1 } }] end)
    support.raises("at most 3 entries", function() return t[{ 1, 1, 1, 1 }] end)
  end)

  it("takes whole floats for integers, as Lua's tables do", function()
    local t = grid()
    assert.same({ 3, 4 }, t[2.0].shape)
    assert.same({ 2, 4 }, t[{ 1.0, { 1.0, 2.0 } }].shape)
  end)

  it("t[...] = v writes a number or a tensor", function()
    local t = co.zeros(2, 3)
    t[1] = 5
    t[{ 2, { 2, 3 } }] = co.tensor { 7, 8 }
    assert.same({ { 5, 5, 5 }, { 0, 7, 8 } }, t:totable())
    t[{ {}, 1 }] = co.tensor({ 1, 2 }, { dtype = "int32" })
    assert.same({ { 1, 5, 5 }, { 2, 7, 8 } }, t:totable())
    t[{ 2, 3 }] = -1
    t[2] = co.tensor { 9, 9, 9 }
    assert.same({ { 1, 5, 5 }, { 9, 9, 9 } }, t:totable())
    t[{}] = 3
    assert.same({ 3, 3, 3, 3, 3, 3 }, values(t))
    t[{ {}, { 1, 2 } }] = co.tensor(4)
    assert.same({ { 4, 4, 3 }, { 4, 4, 3 } }, t:totable())
    local v = co.tensor { 1, 2, 3 }
    v[2] = 9
    assert.same({ 1, 9, 3 }, v:totable())
    local u = co.zeros(3, { dtype = "uint8" })
    u[1], u[2], u[3] = 300, -4, 2.9
    assert.same({ 255, 0, 2 }, u:totable())
    assert.same({ 6, 6, 6 }, v:fill(6):totable())
  end)

  it("t[...] = v refuses outside and other shapes, and changes nothing", function()
    local t = co.zeros(2, 3)
    support.raises("index: dimension 1: expected 1 to 2, found 3", function() t[3] = 1 end)
    support.raises("index: dimension 2", function() t[{ 1, { 2, 4 } }] = 1 end)
    support.raises("expected a number or 3, found 2", function() t[1] = co.tensor { 1, 2 } end)
    support.raises("expected a number or 2x3", function() t[{}] = co.zeros(3, 2) end)
    support.raises("assignment: expected a tensor, found string", function() t[1] = "x" end)
    support.raises("at most 2 entries", function() t[{ 1, 1, 1 }] = 1 end)
    support.raises("expected one of the fields", function() t.shape = { 1 } end)
    assert.same({ 0, 0, 0, 0, 0, 0 }, values(t))
  end)

  it("is copied into another as a whole", function()
    local t, v = co.zeros(2, 3), co.arange(6):reshape(2, 3)
    assert.is_true(rawequal(t, t:copy(v)))
    assert.same({ { 0, 1, 2 }, { 3, 4, 5 } }, t:totable())
    t:copy(v:to "float64" + 0.5)
    assert.same({ 0.5, 1.5, 2.5 }, t[1]:totable())
    assert.same({ { 0, 1, 2 }, { 3, 4, 5 } }, v:totable())
    assert.same({ 7, 7 }, co.zeros(2):copy(7):totable())
    assert.same({ 3, 4 }, co.zeros(2, { dtype = "uint8" }):copy(co.tensor { 3.7, 4 }):totable())
    assert.equal(5, co.tensor(1):copy(co.tensor(5)):item())
    support.raises("copy: expected a number or 2x3, found 3x2", t.copy, t, co.zeros(3, 2))
    support.raises('copy: expected a tensor, found string', t.copy, t, "x")
    support.raises("copy: expected a tensor, found no value", t.copy, t)
    support.raises("fill: expected a number, found a tensor of 2x3 (t:copy takes tensors)", t.fill, t, v)
    local w = co.ones(2)
    w.requires_grad = true
    support.raises("copy: this tensor is part of a graph", function() (w * 2):copy(1) end)
  end)

  it("is walked by ipairs to its last entry, though t[#t + 1] is an error", function()
    local seen = {}
    for i, v in ipairs(co.tensor { 5, 6, 7 }) do seen[i] = v end
    assert.same({ 5, 6, 7 }, seen)
    local rows = {}
    local t = co.arange(6):reshape(3, 2)
    t.requires_grad = true
    for i, row in ipairs(t * 2) do rows[i] = row:detach():totable() end
    assert.same({ { 0, 2 }, { 4, 6 }, { 8, 10 } }, rows)
    for _, none in ipairs { co.zeros(0, 3), co.tensor(1) } do
      for _ in ipairs(none) do error "expected nothing to walk over" end
    end
    support.raises("index: expected 1 to 3, found 4", function() return t[#t + 1] end)
    support.raises("index: expected 1 to 3, found 5", function() return t[5] end)
    local step = ipairs {}
    support.raises("index: expected 1 to 3, found 9", step, t, 8)
  end)
end)

describe("a tensor is a value", function()
  local makers = {
    ["t[i]"] = function(t) return t[1] end,
    slice = function(t) return t[{ {}, { 1, 2 } }] end,
    reshape = function(t) return t:reshape { 6 } end,
    clone = function(t) return t:clone() end,
    detach = function(t) return t:detach() end,
    expand = function(t) return t:expand { 2, 2, 3 } end,
    select = function(t) return t:select(1, 1) end,
    narrow = function(t) return t:narrow(1, 1, 1) end,
    permute = function(t) return t:permute { 2, 1 } end,
    to = function(t) return t:to "float32" end,
    cat = function(t) return co.cat { t } end,
  }
  for name, make in pairs(makers) do
    it("so a write to it never shows in its " .. name .. ", nor the other way round", function()
      local t = co.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
      local other = make(t)
      local before = values(other)
      t[{}] = -1
      if rawequal(other, t) then return end -- to and contiguous may return t itself
      assert.same(before, values(other))
      local kept = values(t)
      other:fill(9)
      assert.same(kept, values(t))
    end)
  end

  it("so an assignment may read what it writes", function()
    local t = co.arange(1, 7)
    t[{ { 2, 6 } }] = t[{ { 1, 5 } }]
    assert.same({ 1, 1, 2, 3, 4, 5 }, t:totable())
    local g = co.tensor { { 1, 2 }, { 3, 4 } }
    g[{ {}, {} }] = g:transpose(1, 2)
    assert.same({ 1, 3, 2, 4 }, values(g))
  end)

  it("so what a graph has saved stays as it was", function()
    local x = co.tensor({ 1, 2, 3 }, { requires_grad = true })
    local w = co.tensor { 4, 5, 6 }
    local y = (x * w):sum()
    w:fill(0)
    x[{}] = 100
    y:backward()
    assert.same({ 4, 5, 6 }, x.grad:totable())
    local a = co.tensor({ 2 }, { requires_grad = true })
    local z = (a * a):sum()
    a[1] = 50
    z:backward()
    assert.same({ 4 }, a.grad:totable())
  end)

  it("so a gradient that was looked at does not change", function()
    local x = co.ones(2, { requires_grad = true });
    (x * 2):sum():backward()
    local g = x.grad;
    (x * 3):sum():backward()
    assert.same({ 2, 2 }, g:totable())
    assert.same({ 5, 5 }, x.grad:totable())
    g:fill(0)
    assert.same({ 5, 5 }, x.grad:totable())
  end)
end)

describe("arithmetic", function()
  it("has every operator, numbers on either side", function()
    local a, b = co.tensor { 1, 2, 4 }, co.tensor { 2, 2, 2 }
    assert.same({ 3, 4, 6 }, (a + b):totable())
    assert.same({ -1, 0, 2 }, (a - b):totable())
    assert.same({ 2, 4, 8 }, (a * b):totable())
    assert.same({ 0.5, 1, 2 }, (a / b):totable())
    assert.same({ 1, 4, 16 }, (a ^ b):totable())
    assert.same({ -1, -2, -4 }, (-a):totable())
    assert.same({ 1, 0, -2 }, (2 - a):totable())
    assert.same({ 2, 1, 0.5 }, (2 / a):totable())
    assert.same({ 1, 4, 16 }, (a ^ 2):totable())
    assert.same({ 2, 4, 16 }, (2 ^ a):totable())
    assert.same({ 3, 4, 6 }, (2 + a):totable())
    assert.same({ 2, 4, 8 }, (2 * a):totable())
    assert.same({ 1, 2, 4 }, a:totable())
    support.raises("expected a tensor, found table", function() return a + {} end)
    support.raises("expected a tensor, found nil", function() return a * nil end)
    support.raises("expected a tensor, found string", function() return "x" - a end)
  end)

  it("promotes: float64 wins over float32 over integers", function()
    local function d(name) return co.ones(2, { dtype = name }) end
    local pairs_of = { { "uint8", "uint8" }, { "int32", "float32" }, { "int64", "float64" }, { "uint8", "int64" },
      { "float32", "float64" } }
    for _, pair in ipairs(pairs_of) do
      local a, b = d(pair[1]), d(pair[2])
      local want = (pair[1] == "float64" or pair[2] == "float64") and "float64" or "float32"
      for _, y in ipairs { a + b, b * a } do
        assert.is_true(y.dtype == want or (want == "float32" and y.dtype == pair[2]), pair[1] .. " " .. y.dtype)
      end
    end
    assert.equal("float64", (d "float64" + 1).dtype)
    assert.equal("float32", (d "float32" / 3).dtype)
    assert.equal(1 / 3, (d "float64" / 3)[1])
  end)

  it("has functions and methods of one name", function()
    local t = co.tensor { 0.25, 1, 4 }
    for _, name in ipairs { "exp", "log", "sqrt", "abs", "relu", "sigmoid", "tanh" } do
      assert.same(co[name](t):totable(), t[name](t):totable())
    end
    assert.same({ 0.5, 1, 2 }, t:sqrt():totable())
    assert.same({ 0.5, 1, 2 }, co.clamp(t, 0.5, 2):totable())
    assert.same({ 0, 0, 3 }, co.tensor({ -1, 0, 3 }):relu():totable())
    assert.is_true(math.abs(math.exp(0.25) - t:exp()[1]) < 1e-6)
  end)

  it("compares by functions", function()
    local a, b = co.tensor { 1, 2, 3 }, co.tensor { 2, 2, 2 }
    local want = {
      eq = { 0, 1, 0 }, ne = { 1, 0, 1 }, lt = { 1, 0, 0 }, le = { 1, 1, 0 }, gt = { 0, 0, 1 }, ge = { 0, 1, 1 },
    }
    for name, list in pairs(want) do
      assert.same(list, co[name](a, b):totable(), name)
      assert.same(list, co[name](a, 2):totable(), name)
      assert.same(list, a[name](a, 2):totable(), name)
    end
    assert.same({ 1, 2, -1 }, co.where(co.le(a, 2), a, -1):totable())
    assert.same({ 2, 2, 3 }, co.where(co.gt(a, 2), a, b):totable())
  end)
end)

describe("reductions", function()
  local t = co.tensor { { 1, 5, 3 }, { 4, 2, 6 } }

  it("sum, mean, var over all or one dimension, kept or not", function()
    assert.equal(21, t:sum():item())
    assert.same({}, t:sum().shape)
    assert.same({ 5, 7, 9 }, t:sum(1):totable())
    assert.same({ 9, 12 }, t:sum(-1):totable())
    assert.same({ 2, 1 }, t:sum(2, true).shape)
    assert.same({ 1, 3 }, co.sum(t, -2, true).shape)
    assert.same({ 3, 4 }, t:mean(2):totable())
    assert.equal(3.5, t:mean():item())
    assert.same({ 4.5, 4.5, 4.5 }, t:var(1):totable())
    support.raises("sum", function() return t:sum(3) end)
    support.raises("sum", function() return t:sum(0) end)
  end)

  it("max and min over a dimension give 1-based int64 places", function()
    for name, want in pairs { max = { { 5, 6 }, { 2, 3 } }, min = { { 1, 2 }, { 1, 2 } } } do
      local v, i = t[name](t, 2)
      assert.same({ want[1], want[2], "int64" }, { v:totable(), i:totable(), i.dtype })
      v, i = t[name](t, -1, true)
      assert.same({ { 2, 1 }, { 2, 1 } }, { v.shape, i.shape })
    end
    assert.equal(6, t:max():item())
    assert.equal(1, t:min():item())
    assert.equal(6, t:argmax():item())
    assert.same({ 2, 1, 2 }, t:argmax(1):totable())
    assert.equal("int64", t:argmax().dtype)
  end)
end)

describe("shapes", function()
  it("reshape, permute, expand take a list or the numbers themselves", function()
    local t = co.arange(6)
    assert.same({ 2, 3 }, t:reshape({ 2, 3 }).shape)
    assert.same({ 2, 3 }, t:reshape(2, 3).shape)
    assert.same({ 3, 2 }, t:reshape(3, -1).shape)
    assert.same({ 6 }, t:reshape(2, 3):reshape(-1).shape)
    assert.same({ 3, 1, 2 }, t:reshape(1, 2, 3):permute(3, 1, 2).shape)
    assert.same({ 3, 1, 2 }, t:reshape(1, 2, 3):permute({ 3, 1, 2 }).shape)
    assert.same({ 4, 6 }, t:expand(4, 6).shape)
    assert.same({ 4, 6 }, t:expand({ 4, 6 }).shape)
    assert.same({ 3, 2 }, t:reshape(2, 3):transpose(1, 2).shape)
    assert.same({ 3, 2 }, t:reshape(2, 3):transpose(-1, -2).shape)
    assert.same({ 3 }, t:reshape(2, 3):select(1, 2).shape)
    assert.same({ 4, 5 }, t:narrow(1, 5, 2):totable())
    assert.same({}, t[{ { 1, 1 } }]:reshape({}).shape)
    support.raises("reshape", function() return t:reshape(4, 2) end)
    support.raises("reshape", function() return t:reshape(2, "x") end)
    support.raises("permute", function() return t:reshape(2, 3):permute(1, 1) end)
  end)

  it("cat and stack join any number", function()
    local list = {}
    for i = 1, 21 do list[i] = co.tensor { { i, -i } } end
    assert.same({ 21, 2 }, co.cat(list).shape)
    assert.same({ 1, 42 }, co.cat(list, 2).shape)
    assert.same({ 1, 42 }, co.cat(list, -1).shape)
    assert.same({ 21, 1, 2 }, co.stack(list).shape)
    assert.same({ 1, 2, 21 }, co.stack(list, 3).shape)
    assert.same({ 1, 2, 21 }, co.stack(list, -1).shape)
    assert.equal(17, co.cat(list)[17][1])
    assert.equal(-17, co.stack(list, 3)[1][2][17])
    assert.equal(-17, co.stack(list, -1)[1][2][17])
    assert.equal(17, co.stack(list, 2)[1][17][1])
    assert.same({ 3, 2 }, co.cat(list[1], list[2], list[3]).shape)
    assert.same({ 1, 6 }, co.cat(list[1], list[2], list[3], 2).shape)
    assert.same({ 2, 1, 2 }, co.stack(list[1], list[2]).shape)
    support.raises("cat", function() return co.cat {} end)
    support.raises("cat", function() return co.cat { list[1], 3 } end)
    local x = co.ones(1, { requires_grad = true })
    local many = {}
    for i = 1, 70 do many[i] = x * i end
    co.cat(many):sum():backward()
    assert.equal(70 * 71 / 2, x.grad:item())
  end)

  it("nothing fits into empty tensors, and that is fine", function()
    local e = co.zeros(0, 3)
    assert.same({ 0, 0 }, { #e, e:sum():item() })
    assert.same({}, e:totable())
    assert.same({ 0, 3 }, (e + 1):exp().shape)
    assert.same({ 3, 0 }, e:permute({ 2, 1 }).shape)
    assert.same({ 0 }, e:reshape({ 0 }).shape)
    assert.same({ 0, 3 }, e:to("float64").shape)
    assert.same({ 1, 3 }, co.cat({ e, co.ones(1, 3) }).shape)
    e[{}] = 4
    e:fill(1)
    support.raises("index", function() return e[1] end)
    support.raises("item: expected a single element", function() return e:item() end)
    local x = co.zeros(0, { requires_grad = true })
    x:sum():backward()
    assert.same({ 0 }, x.grad.shape)
  end)
end)

describe("conversion", function()
  it("to another dtype rounds, truncates, saturates; to cpu is t", function()
    local t = co.tensor({ -1.5, 0.5, 255.9, 1e10, 0 / 0 }, { dtype = "float64" })
    assert.same({ 0, 0, 255, 255, 0 }, t:to("uint8"):totable())
    assert.same({ -1, 0, 255, 2147483647, 0 }, t:to("int32"):totable())
    assert.same({ -1, 0, 255, 10000000000, 0 }, t:to("int64"):totable())
    assert.equal("float32", t:to("float32").dtype)
    assert.same({ 3.140625, 1.0 }, co.tensor({ 3.14159, 1 }):to("bfloat16"):totable())
    assert.same({ 65504, math.huge, 0 }, co.tensor({ 65504, 1e6, 1e-9 }):to("float16"):totable())
    local halves = co.tensor({ 0, -0.0, 2 ^ -14, 2 ^ -24, 3 * 2 ^ -26, 2 ^ -26, 65519, 65520 }):to "float16"
    assert.same({ 0, 0, 2 ^ -14, 2 ^ -24, 2 ^ -24, 0, 65504, math.huge }, halves:totable())
    assert.equal(-math.huge, 1 / halves[2])
    assert.equal("float32", co.ones(2):to("cpu").dtype)
    assert.equal(3, co.tensor({ 3 }):contiguous():clone():detach():item())
    support.raises("cuda", function() return co.ones(1):to "cuda" end)
    support.raises("expected float32", function() return co.ones(1):to "float" end)
    support.raises("item: expected a single element, found 2", function() return co.ones(2):item() end)
  end)

  it("to another float lets gradients through", function()
    local x = co.tensor({ 1, 2 }, { requires_grad = true })
    local y = x:to "float64" * co.tensor({ 3, 4 }, { dtype = "float64" })
    y:sum():backward()
    assert.same({ { 3, 4 }, "float32" }, { x.grad:totable(), x.grad.dtype })
  end)

  it("prints itself", function()
    assert.equal("float32 3: [1  2  3]", tostring(co.tensor { 1, 2, 3 }))
    assert.is_truthy(tostring(co.zeros(4, 5, 6)):find("float32 4x5x6", 1, true))
    assert.is_truthy(tostring(co.tensor(3)):find("scalar", 1, true))
    assert.is_truthy(tostring(co.ones(2, { requires_grad = true })):find("requires_grad", 1, true))
  end)
end)

describe("a closed tensor", function()
  it("says so, and closes twice", function()
    local t = co.ones(3)
    t:close()
    t:close()
    support.raises("closed", function() return t:sum() end)
    support.raises("closed", function() return t[1] end)
    support.raises("closed", function() return t.shape end)
    support.raises("closed", function() t[1] = 2 end)
    support.raises("closed", function() return t + 1 end)
    support.raises("closed", function() return co.cat { t } end)
    assert.is_string(tostring(pcall(tostring, t)))
    support.no_leak(function()
      local held <close> = co.ones(1000)
      assert.equal(1000, held:sum():item())
    end)
  end)
end)
