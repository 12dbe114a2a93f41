-- co.tune and the table of choices behind it: choices change the method and little else, can be read and set again,
-- give the same bits on any number of threads, and are kept by run folders.
local co = require "cohesiv"
local core = require "cohesiv.core"
local support = require "tests.support"
local tune = require "cohesiv.nn.autotune"

local choices = core.algos
local conv2d, upconv2d = core.ops.conv2d.call, core.ops.upconv2d.call

local function largest(t) return t:abs():max():item() end

local function close(a, b, what)
  local difference = largest(a - b) / largest(b)
  assert.is_true(difference < 1e-4, ("%s: differs by %.2g of the largest value"):format(what, difference))
end

-- Results and gradients of f(a, b, c?), with and without a list of choices: { without, with, without }.
local function runs(f, inputs, list)
  local out = {}
  for i, rows in ipairs { {}, list, {} } do
    choices.set(rows)
    local own = {}
    for k, t in ipairs(inputs) do
      own[k] = t:clone()
      own[k].requires_grad = true
    end
    local y = f(table.unpack(own))
    y:backward(co.full(0.5, y.shape) + y:detach() * 0.1)
    out[i] = { y = y:detach() }
    for k, t in ipairs(own) do out[i]["gradient " .. k] = t.grad end
  end
  return table.unpack(out)
end

local function convolution(packed, method)
  return { task = "convolution", shape = { 2, 9, 13, 32, 1, 3, 3, 1, 9, 13, 32, packed }, method = method }
end

local function tiny()
  return co.model { encoder = "mobilenet_v2", decoder_widths = { 96, 16, 16, 16, 16 }, embedding_dim = 16,
    attention_dim = 16 }
end

