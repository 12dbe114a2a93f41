--- The report of runs: chooses what is shown, as sections of report.lua, which says how it looks. All of it comes from
-- the run folders and the data: a report says nothing that another run's would not. Tables are report_groups.lua's,
-- pictures report_pictures.lua's.
local core = require "cohesiv.core"
local lists, progress = require "cohesiv.base.lists", require "cohesiv.base.progress"
local json, warn = require "cohesiv.base.json", require "cohesiv.base.warn"
local calibrate, evaluate = require "cohesiv.hands.calibrate", require "cohesiv.hands.evaluate"
local evaluation, recipes = require "cohesiv.train.evaluation", require "cohesiv.train.recipe"
local failures, groups_of = require "cohesiv.tools.report_failures", require "cohesiv.tools.report_groups"
local order_of = require "cohesiv.tools.report_order"
local pictures, published = require "cohesiv.tools.report_pictures", require "cohesiv.tools.published"
local report, tables = require "cohesiv.tools.report", require "cohesiv.tools.report_table"
local report_run = {}

local BASELINES = { "responsibility", "flow", "saliency", "disc" }
local SYSTEMS = { -- name in tables, what it sees
  cohesiv = { "COHESIV", "one image and a point" },
  predicted_query = { "Predicted query", "one image: it finds the points, too" },
  supervised_box = { "Supervised bounding box", "one image and a point; learned from masks" },
  responsibility = { "Thresholded responsibility", "sees the video: the maps themselves" },
  flow = { "Flow", "sees the video: what moves" },
  saliency = { "Saliency", "one image: what stands out" },
  disc = { "Disc", "a disc at the point; sees no pixels" },
  true_boxes = { "True boxes", "sees the truth: boxes that never err" },
}
local LEARNED = lists.set { "cohesiv", "predicted_query" } -- from video alone
local RUNS, LOOKED_AT = 10, 60 -- runs with pictures and curves; failures looked at, of all runs together

local function system_of(run)
  local system = run.recipe.system
  return SYSTEMS[system] or type(system) == "string" and { system } or { "Own system", "of its experiment" }
end

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

-- The scores that a run keeps, where they are of the clips that its recipe reports now.
local function kept(run)
  local scores = run.scores and run:scores()
  local thresholds = scores and (run:calibration() or {}).thresholds
  local names = thresholds and select(2, evaluate.part(run, "evaluate")) or {}
  if not thresholds or table.concat(names, "\n") ~= table.concat(scores.names, "\n") then return nil end
  return { rows = scores.rows, names = scores.names, thresholds = thresholds,
    summary = evaluate.summarise(scores.rows, scores.names) }
end

-- The recipe of the first run whose system has a name, else the base's with the data of the first run: what systems
-- without training are derived from.
local function named_system(runs)
  for _, run in ipairs(runs) do
    if type(run.recipe.system) == "string" then return run.recipe end
  end
  local own, recipe = runs[1].recipe, recipes.load(recipes.experiment "cohesiv")
  recipe.data, recipe.size = own.data, own.size
  recipe.calibrate.data, recipe.evaluate.data = own.calibrate.data, own.evaluate.data
  return recipe
end

