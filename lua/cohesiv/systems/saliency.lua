--- Saliency: what stands out in one image, by a classical detector (csrc/data/saliency.c); one map for every query and
--- all four tasks.

local image = require "cohesiv.image"
local metrics = require "cohesiv.metrics"

return function(run)
  local size = run.recipe.size
  local grid, goals = metrics.grid(0, 1, run.recipe.calibrate.steps), {}
  for _, task in ipairs { "All", "Pair", "Hand", "Obj" } do goals[task] = { task = task, grids = { grid } } end
  return {
    goals = goals,
    answer = function(clip, n, queries)
      local fitted, scale = image.fit(clip:frame(n), size, { pad = false })
      local entry, list = { metrics.saliency(fitted) }, {}
      for q = 1, #queries do list[q] = entry end
      return { scale = scale, Pair = list, Hand = list, Obj = list, All = { entry } }
    end,
  }
end
