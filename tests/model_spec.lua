-- The network: values, losses and gradients against the reference files, public names, files in and out, images of any
-- size and kind, bad options.
local co = require "cohesiv"
local core = require "cohesiv.core"
local network = require "tests.network"
local support = require "tests.support"

local TINY = { encoder = "resnet18", decoder_widths = { 8, 8, 8, 8, 8 }, embedding_dim = 4, attention_dim = 4 }

local function tiny(changes)
  local o = {}
  for k, v in pairs(TINY) do o[k] = v end
  for k, v in pairs(changes or {}) do o[k] = v end
  return co.model(o)
end

local function copy_of(state)
  local list = {}
  for name, t in pairs(state) do list[name] = t:clone() end
  return list
end

describe("the network of the reference files:", function()
  for _, encoder in ipairs { "resnet18", "mobilenet_v2", "se_resnext50_32x4d" } do
    local dtypes = support.small and { "float32" } or { "float32", "float64" }
    if encoder == "resnet18" or not support.small then
      support.data_it(encoder, function()
        co.tidy(function()
          local ref = co.load(("%s/reference/network_%s.npz"):format(support.data, encoder))
          network.compare(ref, encoder, dtypes)
        end)
      end)
    end
  end
end)

support.data_it("AdamW takes the reference's steps", function()
  local ref = co.load(support.data .. "/reference/adamw.npz")
  for _, dtype in ipairs { "float32", "float64" } do
    local p = ref.parameter:to(dtype)
    p.requires_grad = true
    local optimiser = co.optim.AdamW({ p }, { lr = 1e-2, betas = { 0.9, 0.999 }, eps = 1e-8, weight_decay = 1e-2 })
    for k = 1, 3 do
      p.grad = ref.gradients[k]:to(dtype)
      optimiser:step()
      assert.is_true(support.difference(p:detach(), ref.after[k]) <= 2e-6)
    end
  end
end)

