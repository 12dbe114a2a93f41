-- A program: what the CUDA half makes of generated pictures and motions beside what the CPU does; a line for each:
-- what, its device, the largest difference. Run with COHESIV_ISA=portable: the other instruction sets multiply and add
-- in one rounding, which may end a descent of the flow's search one step earlier or later.
local co = require "cohesiv"

local function on_gpu(t) return t:to "cuda" end

local function compare(what, expected, found)
  local a, b = expected:to "float64", found:to("cpu"):to "float64"
  local lost = co.eq(a, math.huge) -- distances beyond the horizon are infinite on both
  assert(co.eq(lost, co.eq(b, math.huge)):min():item() == 1, what .. ": other places are infinite")
  local difference = co.where(lost, 0, a - co.where(lost, 0, b))
  print(what, found.device, difference:abs():max():item())
end

-- Blocks of random grey, smooth by bilinear enlargement, seen from (dx, dy).
local function texture(h, w, dx, dy, channels)
  co.seed(7)
  local blocks = (co.rand(h // 5 + 8, w // 5 + 8, channels) * 255):to "float32"
  local grown = require("cohesiv.core").io.resample(blocks, 5, 5, w + 30, h + 30, w + 30, h + 30)
  local picture = grown[{ { 11 - dy, h + 10 - dy }, { 11 - dx, w + 10 - dx }, {} }]:to "uint8"
  return channels == 1 and picture:reshape { h, w } or picture
end

for _, case in ipairs { { 1, 1, 1 }, { 3, 40, 3 }, { 8, 9, 1 }, { 37, 53, 1 }, { 60, 83, 3 } } do
  local h, w, channels = table.unpack(case)
  local a, b = texture(h, w, 0, 0, channels), texture(h, w, 3, -2, channels)
  local flow, valid = co.flow.estimate(a, b, { check = true })
  local other, mask = co.flow.estimate(on_gpu(a), on_gpu(b), { check = true })
  compare(("flow %dx%dx%d"):format(h, w, channels), flow, other)
  compare(("check %dx%dx%d"):format(h, w, channels), valid, mask)
end

-- Hands as rings of points around (x, y), flows that move each by a plane motion of its own.
local function ring(x, y, radius, count)
  local points = {}
  for i = 1, count do
    local angle = 2 * math.pi * i / count
    points[i] = { x + radius * math.cos(angle), y + radius * math.sin(angle) * (0.6 + 0.03 * i) }
  end
  return co.tensor(points, { dtype = "float64" })
end

local function flow_of(h, w, gap)
  local x = co.arange(0, w):reshape { 1, w }:expand { h, w }
  local y = co.arange(0, h):reshape { h, 1 }:expand { h, w }
  local far = co.rand(h, w) * 0.3 + x * 0.01 * gap
  return co.stack({ (x - 20) * 0.02 * gap + far, (y - 15) * 0.03 * gap - far * 0.5 }, 3):to "float32"
end

local function same_maps(what, o, change)
  local gpu = {}
  for name, value in pairs(o) do gpu[name] = value end
  gpu.flows = {}
  for i, flow in ipairs(o.flows) do gpu.flows[i] = on_gpu(flow) end
  local a, b = co.responsibility(o), co.responsibility(gpu)
  if change then a, b = a:with(change), b:with(change) end
  compare("map " .. what, a.map, b.map)
  compare("residuals " .. what, a.residuals, b.residuals)
  if #o.hands > 0 then compare("fit " .. what, a.homographies, on_gpu(b.homographies)) end
  for k, q in ipairs(a.quality) do assert(math.abs(q.share - b.quality[k].share) < 0.01) end
end

do
  local h, w = 40, 150
  local flows, two, five = {}, { ring(30, 20, 9, 21), ring(110, 16, 7, 12) }, {}
  for i, gap in ipairs { -1, 1, 2 } do flows[i] = flow_of(h, w, gap) end
  flows[3][5][7] = 0 / 0 -- a vector that is no number
  for k = 1, 5 do five[k] = ring(25 * k, 10 + 4 * k, 5 + k, 8) end
  same_maps("of two hands", { flows = flows, hands = two, content = { 140, 33 } })
  same_maps("with a moving background", { flows = flows, hands = two, background = "homography", temperature = 0.5 })
  same_maps("of five hands, close ones", { flows = flows, hands = five, closeness = 1, fit = { points = 60 } })
  same_maps("of one hand kept", { flows = flows, hands = five }, { keep = { 3 }, temperature = 1 })
  same_maps("of nobody", { flows = flows, hands = {} })
end

-- A picture of two colours, one around the hands, and maps that roughly say where.
do
  local h, w = 50, 75
  local x = co.arange(0, w):reshape { 1, w }:expand { h, w }
  local y = co.arange(0, h):reshape { h, 1 }:expand { h, w }
  local near = co.exp(((x - 30) ^ 2 + (y - 20) ^ 2) * -0.01)
  local object = near:gt(0.5):to("float32"):reshape { h, w, 1 }
  local image = (object * 120 + co.rand(h, w, 3) * 60 + 30):to "uint8"
  local flows = { co.stack({ near * 5, near * 2 }, 3):to "float32" }
  local hands = { ring(29, 21, 6, 12), ring(60, 40, 5, 9) }
  local o = { flows = flows, hands = hands, content = { 70, 48 } }
  local plain = co.responsibility(o).map
  o.sharpen, o.picture = "walker", image -- cuts are made on the host, and all or nothing
  local sharp = co.responsibility(o).map
  assert((sharp - plain):abs():max():item() > 0.2, "expected a map that sharpening changes")
  o.flows = { on_gpu(flows[1]) }
  compare("sharpened map", sharp, co.responsibility(o).map)
  o.picture = on_gpu(image)
  compare("sharpened map by an image there", sharp, co.responsibility(o).map)
end
