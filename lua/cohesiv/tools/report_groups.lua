--- Runs side by side, as tables: those that differ in their seed alone are one row; differences to the first row with
-- paired bootstrap and Holm's correction; how far seeds spread; which settings differ; what is reached against each
-- setting that was swept. Knows results, not runs' folders: a result is
-- { name, note, main, run, summary, rows, names }.
local lists = require "cohesiv.base.lists"
local evaluate = require "cohesiv.hands.evaluate"
local comparison, recipes = require "cohesiv.train.comparison", require "cohesiv.train.recipe"
local M = {}

local LEVEL = 0.05 -- of significance, after Holm's correction
local CLIPS = 6 -- of fewer nothing is called significant: so few draws tell nothing
local SWEPT = 6 -- charts of a figure against a setting, at most

-- Everything that a recipe says but its name, its seed and the run whose network it stands on.
local function identity(recipe)
  return table.concat(lists.map(recipes.assignments(recipe), function(text)
    return not text:find "^name=" and not text:find "^seed=" and not text:find "^query%.run=" and text
  end), "\n")
end

-- The name of runs that differ in their seed: what is common to them.
local function common_name(results)
  local name = results[1].name
  if #results == 1 then return name end
  local shorter = name:gsub("[_-]?seed%-?%d+", "")
  return shorter ~= "" and shorter or name
end

local function key_of(row) return ("%s\0%d\0%s\0%s"):format(row.clip, row.n, row.q or "", row.task) end

-- Rows whose IoU is the mean over several results, of queries that all have answered.
local function merged(results)
  if #results == 1 then return results[1].rows end
  local sums, counts = {}, {}
  for _, result in ipairs(results) do
    for _, row in ipairs(result.rows) do
      local key = key_of(row)
      sums[key], counts[key] = (sums[key] or 0) + row.iou, (counts[key] or 0) + 1
    end
  end
  return lists.map(results[1].rows, function(row)
    local key = key_of(row)
    return counts[key] == #results and { clip = row.clip, n = row.n, q = row.q, task = row.task,
      iou = sums[key] / #results }
  end)
end

