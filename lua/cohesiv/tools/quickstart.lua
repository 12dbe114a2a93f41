--- The main job: data in, a report out. A recipe (experiments/quickstart.lua on a generated world,
-- quickstart_real.lua on real video), a training run, and its report; the run is done when the report is there.
local core = require "cohesiv.core"
local weights = require "cohesiv.base.weights"
local calibrate = require "cohesiv.hands.calibrate"
local report_run = require "cohesiv.tools.report_run"
local folders, world = require "cohesiv.data", require "cohesiv.data.world"
local recipes, runs, train = require "cohesiv.train.recipe", require "cohesiv.train.run", require "cohesiv.train.train"
local M = {}

-- Measured clips have seven frames, a mask of the middle one, neighbours at every gap: clips tell more than frames.
local MEASURED_FRAMES, MASK_EVERY = 7, 6

--- worlds(recipe, { clips = 900, held = 600 }): where the generated worlds of a recipe lie: data to train on,
-- calibrate to choose thresholds on, evaluate to report; make() makes what of them is not there yet.
function M.worlds(recipe, options)
  local size, held = recipe.maps.size or recipe.size, options.held or 600
  local list = {}
  local function place(seed, clips, frames, mask_every)
    list[#list + 1] = world.in_cache { seed = seed, clips = clips, frames = frames, size = size,
      mask_every = mask_every, truth = { "person" } }
    return list[#list].out
  end
  return {
    data = place(1, options.clips or 900, 9, 0),
    calibrate = place(2, math.max(1, held // 4), MEASURED_FRAMES, MASK_EVERY),
    evaluate = place(3, held, MEASURED_FRAMES, MASK_EVERY),
    make = function()
      for _, o in ipairs(list) do world.make(o) end
    end,
  }
end

-- The recipe on worlds of its own.
local function generated(options)
  local recipe = recipes.load(recipes.experiment "quickstart", options.changes)
  local worlds = M.worlds(recipe, options)
  worlds.make()
  recipe.data, recipe.calibrate.data, recipe.evaluate.data = worlds.data, worlds.calibrate, worlds.evaluate
  return recipe
end

local function tell(line) io.stderr:write(line, "\n") end

-- A clip without landmarks needs the weights to find its hands with: fetched, which is told.
local function need_hands(clip)
  if clip:has_hands() then return end
  local ok, problem = pcall(weights.fetch, "hands", tell)
  if not ok then
    core.refuse("clip %s: expected landmarks of its hands (%s), or the weights to find them, found neither: %s",
      clip.name,
      table.concat(clip.hands_files, " or "), tostring(problem))
  end
end

-- Lone video files as a data folder: no masks, one clip a file. Fails at once when one's hands cannot be known.
local function lone_videos(paths)
  local files, names = {}, {}
  for i, path in ipairs(paths) do
    local clip = folders.clip(path)
    need_hands(clip)
    names[i], files[clip.name] = clip.name, path
    clip:close()
  end
  return {
    path = table.concat(paths, ", "), clips = names, annotated = {},
    clip = function(_, name) return folders.clip(files[name]) end,
    queries = function() return nil end,
  }
end

-- Where the weights from ImageNet that the recipe asks for cannot be had: MobileNetV2's of a data folder, with its
-- encoder, else random ones.
local function find_weights(recipe, roots)
  local own = recipe.model
  if own.encoder_weights ~= "imagenet" then return end
  local ok, why = pcall(weights.fetch, own.encoder, tell)
  if core.system.stopped() then core.error(why, 0) end
  if ok then return end
  for _, root in ipairs(roots) do
    local path = root .. "/weights/mobilenet_v2_imagenet.safetensors"
    if core.io.status(path) then
      if own.encoder ~= "mobilenet_v2" then tell(("encoder: mobilenet_v2 of %s, since %s"):format(root, why)) end
      own.encoder, own.encoder_weights = "mobilenet_v2", path
      return
    end
  end
  tell(("encoder: %s learns from scratch, since %s"):format(own.encoder, why))
  own.encoder_weights = "random"
end

local function real(options, data)
  local recipe, folder = recipes.load(recipes.experiment "quickstart_real", options.changes), options.data
  recipe.data = type(folder) == "table" and (folder[2] and folder or folder[1]) or data.path
  if recipe.held_out and #data.clips > 0 and #data.annotated == #data.clips then
    tell "all clips have masks: those that are reported are trained on as well, without their masks"
    recipe.held_out = false
  end
  find_weights(recipe, type(folder) == "table" and folder or { folder or "." })
  return recipe
end

-- The newest run of this recipe, if it is not done.
local function unfinished(recipe)
  local newest = runs.newest(recipe.name)
  local run = newest and runs.open(newest)
  if not run or run:status().state == "done" or not recipes.same(run.recipe, recipe) then return nil end
  tell(("goes on with %s"):format(newest))
  return newest
end

--- run{ data, videos = {…}, clips, held, changes = {"key=value"} } → the report's path. The same call goes on
-- with it.
function M.run(options)
  local started, videos = core.system.time(), options.videos or {}
  local data = options.data and folders.data(options.data) or #videos > 0 and lone_videos(videos) or nil
  for _, name in ipairs(options.data and data.clips or {}) do need_hands(data:clip(name)) end
  local recipe = data and real(options, data) or generated(options)
  local run = train.train(recipe, { resume = unfinished(recipe), data = data, again = "the same command",
    state = "trained" })
  local _ <close> = run:lock() -- until the report is there
  calibrate.preset(run)
  local path = report_run.write(run, { data = not options.data and data or nil, started = started })
  run:set_state "done"
  return path
end

return M
