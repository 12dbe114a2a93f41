--- Pre-training: a network first learns from a generated world, whose flow and people are exact, by the recipe's own
-- losses, labels and schedule; then from the recipe's data. World and network are made once and kept in the cache, the
-- network as a run folder, so that a training that was stopped goes on.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local cache, world = require "cohesiv.data.cache", require "cohesiv.data.world"
local recipes, runs = require "cohesiv.train.recipe", require "cohesiv.train.run"
local M = {}

local SEED = 4 -- of the world: 1 to 3 are those of `cohesiv quickstart`, which are evaluated on
local FRAMES = 7 -- of a clip: the middle four have neighbours at every gap
local TRAINED_ON = 4 -- of those, at most
local FEW = 4 -- clips, where it is only to be seen whether everything runs

-- Keys that the pre-training has of the recipe, and those of its maps that it has otherwise.
local TAKEN = { "seed", "size", "batch", "device", "precision", "minutes", "fast_dev_run", "model", "optim",
  "embedding", "augment" }
local OWN_MAPS = { gaps = { -3, -2, -1, 1, 2, 3 }, flow = "truth", weighted = false }
local LEFT_OUT = { "frames", "quality", "edit" }

local function tell(format, ...) io.stderr:write(format:format(...), "\n") end

local function options_of(recipe)
  local o = rawget(recipe, "pretrain") -- recipes of older runs lack it
  return o and o.clips > 0 and recipe.system == "cohesiv" and o or nil
end

local function world_of(recipe)
  local clips = recipe.pretrain.clips
  return world.in_cache { seed = SEED, clips = recipe.fast_dev_run and math.min(FEW, clips) or clips, frames = FRAMES,
    size = recipe.size, mask_every = 0, truth = { "flow", "person" } }
end

--- check(recipe): raises where its keys mean nothing.
function M.check(recipe)
  for key, least in pairs { clips = 0, epochs = 1 } do
    local value = recipe.pretrain[key]
    if not math.tointeger(value) or value < least then
      core.refuse("pretrain.%s: expected a whole number of at least %d, found %s", key, least, recipes.show(value))
    end
  end
end

--- recipe(recipe): what the network is pre-trained by; nil where it is not.
function M.recipe(recipe)
  local o = options_of(recipe)
  if not o then return nil end
  local taken, maps, loss = {}, lists.copy(recipe.maps), recipe.loss
  for _, key in ipairs(TAKEN) do taken[key] = recipe[key] end
  for _, key in ipairs(LEFT_OUT) do maps[key] = nil end
  for key, value in pairs(OWN_MAPS) do maps[key] = value end
  maps.size = recipe.size
  local out = recipes.method()(taken) {
    name = "pretrained", data = world_of(recipe).out, epochs = o.epochs, validation = 0.05, maps = maps,
    loss = { responsibility = loss.responsibility, embedding = loss.embedding, clamp = loss.clamp },
    person = { source = "truth" },
  }
  return recipes.bundle(recipe) and recipes.from(out, recipes.bundle(recipe)) or out
end

-- The run folder of a pre-training: named by all that decides its bits.
local function folder_of(pretraining)
  local wanted = lists.set(select(2, recipes.flatten(pretraining)))
  wanted.data, wanted.name = nil, nil
  local key = table.concat({ "pretrained 1", pretraining.data:match "[^/]+$",
    table.unpack(recipes.assignments(pretraining, wanted)) }, "\n")
  return ("%s/pretrained/%s"):format(cache.folder(), core.io.digest(key))
end

-- The run in a folder and whether it is finished; raises unless it can go on or its weights can be read.
local function read(path)
  local run = runs.run(path)
  local finished = run:status().state == "done"
  for _, name in ipairs { "last.safetensors", "best.safetensors" } do
    if finished or run:has(name) then core.tidy(core.io.safetensors_read, run:file(name)) end
  end
  return { run = run, finished = finished }
end

-- The same; of what is not there, or damaged, an empty table.
local function look(path) return cache.intact(read, path) or {} end

--- is_made(recipe): whether the network is there already.
function M.is_made(recipe)
  return look(folder_of(M.recipe(recipe))).finished == true
end

--- steps(recipe): how many it takes at most.
function M.steps(recipe)
  local o = recipe.pretrain
  return recipe.fast_dev_run and 1 or math.ceil(o.clips * TRAINED_ON / recipe.batch) * o.epochs
end

--- weights(recipe, train): the file of the pre-trained network, which is trained by train(recipe, options) (co.train)
-- unless it is there; nil where the recipe asks for none. Of several processes one trains, the others wait.
function M.weights(recipe, train)
  local pretraining = M.recipe(recipe)
  if not pretraining then return nil end
  local path = folder_of(pretraining)
  local name = path:match "[^/]+$"
  local lock <close> = cache.lock("pretrained", name, false)
  if not lock then tell("%s: waits for another process that learns from the generated world", recipe.name) end
  local _ <close> = not lock and cache.lock("pretrained", name) or nil
  local found = look(path)
  if not found.finished then
    tell("%s: learns from a generated world first (pretrain.clips = %d)", recipe.name, recipe.pretrain.clips)
    world.world(world_of(recipe))
    train(pretraining, { path = path, resume = found.run and path, again = "the same command" })
  end
  return path .. "/best.safetensors"
end

--- load(model, path): the weights of that file into the network.
function M.load(model, path)
  core.tidy(function() model:load_state((core.io.safetensors_read(path))) end)
end

return M
