-- Optimisers, clipping and schedules: against their formulas and, where there is one, PyTorch; what they leave alone,
-- their state, how schedules go together. The reference file's steps are compared in model_spec.
local co = require "cohesiv"
local support = require "tests.support"

describe("AdamW", function()
  it("follows its formula", function()
    local o = { lr = 0.1, betas = { 0.8, 0.9 }, eps = 1e-3, weight_decay = 0.05 }
    local p = co.tensor({ 1, -2, 0.5 }, { dtype = "float64", requires_grad = true })
    local optimiser, x, m, v = co.optim.AdamW({ p }, o), { 1, -2, 0.5 }, { 0, 0, 0 }, { 0, 0, 0 }
    for step = 1, 4 do
      local g = { step, -0.5, 0.01 * step }
      p.grad = co.tensor(g, { dtype = "float64" })
      optimiser:step()
      for i = 1, 3 do
        m[i], v[i] = 0.8 * m[i] + 0.2 * g[i], 0.9 * v[i] + 0.1 * g[i] ^ 2
        local update = m[i] / (1 - 0.8 ^ step) / (math.sqrt(v[i] / (1 - 0.9 ^ step)) + 1e-3)
        x[i] = x[i] * (1 - 0.1 * 0.05) - 0.1 * update
        assert.is_true(math.abs(x[i] - p[i]) < 1e-12)
      end
    end
    assert.equal(4, optimiser.steps)
    optimiser:zero_grad()
    assert.is_nil(p.grad)
  end)

  it("leaves parameters without a gradient alone", function()
    local a, b = co.ones(2, { requires_grad = true }), co.ones(2, { requires_grad = true })
    local optimiser = co.optim.AdamW { a, b }
    a.grad = co.ones(2)
    optimiser:step()
    assert.is_true(a[1] < 1)
    assert.same({ 1, 1 }, b:totable())
    assert.is_true(a.requires_grad)
  end)

  it("learns, and a graph made before a step keeps its values", function()
    local w, x = co.tensor({ 3, -1 }, { requires_grad = true }), co.tensor { 2, 5 }
    local optimiser = co.optim.AdamW({ w }, { lr = 0.1, weight_decay = 0 })
    local function loss() return ((w - x) ^ 2):sum() end
    local before = loss()
    for _ = 1, 200 do
      co.tidy(function()
        optimiser:zero_grad()
        loss():backward()
        optimiser:step()
      end)
    end
    assert.is_true(loss():item() < 0.01)
    optimiser:zero_grad()
    before:backward()
    assert.same({ 2, -12 }, w.grad:totable())
  end)

  it("goes on from its state", function()
    local function make() return co.tensor({ 1, 2, 3 }, { requires_grad = true }) end
    local a, b = make(), make()
    local one, two = co.optim.AdamW { a }, co.optim.AdamW { b }
    local function step(optimiser, p, k)
      p.grad = co.tensor { k, 1, -k }
      optimiser:step()
    end
    for k = 1, 3 do step(one, a, k) end
    b[{}] = a:detach()
    two:restore(one:state())
    for k = 4, 6 do
      step(one, a, k)
      step(two, b, k)
    end
    assert.same(a:totable(), b:totable())
  end)

  it("refuses what it does not know", function()
    local p = co.ones(1, { requires_grad = true })
    support.raises("AdamW: parameters: expected a list of tensors, found a tensor", co.optim.AdamW, p)
    support.raises("AdamW: parameters: expected a list of tensors, found a table", co.optim.AdamW, { p, 3 })
    support.raises("parameters: expected every tensor once, found one at 1 and again at 3", co.optim.AdamW,
      { p, co.ones(1), p })
    support.raises("lr: expected a number, found string", co.optim.AdamW, { p }, { lr = "x" })
    support.raises("betas: expected a table, found number", co.optim.AdamW, { p }, { betas = 0.9 })
    support.raises("AdamW: betas: second: expected a finite number, found nil", co.optim.AdamW, { p },
      { betas = { 0.9 } })
    support.raises("found learning_rate", co.optim.AdamW, { p }, { learning_rate = 0.1 })
  end)
end)

