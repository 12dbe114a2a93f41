--- Predicted queries: a third branch on the frozen network of a COHESIV run learns a heat-map, by the mean squared
-- error against Gaussians at the boxes of the hands' landmarks. What the network was calibrated by goes along; when a
-- peak counts is found on validation samples.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local tensor = require "cohesiv.tensor"
local folders = require "cohesiv.data"
local boxes, peaks = require "cohesiv.hands.boxes", require "cohesiv.hands.peaks"
local extent, hand_boxes = require "cohesiv.train.extent", require "cohesiv.train.hand_boxes"
local recipes, runs = require "cohesiv.train.recipe", require "cohesiv.train.run"
local M = { reads = true, part = "query_branch" }

local THRESHOLDS = 40 -- tried for peaks, evenly between 0 and 1
local LOOKED_AT = 200 -- samples

function M.check(recipe)
  if not recipe.model.query_branch then
    core.refuse "predicted_query: expected model.query_branch = true, found false"
  end
  if not (recipe.query.share > 0 and recipe.query.share <= 1) then
    core.refuse("query.share: expected more than 0, at most 1, found %s", recipes.show(recipe.query.share))
  end
  if not (recipe.query.sigma > 0) then
    core.refuse("query.sigma: expected more than 0, found %s", recipes.show(recipe.query.sigma))
  end
end

-- ---- the network that it stands on ----
local FREE = lists.set { "name", "system", "threads", "device", "pictures", "tensorboard", "detect_anomaly" }

local function decides(key) return not FREE[key] and not key:find "^query%." and not key:find "^box%." end

--- base(recipe): COHESIV's recipe, whose network the branch is put on.
function M.base(recipe)
  return recipes.with(recipe, { name = "cohesiv", system = "cohesiv", model = { query_branch = false } })
end

--- is_base(candidate, base): whether a recipe leads to the network of another.
function M.is_base(candidate, base)
  return candidate.system == "cohesiv" and #lists.map(recipes.changes(candidate, base), function(change)
    return decides(change.key)
  end) == 0
end

--- needed(entries, entry): of a sweep's entries the one on whose network another's stands, so that it has to be done
-- first; nil: none.
function M.needed(entries, entry)
  local recipe = entry.recipe
  if recipe.system ~= "predicted_query" or recipe.query.run ~= "auto" then return nil end
  local base = M.base(recipe)
  for _, other in ipairs(entries) do
    if M.is_base(other.recipe, base) then return other end
  end
end

local PATIENCE = 1 -- seconds between two looks at a run that another process trains
local FINISHED = lists.set { "done", "trained" }

--- found(recipe, root): the path of a run in a folder of runs on whose network a branch of this recipe can be put, and
-- whether it is finished; nil where there is none. While another process trains one, it waits.
function M.found(recipe, root)
  local base, found, finished, held = M.base(recipe), nil, false, nil
  for _, path in ipairs(core.io.status(root) == "folder" and runs.list(root) or {}) do
    local ok, run = pcall(runs.run, path)
    if ok and M.is_base(run.recipe, base) then
      local done = FINISHED[run:status().state] ~= nil and run:has "best.safetensors"
      if done or not finished then found, finished, held = path, done, not done and run:held_by() or nil end
    end
  end
  if finished or not held then return found, finished end
  if core.system.stopped() then core.refuse("interrupted: waiting for %s", found) end
  core.system.sleep(PATIENCE)
  return M.found(recipe, root)
end

