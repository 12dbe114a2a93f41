-- Training in halves on the GPU half: losses beside float32's, the scale of losses, and going on from a checkpoint.
-- COHESIV_CUDA_MODULE names its shared object.
local checkpoint = require "cohesiv.train.checkpoint"
local co = require "cohesiv"
local core = require "cohesiv.core"
local layers = require "cohesiv.nn.layers"
local scaling = require "cohesiv.train.scaling"
local support = require "tests.support"

local HALVES = { bf16 = "bfloat16", fp16 = "float16" }

-- A network of a few layers and its training in a precision: parts that a checkpoint has, and step(), which gives the
-- loss.
local function training(precision)
  co.seed(4)
  local model = layers.Sequential { layers.ConvBN { 3, 8, 3, padding = 1, act = "relu" },
    layers.Conv2d { 8, 8, 3, padding = 1 } }
  model:to "cuda"
  model.extras = function() return {} end
  local t = { model = model, optimiser = co.optim.AdamW(model:parameters(), { lr = 1e-2 }) }
  if precision == "fp16" then t.scaling = scaling.of "cuda" end
  local image, label = co.randn(2, 8, 12, 3):to "cuda", (co.rand(2, 8, 12):gt(0.5) + 1):to "cuda"
  function t.step()
    local x = precision and image:to(HALVES[precision]) or image
    local loss = co.embedding_loss(model(x), label)
    t.optimiser:zero_grad()
    loss:backward(t.scaling and t.scaling.scale)
    t.optimiser:step(nil, t.scaling)
    return loss:item()
  end
  return t
end

local function bits(t)
  local list = {}
  for name, p in t.model:named_parameters() do list[name] = p:totable() end
  return list
end

describe("training in halves", function()
  it("has losses near float32's, which fall, and weights of float32", function()
    local expected = {}
    for _, precision in ipairs { "float32", "bf16", "fp16" } do
      local t = training(precision ~= "float32" and precision)
      for i = 1, 6 do
        local loss = t.step()
        expected[i] = expected[i] or loss
        assert.is_true(math.abs(loss - expected[i]) < 2e-2 * expected[1],
          ("%s: step %d: %g, in float32 %g"):format(precision, i, loss, expected[i]))
        if precision ~= "float32" then assert.not_equal(expected[i], loss) end
      end
      for name, p in t.model:named_parameters() do
        assert.equal("float32", p.dtype, name)
      end
    end
    assert.is_true(expected[6] < expected[1])
  end)

  it("goes on from a checkpoint in the same bits", function()
    for precision in pairs(HALVES) do
      local one, path = training(precision), support.temp() .. "/a.safetensors"
      for _ = 1, 2 do one.step() end
      local places = core.places(one.model:parameters())
      checkpoint.write(path, one, { epoch = 1, batch = 1, sums = {}, ended = false, rate = 1e-2, schedule = {},
        random = { 0, 0 }, samples = 0, scaling = one.scaling and one.scaling:state() })
      assert.equal(places, core.places(one.model:parameters())) -- nothing shares their memory
      local two = training(precision)
      local p = checkpoint.read(path, two)
      if two.scaling then two.scaling:restore(p.scaling) end
      for _ = 1, 2 do assert.equal(one.step(), two.step()) end
      assert.same(bits(one), bits(two))
    end
  end)

  it("leaves out a step whose gradients are no numbers, and halves the scale", function()
    local t = training "fp16"
    t.step()
    assert.same({ scale = 2.0 ^ 16, good = 1 }, t.scaling:state())
    t.scaling:restore { scale = 2.0 ^ 40, good = 1 }
    local before = bits(t)
    t.step()
    assert.same({ scale = 2.0 ^ 39, good = 0 }, t.scaling:state())
    assert.same(before, bits(t))
    t.scaling:restore { scale = 2.0 ^ 16, good = 0 }
    t.step() -- the next one is taken again
    assert.not_same(before, bits(t))
  end)

  it("doubles the scale after 2000 good steps, up to 2^24", function()
    local p = co.ones(1, { requires_grad = true, device = "cuda" })
    local s, optimiser = scaling.of "cuda", co.optim.SGD({ p }, { lr = 1 })
    local function step(max)
      optimiser:zero_grad();
      (p * 0.25):sum():backward(s.scale)
      optimiser:step(max, s)
    end
    for before, after in pairs { [2.0 ^ 16] = 2.0 ^ 17, [2.0 ^ 24] = 2.0 ^ 24 } do
      s:restore { scale = before, good = 1999 }
      step()
      assert.same({ scale = after, good = 2000 }, s:state())
    end
    assert.equal(0.5, p:item()) -- gradients are those of the loss as it was
    step(0.125)
    assert.equal(0.375, p:item()) -- so is the norm that they are clipped to
    support.raises("train: checkpoint: scale: expected a finite number, found nil", s.restore, s, { good = 3 })
  end)
end)
