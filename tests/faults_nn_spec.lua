-- Every allocation of modules and of whole training steps fails once (see tests/faults.lua): layers, encoders, the
-- network with its losses, AdamW, prediction, files of weights.
local co = require "cohesiv"
local faults = require "tests.faults"
local support = require "tests.support"

local nn = co.nn

-- Layers of co.nn that take arguments: what makes one, and the shapes of its inputs. All others are made without.
local layers = {
  Conv2d = { function() return nn.Conv2d { 4, 6, 3, padding = 1, stride = 2 } end, { 2, 6, 5, 4 } },
  BatchNorm2d = { function() return nn.BatchNorm2d(4, { act = "relu" }) end, { 2, 3, 5, 4 } },
  ConvBN = { function() return nn.ConvBN { 4, 4, 3, padding = 1, groups = 2, act = "relu6" } end, { 2, 6, 5, 4 } },
  LayerNorm = { function() return nn.LayerNorm(4) end, { 2, 3, 5, 4 } },
  MaxPool2d = { function() return nn.MaxPool2d { 2 } end, { 2, 6, 4, 3 } },
  AvgPool2d = { function() return nn.AvgPool2d { 2 } end, { 2, 6, 4, 3 } },
  UpConvBN = { function() return nn.UpConvBN { 4, 3, 5, act = "relu" } end, { 1, 3, 4, 4 }, { 1, 6, 8, 3 } },
  Linear = { function() return nn.Linear { 5, 3 } end, { 4, 5 } },
  Sequential = { function() return nn.Sequential { nn.Linear { 5, 4 }, nn.ReLU(), nn.Linear { 4, 2 } } end, { 3, 5 } },
}

for name, value in pairs(nn) do
  if type(value) == "function" and name:find "^%u" then
    layers[name] = layers[name] or { function() return nn[name]() end, { 2, 6, 4, 3 } }
  end
end

local function numbers(t) return t:reshape({ -1 }):totable() end

-- Made, trained a step, used for inference, frozen, converted, saved into a table: all that a module can do.
local function life(make, ...)
  co.seed(11)
  local m, inputs, wide = make(), {}, {}
  for i, shape in ipairs { ... } do
    inputs[i] = co.randn(shape, { requires_grad = true })
    wide[i] = inputs[i]:detach():to "float64"
  end
  local y = m(table.unpack(inputs))
  y:square():mean():backward()
  local out = { numbers(y), numbers(inputs[1].grad) }
  local parameters = m:parameters()
  if #parameters > 0 then
    local optimiser = co.optim.AdamW(parameters, { lr = 1e-2 })
    optimiser:step()
    optimiser:zero_grad()
  end
  m:eval()
  out[3] = numbers(co.no_grad(m, table.unpack(inputs)))
  out[4] = numbers(m:freeze()(table.unpack(inputs)))
  out[5] = numbers(m:to("float64")(table.unpack(wide)))
  m:zero_grad()
  for name, t in pairs((m:state_dict())) do out[name] = numbers(t) end
  return out
end

local model_options = {
  encoder = "mobilenet_v2", decoder_widths = { 4, 4, 4, 4, 4 }, embedding_dim = 4, attention_dim = 4,
}

local function batch()
  co.seed(2)
  return { image = co.randn(1, 32, 32, 3), R = co.rand(1, 32, 32), queries = co.tensor { { 9, 12 } },
    labels = (co.rand(1, 32, 32) * 3):to "int32" + 1 }
end

local function loss_of(model, b)
  local out = model:forward(b.image)
  return co.losses.responsibility(out.Q, out.K, b.R, b.queries) + co.losses.embedding(out.Z, b.labels)
end

-- A long chain is probed at places that no two runs of the same spec need share: every stride-th allocation.
local function stride(n) return support.small and 11 * n or n end

describe("a failing allocation", function()
  local threads = co.threads()
  setup(function() co.threads(1) end)
  teardown(function() co.threads(threads) end)

  for name, case in pairs(layers) do
    it("of C in co.nn." .. name .. " is one clear error, and nothing is lost", function()
      local n = faults.each(name, function() return life(table.unpack(case)) end, { stride = support.small and 5 or 1 })
      assert.is_true(n > 20)
    end)
    it("of Lua in co.nn." .. name .. " is one clear error, and nothing is lost", function()
      local every = support.small and 11 or 3
      faults.each(name, function() return life(table.unpack(case)) end, { lua = true, stride = every })
    end)
  end

  it("in an op written in Lua, clipping and SGD is one clear error, and nothing is lost", function()
    local square = co.Function {
      name = "square",
      forward = function(ctx, x)
        ctx:save(x)
        return x * x
      end,
      backward = function(ctx, g) return g * ctx:saved() * 2 end,
    }
    for _, lua in ipairs { false, true } do
      faults.each("square", function()
        local x = co.tensor({ 1, 2, 3 }, { requires_grad = true })
        local optimiser = co.optim.SGD({ x }, { lr = 0.1, momentum = 0.9 })
        square(x):sum():backward()
        co.optim.clip_norm({ x }, 1)
        optimiser:step()
        return numbers(x)
      end, { lua = lua })
    end
  end)

  for _, whose in ipairs { "C", "Lua" } do
    it(("of %s in a training step of the network is one clear error, and nothing is lost"):format(whose), function()
      co.seed(4)
      local b, model = batch(), co.model(model_options)
      local optimiser = co.optim.AdamW(model:parameters(), { lr = 0 }) -- so that every step is the same
      faults.each("step", function()
        local loss = loss_of(model, b)
        optimiser:zero_grad()
        loss:backward()
        optimiser:step()
        optimiser:zero_grad()
        return { loss:item(), numbers(model:parameters()[1]) }
      end, { lua = whose == "Lua", stride = stride(41) })
      model:zero_grad()
    end)
  end

  it("in model:predict, saving and loading is one clear error, and nothing is lost", function()
    co.seed(4)
    local model = co.model(model_options):eval()
    model.embeddings = { object = { 1, 2, 3, 4 }, person = { 4, -3, 2, 1 } }
    local picture = (co.rand(30, 40, 3) * 255):to "uint8"
    local path = support.temp() .. "/model.safetensors"
    local thresholds = { object = { 0.1, 0.2 }, hand = { -0.2, 0.2 } }
    faults.each("predict", function()
      local p = model:predict(picture, { { 10, 20 } }, { thresholds = thresholds, size = { 32, 32 } })[1]
      return { numbers(p.attention), numbers(p.objectness), numbers(p.contact) }
    end, { stride = stride(17) })
    local other = co.model(model_options)
    faults.each("save and load", function()
      other:save(path)
      return #other:load(path).missing
    end, { stride = stride(41) })
    local x, frozen = co.randn(1, 32, 32, 3), nil
    faults.each("frozen", function()
      frozen = model:freeze()
      return { numbers(frozen(x).Z), numbers(frozen(x).Q) }
    end, { stride = stride(29) })
    model:to "bfloat16"
    faults.each("bfloat16", function() return numbers(model:forward(x).Z) end, { stride = stride(17) })
  end)
end)
