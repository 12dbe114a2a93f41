--- Flow: what moves. The magnitude of the optical flow, averaged over the recipe's gaps that the clip has.
local map_options = require "cohesiv.motion.map_options"
local metrics, one_map = require "cohesiv.hands.metrics", require "cohesiv.hands.one_map"

return function(run)
  local recipe = run.recipe
  local gaps = type(recipe.maps.gaps) == "table" and recipe.maps.gaps or map_options.recipe.gaps.default
  return one_map(metrics.ratios(0.01, 100, recipe.calibrate.steps), function(clip, n)
    local total, count = nil, 0
    for _, gap in ipairs(gaps) do
      if n + gap >= 0 and n + gap < clip.frames then
        local flow = clip:flow(n, gap,
          { size = recipe.size, method = recipe.maps.flow, device = recipe.device })
        local speed = (flow * flow):sum(3):sqrt()
        total, count = total and total + speed or speed, count + 1
      end
    end
    return total and total / count or {}
  end)
end
