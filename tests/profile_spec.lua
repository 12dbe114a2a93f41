-- co.profile: rows, sums and bytes of a known computation, nesting, the printed table, the trace file, errors, and that
-- nothing of it stays on.
local co = require "cohesiv"
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"
local support = require "tests.support"

local function row_of(profile, name, pass)
  for _, row in ipairs(profile) do
    if row.name == name and row.pass == (pass or "forward") then return row end
  end
end

local function step()
  local x = co.randn(32, 64)
  local w = co.randn(16, 64, { requires_grad = true })
  co.matmul(x, w, false, true):relu():sum():backward()
  return "done", w
end

describe("co.profile", function()
  it("returns a row per op and pass, and what the function returns", function()
    local profile, result, w = co.profile(step)
    assert.equal("done", result)
    assert.same({ 16, 64 }, w.grad.shape)
    local names = {}
    for _, row in ipairs(profile) do
      names[row.pass .. " " .. row.name] = row.calls
      assert.is_true(row.seconds >= 0 and row.share >= 0 and row.share <= 1)
    end
    assert.same({ ["forward matmul"] = 1, ["forward relu"] = 1, ["forward sum"] = 1, ["backward matmul"] = 1,
      ["backward relu"] = 1, ["backward sum"] = 1 }, names)
    assert.equal(6, profile.calls)
    assert.equal(0, profile.lost)
    for i = 2, #profile do assert.is_true(profile[i].seconds <= profile[i - 1].seconds) end
  end)

  it("counts bytes and operations", function()
    local profile = co.profile(step)
    local forward, backward = row_of(profile, "matmul"), row_of(profile, "matmul", "backward")
    assert.equal(4 * (32 * 64 + 16 * 64), forward.read)
    assert.equal(4 * 32 * 16, forward.written)
    assert.equal(2 * 32 * 64 * 16, forward.flops)
    assert.equal(2 * 32 * 64 * 16, backward.flops) -- only w wants a gradient
    assert.equal(4 * 16 * 64, backward.written)
    local view = co.profile(function() return co.ones(10):reshape(2, 5) end)
    assert.equal(0, view[1].read + view[1].written)
    local p = co.ones(100, { requires_grad = true })
    p.grad = co.ones(100)
    local adamw = co.profile(co.optim.AdamW({ p }).step, co.optim.AdamW { p })
    assert.equal(3 * 400, row_of(adamw, "adamw").written)
    local conv = co.profile(co.conv2d, co.randn(2, 8, 8, 4), co.randn(6, 3, 3, 2), { padding = 1, groups = 2 })
    assert.equal(2 * 2 * 8 * 8 * 6 * 9 * 2, conv[1].flops)
  end)

  it("accounts for all of the time, once", function()
    local double = co.Function {
      name = "double",
      forward = function(_, x) return x * 2 end,
      backward = function(_, g)
        core.system.sleep(0.02)
        return g * 2
      end,
    }
    local x = co.ones(3, { requires_grad = true })
    local profile = co.profile(function()
      core.system.sleep(0.02)
      double(x):sum():backward()
    end)
    local sum, shares = profile.outside, profile.outside / profile.seconds
    for _, row in ipairs(profile) do sum, shares = sum + row.seconds, shares + row.share end
    assert.is_true(math.abs(sum - profile.seconds) < 1e-6)
    assert.is_true(math.abs(shares - 1) < 1e-6)
    assert.is_true(profile.outside >= 0.02)
    local own = row_of(profile, "double", "backward") -- without the product inside
    assert.is_true(own.seconds >= 0.02)
    assert.equal(1, row_of(profile, "mul", "forward").calls - 1)
  end)

  it("prints aligned columns, and only the top rows when asked", function()
    local profile = co.profile(step)
    local lines = {}
    for line in tostring(profile):gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(1 + #profile + 2 + 1, #lines)
    assert.is_truthy(lines[1]:find "^op +pass +calls +ms +share +MiB +GiB/s +GFLOP/s$")
    local at = lines[1]:find("share", 1, true) + 4
    for i = 2, #lines - 1 do assert.equal("%", lines[i]:sub(at, at), lines[i]) end
    local top = profile:top(2)
    assert.equal(3, #top)
    assert.equal("4 others", top[3].name)
    assert.equal(4, top[3].calls)
    assert.is_truthy(tostring(top):find("4 others", 1, true))
    assert.equal(6, #profile)
    assert.equal(6, #profile:top(5))
    assert.equal(6, #profile:top(100))
    support.raises("top: expected an integer of at least 1, found 0", profile.top, profile, 0)
    assert.is_truthy(tostring(co.profile(function() end)):find("outside ops", 1, true))
  end)

  it("writes a trace in which everything nests", function()
    local nn = co.nn
    local net = nn.Sequential { nn.Linear { 4, 3 }, nn.Tanh() }
    local profile = co.profile(function() net(co.ones(2, 4)):sum():backward() end)
    local path = support.temp() .. "/trace.json"
    profile:save(path)
    local trace = json.read(path)
    assert.equal("ms", trace.displayTimeUnit)
    local names, calls = {}, {}
    for _, e in ipairs(trace.traceEvents) do
      assert.is_true(e.ph == "X" or e.ph == "M")
      if e.ph == "X" then
        assert.is_true(e.ts >= 0 and e.dur >= 0 and e.ts + e.dur <= profile.seconds * 1e6 + 0.01)
        names[#names + 1], calls[#calls + 1] = e.name, e
      end
    end
    assert.same({ "Sequential", "0", "matmul", "add", "1", "tanh", "sum", "backward", "sum backward", "tanh backward",
      "add backward", "matmul backward" }, names)
    assert.equal("2x3", calls[3].args.shape)
    for i, a in ipairs(calls) do -- two calls lie one in the other, or apart
      for k = i + 1, #calls do
        local b = calls[k]
        local inside = b.ts >= a.ts and b.ts + b.dur <= a.ts + a.dur + 0.002
        assert.is_true(inside or b.ts + 0.002 >= a.ts + a.dur)
      end
    end
  end)

  it("writes the trace whole or not at all", function()
    local profile = co.profile(step)
    local folder = support.temp()
    support.raises(folder .. "/none/trace.json", profile.save, profile, folder .. "/none/trace.json")
    support.raises("save: expected a path, found nil", profile.save, profile)
    assert.same({}, support.list(folder))
  end)

  it("is off again afterwards, whatever happened", function()
    local call = co.nn.Module.__call
    support.raises("boom", co.profile, function() error("boom", 0) end)
    support.raises("profile: expected no other profile under way", co.profile, function() co.profile(step) end)
    support.raises("expected a function, found nil", co.profile)
    assert.equal(call, co.nn.Module.__call)
    assert.equal(-1, core.profile_enter "x")
    local profile = co.profile(function()
      local function fail() error "inside" end
      pcall(co.nn.Module.new(fail))
      pcall(co.matmul, co.ones(2, 2), co.ones(3, 3))
      co.ones(2):relu()
    end)
    local sum = profile.outside
    for _, row in ipairs(profile) do sum = sum + row.seconds end
    assert.is_true(math.abs(sum - profile.seconds) < 1e-6)
    assert.equal(1, row_of(profile, "relu").calls)
  end)

  it("takes a thing that can be called, and keeps no tensors alive", function()
    local net = co.nn.Linear { 4, 3 }
    local profile, y = co.profile(net, co.ones(2, 4))
    assert.same({ 2, 3 }, y.shape)
    assert.equal("Linear", profile.events[1].name)
    y:close()
    support.no_leak(function() co.tidy(co.profile, step) end)
  end)

  it("stops keeping calls at its limit, and says so", function()
    if support.small then return end
    local x = co.ones(1)
    local profile = co.profile(co.no_grad, function()
      for _ = 1, (1 << 18) + 10 do x:relu():close() end
    end)
    assert.equal(10, profile.lost)
    assert.equal(1 << 18, profile.calls)
    assert.is_truthy(tostring(profile):find("10 calls more were not kept", 1, true))
  end)
end)
