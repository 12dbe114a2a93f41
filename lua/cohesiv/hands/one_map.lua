--- Systems that answer from one map a query, whose tasks all have the same thresholds.
local tensor = require "cohesiv.tensor"

local ALL = { "All", "Pair", "Hand", "Obj" }

--- one_map(grid, maps, tasks = all): maps(clip, n, queries, detected) → maps by query, the frame's; or one map for all.
return function(grid, maps, tasks)
  local goals = {}
  for _, task in ipairs(tasks or ALL) do goals[task] = { task = task, grids = { grid } } end
  return {
    goals = goals,
    answer = function(clip, n, queries, detected)
      local list, all = maps(clip, n, queries, detected)
      local one = tensor.is_tensor(list) and list
      local whole, entries = all or one or nil, {}
      for q = 1, #queries do
        local map = one or list[q]
        entries[q] = map and { map }
      end
      local answer = { All = { whole and { whole } } }
      for task in pairs(goals) do answer[task] = answer[task] or entries end
      return answer
    end,
  }
end
