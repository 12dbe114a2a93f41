-- Every allocation of modules and of whole training steps fails once (see tests/faults.lua): layers, encoders of every
-- family, the network with its losses, AdamW, prediction, files of weights. Networks have every kind of layer that the
-- large ones have, and are as short as they can be.
local averages = require "cohesiv.train.ema"
local checkpoint = require "cohesiv.train.checkpoint"
local co = require "cohesiv"
local encoders = require "cohesiv.nn.encoders"
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
  InstanceNorm2d = { function() return nn.InstanceNorm2d { 4, affine = true } end, { 2, 3, 5, 4 } },
  Unfold = { function() return nn.Unfold { 3 } end, { 2, 6, 4, 3 } },
  UpConvBN = { function() return nn.UpConvBN { 4, 3, 5, act = "relu" } end, { 1, 3, 4, 4 }, { 1, 6, 8, 3 } },
  Linear = { function() return nn.Linear { 5, 3 } end, { 4, 5 } },
  Sequential = { function() return nn.Sequential { nn.Linear { 5, 4 }, nn.ReLU(), nn.Linear { 4, 2 } } end, { 3, 5 } },
}

for name, value in pairs(nn) do
  if type(value) == "function" and name:find "^%u" then
    layers[name] = layers[name] or { function() return nn[name]() end, { 2, 6, 4, 3 } }
  end
end

-- Encoders: rows of the table as the public ones are, with a block or two in each of the first stages.
local families = encoders.table
local short = {
  basic = { build = families.resnet18.build, basic = true, depths = { 2 } },
  bottleneck = { build = families.resnet50.build, depths = { 1 } },
  squeezed = { build = families.resnet50.build, depths = { 1 }, groups = 32, base_width = 4, reduction = 16 },
  inverted = {
    build = families.mobilenet_v2.build,
    stages = { { 1, 8, 1, 1 }, { 2, 8, 2, 2 } },
  },
  efficient = {
    build = families.efficientnet_b0.build, last = { 0, 2 },
    stages = { { 1, 8, 1, 2, 3 }, { 2, 8, 2, 1, 5 } },
  },
  lite = { build = families.efficientnet_lite0.build, stages = { { 1, 8, 1, 1, 3 }, { 2, 8, 1, 2, 5 } } },
}
for name, row in pairs(short) do
  layers["encoder " .. name] = { function() return row.build(row) end, { 1, 8, 8, 3 } }
end

