-- A system of one's own in the evaluator: pixels of nearly the colour at the query.
local base = require "experiments.cohesiv"
local metrics = require("cohesiv").metrics
local one_map = require "cohesiv.hands.one_map"
return base { name = "own_system", system = function(run)
  return one_map(metrics.grid(-1, 0, run.recipe.calibrate.steps), function(clip, n, queries)
    local image, maps = clip:frame(n):to "float32" / 255, {}
    for q, at in ipairs(queries) do
      local colour = image[{ math.floor(at[2] + 1.5), math.floor(at[1] + 1.5) }]
      maps[q] = -(image - colour):square():sum(3):sqrt()
    end
    return maps, metrics.union(maps)
  end)
end }