-- Results { name, note, main, run, cells = summary, rows, names, result } of runs and of systems without training, with
-- thresholds of the same clips.
local function results_of(runs, data, baselines)
  local list, names, present = {}, evaluation.names(runs), {}
  local function add(run, name, note, main)
    local result = not data and main and kept(run) or evaluated(name, run, data, {})
    name = evaluation.title(name, run.recipe.supervised)
    list[#list + 1] = { name = name, note = note, main = main, run = main and run or nil, cells = result.summary,
      summary = result.summary, rows = result.rows, names = result.names, result = result }
  end
  for i, run in ipairs(runs) do
    local system = system_of(run)
    present[run.recipe.system] = true
    add(run, #runs == 1 and system[1] or names[i], system[2], true)
    if table.concat(list[i].names, "\n") ~= table.concat(list[1].names, "\n") then
      core.refuse("report: expected runs reported on the same clips, found others for %s than for %s: give data=PATH",
        names[i], names[1])
    end
  end
  local recipe, wanted = named_system(runs), lists.copy(baselines or BASELINES)
  if present.supervised_box then wanted[#wanted + 1] = "true_boxes" end
  for _, system in ipairs(wanted) do
    if not present[system] then
      local untrained = recipe { system = system, name = system, supervised = false,
        size = recipe.maps.size or recipe.size }
      add(evaluation.untrained(untrained), table.unpack(SYSTEMS[system]))
    end
  end
  return list
end

local function table_of(groups)
  local counts = lists.map(evaluate.tasks, function(task)
    local s = groups[1].cells[task]
    return s and ("%s %d"):format(task, s.n)
  end)
  return { name = "results", columns = evaluate.tasks, rows = groups, bars = true,
           caption = ("Mean IoU in per cent with 95 %% bootstrap intervals over %d clips. n: %s."):format(
             #groups[1].names, table.concat(counts, ", ")) }
end

local PERSON = {
  truth = "Person masks are the generator's own; they stand for the person segmenter that the method takes as given.",
  skin = "Person masks come from a simple colour model seeded with the landmarks: a stand-in for a person segmenter.",
  parts = "People are what moves with a hand without being held, by its landmarks, colours and edges (parts of the "
    .. "map); away from hands a person segmenter's or a simple colour model's.",
  network = "Person masks are those of the segmenter that experiments/person.lua trains.",
  auto = "Person masks are the data folder's; where it has none, those of the person segmenter where its weights are "
    .. "present, else of a simple colour model seeded with the landmarks.",
}

local function text_of(run, result, many)
  local calibrated_on, text = (run:calibration() or {}).calibrated_on, {}
  if result then
    text[1] = ("Clips with masks: %s for the thresholds, %d reported."):format(
      calibrated_on and #calibrated_on or "none", #result.names)
    local contact = not many and result.summary.Contact or nil
    text[2] = contact and ("Contact (pixels of hand or object at most 2 %% of the hand's diagonal from the other): IoU "
      .. "%.1f (%.1f – %.1f), n: %d."):format(contact.mean, contact.low, contact.high, contact.n)
    local asked = not many and result.summary.Asked or nil
    text[#text + 1] = asked and ("On frames of several hands IoU of Hand with the hand that was asked for is %.1f "
      .. "points (%.1f – %.1f, n: %d) above that with another."):format(asked.mean, asked.low, asked.high, asked.n)
  else
    text[1] = "These clips have no masks: nothing is measured" .. (calibrated_on and "." or
      ", and thresholds are not calibrated.")
  end
  if LEARNED[run.recipe.system] then text[#text + 1] = PERSON[run.recipe.person.source] end
  local first = LEARNED[run.recipe.system] and rawget(run.recipe, "pretrain") -- recipes of older runs lack it
  if first and first.clips > 0 and run.recipe.overfit_batches == 0 then
    text[#text + 1] = ("The network learned from %d generated clips first, whose flow and people are known."):format(
      first.clips)
  end
  return text
end

-- Thresholds chosen on what is reported, as some figures are made.
local function all_frames(run, data)
  local system = system_of(run)
  local result = evaluated("on all frames", run, data, { all = true, score = "difference", pair = "own" })
  return { title = "Thresholds chosen on all annotated frames",
    text = "For comparison with figures measured that way; these are not held out.",
    table = { name = "all_frames", caption = "Mean IoU, per cent", columns = evaluate.tasks,
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

local function points_of(records, key)
  return lists.map(records, function(record)
    local value = record[key]
    return type(value) == "number" and record.epoch and { record.epoch, value }
  end)
end

-- The curves of one run.
local function curves_of(run)
  local records, shown = run:metrics(), {}
  for _, chart in ipairs(CHARTS) do
    local series = lists.map(chart, function(key)
      local points = points_of(records, key[1])
      return #points > 0 and { name = key[2], points = points, dots = #points <= 40 }
    end)
    if #series > 0 then shown[#shown + 1] = { title = chart.title, x_label = "epoch", series = series } end
  end
  return shown
end

-- One chart of several runs for each of a few things.
local function curves_beside(runs, names)
  local records = lists.map(runs, function(run) return run:metrics() end)
  return lists.map({ { "validation_total", "Validation loss" }, { "train_total", "Training loss" } }, function(chart)
    local series = {}
    for i, list in ipairs(records) do
      local points = points_of(list, chart[1])
      if #points > 0 then series[#series + 1] = { name = names[i], points = points, dots = #points <= 5 } end
    end
    return #series > 0 and { title = chart[2], x_label = "epoch", series = series }
  end)
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

-- What several runs have in common.
local function facts_beside(runs, result)
  local recipe, seconds = runs[1].recipe, 0
  local data = type(recipe.data) == "table" and recipe.data or { recipe.data }
  for _, run in ipairs(runs) do seconds = seconds + (run:status().seconds or 0) end
  local commit = runs[1]:info().commit
  return lists.map({
    { "Runs", #runs },
    { "Data", table.concat(lists.map(data, function(path) return path:match "([^/]+)/*$" end), ", ") },
    { "Reported clips", result and #result.names }, { "Size", ("%d × %d"):format(recipe.size[1], recipe.size[2]) },
    { "Training", seconds > 0 and ("%.1f minutes"):format(seconds / 60) }, { "CPU", core.system.cpu().name },
    { "Commit", commit and commit:sub(1, 10) },
  }, function(fact) return fact[2] and fact end)
end

local KEYS = { object = "Obj", hand = "Hand", pair = "Pair" }

-- The surfaces of thresholds that a run keeps from its calibration.
local function surfaces_of(run, prefix)
  local file = run:file "surfaces.json"
  local ok, kept_ones = pcall(json.read, file)
  if not ok or type(kept_ones) ~= "table" then return {} end
  local out = {}
  for _, key in ipairs(lists.keys(kept_ones)) do
    local s = kept_ones[key]
    if type(s) == "table" and type(s.values) == "table" and s.values[1] and type(s.first) == "table" then
      local second = type(s.second) == "table" and s.second or { 0, 0 }
      local both = #s.values[1] > 1
      out[#out + 1] = { title = prefix .. (KEYS[key] or key), values = s.values, best = s.best,
        rows = { both and "threshold of the score" or "threshold", s.first[1], s.first[2] },
        columns = { "of attention", second[1], second[2] } }
    end
  end
  return out
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

local COLOURS = "Hand green, object blue, overlap cyan; attention in viridis, 0 to 1, as is the map that the video "
  .. "gives of the hand, which the network does not see; all answers of the frame in red."
local LEGEND = COLOURS .. " An answer that is pointed at, or touched, shows "

-- Sections of the best and the middling answers of one run.
local function add_answers(of, rows, shown, add)
  local order = ranked(rows)
  local best = math.min(shown, (#order + 1) // 2)
  local middle = math.min((shown + 1) // 2, #order - best)
  local function section(title, first, last, text)
    local strips = {}
    for i = first, last do strips[#strips + 1] = pictures.measured(of, rows, order[i]) end
    add { title = title, pictures = strips, text = text }
  end
  local from = best + (#order - best - middle) // 2 + 1
  section("Best answers", 1, best, "By IoU of Pair. " .. LEGEND .. "the truth.")
  section("Middling answers", from, from + middle - 1)
end

-- Queries that show how runs differ: the one in the middle by the runs' mean IoU, the best, the worst, and those about
-- which they disagree most.
local function chosen_rows(results, count)
  local sums, squares, seen = {}, {}, {}
  local function key(row) return ("%s\0%d\0%s"):format(row.clip, row.n, row.q or "") end
  for _, result in ipairs(results) do
    for _, row in ipairs(result.rows) do
      if row.task == "Pair" then
        local k = key(row)
        sums[k], squares[k] = (sums[k] or 0) + row.iou, (squares[k] or 0) + row.iou ^ 2
        seen[k] = (seen[k] or 0) + 1
      end
    end
  end
  local all = lists.map(ranked(results[1].rows), function(row) return seen[key(row)] == #results and row end)
  local function spread(row) return squares[key(row)] / #results - (sums[key(row)] / #results) ^ 2 end
  table.sort(all, function(a, b)
    local x, y = sums[key(a)], sums[key(b)]
    if x ~= y then return x > y end
    return key(a) < key(b)
  end)
  local wanted, taken = {}, {}
  local function take(row)
    if row and not taken[key(row)] and #wanted < count then
      taken[key(row)] = true
      wanted[#wanted + 1] = row
    end
  end
  take(all[1])
  take(all[(#all + 1) // 2])
  take(all[#all])
  table.sort(all, function(a, b)
    local x, y = spread(a), spread(b)
    if x ~= y then return x > y end
    return key(a) < key(b)
  end)
  for _, row in ipairs(all) do take(row) end
  return wanted
end

-- A run that answers.
local function answering(run, data, result)
  local system = evaluate.system(run)
  return { run = run, system = system, data = data, measured = result ~= nil, ask = evaluate.asker(system, data),
    thresholds = result and result.result.thresholds or calibrate.thresholds_of(run, system) }
end

local function failures_table(rows, looked, all)
  local used = lists.map(failures.KINDS, function(kind)
    for _, row in ipairs(rows) do
      if row.cells[kind[1]] then return kind[1] end
    end
  end)
  return { name = "failures", columns = used, rows = rows,
    caption = ("The worst answers, those below an IoU of 50 %% of Pair: %d of %d looked at."):format(looked, all) }
end

-- Pictures of every run: of one its best, middling and failed answers, of several the same frames side by side.
local function add_pictures(shown, data, count, add)
  local many = #shown > 1
  local chosen = many and chosen_rows(shown, math.min(count, #shown <= 3 and 6 or #shown <= 6 and 5 or 4)) or {}
  local answers, kinds, rows, looked, all = {}, {}, {}, 0, 0
  for i, result in ipairs(shown) do
    local of = answering(result.run, data, result)
    if many then
      for k, answer in ipairs(pictures.answers(of, result.rows, chosen, i == 1)) do
        answer.name, answers[k] = result.name, answers[k] or {}
        answers[k][i] = answer
      end
    else
      add_answers(of, result.rows, count, add)
    end
    local counts, n, m = pictures.failures(of, result.rows, math.max(6, LOOKED_AT // #shown), kinds,
      many and result.name or nil)
    looked, all = looked + n, all + m
    rows[i] = { name = result.name, cells = counts }
    collectgarbage()
  end
  local strips = {}
  for k, row in ipairs(chosen) do strips[k] = pictures.side_by_side(row, answers[k]) end
  if #strips > 0 then
    add { title = "The same frames", pictures = strips,
      text = LEGEND .. "the first run's, that of the first run the truth." }
  end
  if looked == 0 then return end
  local examples, meanings = {}, {}
  for _, kind in ipairs(failures.KINDS) do
    for _, strip in ipairs(kinds[kind[1]] or {}) do examples[#examples + 1] = strip end
    if kinds[kind[1]] then meanings[#meanings + 1] = ("%s: %s."):format(kind[1], kind[2]) end
  end
  add { title = "Failures, by their kind", table = failures_table(rows, looked, all), pictures = examples,
    text = table.concat(meanings, " ") }
end

-- A section of answers where there is no truth: for the first hand of a frame of each of the first clips.
local function add_unmeasured(run, data, prefix, count, add)
  local of, strips = answering(run, data), {}
  if not of.thresholds then return end
  for _, name in ipairs(data.clips) do
    if #strips == 2 * count then break end
    strips[#strips + 1] = pictures.unmeasured(of, name)
  end
  add { title = prefix .. "Answers", pictures = strips,
    text = COLOURS }
end

-- The results of which pictures and curves are shown: the first of every group, then others.
local function shown_of(groups)
  local list = {}
  for k = 1, RUNS do
    for _, group in ipairs(groups) do
      local result = group.recipe and group.results[k]
      if result and #list < RUNS then list[#list + 1] = result end
    end
    if #groups > 1 then break end
  end
  return list
end

-- The sections of tables.
local function add_tables(groups, data, add)
  local differences = groups_of.differences(groups)
  if differences then add { title = "Differences", table = differences } end
  local order = order_of.section(groups)
  if order then add(order) end
  local by_hands = groups_of.by_hands(groups)
  if by_hands then add { title = "One hand, and several", table = by_hands } end
  local known = published.table_of(data.path)
  if known then add { title = "Published figures", table = known } end
  local spread = groups_of.spread(groups)
  if spread then add { title = "Seeds", table = spread } end
  local keys = groups_of.differing(groups)
  local settings = groups_of.settings(groups, keys)
  if settings then add { title = "Settings that differ", table = settings } end
  local first = groups[1].recipe
  local alike = lists.map(groups, function(group) -- what a setting does is seen on one system
    return group.recipe and group.recipe.system == first.system and group
  end)
  for _, section in ipairs(groups_of.swept(alike, groups_of.differing(alike))) do add(section) end
end

local UNFINISHED = lists.set { "training", "stopped", "paused", "dropped" }

-- Those of several runs that have come to an end; the others are told.
local function finished(runs)
  if #runs == 1 then return runs end
  local done = lists.map(runs, function(run)
    local state = run:status().state
    if not UNFINISHED[state] then return run end
    warn.line("report: %s: expected a run that is done, found one that is %s: it is left out", run.path, state)
  end)
  return #done > 0 and done or core.refuse "report: expected a run that is done, found none"
end

--- write(run or list of runs, options): evaluates them beside baselines, unless they keep their scores, and writes
-- their report; clips without masks are shown and not measured. Options: path (default: report.html in the folder of
-- the first run), title, data (another folder than the recipe's), baselines (names of systems), all_frames (a section
-- with thresholds chosen on all annotated frames), pictures (how many best, middling or compared answers, default 6),
-- started (when the job began), csv, latex (folders for the tables as such files). Returns the path and the results of
-- runs and baselines, a list of { name, note, main, cells, result }.
function report_run.write(runs, options)
  options = options or {}
  runs = finished(runs.recipe and { runs } or runs)
  local one, given = runs[1], options.data and evaluate.data(runs[1], options.data)
  local data, annotated = given, given and given.annotated
  if not given then data, annotated = evaluate.part(one, "evaluate") end
  local measured, names, sections, kept_tables = #annotated > 0, evaluation.names(runs), {}, {}
  local many, count = #runs > 1, options.pictures or 6
  local results = measured and results_of(runs, given, options.baselines) or {}
  local groups = groups_of.groups(results)
  local function add(section) -- one whose pictures or curves there are none of is left out
    local list = section.pictures or section.curves or section.surfaces
    if list and #list == 0 and not section.table then return end
    sections[#sections + 1] = section
    kept_tables[#kept_tables + 1] = section.table
  end
  add { title = measured and "Results" or "What was done", text = text_of(one, results[1], many),
        table = measured and table_of(groups) or nil }
  if measured then add_tables(groups, data, add) end
  if measured and options.all_frames then add(all_frames(one, given)) end
  local shown = measured and shown_of(groups) or lists.map(runs, function(run, i)
    return i <= RUNS and { run = run, name = names[i] }
  end)
  add { title = "Training", curves = not many and curves_of(one) or curves_beside(lists.map(shown, function(result)
    return result.run
  end), lists.map(shown, function(result) return result.name end)) }
  local surfaces = {}
  for i = 1, math.min(#shown, many and 4 or 1) do
    local own = surfaces_of(shown[i].run, many and shown[i].name .. ": " or "")
    table.move(own, 1, #own, #surfaces + 1, surfaces)
  end
  add { title = "Thresholds", surfaces = surfaces, text = "Mean IoU on the calibration clips at every pair of "
    .. "thresholds, bright is high; the ring is what was chosen." }
  local learned = LEARNED[one.recipe.system] and not (given and not measured)
  add { title = "Responsibility maps",
    pictures = pictures.maps(one, learned and evaluate.data(one) or data, many and 2 or 4),
    text = "A row a hand and one for the background: the frame with the vertices, the flow of one gap, the distance to "
      .. "the motion model (dark is near), and the map: which pixels move with the hand. They are made from video "
      .. "alone; the network learns from such maps and sees one image at a time." }
  if measured then add_pictures(shown, data, count, add) end
  for i, run in ipairs(measured and {} or runs) do
    add_unmeasured(run, data, many and names[i] .. ": " or "", count, add)
  end
  local path = options.path or one:file "report.html"
  local title = options.title or (#runs > 3 and ("%d runs"):format(#runs) or table.concat(names, ", "))
  report.write(path, {
    title = title .. ": hands and what they hold",
    lead = LEARNED[one.recipe.system] and "Hand and held-object masks learned from video without a mask drawn by hand.",
    facts = many and facts_beside(runs, results[1]) or facts_of(one, results[1], options.started), sections = sections,
    footer = ("cohesiv · %s · IoU at the images' own resolution, arms left out."):format(os.date "!%Y-%m-%d"),
  })
  for _, kind in ipairs { "csv", "latex" } do
    if options[kind] then tables.export(kept_tables, options[kind], kind) end
  end
  return path, results
end

return report_run
