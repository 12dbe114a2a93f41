--- The main job: data in, a report out. Videos become responsibility maps, maps become a network that never saw a
-- mask, thresholds are chosen on one part of the annotated clips and everything is measured on another.
local core = require "cohesiv.core"
local data_folders = require "cohesiv.data"
local evaluate = require "cohesiv.hands.evaluate"
local evaluation = require "cohesiv.train.evaluation"
local map_options = require "cohesiv.motion.map_options"
local panel = require "cohesiv.tools.panel"
local predict = require "cohesiv.hands.predict"
local progress = require "cohesiv.base.progress"
local recipes = require "cohesiv.train.recipe"
local report = require "cohesiv.tools.report"
local runs = require "cohesiv.train.run"
local tensor = require "cohesiv.tensor"
local train = require "cohesiv.train.train"

local M = {}

local BASELINES = { "thresholded_responsibility", "flow", "saliency", "disc" }

-- Trains, or goes on with the newest run of the same recipe that was interrupted before its report was written.
local function trained(recipe, options)
  local newest, resume = runs.newest(recipe.name, options.root), nil
  if newest then
    local run = runs.open(newest)
    if recipes.same(run.recipe, recipe) and not run:has "report.html" then resume = newest end
  end
  if resume then io.stderr:write(("goes on with %s\n"):format(resume)) end
  return train.train(recipe, { root = options.root, resume = resume, data = options.data,
    calibration = options.calibration, again = "the same command" })
end

local function map_size(recipe) return recipe.maps.size or recipe.size end

-- ---- the table ----

