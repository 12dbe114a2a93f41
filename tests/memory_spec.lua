-- Memory over time. When it ends in the middle of a training step: one clear line, and a session that goes on as if
-- nothing had been tried (single allocations are in the faults specs; here the limit of co.memory is what fails). When
-- there are many steps: a process that does not grow.
local co = require "cohesiv"
local core = require "cohesiv.core"
local faults = require "tests.faults"
local support = require "tests.support"

local MB = 1e6

-- Runs f(…) with room for `bytes` more bytes of tensors.
local function within(bytes, f, ...)
  local limit = co.memory().limit
  local before = co.memory { empty_cache = true }.live
  co.memory { limit = before + bytes }
  local result = table.pack(pcall(f, ...))
  co.memory { limit = limit }
  return table.unpack(result, 1, result.n)
end

local function numbers(t) return t:detach():reshape({ -1 }):totable() end

local function state(parameters, optimiser)
  local all = { steps = optimiser.steps }
  for i, p in ipairs(parameters) do all[i] = { numbers(p), numbers(optimiser.m[i]), numbers(optimiser.v[i]) } end
  return all
end

local function network()
  co.seed(1)
  local nn = co.nn
  local net = nn.Sequential {
    nn.ConvBN { 3, 16, 3, padding = 1, act = "relu" }, nn.ConvBN { 16, 16, 3, padding = 1, act = "relu" },
    nn.ConvBN { 16, 8, 3, padding = 1 },
  }
  local parameters = net:parameters()
  return net, parameters, co.optim.AdamW(parameters, { lr = 1e-2 })
end

local function step(net, optimiser, images)
  return co.tidy(function()
    optimiser:zero_grad()
    local loss = net(images):square():mean()
    loss:backward()
    optimiser:step()
    optimiser:zero_grad()
    return loss:item()
  end)
end

describe("out of memory in the middle of a training step", function()
  local side = support.small and 32 or 64

  it("raises one line with sizes and the largest tensors, and leaves everything as it was", function()
    local net, parameters, optimiser = network()
    local small, large = co.randn(1, side, side, 3), co.randn(8, side, side, 3)
    step(net, optimiser, large)
    co.memory { reset_peak = true }
    local base = support.bytes()
    step(net, optimiser, large)
    assert.equal(base, support.bytes())
    local need = co.memory().peak - base
    local failed, passed = 0, 0
    for share = 2, 110, support.small and 12 or 4 do
      local before = state(parameters, optimiser)
      local ok, message = within(need * share / 100, step, net, optimiser, large)
      if ok then passed = passed + 1
      else
        failed = failed + 1
        assert.is_true(faults.is_clear(message), message)
        assert.is_truthy(message:find "out of memory: [%d.]+ MB asked for, [%d.]+ MB in use, limit [%d.]+ MB", message)
        local large_ones = tonumber(message:match "([%d.]+) MB in use") > 2
        if large_ones then assert.is_truthy(message:find("; the largest: float32 ", 1, true), message) end
        optimiser:zero_grad()
        assert.same(before, state(parameters, optimiser))
      end
      assert.is_true(co.grad_enabled == nil and core.grad_enabled())
      assert.equal(base, support.bytes())
      assert.equal("number", type(step(net, optimiser, small))) -- a smaller batch works at once
    end
    assert.is_true(failed >= 5 and passed >= 1, ("%d failed, %d passed"):format(failed, passed))
  end)

  it("does not change what the next steps compute", function()
    local images = co.randn(4, side, side, 3)
    local net, parameters, optimiser = network()
    for _ = 1, 3 do step(net, optimiser, images) end
    local undisturbed = state(parameters, optimiser)
    net, parameters, optimiser = network()
    for i = 1, 3 do
      local ok = within(0.3 * MB * i, step, net, optimiser, images)
      assert.is_false(ok)
      step(net, optimiser, images)
    end
    assert.same(undisturbed, state(parameters, optimiser))
  end)

  it("leaves no half-made gradient, and all threads at work", function()
    local threads = co.threads()
    co.threads(2)
    local x, w = co.tensor({ 1, 2, 3 }, { requires_grad = true }), co.tensor({ 5 }, { requires_grad = true });
    (x * x):sum():backward()
    local huge = (x:reshape(3, 1, 1) * co.ones(1, 300, 300)):exp():sum() * w -- w's gradient is there first
    local ok, message = within(0.5 * MB, huge.backward, huge)
    assert.is_false(ok)
    assert.is_true(faults.is_clear(message), message)
    assert.is_nil(w.grad)
    assert.same({ 2, 4, 6 }, x.grad:totable()) -- nothing was added
    co.tidy(function() (x * x * w):sum():backward() end)
    assert.same({ 12, 24, 36 }, x.grad:totable())
    assert.equal(14, w.grad:item())
    assert.equal(2, co.threads())
    local big = co.ones(300, 300, 12)
    assert.equal(300 * 300 * 12, big:sum():item())
    co.threads(threads)
  end)

  it("lets AdamW's step happen wholly or not at all, also when Lua's own memory ends", function()
    local threads = co.threads()
    co.threads(1)
    local function trained(disturb)
      co.seed(3)
      local parameters = { views = {} }
      for i = 1, 4 do
        parameters[i] = co.randn(5, i, { requires_grad = true })
        parameters.views[i] = parameters[i]:detach() -- shared: the update must copy
      end
      local optimiser = co.optim.AdamW(parameters, { lr = 0.1 })
      local loss = co.tensor(0);
      for i, p in ipairs(parameters) do
        if i ~= 3 then loss = loss + p:square():sum() end
      end
      loss:backward()
      if disturb then disturb(parameters, optimiser) end
      optimiser:step()
      return state(parameters, optimiser)
    end
    local expected = trained()
    for _, whose in ipairs { "library", "lua" } do
      local tried = 0
      for k = 1, 200 do
        local failed
        local found = trained(function(parameters, optimiser)
          local before, step_of = state(parameters, optimiser), optimiser.step
          local ok, message
          ok, message, failed = faults.once(whose, k, step_of, optimiser)
          if failed and not ok then
            assert.is_true(faults.is_clear(message), message)
            assert.same(before, state(parameters, optimiser))
          elseif ok then
            optimiser.step = function() end
          end
        end)
        assert.same(expected, found)
        if not failed then break end
        tried = tried + 1
      end
      assert.is_true(tried > 5, whose)
    end
    co.threads(threads)
  end)
end)

