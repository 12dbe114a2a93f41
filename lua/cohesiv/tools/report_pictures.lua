--- Pictures of reports, as strips of report.lua: maps of clips; everything about one query of one frame; the same
-- frames answered by several runs; failures by their kind. JPEG at about the size at which the page shows them.
--
-- `of` says who answers: run, system, thresholds, data, measured (whether there is truth).
local core = require "cohesiv.core"
local tensor = require "cohesiv.tensor"
local lists = require "cohesiv.base.lists"
local map_options, scale = require "cohesiv.motion.map_options", require "cohesiv.motion.scale"
local evaluate, metrics = require "cohesiv.hands.evaluate", require "cohesiv.hands.metrics"
local predict = require "cohesiv.hands.predict"
local labels = require "cohesiv.train.labels"
local panel, viz = require "cohesiv.tools.panel", require "cohesiv.tools.viz"
local failures = require "cohesiv.tools.report_failures"
local M = {}

local WIDTH, WIDE = 240, 1000 -- pixels of a picture in a strip, and of one that has a row for itself
local QUALITY = 82

-- A picture as the bytes of a JPEG, at most so wide; masks keep their colours.
local function jpeg(picture, width)
  local w = math.min(width, picture.shape[2])
  local small = scale.content(picture, scale.of(picture.shape[2], picture.shape[1], { w, 8 * w }))
  return core.io.jpeg_bytes(small:contiguous(), QUALITY)
end

