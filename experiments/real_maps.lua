--- Maps of real clips without a network: how much of hand and held object a threshold on R finds, for the ways of
-- making maps that the method compares, and how comparable the levels of different frames are.
--
-- usage: cohesiv experiments/real_maps.lua [--flow METHOD] [DATA] [PATTERN]   (default: auto, $COHESIV_DATA, every row)
--
-- IoU of thresholded R_k with hand ∪ object (experiments/maps/queries.lua says of which queries), per cent, with 95 %
-- intervals over clips. `one`: one threshold for all queries of a row, the best one; in brackets clips with a moving
-- and with a static camera; `each`: the best threshold for every frame, and how much one for all loses against it;
-- `score`: the rank correlation of R.quality's score with the IoU at the one threshold, and its interval.
-- PATTERN: only rows whose name has it.
local co = require "cohesiv"
local metrics = require "cohesiv.hands.metrics"
local queries = require "experiments.maps.queries"

local thresholds = {}
for i = 1, 97 do thresholds[i] = 0.01 + i / 100 end

-- Options of clip:responsibility from differences.
local function options(...)
  local o = {}
  for _, part in ipairs { ... } do
    for key, value in pairs(part) do o[key] = value end
  end
  return o
end

local fitted = { gaps = "motion", background = "homography", temperature = 1 }

-- The rows of the table: how each is made.
local rows = {
  { "static background, gaps ±1..3, T = 2", {} },
  { "background homography, T = 2", { background = "homography" } },
  { "the same, T = 1", { background = "homography", temperature = 1 } },
  { "the same, T = 0.5", { background = "homography", temperature = 0.5 } },
  { "gaps by motion, T = 1", fitted },
  { "the same, closeness 4", options(fitted, { closeness = 4 }) },
  { "the same, levels set by the least cut", options(fitted, { closeness = 4, sharpen = "level" }) },
  { "the same, sharpened by a random walker", options(fitted, { closeness = 4, sharpen = "walker" }) },
  { "the same, sharpened by the least cut", options(fitted, { closeness = 4, sharpen = "cut" }) },
  { "closeness 4, epipolar", options(fitted, { closeness = 4, background = "epipolar" }) },
  { "closeness 4, auto", options(fitted, { closeness = 4, background = "auto" }) },
  { "closeness 4, auto, sharpened by the least cut", options(fitted, { closeness = 4, background = "auto",
    sharpen = "cut" }) },
  { "gaps by motion, robust hand fit, T = 1", options(fitted, { fit = { robust = true } }) },
}

