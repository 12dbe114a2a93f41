-- A made-up scene for specs of maps: two discs that move by homographies of their own, a hand on each.
local co = require "cohesiv"

local f64 = { dtype = "float64" }

-- A flow of W×H pixels: motion(x, y) → dx, dy.
local function flow_of(W, H, motion)
  local rows = {}
  for y = 0, H - 1 do
    local row = {}
    for x = 0, W - 1 do row[x + 1] = { motion(x, y) } end
    rows[y + 1] = row
  end
  return co.tensor(rows)
end

local function by_matrix(m, x, y)
  local w = m[3][1] * x + m[3][2] * y + m[3][3]
  return (m[1][1] * x + m[1][2] * y + m[1][3]) / w - x, (m[2][1] * x + m[2][2] * y + m[2][3]) / w - y
end

-- 21 vertices within a box
local function hand_at(x, y, size, seed)
  co.seed(seed or 1)
  return co.rand(21, 2, f64) * size + co.tensor({ x, y }, f64)
end

-- Two hands on discs that move by their own homographies, over a camera that moves by a third.
local W, H = 96, 64
local discs = { { 28, 30, 16, { { 1.02, 0.01, 3 }, { -0.02, 0.99, -4 }, { 1e-4, 0, 1 } } },
  { 68, 32, 14, { { 0.98, 0, -5 }, { 0.01, 1, 2.5 }, { 0, -1e-4, 1 } } } }
local camera = { { 1.01, 0.02, 1.5 }, { -0.02, 1.01, -0.5 }, { 2e-5, 1e-5, 1 } }

local function owner(x, y)
  for k, d in ipairs(discs) do
    if (x - d[1]) ^ 2 + (y - d[2]) ^ 2 < d[3] ^ 2 then return k end
  end
end

local function scene(moving)
  local flow = flow_of(W, H, function(x, y)
    local k = owner(x, y)
    if k then return by_matrix(discs[k][4], x, y) end
    if moving then return by_matrix(camera, x, y) end
    return 0, 0
  end)
  return { flows = { flow }, hands = { hand_at(24, 24, 8, 2), hand_at(64, 28, 8, 3) } }
end

local function sums_to_one(map)
  local sum = map:sum(3)
  assert((sum - 1):abs():max():item() < 1e-5)
  assert(map:min():item() >= 0)
end

return { f64 = f64, W = W, H = H, discs = discs, camera = camera, flow_of = flow_of, by_matrix = by_matrix,
  hand_at = hand_at, owner = owner, scene = scene, sums_to_one = sums_to_one }