--- groups(results): results grouped over seeds, in the order of their first: { name, note, main, results, rows, names,
-- cells (the summary), recipe }. Those without a run (baselines) stand for themselves.
function M.groups(results)
  local groups, by = {}, {}
  for _, result in ipairs(results) do
    local id = result.run and identity(result.run.recipe) or result.name
    if not by[id] then
      by[id] = { results = {} }
      groups[#groups + 1] = by[id]
    end
    table.insert(by[id].results, result)
  end
  for _, group in ipairs(groups) do
    local first, count = group.results[1], #group.results
    group.name, group.main, group.names = common_name(group.results), first.main, first.names
    group.note = count > 1 and ("%d seeds%s"):format(count, first.note and ", " .. first.note or "") or first.note
    group.rows = merged(group.results)
    group.cells = count > 1 and evaluate.summarise(group.rows, group.names) or first.summary
    group.recipe = first.run and first.run.recipe
  end
  return groups
end

--- differences(groups): of every group but the first, by task, the difference to the first: a table, nil of one group.
function M.differences(groups)
  local rows, values, cells = {}, {}, {}
  for i = 2, #groups do
    local found, row = comparison.tasks(groups[1].rows, groups[i].rows), { name = groups[i].name, cells = {} }
    for _, task in ipairs(evaluate.tasks) do
      local d = found[task]
      if d then
        local cell = { difference = d.difference, low = d.low, high = d.high }
        row.cells[task] = cell
        values[#values + 1], cells[#cells + 1] = d.p, cell
      end
    end
    rows[#rows + 1] = row
  end
  if #cells == 0 then return nil end
  local enough = #groups[1].names >= CLIPS
  for i, p in ipairs(comparison.holm(values)) do cells[i].p, cells[i].significant = p, enough and p < LEVEL end
  return { name = "differences", columns = evaluate.tasks, rows = rows, caption = ("Difference of the mean IoU to %s, "
    .. "points of per cent, on the queries that both have answered, with paired 95 %% bootstrap intervals over clips. "
    .. "%s."):format(groups[1].name,
    enough and ("Bold: significant at 5 %% after Holm's correction of these %d comparisons"):format(#cells)
      or ("Of fewer than %d clips nothing is called significant"):format(CLIPS)) }
end

--- spread(groups): mean and standard deviation over seeds: a table, nil where no group has several.
function M.spread(groups)
  local several = false
  local rows = lists.map(groups, function(group)
    if not group.recipe then return nil end
    several = several or #group.results > 1
    local row = { name = group.name, main = group.main, cells = {} }
    for _, task in ipairs(evaluate.tasks) do
      local sum, squares, n = 0, 0, 0
      for _, result in ipairs(group.results) do
        local s = result.summary[task]
        if s then sum, squares, n = sum + s.mean, squares + s.mean ^ 2, n + 1 end
      end
      if n > 0 then
        local variance = n > 1 and math.max(squares - sum * sum / n, 0) / (n - 1) or 0
        row.cells[task] = { mean = sum / n, spread = math.sqrt(variance), n = n }
      end
    end
    return row
  end)
  return several and { name = "seeds", columns = evaluate.tasks, rows = rows,
    caption = "Mean IoU in per cent over seeds, ± the standard deviation between them." } or nil
end

local function frame_of(row) return row.clip .. "\0" .. row.n end

--- hands(rows): how many hands each frame was asked for, by a key of the frame.
function M.hands(rows)
  local hands = {}
  for _, row in ipairs(rows) do
    local key = frame_of(row)
    if row.task == "Pair" then hands[key] = (hands[key] or 0) + 1 end
  end
  return hands
end

--- split(rows, hands): those of frames of one hand, and those of several: { [false] = rows, [true] = rows }.
function M.split(rows, hands)
  local out = { [false] = {}, [true] = {} }
  for _, row in ipairs(rows) do
    local count = hands[frame_of(row)]
    if count then table.insert(out[count > 1], row) end
  end
  return out
end

--- by_hands(groups): results on frames of one hand and on those of several: a table, nil where all are of one kind.
function M.by_hands(groups)
  local hands, frames, columns = M.hands(groups[1].rows), { [false] = 0, [true] = 0 }, {}
  for _, count in pairs(hands) do frames[count > 1] = frames[count > 1] + 1 end
  if frames[false] == 0 or frames[true] == 0 then return nil end
  local function column(task, several) return several and task .. ", several" or task end
  for _, several in ipairs { false, true } do
    for _, task in ipairs(evaluate.tasks) do columns[#columns + 1] = column(task, several) end
  end
  local rows = lists.map(groups, function(group)
    local cells = {}
    for several, part in pairs(M.split(group.rows, hands)) do
      for task, s in pairs(evaluate.summarise(part, group.names)) do cells[column(task, several)] = s end
    end
    return { name = group.name, note = group.note, main = group.main, cells = cells }
  end)
  return { name = "hands", columns = columns, rows = rows,
    caption = ("Mean IoU in per cent on the %d frames of one hand and on the %d of several."):format(frames[false],
      frames[true]) }
end

local ASIDE = lists.set { "name", "seed" }

--- differing(groups): the keys in which the recipes of groups differ, sorted.
function M.differing(groups)
  local keys, first = {}, nil
  for _, group in ipairs(groups) do
    first = first or group.recipe
    for _, change in ipairs(group.recipe and recipes.changes(first, group.recipe) or {}) do
      if not ASIDE[change.key] then keys[change.key] = true end
    end
  end
  return lists.keys(keys)
end

local function value_of(group, key) return (recipes.flatten(group.recipe))[key] end

-- A value as tables have it: texts without quotes.
local function shown(group, key)
  local value = value_of(group, key)
  return type(value) == "string" and value or recipes.show(value)
end

--- settings(groups, keys): the table of settings that differ; nil where none does.
function M.settings(groups, keys)
  if #keys == 0 then return nil end
  local rows = lists.map(groups, function(group)
    return group.recipe and { name = group.name, cells = lists.map(keys, function(key)
      return shown(group, key)
    end) }
  end)
  return { name = "settings", columns = keys, rows = rows, caption = "Settings in which the runs differ." }
end

-- Figures by the value of a key, where it is a number everywhere: lines of means, and every run as a point.
local function plot_of(groups, key)
  local series = {}
  for _, task in ipairs(evaluate.tasks) do
    local by, lone, points = {}, {}, {}
    for _, group in ipairs(groups) do
      local x = group.recipe and value_of(group, key)
      for _, result in ipairs(type(x) == "number" and group.results or {}) do
        local s = result.summary[task]
        if s then
          by[x] = by[x] or {}
          table.insert(by[x], s.mean)
          lone[#lone + 1] = { x, s.mean }
        end
      end
    end
    for _, x in ipairs(lists.keys(by)) do
      local sum = 0
      for _, y in ipairs(by[x]) do sum = sum + y end
      points[#points + 1] = { x, sum / #by[x] }
    end
    if #points > 1 then series[#series + 1] = { name = task, points = points, dots = true, lone = lone } end
  end
  return #series > 0 and { title = "IoU, per cent", x_label = key, series = series, any = true }
end

-- Figures by the value of a key that is no number: a table of means over the runs that have it.
local function table_of(groups, key)
  local by, order = {}, {}
  for _, group in ipairs(groups) do
    if group.recipe then
      local text = shown(group, key)
      if not by[text] then
        by[text] = {}
        order[#order + 1] = text
      end
      for _, result in ipairs(group.results) do table.insert(by[text], result.summary) end
    end
  end
  local rows = lists.map(order, function(text)
    local row = { name = text, note = ("%d run%s"):format(#by[text], #by[text] > 1 and "s" or ""), cells = {} }
    for _, task in ipairs(evaluate.tasks) do
      local values = lists.map(by[text], function(summary) return summary[task] and summary[task].mean end)
      local sum, low, high = 0, math.huge, -math.huge
      for _, v in ipairs(values) do sum, low, high = sum + v, math.min(low, v), math.max(high, v) end
      row.cells[task] = #values > 0 and { mean = sum / #values, low = low, high = high } or nil
    end
    return row
  end)
  return { name = "by_" .. key:gsub("%W", "_"), columns = evaluate.tasks, rows = rows,
    caption = ("Mean IoU in per cent by %s, from the lowest to the highest run."):format(key) }
end

--- swept(groups, keys): sections of what is reached against each key: a chart of the numbers, tables of the others.
function M.swept(groups, keys)
  local curves, sections = {}, {}
  for _, key in ipairs({ table.unpack(keys, 1, SWEPT) }) do
    local numbers = true
    for _, group in ipairs(groups) do
      numbers = numbers and (not group.recipe or type(value_of(group, key)) == "number")
    end
    local plot = numbers and plot_of(groups, key)
    if plot then curves[#curves + 1] = plot end
    if not numbers then sections[#sections + 1] = { table = table_of(groups, key) } end
  end
  if #curves > 0 then table.insert(sections, 1, { curves = curves }) end
  if sections[1] then
    sections[1].title = "What settings do"
    sections[1].text = "Means over the runs that have a value; rings are single runs."
  end
  return sections
end

return M