describe("a model", function()
  it("has 34,680,944 parameters by default", function()
    co.tidy(function()
      assert.equal(34680944, co.model():count())
    end)
  end)

  it("has public names, in one order, in the layout of files", function()
    local model = tiny { embedding_dim = 6, attention_dim = 5 }
    local state, order = model:state_dict()
    local want = {
      ["encoder.conv1.weight"] = { 64, 3, 7, 7 }, ["encoder.bn1.running_mean"] = { 64 },
      ["encoder.layer2.0.downsample.0.weight"] = { 128, 64, 1, 1 }, ["encoder.layer4.1.bn2.bias"] = { 512 },
      ["decoder.blocks.0.conv1.0.weight"] = { 8, 768, 3, 3 }, ["decoder.blocks.4.conv2.1.running_var"] = { 8 },
      ["segmentation_head.0.weight"] = { 6, 8, 3, 3 }, ["segmentation_head.0.bias"] = { 6 },
      ["hand_branch.0.weight"] = { 5, 6, 3, 3 }, ["hand_branch.1.weight"] = { 5 },
      ["object_branch.3.weight"] = { 5, 5, 3, 3 }, ["object_branch.3.bias"] = { 5 },
    }
    for name, shape in pairs(want) do
      assert.is_truthy(state[name], name)
      assert.same(shape, state[name].shape, name)
    end
    assert.is_nil(state["hand_branch.0.bias"])
    assert.is_nil(state["decoder.blocks.0.conv1.0.bias"])
    local seen, parameters = {}, 0
    for name, p in model:named_parameters() do
      assert.is_true(p.requires_grad)
      assert.is_truthy(state[name], name)
      parameters, seen[name] = parameters + 1, true
    end
    for name, b in model:named_buffers() do
      assert.is_false(b.requires_grad)
      assert.is_truthy(name:find "running_")
      seen[name] = true
    end
    assert.equal(parameters, #model:parameters())
    for _, name in ipairs(order) do assert.is_true(seen[name]) end
    local se = co.tidy(function()
      local names = {}
      for name in pairs((co.model { decoder_widths = { 8, 8, 8, 8, 8 } }:state_dict())) do names[name] = true end
      return names
    end)
    for _, name in ipairs { "encoder.layer0.conv1.weight", "encoder.layer1.0.se_module.fc1.weight",
      "encoder.layer4.2.se_module.fc2.bias", "encoder.layer1.0.downsample.1.running_var" } do
      assert.is_true(se[name], name)
    end
  end)

  it("starts its scores near a half, inside the clamp", function()
    co.seed(1)
    local model = tiny { attention_dim = 64 }
    local out = co.no_grad(model.forward, model, co.randn(64, 64, 3))
    local a = (out.Q[{ 32, 32 }] * out.K):sum(3)
    assert.is_true(math.abs(a:mean():item() - 0.5) < 0.25)
  end)

  it("takes any size and gives maps of that size", function()
    local model = tiny():eval()
    co.no_grad(function()
      for _, size in ipairs { { 1, 1 }, { 33, 47 }, { 64, 32 }, { 5, 70 } } do
        local out = model:forward(co.randn(size[1], size[2], 3))
        for _, name in ipairs { "Z", "Q", "K" } do assert.same({ size[1], size[2], 4 }, out[name].shape) end
        out = model:forward(co.randn(2, size[1], size[2], 3))
        assert.same({ 2, size[1], size[2], 4 }, out.Z.shape)
      end
    end)
  end)

  it("of fewer widths answers for every second pixel, or every fourth", function()
    co.no_grad(function()
      for widths, stride in pairs { [{ 8, 8, 8, 4 }] = 2, [{ 8, 8, 4 }] = 4 } do
        local model = tiny { decoder_widths = widths }:eval()
        assert.equal(stride, model.stride)
        local out = model:forward(co.randn(33, 70, 3))
        for _, name in ipairs { "Z", "Q", "K" } do
          assert.same({ math.ceil(33 / stride), math.ceil(70 / stride), 4 }, out[name].shape)
        end
      end
      assert.equal(1, tiny().stride)
    end)
  end)

  it("whose attention knows where the query is adds what its hand branch tells of the distance", function()
    co.seed(3)
    local model = tiny { position = true, decoder_widths = { 8, 8, 8, 4 } }:eval()
    local A, height, width = 4, 21, 30
    co.no_grad(function()
      local raw, other
      local branch = model.children.hand_branch
      local forward = branch.forward
      branch.forward = function(...)
        raw = forward(...)
        return raw
      end
      local last = branch.children["3"].params
      for _, log_r in ipairs { -2.5, -1 } do
        last.bias[{ { A + 1, A + 3 } }] = co.tensor { 0.25, -0.5, log_r }
        local out = model:forward(co.randn(2 * height, 2 * width, 3))
        assert.same({ height, width, A + 4 }, out.Q.shape)
        assert.same({ height, width, A + 4 }, out.K.shape)
        local y, x = 8, 11 -- the query's pixel, from 0
        local own = raw[{ 1, y + 1, x + 1 }]:totable()
        local score = (out.Q[{ y + 1, x + 1 }] * out.K):sum(3)
        local plain = (out.Q[{ y + 1, x + 1, { 1, A } }] * out.K[{ {}, {}, { 1, A } }]):sum(3)
        for _, at in ipairs { { 11, 8 }, { 0, 0 }, { 29, 20 }, { 15, 3 } } do
          local dx, dy = (at[1] - x) * 2 / 32, (at[2] - y) * 2 / 32 -- in units of 32 pixels of the image
          local wanted = own[A + 1] * dx + own[A + 2] * dy - math.exp(own[A + 3]) * (dx ^ 2 + dy ^ 2)
          local found = score[{ at[2] + 1, at[1] + 1 }] - plain[{ at[2] + 1, at[1] + 1 }]
          assert.is_true(math.abs(found - wanted) < 1e-4, ("%g %g"):format(found, wanted))
        end
        assert.same({ 0.25, -0.5, log_r }, { table.unpack(own, A + 1, A + 3) }) -- nothing but the bias at first
      end
      other = require "cohesiv.hands.model".like(model.options)
      assert.is_true(other.options.position)
    end)
  end)

  it("adds zeros right and bottom after normalisation, and crops", function()
    local model = tiny():eval()
    co.no_grad(function()
      local x = co.randn(1, 20, 40, 3)
      local padded = co.zeros(1, 32, 64, 3)
      padded[{ 1, { 1, 20 }, { 1, 40 } }] = x[1]
      local a, b = model:forward(x), model:forward(padded)
      assert.equal(0, support.difference(a.Z, b.Z[{ {}, { 1, 20 }, { 1, 40 } }]))
      assert.equal(0, support.difference(a.Q[1], model:forward(x[1]).Q))
    end)
  end)

  it("scales and normalises bytes by itself, floats not at all", function()
    local model = tiny():eval()
    assert.same({ { 0.485, 0.456, 0.406 }, { 0.229, 0.224, 0.225 } }, { model.mean, model.std })
    co.no_grad(function()
      local bytes = (co.rand(1, 32, 32, 3) * 255):to "uint8"
      local mean, std = co.tensor(model.mean), co.tensor(model.std)
      local floats = (bytes:to "float32" / 255 - mean) / std
      assert.is_true(network.relative(model:forward(bytes).Z, model:forward(floats).Z) < 1e-4)
      local wide = tiny():to "float64"
      assert.equal("float64", wide:forward(bytes).K.dtype)
      assert.equal("float64", wide:forward(floats).Z.dtype)
      assert.equal("float32", model:forward(floats:to "float64").Z.dtype)
      local integers = bytes:to "int32"
      support.raises("expected an image of uint8, float32 or float64, found int32", model.forward, model, integers)
    end)
  end)

  it("computes inference with and without a graph alike", function()
    co.seed(2)
    local model, x = tiny():eval(), co.randn(32, 32, 3)
    local a, b = model:forward(x), co.no_grad(model.forward, model, x)
    assert.is_true(a.Z.requires_grad and not b.Z.requires_grad)
    assert.is_true(network.relative(a.Z, b.Z) < 1e-4)
  end)

  it("refuses what is no image", function()
    local model = tiny()
    support.raises("expected an image tensor, found string", model.forward, model, "x")
    support.raises("expected an image H×W×3 or N×H×W×3, found 3x32x32", model.forward, model, co.zeros(3, 32, 32))
    support.raises("found 32x32", model.forward, model, co.zeros(32, 32))
    support.raises("at least one pixel, found 0x4", model.forward, model, co.zeros(0, 4, 3))
    assert.same({ 0, 4, 4, 4 }, co.no_grad(model.forward, model:eval(), co.zeros(0, 4, 4, 3)).Z.shape)
  end)

  it("refuses bad options in one line", function()
    support.raises("resnet18, ", co.model, { encoder = "vgg16" })
    support.raises("found encodr", co.model, { encodr = "resnet18" })
    support.raises("encoder: expected a string, found number", co.model, { encoder = 3 })
    support.raises("decoder_widths: expected 1 to 5 numbers, found 0", co.model, { decoder_widths = {} })
    support.raises("decoder_widths: expected 1 to 5 numbers, found 6", co.model,
      { decoder_widths = { 6, 5, 4, 3, 2, 1 } })
    support.raises("position: expected a boolean, found number", co.model, { position = 1 })
    local width = ": expected an integer of 1 to 65536, found "
    for _, bad in ipairs { 0, 1.5, "x", 65537 } do
      support.raises("decoder_widths[3]" .. width .. bad, co.model, { decoder_widths = { 8, 8, bad, 8, 8 } })
    end
    support.raises("embedding_dim" .. width .. 0, co.model, { embedding_dim = 0 })
    support.raises("attention_dim" .. width .. 1.5, co.model, { attention_dim = 1.5 })
    support.raises("attention_dim" .. width .. 65537, co.model, { attention_dim = 65537 })
    support.raises("model: expected a table of options, found string", co.model, "resnet18")
    support.raises("encoder_weights: expected weights from ImageNet of resnet18, or a file of yours; fetch: expected ",
      co.model, { encoder = "resnet18", encoder_weights = "imagenet" })
    support.raises("none.safetensors", co.model, { encoder = "resnet18", encoder_weights = "none.safetensors" })
  end)

  it("has every encoder that recipes may name", function()
    for name, blocks in pairs { resnet34 = "encoder.layer3.5.bn2.weight", resnet101 = "encoder.layer3.22.bn3.weight",
      resnet50 = "encoder.layer3.5.bn3.weight", mobilenet_v2 = "encoder.features.18.1.weight" } do
      co.tidy(function()
        local state = co.model { encoder = name, decoder_widths = { 8, 8, 8, 8, 8 } }:state_dict()
        assert.is_truthy(state[blocks], name)
      end)
    end
  end)

  it("changes its dtype in place, trains and evaluates by mode", function()
    local model = tiny()
    assert.is_true(rawequal(model, model:to "float64"))
    for _, p in ipairs(model:parameters()) do assert.same({ "float64", true }, { p.dtype, p.requires_grad }) end
    assert.is_true(rawequal(model, model:train()) and model.training)
    local function first_buffer() return select(2, model:named_buffers()()) end
    local before = first_buffer():clone()
    local x = co.randn(2, 32, 32, 3, { dtype = "float64" })
    model:eval()
    model:forward(x)
    assert.equal(0, support.difference(before, first_buffer()))
    model:train()
    co.no_grad(model.forward, model, x)
    assert.is_true(support.difference(before, first_buffer()) > 0)
    support.raises("cuda", model.to, model, "cuda")
  end)
end)

describe("a model's file", function()
  local folder = support.temp()

  it("brings back every value, and what travels beside the weights", function()
    local a, b = tiny(), tiny()
    a.mean, a.thresholds = { 0.5, 0.5, 0.25 }, { object = { 0.1, 0.2 }, hand = { 0.3, 0.4 } }
    a:save(folder .. "/w.safetensors")
    local report = b:load(folder .. "/w.safetensors")
    assert.same({ missing = {}, unexpected = {}, misshaped = {} }, report)
    local one, two = a:state_dict(), b:state_dict()
    for name, t in pairs(one) do assert.equal(0, support.difference(t, two[name])) end
    assert.same({ a.mean, a.std, a.thresholds }, { b.mean, b.std, b.thresholds })
    local c = require("cohesiv.hands.model").from_file(folder .. "/w.safetensors")
    assert.same(TINY, c.options)
    assert.same({ "w.safetensors" }, support.list(folder))
    local file = core.io.safetensors_read(folder .. "/w.safetensors")
    assert.same({ 64, 3, 7, 7 }, file["encoder.conv1.weight"].shape)
    assert.equal(one["encoder.conv1.weight"][{ 3, 2, 7, 1 }], file["encoder.conv1.weight"][{ 3, 2, 7, 1 }])
    local _, conv1 = a:named_parameters()()
    assert.equal(conv1[{ 3, 7, 1, 2 }], one["encoder.conv1.weight"][{ 3, 2, 7, 1 }])
  end)

  it("may have another float dtype", function()
    local a, b = tiny():to "float64", tiny()
    a:save(folder .. "/wide.safetensors")
    b:load(folder .. "/wide.safetensors")
    assert.equal("float32", b:parameters()[1].dtype)
    assert.is_true(support.difference(b:parameters()[1]:detach(), a:parameters()[1]:detach()) < 1e-6)
  end)

  it("that does not fit is reported by lists, and raises when strict, changing nothing", function()
    local a, b = tiny(), tiny()
    local state = copy_of((a:state_dict()))
    state["hand_branch.3.bias"], state["object_branch.0.weight"] = nil, co.zeros(4, 4, 1, 1)
    state["extra.weight"] = co.ones(2)
    state["encoder.bn1.num_batches_tracked"] = co.tensor({ 3 }, { dtype = "int64" })
    state["encoder.fc.weight"], state["encoder.fc.bias"] = co.ones(10, 512), co.ones(10)
    local path = folder .. "/other.safetensors"
    core.io.safetensors_write(path, state)
    local before = copy_of((b:state_dict()))
    support.raises("other.safetensors", b.load, b, path)
    support.raises("missing, the first: hand_branch.3.bias", b.load, b, path, { strict = true })
    for name, t in pairs((b:state_dict())) do assert.equal(0, support.difference(t, before[name])) end
    local report = b:load(path, { strict = false })
    assert.same({ "hand_branch.3.bias" }, report.missing)
    assert.same({ "extra.weight" }, report.unexpected)
    assert.equal(1, #report.misshaped)
    assert.is_truthy(report.misshaped[1]:find("^object_branch%.0%.weight"))
    assert.equal(0, support.difference(b:state_dict()["encoder.conv1.weight"], state["encoder.conv1.weight"]))
    assert.equal(0, support.difference(b:state_dict()["object_branch.0.weight"], before["object_branch.0.weight"]))
  end)

  it("that is damaged or missing gives one line", function()
    local model = tiny()
    support.raises("none.safetensors", model.load, model, folder .. "/none.safetensors")
    local bytes = support.read(folder .. "/w.safetensors")
    for i, text in ipairs { "", "garbage", bytes:sub(1, 100), bytes:sub(1, #bytes // 2) } do
      local path = support.write(("%s/bad%d.safetensors"):format(folder, i), text)
      support.raises(("bad%d.safetensors"):format(i), model.load, model, path)
    end
    support.raises("nowhere", model.save, model, folder .. "/nowhere/w.safetensors")
  end)

  it("of an encoder alone starts one", function()
    local a = tiny()
    local state = {}
    for name, t in pairs((a:state_dict())) do
      local own = name:match "^encoder%.(.*)"
      if own then state[own] = t end
    end
    state["fc.weight"] = co.ones(1000, 512)
    core.io.safetensors_write(folder .. "/encoder.safetensors", state)
    local b = tiny { encoder_weights = folder .. "/encoder.safetensors" }
    assert.equal(0, support.difference(b:state_dict()["encoder.layer4.1.conv2.weight"], state["layer4.1.conv2.weight"]))
    state["layer1.0.bn1.weight"] = nil
    core.io.safetensors_write(folder .. "/part.safetensors", state)
    support.raises("layer1.0.bn1.weight", tiny, { encoder_weights = folder .. "/part.safetensors" })
  end)

  support.data_it("of public MobileNetV2 weights loads as it is", function()
    local path = support.data .. "/weights/mobilenet_v2_imagenet.safetensors"
    local model = tiny { encoder = "mobilenet_v2", encoder_weights = path }
    local file = core.io.safetensors_read(path)
    local name = file["features.0.0.weight"] and "features.0.0.weight" or "encoder.features.0.0.weight"
    assert.equal(0, support.difference(model:state_dict()["encoder.features.0.0.weight"], file[name]:to "float32"))
  end)
end)

it("models leave no bytes behind", function()
  support.no_leak(function()
    co.tidy(function()
      local model = tiny()
      local optimiser = co.optim.AdamW(model:parameters(), { lr = 1e-3 })
      local out = model:forward(co.randn(1, 32, 32, 3))
      local loss = co.losses.responsibility(out.Q, out.K, co.rand(1, 32, 32), co.tensor { { 3, 4 } })
      optimiser:zero_grad()
      loss:backward()
      optimiser:step()
      optimiser:zero_grad()
    end)
  end)
end)