--- at_middle_frame(data, name, recipe, f): f(clip, n) for the middle one of the frames of a clip that are trained on,
-- where there is one.
function M.at_middle_frame(data, name, recipe, f)
  local clip = data:clip(name)
  local frames = clip:has_hands() and labels.frames(clip, recipe) or {}
  local n = frames[(#frames + 1) // 2]
  if n then f(clip, n) end
  clip:close()
end

--- maps(run, data, count): maps of `count` clips, evenly spread.
function M.maps(run, data, count)
  local items, names, recipe = {}, data.clips, run.recipe
  for i = 1, math.min(count, #names) do
    local name = names[(2 * i - 1) * #names // (2 * count) + 1] or names[i]
    M.at_middle_frame(data, name, recipe, function(clip, n)
      tensor.tidy(function()
        local R = clip:responsibility(n, map_options.of_recipe(recipe))
        local picture = panel.responsibility(R, clip:scaled(n, { size = R.size }))
        items[#items + 1] = { image = jpeg(picture, WIDE), caption = ("%s, frame %d"):format(clip.name, n) }
      end)
    end)
  end
  return #items > 0 and { { columns = 1, items = items } } or {}
end

local TASKS = lists.set(evaluate.tasks)

-- A map of the scaled frame, of a network's stride, as the frame is in it: without padding, at its size.
local function content_of(map, sc, of)
  local s = sc.s / of.scale
  return core.io.resample(map, s, s, sc.content_w, sc.content_h, sc.content_w, sc.content_h)
end

-- The map that the video gives of the hand at a query, as the frame is; nil where its hand was not found, or there is
-- one frame only.
local function map_at(of, clip, frame, q)
  local k = clip.frames > 1 and clip:has_hands() and evaluate.detected(clip, frame)[q]
  if not k then return nil end
  local recipe = of.run.recipe
  local R = clip:responsibility(frame.n, map_options.of_recipe(recipe, recipe.device))
  local map = map_options.map(recipe, R, clip, frame.n):select(3, k):to "cpu"
  return metrics.resize(map:contiguous(), clip.width, clip.height)
end

local function map_picture(of, clip, frame, q)
  local map = map_at(of, clip, frame, q)
  if not map then return { caption = "no map: hand not found in the video" } end
  return { image = jpeg(viz.viridis(map, { low = 0, high = 1 }), WIDTH), caption = "map of the video" }
end

-- The pictures of a query: query (the image with the point), map (where it is wanted), embedding, attention (of a
-- network), answer, all, truth.
local function pictures_of(of, clip, frame, q, mapped)
  local system, size = of.system, of.run.recipe.size
  local sc = clip:scale(size)
  local image = clip:scaled(frame.n, { size = size, padded = false })
  local query, out = frame.queries[q], {}
  local function add(name, picture, caption) out[name] = { image = jpeg(picture, WIDTH), caption = caption } end
  add("query", viz.points(image, { { (query[1] + 0.5) * sc.s - 0.5, (query[2] + 0.5) * sc.s - 0.5 } },
    { radius = math.max(3, sc.content_w / 90) }), "image and query")
  if mapped then out.map = map_picture(of, clip, frame, q) end
  if system.model then
    local found = predict.maps(system.model, clip:frame(frame.n), { query },
      { size = size, attention_only = not system.goals.object })
    add("embedding", content_of(viz.pca(found.Z), sc, found), "embedding (PCA)")
    add("attention", viz.viridis(content_of(found.attention[1], sc, found), { low = 0, high = 1 }), "attention")
  end
  local truth = of.measured and evaluate.truth(of.data, frame)
  local masks = evaluate.masks(system, of.ask(frame), of.thresholds, frame,
    truth or { width = clip.width, height = clip.height })
  local function overlay(hand, object, both)
    local function scaled(mask) return mask and scale.content(mask, sc) end
    return viz.overlay(image, (hand or object) and { hand = scaled(hand), object = scaled(object) } or scaled(both))
  end
  add("answer", overlay(masks.Hand and masks.Hand[q], masks.Obj and masks.Obj[q], masks.Pair[q]), "answer")
  add("all", overlay(nil, nil, masks.All or metrics.union(masks.Pair)), "all answers")
  if truth then add("truth", overlay(truth.hand[q], truth.object[q]), "truth") end
  return out
end

-- f(clip) of a frame's clip, tidied; what it returns must be no tensors. What the system answers outlives it.
local function with_clip(of, frame, f)
  of.ask(frame)
  local clip = of.data:clip(frame.clip)
  local result = table.pack(tensor.tidy(f, clip))
  clip:close()
  return table.unpack(result, 1, result.n)
end

local ORDER = { "query", "map", "embedding", "attention", "answer", "all", "truth" }

-- A strip of all pictures of a query.
local function strip_of(frame, q, pictures, title, text)
  local items = lists.map(ORDER, function(name) return pictures[name] end)
  local at = {}
  for i, item in ipairs(items) do at[item] = i end
  if pictures.truth then pictures.answer.with = at[pictures.truth] end
  return { title = title or ("%s, frame %d, hand %d"):format(frame.clip, frame.n, q), columns = #items, items = items,
    text = text }
end

local function frame_of(of, row)
  of.frames = of.frames or {} -- by clip
  of.frames[row.clip] = of.frames[row.clip] or evaluate.frames(of.data, { row.clip })
  for _, frame in ipairs(of.frames[row.clip]) do
    if frame.n == row.n then return frame end
  end
end

-- "Pair 53, Hand 60, Obj 12" of the rows of a query.
local function figures_of(rows, row)
  return table.concat(lists.map(rows, function(other)
    local same = other.clip == row.clip and other.n == row.n and other.q == row.q
    return same and TASKS[other.task] and ("%s %.0f"):format(other.task, 100 * other.iou)
  end), ", ")
end

--- measured(of, rows, row): the strip of a row of Pair.
function M.measured(of, rows, row)
  local frame = frame_of(of, row)
  local pictures = with_clip(of, frame, function(clip) return pictures_of(of, clip, frame, row.q, true) end)
  return strip_of(frame, row.q, pictures, nil, "IoU: " .. figures_of(rows, row))
end

--- unmeasured(of, name): the strip of the first hand of a clip's middle frame; nil where there is none.
function M.unmeasured(of, name)
  local strip
  M.at_middle_frame(of.data, name, of.run.recipe, function(clip, n)
    local queries = lists.map(clip:hands(n), function(hand) return hand.vertices:mean(1):totable() end)
    local frame = { clip = name, n = n, queries = queries, width = clip.width, height = clip.height }
    local pictures = with_clip(of, frame, function(own) return pictures_of(of, own, frame, 1, true) end)
    strip = strip_of(frame, 1, pictures)
  end)
  return strip
end

--- answers(of, rows, list, mapped): of every row of a list its pictures and figures, for `side_by_side`, which shows
-- the map of the first run alone.
function M.answers(of, rows, list, mapped)
  return lists.map(list, function(row)
    local frame = frame_of(of, row)
    return { pictures = with_clip(of, frame, function(clip) return pictures_of(of, clip, frame, row.q, mapped) end),
      text = figures_of(rows, row) }
  end)
end

--- side_by_side(row, answers): one query answered by several runs: { name, pictures, text } of each. An answer that is
-- pointed at shows the first run's, and the first run's the truth.
function M.side_by_side(row, answers)
  local items, first = {}, answers[1].pictures
  local function add(item, caption, with)
    items[#items + 1] = { image = item and item.image, caption = caption, with = item and with }
    return #items
  end
  add(first.query, "image and query")
  local truth = add(first.truth, "truth")
  add(first.map, first.map.caption)
  add(nil, "")
  local before_answer, before_all
  for i, answer in ipairs(answers) do
    local p = answer.pictures
    add(p.embedding, p.embedding and answer.name .. ": embedding (PCA)" or answer.name)
    add(p.attention, p.attention and "attention" or "")
    local caption = ("%s: %s"):format(answer.name, answer.text)
    local at = add(p.answer, caption, i == 1 and truth or before_answer)
    local all = add(p.all, answer.name .. ": all answers", i > 1 and before_all or nil)
    if i == 1 then before_answer, before_all = at, all end
  end
  return { title = ("%s, frame %d, hand %d"):format(row.clip, row.n, row.q), columns = 4, items = items }
end

--- failures(of, rows, most, shown, name): looks at the worst answers, at most `most`: → how many of each kind there
-- are, how many were looked at and how many there are; strips are added to shown[kind] while it has fewer than two.
function M.failures(of, rows, most, shown, name)
  local list, all = failures.candidates(rows, most)
  local counts = {}
  for _, row in ipairs(list) do
    local frame = frame_of(of, row)
    local pictures, kind = with_clip(of, frame, function(clip)
      local truth = evaluate.truth(of.data, frame)
      local masks = evaluate.masks(of.system, of.ask(frame), of.thresholds, frame, truth)
      local kind = failures.kind(masks, truth, row.q, { picture = clip:frame(frame.n),
        moving = function() return map_at(of, clip, frame, row.q) end })
      shown[kind] = shown[kind] or {}
      return #shown[kind] < 2 and pictures_of(of, clip, frame, row.q, true) or nil, kind
    end)
    counts[kind] = (counts[kind] or 0) + 1
    if pictures then
      table.insert(shown[kind], strip_of(frame, row.q, pictures, ("%s: %s, frame %d, hand %d%s"):format(kind, row.clip,
        row.n, row.q, name and " (" .. name .. ")" or ""), "IoU: " .. figures_of(rows, row)))
    end
  end
  return counts, #list, all
end

return M
