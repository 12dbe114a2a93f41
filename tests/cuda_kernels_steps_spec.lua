-- Whole steps on a GPU take few launches: updates of all parameters at once.
local captured = require "cohesiv.tensor.captured"
local co = require "cohesiv"
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local scaling = require "cohesiv.train.scaling"
local support = require "tests.support"

-- Parameters of these sizes with gradients, on a device; the same numbers on every one. Every third has no gradient.
local function parameters(sizes, device)
  co.seed(4)
  local list = {}
  for i, n in ipairs(sizes) do
    local p, g = co.randn(n), co.randn(n)
    list[i] = p:to(device)
    list[i].requires_grad = true
    if i % 3 > 0 then list[i].grad = g:to(device) end
  end
  return list
end

local optimisers = {
  AdamW = function(p) return co.optim.AdamW(p, { lr = 0.1, weight_decay = 0.2 }) end,
  SGD = function(p) return co.optim.SGD(p, { lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 0.1 }) end,
  ["plain SGD"] = function(p) return co.optim.SGD(p, { lr = 0.1 }) end,
}

for name, make in pairs(optimisers) do
  it(name .. " updates all parameters in one launch, as the CPU does one after the other", function()
    local sizes = { 1, 5, 4096, 4097, 7, 8192, 0, 30000, 3 }
    for i = 10, 60 do sizes[i] = i end
    local results = {}
    for k, device in ipairs { "cpu", "cuda" } do
      local p = parameters(sizes, device)
      local optimiser = make(p)
      for step = 1, 3 do
        optimiser.lr = 0.1 / step
        local before = device == "cuda" and support.launches()
        optimiser:step()
        if before then assert.equal(before + 2, support.launches()) end -- the numbers of the step, and the update
      end
      results[k] = p
    end
    for i, a in ipairs(results[1]) do
      if #a > 0 then
        assert.is_true(support.difference(a:detach(), results[2][i]:detach():to "cpu") < 1e-6, name .. " " .. i)
      end
    end
  end)
end

it("more parameters than a launch carries take another one", function()
  local sizes, results = {}, {}
  for i = 1, 1300 do sizes[i] = i % 4 + 1 end
  for k, device in ipairs { "cpu", "cuda" } do
    local p = parameters(sizes, device)
    local optimiser, before = optimisers.AdamW(p), device == "cuda" and support.launches()
    optimiser:step()
    if before then assert.equal(before + 3, support.launches()) end
    results[k] = co.cat(p):detach():to "cpu"
  end
  assert.is_true(support.difference(results[1], results[2]) < 1e-6)
end)

it("an op alone reads its parameters as they are given", function()
  local p, g, v = co.ones(3, { device = "cuda" }), co.ones(3, { device = "cuda" }), co.zeros(3, { device = "cuda" })
  co.sgd(p, g, v, { lr = 0.5, momentum = 0.9 })
  assert.same({ 0.5, 0.5, 0.5 }, p:totable())
  assert.same({ 1, 1, 1 }, v:totable())
end)

