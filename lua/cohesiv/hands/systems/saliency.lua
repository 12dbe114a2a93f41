--- Saliency: what stands out in one image, by maps that the data folder brings along (saliency/NAME/%06d.png, of any
-- detector), else by a classical detector (csrc/data/saliency.c).
local scale = require "cohesiv.motion.scale"
local metrics, one_map = require "cohesiv.hands.metrics", require "cohesiv.hands.one_map"

return function(run)
  local size = run.recipe.size
  return one_map(metrics.grid(0, 1, run.recipe.calibrate.steps), function(clip, n)
    return clip:saliency(n)
      or scale.pad(metrics.saliency(clip:scaled(n, { size = size, padded = false })), clip:scale(size))
  end)
end
