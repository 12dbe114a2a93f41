-- co.Function: operations whose forward and backward are Lua. Values and gradients, what backward is given and may
-- return, what it may do (raise, yield, close, walk another graph), and that nothing is left in use.
local co = require "cohesiv"
local support = require "tests.support"

local WIDE = { dtype = "float64" }

local function leaf(list, dtype) return co.tensor(list, { requires_grad = true, dtype = dtype }) end

local function wide(...)
  local t = co.randn(..., WIDE)
  t.requires_grad = true
  return t
end

local square = co.Function {
  name = "square",
  forward = function(ctx, x)
    ctx:save(x)
    return x * x
  end,
  backward = function(ctx, g) return ctx:saved() * 2 * g end,
}

-- k x y, with a number among the arguments and two results
local mixed = co.Function {
  name = "mixed",
  forward = function(ctx, x, k, y)
    ctx:save(x, y)
    ctx.k = k
    return x * y * k, x + y
  end,
  backward = function(ctx, product, sum)
    local x, y = ctx:saved()
    return product * y * ctx.k + sum, nil, product * x * ctx.k + sum
  end,
}

local function failing(backward)
  return co.Function { name = "bad", forward = function(_, x) return x * 1 end, backward = backward }
end

describe("co.Function", function()
  it("computes, and has the gradient that its backward says", function()
    local x = leaf { 1, -2, 3 }
    local y = square(x)
    assert.same({ 1, 4, 9 }, y:totable())
    assert.is_true(y.requires_grad)
    y:sum():backward()
    assert.same({ 2, -4, 6 }, x.grad:totable())
    assert.is_true(co.gradcheck(square, { wide { 3, 4 } }))
    assert.is_true(co.gradcheck(function(a, b) return mixed(a, 3, b) end, { wide { 2, 3 }, wide { 2, 3 } }))
    local wrong = failing(function(_, g) return g * 1.01 end)
    support.raises("gradcheck: input 1, element 1", co.gradcheck, wrong, { wide { 2 } })
  end)

  it("is one link of a longer graph", function()
    local x = leaf({ 0.5, 0.25 }, "float64")
    local y = (square(square(x:exp())) * x):sum()
    y:backward()
    for i, v in ipairs { 0.5, 0.25 } do -- d/dx x e^(4x)
      assert.is_true(math.abs(x.grad[i] - math.exp(4 * v) * (1 + 4 * v)) < 1e-9)
    end
  end)

  it("gives zeros for a result that no gradient reached, nil for one that has none", function()
    local seen
    local f = co.Function {
      forward = function(_, x) return x * 1, x * 2, co.arange(3, { dtype = "int64" }) end,
      backward = function(_, a, b, c)
        seen = { a:totable(), b:totable(), c }
        return a + b * 2
      end,
    }
    local x = leaf { 1, 2 }
    local _, second, whole = f(x)
    assert.is_false(whole.requires_grad)
    second:sum():backward()
    assert.same({ { 0, 0 }, { 1, 1 } }, seen)
    assert.same({ 2, 2 }, x.grad:totable())
  end)

  it("tells which arguments want a gradient, and takes nil for none", function()
    local needs
    local f = co.Function {
      forward = function(ctx, a, b, c)
        needs = ctx.needs
        return a + b + c
      end,
      backward = function(_, g) return nil, g end,
    }
    local a, b = leaf { 1 }, leaf { 2 }
    f(a, b, 5):sum():backward()
    assert.same({ true, true, false }, needs)
    assert.is_nil(a.grad)
    assert.equal(1, b.grad:item())
    f(a:detach(), b, 5):sum():backward()
    assert.same({ false, true, false }, needs)
  end)

  it("records nothing where no gradient is wanted", function()
    local x = leaf { 3 }
    assert.is_false(co.no_grad(square, x).requires_grad)
    assert.is_false(square(co.tensor { 3 }).requires_grad)
    local inside
    co.Function {
      forward = function(_, t)
        inside = (t * 2).requires_grad
        return t
      end,
      backward = function(_, g)
        inside = inside or (g * x).requires_grad
        return g
      end,
    }(x):backward()
    assert.is_false(inside)
    assert.is_true((x * 2).requires_grad)
  end)

  it("may return its argument", function()
    local same = co.Function { forward = function(_, x) return x end, backward = function(_, g) return g * 5 end }
    local x = leaf { 1, 2 }
    local y = same(x)
    assert.is_false(rawequal(x, y));
    (y * x):sum():backward()
    assert.same({ 1 * 5 + 1, 2 * 5 + 2 }, x.grad:totable())
  end)

  it("saves values: a later write does not show, nor does a scope close them", function()
    local x = leaf { 1, 2 }
    local y = co.tidy(function()
      local f = co.Function {
        forward = function(ctx, t)
          local twice = t * 2
          ctx:save(t, twice)
          twice[1] = 100
          return t * t
        end,
        backward = function(ctx, g)
          local t, twice = ctx:saved()
          assert.same({ 2, 4 }, twice:totable())
          return t * 2 * g
        end,
      }
      return f(x):sum()
    end)
    x[1] = 7
    y:backward()
    assert.same({ 2, 4 }, x.grad:totable())
  end)

  it("can be walked again when the graph is retained", function()
    local x = leaf { 3 }
    local y = square(x):sum()
    y:backward { retain_graph = true }
    y:backward()
    assert.equal(12, x.grad:item())
    support.raises("already walked and freed", function() y:backward() end)
  end)

  it("runs in coroutines, whoever made the graph", function()
    local x = leaf { 3 }
    local y = coroutine.wrap(function() return square(x):sum() end)()
    coroutine.wrap(function() y:backward { retain_graph = true } end)()
    y:backward()
    assert.equal(12, x.grad:item())
    local yielding = failing(function(_, g)
      coroutine.yield()
      return g
    end)
    local _, message = coroutine.resume(coroutine.create(function() yielding(x):sum():backward() end))
    assert.is_truthy(tostring(message):find("yield", 1, true))
  end)
end)