describe("SGD", function()
  local WIDE = { dtype = "float64", requires_grad = true }

  for _, o in ipairs {
    { lr = 0.1 }, { lr = 0.1, weight_decay = 0.2 }, { lr = 0.1, momentum = 0.9, weight_decay = 0.2 },
    { lr = 0.05, momentum = 0.8, nesterov = true },
  } do
    it(("follows its formula: momentum %g, decay %g, nesterov %s"):format(o.momentum or 0, o.weight_decay or 0,
      o.nesterov or false), function()
      local p = co.tensor({ 1, -2, 0.5 }, WIDE)
      local optimiser, x, v = co.optim.SGD({ p }, o), { 1, -2, 0.5 }, { 0, 0, 0 }
      for step = 1, 4 do
        local g = { step, -0.5, 0.01 * step }
        p.grad = co.tensor(g, { dtype = "float64" })
        optimiser:step()
        for i = 1, 3 do
          local d = g[i] + (o.weight_decay or 0) * x[i]
          v[i] = (o.momentum or 0) * v[i] + d
          x[i] = x[i] - o.lr * (o.nesterov and d + o.momentum * v[i] or v[i])
          assert.is_true(math.abs(x[i] - p[i]) < 1e-12)
        end
      end
    end)
  end

  it("goes on from its state", function()
    local a, b = co.tensor({ 1, 2 }, WIDE), co.tensor({ 1, 2 }, WIDE)
    local s = co.tensor(3, WIDE)
    local o = { lr = 0.1, momentum = 0.9 }
    local one, two = co.optim.SGD({ a, s }, o), co.optim.SGD({ b, s }, { lr = 7, momentum = 0.9 })
    local function step(optimiser, p, k)
      p.grad = co.tensor({ k, -k }, { dtype = "float64" })
      optimiser:step()
      optimiser:zero_grad()
    end
    for k = 1, 3 do step(one, a, k) end
    b[{}] = a:detach()
    two:restore(one:state())
    assert.equal(0.1, two.lr)
    assert.equal(3, two.steps)
    step(one, a, 4)
    step(two, b, 4)
    assert.same(a:totable(), b:totable())
  end)

  it("refuses what it does not know", function()
    local p = co.ones(1, { requires_grad = true })
    support.raises("SGD: parameters: expected a list of tensors, found nil", co.optim.SGD)
    support.raises("SGD: expected lr, momentum, nesterov or weight_decay, found mu", co.optim.SGD, { p }, { mu = 1 })
    support.raises("SGD: momentum: expected a number of 0 to 1, found 2", co.optim.SGD, { p }, { momentum = 2 })
    support.raises("SGD: nesterov: expected a momentum above 0", co.optim.SGD, { p }, { nesterov = true })
    support.raises("sgd: velocity: expected a tensor for momentum 0.9, found none", co.sgd, p, co.ones(1),
      { momentum = 0.9 })
    support.raises("gradient: expected 1 like the parameter, found 2", co.sgd, p, co.ones(2))
  end)

  it("and its state leave no bytes behind", function()
    support.no_leak(function()
      local p = co.ones(100, { requires_grad = true })
      local optimiser = co.optim.SGD({ p }, { momentum = 0.9 })
      co.tidy(function()
        for _ = 1, 3 do
          optimiser:zero_grad();
          (p * p):sum():backward()
          co.optim.clip_norm({ p }, 1)
          optimiser:step()
        end
      end)
    end)
  end)
end)

