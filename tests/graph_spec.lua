-- The tape and what surrounds it: backward, its refusals and its freeing; scopes, modes that come back after errors,
-- gradient checks, memory and its limit, handles and the collector. Gradients of the ops themselves are in ops_spec.
local co = require "cohesiv"
local core = require "cohesiv.core"
local support = require "tests.support"

local function leaf(list, dtype) return co.tensor(list, { requires_grad = true, dtype = dtype }) end

describe("backward", function()
  it("adds gradients into the leaves, until they are taken away", function()
    local x, y = leaf { 1, 2 }, leaf { 3, 4 }
    local z = (x * y + x):sum()
    assert.is_true(z.requires_grad)
    assert.is_nil(x.grad)
    z:backward()
    assert.same({ { 4, 5 }, { 1, 2 } }, { x.grad:totable(), y.grad:totable() });
    (x * 10):sum():backward()
    assert.same({ 14, 15 }, x.grad:totable())
    x.grad = nil
    assert.is_nil(x.grad)
    x.grad = co.tensor { 7, 8 };
    (x * 1):sum():backward()
    assert.same({ 8, 9 }, x.grad:totable())
    assert.is_nil(z.grad)
  end)

  it("takes a gradient for more than one element", function()
    local x = leaf { 1, 2 }
    local y = x * x
    support.raises("backward: expected one element (or a gradient), found 2", function() y:backward() end)
    support.raises("gradient: expected float32 2, found float32 3", function() y:backward(co.ones(3)) end)
    support.raises("gradient: expected float32 2, found float64 2", function()
      y:backward(co.ones(2, { dtype = "float64" }))
    end)
    support.raises("expected (gradient, { retain_graph })", function() y:backward(3) end)
    y:backward(co.tensor { 10, 100 })
    assert.same({ 20, 400 }, x.grad:totable())
    support.raises("expected a tensor that requires a gradient", function() co.ones(1):backward() end)
  end)

  it("walks a graph once, or more often when it is retained", function()
    local x = leaf { 3 }
    local y = (x * x):sum()
    y:backward(nil, { retain_graph = true })
    y:backward { retain_graph = true }
    y:backward()
    assert.equal(18, x.grad:item())
    support.raises("already walked and freed; use retain_graph", function() y:backward() end)
    local shared = x * x
    local a, b = (shared * 2):sum(), (shared * 3):sum()
    a:backward()
    support.raises("retain_graph", function() b:backward() end)
    assert.equal(18 + 12, x.grad:item())
  end)

  it("sums over every path, and leaves out what nobody asked for", function()
    local x, c = leaf { 2 }, co.tensor { 5 }
    local a = x * c
    local y = (a * a + a + x * 3):sum()
    local unused = a:exp()
    y:backward()
    assert.equal(2 * 10 * 5 + 5 + 3, x.grad:item())
    assert.is_nil(c.grad)
    assert.is_true(unused.requires_grad)
  end)

  it("passes through index, slice, cat and stack", function()
    local x = leaf { { 1, 2 }, { 3, 4 } }
    local y = co.cat({ x[1], x[{ 2, { 1, 2 } }] * 2 }, 1):sum() + co.stack({ x, x }, 1):sum()
    y:backward()
    assert.same({ { 3, 3 }, { 4, 4 } }, x.grad:totable())
  end)

  it("works on the results of an op with several outputs", function()
    local x = leaf { { 1, 5 }, { 7, 2 } }
    local v, i = x:max(2)
    assert.is_false(i.requires_grad)
    i:close()
    v:sum():backward()
    assert.same({ { 0, 1 }, { 1, 0 } }, x.grad:totable())
  end)

  it("is a loop: 10^5 nodes are walked, and freed unwalked", function()
    local n = support.small and 20000 or 100000
    support.no_leak(function()
      local x = leaf(1)
      co.tidy(function()
        local y = x
        for _ = 1, n do
          local before = y
          y = y + x
          if not rawequal(before, x) then before:close() end
        end
        y:backward()
        local z = x
        for _ = 1, n do z = z * x end
        assert.equal(1, z:item())
      end)
      assert.equal(n + 1, x.grad:item())
      x:close()
    end)
  end)
end)