describe("choices", function()
  before_each(function()
    co.seed(4)
    choices.set {}
  end)
  after_each(function() choices.set {} end)

  it("change the method of the shape that they name, and results by rounding only", function()
    local x, w = co.randn(2, 9, 13, 32), co.randn(32, 3, 3, 32) * 0.1
    local one, other, again = runs(function(a, b) return conv2d(a, b, nil, 1, 1) end, { x, w }, {
      convolution(0, "direct"), { task = "weight_gradient", shape = { 2, 9, 13, 32, 1, 3, 3, 1, 1, 32 },
        method = "direct" } })
    for name, t in pairs(one) do
      assert.equal(0, largest(t - again[name]), name)
      assert.is_true(largest(t - other[name]) > 0, name .. ": expected another method")
      close(other[name], t, name)
    end
  end)

  it("tell packed weights from those of training, and other shapes from theirs", function()
    local x, w = co.randn(2, 9, 13, 32), co.randn(32, 3, 3, 32) * 0.1
    local before = conv2d(x, w, nil, 1, 1)
    choices.set { convolution(0, "direct") }
    assert.equal(0, largest(conv2d(x, w, nil, 1, 1) - before))
    choices.set { convolution(1, "direct") }
    assert.is_true(largest(conv2d(x, w, nil, 1, 1) - before) > 0)
    close(conv2d(x, w, nil, 1, 1), before, "direct")
    local bigger = co.randn(2, 10, 13, 32)
    local result = conv2d(bigger, w, nil, 1, 1)
    choices.set {}
    assert.equal(0, largest(conv2d(bigger, w, nil, 1, 1) - result))
  end)

  it("hold for up-sampling convolutions and groups", function()
    local one, other = runs(upconv2d, { co.randn(1, 5, 6, 32), co.randn(16, 3, 3, 48) * 0.1, co.randn(1, 10, 12, 16) },
      { { task = "upconv2d", shape = { 1, 5, 6, 32, 16, 16, 0 }, method = "taps" } })
    assert.is_true(largest(one.y - other.y) > 0)
    for name, t in pairs(one) do close(other[name], t, name) end
    one, other = runs(function(a, b) return conv2d(a, b, nil, 1, 1, 16) end,
      { co.randn(1, 6, 7, 64), co.randn(64, 3, 3, 4) }, {
        { task = "convolution", shape = { 1, 6, 7, 4, 16, 3, 3, 1, 6, 7, 4, 0 }, method = "direct" },
        { task = "weight_gradient", shape = { 1, 6, 7, 64, 16, 3, 3, 1, 1, 64 }, method = "direct" } })
    for name, t in pairs(one) do close(other[name], t, name) end
  end)

  it("have no effect where their method does not fit", function()
    local x, w = co.randn(2, 9, 13, 32), co.randn(32, 3, 3, 32)
    local before = conv2d(x, w, nil, 1, 1)
    choices.set { convolution(1, "grouped") }
    assert.equal(0, largest(conv2d(x, w, nil, 1, 1) - before))
  end)

  it("give the same bits on any number of threads", function()
    local threads = core.system.threads()
    choices.set { convolution(1, "direct") }
    local x, w = co.randn(2, 9, 13, 32), co.randn(32, 3, 3, 32)
    co.threads(1)
    local one = conv2d(x, w, nil, 1, 1)
    for _, n in ipairs { 2, 3, 4 } do
      co.threads(n)
      assert.equal(0, largest(conv2d(x, w, nil, 1, 1) - one))
    end
    co.threads(threads)
  end)

  it("can be read, set again and added to", function()
    local list = { convolution(0, "direct"), convolution(1, "winograd4"),
      { task = "upconv2d", shape = { 1, 2, 3, 4, 5, 6, 1 }, method = "joined" } }
    choices.set(list)
    assert.same(list, tune.choices())
    choices.set(tune.choices())
    assert.same(list, choices.rows())
    choices.add { convolution(0, "grouped") }
    assert.same({ convolution(0, "grouped"), list[2], list[3] }, choices.rows())
    choices.set { list[3] }
    assert.same({ list[3] }, choices.rows())
  end)

  it("are refused in one line, and none of a list with a bad one counts", function()
    local function bad(text, row) support.raises(text, choices.set, { convolution(0, "direct"), row }) end
    choices.set { convolution(1, "direct") }
    bad("algos: row 2: expected { task, shape, method }, found number", 3)
    bad("algos: row 2: task: expected convolution, weight_gradient or upconv2d, found pool", { task = "pool" })
    bad("algos: row 2: task: expected convolution, weight_gradient or upconv2d, found nil", {})
    bad("algos: row 2: method: expected winograd6, winograd4, grouped or direct, found taps", convolution(0, "taps"))
    bad("algos: row 2: method: expected taps or joined, found direct", { task = "upconv2d", method = "direct" })
    bad("algos: row 2: shape: expected 7 integers, found 2",
      { task = "upconv2d", method = "taps", shape = { 1, 2 } })
    bad("algos: row 2: shape: expected 7 integers, found nil", { task = "upconv2d", method = "taps" })
    bad("algos: row 2: skip: expected an integer, found string",
      { task = "upconv2d", method = "taps", shape = { 1, 2, 3, 4, "x", 6, 7 } })
    assert.same({ convolution(1, "direct") }, choices.rows())
  end)
end)

