--- Calibration: the mean embeddings of the classes, from training images and pseudo-labels, and the thresholds that
-- maximise the mean IoU, by exact search over a grid on the masks of the calibration half: one pass over the pixels
-- gives a query's IoU at every pair of thresholds (metrics.table). Both are kept in the run folder (calibration.json)
-- and travel with run:model(). Training is not here.
local tensor = require "cohesiv.tensor"
local evaluate, metrics = require "cohesiv.hands.evaluate", require "cohesiv.hands.metrics"
local refine = require "cohesiv.hands.refine"
local core = require "cohesiv.core".metrics
local refuse = require("cohesiv.core").refuse
local json, lists = require "cohesiv.base.json", require "cohesiv.base.lists"
local calibrate = {}

-- The largest entry; of equal ones the middle in reading order, away from the edges of a plateau.
local function best_of(total)
  local best, at = -1, {}
  for i, row in ipairs(total:totable()) do
    for j, v in ipairs(row) do
      if v > best then best, at = v, {} end
      if v == best then at[#at + 1] = { i, j } end
    end
  end
  local middle = at[(#at + 1) // 2]
  return middle[1], middle[2], best
end

local COARSE = 32 -- of a kept surface, at most so many thresholds a side

-- The mean IoU at pairs of thresholds, of all or of every k-th: { values[i][j], first, second, best = { i, j } }.
local function surface_of(total, count, grids, i, j)
  local function step_of(n) return math.max(1, math.ceil(n / COARSE)) end
  local second = grids[2] or { 0 }
  local a, b, values, first = step_of(#grids[1]), step_of(#second), {}, {}
  local rows = total:totable()
  for k = (i - 1) % a + 1, #grids[1], a do -- the best one is among them
    local row = {}
    for l = (j - 1) % b + 1, #second, b do row[#row + 1] = tonumber(("%.4f"):format(rows[k][l] / count)) end
    values[#values + 1], first[#first + 1] = row, grids[1][k]
  end
  local last = grids[2] and (#second - (j - 1) % b - 1) // b * b + (j - 1) % b + 1
  return { values = values, first = { first[1], first[#first] },
    second = grids[2] and { second[(j - 1) % b + 1], second[last] } or nil,
    best = { (i - 1) // a + 1, (j - 1) // b + 1 } }
end

local SMOOTH = 2 -- thresholds to either side that have a say in how good one of them is

-- Which of a list of means is best, together with its neighbours: a few clips make single ones stand out.
local function smoothly_best(means)
  local best, most = 1, -1
  for i in ipairs(means) do
    local sum, weights = 0, 0
    for k = math.max(1, i - SMOOTH), math.min(#means, i + SMOOTH) do
      local weight = SMOOTH + 1 - math.abs(k - i)
      sum, weights = sum + weight * means[k], weights + weight
    end
    if sum / weights > most then best, most = i, sum / weights end
  end
  return best, most
end

-- Where refined masks (refine.lua) are better, thresholds become theirs, which have a third number. reached: the mean
-- IoU of each key, in per cent, which becomes what is reached now.
local function choose_refinement(system, data, names, options, thresholds, reached)
  local candidates, totals, counts = {}, {}, {}
  for key, t in pairs(thresholds) do
    candidates[key] = refine.candidates(t, system.refine)
    totals[key], counts[key] = lists.map(candidates[key], function(row)
      return lists.map(row, function() return 0 end)
    end), 0
  end
  local function add(key, answer, entry, target, ignore)
    for j, row in ipairs(candidates[key]) do
      for i, t in ipairs(row) do
        tensor.tidy(function()
          local mask = refine.mask(answer.picture, entry[1], entry[2], t, system.refine)
          totals[key][j][i] = totals[key][j][i] + metrics.iou(mask, target, ignore)
        end)
      end
    end
  end
  evaluate.each(system, data, names, options, function(frame, answer, truth)
    for key in pairs(thresholds) do
      for q = 1, #frame.queries do -- some may have no entry
        local target, entry = evaluate.target(truth, system.goals[key].task, q), answer[key] and answer[key][q]
        counts[key] = counts[key] + (target and 1 or 0)
        if target and entry then add(key, answer, entry, target, truth.ignore) end
      end
    end
  end)
  for key in pairs(thresholds) do
    local most, t, own = -1, nil, nil
    for j, row in ipairs(totals[key]) do
      local i, mean = smoothly_best(row)
      if mean > most then most, t, own = mean, candidates[key][j][i], 100 * row[i] / math.max(counts[key], 1) end
    end
    if own > reached[key] then thresholds[key], reached[key] = t, own end
  end
end

--- The thresholds of a system that maximise each goal's mean IoU over the annotated frames of some clips:
--- { key = { t1, t2 } }, the mean IoU reached per key, and by key how it depends on them: { values, first, second
--- (lowest and highest threshold), best }. Of a system that refines masks a key may get a third number, see refine.lua.
--- Options: see evaluate.each; ask.
function calibrate.search(system, data, names, options)
  options = lists.copy(options or {})
  options.ask = options.ask or evaluate.asker(system, data) -- the second look has the same answers
  local totals, counts = {}, {} -- by key: the sum of the IoU at every pair of thresholds, and of how many targets
  for key, goal in pairs(system.goals) do
    totals[key] = tensor.zeros(#goal.grids[1], goal.grids[2] and #goal.grids[2] or 1, { dtype = "float64" })
    counts[key] = 0
  end
  evaluate.each(system, data, names, options, function(frame, answer, truth)
    local known = {}
    for key, goal in pairs(system.goals) do
      for q = 1, goal.task == "All" and 1 or #frame.queries do
        local target, entry = evaluate.target(truth, goal.task, q), answer[key] and answer[key][q]
        if target then counts[key] = counts[key] + 1 end
        if target and entry then
          local first, second = evaluate.fitted(entry, truth, known)
          local iou = metrics.table(first, second, target, truth.ignore, goal.grids[1], goal.grids[2])
          totals[key]:copy(totals[key] + iou:to "float64")
        end
      end
    end
  end)
  local thresholds, reached, surfaces = {}, {}, {}
  for key, goal in pairs(system.goals) do
    if counts[key] == 0 then refuse("calibrate: expected annotated frames for task %s, found none", goal.task) end
    local i, j, best = best_of(totals[key])
    thresholds[key] = { goal.grids[1][i], goal.grids[2] and goal.grids[2][j] }
    reached[key] = 100 * best / counts[key]
    surfaces[key] = surface_of(totals[key], counts[key], goal.grids, i, j)
  end
  if system.refine then choose_refinement(system, data, names, options, thresholds, reached) end
  return thresholds, reached, surfaces
end

--- Finds a run's thresholds on the clips that its recipe calibrates on, stores and returns them, and the means reached.
--- Options: see evaluate.each; clips: the first so many alone.
function calibrate.thresholds(run, options)
  local _ <close> = run.lock and run:lock() or nil -- a run in memory has none
  local data, names = evaluate.part(run, "calibrate")
  if options and options.clips then names = { table.unpack(names, 1, options.clips) } end
  if #names == 0 then refuse("calibrate: expected clips with masks in %s, found none", tostring(data.path)) end
  local system = evaluate.system(run)
  local thresholds, reached, surfaces = calibrate.search(system, data, names, options)
  local stored = run:calibration() or {}
  stored.thresholds, stored.calibrated_on, stored.reached = thresholds, names, reached
  run:set_calibration(stored)
  if run.write then run:write("surfaces.json", json.lines(surfaces)) end
  if system.model then -- so that the weights' file alone can predict too
    calibrate.attach(system.model, run.recipe, stored):save(run:file "best.safetensors")
  end
  return thresholds, reached
end

-- Thresholds where there are no masks to choose them on: what is more object than person, and answers to the point.
local PRESET = { object = { 0, 0.3 }, hand = { 0, 0.3 }, pair = { 0.5, 0.3 }, Pair = { 0.3 }, All = { 0.3 } }

--- Gives a trained run without thresholds preset ones; nothing to one that has them.
function calibrate.preset(run)
  local stored = run:calibration() or {}
  if stored.thresholds then return end
  stored.thresholds = calibrate.thresholds_of(run, evaluate.system(run))
  run:set_calibration(stored)
end

--- A run's thresholds, or preset ones; nil for a system without training that has none.
function calibrate.thresholds_of(run, system)
  local stored = (run:calibration() or {}).thresholds
  if stored or not system.model then return stored end
  local thresholds = {}
  for key in pairs(system.goals) do thresholds[key] = PRESET[key] end
  return thresholds
end

--- The mean embeddings { object = {…}, person = {…}, background = {…} } from `count` (default 500) embeddings of each
--- class, drawn evenly over labelled images; without a background where none is labelled. `frames()` returns the next
--- image (as model:forward takes it, H×W×3) and label map (H×W int32: 1 person, 2 object, 3 background) or nil at the
--- end; `images` is how many. Options: count, seed, normalise (default true: embeddings of length 1, as in the loss).
function calibrate.means(model, frames, images, options)
  options = options or {}
  local count, seed = options.count or 500, options.seed or 0
  local sums, found = {}, { 0, 0, 0 } -- by label
  local index, device = 0, model.device and model.device() or "cpu"
  for image, label in frames do
    index = index + 1
    tensor.tidy(function()
      local Z = tensor.no_grad(model.forward, model, image:to(device)).Z:to "cpu"
      for class, n in ipairs(found) do
        -- What is still missing, spread over the images that are left; images without the class pass it on.
        local share = math.ceil((count - n) / math.max(images - index + 1, 1))
        local sum, more = core.sample(Z, label, class, share, seed, #found * index + class, options.normalise ~= false)
        sums[class], found[class] = (sums[class] and sums[class] + sum or sum):keep(), n + more
      end
    end)
  end
  local means = {}
  for class, name in ipairs { "person", "object", "background" } do
    means[name] = found[class] > 0 and (sums[class] / found[class]):totable() or nil
    if found[class] == 0 and name ~= "background" then
      refuse("calibrate: expected %s pixels in the training labels, found none", name)
    end
  end
  return means
end

--- Gives a model what `predict` needs, and model:save keeps: the recipe's size and score, stored means and thresholds.
function calibrate.attach(model, recipe, stored)
  stored = stored or {}
  model.calibration = { size = { recipe.size[1], recipe.size[2] }, score = recipe.calibrate.score,
    scale = recipe.embedding.scale, query = stored.query }
  local own = rawget(recipe, "predict") or {} -- recipes of older runs lack it
  model.edit, model.calibration.zoom = rawget(own, "edit"), rawget(own, "zoom")
  model.calibration.closeness = rawget(own, "closeness")
  model.embeddings = stored.means or model.embeddings
  model.thresholds = stored.thresholds or model.thresholds
  return model
end

return calibrate
