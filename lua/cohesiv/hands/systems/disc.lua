--- A disc at the query, the simplest baseline: radius = the task's calibrated threshold × image width. Sees no pixels.
local metrics, one_map = require "cohesiv.hands.metrics", require "cohesiv.hands.one_map"

return function(run)
  -- The map is −distance / width, so a threshold −r makes a disc of radius r widths; r up to a half.
  return one_map(metrics.grid(-0.5, 0, run.recipe.calibrate.steps), function(clip, _, queries)
    local discs = {}
    for q, query in ipairs(queries) do discs[q] = metrics.disc(query[1], query[2], clip.width, clip.height) end
    return discs, metrics.union(discs)
  end)
end