it("norms, clipped gradients and averages take one launch for all, and are the CPU's", function()
  local sizes, results = { 1, 5, 4096, 4097, 0, 30000, 3 }, {}
  for i = 8, 40 do sizes[i] = i end
  for k, device in ipairs { "cpu", "cuda" } do
    local p = parameters(sizes, device)
    local held = p[2].grad
    local before = held:totable()
    local count = device == "cuda" and support.launches()
    local norm = co.optim.clip_norm(p, 3)
    if count then assert.equal(count + 3, support.launches()) end -- squares, factor, all
    assert.same(before, held:totable()) -- who holds a gradient keeps it
    count = device == "cuda" and support.launches()
    co.optim.scale_gradients(p, 0.5)
    if count then assert.equal(count + 2, support.launches()) end -- the factor, and all of them
    local list = {}
    for i, t in ipairs(p) do list[i] = t.grad and t.grad:to "cpu" or co.zeros(0) end
    local to, from = {}, {}
    for i, t in ipairs(p) do to[i], from[i] = t:detach():clone(), t:detach() * 2 end
    count = device == "cuda" and support.launches()
    core.ops.lerp.each({ to, from }, nil, 0.25)
    if count then assert.equal(count + 2, support.launches()) end
    for i, t in ipairs(to) do list[#p + i] = t:to "cpu" end
    results[k] = { norm, co.cat(list) }
  end
  assert.is_true(math.abs(results[1][1] - results[2][1]) < 1e-5 * results[1][1])
  assert.is_true(support.difference(results[1][2], results[2][2]) < 1e-6)
end)

it("losses take a launch for each pass over their maps", function()
  local Z, Q, K = co.randn(3, 40, 41, 8), co.randn(3, 40, 41, 8), co.randn(3, 40, 41, 8)
  local inputs = { embedding_loss = { Z, co.ones(3, 40, 41) },
    responsibility_loss = { Q, K, co.rand(2, 40, 41), co.zeros(2, 2), co.tensor { 1, 3 } } }
  for name, passes in pairs { embedding_loss = { 2, 1 }, responsibility_loss = { 1, 1 } } do
    local list = {}
    for i, t in ipairs(inputs[name]) do list[i] = t:to "cuda" end
    list[1].requires_grad = true
    if name == "responsibility_loss" then list[2].requires_grad = true end
    local before = support.launches()
    local loss = core.ops[name].call(table.unpack(list))
    local forward = support.launches() - before
    local gradient = co.ones({ device = "cuda" })
    before = support.launches()
    loss:backward(gradient)
    assert.same(passes, { forward, support.launches() - before }, name)
  end
end)

it("rounded weights are the same ones until they change, and many take one launch", function()
  local x, weights = co.randn(1, 6, 6, 8, { device = "cuda" }):to "bfloat16", {}
  for i = 1, 3 do weights[i] = co.randn(8, 3, 3, 8, { device = "cuda" }) end
  local function outputs()
    local before, list = support.launches(), {}
    for i, w in ipairs(weights) do list[i] = core.ops.conv2d.call(x, w, nil, nil, { 1, 1 }) end
    local count = support.launches() - before
    return co.stack(list):to("float32"):totable(), count
  end
  local expected, alone = outputs()
  local before = support.launches()
  core.ops.round_weights.each({ weights }, nil, "bfloat16")
  assert.equal(before + 1, support.launches())
  local found, kept = outputs()
  assert.same(expected, found)
  assert.equal(alone - 3, kept)
  co.lerp(weights[2], weights[1], 1) -- another weight: what was kept is not taken
  found, kept = outputs()
  assert.same(found[1], found[2])
  assert.equal(alone - 2, kept)
  core.ops.round_weights.each({ weights }, nil, "bfloat16")
  assert.same({ found, alone - 3 }, { outputs() })
  core.ops.round_weights.each({ weights }, nil, "float16")
  assert.same({ found, alone - 3 }, { outputs() }) -- beside the others
end)

describe("work that is recorded", function()
  local function gpu(...) return co.randn({ ... }, { device = "cuda" }) end

  it("gives for other inputs what calls give, in one launch", function()
    local w = gpu(6, 5)
    local function f(x) return (x:matmul(w):relu() * 2):sum(2), x + 1 end
    local x = gpu(4, 6)
    local run = assert(core.capture(function(...) return co.tidy(f, ...) end, { x }, { f(x) }))
    for _ = 1, 3 do
      local y = gpu(4, 6)
      local a, b = f(y)
      local before = support.launches()
      local c, d = run(y)
      assert.equal(before + 1, support.launches())
      assert.same({ a:totable(), b:totable() }, { c:totable(), d:totable() })
    end
    support.raises("capture: input 1: expected float32 4x6, found float32 4x5", run, gpu(4, 5))
  end)

  it("reads what lies in its state's place when it runs", function()
    local w = co.ones(3, { device = "cuda" })
    local function f(x) return x * w end
    local x = co.ones(3, { device = "cuda" })
    local run = assert(core.capture(f, { x }, { f(x) }))
    core.own(w)
    w:fill(5)
    assert.same({ 5, 5, 5 }, run(x):totable())
  end)

  it("is refused where something is read on the host, shared state is written to, or memory is kept", function()
    local x, kept = co.ones(3, { device = "cuda" }), nil
    local function refused(why, f)
      local run, message = core.capture(f, { x }, { x })
      assert.is_nil(run)
      assert.is_truthy(message:find(why, 1, true), message)
      assert.same({ 1, 1, 1 }, x:totable()) -- all goes on as before
    end
    refused("expected nothing of the host's, found a copy of 4 bytes", function(y) return y * y:sum():item() end)
    refused("expected nothing of the host's", function(y) return y + co.randn(100):to("cuda"):sum() end)
    refused("expected all memory to be given back, found 1 blocks", function(y)
      kept = y + 1
      return y * 2
    end)
    kept:close()
    local state = co.zeros(3, { device = "cuda" })
    local seen = state:detach()
    refused("expected a tensor of its own to write to", function(y)
      co.lerp(state, y, 0.5)
      return y * 2
    end)
    assert.same({ 0, 0, 0 }, seen:totable())
    refused("no luck", function() error("no luck", 0) end)
    refused("expected 1 outputs, found 2", function(y) return y * 2, y * 3 end)
    assert(core.capture(function(y) return y * 2 end, { x }, { x }))
  end)

  it("trains in the same bits with and without, in every precision, clipped and scaled", function()
    local halves = { bf16 = "bfloat16", fp16 = "float16" }
    for _, precision in ipairs { "bf16", "fp16", "tf32" } do
      local results, kernels = {}, {}
      for k, graphs in ipairs { "off", "on" } do
        core.system.setenv("COHESIV_GRAPHS", graphs)
        core.tf32(precision == "tf32")
        co.seed(5)
        local model = co.nn.Sequential { co.nn.Conv2d { 3, 8, 3, padding = 1 }, co.nn.BatchNorm2d(8), co.nn.ReLU(),
          co.nn.Conv2d { 8, 8, 3, padding = 1, groups = 2 }, co.nn.Conv2d { 8, 4, 1 } }:to "cuda"
        local optimiser = co.optim.AdamW(model:parameters(), { lr = 1e-2 })
        local state, weights = optimiser:tensors(), {}
        for _, b in model:named_buffers() do state[#state + 1] = b end
        for _, p in ipairs(model:parameters()) do
          if #p.shape == 4 then weights[#weights + 1] = p end
        end
        local half = halves[precision]
        local scaled = precision == "fp16" and scaling.of "cuda" or nil
        local clip = precision ~= "tf32" and 0.05 or nil
        if scaled then table.move(scaled:tensors(), 1, 2, #state + 1, state) end
        local step = captured(function(x, label)
          if half then
            x = x:to(half)
            core.ops.round_weights.each({ weights }, nil, half)
          end
          local loss = co.embedding_loss(model:forward(x), label)
          loss:backward(scaled and scaled.scale)
          optimiser:update(clip, scaled)
          optimiser:zero_grad()
          return loss:detach()
        end, state)
        local losses = {}
        for i = 1, 5 do
          local x, label = gpu(2, 5, 6, 3), (co.rand(2, 5, 6):gt(0.5) + 1):to "cuda"
          local seen = i == 2 and lists.map(state, function(t) return t:detach() end) -- as one who looks at weights
          if i == 4 and scaled then scaled:restore { scale = 2.0 ^ 120, good = 1 } end -- this step changes no weight
          optimiser:advance()
          local before = support.launches()
          losses[i] = co.tidy(step, x, label):item()
          for _, t in ipairs(seen or {}) do t:close() end
          kernels[i] = support.launches() - before
        end
        results[k] = { losses, co.cat(lists.map(state, function(t) return t:detach():reshape { -1 } end)):totable() }
      end
      core.system.setenv("COHESIV_GRAPHS", "on")
      core.tf32(false)
      assert.same(results[1], results[2], precision)
      assert.is_true(kernels[1] > 10)
      assert.same({ 1, 1, 1 }, { kernels[3], kernels[4], kernels[5] }, precision)
    end
  end)

  it("trains in the same bits with and without, whatever comes between", function()
    local results, kernels = {}, {}
    for k, graphs in ipairs { "off", "on" } do
      core.system.setenv("COHESIV_GRAPHS", graphs)
      co.seed(5)
      local model = co.nn.Sequential { co.nn.Conv2d { 3, 4, 3, padding = 1 }, co.nn.BatchNorm2d(4), co.nn.ReLU(),
        co.nn.Conv2d { 4, 2, 1 } }:to "cuda"
      local optimiser = co.optim.AdamW(model:parameters(), { lr = 1e-2 })
      local state = optimiser:tensors()
      for _, b in model:named_buffers() do state[#state + 1] = b end
      local step = captured(function(x, y)
        local loss = (model:forward(x) - y):square():mean()
        loss:backward()
        optimiser:update()
        optimiser:zero_grad()
        return loss:detach()
      end, state)
      local losses, snapshot = {}, nil
      for i = 1, 9 do
        local n = i == 6 and 3 or 2 -- other shapes in between
        local x, y = co.randn(n, 5, 6, 3):to "cuda", co.randn(n, 5, 6, 2):to "cuda"
        optimiser.lr = 1e-2 / i
        optimiser:advance()
        local before = support.launches()
        losses[i] = co.tidy(step, x, y):item()
        kernels[i] = support.launches() - before
        if i == 4 then snapshot = model:parameters()[1]:detach() end -- the next step writes to a copy of it
      end
      results[k] = { losses, snapshot:totable(), co.cat(lists.map(state, function(t)
        return t:detach():reshape { -1 }
      end)):totable() }
    end
    core.system.setenv("COHESIV_GRAPHS", "on")
    assert.same(results[1], results[2])
    assert.same({ 1, 1 }, { kernels[3], kernels[4] })
    assert.is_true(kernels[1] > 10 and kernels[5] > 10 and kernels[6] > 10)
    assert.same({ 1, 1, 1 }, { kernels[7], kernels[8], kernels[9] })
  end)

  it("holds memory that is told, and gives it back", function()
    local function held()
      for _, d in ipairs(co.devices()) do
        if d.kind == "cuda" then return d.memory.graphs end
      end
    end
    collectgarbage()
    collectgarbage()
    local before = held()
    do
      local step = captured(function(x) return (x * 2 + 1):sum() end, {})
      for _ = 1, 4 do co.tidy(step, gpu(1000)) end
      local more = held() - before
      assert.equal(held(), co.memory().cuda.graphs)
      assert.is_true(more >= 2 * 4000 and more < 64000, more) -- x * 2, and that + 1
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, held())
  end)

  it("takes what is cached for a graph's memory", function()
    local function memory() return co.memory().cuda end
    co.zeros({ 3 << 20 }, { device = "cuda" }):close() -- which the pool keeps
    local cached = memory().cached
    assert.is_true(cached >= 12 << 20)
    core.system.setenv("COHESIV_CUDA_MEMORY", tostring(memory().live + cached + memory().graphs + 4096))
    local step = captured(function(x) return (x * 2 + 1):sum() end, {})
    local x, before = co.ones({ 1 << 18 }, { device = "cuda" }), support.launches()
    for i = 1, 4 do
      before = support.launches()
      assert.equal(3 << 18, co.tidy(step, x):item(), "call " .. i)
    end
    assert.equal(before + 1, support.launches())
    core.system.setenv("COHESIV_CUDA_MEMORY")
    assert.is_true(memory().cached < cached)
  end)

  it("is computed call by call where a graph finds no memory, before it was recorded and after", function()
    local w = gpu(6, 5)
    local function f(x) return (x:matmul(w) * 2):sum(2) end
    local frozen = co.nn.Sequential { co.nn.Conv2d { 6, 5, 1 } }:to("cuda"):eval():freeze()
    local image = gpu(1, 2, 2, 6)
    local expected = frozen:forward(image):totable()
    for _, passes in ipairs { 1, 3 } do
      local step = captured(f, {})
      local x = gpu(4, 6)
      for _ = 1, passes do co.tidy(step, x) end
      core.system.setenv("COHESIV_CUDA_CROWDED", "1")
      for _ = 1, 3 do
        assert.same(f(x):totable(), co.tidy(step, x):totable())
        assert.same(expected, frozen:forward(image):totable())
      end
      core.system.setenv("COHESIV_CUDA_CROWDED")
      for _ = 1, 3 do frozen:forward(image) end
    end
  end)

  it("says once why it is not", function()
    local warn, said = require "cohesiv.base.warn", {}
    local write = warn.write
    warn.write = function(line) said[#said + 1] = line end
    local step = captured(function(x) return x * x:sum():item() end, {})
    for _ = 1, 5 do co.tidy(step, gpu(3)) end
    warn.write = write
    assert.equal(1, #said)
    assert.is_truthy(said[1]:find("computed call by call: .*expected nothing of the host's"), said[1])
  end)

  it("is a frozen network's third pass", function()
    co.seed(6)
    local small = co.nn.Sequential { co.nn.Conv2d { 3, 8, 3, padding = 1 }, co.nn.BatchNorm2d(8), co.nn.ReLU(),
      co.nn.Conv2d { 8, 8, 3, padding = 1, groups = 2 }, co.nn.Conv2d { 8, 4, 1 } }
    for _, dtype in ipairs { "float32", "bfloat16", "float16" } do
      local x, frozen, first = gpu(1, 9, 8, 3):to(dtype), small:to("cuda"):eval():freeze(), nil
      for i = 1, 4 do
        local before = support.launches()
        local out = frozen:forward(x)
        local count = support.launches() - before
        assert.is_true(i > 2 == (count == 1), ("%s, pass %d: %d launches"):format(dtype, i, count))
        assert.equal(dtype, out.dtype)
        first = first or out:totable()
        assert.same(first, out:totable(), dtype)
      end
    end
  end)
end)