-- Batch norm's large results are not kept for those who read them in backward, but made again.
describe("an operand that is made again", function()
  local side = 128 -- 128 · 128 · 32 numbers are 2 MB

  local function chain(pieces)
    co.seed(6)
    local conv1, conv2 = co.nn.Conv2d { 3, 32, 1 }, co.nn.Conv2d { 32, 2, 1 }
    local bn = co.nn.BatchNorm2d(32, { act = "relu" })
    local x = co.randn(1, side, side, 3)
    local y = bn(conv1(x))
    local outputs = {}
    if pieces then -- each piece is small enough to be kept
      for i = 1, pieces do outputs[i] = conv2(y:narrow(2, 1 + (i - 1) * side // pieces, side // pieces)) end
    else
      outputs[1] = conv2(y)
    end
    local loss = co.cat(outputs, 2):square():mean()
    return loss, { conv1.params.weight, bn.params.weight, bn.params.bias, conv2.params.weight, conv2.params.bias }, y
  end

  local function gradients(parameters)
    local all = {}
    for i, p in ipairs(parameters) do all[i] = p.grad:reshape({ -1 }) end
    return co.cat(all)
  end

  it("has the same gradients as one that is kept", function()
    local loss, parameters = chain()
    local other, others = chain(8)
    loss:backward()
    other:backward()
    assert.equal(loss:item(), other:item())
    local a, b = gradients(parameters), gradients(others)
    assert.is_true((a - b):abs():max():item() <= 1e-5 * b:abs():max():item())
  end)

  it("takes no memory from forward to backward", function()
    local function held(pieces)
      collectgarbage()
      local before = co.memory().live
      local loss = chain(pieces)
      collectgarbage()
      collectgarbage()
      local bytes = co.memory().live - before
      loss:backward()
      return bytes
    end
    assert.is_true(held(8) - held() > 1.9e6)
  end)

  it("may be written to by whoever holds it: backward reads what was computed", function()
    local loss, parameters = chain()
    loss:backward()
    local want = gradients(parameters):totable()
    local y
    loss, parameters, y = chain()
    y:detach():fill(7)
    loss:backward()
    assert.same(want, gradients(parameters):totable())
  end)

  it("is made as often as the graph is walked", function()
    local loss, parameters = chain()
    loss:backward(nil, { retain_graph = true })
    local once = gradients(parameters):totable()
    for _, p in ipairs(parameters) do p.grad = nil end
    loss:backward()
    assert.same(once, gradients(parameters):totable())
    support.raises("use retain_graph = true", loss.backward, loss)
  end)

  it("is gone with the part of the graph that made it", function()
    local _, _, y = chain()
    local a, b = y:square():mean(), co.nn.Conv2d { 32, 1, 1 }(y):mean()
    a:backward()
    support.raises("a part of this graph was already walked and freed", b.backward, b)
  end)
end)

describe("requires_grad", function()
  it("is read and written", function()
    local x = co.ones(2)
    assert.is_false(x.requires_grad)
    x.requires_grad = true
    assert.is_true(x.requires_grad)
    local y = x * 2
    support.raises("detach", function() y.requires_grad = false end)
    assert.is_false(y:detach().requires_grad)
    x.requires_grad = false
    assert.is_false((x * 2).requires_grad)
    assert.is_true(y.requires_grad) -- the graph that was stays
    support.raises("expected float32 or float64, found uint8", function()
      co.ones(1, { dtype = "uint8" }).requires_grad = true
    end)
    support.raises("assignment: this tensor is part of a graph", function() y[1] = 1 end)
    support.raises("grad: expected a leaf", function() y.grad = co.ones(2) end)
    x.requires_grad = true
    support.raises("grad: expected float32 2, found float32 3", function() x.grad = co.ones(3) end)
  end)

  it("stays off under no_grad, which returns what f returns and ends with f", function()
    local x = leaf { 1, 2 }
    local y, n = co.no_grad(function(a, b) return x * a, b end, 3, "b")
    assert.is_false(y.requires_grad)
    assert.equal("b", n)
    assert.is_true((x * 1).requires_grad)
    support.raises("oops", co.no_grad, function() error("oops", 0) end)
    assert.is_true((x * 1).requires_grad)
    co.no_grad(function()
      support.raises("inner", co.no_grad, function() error("inner", 0) end)
      assert.is_false((x * 1).requires_grad)
    end)
    assert.is_true((x * 1).requires_grad)
    assert.is_false(pcall(co.no_grad, nil))
  end)
end)

describe("gradcheck", function()
  it("is true for what is right", function()
    local x = leaf({ 0.3, -0.7 }, "float64")
    assert.is_true(co.gradcheck(function(a) return a:sigmoid() * a end, { x }))
    assert.is_true(co.gradcheck(function(a, b) return a * b, a + b end, { x, leaf({ 1, 2 }, "float64") },
      { eps = 1e-5, atol = 1e-6, rtol = 1e-4 }))
  end)

  it("raises for what is wrong, naming the element", function()
    local x = leaf({ 0.3, -0.7 }, "float64")
    support.raises("gradcheck: input 1, element 1", co.gradcheck, function(a) return a * a:detach() end, { x })
    support.raises("gradcheck: input 1, element 2", co.gradcheck, function(a)
      return a * co.where(co.gt(a, 0), a, a:detach())
    end, { x })
    support.raises("input 1: expected float64, found float32", co.gradcheck, function(a) return a end, { leaf { 1 } })
    local function cut(a) return a:detach() end
    support.raises("expected an output that requires a gradient", co.gradcheck, cut, { x })
  end)
end)

describe("tidy", function()
  it("closes what was made inside, keeps what is returned or kept", function()
    local inner, kept
    local a, list = co.tidy(function(n)
      inner = co.ones(n)
      kept = co.ones(n):keep()
      local deep = { { co.full(2, n) }, key = co.full(3, n) }
      deep.self = deep
      return inner * 2, deep
    end, 4)
    assert.same({ 2, 2, 2, 2 }, a:totable())
    assert.equal(8, list[1][1]:sum():item())
    assert.equal(12, list.key:sum():item())
    assert.equal(4, kept:sum():item())
    support.raises("closed", function() return inner:sum() end)
  end)

  it("nests: what an inner one returns belongs to the outer one", function()
    local x, y
    local z = co.tidy(function()
      x = co.tidy(function()
        y = co.ones(2)
        return y + 1
      end)
      assert.same({ 2, 2 }, x:totable())
      return x + 1
    end)
    assert.same({ 3, 3 }, z:totable())
    support.raises("closed", function() return x:sum() end)
    support.raises("closed", function() return y:sum() end)
  end)

  it("closes and passes an error on", function()
    support.no_leak(function()
      local inner
      support.raises("broken", co.tidy, function()
        inner = co.ones(100)
        co.tidy(function() error("broken", 0) end)
      end)
      support.raises("closed", function() return inner:sum() end)
      local ok, thrown = pcall(co.tidy, function() error { code = 3 } end)
      assert.same({ false, 3 }, { ok, thrown.code })
    end)
    local after = co.ones(2) -- no scope is left open
    collectgarbage()
    assert.equal(2, after:sum():item())
  end)

  it("belongs to its coroutine", function()
    local made, other
    local thread = coroutine.create(function()
      co.tidy(function()
        made = co.ones(3)
        coroutine.yield()
        assert.equal(3, made:sum():item())
      end)
    end)
    coroutine.resume(thread)
    co.tidy(function() other = co.ones(2) end)
    local outside = co.ones(5)
    assert.equal(3, made:sum():item())
    support.raises("closed", function() return other:sum() end)
    assert.is_true(coroutine.resume(thread))
    support.raises("closed", function() return made:sum() end)
    assert.equal(5, outside:sum():item())
    local abandoned = coroutine.create(function() co.tidy(function() made = co.ones(3) coroutine.yield() end) end)
    coroutine.resume(abandoned)
    abandoned = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.equal(3, made:sum():item())
  end)

  it("keeps gradients and graphs that leave it alive", function()
    local x = leaf { 2, 3 }
    local loss = co.tidy(function() return (x * x * x):sum() end)
    co.tidy(function() loss:backward() end)
    assert.same({ 12, 27 }, x.grad:totable())
  end)

  it("takes a thousand steps without growing", function()
    local w = leaf { 1, 2, 3 }
    local function step()
      co.tidy(function()
        local l = (w * w):sum()
        l:backward()
        w.grad = nil
      end)
    end
    step()
    local before = co.memory().live
    for _ = 1, 1000 do step() end
    assert.equal(before, co.memory().live)
  end)
end)

describe("memory", function()
  it("counts bytes in use, the peak, the limit", function()
    local before = support.bytes()
    local t = co.zeros(1000, 1000)
    local m = co.memory()
    assert.is_true(m.live >= before + 4000000 and m.peak >= m.live and m.limit > 0 and m.cached >= 0)
    t:close()
    assert.equal(before, co.memory().live)
    co.memory { reset_peak = true }
    assert.equal(before, co.memory().peak)
    assert.equal(0, co.memory { empty_cache = true }.cached)
    support.raises("limit: expected bytes above 0, found -5", co.memory, { limit = -5 })
    support.raises("limit: expected bytes above 0, found \"x\"", co.memory, { limit = "x" })
  end)

  it("beyond its limit is one clear error, after which everything goes on", function()
    local limit = co.memory().limit
    local held = co.zeros(5, 100000):keep()
    co.memory { limit = co.memory().live + 3000000 }
    local x = leaf { 1 }
    local ok, message = pcall(function()
      local line = support.raises("out of memory: 8.0 MB asked for", co.zeros, 2000000)
      assert.is_truthy(line:find("limit", 1, true), line)
      assert.is_truthy(line:find("the largest: float32 5x100000", 1, true), line)
      support.raises("out of memory", function() return co.ones(1500, 1):expand { 1500, 1500 } + 1 end)
      support.raises("out of memory", function() return x * co.ones(1500, 1) * co.ones(1, 1500) end)
    end)
    co.memory { limit = limit }
    assert.is_true(ok, message)
    held:close()
    assert.equal(4, co.ones(2, 2):sum():item())
    assert.equal(2000000, #co.zeros(2000000))
  end)

  it("that only garbage holds is taken back before the limit is an error", function()
    local limit = co.memory().limit
    collectgarbage "stop"
    co.memory { limit = support.bytes() + 10000000 }
    local ok, message = pcall(function()
      for _ = 1, 50 do co.zeros(500000):fill(1) end
    end)
    collectgarbage "restart"
    co.memory { limit = limit }
    assert.is_true(ok, message)
  end)

  it("returns to the start when tensors are unreachable", function()
    support.no_leak(function()
      local x = co.randn(30, 30, { requires_grad = true })
      for _ = 1, 5 do
        local y = (x * x):exp():sum(1):log():sum()
        y:backward()
        co.cat { x, x }
        pcall(function() return x + co.ones(7) end)
        pcall(function() return co.matmul(x, co.ones(3, 3)) end)
        pcall(function() return co.where(x, x, co.ones(2, 3, 7)) end)
        pcall(co.tensor, { { 1, 2 }, { 3 } })
        pcall(co.tensor, { 1, "x" })
      end
    end)
  end)

  it("survives a collector that runs at any moment", function()
    local script = [[
      local co = require "cohesiv"
      local x = co.randn(4, 4, { requires_grad = true })
      for _ = 1, 3 do
        local y = co.tidy(function() return (x * x + x[1]):exp():sum() end)
        y:backward()
      end
      local held = {}
      for i = 1, 20 do held[i % 3] = co.stack { x:detach(), co.ones(4, 4) }:permute { 2, 3, 1 } end
      print(x.grad:sum():item() == x.grad:sum():item())]]
    local run = support.cohesiv({ "-e", script }, { env = { COHESIV_GC_STRESS = "1" } })
    assert.equal("true\n", run.stdout, run.stderr)
  end)
end)

it("core tells leaves from results", function()
  local x = leaf { 1 }
  assert.is_true(x:is_leaf() and co.ones(1):is_leaf())
  assert.is_false((x * 2):is_leaf())
  assert.is_true(core.grad_enabled())
end)

describe("looking for what made a NaN", function()
  local function watched(f)
    core.detect_anomaly(true)
    local ok, message = pcall(f)
    assert.is_true(core.detect_anomaly(false))
    assert.is_false(ok)
    return message
  end

  it("names the op, and where", function()
    assert.equal("log: forward: expected numbers, made NaN in element 2 of 3", watched(function()
      return co.log(co.tensor { 1, -1, 2 })
    end))
    assert.equal("mul: backward: expected numbers, made NaN in element 1 of the gradient of argument 1, 2",
      watched(function()
        local x = co.tensor({ 0.0, 1.0 }, { requires_grad = true });
        (x * 0):sqrt():sum():backward()
      end))
    assert.equal("exp: input: expected numbers, found NaN, which no op before made, in element 2 of 2",
      watched(function() return co.exp(co.tensor { 1, 0 / 0 }) end))
    assert.is_truthy(watched(function()
      return co.log(co.tensor({ { 1, 2 }, { 3, -4 } }, { dtype = "float64" }))
    end):find "element 4 of 2x2")
  end)

  it("says nothing of numbers, nor when it is over", function()
    core.detect_anomaly(true)
    local x = co.tensor({ 1.0, 2.0 }, { requires_grad = true })
    x:log():sum():backward()
    assert.same({ 1, 0.5 }, x.grad:totable())
    assert.same({ math.huge, 1 }, co.exp(co.tensor { 1000, 0 }):totable()) -- infinite is a number
    core.detect_anomaly(false)
    local y = co.log(co.tensor { -1 })[1]
    assert.is_true(y ~= y)
  end)
end)
