--- The report of runs: chooses what is shown, as sections of report.lua, which says how it looks. All of it comes from
-- the run folders and the data: a report says nothing that another run's would not.
local core = require "cohesiv.core"
local tensor = require "cohesiv.tensor"
local predict = require "cohesiv.hands.predict"
local lists, progress = require "cohesiv.base.lists", require "cohesiv.base.progress"
local map_options, scale = require "cohesiv.motion.map_options", require "cohesiv.motion.scale"
local calibrate, evaluate = require "cohesiv.hands.calibrate", require "cohesiv.hands.evaluate"
local evaluation, labels = require "cohesiv.train.evaluation", require "cohesiv.train.labels"
local panel, report, viz = require "cohesiv.tools.panel", require "cohesiv.tools.report", require "cohesiv.tools.viz"
local report_run = {}

local WIDTH = 336 -- pixels of a picture on the page
local BASELINES = { "responsibility", "flow", "saliency", "disc" }
local SYSTEMS = { -- name in tables, what it sees
  cohesiv = { "COHESIV", "one image and a point" },
  responsibility = { "Thresholded responsibility", "sees the video: the maps themselves" },
  flow = { "Flow", "sees the video: what moves" },
  saliency = { "Saliency", "one image: what stands out" },
  disc = { "Disc", "a disc at the point; sees no pixels" },
}

local function evaluated(name, run, data, options)
  local bar = progress.new("evaluate " .. name, 0)
  function options.progress(done, total)
    bar.total = total
    bar:update(done)
  end
  local result = evaluation.full(run, data, options)
  bar:finish "done"
  return result
end

