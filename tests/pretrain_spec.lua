-- Pre-training on a generated world: what it is made by, that it is made once, and what becomes of it when it is
-- stopped, killed or damaged.
local co = require "cohesiv"
local core = require "cohesiv.core"
local cache = require "cohesiv.data.cache"
local pretrain, recipes = require "cohesiv.train.pretrain", require "cohesiv.train.recipe"
local support = require "tests.support"
local tinies = require "tests.tiny"
local tiny = tinies.new()

local folder, before = tiny.folder, os.getenv "COHESIV_CACHE"
local first = support.write(folder .. "/first.lua",
  "return require 'tiny' { name = 'first', epochs = 1, pretrain = { clips = 3, epochs = 2 } }\n")

setup(function()
  core.system.setenv("COHESIV_CACHE", folder .. "/cache")
  tiny:make_world(nil, 5)
end)
teardown(function() core.system.setenv("COHESIV_CACHE", before) end)

local function train(dir, words, env)
  return support.cohesiv({ "train", first, table.unpack(words or {}) },
    { dir = dir, env = env or tiny.environment, timeout = 400 })
end

-- The folder of the one pre-trained network in a cache.
local function made(path)
  local found = support.list(path .. "/pretrained")
  local names = {}
  for _, name in ipairs(found) do names[#names + 1] = name ~= "tmp" and name or nil end
  assert.equal(1, #names)
  return path .. "/pretrained/" .. names[1]
end

local function environment(name)
  return { COHESIV_CACHE = folder .. "/" .. name, COHESIV_CHECKPOINT_SECONDS = "0" }
end

-- A command that is killed, or interrupted, as soon as the pre-training has written so many checkpoints.
local function ended(dir, env, signal, count)
  local script = support.write(folder .. "/ended.lua", ([[
    local checkpoint, count = require "cohesiv.train.checkpoint", 0
    local write = checkpoint.write
    checkpoint.write = function(path, ...)
      write(path, ...)
      count = count + 1
      if path:find("/pretrained/", 1, true) and count == %d then
        io.popen("kill -%s " .. require("cohesiv.core").system.pid()):close()
      end
    end
    require("cohesiv.train.train").train(require("cohesiv.train.recipe").load(%q))]]):format(count, signal, first))
  return support.cohesiv({ script }, { dir = dir, env = env, timeout = 400 })
end

-- A command in the background.
local function command(dir, env, name, words)
  return ("cd %s && COHESIV_CACHE=%s %s train %s %s >%s.out 2>&1 & "):format(support.quote(dir),
    support.quote(env.COHESIV_CACHE), support.quote(support.root .. "/cohesiv"), support.quote(first), words, name)
end

describe("pre-training", function()
  local whole = tiny:new_folder "whole"

  it("is asked for by the recipe, and is its own network, losses and schedule on a world's truth", function()
    local recipe = recipes.load(first)
    assert.is_nil(pretrain.derived(recipe { pretrain = { clips = 0 } }))
    assert.is_nil(pretrain.derived(recipe { system = "predicted_query", model = { query_branch = true } }))
    local own = pretrain.derived(recipe { loss = { embedding = 3 }, optim = { lr = 5e-3 }, minutes = 4,
      maps = { sharpen = "cut", quality = 0.5, edit = function(R) return R end } })
    assert.same({ "cohesiv", 2, 4, 3, 5e-3 }, { own.system, own.epochs, own.minutes, own.loss.embedding, own.optim.lr })
    assert.same({ "truth", "truth", "cut" }, { own.person.source, own.maps.flow, own.maps.sharpen })
    assert.same({ 64, 32, -3, 3 }, { own.size[1], own.size[2], own.maps.gaps[1], own.maps.gaps[6] })
    assert.is_nil(own.maps.size or own.maps.quality or own.maps.edit or own.maps.frames)
    assert.equal(4, own.model.embedding_dim)
  end)

  it("is told of ahead, made once for a recipe, and begins what follows", function()
    local result = train(whole, { "--dry-run" })
    assert.is_truthy(result.stdout:find("pretrain: 3 clips of a generated world, 12 steps at most: about", 1, true),
      result.stdout)
    result = train(whole)
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("first: learns from a generated world first (pretrain.clips = 3)", 1, true),
      result.stderr)
    assert.equal(2, #co.run(made(folder .. "/cache")):metrics())
    assert.is_truthy(train(whole, { "--dry-run" }).stdout:find("generated world, made already", 1, true))
    result = train(whole, { "name=again", "pictures=1", "tensorboard=true" }) -- which decide nothing
    assert.equal(0, result.status, result.stderr)
    assert.is_nil(result.stderr:find("learns from a generated world", 1, true))
    local function best(name) return support.read(("%s/runs/%s/best.safetensors"):format(whole, name)) end
    assert.is_true(best "first" == best "again")
    assert.equal(0, train(whole, { "name=plain", "pretrain.clips=0" }).status)
    assert.is_false(best "first" == best "plain")
  end)

  it("is told of by the report, where there was one", function()
    for name, clips in pairs { again = "3", plain = "none" } do
      local result = support.cohesiv({ "report", "runs/" .. name }, { dir = whole, timeout = 400 })
      assert.equal(0, result.status, result.stderr)
      local report = support.read(("%s/runs/%s/report.html"):format(whole, name))
      assert.equal(clips, report:match "learned from (%d+) generated clips first" or "none")
    end
  end)

  it("is another for another seed, network, loss or world, and not for what it does not read", function()
    local recipe = recipes.load(first)
    core.system.setenv("COHESIV_CACHE", folder .. "/cache")
    assert.is_true(pretrain.is_made(recipe))
    assert.is_true(pretrain.is_made(recipe { epochs = 7, data = "elsewhere", person = { source = "skin" }, threads = 1,
      maps = { gaps = { -2, 2 }, frames = 1, flow = "dis" }, predict = { refine = true } }))
    for _, change in ipairs { { seed = 4 }, { model = { position = true } }, { loss = { embedding = 2 } },
      { optim = { lr = 2e-3 } }, { maps = { temperature = 1 } }, { augment = { flip = 0 } }, { batch = 3 },
      { pretrain = { clips = 4 } }, { pretrain = { epochs = 1 } } } do
      assert.is_false(pretrain.is_made(recipe(change)))
    end
  end)

  it("that was killed goes on, and ends in the same bits", function()
    local dir, env = tiny:new_folder "killed", environment "cache_killed"
    assert.equal(137, ended(dir, env, "9", 2).status)
    assert.equal("training", co.run(made(env.COHESIV_CACHE)):status().state)
    assert.is_nil(core.io.status(dir .. "/runs/first"))
    local result = train(dir, nil, env)
    assert.equal(0, result.status, result.stderr)
    assert.is_nil(result.stderr:find("epoch 1/2: epoch 1", 1, true), result.stderr)
    local names = tinies.differing(made(folder .. "/cache"), made(env.COHESIV_CACHE))
    assert.same({ "recipe.json" }, names) -- the world's folder is another
    assert.same({}, tinies.differing(whole .. "/runs/first", dir .. "/runs/first"))
    assert.same({}, tinies.leftovers(env.COHESIV_CACHE))
  end)

  it("is left with a checkpoint on Ctrl-C, which says how to go on, and no run folder", function()
    local dir, env = tiny:new_folder "stopped", environment "cache_stopped"
    local result = ended(dir, env, "INT", 1)
    assert.equal(130, result.status, result.stderr)
    local how = "interrupted: a checkpoint was written; go on with the same command ("
    assert.is_truthy(result.stderr:find(how, 1, true), result.stderr)
    assert.is_nil(core.io.status(dir .. "/runs/first"))
    assert.equal("stopped", co.run(made(env.COHESIV_CACHE)):status().state)
    assert.equal(0, train(dir, nil, env).status)
    assert.same({}, tinies.differing(whole .. "/runs/first", dir .. "/runs/first"))
  end)

  it("is made again where its files are damaged", function()
    local path = made(folder .. "/cache")
    for _, name in ipairs { "best.safetensors", "recipe.json", "status.json" } do
      local content = support.read(path .. "/" .. name)
      support.write(path .. "/" .. name, content:sub(1, #content // 2))
      local result = train(whole, { "name=" .. name:gsub("%..*", "") })
      assert.equal(0, result.status, result.stderr)
      assert.is_truthy(result.stderr:find("learns from a generated world first", 1, true), name)
      assert.equal("done", co.run(path):status().state, name)
    end
    assert.is_true(support.read(whole .. "/runs/first/best.safetensors")
      == support.read(whole .. "/runs/best/best.safetensors"))
  end)

  it("is a batch of a few clips where it is only to be seen whether everything runs", function()
    local dir, env = tiny:new_folder "fast", environment "cache_fast"
    local result = train(dir, { "fast_dev_run=true", "pretrain.clips=5000" }, env)
    assert.equal(0, result.status, result.stderr)
    local run = co.run(made(env.COHESIV_CACHE))
    assert.equal(1, run:status().step)
    assert.is_truthy(run.recipe.data:find("-4x7", 1, true))
  end)

  it("is done by one of two processes that ask at one moment", function()
    local dir, env = tiny:new_folder "both", environment "cache_both"
    local both = ""
    for _, name in ipairs { "one", "two" } do both = both .. command(dir, env, name, "name=" .. name) end
    assert.equal(0, support.run(both .. "wait", { timeout = 400 }).status)
    local told = support.read(dir .. "/one.out") .. support.read(dir .. "/two.out")
    assert.equal(1, select(2, told:gsub("learns from a generated world first", "")), told)
    assert.equal(1, select(2, told:gsub("waits for another process that learns from the generated world", "")), told)
    local function best(name) return support.read(("%s/runs/%s/best.safetensors"):format(dir, name)) end
    assert.is_true(best "one" == best "two")
  end)

  it("of two recipes shares a world that is made once", function()
    local dir, env, both = tiny:new_folder "seeds", environment "cache_seeds", ""
    for seed = 4, 5 do both = both .. command(dir, env, seed, ("name=s%d seed=%d"):format(seed, seed)) end
    assert.equal(0, support.run(both .. "wait", { timeout = 400 }).status)
    for seed = 4, 5 do
      assert.equal("done", co.run(("%s/runs/s%d"):format(dir, seed)):status().state, support.read(dir .. "/4.out"))
    end
    assert.equal(3, #support.list(env.COHESIV_CACHE .. "/pretrained")) -- and tmp
  end)

  it("hears Ctrl-C while its world is made", function()
    local dir, env = tiny:new_folder "early", environment "cache_early"
    local script = support.write(folder .. "/early.lua", ([[
      local core = require "cohesiv.core"
      local clips = core.world.clips
      core.world.clips = function(...)
        clips(...)
        io.popen("kill -INT " .. core.system.pid()):close()
      end
      local recipe = require("cohesiv.train.recipe").load(%q)
      require("cohesiv.train.train").train(recipe { pretrain = { clips = 20 } })]]):format(first))
    local result = support.cohesiv({ script }, { dir = dir, env = env, timeout = 400 })
    assert.equal(130, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("interrupted: the clips made so far are kept", 1, true), result.stderr)
    assert.is_nil(result.stderr:find("epoch", 1, true))
    assert.is_nil(core.io.status(dir .. "/runs/first"))
  end)

  it("hears Ctrl-C while another process learns", function()
    local dir, env = tiny:new_folder "waiting", environment "cache_waiting"
    core.system.setenv("COHESIV_CACHE", env.COHESIV_CACHE)
    local held = assert(cache.lock("pretrained", made(folder .. "/cache"):match "[^/]+$", false))
    local script = support.write(folder .. "/waiting.lua", ([[
      local system = require("cohesiv.core").system
      system.sleep = function() io.popen("kill -INT " .. system.pid()):close() end
      require("cohesiv.train.train").train(require("cohesiv.train.recipe").load(%q))]]):format(first))
    local result = support.cohesiv({ script }, { dir = dir, env = env, timeout = 400 })
    held:close()
    core.system.setenv("COHESIV_CACHE", folder .. "/cache")
    assert.equal(130, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("waits for another process that learns from the generated world", 1, true))
    assert.is_truthy(result.stderr:find("interrupted: what was made so far is kept", 1, true), result.stderr)
    assert.is_nil(core.io.status(dir .. "/runs/first"))
  end)

  it("that was stopped in a cache that has moved is begun again", function()
    local dir, env = tiny:new_folder "moved", environment "cache_moved"
    assert.equal(130, ended(dir, env, "INT", 1).status)
    assert.is_true(os.rename(env.COHESIV_CACHE, env.COHESIV_CACHE .. "_away"))
    local result = train(dir, nil, environment "cache_moved_away")
    assert.equal(0, result.status, result.stderr)
    assert.same({}, tinies.differing(whole .. "/runs/first", dir .. "/runs/first"))
  end)

  it("that was stopped and whose records are damaged is begun again", function()
    for _, name in ipairs { "run.json", "metrics.jsonl" } do
      local dir, env = tiny:new_folder("torn_" .. name), environment("cache_torn_" .. name)
      assert.equal(130, ended(dir, env, "INT", 2).status)
      support.write(made(env.COHESIV_CACHE) .. "/" .. name, '{"name":\n')
      local result = train(dir, nil, env)
      assert.equal(0, result.status, result.stderr)
      assert.same({}, tinies.differing(whole .. "/runs/first", dir .. "/runs/first"))
    end
  end)

  it("knows a file of weights by what it holds", function()
    local state = (require("cohesiv.nn.encoders").encoder "mobilenet_v2"):state_dict()
    local one, two = folder .. "/one.safetensors", folder .. "/two.safetensors"
    core.io.safetensors_write(one, state)
    core.io.safetensors_write(two, state)
    local env = environment "cache_weights"
    local function told(file)
      local result = train(tiny:new_folder("weights"), { "model.encoder_weights=" .. file, "epochs=1" }, env)
      assert.equal(0, result.status, result.stderr)
      return result.stderr:find("learns from a generated world first", 1, true) ~= nil
    end
    assert.same({ true, false, false }, { told(one), told(one), told(two) })
    local name, t = next(state)
    state[name] = t + 1
    core.io.safetensors_write(one, state)
    assert.same({ true, false }, { told(one), told(two) })
  end)

  it("is not begun where the data cannot be learnt from; keys that mean nothing are one line", function()
    local dir, env = tiny:new_folder "wrong", environment "cache_wrong"
    support.refuses(train(dir, { "data=nowhere" }, env), 1, "nowhere")
    assert.is_nil(core.io.status(env.COHESIV_CACHE .. "/pretrained"))
    support.refuses(train(dir, { "pretrain.clips=2.5" }, env), 1,
      "pretrain.clips: expected a whole number of at least 0, found 2.5")
    support.refuses(train(dir, { "pretrain.epochs=0" }, env), 1,
      "pretrain.epochs: expected a whole number of at least 1, found 0")
    support.refuses(train(dir, { "loss.responsibility=0", "loss.embedding=0" }, env), 1,
      "pretrain.clips: expected 0, since loss.responsibility and loss.embedding are, found 3")
    support.refuses(train(dir, { "size=64,8" }, env), 1, "world: height")
  end)
end)
