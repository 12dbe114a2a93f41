--- Thresholded responsibility, which sees the video: R of the query's detected hand (Pair), the largest R of all hands
--- (All). Responsibility cannot tell hand from object, so there is no Hand and no Obj.

local map_options = require "cohesiv.motion.map_options"
local metrics = require "cohesiv.hands.metrics"

return function(run)
  local recipe = run.recipe
  local grid, options = metrics.grid(0, 1, recipe.calibrate.steps), map_options.of_recipe(recipe)
  return {
    detects = true,
    goals = { All = { task = "All", grids = { grid } }, Pair = { task = "Pair", grids = { grid } } },
    answer = function(clip, n, queries, detected)
      local hands = #clip:hands(n)
      if hands == 0 then return { Pair = {}, All = {} } end
      local map = clip:responsibility(n, options).map
      local of_hand, pair = {}, {}
      for k = 1, hands do of_hand[k] = map:select(3, k) end
      for q = 1, #queries do pair[q] = detected[q] and { of_hand[detected[q]] } or nil end
      return { Pair = pair, All = { { metrics.union(of_hand) } } }
    end,
  }
end
