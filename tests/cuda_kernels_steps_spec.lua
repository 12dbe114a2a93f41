-- Whole steps on a GPU take few launches: updates of all parameters at once.
local co = require "cohesiv"
local support = require "tests.support"

local function launches()
  for _, d in ipairs(co.devices()) do
    if d.kind == "cuda" then return d.launches end
  end
end

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
        local before = device == "cuda" and launches()
        optimiser:step()
        if before then assert.equal(before + 2, launches()) end -- the numbers of the step, and the update
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
    local optimiser, before = optimisers.AdamW(p), device == "cuda" and launches()
    optimiser:step()
    if before then assert.equal(before + 3, launches()) end
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