local method
if arg[1] == "--flow" then
  method = arg[2]
  table.move(arg, 3, #arg + 2, 1)
end

-- Adds the IoU of each query at each threshold to a row's frames.
local function measure(frame, o, results)
  local R = frame.clip:responsibility(frame.n, options(o, { size = frame.size, flow = method }))
  local list = {}
  for i, q in ipairs(frame.queries) do
    local map = R.map:select(3, q.hand)
    list[i] = metrics.table(map, nil, q.truth, q.ignore, thresholds):reshape(#thresholds):totable()
  end
  local scores = {}
  for i, q in ipairs(frame.queries) do scores[i] = R.quality[q.hand].score end
  table.insert(results, { clip = frame.clip.name, moving = frame.moving, iou = list, scores = scores })
end

-- Mean and interval of what value(frame) says of some frames: a list of IoUs.
local function summary(frames, value)
  local place, sums, counts = {}, {}, {}
  for _, frame in ipairs(frames) do
    local i = place[frame.clip] or #sums + 1
    place[frame.clip], sums[i], counts[i] = i, sums[i] or 0, counts[i] or 0
    for _, iou in ipairs(value(frame) or {}) do sums[i], counts[i] = sums[i] + iou, counts[i] + 1 end
  end
  local total, n = 0, 0
  for i = 1, #sums do total, n = total + sums[i], n + counts[i] end
  if n == 0 then return { mean = 0, low = 0, high = 0 } end
  local low, high = metrics.interval(sums, counts)
  return { mean = 100 * total / n, low = 100 * low, high = 100 * high }
end

local function at(t)
  return function(frame)
    local list = {}
    for i, iou in ipairs(frame.iou) do list[i] = iou[t] end
    return list
  end
end

local function best(mean)
  local most, chosen = -1, 1
  for t in ipairs(thresholds) do
    local value = mean(t)
    if value > most then most, chosen = value, t end
  end
  return chosen
end

local function mean_of(frames, t)
  local sum, n = 0, 0
  for _, frame in ipairs(frames) do
    for _, iou in ipairs(frame.iou) do sum, n = sum + iou[t], n + 1 end
  end
  return sum / math.max(n, 1)
end

-- At every frame's own best threshold.
local function own(frame) return at(best(function(t) return mean_of({ frame }, t) end))(frame) end

-- Ranks of a list's values, those of equal ones averaged.
local function ranks(list)
  local order, out = {}, {}
  for i in ipairs(list) do order[i] = i end
  table.sort(order, function(a, b) return list[a] < list[b] end)
  local i = 1
  while i <= #order do
    local j = i
    while j < #order and list[order[j + 1]] == list[order[i]] do j = j + 1 end
    for l = i, j do out[order[l]] = (i + j) / 2 end
    i = j + 1
  end
  return out
end

-- Pearson's correlation of the ranks (Spearman); 0 where one list is constant.
local function rank_correlation(a, b)
  local x, y, middle = ranks(a), ranks(b), (#a + 1) / 2
  local xy, xx, yy = 0, 0, 0
  for i in ipairs(x) do
    local u, v = x[i] - middle, y[i] - middle
    xy, xx, yy = xy + u * v, xx + u * u, yy + v * v
  end
  return xx * yy > 0 and xy / math.sqrt(xx * yy) or 0
end

local DRAWS = 2000

-- How R.quality's score ranks maps by their IoU at one threshold: the correlation and its 95 % interval, clips drawn
-- with replacement (seed 0).
local function ranking(frames, t)
  local clips, place = {}, {}
  for _, frame in ipairs(frames) do
    local i = place[frame.clip] or #clips + 1
    place[frame.clip], clips[i] = i, clips[i] or {}
    for q, iou in ipairs(frame.iou) do table.insert(clips[i], { iou[t], frame.scores[q] }) end
  end
  local function of(chosen)
    local a, b = {}, {}
    for _, i in ipairs(chosen) do
      for _, pair in ipairs(clips[i]) do a[#a + 1], b[#b + 1] = pair[1], pair[2] end
    end
    return rank_correlation(a, b)
  end
  local every, draws = {}, {}
  for i in ipairs(clips) do every[i] = i end
  math.randomseed(0, 0)
  for draw = 1, DRAWS do
    local chosen = {}
    for i in ipairs(clips) do chosen[i] = math.random(#clips) end
    draws[draw] = of(chosen)
  end
  table.sort(draws)
  return of(every), draws[DRAWS // 40], draws[DRAWS - DRAWS // 40]
end

local function report(name, frames)
  local t = best(function(i) return mean_of(frames, i) end)
  local one, each = summary(frames, at(t)), summary(frames, own)
  local moving = summary(frames, function(f) return f.moving and at(t)(f) end)
  local static = summary(frames, function(f) return not f.moving and at(t)(f) end)
  print(("%-44s %5.1f (%.1f–%.1f)  %5.1f  %5.1f  %.2f   %5.1f (%.1f–%.1f)  %4.1f   %.2f (%.2f–%.2f)"):format(name,
    one.mean, one.low, one.high, moving.mean, static.mean, thresholds[t], each.mean, each.low, each.high,
    each.mean - one.mean, ranking(frames, t)))
end

local path = arg[1] or os.getenv "COHESIV_DATA"
if not path then error("real_maps: expected a data folder as argument or in COHESIV_DATA, found none", 0) end
local chosen, results = {}, {}
for _, row in ipairs(rows) do
  if row[1]:find(arg[2] or "", 1, true) then
    chosen[#chosen + 1] = row
    results[#chosen] = {}
  end
end
local found, asked = queries.each(co.data(path), function(frame)
  for i, row in ipairs(chosen) do co.tidy(measure, frame, row[2], results[i]) end
end)
print(("%d of %d queries have a detection"):format(found, asked))
print(("%-44s %-18s %s  %s  %s   %-18s %s   %s"):format("maps", "  one", "moving", "static", "at", " each", "lost",
  "score"))
for i, row in ipairs(chosen) do report(row[1], results[i]) end
