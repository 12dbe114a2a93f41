--- Pre-training: COHESIV's network learns from a generated world first, whose flow and people are exact, by the
-- recipe's own weights of the losses, schedule and augmentation; then from the recipe's data. World and network are
-- made once and kept in the cache, the network as a run folder, so that a training that was stopped goes on.
local core = require "cohesiv.core"
local lists, progress = require "cohesiv.base.lists", require "cohesiv.base.progress"
local cache, world = require "cohesiv.data.cache", require "cohesiv.data.world"
local tune = require "cohesiv.nn.autotune"
local extent, labels = require "cohesiv.train.extent", require "cohesiv.train.labels"
local recipes, runs = require "cohesiv.train.recipe", require "cohesiv.train.run"
local M = {}

local VERSION = 1 -- raised whenever the same recipe gives another network
local SEED = 4 -- of the world: 1 to 3 are those of `cohesiv quickstart`, which are evaluated on
local FRAMES, TRAINED_ON = 7, 4 -- of a clip: those that there are, and of which labels are made, at most
local FEW = 4 -- clips, where it is only to be seen whether everything runs

-- Keys that the pre-training has of the recipe; those of its maps that it has otherwise, or does without.
local TAKEN = { "seed", "size", "batch", "device", "precision", "minutes", "fast_dev_run", "model", "optim",
  "embedding", "augment" }
local OWN_MAPS = { gaps = { -3, -2, -1, 1, 2, 3 }, flow = "truth", weighted = false }
local LEFT_OUT = { "size", "frames", "quality", "edit" }

local function tell(format, ...) io.stderr:write(format:format(...), "\n") end

-- The clips that a recipe asks for, nil for none: what is learnt by heart, and other systems, begin as they are.
local function clips_of(recipe)
  local o = rawget(recipe, "pretrain") -- recipes of older runs lack it
  if not o or o.clips == 0 or recipe.system ~= "cohesiv" or recipe.overfit_batches > 0 then return nil end
  return recipe.fast_dev_run and math.min(FEW, o.clips) or o.clips
end

local function world_of(recipe)
  return world.in_cache { seed = SEED, clips = clips_of(recipe), frames = FRAMES, size = recipe.size, mask_every = 0,
    truth = { "flow", "person" } }
end

--- check(recipe): raises where its keys mean nothing.
function M.check(recipe)
  local o = rawget(recipe, "pretrain")
  for key, least in pairs { clips = 0, epochs = 1 } do
    local value = o and o[key]
    if o and (not math.tointeger(value) or value < least) then
      core.refuse("pretrain.%s: expected a whole number of at least %d, found %s", key, least, recipes.show(value))
    end
  end
  if not clips_of(recipe) then return end
  world.check(world_of(recipe))
  if recipe.loss.responsibility == 0 and recipe.loss.embedding == 0 then
    core.refuse("pretrain.clips: expected 0, since loss.responsibility and loss.embedding are, found %d", o.clips)
  end
end

--- derived(recipe): the recipe that the network is pre-trained by; nil where it is not.
function M.derived(recipe)
  if not clips_of(recipe) then return nil end
  local taken, maps, loss = {}, lists.copy(recipe.maps), recipe.loss
  for _, key in ipairs(TAKEN) do taken[key] = recipe[key] end
  for _, key in ipairs(LEFT_OUT) do maps[key] = nil end
  for key, value in pairs(OWN_MAPS) do maps[key] = value end
  local own = recipes.method()(taken) {
    name = "pretrained", data = world_of(recipe).out, epochs = recipe.pretrain.epochs, validation = 0.05, maps = maps,
    loss = { responsibility = loss.responsibility, embedding = loss.embedding, clamp = loss.clamp },
    person = { source = "truth" },
  }
  return recipes.from(own, recipes.bundle(recipe))
end

-- The run folder of a pre-training, named by what decides its bits: of a file of weights what it holds, not its place.
local function folder_of(own)
  local wanted, weights = lists.set(select(2, recipes.flatten(own))), own.model.encoder_weights
  wanted.data, wanted.name = nil, nil
  local file = weights and core.io.status(weights) == "file"
  wanted["model.encoder_weights"] = not file or nil
  local key = table.concat({ ("pretrained %d\n%s"):format(VERSION, labels.version), own.data:match "[^/]+$",
    file and core.io.sha256(weights) or "", table.unpack(recipes.assignments(own, wanted)) }, "\n")
  return ("%s/pretrained/%s"):format(cache.folder(), core.io.digest(key))
end

-- The run in a folder, and whether it is finished; raises where it cannot be used or gone on with.
local function read(path)
  local run = runs.run(path)
  local finished = run:status().state == "done"
  local weights = finished and "best.safetensors" or "last.safetensors"
  if finished or run:has(weights) then core.tidy(core.io.safetensors_read, run:file(weights)) end
  if not finished then
    for _, what in ipairs { "info", "metrics", "calibration" } do run[what](run) end
  end
  return { run = run, finished = finished }
end

-- The same, as a table; an empty one where there is none, or what there is is damaged.
local function look(path) return cache.intact(read, path) or {} end

--- is_made(recipe): whether the network is there already.
function M.is_made(recipe) return look(folder_of(M.derived(recipe))).finished == true end

--- steps(recipe): how many it takes at most.
function M.steps(recipe)
  local own = M.derived(recipe)
  return extent.batches(own, clips_of(recipe) * TRAINED_ON) * extent.epochs(own)
end

local function remove_files(path)
  for _, name in ipairs(core.io.status(path) == "folder" and core.io.list(path) or {}) do
    os.remove(path .. "/" .. name)
  end
end

-- Trains in the folder, from what is there where that can go on. What it has tuned, and how far it is, are not those of
-- the training that follows; its garbage is freed before that begins.
local function make(own, path, train)
  local found = look(path)
  local goes_on = found.run and #recipes.changes(found.run.recipe, own) == 0
  if not goes_on then remove_files(path) end
  local choices, heard = tune.choices(), progress.heard
  local _ <close> = setmetatable({}, { __close = function() progress.heard = heard end })
  progress.heard = heard and function(label, done, total) heard(label, done, total) end
  train(own, { path = path, resume = goes_on and path, again = "the same command" })
  tune.use(choices)
  for _ = 1, 2 do collectgarbage() end
end

--- weights(recipe, train): the file of the pre-trained network, which is trained by train(recipe, options) (co.train)
-- unless it is there; nil where the recipe asks for none. Of several processes one trains, the others wait.
function M.weights(recipe, train)
  local own = M.derived(recipe)
  if not own then return nil end
  local path = folder_of(own)
  local name = path:match "[^/]+$"
  local lock <close> = cache.lock("pretrained", name, false)
  if not lock then tell("%s: waits for another process that learns from the generated world", recipe.name) end
  local _ <close> = not lock and cache.lock("pretrained", name) or nil
  if not look(path).finished then
    tell("%s: learns from a generated world first (pretrain.clips = %d)", recipe.name, recipe.pretrain.clips)
    world.make(world_of(recipe))
    make(own, path, train)
  end
  return path .. "/best.safetensors"
end

--- load(model, path): the weights of that file into the network.
function M.load(model, path)
  core.tidy(function() model:load_state((core.io.safetensors_read(path))) end)
end

return M
