--- Predicted query: COHESIV with no point given. The network's own points (peaks of its heat-map) are asked for, and
-- matched to the true hands by where those were pointed at; a hand without one has no answer. What was predicted where
-- no hand is counts in All.
local cohesiv = require "cohesiv.hands.systems.cohesiv"
local peaks = require "cohesiv.hands.peaks"

return function(run)
  local system = cohesiv(run)
  local given = system.answer
  function system.answer(clip, n, queries)
    local points, size = system.model:queries(clip:frame(n))
    if #points == 0 then return {} end
    local answer, count = given(clip, n, points), #queries
    local of, taken = peaks.match(points, queries, size), {}
    for q in ipairs(queries) do taken[of[q] or 0] = true end
    local order = {}
    for q = 1, count do order[q] = of[q] end
    for i in ipairs(points) do
      if not taken[i] then
        count = count + 1
        order[count] = i
      end
    end
    local out = { count = count, picture = answer.picture }
    for key, entries in pairs(answer) do
      local goal = system.goals[key]
      if goal and goal.task == "All" then
        out[key] = entries
      elseif goal then
        out[key] = {}
        for q = 1, count do out[key][q] = order[q] and entries[order[q]] or nil end
      end
    end
    return out
  end
  return system
end