describe("co.tune", function()
  before_each(function()
    co.seed(5)
    choices.set {}
  end)
  after_each(function() choices.set {} end)

  it("measures every method of every shape, and chooses the fastest or the usual one", function()
    local model = tiny()
    local tuning = co.tune(model, { size = { 64, 32 }, batch = 2, training = true, trials = 2 })
    local tasks, chosen = {}, 0
    for _, row in ipairs(tuning) do
      tasks[row.task] = true
      local methods, fastest = 0, nil
      for method, seconds in pairs(row.times) do
        assert.is_true(seconds > 0)
        methods = methods + 1
        if not fastest or seconds < row.times[fastest] then fastest = method end
      end
      assert.is_true(methods >= 2)
      assert.is_true(row.method == row.usual or row.method == fastest, row.method)
      assert.is_true(row.times[row.method] <= row.times[row.usual])
      if row.method == row.usual then assert.is_true(row.times[fastest] >= 0.9499 * row.times[row.usual])
      else chosen = chosen + 1 end
    end
    assert.same({ convolution = true, weight_gradient = true, upconv2d = true }, tasks)
    assert.equal(#tuning, #tune.choices())
    local text = tostring(tuning)
    for _, word in ipairs { "winograd4", "joined", "gradient of weights", "instead of", "by the rule" } do
      assert.is_truthy(text:find(word, 1, true), word)
    end
    local x = co.randn(2, 32, 64, 3)
    model:eval()
    local with = co.no_grad(model.forward, model, x).Z
    co.tune "reset"
    assert.same({}, choices.rows())
    close(with, co.no_grad(model.forward, model, x).Z, "Z")
  end)

  it("leaves the model as it was", function()
    local model = tiny()
    model.children.decoder:eval()
    local p = model:parameters()[1]
    p.grad = co.ones(p.shape)
    local before = {}
    for name, t in pairs((model:state_dict())) do before[name] = t:clone() end
    local a = core.random_state()
    co.tune(model, { size = { 32, 32 }, training = true, trials = 1 })
    assert.equal(a, (core.random_state()))
    assert.is_true(model.training and not model.children.decoder.training)
    for name, t in pairs((model:state_dict())) do assert.equal(0, support.difference(before[name], t), name) end
    for i, q in ipairs(model:parameters()) do
      if i > 1 then assert.is_nil(q.grad) end
    end
    assert.equal(1, p.grad:min():item())
  end)

  it("ends tuning when a pass fails", function()
    local model = tiny()
    model.children.hand_branch.forward = function() error("no such luck", 0) end
    support.raises("no such luck", co.tune, model, { size = { 32, 32 } })
    local n = #choices.rows()
    conv2d(co.randn(1, 8, 8, 32), co.randn(32, 3, 3, 32), nil, 1, 1)
    assert.equal(n, #choices.rows())
  end)

  it("refuses bad arguments in one line", function()
    local model = tiny()
    support.raises("tune: expected a model or \"reset\", found number", co.tune, 3)
    support.raises("tune: expected batch, size, training or trials, found sizes", co.tune, model, { sizes = 1 })
    support.raises("tune: height: expected an integer of at least 1, found 0", co.tune, model, { size = { 8, 0 } })
    support.raises("tune: batch: expected an integer of at least 1, found 1.5", co.tune, model, { batch = 1.5 })
    support.raises("tune: training: expected a boolean, found number", co.tune, model, { training = 1 })
  end)

  it("is explained by help", function()
    local text = require("cohesiv.tools.help").text(co.tune)
    for _, word in ipairs { "size", "batch", "training", "seconds", "run folder" } do
      assert.is_truthy(text:find(word, 1, true), word)
    end
  end)
end)

describe("a run folder", function()
  after_each(function() choices.set {} end)

  it("keeps the choices of its beginning, and sets them again", function()
    local runs_ = require "cohesiv.train.run"
    local recipe = require "experiments.cohesiv" { name = "tuned", data = "none" }
    local root = support.temp()
    choices.set {}
    local plain = runs_.create(recipe, { root = root })
    local list = { convolution(0, "direct"), { task = "upconv2d", shape = { 1, 2, 3, 4, 5, 6, 1 }, method = "joined" } }
    choices.set(list)
    local tuned = co.run(runs_.create(recipe, { root = root }).path)
    assert.is_nil(plain:info().convolutions)
    choices.set {}
    tuned:restore_choices()
    assert.same(list, choices.rows())
    plain:restore_choices()
    assert.same({}, choices.rows())
    choices.set { convolution(1, "direct") }
    tiny():save(tuned:file "best.safetensors")
    pcall(tuned.model, tuned) -- the recipe's network is another: only choices matter here
    assert.same({ convolution(1, "direct"), list[1], list[2] }, choices.rows())
  end)
end)
