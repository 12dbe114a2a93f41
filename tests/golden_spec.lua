-- The golden values of tests/reference/golden (made by golden.py beside it, in double precision, by NumPy): what a
-- checkout alone proves its numerics by. A float64 result differs from them by rounding only; the bounds of float32 are
-- those of its arithmetic over so many layers (network.lua) or so few numbers (here).
local co = require "cohesiv"
local network = require "tests.network"
local support = require "tests.support"

local function golden(name)
  return co.load(("%s/tests/reference/golden/%s.npz"):format(support.root, name))
end

local function within(bound, found, expected, what)
  local off = support.difference(found, expected)
  assert.is_true(off <= bound, ("%s: expected at most %g, found %g"):format(what, bound, off))
end

describe("the golden values:", function()
  it("all of them are small", function()
    local bytes = 0
    for _, name in ipairs(support.list(support.root .. "/tests/reference/golden")) do
      bytes = bytes + #support.read(support.root .. "/tests/reference/golden/" .. name)
    end
    assert.is_true(bytes > 0 and bytes <= 400000, bytes .. " bytes")
  end)

  for _, dtype in ipairs { "float32", "float64" } do
    it("AdamW's steps in " .. dtype, function()
      local ref, bound = golden "adamw", dtype == "float64" and 1e-14 or 1e-6
      local p = ref.parameter:to(dtype):clone()
      p.requires_grad = true
      local optimiser = co.optim.AdamW({ p }, { lr = 1e-2, betas = { 0.9, 0.999 }, eps = 1e-8, weight_decay = 1e-2 })
      for k = 1, ref.gradients.shape[1] do
        p.grad = ref.gradients[k]:to(dtype)
        optimiser:step()
        within(bound, p:detach(), ref.after[k], "after step " .. k)
      end
    end)

    it("both losses and their gradients in " .. dtype, function()
      local ref, bound = golden "losses", dtype == "float64" and 1e-12 or 5e-7
      local function input(name)
        local t = ref[name]:to(dtype):clone()
        t.requires_grad = true
        return t
      end
      local Q, K = input "Q", input "K"
      local loss = co.losses.responsibility(Q, K, ref.R:to(dtype), ref.query:to(dtype))
      loss:backward()
      within(bound, loss:detach(), ref.responsibility, "responsibility loss")
      within(bound, Q.grad, ref.dQ, "dQ")
      within(bound, K.grad, ref.dK, "dK")
      for name, options in pairs { embedding = {}, unnormalised = { normalise = false } } do
        local Z = input "Z"
        loss = co.losses.embedding(Z, ref.label, options)
        loss:backward()
        within(bound, loss:detach(), ref[name], name .. " loss")
        within(bound, Z.grad, name == "embedding" and ref.dZ or ref.dZ_unnormalised, "dZ, " .. name)
      end
    end)
  end

  it("homographies and responsibility maps", function()
    local ref = golden "responsibility"
    local R = co.responsibility { flows = ref.flows, hands = ref.hands }
    within(1e-9, R.homographies:reshape { 4, 3, 3 }, ref.homographies, "homographies")
    within(1e-6, R.map, ref.map, "map")
    within(1e-6, R:with({ temperature = 4 }).map, ref.map_temperature_4, "map at temperature 4")
  end)

  local dtypes = support.small and { "float32" } or { "float32", "float64" }
  for _, encoder in ipairs(support.small and { "mobilenet_v2" } or { "mobilenet_v2", "resnet18" }) do
    it(("a network of %s: forward, losses, gradients, running statistics"):format(encoder), function()
      co.tidy(network.compare, golden("network_" .. encoder), encoder, dtypes)
    end)
  end
end)
