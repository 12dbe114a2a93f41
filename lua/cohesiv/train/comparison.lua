--- Two runs side by side: settings that differ, and the difference of each task on the queries that both have answered,
-- with a paired bootstrap: clips are drawn with replacement, the same ones for both.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local evaluate = require "cohesiv.hands.evaluate"
local evaluation, recipe = require "cohesiv.train.evaluation", require "cohesiv.train.recipe"
local M = {}

local function key_of(row) return ("%s\0%d\0%s\0%s"):format(row.clip, row.n, row.q or "", row.task) end

local DRAWS = 10000

--- tasks(rows, others): by task { a, b, difference, low, high, p, n }, per cent: means of the common queries of two
-- lists of rows { clip, n, q, task, iou }, b - a, its 95 % interval, and how likely it lies so far from 0 by chance.
function M.tasks(rows, others)
  local second, pairs_of, place, names = {}, {}, {}, {}
  for _, row in ipairs(others) do second[key_of(row)] = row.iou end
  for _, row in ipairs(rows) do
    local iou = second[key_of(row)]
    if iou then
      if not place[row.clip] then
        names[#names + 1] = row.clip
        place[row.clip] = #names
      end
      pairs_of[row.task] = pairs_of[row.task] or {}
      table.insert(pairs_of[row.task], { place[row.clip], row.iou, iou })
    end
  end
  local out = {}
  for task, list in pairs(pairs_of) do
    local sums, counts, a, b = {}, {}, 0, 0
    for i = 1, #names do sums[i], counts[i] = 0, 0 end
    for _, pair in ipairs(list) do
      local i = pair[1]
      sums[i], counts[i], a, b = sums[i] + pair[3] - pair[2], counts[i] + 1, a + pair[2], b + pair[3]
    end
    local low, high, p = core.metrics.bootstrap(sums, counts, DRAWS, 0)
    out[task] = { a = 100 * a / #list, b = 100 * b / #list, difference = 100 * (b - a) / #list, low = 100 * low,
      high = 100 * high, p = p, n = #list }
  end
  return out
end

--- holm(list): Holm's correction (1979) of the p-values of several comparisons, of which some would seem to differ by
-- chance. → the corrected ones, in the same order.
function M.holm(list)
  local order, out, most = {}, {}, 0
  for i in ipairs(list) do order[i] = i end
  table.sort(order, function(a, b)
    if list[a] ~= list[b] then return list[a] < list[b] end
    return a < b
  end)
  for rank, i in ipairs(order) do
    most = math.max(most, math.min(1, (#list - rank + 1) * list[i]))
    out[i] = most
  end
  return out
end

--- compare(a, b, options): two runs → { settings = list of { key, from, to }, tasks }. Runs without kept scores are
-- evaluated. options: progress.
function M.compare(a, b, options)
  local rows, others = evaluation.rows(a, options), evaluation.rows(b, options)
  local found = M.tasks(rows, others)
  if next(found) == nil then
    core.refuse("compare: expected runs that report the same frames, found none of %s in %s", a.name, b.name)
  end
  local tasks = {}
  for _, task in ipairs(evaluate.tasks) do tasks[task] = found[task] end
  return { tasks = tasks, settings = lists.map(recipe.changes(a.recipe, b.recipe), function(change)
    return change.key ~= "name" and change
  end) }
end

return M
