--- How long a mask takes to be cut out along the picture's outlines: cohesiv experiments/bench/refine.lua DATA
--
-- DATA is a data folder with masks. Of the first annotated frame of every clip, brought to 640 pixels at most, the
-- first hand with what it holds is blurred over ten pixels and refined. Prints CPU milliseconds (the least of three
-- times) and the share of the picture that is in, of each frame, then the mean and the most of all.
require("experiments.bench.contender").help(arg)

local co = require "cohesiv"
local core = require "cohesiv.core"
local metrics = require "cohesiv.hands.metrics"
local scale = require "cohesiv.motion.scale"

local SIZE, BLUR = { 640, 360 }, 10

-- A picture and soft odds of what the first hand and its object are there.
local function given(data, frame)
  local clip, masks = data:clip(frame.clip), data:masks(frame.clip, frame.n)
  local picture = clip:scaled(frame.n, { size = SIZE, padded = false })
  local sc = clip:scale(SIZE)
  clip:close()
  local exact = scale.content(metrics.union { masks.hand[1], masks.object[1] }:to "float32", sc)
  local w, h = sc.content_w, sc.content_h
  local small_w, small_h = math.max(1, w // BLUR), math.max(1, h // BLUR)
  local coarse = core.io.resample(exact, 1 / BLUR, 1 / BLUR, small_w, small_h, small_w, small_h)
  return picture, (core.io.resample(coarse, BLUR, BLUR, w, h, w, h) - 0.4) * 8
end

local path = arg[1] or error("bench/refine.lua: expected a data folder", 0)
local data, sum, most = co.data(path), 0, 0
for _, name in ipairs(data.annotated) do
  co.tidy(function()
    local picture, odds = given(data, data:queries(name)[1])
    local least, share = math.huge, 0
    for _ = 1, 3 do
      local before = os.clock()
      local mask = core.responsibility.refine(picture, odds)
      least, share = math.min(least, os.clock() - before), mask:mean():item()
    end
    print(("%-30s %dx%d  %5.1f ms  %4.1f %%"):format(name, picture.shape[2], picture.shape[1], 1000 * least,
      100 * share))
    sum, most = sum + least, math.max(most, least)
  end)
end
print(("mean %.1f ms, most %.1f ms"):format(1000 * sum / #data.annotated, 1000 * most))
