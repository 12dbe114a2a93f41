-- What makes training comfortable: several batches a step, clipping, an encoder with its own rate, less data, pictures,
-- TensorBoard, the op that made a NaN, batches by memory, the best epochs, dry runs, and runs that are repeated.
local co = require "cohesiv"
local core = require "cohesiv.core"
local cost, tensorboard = require "cohesiv.train.cost", require "cohesiv.train.tensorboard"
local recipes, rerun = require "cohesiv.train.recipe", require "cohesiv.train.rerun"
local support = require "tests.support"
local tinies = require "tests.tiny"
local tiny = tinies.new()

local folder = tiny.folder
local before = os.getenv "COHESIV_CACHE"

setup(function()
  core.system.setenv("COHESIV_CACHE", folder .. "/cache")
  require("cohesiv.base.progress").quiet = true
  tiny:make_world(nil, 5)
end)
teardown(function()
  core.system.setenv("COHESIV_CACHE", before)
  require("cohesiv.base.progress").quiet = false
end)

local function train(changes, more)
  local r = recipes.load(tiny.experiment, { "epochs=1", table.unpack(changes or {}) })
  return co.train(more and r(more) or r, { root = folder .. "/runs" })
end

local function last(run) return core.io.safetensors_read(run:file "last.safetensors") end

-- The gradient of a run's first step, from AdamW's first moment, by name.
local function gradients(run)
  local out = {}
  for name, t in pairs(last(run)) do
    local of = name:match "^optimiser%.m%.(.*)$"
    if of then out[of] = t * 10 end
  end
  return out
end

local function norm(list)
  local sum = 0
  for _, t in pairs(list) do sum = sum + t:to("float64"):square():sum():item() end
  return math.sqrt(sum)
end

describe("a step of training", function()
  local one, plain

  setup(function()
    one = train { "limit_batches=1" }
    plain = gradients(one)
  end)

  it("takes the average gradient of several batches", function()
    local first
    local run = train({ "limit_batches=2", "optim.accumulate=2" }, { on = { step = function(_, batch)
      first = first or { image = batch.image:keep(), label = batch.label:keep(), maps = batch.maps:keep(),
        points = batch.points:keep(), image_index = batch.image_index:keep() }
      for name, t in pairs(first) do batch[name] = t end
    end } })
    assert.equal(1, run:status().step)
    local found = gradients(run)
    for name, t in pairs(plain) do
      local most = t:abs():max():item()
      assert.is_true(support.difference(t, found[name]) <= 1e-5 * most + 1e-9, name)
    end
    assert.equal(2, train({ "optim.accumulate=2" }):status().step) -- of three batches
  end)

  it("clips the gradients' norm", function()
    assert.is_true(norm(plain) > 0.01)
    local run = train { "limit_batches=1", "optim.clip=0.01" }
    assert.is_true(math.abs(norm(gradients(run)) - 0.01) < 1e-5)
    support.raises("optim.clip: expected a norm above 0, found 0", train, { "optim.clip=0" })
    support.raises("optim.accumulate: expected a whole number of at least 1, found 1.5", train,
      { "optim.accumulate=1.5" })
  end)

  it("gives the encoder a rate of its own, or none", function()
    core.seed(3)
    local start = co.model((function()
      local o = recipes.load(tiny.experiment).model
      return { encoder = o.encoder, decoder_widths = o.decoder_widths, embedding_dim = 4, attention_dim = 4 }
    end)()):state_dict()
    local function moved(run, pattern)
      local most = 0
      for name, t in pairs(last(run)) do
        if name:find(pattern) and start[name] and t.dtype == "float32" then
          most = math.max(most, support.difference(t, start[name]))
        end
      end
      return most
    end
    local frozen = train { "limit_batches=1", "optim.encoder_lr=0" }
    assert.equal(0, moved(frozen, "^encoder%."))
    assert.is_true(moved(frozen, "^decoder%.") > 0)
    assert.is_nil(last(frozen)["optimiser.m.encoder.features.0.0.weight"])
    local slow = train { "limit_batches=1", "optim.encoder_lr=0.0001" }
    local ratio = moved(slow, "^encoder%..*%.weight$") / moved(slow, "^decoder%..*%.weight$")
    assert.is_true(math.abs(ratio - 0.1) < 0.02, ratio)
  end)
end)