-- What a module gives; of an encoder's features the last.
local function result(y) return type(y) == "table" and y[#y] or y end

-- All that a module can do: made, converted, trained a step, asked, frozen. each(what, f) tries f.
local function life(each, name, make, ...)
  local inputs, wide = {}, {}
  for i, shape in ipairs { ... } do
    inputs[i] = co.randn(shape, { requires_grad = true })
    wide[i] = inputs[i]:detach():to "float64"
  end
  each("making " .. name, function()
    co.seed(11)
    local m = make()
    return { m:state_dict(), result(co.no_grad(m:eval():to "float64", table.unpack(wide))) }
  end)
  local m = make()
  local optimiser = #m:parameters() > 0 and co.optim.AdamW(m:parameters(), { lr = 0 }) -- every step is the same
  each(name .. " in training", function()
    co.seed(12)
    m:zero_grad()
    inputs[1].grad = nil
    local y = result(m(table.unpack(inputs)))
    y:square():mean():backward()
    if optimiser then optimiser:step() end
    return { y, inputs[1].grad }
  end)
  m:zero_grad()
  m:eval()
  each(name .. " in use", function() return result(co.no_grad(m, table.unpack(inputs))) end)
  each(name .. " frozen", function() return result(m:freeze()(table.unpack(inputs))) end)
end

-- An encoder for the whole network: the stem, then four stages of one block.
local FIVE = { build = families.efficientnet_b0.build, last = { 0, 1, 2, 3 }, stages = {} }
for i = 1, 4 do FIVE.stages[i] = { 1, 8, 1, 2, 3 } end

local function with_five(f, ...)
  families.five = FIVE
  local ok, made = pcall(f, ...)
  families.five = nil
  return ok and made or error(made, 0)
end

local function new_model()
  return with_five(co.model,
    { encoder = "five", decoder_widths = { 4, 4, 4, 4, 4 }, embedding_dim = 4, attention_dim = 4 })
end

local function batch()
  co.seed(2)
  return { image = co.randn(1, 32, 32, 3), R = co.rand(1, 32, 32), queries = co.tensor { { 9, 12 } },
    labels = (co.rand(1, 32, 32) * 3):to "int32" + 1 }
end

local function loss_of(model, b)
  local out = model:forward(b.image)
  return co.losses.responsibility(out.Q, out.K, b.R, b.queries) + co.losses.embedding(out.Z, b.labels)
end

describe("a failing allocation", function()
  local threads = co.threads()
  setup(function() co.threads(1) end)
  teardown(function() co.threads(threads) end)

  for _, whose in ipairs { "C", "Lua" } do
    local function each(what, f, folder) return faults.each(what, f, { lua = whose == "Lua", folder = folder }) end
    local function case(what, run)
      it(("of %s in %s is one clear error, and nothing is lost"):format(whose, what), run)
    end

    for name, layer in pairs(layers) do
      case("co.nn." .. name, function() life(each, name, table.unpack(layer)) end)
    end

    case("an op written in Lua, clipping and SGD", function()
      local square = co.Function {
        name = "square",
        forward = function(ctx, x)
          ctx:save(x)
          return x * x
        end,
        backward = function(ctx, g) return g * ctx:saved() * 2 end,
      }
      each("square", function()
        local x = co.tensor({ 1, 2, 3 }, { requires_grad = true })
        local optimiser = co.optim.SGD({ x }, { lr = 0.1, momentum = 0.9 })
        square(x):sum():backward()
        co.optim.clip_norm({ x }, 1)
        optimiser:step()
        return x
      end)
    end)

    case("hooks, schedules, initial values and a profile", function()
      each("hooks", function()
        co.seed(3)
        local m, seen = nn.Linear { 5, 3, init = nn.init.kaiming_normal }, {}
        m:hook_before(function(_, x) return x * 2 end)
        m:hook(function(_, _, y) seen[1] = y end)
        m:hook_gradient(function(_, g) return g * 0.5 end)
        nn.init.xavier_uniform(m.params.weight)
        local optimiser = co.optim.SGD(m:parameters(), { lr = 0.1 })
        local schedule = co.optim.Cosine(co.optim.Warmup(optimiser, { steps = 3 }), { steps = 9 })
        local profile = co.profile(function()
          co.losses.cross_entropy(m(co.rand(2, 5)), co.tensor({ 1, 3 }, { dtype = "int32" })):backward()
        end)
        schedule:step()
        optimiser:step()
        return { seen, optimiser.lr, m.params.weight, #profile, #tostring(profile:top(2)) > 0 }
      end)
    end)

    case("a training step of the network", function()
      co.seed(4)
      local b, model = batch(), new_model()
      local optimiser = co.optim.AdamW(model:parameters(), { lr = 0 }) -- so that every step is the same
      each("step", function()
        local loss = loss_of(model, b)
        optimiser:zero_grad()
        loss:backward()
        optimiser:step()
        optimiser:zero_grad()
        return { loss:item(), model:parameters()[1] }
      end)
      model:zero_grad()
    end)

    case("model:predict, frozen and of bfloat16", function()
      co.seed(4)
      local model = new_model():eval()
      model.embeddings = { object = { 1, 2, 3, 4 }, person = { 4, -3, 2, 1 } }
      local picture = (co.rand(30, 40, 3) * 255):to "uint8"
      local thresholds = { object = { 0.1, 0.2 }, hand = { -0.2, 0.2 } }
      each("predict", function()
        local p = model:predict(picture, { { 10, 20 } }, { thresholds = thresholds, size = { 32, 32 } })[1]
        return { p.attention, p.objectness, p.contact }
      end)
      local x, frozen = co.randn(1, 32, 32, 3), nil
      each("frozen", function()
        frozen = model:freeze()
        return { frozen(x).Z, frozen(x).Q }
      end)
      model:to "bfloat16"
      each("bfloat16", function() return model:forward(x).Z end)
    end)

    case("making, saving, loading and averaging a network", function()
      co.seed(4)
      local model, other, folder = new_model(), new_model(), support.temp()
      local path, average = folder .. "/model.safetensors", with_five(averages.of, model, 0.9)
      each("make", function() return #new_model():parameters() end)
      each("save", function() model:save(path) end, folder)
      each("load", function() return { #other:load(path).missing, other:parameters()[1] } end, folder)
      each("average", function()
        average:step(10) -- of weights that are the same
        return average.model:parameters()[3]
      end)
    end)

    case("a checkpoint and going on from it", function()
      local model, folder = nn.Sequential { nn.Linear { 5, 4 }, nn.BatchNorm2d(4), nn.Linear { 4, 2 } }, support.temp()
      model.extras = function() return { mean = { 0.5 } } end
      local optimiser, path = co.optim.AdamW(model:parameters(), { lr = 0.1 }), folder .. "/last.safetensors"
      model(co.ones(3, 5)):sum():backward()
      optimiser:step()
      local parts, position = { model = model, optimiser = optimiser }, { epoch = 3, batch = 2, sums = { total = 0.1 },
        ended = false, rate = 0.01, schedule = { best = 0.5 }, random = { 1, 2 }, samples = 4 }
      each("checkpoint", function() checkpoint.write(path, parts, position) end, folder)
      each("resume", function()
        local back = checkpoint.read(path, parts)
        return { back, model:parameters(), optimiser:state() }
      end, folder)
    end)
  end
end)
