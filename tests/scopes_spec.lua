-- Scopes around code of the user's that stops in the middle: a coroutine that yields inside, is closed, fails or is
-- abandoned changes nothing for anybody else. And results as deep as tables go.
local co = require "cohesiv"
local core = require "cohesiv.core"
local support = require "tests.support"

local w = co.ones(2, { requires_grad = true })
local function records() return (w * 2).requires_grad end

describe("scopes", function()
  after_each(function() assert.is_true(records(), "gradients are left off") end)

  it("belong to the coroutine that yields inside co.no_grad", function()
    local c = coroutine.create(function()
      return co.no_grad(function(x)
        assert.is_false(records())
        local y = coroutine.yield(x)
        assert.is_false(records())
        return y, records()
      end, 1)
    end)
    assert.same({ true, 1 }, { coroutine.resume(c) })
    assert.is_true(records())
    assert.same({ true, 2, false }, { coroutine.resume(c, 2) })
    assert.equal("dead", coroutine.status(c))
  end)

  it("hold for coroutines that are resumed inside, and only while they are", function()
    local c = coroutine.wrap(function()
      while true do coroutine.yield(records()) end
    end)
    assert.is_true(c())
    co.no_grad(function()
      assert.is_false(c())
      assert.is_false(coroutine.wrap(function() return co.tidy(records) end)())
    end)
    assert.is_true(c())
  end)

  it("end with a coroutine that is closed, fails or is never heard of again", function()
    local function stopped()
      local c = coroutine.create(function() co.no_grad(co.no_grad, function() coroutine.yield(1) end) end)
      assert.same({ true, 1 }, { coroutine.resume(c) })
      return c
    end
    assert.is_true(coroutine.close(stopped()))
    assert.is_true(records())
    stopped()
    assert.is_true(records())
    collectgarbage()
    collectgarbage()
    assert.is_true(records())
    local c = coroutine.create(function()
      co.no_grad(function()
        coroutine.yield()
        error("late", 0)
      end)
    end)
    coroutine.resume(c)
    assert.same({ false, "late" }, { coroutine.resume(c) })
    assert.is_true(records())
    local held = {} -- in the middle of one another, ended in another order
    for i = 1, 6 do held[i] = stopped() end
    for _, i in ipairs { 3, 1, 6 } do coroutine.close(held[i]) end
    assert.is_true(records())
    for i = 1, 6 do coroutine.close(held[i]) end
  end)

  it("of two coroutines take turns", function()
    local function turns(off)
      return coroutine.wrap(function()
        local f = off and co.no_grad or pcall
        f(function()
          for _ = 1, 5 do coroutine.yield(records()) end
        end)
      end)
    end
    local off, on = turns(true), turns(false)
    for _ = 1, 5 do
      assert.is_false(off())
      assert.is_true(on())
    end
  end)

  it("of co.tidy take in what their own coroutine makes, across yields", function()
    support.no_leak(function()
      local made, other = nil, co.zeros(3)
      local c = coroutine.wrap(function()
        return co.tidy(function()
          made = co.zeros(1000)
          coroutine.yield()
          return co.full(7, 1)
        end)
      end)
      c()
      local outside = co.ones(4) -- made while the scope is suspended: not its own
      local kept = c()
      support.raises("this tensor was closed", made.sum, made)
      assert.equal(7, kept[1])
      assert.equal(4, outside:sum():item())
      assert.equal(0, other:sum():item())
    end)
  end)

  it("of co.tidy that are closed leave what was handed out, and after an error nothing", function()
    local c = coroutine.create(function()
      co.tidy(function() coroutine.yield(co.full(5, 2)) end)
    end)
    local _, t = coroutine.resume(c)
    assert.is_true(coroutine.close(c))
    assert.equal(10, t:sum():item())
    local leaked
    support.raises("on purpose", co.tidy, function()
      leaked = co.zeros(2)
      error("on purpose", 0)
    end)
    support.raises("this tensor was closed", leaked.sum, leaked)
  end)

  it("return tables that are 200,000 deep, in circles, or keys", function()
    local deep, wide, keyed = nil, nil, nil
    support.no_leak(function()
      local r = co.tidy(function()
        deep, wide = { co.full(1, 1) }, {}
        for i = 1, 200000 do deep = { deep, i % 50000 == 0 and co.full(i, 1) or nil } end
        for i = 1, 1000 do wide[i] = { wide, co.full(i, 1) } end
        keyed = { [co.full(3, 1)] = true }
        return { deep, wide, keyed, deep }
      end)
      assert.equal(deep, r[4])
      local count = 0
      while type(deep) == "table" do
        if deep[2] then count = count + deep[2][1] end
        if core.is_tensor(deep[1]) then count = count + deep[1][1] end
        deep = deep[1]
      end
      assert.equal(50000 + 100000 + 150000 + 200000 + 1, count)
      assert.equal(1000, wide[1000][2][1])
      assert.equal(3, (next(keyed))[1])
      deep, wide, keyed = nil, nil, nil
    end)
  end)

  it("that the whole process sees refuse a yield in one line, and end", function()
    local function inside(f) return coroutine.wrap(f) end
    support.raises("profile: expected a function that runs to its end, found one that yields",
      inside(function() co.profile(coroutine.yield) end))
    local profile = co.profile(function() return w * 2 end)
    assert.equal(1, profile.calls)
    local layer = co.nn.Linear { 2, 2 }
    local m = co.nn.Sequential { layer }:eval()
    layer:hook(function() coroutine.yield() end)
    support.raises("freeze: expected a function that runs to its end, found one that yields",
      inside(function() m:freeze():forward(co.zeros(1, 2)) end))
    layer:unhook()
    assert.same({ 1, 2 }, m:freeze():forward(co.zeros(1, 2)).shape)
    local f = co.Function { name = "halts", forward = function(_, x) return x + 0 end, backward = coroutine.yield }
    support.raises("halts: backward: expected a function that runs to its end, found one that yields",
      inside(function() f(w):sum():backward() end))
    w.grad = nil
  end)

  it("let forward of co.Function yield, with what others record unchanged", function()
    local f = co.Function {
      forward = function(ctx, x)
        ctx:save(x)
        coroutine.yield(records())
        return x * 3
      end,
      backward = function(_, g) return g * 3 end,
    }
    local c = coroutine.wrap(function() return f(w) end)
    assert.is_false(c())
    assert.is_true(records())
    local y = c()
    y:sum():backward()
    assert.same({ 3, 3 }, w.grad:totable())
    w.grad = nil
  end)

  it("want a function", function()
    for _, name in ipairs { "tidy", "no_grad" } do
      support.raises(name .. ": expected a function, found nil", co[name])
      support.raises(name .. ": expected a function, found 5", co[name], 5)
      assert.equal(3, co[name](setmetatable({}, { __call = function(_, x) return x end }), 3))
    end
  end)
end)
