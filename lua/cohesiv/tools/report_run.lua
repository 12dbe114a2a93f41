--- The report of a run: table with baselines, curves, what the network sees, best and worst answers. Chooses what is
--- shown; how it looks is report.lua's. Needs a run whose system was calibrated or can be.

local evaluate = require "cohesiv.hands.evaluate"
local evaluation = require "cohesiv.train.evaluation"
local metrics = require "cohesiv.hands.metrics"
local predict = require "cohesiv.hands.predict"
local report = require "cohesiv.tools.report"
local scale = require "cohesiv.motion.scale"
local tensor = require "cohesiv.tensor"
local viz = require "cohesiv.tools.viz"

local report_run = {}

local WIDTH = 336 -- pixels of a picture on the page

local NOTES = {
  disc = "a disc at the query; sees no pixels",
  flow = "magnitude of optical flow; sees the video",
  saliency = "classical detector; sees the image",
  responsibility = "R of the detected hand; sees the video",
  cohesiv = "sees one image",
}

local function title_of(name) return name:sub(1, 1):upper() .. name:sub(2):gsub("_", " ") end

--- Evaluates a run and baselines on the same clips: a list of { name, note, main, result }. Baselines are names of
--- systems without training; they get the run's recipe otherwise. Options: data, baselines, progress(name, done,
--- total).
function report_run.results(run, options)
  options = options or {}
  local list = {}
  local function add(one, name, note, main)
    local progress = options.progress and function(done, total) options.progress(name, done, total) end
    local result = evaluation.full(one, options.data, { progress = progress })
    list[#list + 1] = { name = name, note = note, main = main, result = result, system = one.recipe.system }
  end
  local trained = run.recipe.system == "cohesiv"
  add(run, trained and "COHESIV" or title_of(run.name), NOTES[run.recipe.system], true)
  for _, system in ipairs(options.baselines or { "responsibility", "disc", "saliency", "flow" }) do
    local name = system == "responsibility" and "Thresholded responsibility" or title_of(system)
    add(evaluation.untrained(run.recipe { system = system, name = system }), name, NOTES[system])
  end
  return list
end

local function table_of(results)
  local rows, first = {}, results[1].result.summary
  for i, r in ipairs(results) do
    local cells = {}
    for _, task in ipairs(evaluate.tasks) do cells[task] = r.result.summary[task] end
    rows[i] = { name = r.name, note = r.note, main = r.main, cells = cells }
  end
  local counts = {}
  for _, task in ipairs(evaluate.tasks) do
    if first[task] then counts[#counts + 1] = ("%s %d"):format(task, first[task].n) end
  end
  return { columns = evaluate.tasks, rows = rows, bars = true,
           caption = ("Mean IoU in per cent with 95 %% bootstrap intervals over %d clips. n: %s."):format(
             #results[1].result.names, table.concat(counts, ", ")) }
end

-- What the log holds, by epoch: the whole loss, its parts, the learning rate.
local CHARTS = {
  { title = "Loss", { "train_total", "training" }, { "validation_total", "validation" } },
  { title = "Parts of the loss", { "train_responsibility", "responsibility, training" },
    { "validation_responsibility", "validation" }, { "train_embedding", "embedding, training" },
    { "validation_embedding", "validation" } },
  { title = "Learning rate", { "lr", "learning rate" } },
}

local function curves_of(run)
  local records, shown = run:metrics(), {}
  for _, chart in ipairs(CHARTS) do
    local series = {}
    for _, key in ipairs(chart) do
      local points = {}
      for _, record in ipairs(records) do
        local value = record[key[1]]
        if type(value) == "number" and record.epoch then points[#points + 1] = { record.epoch, value } end
      end
      if #points > 0 then series[#series + 1] = { name = key[2], points = points, dots = #points <= 40 } end
    end
    if #series > 0 then shown[#shown + 1] = { title = chart.title, x_label = "epoch", series = series } end
  end
  return shown
end

-- A picture at the page's size.
local function small(image)
  local sc = scale.of(image.shape[2], image.shape[1], { WIDTH, 4 * WIDTH })
  return scale.content(image, sc)
end

-- The part of a map of the scaled frame that the frame covers.
local function content_of(map, sc) return map[{ { 1, sc.content_h }, { 1, sc.content_w } }] end

-- Everything about one query of one frame, as pictures of the scaled frame.
local function query_items(run, system, data, frame, q, thresholds)
  local clip, size = data:clip(frame.clip), run.recipe.size
  local sc = clip:scale(size)
  local image = clip:scaled(frame.n, { size = size, padded = false })
  local points = {}
  for k, query in ipairs(frame.queries) do
    points[k] = { (query[1] + 0.5) * sc.s - 0.5, (query[2] + 0.5) * sc.s - 0.5 }
  end
  local items = {}
  local function add(picture, caption) items[#items + 1] = { image = small(picture), caption = caption } end
  add(viz.points(image, { points[q] }, { radius = math.max(3, sc.content_w / 90) }), "image and query")
  if system.model then
    local maps = predict.maps(system.model, clip:frame(frame.n), frame.queries,
      { size = size, attention_only = not system.goals.object })
    add(viz.pca(content_of(maps.Z, sc)), "embedding (PCA)")
    add(viz.viridis(content_of(maps.attention[q], sc), { low = 0, high = 1 }), "attention")
  end
  local truth = evaluate.truth(data, frame)
  local answer = evaluate.asker(system, data)(frame)
  local masks = evaluate.masks(system, answer, thresholds, frame, truth)
  local function scaled(mask) return mask and scale.content(mask, sc) end
  local function overlay(hand, object, pair)
    if hand or object then return viz.overlay(image, { hand = scaled(hand), object = scaled(object) }) end
    return viz.overlay(image, scaled(pair))
  end
  add(overlay(masks.Hand and masks.Hand[q], masks.Obj and masks.Obj[q], masks.Pair[q]), "answer")
  add(overlay(truth.hand[q], truth.object[q]), "truth")
  return items
end

-- Rows of one task by their IoU, best first; ties by clip and frame.
local function ranked(rows, task)
  local list = {}
  for _, row in ipairs(rows) do
    if row.task == task then list[#list + 1] = row end
  end
  table.sort(list, function(a, b)
    if a.iou ~= b.iou then return a.iou > b.iou end
    if a.clip ~= b.clip then return a.clip < b.clip end
    if a.n ~= b.n then return a.n < b.n end
    return a.q < b.q
  end)
  return list
end

local function strip_of(run, system, data, result, row)
  return tensor.tidy(function()
    local frame
    for _, f in ipairs(evaluate.frames(data, { row.clip })) do
      if f.n == row.n then frame = f end
    end
    local values = {}
    for _, other in ipairs(result.rows) do
      if other.clip == row.clip and other.n == row.n and other.q == row.q and other.task ~= "Contact" then
        values[#values + 1] = ("%s %.0f"):format(other.task, 100 * other.iou)
      end
    end
    local items = query_items(run, system, data, frame, row.q, result.thresholds)
    for _, item in ipairs(items) do item.image:keep() end
    return { title = ("%s, frame %d, hand %d"):format(row.clip, row.n, row.q), columns = #items, items = items,
             text = "IoU: " .. table.concat(values, ", ") }
  end)
end

-- What the maps of some reported frames look like: the pseudo-labels, which see the video.
local function map_strips(run, data, names, count)
  local answer = require "cohesiv.hands.systems.responsibility"(run).answer
  local strips, size = {}, run.recipe.size
  for _, name in ipairs(names) do
    if #strips >= count then break end
    tensor.tidy(function()
      local frames = evaluate.frames(data, { name })
      local frame = frames[(#frames + 1) // 2]
      local clip = data:clip(frame.clip)
      local detected = evaluate.detected(clip, frame)
      if not detected[1] then return end
      local sc = clip:scale(size)
      local map = content_of(answer(clip, frame.n, frame.queries, detected).Pair[1][1], sc)
      local image = clip:scaled(frame.n, { size = size, padded = false })
      local gap = frame.n + 1 < clip.frames and 1 or -1
      local items = { { image = image, caption = "image" },
        { image = viz.flow_color(content_of(clip:flow(frame.n, gap, { size = size }), sc)),
          caption = ("flow to frame %d"):format(frame.n + gap) },
        { image = viz.viridis(map, { low = 0, high = 1 }), caption = "responsibility" },
        { image = viz.overlay(image, metrics.over(map, run.recipe.maps.tau)),
          caption = ("responsibility > %g"):format(run.recipe.maps.tau) } }
      for _, item in ipairs(items) do item.image = small(item.image):keep() end
      strips[#strips + 1] = { title = ("%s, frame %d"):format(frame.clip, frame.n), columns = 4, items = items }
    end)
  end
  return strips
end

local FLOWS = { auto = "the data folder's, else dense inverse search", dis = "dense inverse search", truth = "exact" }

local function facts_of(run, result)
  local recipe, info, status = run.recipe, run:info(), run:status()
  local facts = {
    { "Data", (recipe.data or "–"):match "([^/]+)/*$" }, { "Encoder", recipe.model.encoder },
    { "Size", ("%d × %d"):format(recipe.size[1], recipe.size[2]) }, { "Reported clips", #result.names },
    { "Flow", FLOWS[recipe.maps.flow] },
    { "Background", recipe.maps.background }, { "Seed", recipe.seed },
  }
  if status.epoch then facts[#facts + 1] = { "Epochs", status.epoch } end
  if status.samples then facts[#facts + 1] = { "Training images", status.samples } end
  local records = run:metrics()
  local last = records[#records]
  if last and last.seconds then facts[#facts + 1] = { "Training", ("%.1f minutes"):format(last.seconds / 60) } end
  if info.commit then facts[#facts + 1] = { "Commit", info.commit:sub(1, 10) } end
  return facts
end

local function contact_text(result)
  local contact = result.summary.Contact
  return contact and ("Contact (pixels of hand or object at most 2 %% of the hand's diagonal from the other): IoU "
    .. "%.1f (%.1f – %.1f), %d queries."):format(contact.mean, contact.low, contact.high, contact.n)
end

--- Evaluates a run beside baselines and writes its report. Options: path (default: report.html in the run folder),
--- data, baselines, results (of report_run.results, to save the work), title, text (list of paragraphs),
--- pictures (how many best and worst, default 6), progress. Returns the path and the results.
function report_run.write(run, options)
  options = options or {}
  local results = options.results or report_run.results(run, options)
  local result, data = results[1].result, evaluate.data(run, options.data)
  local system, shown = evaluate.system(run), options.pictures or 6
  local order = ranked(result.rows, "Pair")
  local best, worst = {}, {}
  for i = 1, math.min(shown, (#order + 1) // 2) do best[i] = strip_of(run, system, data, result, order[i]) end
  for i = 1, math.min(shown, #order // 2) do
    worst[i] = strip_of(run, system, data, result, order[#order + 1 - i])
  end
  local sections = {
    { title = "Results", text = options.text, table = table_of(results) },
    { title = "Training", curves = curves_of(run) },
    { title = "Where the labels come from", pictures = map_strips(run, data, result.names, 3),
      text = "Responsibility maps of reported clips: which pixels move with the hand. They are made from video alone; "
        .. "the network learns from such maps of the training clips and sees one image at a time." },
    { title = "Best answers", pictures = best,
      text = "By IoU of Pair. Hand green, object blue, overlap cyan; attention in viridis, 0 to 1." },
    { title = "Worst answers", pictures = worst },
  }
  sections[1].text = sections[1].text or { contact_text(result) }
  for i = #sections, 1, -1 do
    local s = sections[i]
    if not s.table and #(s.curves or s.pictures or {}) == 0 then table.remove(sections, i) end
  end
  local path = options.path or run:file "report.html"
  report.write(path, {
    title = options.title or title_of(run.name) .. ": hands and what they hold",
    lead = options.lead or "Hand and held-object masks learned from video without a single mask.",
    facts = facts_of(run, result), sections = sections,
    footer = ("cohesiv · %s · IoU at the images' own resolution, arms left out; thresholds from the calibration half.")
      :format(os.date "!%Y-%m-%d"),
  })
  return path, results
end

return report_run