describe("clipping", function()
  local function parameters()
    local a, b, none = co.zeros(2, { requires_grad = true }), co.zeros(1, { requires_grad = true }),
      co.zeros(3, { requires_grad = true })
    a.grad, b.grad = co.tensor { 3, 0 }, co.tensor { -4 }
    return { a, b, none }
  end

  it("by norm scales all gradients by one factor, and returns the norm", function()
    local list = parameters()
    assert.equal(5, co.optim.clip_norm(list, 10))
    assert.same({ 3, 0 }, list[1].grad:totable())
    assert.equal(5, co.optim.clip_norm(list, 2.5))
    assert.same({ { 1.5, 0 }, { -2 } }, { list[1].grad:totable(), list[2].grad:totable() })
    assert.is_nil(list[3].grad)
    assert.equal(0, co.optim.clip_norm({}, 1))
    support.raises("clip_norm: max: expected a number of at least 0, found nil", co.optim.clip_norm, list)
    support.raises("clip_norm: parameters: expected a list of tensors, found a tensor", co.optim.clip_norm, list[1], 1)
  end)

  it("by value clamps every number", function()
    local list = parameters()
    co.optim.clip_value(list, 3.5)
    assert.same({ { 3, 0 }, { -3.5 } }, { list[1].grad:totable(), list[2].grad:totable() })
    support.raises("clip_value: limit: expected a number of at least 0, found -1", co.optim.clip_value, list, -1)
  end)
end)

