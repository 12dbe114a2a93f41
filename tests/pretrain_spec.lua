-- Pre-training on a generated world: what it is made by, that it is made once, and what becomes of it when it is
-- stopped, killed or damaged.
local co = require "cohesiv"
local core = require "cohesiv.core"
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
local function made(cache)
  local found = support.list(cache .. "/pretrained")
  local names = {}
  for _, name in ipairs(found) do names[#names + 1] = name ~= "tmp" and name or nil end
  assert.equal(1, #names)
  return cache .. "/pretrained/" .. names[1]
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

describe("pre-training", function()
  local whole = tiny:new_folder "whole"

  it("is asked for by the recipe, and is its own network, losses and schedule on a world's truth", function()
    local recipe = recipes.load(first)
    assert.is_nil(pretrain.recipe(recipe { pretrain = { clips = 0 } }))
    assert.is_nil(pretrain.recipe(recipe { system = "predicted_query", model = { query_branch = true } }))
    local own = pretrain.recipe(recipe { loss = { embedding = 3 }, optim = { lr = 5e-3 }, minutes = 4,
      maps = { sharpen = "cut", quality = 0.5, edit = function(R) return R end } })
    assert.same({ "cohesiv", 2, 4, 3, 5e-3 }, { own.system, own.epochs, own.minutes, own.loss.embedding, own.optim.lr })
    assert.same({ "truth", "truth", "cut" }, { own.person.source, own.maps.flow, own.maps.sharpen })
    assert.same({ 64, 32, -3, 3 }, { own.maps.size[1], own.maps.size[2], own.maps.gaps[1], own.maps.gaps[6] })
    assert.is_nil(own.maps.quality or own.maps.edit or own.maps.frames)
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
      assert.equal(#content, #support.read(path .. "/" .. name), name)
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
    local command = "cd %s && COHESIV_CACHE=%s %s train %s name=%s >%s.out 2>&1 & "
    local both = ""
    for _, name in ipairs { "one", "two" } do
      both = both .. command:format(support.quote(dir), support.quote(env.COHESIV_CACHE),
        support.quote(support.root .. "/cohesiv"), support.quote(first), name, name)
    end
    assert.equal(0, support.run(both .. "wait", { timeout = 400 }).status)
    local told = support.read(dir .. "/one.out") .. support.read(dir .. "/two.out")
    assert.equal(1, select(2, told:gsub("learns from a generated world first", "")), told)
    assert.equal(1, select(2, told:gsub("waits for another process that learns from the generated world", "")), told)
    local function best(name) return support.read(("%s/runs/%s/best.safetensors"):format(dir, name)) end
    assert.is_true(best "one" == best "two")
  end)

  it("is not begun where the data cannot be learnt from; keys that mean nothing are one line", function()
    local dir, env = tiny:new_folder "wrong", environment "cache_wrong"
    support.refuses(train(dir, { "data=nowhere" }, env), 1, "nowhere")
    assert.is_nil(core.io.status(env.COHESIV_CACHE .. "/pretrained"))
    support.refuses(train(dir, { "pretrain.clips=2.5" }, env), 1,
      "pretrain.clips: expected a whole number of at least 0, found 2.5")
    support.refuses(train(dir, { "pretrain.epochs=0" }, env), 1,
      "pretrain.epochs: expected a whole number of at least 1, found 0")
  end)
end)
