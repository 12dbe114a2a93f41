-- model:summary(): its numbers against counts done by hand and against the model itself; what it must leave as it was.
local co = require "cohesiv"
local support = require "tests.support"

local SIZE = { size = { 64, 96 }, repeats = 1 }

local function tiny(encoder)
  return co.model { encoder = encoder or "resnet18", decoder_widths = { 8, 8, 8, 8, 8 }, embedding_dim = 4,
    attention_dim = 6 }
end

local function total_of(summary, key)
  local sum = 0
  for _, row in ipairs(summary) do sum = sum + row[key] end
  return sum
end

local function row_of(summary, name)
  for _, row in ipairs(summary) do
    if row.name == name then return row end
  end
end

describe("model:summary()", function()
  it("has a row per stage, and totals", function()
    local names = {}
    local summary = tiny():summary(SIZE)
    for i, row in ipairs(summary) do names[i] = row.name end
    assert.same({ "encoder.conv1", "encoder.layer1", "encoder.layer2", "encoder.layer3", "encoder.layer4",
      "decoder.blocks.0", "decoder.blocks.1", "decoder.blocks.2", "decoder.blocks.3", "decoder.blocks.4",
      "segmentation_head", "hand_branch", "object_branch" }, names)
    assert.same({ 1, 48, 32, 64 }, summary[1].output)
    assert.same({ 1, 96, 64, 6 }, row_of(summary, "hand_branch").output)
    for _, key in ipairs { "parameters", "flops" } do assert.equal(summary.total[key], total_of(summary, key)) end
    assert.is_true(summary.total.time >= total_of(summary, "time"))
    assert.is_true(summary.total.memory >= 0.9 * total_of(summary, "memory"))
    for _, row in ipairs(summary) do assert.is_true(row.time > 0 and row.memory > 0, row.name) end
  end)

  it("counts what is known", function()
    local summary = tiny():summary { size = { 64, 64 }, repeats = 1 }
    local encoder = 0
    for i = 1, 5 do encoder = encoder + summary[i].flops end
    -- ResNet-18's convolutions: 1,813,561,344 multiplications at 224 × 224
    assert.equal(2 * 1813561344 * 64 * 64 // (224 * 224), encoder)
    local branch = row_of(summary, "hand_branch")
    assert.equal(4 * 6 * 9 + 2 * 6 + 6 * 6 * 9 + 6, branch.parameters)
    assert.equal(2 * 64 * 64 * 9 * (4 * 6 + 6 * 6), branch.flops)
    -- convolution, batch norm and ReLU as one, convolution: three maps of 6 channels
    local maps = 3 * 64 * 64 * 6 * 4
    assert.is_true(branch.memory >= maps and branch.memory < 1.3 * maps, branch.memory)
  end)

  it("counts every parameter of every kind of encoder once", function()
    for _, encoder in ipairs { "mobilenet_v2", "efficientnet_b0" } do
      co.tidy(function()
        local model, n = tiny(encoder), 0
        for _, p in ipairs(model:parameters()) do n = n + p:reshape({ -1 }).shape[1] end
        local summary = model:summary { size = { 32, 32 }, repeats = 1 }
        assert.equal(n, summary.total.parameters)
        assert.equal(n, total_of(summary, "parameters"))
      end)
    end
  end)

  it("grows with the batch and the width of numbers", function()
    local model = tiny()
    local one = model:summary(SIZE)
    local two = model:summary { size = SIZE.size, repeats = 1, batch = 2 }
    local wide = model:to("float64"):summary(SIZE)
    assert.equal(2 * one.total.flops, two.total.flops)
    assert.equal(one.total.flops, wide.total.flops)
    assert.same({ one.total.parameters, "float64" }, { wide.total.parameters, wide.dtype })
    for _, more in ipairs { two, wide } do
      local ratio = more.total.memory / one.total.memory
      assert.is_true(ratio > 1.7 and ratio < 2.3, ratio)
    end
  end)

  it("takes sizes that are no multiples of 32, and 448x256 by default", function()
    local summary = tiny():summary { size = { 50, 33 }, repeats = 1 }
    assert.same({ 1, 64, 64, 4 }, row_of(summary, "segmentation_head").output)
    assert.same({ 1, 33, 50, 4 }, summary.total.output)
    if not support.small then assert.same({ 1, 256, 448, 4 }, tiny():summary().total.output) end
  end)

  it("prints as an aligned table", function()
    local lines = {}
    for line in tostring(tiny():summary(SIZE)):gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.is_truthy(lines[1]:find "^1 image of 64x96, float32, %d+ thread")
    assert.is_truthy(lines[2]:find "^stage +output +parameters +GFLOP +MiB +ms$")
    assert.is_truthy(lines[3]:find "^encoder.conv1 +1x48x32x64 +9,536 +%d+%.%d%d%d +%d+%.%d +%d+%.%d$")
    assert.is_truthy(lines[#lines]:find "^total +1x96x64x4 +1%d,%d%d%d,%d%d%d ")
    assert.equal(2 + 13 + 1, #lines)
    for i = 3, #lines do assert.equal(#lines[2], #lines[i]) end
  end)

  it("leaves the model as it was", function()
    local model = tiny()
    model.children.decoder:eval()
    local before, forward = {}, model.children.hand_branch.forward
    for name, t in pairs((model:state_dict())) do before[name] = t:clone() end
    co.seed(3)
    local random = co.rand(1):item()
    co.seed(3)
    co.no_grad(model.summary, model, SIZE)
    assert.equal(random, co.rand(1):item())
    assert.is_true(model.training and model.children.encoder.training and not model.children.decoder.training)
    assert.equal(forward, model.children.hand_branch.forward)
    for name, t in pairs((model:state_dict())) do assert.equal(0, support.difference(before[name], t)) end
    for _, p in ipairs(model:parameters()) do assert.is_nil(p.grad) end
    support.no_leak(model.summary, model, SIZE)
  end)

  it("counts stages written in Lua, and comes back from their errors", function()
    local model = tiny()
    local linear = co.nn.Linear { 4, 6 }
    model.children.hand_branch = linear
    local summary = model:summary(SIZE)
    assert.equal(2 * 96 * 64 * 4 * 6, row_of(summary, "hand_branch").flops)
    linear.forward = function() error("no such luck", 0) end
    local own = linear.forward
    support.raises("no such luck", model.summary, model, SIZE)
    assert.equal(own, linear.forward)
    assert.is_true(model.training)
  end)

  it("refuses bad options in one line", function()
    local model = tiny()
    support.raises("expected a table of options, found number", model.summary, model, 3)
    support.raises("expected batch, repeats or size, found sizes", model.summary, model, { sizes = 1 })
    support.raises("height: expected an integer of at least 1, found nil", model.summary, model, { size = { 3 } })
    support.raises("height: expected an integer of at least 1, found 0", model.summary, model, { size = { 3, 0 } })
    support.raises("batch: expected an integer of at least 1, found 1.5", model.summary, model, { batch = 1.5 })
  end)

  it("is explained by help", function()
    local text = require("cohesiv.tools.help").text(tiny().summary)
    for _, word in ipairs { "448", "parameters", "flops", "memory", "time" } do
      assert.is_truthy(text:find(word, 1, true), word)
    end
  end)
end)
