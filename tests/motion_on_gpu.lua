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
