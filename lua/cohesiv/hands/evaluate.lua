--- The evaluator: every system's maps against hand-drawn masks, the four tasks, 95 % intervals.
-- A system (lua/cohesiv/hands/systems/NAME.lua) says which `goals` it has and answers a frame with maps:
--   goals[key] = { task = "Hand", grids = { thresholds of the first map, of the second or nil } }
--   answer(clip, n, queries, detected) → { [key] = list of { first, second } }
-- Maps are of the scaled frame (padding included) or of the frame's own size; the list is by query, for task All one
-- entry; no entry is an empty prediction. `detected` (see below) is given to systems that say detects = true.
-- An answer with a `count` has entries beyond the queries, of what the system takes for hands too: they count in All.
-- A key's mask is first > t[1] and second > t[2]; refined where t has a third number (refine.lua): then the system has
-- `refine`, how its first map is to be read, and its answers a `picture`, the frame.
-- A system with the keys `object` and `hand` gets Pair as their union
-- (unless it has the key `pair`) and All as the union of its Pairs; any other has one key per task, named like it.
-- IoU is taken at the image's own resolution, without pixels of `arm` masks. Thresholds are chosen in calibrate.lua.
local core = require "cohesiv.core"
local lists, places = require "cohesiv.base.lists", require "cohesiv.base.places"
local tensor = require "cohesiv.tensor"
local metrics, refine = require "cohesiv.hands.metrics", require "cohesiv.hands.refine"
local folders, annotations = require "cohesiv.data", require "cohesiv.data.annotations"
local evaluate = {}

--- The tasks, in the order of tables.
evaluate.tasks = { "All", "Pair", "Hand", "Obj" }

--- The calibration half (1st, 3rd, …) and the reported half (2nd, 4th, …) of the clips that have masks.
function evaluate.split(data)
  local halves = { {}, {} }
  for i, name in ipairs(data.annotated) do table.insert(halves[2 - i % 2], name) end
  return halves[1], halves[2]
end

--- The annotated frames of some clips: a list of { clip, n, queries = list of { x, y } }. Masks stay in their files.
function evaluate.frames(data, names)
  local list = {}
  for _, name in ipairs(names) do
    local frames = data:queries(name)
    if not frames then core.refuse("evaluate: %s: expected a clip with masks, found none of them", name) end
    for _, frame in ipairs(frames) do
      if #frame.queries > 0 then list[#list + 1] = frame end -- nobody's hand: nothing to ask
    end
  end
  return list
end

