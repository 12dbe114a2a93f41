-- co.autotune on a GPU: cuDNN's suggestions are measured, and what is chosen is kept in a file. With the double of
-- cuDNN (tests/cuda/cudnn.c), whose second suggestion is the fastest, and the double's clock.
local core = require "cohesiv.core"
core.system.setenv("COHESIV_CUDNN", "double") -- before the first convolution asks
local co = require "cohesiv"
local json = require "cohesiv.base.json"
local plans = require "cohesiv.nn.plans"
local support = require "tests.support"

local folder = support.temp()
core.system.setenv("COHESIV_CACHE", folder)

local function network()
  co.seed(3)
  return co.nn.Sequential { co.nn.Conv2d { 3, 4, 3, padding = 1 }, co.nn.Conv2d { 4, 2, 1, stride = 15 } }:to "cuda"
end

local function tuned()
  return co.autotune(network(), { size = { 32, 16 }, training = true })
end

local function offers(rows)
  local list = {}
  for _, row in ipairs(rows) do list[#list + 1] = ("%.0f %.0f %.0f"):format(row.key[20], row.offer, row.engine) end
  table.sort(list)
  return list
end

it("takes the fastest of cuDNN's suggestions, where it is clearly faster, and results stay", function()
  local model, x = network(), co.randn(1, 16, 32, 3):to "cuda"
  local before = model:forward(x):totable()
  local rows = tuned()
  assert.is_true(#rows >= 4)
  for _, row in ipairs(rows) do
    local slow = row.key[20] == 15 -- strides: the last is faster by 2 % alone
    local biased = row.key[7] == 1 -- in the same graph: half the time, or none less
    local kept = not slow and { 1, 11 } or biased and { -1, 0 } or { 0, 10 }
    assert.same(kept, { row.offer, row.engine })
    local seconds = biased and not slow and 5e-4 or 1e-3
    assert.is_true(math.abs(row.seconds - seconds) < 1e-6 and row.usual >= row.seconds)
  end
  assert.is_truthy(tostring(rows):find(("%d problems"):format(#rows), 1, true))
  assert.same(before, model:forward(x):totable())
end)

it("keeps choices for other processes, whole, and beside theirs", function()
  local rows = tuned()
  local path = plans.path(core.plans.label())
  local file = json.decode(support.read(path))
  assert.equal(core.plans.label(), file.label)
  assert.same(offers(rows), offers(file.plans))
  for _, row in ipairs(file.plans) do assert.equal(row.offer >= 0, (row.text or ""):find "^double" ~= nil) end
  file.plans[1].key[10] = 77 -- another process's
  support.write(path, json.encode(file))
  tuned()
  assert.equal(#rows + 1, #json.decode(support.read(path)).plans)
end)

it("goes on with them in another process, and leaves damaged or foreign files alone in a line", function()
  tuned()
  local path = plans.path(core.plans.label())
  local whole = support.read(path)
  local env = { COHESIV_CUDA_MODULE = os.getenv "COHESIV_CUDA_MODULE", COHESIV_CUDNN = "double",
    COHESIV_CACHE = folder }
  for name, value in pairs(support.same_build) do env[name] = value end
  local code = [[local co = require "cohesiv"
    local m = co.nn.Sequential { co.nn.Conv2d { 3, 4, 3, padding = 1 } }:to "cuda"
    m:forward(co.randn(1, 16, 32, 3):to "cuda")
    for _, row in ipairs(require("cohesiv.nn.autotune").choices()) do print(row.task, row.method) end]]
  local function other(text)
    support.write(path, text)
    local result = support.cohesiv({ "-e", code }, { env = env, dir = support.root, timeout = 100 })
    assert.equal(0, result.status, result.stderr)
    return result.stdout, result.stderr
  end
  local said, warned = other(whole)
  assert.equal(("cudnn\toffer 1, engine 11\n"):rep(2), said) -- the convolution, and with its bias
  assert.equal("", warned)
  for text, found in pairs { [whole:sub(1, 100)] = "found a damaged file", ["[]"] = "found something else",
    [json.encode { format = "cohesiv plans 1", label = "X", plans = {} }] = "found some for X" } do
    said, warned = other(text)
    assert.equal("", said)
    assert.is_truthy(warned:find(found, 1, true), warned)
    assert.equal(1, select(2, warned:gsub("\n", "")))
    assert.equal(text, support.read(path))
  end
  support.write(path, whole)
end)

-- Convolutions with batch norm behind them, the second of which gains nothing by sums in the same pass.
local function normalised()
  co.seed(3)
  local first, second = co.nn.ConvBN { 3, 4, 3, padding = 1, act = "relu" }, co.nn.ConvBN { 4, 2, 1, stride = 15 }
  return co.nn.Sequential { first, second }:to "cuda"
end

local function with_statistics(rows)
  local list = {}
  for _, row in ipairs(rows) do
    if row.key[1] == 3 then list[("%.0f"):format(row.key[20])] = row end
  end
  return list
end

it("measures sums for batch norm beside a pass of their own, in training mode, and statistics stay", function()
  co.autotune "reset"
  local model = normalised()
  local buffers = {}
  for name, b in model:named_buffers() do buffers[name] = b:totable() end
  local rows = co.autotune(model, { size = { 32, 16 }, training = true })
  for name, b in model:named_buffers() do assert.same(buffers[name], b:totable()) end
  assert.is_true(model.training and model[1].bn.training)
  local found = with_statistics(rows)
  assert.same({ 1, 11 }, { found["1"].offer, found["1"].engine })
  assert.is_true(math.abs(found["1"].seconds - 5e-4) < 1e-6 and found["1"].usual >= 1e-3)
  assert.same({ -1, 0 }, { found["15"].offer, found["15"].engine })
  assert.is_nil(found["15"].text)
  assert.is_truthy(tostring(rows):find " apart ")
  rows = co.autotune(model, { size = { 32, 16 } }) -- inference has no use for them
  assert.is_nil(next(with_statistics(rows)))
end)

it("goes on with what is done apart, by the file and by a run's record", function()
  local tune = require "cohesiv.nn.autotune"
  co.autotune(normalised(), { size = { 32, 16 }, training = true })
  local file = json.decode(support.read(plans.path(core.plans.label())))
  local record = json.decode(json.encode(tune.choices()))
  for _, restore in ipairs { function() tune.include(record) end,
    function() for _, row in ipairs(file.plans) do core.plans.choose(row) end end } do
    co.autotune "reset"
    restore()
    local model = normalised():train()
    model:forward(co.randn(1, 16, 32, 3):to "cuda")
    local found = with_statistics(core.plans.rows())
    assert.same({ 1, -1 }, { found["1"].offer, found["15"].offer })
    local methods = {}
    for _, row in ipairs(tune.choices()) do methods[row.method] = true end
    assert.is_true(methods.apart and methods["offer 1, engine 11"])
  end
  co.autotune "reset"
end)

it("a run's record of them is taken again", function()
  local tune = require "cohesiv.nn.autotune"
  tuned()
  local record = json.decode(json.encode(tune.choices()))
  co.autotune "reset"
  assert.same({}, tune.choices())
  tune.include(record)
  local model = network()
  model:forward(co.randn(1, 16, 32, 3):to "cuda")
  local methods = {}
  for _, row in ipairs(tune.choices()) do methods[row.method] = true end
  assert.is_true(methods["offer 1, engine 11"])
  co.autotune "reset"
end)
