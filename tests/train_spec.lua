-- Training, on a few generated clips and a network of a few channels: what a run leaves, that one which was killed at
-- any moment and resumed ends in the same bits, what a signal does, and what bad recipes say.
local co = require "cohesiv"
local core = require "cohesiv.core"
local support = require "tests.support"

local tiny = require("tests.tiny").new()
local folder, world, experiment, environment, often = tiny.folder, tiny.world, tiny.experiment, tiny.environment,
  tiny.often

local function train(...) return tiny:train(...) end
local function new_folder(name) return tiny:new_folder(name) end

-- metrics.jsonl without what a clock says.
local function metrics(dir)
  local list = co.run(dir .. "/runs/tiny"):metrics()
  for _, record in ipairs(list) do record.seconds = nil end
  return list
end

local function weights(dir, name)
  local state = core.io.safetensors_read(("%s/runs/tiny/%s.safetensors"):format(dir, name))
  local out = {}
  for key, t in pairs(state) do out[key] = t end
  return out
end

local function assert_same_bits(a, b)
  for _, name in ipairs { "last", "best" } do
    local one, two = weights(a, name), weights(b, name)
    for key, t in pairs(one) do
      assert.is_truthy(two[key], key)
      assert.equal(0, support.difference(t, two[key]), name .. ": " .. key)
    end
    for key in pairs(two) do assert.is_truthy(one[key], key) end
  end
  assert.same(metrics(a), metrics(b))
  assert.same(co.run(a .. "/runs/tiny"):calibration(), co.run(b .. "/runs/tiny"):calibration())
end