-- The weights of the run into a model with a branch beside them, and what it was calibrated by.
local function start(model, recipe)
  local run = runs.run(recipe.query.run)
  if not run:has "best.safetensors" then
    core.refuse("query.run: %s: expected a trained network (best.safetensors), found none", run.path)
  end
  local report = model:load_state((core.io.safetensors_read(run:file "best.safetensors")), { strict = false })
  local strange = lists.map(report.missing, function(name) return not name:find "^query_branch%." and name end)
  table.move(report.misshaped, 1, #report.misshaped, #strange + 1, strange)
  table.move(report.unexpected, 1, #report.unexpected, #strange + 1, strange)
  if #strange > 0 then
    core.refuse("query.run: %s: expected a network of the recipe's parts, found %d that differ, the first: %s",
      run.path, #strange, strange[1])
  end
  local kept = (run:calibration() or {}).means
  if not kept then core.refuse("query.run: %s: expected a run with mean embeddings, found none", run.path) end
  return { means = kept }
end

-- ---- the loss ----
function M.names() return { "heat" } end

-- By picture: boxes of its maps.
local function boxes_of(batch)
  local by_picture, pictures = {}, batch.image_index:totable()
  for i = 1, batch.image.shape[1] do by_picture[i] = {} end
  for m, picture in ipairs(pictures) do table.insert(by_picture[picture], boxes.of(batch.maps[m])) end
  return by_picture, pictures
end

function M.losses(model, recipe, batch)
  local out = tensor.no_grad(model.forward, model, batch.image)
  local heat = model.children.query_branch(out.Z):to "float32"
  local n, h, w = heat.shape[1], heat.shape[2], heat.shape[3]
  local by_picture, pictures = boxes_of(batch)
  local targets, there = {}, {}
  for i = 1, n do
    targets[i], there[i] = peaks.target(by_picture[i], w, h, recipe.query.sigma), tensor.ones(h, w, 1)
  end
  for m, picture in ipairs(pictures) do -- below 0: no picture there
    there[picture] = core.ops.ge.call(batch.maps[m]:to "cpu", 0):to("float32"):reshape { h, w, 1 }
  end
  local target, weight = tensor.stack(targets):to(heat.device), tensor.stack(there):to(heat.device)
  return out, { { 1, ((heat - target):square() * weight):sum() / math.max(weight:sum():item(), 1) } }
end

-- ---- when a peak counts ----
-- The threshold of the best F1: of the peaks over it and the hands' boxes, one-to-one, a peak in its box; and half the
-- diagonal's share that a hand takes: { threshold, size }.
local function calibrated(training, model)
  local samples = #training.samples.validation > 0 and training.samples.validation or training.samples.train
  local count, sides, seen, hands = math.min(#samples, LOOKED_AT), {}, {}, 0
  local loader = training:loader({ table.unpack(samples, 1, count) }, { batch = 1, shuffle = false })
  for _ = 1, count do
    tensor.tidy(tensor.no_grad, function()
      local batch = loader:next()
      local heat = model:forward(batch.image:to(model.device())).H:to("cpu"):to "float32"
      local h, w = heat.shape[2], heat.shape[3]
      local diagonal, list = math.sqrt(w * w + h * h), boxes_of(batch)[1]
      for _, box in ipairs(list) do
        sides[#sides + 1] = math.sqrt((box[3] - box[1] + 1) * (box[4] - box[2] + 1)) / diagonal
      end
      hands = hands + #list
      seen[#seen + 1] = { heat = heat:reshape({ h, w }):keep(), boxes = list, diagonal = diagonal }
    end)
  end
  loader:close()
  table.sort(sides)
  local size = sides[(#sides + 1) // 2] or 0.15
  local right, shown = {}, {} -- by threshold: peaks in a box of their own, and all
  for t = 1, THRESHOLDS - 1 do right[t], shown[t] = 0, 0 end
  for _, one in ipairs(seen) do
    local free = lists.copy(one.boxes)
    for _, p in ipairs(peaks.find(one.heat, { threshold = 0, radius = size * one.diagonal / 2 })) do
      local hit
      for i, box in pairs(free) do
        if p[1] >= box[1] and p[1] <= box[3] and p[2] >= box[2] and p[2] <= box[4] then hit = math.min(hit or i, i) end
      end
      if hit then free[hit] = nil end
      for t = 1, THRESHOLDS - 1 do
        if p.score > t / THRESHOLDS then right[t], shown[t] = right[t] + (hit and 1 or 0), shown[t] + 1 end
      end
    end
    one.heat:close()
  end
  local best, least, most = -1, 1, 1
  for t = 1, THRESHOLDS - 1 do
    local f = 2 * right[t] / math.max(shown[t] + hands, 1)
    if f > best then best, least = f, t end
    if f == best then most = t end -- of equal ones the middle
  end
  return { threshold = (least + most) / 2 / THRESHOLDS, size = size, f1 = best }
end

function M.open(recipe, given)
  local data = given or folders.data(recipe.data)
  local kind, share = hand_boxes.hands, recipe.query.share
  local trained = recipe { epochs = math.max(1, math.ceil(recipe.epochs * share)), optim = { average = 0 },
    minutes = recipe.minutes and recipe.minutes * share }
  return {
    data = data, recipe = trained,
    survey = function(most) return kind.survey(data, recipe, most) end,
    prepare = function() return hand_boxes.prepare(kind, data, recipe, extent.samples(recipe)) end,
    mend = function(entry) hand_boxes.mend(kind, entry, data, recipe) end,
    is_made = function(clip, n) return hand_boxes.is_made(kind, clip, n, recipe) end,
    start = function(model) return start(model, recipe) end,
    finish = function(training, model, stored) stored.query = calibrated(training, model) end,
  }
end

return M