describe("a long run", function()
  it("of training steps does not grow, in co.tidy or without", function()
    if support.small then return pending "a program of its own, in the release build" end
    for _, words in ipairs { { "--steps", "2000" }, { "--steps", "2000", "--untidy" } } do
      local run = support.run({ "lua5.4", support.root .. "/lua/cohesiv/main.lua",
        support.root .. "/experiments/bench/steps.lua", table.unpack(words) }, { dir = support.root })
      assert.equal(0, run.status, run.stdout .. run.stderr)
      assert.is_truthy(run.stdout:find("\nmemory did not grow\n$"), run.stdout)
    end
  end)

  -- Handles have finalizers and live for two of the collector's cycles: what they take must not add up.
  it("of ops alone does not let Lua's memory grow", function()
    local x, most, others = co.ones(4), 0, {}
    for i = 1, 30000 do others[i] = { i } end -- what else the collector has to look at
    local function ops()
      for _ = 1, 100 do x:relu() end
    end
    collectgarbage()
    local limit = collectgarbage "count" + 12000
    for _ = 1, support.small and 1500 or 6000 do
      co.tidy(ops)
      most = math.max(most, collectgarbage "count")
    end
    assert.is_true(#others > 0 and most <= limit, ("expected at most %.0f KB, found %.0f"):format(limit, most))
  end)
end)

describe("large blocks", function()
  -- Tensors of random sizes come and go; each is filled with its own number, which must be there when it goes.
  it("never share memory", function()
    local held = {}
    co.seed(8)
    local draws = co.rand(3 * 4000):totable()
    local function drop(slot)
      local t, n = held[slot][1], held[slot][2]
      assert.equal(n, t:min():item())
      assert.equal(n, t:max():item())
      t:close()
      held[slot] = nil
    end
    for i = 1, #draws, 3 do
      local slot = 1 + math.floor(draws[i] * 24)
      if held[slot] then drop(slot) end
      if draws[i + 1] < 0.7 then
        held[slot] = { co.full(i, math.floor(12000 + 2 ^ (18 * draws[i + 2]))), i }
      elseif draws[i + 1] < 0.72 then
        co.memory { empty_cache = true }
      end
    end
    for slot in pairs(held) do drop(slot) end
  end)

  it("that are given back fit what is asked for next, whatever its size", function()
    if support.small then return pending "the release build, where pages are kept" end
    collectgarbage()
    co.memory { empty_cache = true, reset_peak = true }
    local base = co.memory().live
    local function total() return co.memory().live + co.memory().cached - base end
    local blocks = {}
    for i = 1, 16 do blocks[i] = co.full(i, 250000) end
    for _, first in ipairs { 1, 2 } do -- every other one, then those between
      for i = first, 16, 2 do blocks[i]:close() end
    end
    assert.equal(base, co.memory().live)
    assert.is_true(total() > 15.9 * MB and total() < 16.2 * MB, total())
    for _, sizes in ipairs { { 4000000 }, { 1300000, 2700000 }, { 70000, 30000, 3900000 } } do
      local now = {}
      for i, n in ipairs(sizes) do now[i] = co.full(i, n) end
      assert.is_true(total() < 16.2 * MB, total())
      for _, t in ipairs(now) do t:close() end
    end
    assert.equal(0, co.memory { empty_cache = true }.cached)
  end)

  it("count towards the limit as pages, and those kept go first", function()
    local limit = co.memory().limit
    local base = co.memory { empty_cache = true }.live
    co.memory { limit = base + 6 * MB }
    co.full(1, 1000000):close() -- 4 MB, kept
    local a = co.full(2, 700000) -- from what is kept
    local ok, message = pcall(co.full, 3, 1000000)
    local b = co.full(4, 700000)
    co.memory { limit = limit }
    assert.is_false(ok)
    assert.is_true(faults.is_clear(message), message)
    assert.equal(6 * 700000, (a:sum() + b:sum()):item())
    a:close()
    b:close()
  end)
end)

-- Programs of their own: the limits are the process's. Products before and after tensors took all that they may.
describe("limits of the system", function()
  local script = support.write(support.temp() .. "/fill.lua", [[
    local co = require "cohesiv"
    local a = co.ones(600, 600)
    local function product() return a:matmul(a)[{ 600, 600 }] end
    local first, kept, ok = product(), {}, true
    for i = 1, 4000 do
      ok, kept[i] = pcall(co.zeros, 1000, 1000)
      if not ok then break end
    end
    assert(not ok, "expected the limit to be reached")
    assert(kept[#kept]:find("out of memory", 1, true), kept[#kept])
    print(first, product(), #kept - 1)
  ]])
  local function fill(before, options)
    return support.run(before .. (" lua5.4 %s/lua/cohesiv/main.lua %s"):format(support.root, script), options)
  end

  for _, kind in ipairs { "-v", "-d" } do
    it("of address space, ulimit " .. kind .. ", leave room for products, or are told in one line", function()
      for _, megabytes in ipairs { 100, 150, 200, 300, 400, 600, 900, 1300 } do
        local result = fill(("ulimit %s %d &&"):format(kind, megabytes << 10), { env = { COHESIV_THREADS = "2" } })
        if result.status == 0 then
          local first, last, count = result.stdout:match "^(%S+)%s+(%S+)%s+(%d+)\n$"
          assert.equal("600.0", first)
          assert.equal("600.0", last)
          assert.is_true(tonumber(count) * 4 < megabytes)
        else
          assert.is_true(megabytes < 600, result.stderr)
          support.refuses(result, 1, "out of memory")
        end
      end
    end)
  end

  it("of more threads than there is room for are told in one line", function()
    local result = fill(("ulimit -v %d &&"):format(2000 << 10), { env = { COHESIV_THREADS = "40" } })
    support.refuses(result, 1, "out of memory")
  end)

  -- Group v1 or v2, where this user may make one.
  local function group(bytes)
    for _, file in ipairs { "/sys/fs/cgroup/memory/%s/memory.limit_in_bytes", "/sys/fs/cgroup/%s/memory.max" } do
      local name = ("cohesiv-test-%s"):format(support.temp():match "%w+%.d$")
      local path = file:format(name)
      local folder = path:match "^(.*)/"
      local made = support.run(("mkdir %s && echo %d >%s"):format(folder, bytes, path))
      if made.status == 0 then return folder end
      support.run("rmdir " .. folder)
    end
  end
  local probe = group(1 << 30)
  if probe then support.run("rmdir " .. probe) end
  local it_in_group = probe and it or function(name) pending(name .. ": no control group can be made here") end

  it_in_group("of a control group are kept to", function()
    local folder = group(400 << 20)
    local result = fill(("echo $$ >%s/cgroup.procs && exec"):format(folder))
    support.run(("sleep 0.2; rmdir %s"):format(folder))
    assert.equal(0, result.status, result.stderr)
    local first, last, count = result.stdout:match "^(%S+)%s+(%S+)%s+(%d+)\n$"
    assert.equal("600.0", first)
    assert.equal("600.0", last)
    assert.is_true(tonumber(count) > 50 and tonumber(count) * 4 < 400, count)
  end)
end)
