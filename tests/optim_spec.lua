-- Optimisers and schedules: AdamW against its formula, what it leaves alone, its state; the plateau schedule. The
-- reference file's steps are compared in model_spec.
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
    support.raises("expected a list of parameters, found a tensor", co.optim.AdamW, p)
    support.raises("parameter 2: expected a tensor, found number", co.optim.AdamW, { p, 3 })
    support.raises("lr: expected a number, found string", co.optim.AdamW, { p }, { lr = "x" })
    support.raises("betas: expected two numbers", co.optim.AdamW, { p }, { betas = 0.9 })
    support.raises("found learning_rate", co.optim.AdamW, { p }, { learning_rate = 0.1 })
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
