--- Hand-drawn masks for measuring maps: the annotated queries of a data folder whose hand was detected, at the maps'
-- size. A query's detection is the hand with the largest share of landmarks within the hand mask grown by 4 pixels, at
-- least 60 %; queries without one are left out. Truth is hand ∪ object; arm pixels outside of it are ignored.
local co = require "cohesiv"
local metrics = require "cohesiv.hands.metrics"
local scale = require "cohesiv.motion.scale"

local LONG, GROWN, SHARE = 480, 4, 0.6
local moving_cameras = { "^epic_", "^hoi4d_", "^ph2d_" } -- egocentric, as the data folder's README says

local M = {}

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

--- found(clip, masks, n, sc): { hand, truth, ignore } of every query of frame n that has a detection.
function M.found(clip, masks, n, sc)
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

--- size(clip): { width, height } of its maps: the long side 480 pixels, no padding.
function M.size(clip)
  local long = math.max(clip.width, clip.height)
  local function side(length) return math.floor(length * LONG / long + 0.5) end
  return { side(clip.width), side(clip.height) }
end

--- each(data, visit): calls visit{ clip, n, size, moving, queries } for every annotated frame with a query that was
-- detected; returns how many queries were detected and how many there are.
function M.each(data, visit)
  local asked, found = 0, 0
  for _, name in ipairs(data.annotated) do
    local clip, moving = data:clip(name), false
    for _, pattern in ipairs(moving_cameras) do moving = moving or name:find(pattern) ~= nil end
    for _, frame in ipairs(data:queries(name)) do
      asked = asked + #frame.queries
      co.tidy(function()
        local size = M.size(clip)
        local queries = M.found(clip, data:masks(name, frame.n), frame.n, scale.of(clip.width, clip.height, size))
        found = found + #queries
        if #queries > 0 then
          visit { clip = clip, n = frame.n, size = size, moving = moving, queries = queries }
        end
      end)
    end
    clip:close()
    io.stderr:write(("\r%s: %d of %d queries detected\27[K"):format(name, found, asked))
  end
  io.stderr:write "\n"
  return found, asked
end

return M