--- The truth of a frame: { hand, object, pair (lists by query; object[q] nil when nothing is held), all, ignore }.
function evaluate.truth(data, frame)
  local masks = data:masks(frame.clip, frame.n)
  local truth, arms = { hand = masks.hand, object = masks.object, pair = {} }, {}
  for q = 1, #frame.queries do
    truth.pair[q] = metrics.union { masks.hand[q], masks.object[q] }
    arms[#arms + 1] = masks.arm[q]
  end
  truth.all = metrics.union(truth.pair)
  truth.ignore = arms[1] and metrics.union(arms)
  truth.height, truth.width = truth.all.shape[1], truth.all.shape[2]
  return truth
end

local FIELDS = { Pair = "pair", Hand = "hand", Obj = "object" }

--- The truth of one task: for All of the frame, else of query q (nil: the query does not count).
function evaluate.target(truth, task, q) return task == "All" and truth.all or truth[FIELDS[task]][q] end

--- The maps of one entry of an answer, at the truth's resolution. `known`: a table that remembers shared maps.
function evaluate.fitted(entry, truth, known)
  for _, map in ipairs(entry) do
    known[map] = known[map] or metrics.resize(map, truth.width, truth.height)
  end
  return known[entry[1]], entry[2] and known[entry[2]]
end

--- The predicted masks of a frame: { All = mask, Pair = by query, Hand = by query, Obj = by query }.
function evaluate.masks(system, answer, thresholds, frame, truth)
  local known, out, count = {}, {}, answer.count or #frame.queries
  local function mask(key, q) -- empty where the system has no entry
    local entry, t = answer[key] and answer[key][q], thresholds[key]
    if not entry then return tensor.zeros(truth.height, truth.width, { dtype = "uint8" }) end
    if not t then core.refuse("evaluate: expected thresholds for %s, found none: calibrate the run first", key) end
    if t[3] then return refine.mask(answer.picture, entry[1], entry[2], t, system.refine) end
    local first, second = evaluate.fitted(entry, truth, known)
    return metrics.over(first, t[1], second, t[2])
  end
  for key, goal in pairs(system.goals) do
    local list, whole = {}, goal.task == "All"
    for q = 1, whole and 1 or count do list[q] = mask(key, q) end
    out[goal.task] = whole and list[1] or list
  end
  if out.Hand and out.Obj and not out.Pair then
    out.Pair = {}
    for q = 1, count do out.Pair[q] = metrics.union { out.Hand[q], out.Obj[q] } end
  end
  if out.Pair and not out.All then out.All = metrics.union(out.Pair) end
  return out
end

-- How much better a mask fits the hand that was asked for than another one of the frame.
local function asked(mask, truth, q)
  local other = 0
  for k, hand in ipairs(truth.hand) do
    if k ~= q then other = math.max(other, metrics.iou(mask, hand, truth.ignore)) end
  end
  return metrics.iou(mask, truth.hand[q], truth.ignore) - other
end

-- Adds the frame's rows: { clip, n, q, task, iou }; beside the four tasks Contact, where hand and object are told
-- apart, and on frames of several hands Asked: IoU of the hand's mask with the asked hand minus that with another.
local function score_frame(system, answer, thresholds, frame, truth, rows)
  local masks = evaluate.masks(system, answer, thresholds, frame, truth)
  local function add(task, q, mask, target)
    if not (mask and target) then return end
    local iou = metrics.iou(mask, target, truth.ignore)
    rows[#rows + 1] = { clip = frame.clip, n = frame.n, q = q, task = task, iou = iou }
  end
  add("All", nil, masks.All, truth.all)
  for q = 1, #frame.queries do
    for _, task in ipairs { "Pair", "Hand", "Obj" } do
      add(task, q, masks[task] and masks[task][q], evaluate.target(truth, task, q))
    end
    if masks.Hand and #truth.hand > 1 then
      rows[#rows + 1] = { clip = frame.clip, n = frame.n, q = q, task = "Asked", iou = asked(masks.Hand[q], truth, q) }
    end
    if system.goals.object and truth.object[q] then
      add("Contact", q, metrics.contact(masks.Hand[q], masks.Obj[q]), metrics.contact(truth.hand[q], truth.object[q]))
    end
  end
end

--- Means and intervals per task, in per cent, of rows { clip, task, iou }; clips are drawn from `names`.
function evaluate.summarise(rows, names)
  local place, tasks, summary = lists.set(names), {}, {}
  for _, row in ipairs(rows) do
    local of = tasks[row.task] or { sums = {}, counts = {} } -- by clip
    for i = #of.sums + 1, #names do of.sums[i], of.counts[i] = 0, 0 end
    local i = place[row.clip]
    tasks[row.task], of.sums[i], of.counts[i] = of, of.sums[i] + row.iou, of.counts[i] + 1
  end
  for task, of in pairs(tasks) do
    local total, n = 0, 0
    for i = 1, #names do total, n = total + of.sums[i], n + of.counts[i] end
    local low, high = metrics.interval(of.sums, of.counts)
    summary[task] = { mean = 100 * total / n, low = 100 * low, high = 100 * high, n = n }
  end
  return summary
end

--- A function frame → answer that asks the system once per frame and remembers.
function evaluate.asker(system, data)
  local clips, answers = {}, {}
  return function(frame)
    local key = frame.clip .. "\0" .. frame.n
    if not answers[key] then
      local clip = clips[frame.clip] or data:clip(frame.clip)
      clips = { [frame.clip] = clip } -- one at a time stays open
      annotations.check_clip(frame, clip)
      answers[key] = tensor.tidy(function()
        local detected = system.detects and evaluate.detected(clip, frame)
        return tensor.no_grad(system.answer, clip, frame.n, frame.queries, detected)
      end)
    end
    return answers[key]
  end
end

--- By query: which of clip:hands(n) has it in its box (of several the one with the nearest vertex mean), or false.
function evaluate.detected(clip, frame)
  local hands, found = clip:hands(frame.n), {}
  for q, query in ipairs(frame.queries) do
    local x, y, nearest = query[1], query[2], math.huge
    found[q] = false
    for k, hand in ipairs(hands) do
      local box, centre = hand.box, hand.vertices:mean(1)
      local d = (centre[1] - x) ^ 2 + (centre[2] - y) ^ 2
      if x >= box[1] and x <= box[3] and y >= box[2] and y <= box[4] and d < nearest then
        found[q], nearest = k, d
      end
    end
  end
  return found
end

--- Calls visit(frame, answer, truth) for every annotated frame of some clips; returns how many there are.
--- Options: ask (an asker to share answers), progress (called with done, total).
function evaluate.each(system, data, names, options, visit)
  options = options or {}
  local ask, frames = options.ask or evaluate.asker(system, data), evaluate.frames(data, names)
  for i, frame in ipairs(frames) do
    local answer = ask(frame)
    tensor.tidy(function() visit(frame, answer, evaluate.truth(data, frame)) end)
    if options.progress then options.progress(i, #frames) end
  end
  return #frames
end

--- Scores a system with given thresholds on some clips → { summary, rows, names, thresholds }. Options: see each.
function evaluate.score(system, thresholds, data, names, options)
  local rows = {}
  local count = evaluate.each(system, data, names, options, function(frame, answer, truth)
    score_frame(system, answer, thresholds, frame, truth, rows)
  end)
  if count == 0 then core.refuse("evaluate: expected an annotated clip, found none in %s", tostring(data.path)) end
  return { summary = evaluate.summarise(rows, names), rows = rows, names = names, thresholds = thresholds }
end

--- The system that a run's recipe names, or brings along as a function, ready to answer.
function evaluate.system(run)
  local named = run.recipe.system
  if type(named) == "string" then return require("cohesiv.hands.systems." .. named)(run) end
  local system = named(run)
  if type(system) ~= "table" or type(system.goals) ~= "table" or type(system.answer) ~= "function" then
    core.refuse("system: %sexpected { goals, answer = function }, found %s", places.prefix(named), core.found(system))
  end
  return system
end

-- The folders that the recipe names, which may be relative to where the run was started.
local function folder_of(run, paths)
  return folders.data(lists.map(type(paths) == "table" and paths or { paths }, function(path)
    if path:sub(1, 1) == "/" or core.io.status(path) or not run.info then return path end
    return ((run:info().environment or {}).cwd or ".") .. "/" .. path
  end))
end

--- A data folder from a path or a list of paths, a data folder, or nil for the recipe's own.
function evaluate.data(run, data)
  local paths = type(data) == "string" or type(data) == "table" and type(rawget(data, 1)) == "string"
  if data then return paths and folders.data(data) or data end
  if run.recipe.data then return folder_of(run, run.recipe.data) end
  core.refuse("evaluate: %s: expected data=PATH, found none in the recipe either", run.name)
end

--- Where a run is calibrated ("calibrate") or reported ("evaluate"): the data folder that the recipe has for it, with
--- all its clips that have masks, else the recipe's own with its one half or its other.
function evaluate.part(run, what)
  local group = rawget(run.recipe, what) -- recipes of older runs do not have both
  local path = group and rawget(group, "data")
  local data = path and folder_of(run, path) or evaluate.data(run)
  if path then return data, data.annotated end
  return data, (select(what == "calibrate" and 1 or 2, evaluate.split(data)))
end

return evaluate