-- Rows { name, note, main, cells, result } of runs and of systems without training, with thresholds of the same clips.
local function results_of(runs, data, baselines)
  local list, names = {}, evaluation.names(runs)
  local function add(run, name, note, main)
    local result = evaluated(name, run, data, {})
    list[#list + 1] = { name = name, note = note, main = main, cells = result.summary, result = result }
  end
  for i, run in ipairs(runs) do
    local system = SYSTEMS[run.recipe.system]
    add(run, #runs == 1 and system[1] or names[i], system[2], true)
    if table.concat(list[i].result.names, "\n") ~= table.concat(list[1].result.names, "\n") then
      core.refuse("report: expected runs reported on the same clips, found others for %s than for %s: give data=PATH",
        names[i], names[1])
    end
  end
  local recipe = runs[1].recipe
  for _, system in ipairs(baselines or BASELINES) do
    if #runs > 1 or system ~= recipe.system then
      local untrained = recipe { system = system, name = system, size = recipe.maps.size or recipe.size }
      add(evaluation.untrained(untrained), table.unpack(SYSTEMS[system]))
    end
  end
  return list
end

local function table_of(rows)
  local first = rows[1].result
  local counts = lists.map(evaluate.tasks, function(task)
    local s = first.summary[task]
    return s and ("%s %d"):format(task, s.n)
  end)
  return { columns = evaluate.tasks, rows = rows, bars = true,
           caption = ("Mean IoU in per cent with 95 %% bootstrap intervals over %d clips. n: %s."):format(#first.names,
             table.concat(counts, ", ")) }
end

local PERSON = {
  truth = "Person masks are the generator's own; they stand for the person segmenter that the method takes as given.",
  skin = "Person masks come from a simple colour model seeded with the landmarks: a stand-in for a person segmenter.",
  network = "Person masks are those of the segmenter that experiments/person.lua trains.",
  auto = "Person masks are the data folder's; where it has none, those of the person segmenter where its weights are "
    .. "present, else of a simple colour model seeded with the landmarks.",
}

local function text_of(run, result)
  local calibrated_on, text = (run:calibration() or {}).calibrated_on, {}
  if result then
    text[1] = ("Clips with masks: %s for the thresholds, %d reported."):format(
      calibrated_on and #calibrated_on or "none", #result.names)
    local contact = result.summary.Contact
    text[2] = contact and ("Contact (pixels of hand or object at most 2 %% of the hand's diagonal from the other): IoU "
      .. "%.1f (%.1f – %.1f), n: %d."):format(contact.mean, contact.low, contact.high, contact.n)
  else
    text[1] = "These clips have no masks: nothing is measured" .. (calibrated_on and "." or
      ", and thresholds are not calibrated.")
  end
  if run.recipe.system == "cohesiv" then text[#text + 1] = PERSON[run.recipe.person.source] end
  return text
end

-- Thresholds chosen on what is reported, as some figures are made.
local function all_frames(run, data)
  local system = SYSTEMS[run.recipe.system]
  local result = evaluated("on all frames", run, data, { all = true, score = "difference", pair = "own" })
  return { title = "Thresholds chosen on all annotated frames",
    text = "For comparison with figures measured that way; these are not held out.",
    table = { caption = "Mean IoU, per cent", columns = evaluate.tasks,
      rows = { { name = system[1], note = system[2], main = true, cells = result.summary } } } }
end

-- What the log holds, by epoch: the whole loss, its parts, the learning rate.
local CHARTS = {
  { title = "Loss", { "train_total", "training" }, { "validation_total", "validation" } },
  { title = "Parts of the loss", { "train_responsibility", "responsibility, training" },
    { "validation_responsibility", "validation" }, { "train_embedding", "embedding, training" },
    { "validation_embedding", "validation" } },
  { title = "Learning rate", { "lr", "learning rate" } },
}

local function add_curves(run, prefix, shown)
  local records = run:metrics()
  for _, chart in ipairs(CHARTS) do
    local series = lists.map(chart, function(key)
      local points = lists.map(records, function(record)
        local value = record[key[1]]
        return type(value) == "number" and record.epoch and { record.epoch, value }
      end)
      return #points > 0 and { name = key[2], points = points, dots = #points <= 40 }
    end)
    if #series > 0 then shown[#shown + 1] = { title = prefix .. chart.title, x_label = "epoch", series = series } end
  end
end

-- f(clip, n) for the middle one of the frames of a clip that are trained on, where there is one.
local function at_middle_frame(data, name, recipe, f)
  local clip = data:clip(name)
  local frames = clip:has_hands() and labels.frames(clip, recipe) or {}
  local n = frames[(#frames + 1) // 2]
  if n then f(clip, n) end
  clip:close()
end

-- Maps of `count` clips, evenly spread.
local function map_strips(run, data, count)
  local items, names, recipe = {}, data.clips, run.recipe
  for i = 1, math.min(count, #names) do
    local name = names[(2 * i - 1) * #names // (2 * count) + 1] or names[i]
    at_middle_frame(data, name, recipe, function(clip, n)
      tensor.tidy(function()
        local R = clip:responsibility(n, map_options.of_recipe(recipe))
        local picture = panel.responsibility(R, clip:scaled(n, { size = R.size }))
        items[#items + 1] = { image = core.io.png_bytes(picture), caption = ("%s, frame %d"):format(clip.name, n) }
      end)
    end)
  end
  return #items > 0 and { { columns = 1, items = items } } or {}
end

-- The part of a map of the scaled frame that the frame covers.
local function content_of(map, sc) return map[{ { 1, sc.content_h }, { 1, sc.content_w } }] end

-- Everything about one query of one frame, as pictures of the scaled frame. `of`: run, system, thresholds, data, result
-- (where there is truth), and for sections: prefix (of titles), shown (how many).
local function query_items(of, clip, frame, q)
  local system, size = of.system, of.run.recipe.size
  local sc = clip:scale(size)
  local image = clip:scaled(frame.n, { size = size, padded = false })
  local query, items = frame.queries[q], {}
  local function add(picture, caption) -- at the page's size
    local small = scale.content(picture, scale.of(picture.shape[2], picture.shape[1], { WIDTH, 4 * WIDTH }))
    items[#items + 1] = { image = small:keep(), caption = caption }
  end
  add(viz.points(image, { { (query[1] + 0.5) * sc.s - 0.5, (query[2] + 0.5) * sc.s - 0.5 } },
    { radius = math.max(3, sc.content_w / 90) }), "image and query")
  if system.model then
    local found = predict.maps(system.model, clip:frame(frame.n), { query },
      { size = size, attention_only = not system.goals.object })
    add(viz.pca(content_of(found.Z, sc)), "embedding (PCA)")
    add(viz.viridis(content_of(found.attention[1], sc), { low = 0, high = 1 }), "attention")
  end
  local truth = of.result and evaluate.truth(of.data, frame)
  local masks = evaluate.masks(system, evaluate.asker(system, of.data)(frame), of.thresholds, frame,
    truth or { width = clip.width, height = clip.height })
  local function overlay(hand, object, both)
    local function scaled(mask) return mask and scale.content(mask, sc) end
    return viz.overlay(image, (hand or object) and { hand = scaled(hand), object = scaled(object) } or scaled(both))
  end
  add(overlay(masks.Hand and masks.Hand[q], masks.Obj and masks.Obj[q], masks.Pair[q]), "answer")
  if truth then
    add(overlay(truth.hand[q], truth.object[q]), "truth")
  else
    add(overlay(nil, nil, masks.All), "all answers")
  end
  return items
end

local function strip_of(of, frame, q, text)
  local clip = of.data:clip(frame.clip)
  local items = tensor.tidy(query_items, of, clip, frame, q)
  clip:close()
  return { title = ("%s, frame %d, hand %d"):format(frame.clip, frame.n, q), columns = #items, items = items,
           text = text }
end

-- Rows of Pair by their IoU, best first; ties by clip, frame and query.
local function ranked(rows)
  local list = lists.map(rows, function(row) return row.task == "Pair" and row end)
  table.sort(list, function(a, b)
    if a.iou ~= b.iou then return a.iou > b.iou end
    for _, key in ipairs { "clip", "n" } do
      if a[key] ~= b[key] then return a[key] < b[key] end
    end
    return a.q < b.q
  end)
  return list
end

local function measured_strip(of, row)
  local values = lists.map(of.result.rows, function(other)
    local same = other.clip == row.clip and other.n == row.n and other.q == row.q and other.task ~= "Contact"
    return same and ("%s %.0f"):format(other.task, 100 * other.iou)
  end)
  local frames = lists.map(evaluate.frames(of.data, { row.clip }), function(f) return f.n == row.n and f end)
  return strip_of(of, frames[1], row.q, "IoU: " .. table.concat(values, ", "))
end

-- Sections of the best, the middling and the worst answers.
local function add_measured(of, add)
  local order = ranked(of.result.rows)
  local best, worst = math.min(of.shown, (#order + 1) // 2), math.min(of.shown, #order // 2)
  local middle = math.min((of.shown + 1) // 2, #order - best - worst)
  local function section(title, first, last, step, text)
    local strips = {}
    for i = first, last, step do strips[#strips + 1] = measured_strip(of, order[i]) end
    add { title = of.prefix .. title, pictures = strips, text = text }
  end
  local from = (#order - middle) // 2 + 1
  section("Best answers", 1, best, 1,
    "By IoU of Pair. Hand green, object blue, overlap cyan; attention in viridis, 0 to 1.")
  section("Middling answers", from, from + middle - 1, 1)
  section("Worst answers", #order, #order - worst + 1, -1)
end

-- A section of answers where there is no truth: for the first hand of a frame of each of the first clips.
local function add_unmeasured(of, add)
  local strips = {}
  for _, name in ipairs(of.data.clips) do
    if #strips == 2 * of.shown then break end
    at_middle_frame(of.data, name, of.run.recipe, function(clip, n)
      local queries = lists.map(clip:hands(n), function(hand) return hand.vertices:mean(1):totable() end)
      local frame = { clip = name, n = n, queries = queries, width = clip.width, height = clip.height }
      strips[#strips + 1] = strip_of(of, frame, 1)
    end)
  end
  add { title = of.prefix .. "Answers", pictures = strips,
    text = "Hand green, object blue, overlap cyan; attention in viridis, 0 to 1; all answers of the frame in red." }
end

local FLOWS = { auto = "the data folder's, else dense inverse search", dis = "dense inverse search", truth = "exact" }

local function facts_of(run, result, started)
  local recipe, status, records = run.recipe, run:status(), run:metrics()
  local data = type(recipe.data) == "table" and recipe.data or { recipe.data }
  local seconds, commit = (records[#records] or {}).seconds, run:info().commit
  return lists.map({
    { "Data", table.concat(lists.map(data, function(path) return path:match "([^/]+)/*$" end), ", ") },
    { "Encoder", recipe.model.encoder },
    { "Size", ("%d × %d"):format(recipe.size[1], recipe.size[2]) }, { "Reported clips", result and #result.names },
    { "Flow", FLOWS[recipe.maps.flow] or recipe.maps.flow }, { "Background", recipe.maps.background },
    { "Seed", recipe.seed }, { "Epochs", status.epoch }, { "Steps", status.step },
    { "Training images", status.samples }, { "Training", seconds and ("%.1f minutes"):format(seconds / 60) },
    { "CPU", core.system.cpu().name }, { "Threads", core.threads() }, { "Commit", commit and commit:sub(1, 10) },
    { "Whole job", started and ("%.1f minutes"):format((core.system.time() - started) / 60) },
  }, function(fact) return fact[2] and fact end)
end

--- write(run or list of runs, options): evaluates them beside baselines and writes their report; clips without masks
-- are shown and not measured. Options: path (default: report.html in the folder of the first run), data (another
-- folder than the recipe's), baselines (names of systems), all_frames (a section with thresholds chosen on all
-- annotated frames), pictures (how many best and worst, default 6), started (when the job began). Returns the path
-- and the rows of the table, a list of { name, note, main, cells, result }.
function report_run.write(runs, options)
  options = options or {}
  if runs.recipe then runs = { runs } end
  local one, given = runs[1], options.data and evaluate.data(runs[1], options.data)
  local data, annotated = given, given and given.annotated
  if not given then data, annotated = evaluate.part(one, "evaluate") end
  local measured, names, sections, curves = #annotated > 0, evaluation.names(runs), {}, {}
  local results = measured and results_of(runs, given, options.baselines) or {}
  local function prefix(i) return #runs > 1 and names[i] .. ": " or "" end
  local function add(section) -- one whose pictures or curves there are none of is left out
    local list = section.pictures or section.curves
    if not list or #list > 0 then sections[#sections + 1] = section end
  end
  local first = measured and results[1].result
  add { title = measured and "Results" or "What was done", text = text_of(one, first),
        table = measured and table_of(results) or nil }
  if measured and options.all_frames then add(all_frames(one, given)) end
  for i, run in ipairs(runs) do add_curves(run, prefix(i), curves) end
  add { title = "Training", curves = curves }
  local learned = one.recipe.system == "cohesiv" and not (given and not measured)
  add { title = "Responsibility maps",
    pictures = map_strips(one, learned and evaluate.data(one) or data, 4),
    text = "A row a hand and one for the background: the frame with the vertices, the flow of one gap, the distance to "
      .. "the motion model (dark is near), and the map: which pixels move with the hand. They are made from video "
      .. "alone; the network learns from such maps and sees one image at a time." }
  for i, run in ipairs(runs) do
    local result, system = measured and results[i].result, evaluate.system(run)
    local of = { run = run, system = system, data = data, result = result, prefix = prefix(i),
      shown = options.pictures or 6,
      thresholds = result and result.thresholds or calibrate.thresholds_of(run, system) }
    if result then add_measured(of, add) elseif of.thresholds then add_unmeasured(of, add) end
  end
  local path = options.path or one:file "report.html"
  report.write(path, {
    title = table.concat(names, ", ") .. ": hands and what they hold",
    lead = one.recipe.system == "cohesiv" and "Hand and held-object masks learned from video without a single mask.",
    facts = facts_of(one, first, options.started), sections = sections,
    footer = ("cohesiv · %s · IoU at the images' own resolution, arms left out."):format(os.date "!%Y-%m-%d"),
  })
  return path, results
end

return report_run
