--- A disc at the query, the simplest baseline: radius = the task's calibrated threshold × image width. Sees no pixels.

local metrics = require "cohesiv.hands.metrics"

return function(run)
  -- The map is −distance / width, so a threshold −r makes a disc of radius r widths; r up to a half.
  local grid, goals = metrics.grid(-0.5, 0, run.recipe.calibrate.steps), {}
  for _, task in ipairs { "All", "Pair", "Hand", "Obj" } do goals[task] = { task = task, grids = { grid } } end
  return {
    goals = goals,
    answer = function(clip, _, queries)
      local list, discs = {}, {}
      for q, query in ipairs(queries) do
        discs[q] = metrics.disc(query[1], query[2], clip.width, clip.height)
        list[q] = { discs[q] }
      end
      return { Pair = list, Hand = list, Obj = list, All = { { metrics.union(discs) } } }
    end,
  }
end