describe("less data", function()
  it("is some batches of an epoch", function()
    local run = train { "limit_batches=1", "epochs=3" }
    assert.same({ 1, 2, 3 }, (function()
      local steps = {}
      for i, record in ipairs(run:metrics()) do steps[i] = record.step end
      return steps
    end)())
  end)

  it("is one batch of everything, to see whether it runs", function()
    local dir = tiny:new_folder "fast"
    local result = tiny:train(dir, { "fast_dev_run=true", "epochs=9" }, { env = { COHESIV_CACHE = dir .. "/cache" } })
    assert.equal(0, result.status, result.stderr)
    local run = co.run(dir .. "/runs/tiny")
    assert.same({ "done", 1, 1 }, { run:status().state, run:status().step, #run:metrics() })
    assert.equal(1, #run:calibration().calibrated_on)
    local made = support.run({ "find", dir .. "/cache/samples", "-name", "*.npz" }).stdout
    assert.is_true(select(2, made:gsub("\n", "")) < 6) -- of all that there are
  end)

  it("is learnt by heart: neither shuffled nor augmented", function()
    local seen = {}
    local run = train({ "overfit_batches=1", "epochs=2" }, { on = { step = function(training, batch)
      seen[training.epoch] = batch.image:to("float32"):totable()
    end } })
    assert.same(seen[1], seen[2])
    local lines = {}
    for line in support.read(run:file "samples.jsonl"):gmatch "[^\n]+" do
      lines[#lines + 1] = line:gsub('^%["%l+",', "")
    end
    assert.same({ 4, lines[1], lines[2] }, { #lines, lines[3], lines[4] })
  end)
end)

describe("what a run shows", function()
  -- Records of an event file: list of { step, scalars by tag }, by its bytes alone.
  local function events(path)
    local text, list, at = support.read(path), {}, 1
    while at <= #text do
      local length = ("<I8"):unpack(text, at)
      local body = text:sub(at + 12, at + 11 + length)
      local crc = tensorboard.crc32c(body)
      assert.equal(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF, (("<I4"):unpack(text, at + 12 + length)))
      list[#list + 1] = body
      at = at + 16 + length
    end
    return list
  end

  it("is kept as pictures and as events that TensorBoard reads", function()
    assert.equal(0xE3069283, tensorboard.crc32c "123456789")
    local run = train { "pictures=1", "tensorboard=true", "epochs=2" }
    local picture = co.load(run:file "validation-1.png")
    assert.same({ 32, 256, 3 }, picture.shape)
    local digest = support.read(run:file "samples.jsonl"):match '%["validation","([^"]+)",(%d+)'
    local data = co.data(tiny.world)
    local clip = data:clip(digest)
    local n = tonumber(support.read(run:file "samples.jsonl"):match '%["validation","[^"]+",(%d+)')
    assert.equal(0, support.difference(clip:scaled(n, { size = { 64, 32 } }), picture:narrow(2, 1, 64)))
    clip:close()
    local list = events(run:file(tensorboard.name))
    assert.equal(5, #list)
    assert.is_truthy(list[1]:find("brain.Event:2", 1, true))
    local at = list[2]:find("train/total", 1, true)
    local value = ("<f"):unpack(list[2], at + #"train/total" + 1)
    assert.is_true(math.abs(value - run:metrics()[1].train_total) < 1e-6)
    assert.is_truthy(list[3]:find("\137PNG", 1, true))
    local half = tensorboard.kept(support.read(run:file(tensorboard.name)), 3)
    support.write(folder .. "/half", half .. "torn")
    assert.equal(half, tensorboard.kept(support.read(folder .. "/half"), 3))
    support.write(folder .. "/half", half)
    assert.same({ table.unpack(list, 1, 3) }, events(folder .. "/half"))
  end)

  local python = support.python or "python3"
  local reads = support.run({ python, "-c", "import tensorboard" }).status == 0
  local it_reads = reads and it or function(name) pending(name .. ": no Python has tensorboard") end
  it_reads("is read by TensorBoard itself", function()
    local run = train { "pictures=1", "tensorboard=true", "epochs=2" }
    local script = support.write(folder .. "/read.py", [[
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1])
events.Reload()
for e in events.Scalars("train/total"): print(e.step, "%.6f" % e.value)
for e in events.Images("validation/1"): print(e.step, e.width, e.height, e.encoded_image_string[1:4].decode())
]])
    local result = support.run({ python, script, run.path })
    local r = run:metrics()
    assert.equal(("3 %.6f\n6 %.6f\n3 256 32 PNG\n6 256 32 PNG\n"):format(("<f"):unpack(("<f"):pack(r[1].train_total)),
      ("<f"):unpack(("<f"):pack(r[2].train_total))), result.stdout, result.stderr)
  end)
end)

describe("a NaN", function()
  it("is told with the op that made it", function()
    local function with(f) return { loss = { terms = { odd = { f } } } } end
    local message = support.raises("log: forward: expected numbers, made NaN in element 1 of", train,
      { "detect_anomaly=true" }, with(function(out) return (out.Z:sum() * 0 - 1):log() end))
    assert.is_truthy(message:find "^loss.terms.odd: .*comforts_spec.lua:%d+: ")
    support.raises("mul: backward: expected numbers, made NaN in element 1 of the gradient of argument 1", train,
      { "detect_anomaly=true" }, with(function(out) return (out.Z:sum() * 0):sqrt() end))
    local plain = with(function(out) return (out.Z:sum() * 0 - 1):log() end)
    support.raises("the loss became NaN at step 1", train, {}, plain)
    assert.is_false(core.detect_anomaly(false))
  end)
end)

describe("a batch by memory", function()
  it("is the largest one that fits, and stays the run's", function()
    local dir = tiny:new_folder "auto"
    local result = tiny:train(dir, { "batch=auto" })
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("batch: auto: 64 samples fit into memory", 1, true), result.stderr)
    local run = co.run(dir .. "/runs/tiny")
    assert.equal(64, run.recipe.batch)
    result = tiny:train(dir, { "batch=auto", "epochs=3", "--resume" })
    assert.equal(0, result.status, result.stderr)
    assert.equal(3, #run:metrics())
    local r = recipes.load(tiny.experiment)
    local limit = co.memory().limit
    assert.equal(10, cost.fitting({ fixed = 0.3 * limit, each = 0.5 / 10.5 * limit }, r))
    support.raises("batch: expected memory for a step of one sample", cost.fitting,
      { fixed = 0.3 * limit, each = 0.6 * limit }, r)
    local measured = cost.measure(r, {}, nil)
    assert.is_true(measured.each > 64 * 32 * 100 and measured.fixed > 4 * 2e6 and measured.first > 0)
  end)
end)

describe("the best epochs", function()
  it("are kept, as many as asked for", function()
    local run = train { "epochs=4", "save_top_k=2", "optim.average=0" }
    local scores = {}
    for i, record in ipairs(run:metrics()) do scores[i] = { record.validation_total, i } end
    table.sort(scores, function(a, b) return a[1] < b[1] end)
    local expected = { ("epoch-%04d.safetensors"):format(math.min(scores[1][2], scores[2][2])),
      ("epoch-%04d.safetensors"):format(math.max(scores[1][2], scores[2][2])) }
    local found = {}
    for _, name in ipairs(support.list(run.path)) do
      if name:find "^epoch" then found[#found + 1] = name end
    end
    assert.same(expected, found)
    local best = run:model(("epoch-%04d"):format(scores[1][2])):state_dict()
    for name, t in pairs((run:model():state_dict())) do assert.equal(0, support.difference(t, best[name]), name) end
  end)
end)

describe("all of it", function()
  it("resumes in the same bits", function()
    local words = { "pictures=1", "tensorboard=true", "optim.accumulate=2", "optim.clip=0.5", "optim.encoder_lr=0.0003",
      "save_top_k=2", "limit_batches=3", "epochs=2" }
    local whole, dir = tiny:new_folder "whole", tiny:new_folder "killed"
    assert.equal(0, tiny:train(whole, words).status)
    local script = support.write(folder .. "/stop.lua", [[
      local checkpoint = require "cohesiv.train.checkpoint"
      local write, left = checkpoint.write, 4
      checkpoint.write = function(...)
        write(...)
        left = left - 1
        if left == 0 then os.execute("kill -9 " .. require("cohesiv.core").system.pid()) end
      end
      require("cohesiv.train.train").train(require("cohesiv.train.recipe").load(table.remove(arg, 1), arg))]])
    local result = support.cohesiv({ script, tiny.experiment, table.unpack(words) }, { dir = dir, env = tiny.often })
    assert.equal(137, result.status, result.stderr)
    words[#words + 1] = "--resume"
    result = tiny:train(dir, words)
    assert.equal(0, result.status, result.stderr)
    assert.same({ tensorboard.name }, tinies.differing(whole .. "/runs/tiny", dir .. "/runs/tiny")) -- it has times
    local _, size = core.io.status(whole .. "/runs/tiny/" .. tensorboard.name)
    assert.equal(size, (select(2, core.io.status(dir .. "/runs/tiny/" .. tensorboard.name))))
  end)
end)

describe("a run that is repeated", function()
  it("is told to be the same, or what differs", function()
    local run = train()
    co.evaluate(run)
    local result = support.cohesiv({ "rerun", run.path, "--root", folder .. "/other" },
      { dir = folder, env = tiny.environment })
    assert.equal(0, result.status, result.stderr)
    local again = result.stdout:match(("^the same: 1 epochs of losses, %%d+ tensors, thresholds and %d scores are "
      .. "bit%%-equal\n(%%S+/other/tiny)\n$"):format(#run:scores().rows))
    assert.is_truthy(again, result.stdout)
    assert.same({}, tinies.differing(run.path, again))
    local flat = support.read(run:file "recipe.json")
    support.write(run:file "recipe.json", (flat:gsub('"seed": 3', '"seed": 4')))
    local _, differences = rerun.rerun(co.run(run.path))
    support.write(run:file "recipe.json", flat)
    assert.is_truthy(differences[1]:find "^train_embedding of epoch 1: [%d.]+ then, [%d.]+ now$", differences[1])
    assert.is_truthy(differences[2]:find "^last.safetensors: %S+: up to %S+ apart$", differences[2])
    run:set_state "stopped"
    support.raises("expected a finished run, found it stopped", rerun.rerun, run)
    run:set_state "done"
  end)

  it("may be a system without training, or older than a key", function()
    local disc = recipes.load(support.root .. "/experiments/disc.lua", { "data=" .. tiny.world, "size=64x32" })
    disc = co.train(disc, { root = folder .. "/runs" })
    local flat = support.read(disc:file "recipe.json")
    support.write(disc:file "recipe.json", (flat:gsub('  "optim.accumulate": 1,\n', "")))
    assert.is_nil(support.read(disc:file "recipe.json"):find "accumulate")
    local _, differences = rerun.rerun(co.run(disc.path))
    assert.same({}, differences)
  end)
end)

describe("a recipe before it runs", function()
  it("says where each value was set", function()
    support.write(folder .. "/middle.lua", 'return require "tiny" {\n  name = "middle",\n  batch = 3,\n}\n')
    local leaf = support.write(folder .. "/leaf.lua", 'local base = require "middle"\nreturn base { seed = 9 }\n')
    local text = support.cohesiv({ "train", leaf, "--describe", "optim.lr=0.5" }, { dir = folder }).stdout
    local function line(name) return text:match("\n" .. name:gsub("%.", "%%.") .. " [^\n]*") or "" end
    assert.is_truthy(line("batch"):find "3   %(base: 10%) +%S+/middle.lua:3$", line "batch")
    assert.is_truthy(line("seed"):find "9   %(base: 0%) +%S+/leaf.lua:2$", line "seed")
    assert.is_truthy(line("validation"):find "tiny.lua:2$", line "validation")
    assert.is_truthy(line("optim.lr"):find "command line$")
    assert.is_truthy(line("minutes"):find "none +default$")
  end)

  it("tells what it would take, and writes nothing", function()
    local dir = tiny:new_folder "dry"
    local result = tiny:train(dir, { "--dry-run", "minutes=0.0001" }, { env = { COHESIV_CACHE = dir .. "/cache" } })
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stdout:find "mobilenet_v2: %d+ parameters\n", result.stdout)
    assert.is_truthy(result.stdout:find "samples: 5 to train on, 1 to validate on; 0 of 6 are made already\n")
    assert.is_truthy(result.stdout:find "batch: image uint8 2x32x64x3, label int32 2x32x64, maps float32 %dx32x64, ")
    assert.is_truthy(result.stdout:find "memory: %d+%.%d+ GB for a step %(limit %d+%.%d+ GB%)\n")
    assert.is_truthy(result.stdout:find "time: %d+%.%d+ s a step, 3 steps an epoch, 2 epochs at most: about %d+ s, end")
    assert.is_truthy(result.stdout:find "evaluate: 2 clips with masks, %d+ frames\n")
    assert.same({}, support.list(dir))
    result = support.cohesiv({ "train", support.root .. "/experiments/disc.lua", "--dry-run" }, { dir = dir })
    assert.equal("system disc: nothing is trained\ndata: none (data=PATH)\n", result.stdout)
  end)
end)

describe("scores", function()
  it("that cannot be kept are warned of, and had all the same", function()
    local warn = require "cohesiv.base.warn"
    local run, said, write = train(), {}, warn.write
    warn.write = function(line) said[#said + 1] = line end
    finally(function() warn.write = write end)
    core.io.make_folder(run:file "scores.json")
    assert.is_true(co.evaluate(run).All.n > 0)
    assert.is_truthy(said[1] and said[1]:find(run.path .. ": the scores are not kept: ", 1, true), said[1])
    os.remove(run:file "scores.json")
    run.set_scores = function() error("a slip", 0) end
    support.raises("a slip", co.evaluate, run)
  end)
end)
