--- Palms in a picture, by MediaPipe's palm detector (Zhang et al., "MediaPipe Hands", 2020; the published graph's
-- parameters): a single-shot detector on 192×192, whose overlapping answers are averaged (Bazarevsky et al.,
-- "BlazeFace", 2019). A palm is { score, x0, y0, x1, y1, points = { x, y, … of 7 } } in the picture's pixels.
local core = require "cohesiv.core"
local M = {}

local SIDE = 192
local LAYERS = { { 24, 2 }, { 12, 6 } } -- cells along a side, answers in each
local OVERLAP = 0.3 -- above it two answers are of one palm
local POINTS = 7

-- Centres of all answers, as shares of the side.
local function anchors()
  local xs, ys = {}, {}
  for _, layer in ipairs(LAYERS) do
    local cells, each = table.unpack(layer)
    for i = 0, cells * cells - 1 do
      for _ = 1, each do
        xs[#xs + 1], ys[#ys + 1] = (i % cells + 0.5) / cells, (i // cells + 0.5) / cells
      end
    end
  end
  return xs, ys
end

local anchor_x, anchor_y = anchors()

--- overlap(a, b): the area that two boxes share, over that of both together.
function M.overlap(a, b)
  local w, h = math.min(a.x1, b.x1) - math.max(a.x0, b.x0), math.min(a.y1, b.y1) - math.max(a.y0, b.y0)
  if w <= 0 or h <= 0 then return 0 end
  local union = (a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - w * h
  return union > 0 and w * h / union or 0
end

-- The answers of at least `threshold`, the best first.
local function decode(regressions, scores, threshold, place)
  local palms, logit = {}, math.log(threshold / (1 - threshold))
  for i, value in ipairs(scores:reshape(-1):totable()) do
    if value >= logit then
      local r = regressions[1][i]:totable()
      local x, y = r[1] / SIDE + anchor_x[i], r[2] / SIDE + anchor_y[i]
      local w, h = r[3] / SIDE / 2, r[4] / SIDE / 2
      local palm = { score = 1 / (1 + math.exp(-math.min(value, 100))), points = {} }
      palm.x0, palm.y0 = place(x - w, y - h)
      palm.x1, palm.y1 = place(x + w, y + h)
      for k = 0, POINTS - 1 do
        palm.points[2 * k + 1], palm.points[2 * k + 2] = place(r[5 + 2 * k] / SIDE + anchor_x[i],
          r[6 + 2 * k] / SIDE + anchor_y[i])
      end
      palms[#palms + 1] = palm
    end
  end
  table.sort(palms, function(a, b) return a.score > b.score end)
  return palms
end

-- The mean of answers that are of one palm, by their scores; the score is the best one's.
local function average(group)
  local total, mean = 0, { score = group[1].score, x0 = 0, y0 = 0, x1 = 0, y1 = 0, points = {} }
  for _, palm in ipairs(group) do total = total + palm.score end
  for _, palm in ipairs(group) do
    local share = palm.score / total
    for _, key in ipairs { "x0", "y0", "x1", "y1" } do mean[key] = mean[key] + share * palm[key] end
    for k, value in ipairs(palm.points) do mean.points[k] = (mean.points[k] or 0) + share * value end
  end
  return mean
end

local function suppress(palms)
  local kept = {}
  while #palms > 0 do
    local group, rest, best = {}, {}, palms[1]
    for _, palm in ipairs(palms) do
      table.insert((palm == best or M.overlap(palm, best) > OVERLAP) and group or rest, palm)
    end
    kept[#kept + 1] = average(group)
    palms = rest
  end
  return kept
end

--- detect(network, image, threshold): the palms of an image uint8 H×W×3, the best first.
function M.detect(network, image, threshold)
  local h, w = image.shape[1], image.shape[2]
  local side = math.max(h, w) -- the picture lies in the middle of a black square
  local crop = core.crop(image, { x = w / 2, y = h / 2, width = side, height = side, angle = 0 }, SIDE, SIDE, false)
  local regressions, scores = network(crop)
  local left, top = (w - side) / 2, (h - side) / 2
  return suppress(decode(regressions, scores, threshold, function(x, y) return left + x * side, top + y * side end))
end

return M
