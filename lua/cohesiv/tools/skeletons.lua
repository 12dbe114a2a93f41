--- Hands drawn over a picture: the bones between 21 landmarks, left ones and right ones in their colours; of hands with
-- other vertices the vertices.
local core = require "cohesiv.core"

local COLORS = { left = { 30, 160, 255 }, right = { 255, 120, 20 } }
local OTHER = { 230, 60, 220 } -- of hands that say no side
local BONES, LANDMARKS = core.picture.bones()

-- Strokes { x0, y0, x1, y1, … } along the bones.
local function bones(points)
  local list = {}
  for _, bone in ipairs(BONES) do
    local from, to = points[bone[1]], points[bone[2]]
    table.move({ from[1], from[2], to[1], to[2] }, 1, 4, #list + 1, list)
  end
  return list
end

local function dots(points)
  local list = {}
  for _, p in ipairs(points) do table.move({ p[1], p[2], p[1], p[2] }, 1, 4, #list + 1, list) end
  return list
end

--- draw(picture, hands): the picture, uint8 H×W×3, with hands as clip:hands gives them over it.
local function draw(picture, hands)
  local thick = math.max(1, picture.shape[2] / 500)
  for _, hand in ipairs(hands) do
    local points, color = hand.vertices:totable(), COLORS[hand.side] or OTHER
    local whole = #points == LANDMARKS
    if whole then picture = core.strokes(picture, bones(points), thick, table.unpack(color)) end
    picture = core.strokes(picture, dots(points), whole and 2 * thick or thick, table.unpack(color))
  end
  return picture
end

return { draw = draw }
