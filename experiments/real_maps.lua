--- Maps of real clips without a network: how much of hand and held object a threshold on R finds, for the ways of
-- making maps that the method compares.
--
-- usage: cohesiv experiments/real_maps.lua [DATA]          (default: $COHESIV_DATA)
--
-- For every query of the annotated frames: its detection is the one with the largest share of landmarks within the
-- hand mask grown by 4 pixels, at least 60 %; queries without one are left out. Pictures, flow and maps have a long
-- side of 480 pixels; IoU with hand ∪ object there, arm pixels outside the truth ignored; one threshold for all
-- queries of a row, the best one. In brackets: clips with a moving and with a static camera.
local co = require "cohesiv"
local metrics = require "cohesiv.hands.metrics"
local scale = require "cohesiv.motion.scale"

local LONG, GROWN, SHARE = 480, 4, 0.6
local moving_cameras = { "^epic_", "^hoi4d_", "^ph2d_" } -- egocentric, as the data folder's README says

local thresholds = {}
for i = 1, 97 do thresholds[i] = 0.01 + i / 100 end

-- The rows of the table: how each is made from the clip, or from the R of another row.
local rows = {
  { name = "static background, gaps ±1..3, T = 2", make = function(clip, n, size)
    return clip:responsibility(n, { size = size })
  end },
  { name = "background homography, T = 2", from = 1, change = { background = "homography" } },
  { name = "the same, T = 1", from = 2, change = { temperature = 1 } },
  { name = "the same, T = 0.5", from = 2, change = { temperature = 0.5 } },
  { name = "gaps by motion, T = 1", make = function(clip, n, size)
    return clip:responsibility(n, { size = size, gaps = "motion", background = "homography", temperature = 1 })
  end },
  { name = "the same, closeness 2", from = 5, change = { closeness = 2 } },
  { name = "the same, sharpened", make = function(clip, n, size)
    return clip:responsibility(n, { size = size, gaps = "motion", background = "homography", temperature = 1,
      closeness = 2, sharpen = true })
  end },
  { name = "gaps by motion, robust hand fit, T = 1", make = function(clip, n, size)
    return clip:responsibility(n, { size = size, gaps = "motion", background = "homography", temperature = 1,
      fit = { robust = true } })
  end },
}

-- Whether a pixel of the mask is at most GROWN pixels away from (x, y).
local function near(mask, x, y)
  local height, width = mask.shape[1], mask.shape[2]
  local column, row = math.floor(x + 0.5) + 1, math.floor(y + 0.5) + 1
  if column < 1 or column > width or row < 1 or row > height then return false end
  local x0, y0 = math.max(1, column - GROWN), math.max(1, row - GROWN)
  local part = mask[{ { y0, math.min(height, row + GROWN) }, { x0, math.min(width, column + GROWN) } }]:totable()
  for j, line in ipairs(part) do
    for i, value in ipairs(line) do
      local dx, dy = x0 + i - 1 - column, y0 + j - 1 - row
      if value > 0 and dx * dx + dy * dy <= GROWN * GROWN then return true end
    end
  end
  return false
end

local function detection(hands, mask)
  local best, most = nil, SHARE
  for k, hand in ipairs(hands) do
    local points, inside = hand.vertices:totable(), 0
    for _, p in ipairs(points) do
      if near(mask, p[1], p[2]) then inside = inside + 1 end
    end
    if inside / #points >= most and (not best or inside / #points > most) then best, most = k, inside / #points end
  end
  return best
end

-- { detection, truth, ignore } of every query that has a detection, masks at the maps' size.
local function found_queries(clip, masks, n, sc)
  local list, hands = {}, clip:hands(n)
  local arms = #masks.hand > 0 and next(masks.arm) and metrics.union((function()
    local given = {}
    for q = 1, #masks.hand do given[#given + 1] = masks.arm[q] end
    return given
  end)())
  for q, hand in ipairs(masks.hand) do
    local k = detection(hands, hand)
    if k then
      local truth = scale.content(masks.object[q] and metrics.union { hand, masks.object[q] } or hand, sc)
      local ignore = arms and co.gt(scale.content(arms, sc):to "float32", truth:to "float32"):to "uint8"
      list[#list + 1] = { hand = k, truth = truth, ignore = ignore or nil }
    end
  end
  return list
end

-- Adds to every row the IoU of each query at each threshold.
local function measure(clip, masks, n, moving, results)
  local long = math.max(clip.width, clip.height)
  local function side(length) return math.floor(length * LONG / long + 0.5) end
  local size = { side(clip.width), side(clip.height) }
  local queries = found_queries(clip, masks, n, scale.of(clip.width, clip.height, size))
  if #queries == 0 then return 0 end
  local made = {}
  for i, row in ipairs(rows) do
    made[i] = row.make and row.make(clip, n, size) or made[row.from]:with(row.change)
    for _, q in ipairs(queries) do
      local map = made[i].map:select(3, q.hand)
      local iou = metrics.table(map, nil, q.truth, q.ignore, thresholds):reshape(#thresholds):totable()
      table.insert(results[i], { iou = iou, moving = moving })
    end
  end
  return #queries
end

local function mean(list, t, keep)
  local sum, count = 0, 0
  for _, query in ipairs(list) do
    if keep(query) then sum, count = sum + query.iou[t], count + 1 end
  end
  return count > 0 and 100 * sum / count or 0
end

local function everyone() return true end

local function report(results)
  print(("%-42s %5s  %6s  %6s  %s"):format("maps", "all", "moving", "static", "threshold"))
  for i, row in ipairs(rows) do
    local best, at = -1, 1
    for t in ipairs(thresholds) do
      local m = mean(results[i], t, everyone)
      if m > best then best, at = m, t end
    end
    print(("%-42s %5.1f (%5.1f, %5.1f)  %.2f"):format(row.name, best, mean(results[i], at, function(q)
      return q.moving
    end), mean(results[i], at, function(q) return not q.moving end), thresholds[at]))
  end
end

local path = arg[1] or os.getenv "COHESIV_DATA"
if not path then error("real_maps: expected a data folder as argument or in COHESIV_DATA, found none", 0) end
local data, results, asked, found = co.data(path), {}, 0, 0
for i in ipairs(rows) do results[i] = {} end
for _, name in ipairs(data.annotated) do
  local clip, moving = data:clip(name), false
  for _, pattern in ipairs(moving_cameras) do moving = moving or name:find(pattern) ~= nil end
  for _, frame in ipairs(data:queries(name)) do
    asked = asked + #frame.queries
    found = found + co.tidy(measure, clip, data:masks(name, frame.n), frame.n, moving, results)
  end
  clip:close()
  io.stderr:write(("\r%s: %d of %d queries detected\27[K"):format(name, found, asked))
end
io.stderr:write "\n"
print(("%d of %d queries have a detection"):format(found, asked))
report(results)
