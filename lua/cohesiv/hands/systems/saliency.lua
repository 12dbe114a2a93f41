--- Saliency: what stands out in one image, by a classical detector (csrc/data/saliency.c); one map for every query and
--- all four tasks.

local metrics = require "cohesiv.hands.metrics"
local scale = require "cohesiv.motion.scale"

return function(run)
  local size = run.recipe.size
  local grid, goals = metrics.grid(0, 1, run.recipe.calibrate.steps), {}
  for _, task in ipairs { "All", "Pair", "Hand", "Obj" } do goals[task] = { task = task, grids = { grid } } end
  return {
    goals = goals,
    answer = function(clip, n, queries)
      local sc = clip:scale(size)
      local content = metrics.saliency(clip:scaled(n, { size = size, padded = false }))
      local entry, list = { scale.pad(content, sc) }, {}
      for q = 1, #queries do list[q] = entry end
      return { Pair = list, Hand = list, Obj = list, All = { entry } }
    end,
  }
end