describe("schedules", function()
  local function rates(target, schedule, n)
    local list = {}
    for i = 1, n do
      list[i] = tonumber(("%.9g"):format(target.lr))
      schedule:step()
    end
    return list
  end

  it("Step multiplies every so many steps", function()
    local rate = { lr = 8 }
    assert.same({ 8, 8, 4, 4, 2, 2 }, rates(rate, co.optim.Step(rate, { every = 2, factor = 0.5 }), 6))
  end)

  it("Cosine falls along half a cosine to its floor, and stays", function()
    local rate = { lr = 2 }
    assert.same({ 2, 1.75, 1.25, 1, 1 }, rates(rate, co.optim.Cosine(rate, { steps = 3, floor = 0.5 }), 5))
    local other = { lr = 1 }
    local schedule = co.optim.Cosine(other, { steps = 1 })
    schedule:step(0.5) -- a share of the way
    assert.is_true(math.abs(other.lr - 0.5) < 1e-12)
  end)

  it("Warmup rises from the first step on", function()
    local rate = { lr = 4 }
    local schedule = co.optim.Warmup(rate, { steps = 4 })
    assert.same({ 1, 2, 3, 4, 4 }, rates(rate, schedule, 5))
    assert.equal(4, schedule.lr)
  end)

  it("go one on the other, at different paces", function()
    local optimiser = co.optim.SGD({ co.ones(1, { requires_grad = true }) }, { lr = 8 })
    local warmup = co.optim.Warmup(optimiser, { steps = 4 })
    local plateau = co.optim.Plateau(warmup, { patience = 1 })
    local seen = {}
    for epoch = 1, 3 do
      for _ = 1, 2 do
        seen[#seen + 1] = optimiser.lr
        warmup:step()
      end
      plateau:step(epoch == 1 and 1 or 2)
    end
    assert.same({ 2, 4, 6, 8, 4, 4 }, seen)
    assert.equal(2, optimiser.lr)
    local rate = { lr = 16 }
    local below = co.optim.Warmup(rate, { steps = 2 })
    local above = co.optim.Step(below, { every = 1, factor = 0.5 })
    assert.equal(8, rate.lr)
    below:step()
    assert.equal(16, rate.lr)
    above:step()
    assert.equal(8, rate.lr)
  end)

  it("go on from their state", function()
    for _, case in ipairs {
      { co.optim.Step, { every = 2 } }, { co.optim.Cosine, { steps = 9 } }, { co.optim.Warmup, { steps = 5 } },
    } do
      local a, b = { lr = 3 }, { lr = 1 }
      local one, two = case[1](a, case[2]), case[1](b, case[2])
      for _ = 1, 3 do one:step() end
      two:restore(one:state())
      assert.same({ a.lr, one:state() }, { b.lr, two:state() })
      one:step()
      two:step()
      assert.equal(a.lr, b.lr)
    end
  end)

  it("refuse what they do not know", function()
    local rate = { lr = 1 }
    support.raises("Step: expected an optimiser or a schedule, found nil", co.optim.Step, nil, { every = 1 })
    support.raises("Plateau: expected an optimiser or a schedule, found table", co.optim.Plateau, {})
    support.raises("Step: every: expected an integer of at least 1, found nil", co.optim.Step, rate)
    support.raises("Cosine: floor: expected a number of 0 to 1, found 3", co.optim.Cosine, rate,
      { steps = 1, floor = 3 })
    support.raises("Warmup: expected steps, found step", co.optim.Warmup, rate, { step = 3 })
    support.raises("Plateau: expected factor, patience or stop, found wait", co.optim.Plateau, rate, { wait = 3 })
  end)
end)

describe("PyTorch's", function()
  local reference
  local function data()
    if not reference then
      local folder = support.temp()
      local program = support.root .. "/tests/reference/optim.py"
      local result = support.run({ support.python, program, folder }, { timeout = 120 })
      assert.equal(0, result.status, result.stderr)
      reference = co.load(folder .. "/optim.npz")
    end
    return reference
  end

  local function near(a, b) assert.is_true(math.abs(a - b) < 1e-10, ("expected %.12g, found %.12g"):format(b, a)) end

  for name, make in pairs {
    sgd = function(p) return co.optim.SGD(p, { lr = 0.1 }) end,
    decay = function(p) return co.optim.SGD(p, { lr = 0.1, weight_decay = 0.2 }) end,
    momentum = function(p) return co.optim.SGD(p, { lr = 0.1, momentum = 0.9, weight_decay = 0.2 }) end,
    nesterov = function(p)
      return co.optim.SGD(p, { lr = 0.1, momentum = 0.8, weight_decay = 0.1, nesterov = true })
    end,
    adamw = function(p)
      return co.optim.AdamW(p, { lr = 0.1, betas = { 0.8, 0.99 }, eps = 1e-6, weight_decay = 0.2 })
    end,
  } do
    support.python_it("optimiser takes the same steps: " .. name, function()
      local d = data()
      local p = d.start:clone()
      p.requires_grad = true
      local optimiser = make { p }
      for i = 1, #d.gradients do
        p.grad = d.gradients[i]
        optimiser:step()
        near(support.difference(p:detach(), d[name][i]), 0)
      end
    end)
  end

  support.python_it("clipping gives the same gradients and norms", function()
    local d = data()
    local a, b = co.zeros(5, { dtype = "float64", requires_grad = true }),
      co.zeros(7, { dtype = "float64", requires_grad = true })
    local function set(i) a.grad, b.grad = d.gradients[{ i, { 1, 5 } }], d.gradients[{ i, { 6, 12 } }] end
    local clipped = 0
    for i = 1, #d.gradients do
      set(i)
      near(co.optim.clip_norm({ a, b }, 3), d.norms[i])
      if d.norms[i] > 3 then clipped = clipped + 1 end
      -- PyTorch adds 1e-6 to the norm that it divides by
      assert.is_true(support.difference(co.cat { a.grad, b.grad }, d.clipped[i]) < 1e-6)
      set(i)
      co.optim.clip_value({ a, b }, 0.5)
      near(support.difference(co.cat { a.grad, b.grad }, d.limited[i]), 0)
    end
    assert.is_true(clipped > 3)
  end)

  support.python_it("schedules give the same rates", function()
    local d = data()
    local function compare(name, make)
      local rate = { lr = 0.5 }
      local schedules = { make(rate) }
      for i = 1, #d["rate_" .. name] do
        near(rate.lr, d["rate_" .. name][i])
        for _, schedule in ipairs(schedules) do schedule:step() end
      end
    end
    compare("step", function(rate) return co.optim.Step(rate, { every = 4, factor = 0.3 }) end)
    compare("cosine", function(rate) return co.optim.Cosine(rate, { steps = 15, floor = 0.1 }) end)
    compare("warmup", function(rate) return co.optim.Warmup(rate, { steps = 6 }) end)
    compare("both", function(rate)
      local warmup = co.optim.Warmup(rate, { steps = 6 })
      return warmup, co.optim.Step(warmup, { every = 4, factor = 0.3 })
    end)
    local rate = { lr = 0.5 }
    local plateau = co.optim.Plateau(rate, { factor = 0.5, patience = 2, stop = 100 })
    for i = 1, #d.values do
      plateau:step(d.values[i])
      near(rate.lr, d.rate_plateau[i])
    end
  end)
end)

describe("the plateau schedule", function()
  it("halves after `patience` epochs without a lower value, and stops after `stop`", function()
    local rate = { lr = 8 }
    local schedule = co.optim.Plateau(rate, { patience = 2, stop = 5 })
    local seen = {}
    for _, value in ipairs { 3, 2, 2, 2.5, 1, 1, 1, 1, 1, 1 } do
      seen[#seen + 1] = ("%s %g"):format(schedule:step(value), rate.lr)
    end
    assert.same({ "better 8", "better 8", "same 8", "same 4", "better 4", "same 4", "same 2", "same 2", "same 1",
      "stop 1" }, seen)
  end)

  it("goes on from its state, and takes NaN for no better", function()
    local rate = { lr = 1 }
    local one = co.optim.Plateau(rate, { patience = 5 })
    one:step(1)
    assert.equal("same", one:step(0 / 0))
    local two = co.optim.Plateau(rate, { patience = 5 })
    two:restore(one:state())
    assert.same(one:state(), two:state())
    assert.equal("better", two:step(0.5))
  end)
end)

describe("the average of weights", function()
  local averages = require "cohesiv.train.ema"

  local function small()
    return co.model { encoder = "resnet18", decoder_widths = { 4, 4, 4, 4, 4 }, embedding_dim = 3, attention_dim = 3 }
  end

  local function heads(model)
    for name, t in model:named_parameters() do
      if name == "segmentation_head.0.bias" then return t end
    end
  end

  it("is the plain mean at first, then forgets at its decay", function()
    local model = small()
    local average = averages.of(model, 0.75)
    local mine, theirs, expected = heads(average.model), heads(model), 0
    average:step(0) -- every step was left out so far
    assert.equal(theirs[1], mine[1])
    for n = 1, 8 do
      co.no_grad(function() theirs:fill(n * n) end)
      average:step(n)
      expected = expected + math.max(0.25, 1 / n) * (n * n - expected)
      assert.is_true(math.abs(mine[1] - expected) < 1e-5)
      assert.equal(n * n, theirs[1])
    end
  end)

  it("follows running statistics, and draws no random numbers", function()
    local model = small()
    co.seed(4)
    local average = averages.of(model, 0.5)
    local after = co.rand(3)
    co.seed(4)
    assert.equal(0, support.difference(after, co.rand(3)))
    model(co.rand(2, 32, 32, 3)) -- in training mode: statistics move
    average:step(2)
    local moved = 0
    local of_model = model:state_dict()
    for name, t in average.model:named_buffers() do
      if name:match "running_mean$" then
        moved = moved + support.difference(t, co.zeros(table.unpack(t.shape)))
        assert.is_true(support.difference(t, of_model[name] * 0.5) < 1e-6, name)
      end
    end
    assert.is_true(moved > 0)
  end)

  it("refuses other decays", function()
    for _, decay in ipairs { -1, 1, "half" } do
      support.raises("average: expected a decay between 0 and 1", averages.of, small(), decay)
    end
  end)
end)