describe("a backward in Lua", function()
  local x = leaf { 1, 2 }
  local function walk(backward) failing(backward)(x):sum():backward() end

  it("fails with one line that says what is wrong", function()
    support.raises("function_spec.lua", walk, function() error "boom" end)
    support.raises("boom", walk, function() error("boom", 0) end)
    support.raises("two\\nlines", walk, function() error("two\nlines", 0) end)
    support.raises("expected a message as the error, found a table", walk, function() error {} end)
    support.raises("attempt to index a nil value", walk, function(_, g) return g.x.y end)
    support.raises("bad: backward: gradient 1: expected float32 2 like the argument, found float32 3", walk,
      function() return co.ones(3) end)
    support.raises("found float64 2", walk, function(_, g) return g:to "float64" end)
    support.raises("expected a tensor or nil, found number", walk, function() return 0 end)
    support.raises("found a closed tensor", walk, function(_, g)
      g:close()
      return g
    end)
    support.raises("expected at most 1 gradients, one per argument, found 2", walk,
      function(_, g) return g, g end)
  end)

  it("leaves a usable session behind an error", function()
    x.grad = nil
    support.raises("boom", walk, function() error("boom", 0) end)
    assert.is_nil(x.grad)
    local y = square(x):sum()
    y:backward()
    assert.same({ 2, 4 }, x.grad:totable())
    assert.is_true(require("cohesiv.core").grad_enabled())
  end)

  it("may not walk a graph itself, but may close the one under way", function()
    local other = (x * x):sum()
    support.raises("expected no other backward under way", walk, function(_, g)
      other:backward()
      return g
    end)
    x.grad = nil
    local y
    y = failing(function(_, g)
      y:close()
      collectgarbage()
      return g
    end)(x * 3):sum()
    y:backward()
    assert.same({ 3, 3 }, x.grad:totable())
  end)
end)

describe("co.Function refuses", function()
  it("what is no operation", function()
    support.raises("Function: expected { forward, backward }, found nil", co.Function)
    support.raises("backward: expected a function, found nil", co.Function, { forward = print })
    support.raises("found forwards", co.Function, { forwards = print })
    support.raises("name: expected a string", co.Function, { forward = print, backward = print, name = 3 })
  end)

  it("results that are no tensors, and too many of anything", function()
    local x = leaf { 1 }
    local function run(forward, ...) return co.Function { name = "f", forward = forward, backward = print }(...) end
    support.raises("f: forward: expected a tensor, found no result", run, function() end, x)
    support.raises("f: forward: result 2: expected a tensor, found number", run, function(_, t) return t, 3 end, x)
    support.raises("f: expected at most 4 outputs, found 5", run, function(_, t) return t, t, t, t, t end, x)
    support.raises("f: save: expected a tensor, found nil", run, function(ctx, t)
      ctx:save(nil)
      return t
    end, x)
    support.raises("f: save: expected at most 64 tensors, found 65", run, function(ctx, t)
      for _ = 1, 65 do ctx:save(t) end
      return t
    end, x)
    local many = {}
    for i = 1, 11 do many[i] = leaf { i } end
    support.raises("f: expected at most 10 tensors that require a gradient", run, function(_, t) return t end,
      table.unpack(many))
    support.raises("no good", run, function() error("no good", 0) end, x)
    assert.is_true(require("cohesiv.core").grad_enabled())
  end)
end)

describe("memory of co.Function", function()
  it("returns to the start: walked, unwalked, and after errors", function()
    local x = leaf { 1, 2 }
    local bad = failing(function() error("boom", 0) end)
    support.no_leak(function()
      co.tidy(function()
        local y = square(x):sum()
        y:backward()
        mixed(square(x), 2, x)
        pcall(function() bad(square(x)):sum():backward() end)
        pcall(co.Function { forward = function(_, t) return t, 3 end, backward = print }, x)
        x.grad = nil
      end)
    end)
  end)

  it("holds what it saved only as long as the graph", function()
    local x = leaf(co.ones(1000):totable())
    co.tidy(function()
      local before = support.bytes()
      local y = square(x)
      local z = y:sum()
      z:backward()
      x.grad = nil
      y:close()
      z:close()
      assert.equal(before, support.bytes())
    end)
  end)

  it("ends in one line wherever memory runs out, and nothing stays behind", function()
    local x = co.ones(50000, { requires_grad = true })
    local before = support.bytes()
    local limit, failures, done = co.memory().limit, 0, false
    for room = 0, 40 do -- 100 kB each: half a tensor
      co.memory { empty_cache = true, limit = before + room * 100000 + 1000 }
      local ok, message = pcall(co.tidy, function()
        local product, sum = mixed(square(x), 2, x)
        assert(sum)
        product:sum():backward()
      end)
      co.memory { limit = limit }
      x.grad = nil
      failures, done = failures + (ok and 0 or 1), ok
      assert.is_true(ok or (message:find("memory", 1, true) and not message:find "\n"), message)
      assert.equal(before, support.bytes())
    end
    assert.is_true(failures > 5 and done)
  end)

  it("stays flat over a long loop, chains included", function()
    local x = leaf { 1, 1 }
    local function steps(n)
      for _ = 1, n do
        co.tidy(function()
          local y = x
          for _ = 1, 10 do y = square(y) end
          y:sum():backward()
          x.grad = nil
        end)
      end
    end
    steps(10)
    local before = support.bytes()
    steps(support.small and 50 or 300)
    assert.equal(before, support.bytes())
  end)
end)