describe("training", function()
  local whole = new_folder "whole"

  setup(function()
    tiny:make_world()
    local result = train(whole)
    assert.equal(0, result.status, result.stderr)
    assert.equal("runs/tiny\n", result.stdout)
  end)

  it("leaves a run with its recipe, metrics, checkpoints and calibration", function()
    local run = co.run(whole .. "/runs/tiny")
    for _, name in ipairs { "recipe.lua", "recipe.json", "run.json", "status.json", "metrics.jsonl", "calibration.json",
      "best.safetensors", "last.safetensors" } do
      assert.is_true(run:has(name), name)
    end
    for _, name in ipairs(support.list(run.path)) do assert.is_nil(name:find "%.part$" or name:find "tmp", name) end
    local list = run:metrics()
    assert.equal(2, #list)
    for epoch, record in ipairs(list) do
      assert.equal(epoch, record.epoch)
      for _, key in ipairs { "train_total", "train_responsibility", "train_embedding", "validation_total", "lr" } do
        assert.equal("number", type(record[key]), key)
      end
      assert.is_true(math.abs(10 * record.train_responsibility + record.train_embedding - record.train_total) < 1e-4)
    end
    assert.is_true(list[1].best)
    assert.equal("done", run:status().state)
    local calibration = run:calibration()
    assert.equal(4, #calibration.means.object)
    assert.equal(2, #calibration.thresholds.hand)
    local model = run:model()
    local answer = model:predict(co.zeros(40, 60, 3, { dtype = "uint8" }), { { 3, 4 } })
    assert.same({ 40, 60 }, answer[1].attention.shape)
    assert.same({ 40, 60 }, answer[1].hand.shape)
  end)

  it("keeps the average of the weights as the best, the last weights beside it", function()
    local best, last = weights(whole, "best"), weights(whole, "last")
    local compared = 0
    for key, t in pairs(best) do
      assert.is_truthy(last["average." .. key], key)
      if key:match "%.weight$" then
        assert.is_true(support.difference(t, last[key]) > 0, key)
        compared = compared + 1
      end
    end
    assert.is_true(compared > 0)
    local plain = new_folder "plain"
    assert.equal(0, train(plain, { "optim.average=0", "epochs=1" }).status)
    for key in pairs(weights(plain, "last")) do assert.is_nil(key:match "^average", key) end
    local result = train(plain, { "optim.average=1" })
    assert.equal(1, result.status)
    assert.is_truthy(result.stderr:find("average: expected a decay between 0 and 1, found 1", 1, true), result.stderr)
  end)

  it("learns from maps of a size of their own, whatever the network's", function()
    local labels, data = require "cohesiv.train.labels", co.data(world)
    local finer = require("cohesiv.train.recipe").load(experiment) { maps = { size = { 96, 64 } } }
    local clip = data:clip(data.clips[1])
    local n = labels.frames(clip, finer)[1]
    local path = labels.sample(clip, n, finer { size = { 48, 32 } })
    local sample = co.load(path)
    assert.same({ 64, 96, 3 }, sample.image.shape)
    assert.same({ 64, 96 }, { sample.maps.shape[1], sample.maps.shape[2] })
    assert.same({ 96, 64 }, sample.content:totable())
    assert.same({ path, false }, { path, select(3, labels.sample(clip, n, finer { size = { 80, 64 } })) })
    clip:close()
  end)

  it("may take for people what moves with a hand and is not held", function()
    local labels, data = require "cohesiv.train.labels", co.data(world)
    local map_options = require "cohesiv.motion.map_options"
    local recipe = require("cohesiv.train.recipe").load(experiment) {
      person = { source = "parts" }, maps = { size = { 96, 64 }, sharpen = "cut" } }
    local clip = data:clip(data.clips[1])
    local n = labels.frames(clip, recipe)[1]
    local sample = co.load((labels.sample(clip, n, recipe)))
    local R = clip:responsibility(n, map_options.of_recipe(recipe))
    local hands = #clip:hands(n)
    local _, object = core.responsibility.parts(R.scene, clip:scaled(n, { size = { 96, 64 } }), R.map)
    local moving = R.map:narrow(3, 1, hands):max(3):gt(0.4):to "float32"
    local person, held = sample.person:to "float32" / 255, object:to("float32"):max(1)
    assert.equal(0, support.difference(person * moving, moving - held))
    local around = clip:person(n, { size = { 96, 64 } }):to "float32"
    assert.equal(0, support.difference(person * (1 - moving), around * (1 - moving)))
    assert.is_true(moving:sum():item() > 20)
    clip:close()
  end)

  it("that was killed at any moment and resumed ends in the same bits", function()
    co.seed(os.getenv "COHESIV_KILL_SEED" and math.tointeger(os.getenv "COHESIV_KILL_SEED") or 1)
    local started = core.system.time()
    local once = new_folder "again"
    assert.equal(0, train(once).status)
    assert_same_bits(whole, once)
    local seconds = core.system.time() - started
    for k = 1, support.small and 1 or 2 do
      local dir, result = new_folder("killed" .. k), nil
      for _ = 1, 2 do
        local moment = seconds * (0.2 + 0.6 * co.rand(1)[1])
        result = train(dir, { "--resume" }, { signal = "KILL", timeout = moment, env = often })
        if result.status == 0 then break end
      end
      if result.status ~= 0 then result = train(dir, { "--resume" }) end
      assert.equal(0, result.status, result.stderr)
      assert.equal("runs/tiny\n", result.stdout)
      assert_same_bits(whole, dir)
    end
  end)

  it("that was killed between any two batches resumes in the same bits", function()
    local dir = new_folder "stepwise"
    local script = support.write(folder .. "/stop.lua", ([[
      -- dies after as many checkpoints as arg says
      local checkpoint = require "cohesiv.train.checkpoint"
      local write, left = checkpoint.write, tonumber(arg[1])
      checkpoint.write = function(...)
        write(...)
        left = left - 1
        if left == 0 then os.execute("kill -9 " .. require("cohesiv.core").system.pid()) end
      end
      local recipe = require("cohesiv.train.recipe").load(%q)
      local path = "runs/tiny"
      local begun = require("cohesiv.core").io.status(path .. "/recipe.json")
      require("cohesiv.train.train").train(recipe, { resume = begun and path or nil })]]):format(experiment))
    for _, left in ipairs { 2, 1, 3 } do
      local result = support.cohesiv({ script, tostring(left) }, { dir = dir, env = often, timeout = 400 })
      assert.equal(137, result.status, result.stderr)
    end
    local result = train(dir, { "--resume" })
    assert.equal(0, result.status, result.stderr)
    assert_same_bits(whole, dir)
  end)

  it("with tuned convolutions resumes with the same ones, in the same bits", function()
    local script = support.write(folder .. "/tuned.lua", ([[
      -- tunes, then takes what the rule would not; dies after the checkpoint that arg says
      local co, tune = require "cohesiv", require "cohesiv.nn.autotune"
      local checkpoint = require "cohesiv.train.checkpoint"
      local recipe = require("cohesiv.train.recipe").load(%q)
      co.tune(co.model(recipe.model), { size = recipe.size, batch = recipe.batch, training = true, trials = 1 })
      local list = tune.choices()
      for _, row in ipairs(list) do row.method = row.task == "upconv2d" and "taps" or "direct" end
      tune.use(list)
      local write, left = checkpoint.write, tonumber(arg[1])
      checkpoint.write = function(...)
        write(...)
        left = left - 1
        if left == 0 then os.execute("kill -9 " .. require("cohesiv.core").system.pid()) end
      end
      co.train(recipe)]]):format(experiment))
    local once, killed = new_folder "tuned", new_folder "tuned_killed"
    local result = support.cohesiv({ script, "0" }, { dir = once, env = environment, timeout = 400 })
    assert.equal(0, result.status, result.stderr)
    result = support.cohesiv({ script, "2" }, { dir = killed, env = often, timeout = 400 })
    assert.equal(137, result.status, result.stderr)
    result = train(killed, { "--resume" }) -- a process that never tuned
    assert.equal(0, result.status, result.stderr)
    assert_same_bits(once, killed)
    assert.is_true(#co.run(killed .. "/runs/tiny"):info().convolutions > 10)
    local other = 0
    local a, b = weights(whole, "last"), weights(once, "last")
    for key, t in pairs(a) do other = math.max(other, support.difference(t, b[key])) end
    assert.is_true(other > 0, "expected other bits than by the rule's methods")
  end)

  it("writes a checkpoint on Ctrl-C, says how to go on, and goes on", function()
    local dir = new_folder "stopped"
    local script = support.write(folder .. "/interrupt.lua", ([[
      local progress = require "cohesiv.base.progress"
      local new = progress.new
      progress.new = function(label, total)
        local bar = new(label, total)
        function bar:update()
          if label:find "epoch 2" then io.popen("kill -INT " .. require("cohesiv.core").system.pid()):close() end
        end
        return bar
      end
      require("cohesiv.train.train").train(require("cohesiv.train.recipe").load(%q))]]):format(experiment))
    local result = support.cohesiv({ script }, { dir = dir, env = environment, timeout = 400 })
    assert.equal(130, result.status, result.stderr)
    local last = result.stderr:match "([^\n]*)\n$"
    assert.is_truthy(last:find("cohesiv: interrupted: a checkpoint was written; go on with --resume", 1, true), last)
    assert.equal("stopped", co.run(dir .. "/runs/tiny"):status().state)
    result = train(dir, { "--resume" })
    assert.equal(0, result.status, result.stderr)
    assert_same_bits(whole, dir)
  end)

  it("gives a name that is taken a number", function()
    local result = train(whole, { "epochs=1" })
    assert.equal("runs/tiny-2\n", result.stdout, result.stderr)
    assert.equal(1, #co.run(whole .. "/runs/tiny-2"):metrics())
  end)

  it("describes and counts without training", function()
    local dir = new_folder "dry"
    local result = train(dir, { "--describe", "batch=7" })
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stdout:find "batch%s+7")
    result = train(dir, { "--dry-run" })
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stdout:find "mobilenet_v2: %d+ parameters")
    assert.is_truthy(result.stdout:find "4 clips, 4 with landmarks, %d+ frames to train on")
    assert.same({}, support.list(dir))
  end)

  it("refuses bad recipes in one line, and leaves nothing", function()
    local dir = new_folder "bad"
    local cases = {
      { { "optim.rate=1" }, "optim." }, { { "batch=x" }, "batch: expected a number" },
      { { "data=" .. folder .. "/none" }, "none" }, { { "model.encoder=vgg" }, "model.encoder" },
      { { "device=cuda" }, "device: expected cpu" }, { { "precision=half" }, "precision: expected " },
      { { "precision=bf16" }, "train: precision: expected float32 on cpu, found bf16" },
      { { "supervised=true" }, "supervised" }, { { "data=none" }, "none" },
      { { "loss.responsibility=0", "loss.embedding=0" }, "loss" },
      { { "model.encoder_weights=" .. folder .. "/none.safetensors" }, "none.safetensors" },
    }
    for _, case in ipairs(cases) do
      local result = train(dir, case[1])
      assert.equal(1, result.status, table.concat(case[1], " "))
      local line = result.stderr:match "([^\n]*)\n$"
      assert.is_truthy(line and line:find("^cohesiv: ") and line:find(case[2], 1, true), result.stderr)
      assert.is_nil(core.io.status(dir .. "/runs/tiny"), table.concat(case[1], " "))
    end
    support.refuses(support.cohesiv({ "train", folder .. "/none.lua" }, { dir = dir }), 1, "none.lua")
    assert.equal(2, support.cohesiv({ "train" }, { dir = dir }).status)
    support.raises("expected a recipe, found a table", co.train, {})
  end)

  it("refuses a damaged checkpoint, and another recipe than it was made for", function()
    local path = whole .. "/runs/tiny/last.safetensors"
    local good = support.read(path)
    support.write(path, good:sub(1, #good // 2))
    local function resume(change)
      return support.cohesiv({ "-e", ([[
        local r = require("cohesiv.train.recipe").load(%q, { %q })
        require("cohesiv.train.train").train(r, { resume = "runs/tiny" })]]):format(experiment, change) },
        { dir = whole, env = environment, timeout = 400 })
    end
    local result = resume "epochs=2"
    support.write(path, good)
    assert.equal(1, result.status)
    assert.is_truthy(result.stderr:find("last.safetensors", 1, true), result.stderr)
    result = resume "maps.frames=1"
    assert.equal(1, result.status)
    local told = "expected the recipe that the run began with, found another: maps.frames: 2 → 1"
    assert.is_truthy(result.stderr:find(told, 1, true), result.stderr)
  end)
end)
