-- The CUDA half on the CPU, as a whole: a network's gradients, a training beside the CPU's, a run that goes on
-- elsewhere. COHESIV_CUDA_MODULE names its shared object.
local co = require "cohesiv"
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"
local support = require "tests.support"
local tinies = require "tests.tiny"

describe("on a GPU", function()
  it("a network's losses and gradients are the CPU's", function()
    -- Statistics of few pixels make much of rounding, and a ReLU has two slopes at 0.
    for _, encoder in ipairs(support.small and { "resnet18" } or { "resnet18", "efficientnet_b0" }) do
      local results = {}
      for i, device in ipairs { "cpu", "cuda" } do
        co.seed(2)
        local model = co.model { encoder = encoder, decoder_widths = { 8, 8, 8, 8, 8 }, embedding_dim = 4,
          attention_dim = 4, position = true }
        local image, maps = co.randn(2, 32, 64, 3), co.rand(2, 32, 64)
        local points, label = co.tensor { { 10, 10 }, { 40, 20 } }, co.rand(2, 32, 64):gt(0.5) + 1
        model:to(device):train()
        local out = model:forward(image:to(device))
        local loss = co.responsibility_loss(out.Q, out.K, maps:to(device), points:to(device))
          + co.embedding_loss(out.Z, label:to(device))
        loss:backward()
        local gradients = { loss = loss:detach():to "cpu" }
        for name, p in model:named_parameters() do gradients[name] = p.grad and p.grad:to "cpu" end
        for name, b in model:named_buffers() do gradients[name] = b:detach():to "cpu" end
        results[i] = gradients
      end
      local count = 0
      for name, a in pairs(results[1]) do
        local largest = math.max(a:abs():max():item(), 1e-4)
        local difference = support.difference(a, results[2][name])
        assert.is_true(difference <= 5e-3 * largest,
          ("%s: %s differs by %g of %g"):format(encoder, name, difference, largest))
        count = count + 1
      end
      assert.is_true(count > 50)
    end
  end)

  it("a run learns as on the CPU, and goes on there from the same step", function()
    local tiny = tinies.new()
    tiny:make_world()
    tiny.environment.COHESIV_CUDA_MODULE = os.getenv "COHESIV_CUDA_MODULE"
    for name, value in pairs(support.same_build) do tiny.environment[name] = value end
    local here, there = tiny:new_folder "here", tiny:new_folder "there"
    local result = tiny:train(here, { "epochs=1", "maps.frames=1" }) -- few steps: rounding grows with each
    assert.equal(0, result.status, result.stderr)
    result = tiny:train(there, { "epochs=1", "maps.frames=1", "device=cuda" })
    assert.equal(0, result.status, result.stderr)
    local one, two = co.run(here .. "/runs/tiny"), co.run(there .. "/runs/tiny")
    assert.equal("cuda", two.recipe.device)
    local a, b = one:metrics()[1], two:metrics()[1]
    for _, key in ipairs { "train_total", "validation_total" } do
      assert.is_true(math.abs(a[key] - b[key]) < 3e-2 * math.abs(a[key]), ("%s: %g, on a GPU %g"):format(key, a[key],
        b[key]))
    end
    local weights = core.io.safetensors_read(there .. "/runs/tiny/best.safetensors")
    for _, t in pairs(weights) do assert.equal("cpu", t.device) end
    result = tiny:train(there, { "--resume", "maps.frames=1", "device=cpu" })
    assert.equal(0, result.status, result.stderr)
    local told = ('from step %d on device: "cuda" → "cpu", epochs: 1 → 2 (bits may differ'):format(a.step)
    assert.is_truthy(result.stderr:find(told, 1, true), result.stderr)
    assert.equal(2, #two:metrics())
    assert.equal("done", co.run(there .. "/runs/tiny"):status().state)
  end)

  it("a run in float16, clipped, keeps the scale of its losses", function()
    local tiny = tinies.new()
    tiny:make_world(nil, 0)
    for name, value in pairs(support.same_build) do tiny.often[name] = value end
    tiny.often.COHESIV_CUDA_MODULE = os.getenv "COHESIV_CUDA_MODULE"
    local result = tiny:train(tiny.folder, { "epochs=1", "batch=1", "size=32x16", "maps.size=64x32", "maps.frames=1",
      "validation=0", "device=cuda", "precision=fp16", "optim.clip=0.5", "loss.responsibility=0.1",
      "loss.embedding=0.01" }, { env = tiny.often })
    assert.equal(0, result.status, result.stderr)
    local record = co.run(tiny.folder .. "/runs/tiny"):metrics()[1]
    assert.equal(record.train_total, record.train_total) -- a number
    local _, kept = core.io.safetensors_read(tiny.folder .. "/runs/tiny/last.safetensors")
    local scaling = json.decode(kept.training).scaling
    assert.is_true(record.step > 2) -- the third one is recorded work
    assert.same({ 65536.0, record.step }, { tonumber(scaling.scale), scaling.good })
  end)
end)
