--- Thresholded responsibility, which sees the video: R of the query's detected hand (Pair), the largest R of all hands
--- (All). Responsibility cannot tell hand from object, so there is no Hand and no Obj.
local map_options = require "cohesiv.motion.map_options"
local metrics, one_map = require "cohesiv.hands.metrics", require "cohesiv.hands.one_map"

return function(run)
  local options = map_options.of_recipe(run.recipe, run.recipe.device)
  local system = one_map(metrics.grid(0, 1, run.recipe.calibrate.steps), function(clip, n, queries, detected)
    local hands, of_hand, pair = #clip:hands(n), {}, {}
    if hands == 0 then return {} end
    local map = map_options.map(run.recipe, clip:responsibility(n, options), clip, n):to "cpu"
    for k = 1, hands do of_hand[k] = map:select(3, k) end
    for q = 1, #queries do pair[q] = of_hand[detected[q]] end
    return pair, metrics.union(of_hand)
  end, { "All", "Pair" })
  system.detects = true
  return system
end
