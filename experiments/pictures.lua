-- The pictures of README.md and docs/tutorial.md, from the generated world, as the library draws them:
-- `./cohesiv experiments/pictures.lua` writes docs/cohesiv.jpg (a frame with landmarks, its flow, the map of the hand,
-- masks made of maps alone) and docs/maps.jpg (frame, flow, maps of two hands, and the maps sharpened).
local co = require "cohesiv"
local cache, core = require "cohesiv.data.cache", require "cohesiv.core"
local masks, panel = require "cohesiv.hands.video_masks", require "cohesiv.tools.panel"

local FRAME = 3
local data = co.data(co.world { out = cache.folder() .. "/world/pictures", seed = 3, clips = 4, frames = 9,
  size = { 448, 256 }, mask_every = 0, truth = {} })

local function scaled(image, by)
  local w, h = math.floor(image.shape[2] * by), math.floor(image.shape[1] * by)
  return core.io.resample(image, by, by, w, h, w, h)
end

local function maps(clip, size)
  return clip:responsibility(FRAME, { size = size, background = "homography", temperature = 1 })
end

local one_hand = data:clip "s3_0000001"
local frame, R = one_hand:frame(FRAME), maps(one_hand, { 448, 256 })
local marked, painted = frame, frame
for _, hand in ipairs(one_hand:hands(FRAME)) do
  marked = co.viz.points(marked, hand.vertices:totable(), { radius = 3, color = co.viz.colors.query })
end
for _, one in ipairs(masks.new(one_hand, {}):frame(FRAME)) do
  painted = co.viz.overlay(painted, { hand = one.hand, object = one.object })
end
local row = { marked, co.viz.flow_color(R.flows[#R.gaps]), panel.overlay(R, frame), painted }
for i, picture in ipairs(row) do row[i] = scaled(picture, 0.75) end
co.image.write("docs/cohesiv.jpg", co.viz.grid(row, 4), { quality = 85 })

local two_hands = data:clip "s3_0000003"
R = maps(two_hands, { 224, 128 })
local above = co.viz.grid({ scaled(two_hands:frame(FRAME), 0.5), co.viz.flow_color(R.flows[#R.gaps]) }, 2)
co.image.write("docs/maps.jpg", co.viz.grid({ above, R, R:with { sharpen = true } }, 1), { quality = 90 })