-- Scores of the trained run and of the systems without training, on the same clips. Each baseline is calibrated on the
-- same frames as the run.
local function table_rows(run, calibration, reported, names, options)
  local rows, results = {}, {}
  local function add(name, note, main, system_run)
    local bar = progress.new("evaluate " .. name, 0)
    local calibrate = require "cohesiv.hands.calibrate"
    local system = evaluate.system(system_run)
    local stored = system_run:calibration()
    local thresholds = stored and stored.thresholds
    if not thresholds then thresholds = calibrate.search(system, calibration.data, calibration.names) end
    local result = evaluate.score(system, thresholds, reported, names)
    bar:finish "done"
    local cells = {}
    for _, task in ipairs(evaluate.tasks) do cells[task] = result.summary[task] or "–" end
    rows[#rows + 1] = { name = name, note = note, main = main, cells = cells }
    results[name] = result
  end
  add("COHESIV", "this run: one image and a point", true, run)
  local notes = {
    thresholded_responsibility = "sees the video: the maps themselves", flow = "sees the video: what moves",
    saliency = "one image", disc = "a disc at the point",
  }
  for _, name in ipairs(BASELINES) do
    local r = recipes.load(recipes.experiment(name))
    add(name:gsub("_", " "):gsub("^%l", string.upper), notes[name], false,
      evaluation.untrained(r { size = map_size(run.recipe), maps = options.maps }))
  end
  return rows, results
end

-- ---- pictures ----

local function map_strip(data, names, recipe, count)
  local labels, items = require "cohesiv.train.labels", {}
  for i = 1, math.min(count, #names) do
    local clip = data:clip(names[(2 * i - 1) * #names // (2 * count) + 1] or names[i])
    local frames = clip:has_hands() and labels.frames(clip, recipe) or {}
    if #frames > 0 then
      local n = frames[(#frames + 1) // 2]
      tensor.tidy(function()
        local R = clip:responsibility(n, map_options.of_recipe(recipe))
        local image = clip:scaled(n, { size = map_size(recipe) })
        items[#items + 1] = { image = core.io.png_bytes(panel.responsibility(R, { image = image })),
          caption = ("%s, frame %d"):format(clip.name, n) }
      end)
    end
    clip:close()
  end
  return items
end

-- Of every reported clip the frame of middling score, best first.
local function ranked(result)
  local sums, list = {}, {}
  for _, row in ipairs(result.rows) do
    if row.task == "Pair" then
      local key = row.clip .. "\n" .. row.n
      local entry = sums[key]
      if not entry then
        entry = { clip = row.clip, n = row.n, sum = 0, count = 0 }
        sums[key] = entry
        list[#list + 1] = entry
      end
      entry.sum, entry.count = entry.sum + row.iou, entry.count + 1
    end
  end
  for _, e in ipairs(list) do e.iou = 100 * e.sum / e.count end
  local function better(a, b)
    if a.iou ~= b.iou then return a.iou > b.iou end
    return a.clip < b.clip or (a.clip == b.clip and a.n < b.n)
  end
  table.sort(list, better)
  local of_clip, middle = {}, {}
  for _, e in ipairs(list) do
    of_clip[e.clip] = of_clip[e.clip] or {}
    table.insert(of_clip[e.clip], e)
  end
  for _, frames in pairs(of_clip) do middle[#middle + 1] = frames[(#frames + 1) // 2] end
  table.sort(middle, better)
  return middle
end

-- The query points of a frame: annotated ones, or the means of the hands' vertices.
local function queries_of(data, clip, n)
  for _, frame in ipairs(data:queries(clip.name) or {}) do
    if frame.n == n then return frame.queries end
  end
  local points = {}
  for k, hand in ipairs(clip:hands(n)) do points[k] = hand.vertices:mean(1):totable() end
  return points
end

local function panel_item(model, data, entry)
  local clip = data:clip(entry.clip)
  local queries = queries_of(data, clip, entry.n)
  local png
  tensor.tidy(tensor.no_grad, function()
    local image = clip:frame(entry.n)
    local height, width = image.shape[1], image.shape[2]
    local sc = math.min(1, 480 / width)
    local answer = predict.maps(model, image, queries)
    local predictions = predict.predict(model, image, queries)
    local picture = panel.predictions { image = image, queries = queries, predictions = predictions, Z = answer.Z,
      scale = answer.scale }
    local columns, rows = 5, #queries
    local w, h = math.floor(width * columns * sc), math.floor(height * rows * sc)
    if sc < 1 then picture = core.io.resample(picture, sc, sc, w, h, w, h) end
    png = core.io.png_bytes(picture)
  end)
  clip:close()
  local score = entry.iou and (": Pair %.0f"):format(entry.iou) or ""
  return { image = png, caption = ("%s, frame %d%s"):format(entry.clip, entry.n, score) }
end

local function panels(model, data, list, first, last)
  local items = {}
  for i = math.max(first, 1), math.min(last, #list) do items[#items + 1] = panel_item(model, data, list[i]) end
  return items
end

-- ---- the report ----

local function curves(run)
  local total, validation = {}, {}
  for _, m in ipairs(run:metrics()) do
    if m.epoch and m.train_total then total[#total + 1] = { m.epoch, m.train_total } end
    if m.epoch and m.validation_total then validation[#validation + 1] = { m.epoch, m.validation_total } end
  end
  local series = { { name = "training", points = total } }
  if #validation > 0 then series[2] = { name = "validation", points = validation } end
  return { { title = "Loss", x_label = "epoch", series = series } }
end

-- The answers: on annotated frames best, middle and worst; else those of what.frames.
local function answers(model, what)
  if not what.results then return { { columns = 1, items = panels(model, what.data, what.frames, 1, 12) } } end
  local list = ranked(what.results.COHESIV)
  return {
    { title = "Best", columns = 1, items = panels(model, what.data, list, 1, 6) },
    { title = "Middle", columns = 1, items = panels(model, what.data, list, #list // 2, #list // 2 + 2) },
    { title = "Worst", columns = 1, items = panels(model, what.data, list, math.max(#list - 5, 7), #list) },
  }
end

local function write_report(run, what)
  local model = run:model()
  local results = { title = what.rows and "Results" or "What was done", text = what.text }
  if what.rows then
    results.table = { caption = "Mean IoU, per cent, with 95 % intervals over clips", columns = evaluate.tasks,
      bars = true, rows = what.rows }
  end
  local sections = {
    results,
    { title = "What it learned from: responsibility maps",
      text = "A row a hand and one for the background: the frame with the vertices, the flow of one gap, the distance "
        .. "to the motion model (dark is near), and the map, the mean over all gaps.",
      pictures = { { columns = 1, items = map_strip(what.train_data, what.train_names, run.recipe, 4) } } },
    { title = "Training", curves = curves(run) },
    { title = what.rows and "Answers on reported frames" or "Answers",
      text = "A row a query point: the image, the embedding's principal components, attention, hand (green) and object "
        .. "(blue, overlap cyan), all masks (red).",
      pictures = answers(model, what) },
  }
  for _, s in ipairs(what.sections or {}) do table.insert(sections, 2, s) end
  return report.write(run:file "report.html",
    { title = what.title, lead = what.lead, facts = what.facts, sections = sections })
end

local function facts(run, started, samples)
  local last = run:metrics()
  last = last[#last]
  return {
    { "encoder", run.recipe.model.encoder }, { "size", ("%d × %d"):format(run.recipe.size[1], run.recipe.size[2]) },
    { "training frames", tostring(samples) }, { "epochs", tostring(last and last.epoch or 0) },
    { "steps", tostring(last and last.step or 0) },
    { "time", ("%.0f min"):format((core.system.time() - started) / 60) },
    { "CPU", core.system.cpu().name }, { "threads", tostring(core.threads()) },
  }
end

-- ---- the two forms ----

-- Clips to measure on have seven frames and masks of the middle one, which has neighbours at every gap: intervals are
-- over clips, so many clips tell more than many frames of each.
local MEASURED_FRAMES, MASK_EVERY = 7, 6

-- options: clips, held (counts), minutes, size, changes (recipe texts), root.
local function generated(options, started)
  local world = require("cohesiv.data.world").world
  local recipe = recipes.load(recipes.experiment "quickstart", options.changes)
  local root, size = (os.getenv "COHESIV_CACHE" or "runs/cache") .. "/world", map_size(recipe)
  local function make(seed, clips, frames, mask_every)
    local out = ("%s/%dx%d-seed%d-%dx%d"):format(root, size[1], size[2], seed, clips, frames)
    return world { seed = seed, clips = clips, frames = frames, mask_every = mask_every, size = size, out = out,
      truth = { "person" } }
  end
  recipe.data = make(1, options.clips or 900, 9, 0)
  local held_clips = options.held or 600
  local calibration_path = make(2, math.max(1, held_clips // 4), MEASURED_FRAMES, MASK_EVERY)
  local held_path = make(3, held_clips, MEASURED_FRAMES, MASK_EVERY)
  local calibration, held = data_folders.data(calibration_path), data_folders.data(held_path)
  local thresholds_on = { data = calibration, names = calibration.annotated }
  local run = trained(recipe, { root = options.root, calibration = thresholds_on })
  local _ <close> = run:lock() -- until the report is there
  local m = recipe.maps
  local rows, results = table_rows(run, thresholds_on, held, held.annotated,
    { maps = { background = m.background, temperature = m.temperature, closeness = m.closeness,
      sharpen = m.sharpen } })
  local train_data = data_folders.data(recipe.data)
  return write_report(run, {
    title = "cohesiv quickstart: a generated world", rows = rows, results = results, data = held,
    lead = "Hands and what they hold, learned from video alone: no mask was seen in training.",
    text = {
      ("Trained on %d generated clips, thresholds from %d others, reported on %d held-out ones. COHESIV sees one image "
        .. "and a point; Thresholded responsibility and Flow see the video."):format(#train_data.clips,
        #calibration.annotated, #held.annotated),
      "Flow is estimated (dense inverse search). Person masks are the world's own; they stand for the person segmenter "
        .. "that the method takes for granted.",
    },
    facts = facts(run, started, run:status().samples or 0), train_data = train_data, train_names = train_data.clips,
  })
end

-- The anchor's way: thresholds chosen on all annotated frames.
local function on_all_frames(run, data)
  local summary = evaluation.full(run, data, { all = true, score = "difference", pair = "own" }).summary
  local cells = {}
  for _, task in ipairs(evaluate.tasks) do cells[task] = summary[task] or "–" end
  local anchors = {
    { "Labels as published (public Python pipeline)", "41", "32", "38", "14" },
    { "Labels sharpened (the same)", "53", "40", "45", "17" },
    { "Disc at the query (the same)", "36", "35", "53", "13" },
  }
  local rows = { { name = "COHESIV", note = "this run", main = true, cells = cells } }
  for _, a in ipairs(anchors) do
    rows[#rows + 1] = { name = a[1], cells = { All = a[2], Pair = a[3], Hand = a[4], Obj = a[5] } }
  end
  return {
    title = "Thresholds chosen on all annotated frames",
    text = "For comparison with figures measured that way; these are not held out.",
    table = { caption = "Mean IoU, per cent", columns = evaluate.tasks, rows = rows },
  }
end

-- Lone video files as a data folder: no masks, one clip a file. Fails at once when one has no landmarks.
local function lone_videos(paths)
  local files, names = {}, {}
  for i, path in ipairs(paths) do
    local clip = data_folders.clip(path)
    if not clip:has_hands() then clip:hands(0) end -- says what to give
    names[i], files[clip.name] = clip.name, path
    clip:close()
  end
  return {
    path = table.concat(paths, ", "), clips = names, annotated = {},
    clip = function(_, name) return data_folders.clip(files[name]) end,
    queries = function() return nil end,
  }
end

-- Without masks thresholds cannot be chosen: what is more object than person, and answers to the point.
local UNCALIBRATED = { object = { 0, 0.3 }, hand = { 0, 0.3 }, pair = { 0.5, 0.3 } }

local function unmeasured(run, data, what)
  local calibration = run:calibration()
  calibration.thresholds = UNCALIBRATED
  run:set_calibration(calibration)
  what.frames = {}
  for _, name in ipairs(data.clips) do
    local clip = data:clip(name)
    local frames = clip:has_hands() and require("cohesiv.train.labels").frames(clip, run.recipe) or {}
    if #frames > 0 then what.frames[#what.frames + 1] = { clip = name, n = frames[(#frames + 1) // 2] } end
    clip:close()
  end
  what.text[#what.text + 1] = "These clips have no masks: thresholds are not calibrated and nothing is measured."
  return write_report(run, what)
end

local function real(path, options, started)
  local data = path and data_folders.data(path) or lone_videos(options.videos)
  local recipe = recipes.load(recipes.experiment "quickstart_real", options.changes)
  recipe.data = data.path
  local weights = (path or ".") .. "/weights/mobilenet_v2_imagenet.safetensors"
  if recipe.model.encoder == "mobilenet_v2" and not recipe.model.encoder_weights and core.io.status(weights) then
    recipe.model.encoder_weights = weights
  end
  local run = trained(recipe, { root = options.root, data = data })
  local _ <close> = run:lock() -- until the report is there
  local calibrated, reported = evaluate.split(data)
  local what = {
    title = "cohesiv quickstart: real video", data = data, train_data = data, train_names = data.clips,
    lead = "Hands and what they hold, learned from video alone: no mask was seen in training.",
    facts = facts(run, started, run:status().samples or 0),
    text = {
      ("%d clips; thresholds from %d annotated clips, reported on the other %d."):format(#data.clips, #calibrated,
        #reported),
      "Person masks come from a simple colour model seeded with the landmarks: a stand-in for a person segmenter.",
    },
  }
  if #reported == 0 then return unmeasured(run, data, what) end
  local m = recipe.maps
  what.rows, what.results = table_rows(run, { data = data, names = calibrated }, data, reported,
    { maps = { gaps = m.gaps, background = m.background, temperature = m.temperature, closeness = m.closeness,
      sharpen = m.sharpen, fit = { robust = m.fit.robust } } })
  what.sections = { on_all_frames(run, data) }
  return write_report(run, what)
end

--- run{ data = PATH, videos = {…}, clips, held, root, changes = {"key=value"} } → the path of the report.
function M.run(options)
  local started = core.system.time()
  if options.data or #(options.videos or {}) > 0 then return real(options.data, options, started) end
  return generated(options, started)
end

return M
