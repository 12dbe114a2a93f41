--- The turned squares in which a hand is looked at: from a palm, or from the landmarks of the frame before, as in
-- MediaPipe's published graphs. A region is { x, y, width, height, angle }: centre and sides in pixels, and the angle
-- (radians) by which it is turned so that the fingers point up in it.
local M = {}

-- Larger and moved along its own axes: `up` is a share of the height.
local function enlarged(region, scale, up)
  local long = math.max(region.width, region.height) * scale
  return { x = region.x + region.height * up * math.sin(region.angle),
    y = region.y - region.height * up * math.cos(region.angle), width = long, height = long, angle = region.angle }
end

-- The angle of what points from (x0, y0) to (x1, y1), 0 when it points up.
local function angle_of(x0, y0, x1, y1)
  local angle = math.pi / 2 - math.atan(y0 - y1, x1 - x0)
  return angle - 2 * math.pi * math.floor((angle + math.pi) / (2 * math.pi))
end

--- of_palm(palm): around the whole hand; it is turned as from the wrist to the middle finger's first joint.
function M.of_palm(palm)
  local p = palm.points
  return enlarged({ x = (palm.x0 + palm.x1) / 2, y = (palm.y0 + palm.y1) / 2, width = palm.x1 - palm.x0,
    height = palm.y1 - palm.y0, angle = angle_of(p[1], p[2], p[5], p[6]) }, 2.6, 0.5)
end

-- Landmarks that move little within a hand: the wrist, the thumb's, and of each finger the first two (from 1).
local STEADY = { 1, 2, 3, 4, 6, 7, 10, 11, 14, 15, 18, 19 }
local WRIST, INDEX, MIDDLE, RING = 1, 6, 10, 14

--- of_landmarks(points): the same around a hand whose 21 landmarks { {x, y}, … } are known, for the next frame.
function M.of_landmarks(points)
  local x = ((points[INDEX][1] + points[RING][1]) / 2 + points[MIDDLE][1]) / 2
  local y = ((points[INDEX][2] + points[RING][2]) / 2 + points[MIDDLE][2]) / 2
  local angle = angle_of(points[WRIST][1], points[WRIST][2], x, y)
  local c, s = math.cos(angle), math.sin(angle)
  local u0, v0, u1, v1 = math.huge, math.huge, -math.huge, -math.huge -- bounds along the turned axes
  for _, i in ipairs(STEADY) do
    local u, v = points[i][1] * c + points[i][2] * s, points[i][2] * c - points[i][1] * s
    u0, v0, u1, v1 = math.min(u0, u), math.min(v0, v), math.max(u1, u), math.max(v1, v)
  end
  local u, v = (u0 + u1) / 2, (v0 + v1) / 2
  return enlarged({ x = u * c - v * s, y = u * s + v * c, width = u1 - u0, height = v1 - v0, angle = angle }, 2, 0.1)
end

--- box(region): its sides as if it were not turned: { x0, y0, x1, y1 } by name.
function M.box(region)
  local w, h = region.width / 2, region.height / 2
  return { x0 = region.x - w, y0 = region.y - h, x1 = region.x + w, y1 = region.y + h }
end

--- point(region, u, v): the pixel at shares u, v of a region.
function M.point(region, u, v)
  local c, s = math.cos(region.angle), math.sin(region.angle)
  local x, y = (u - 0.5) * region.width, (v - 0.5) * region.height
  return region.x + x * c - y * s, region.y + x * s + y * c
end

return M
