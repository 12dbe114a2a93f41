-- cohesiv runs: what runs there are, how they stand, and what they reach.
local columns, json, lists = require "cohesiv.base.columns", require "cohesiv.base.json", require "cohesiv.base.lists"
local warn = require "cohesiv.base.warn"
local evaluate = require "cohesiv.hands.evaluate"
local evaluation = require "cohesiv.train.evaluation"
local recipe, run = require "cohesiv.train.recipe", require "cohesiv.train.run"
local cli = require "cohesiv.tools.cli"

-- How a run stands: one that says it is training while nobody writes it was killed.
local function state_of(one, status)
  if status.state ~= "training" then return status.state end
  local ok, who = pcall(one.held_by, one)
  return ok and not who and "killed" or status.state
end

local function row_of(path)
  local one = run.run(path)
  local status, scores = one:status(), one:scores()
  local row = { path = path, name = one.name, state = state_of(one, status), step = status.step, epoch = status.epoch,
    seconds = status.seconds, time = status.time, recipe = (recipe.plain(one.recipe)) }
  local summary = scores and evaluate.summarise(scores.rows, scores.names) or {}
  for _, task in ipairs(evaluate.tasks) do row[task] = summary[task] and summary[task].mean end
  return row
end

-- The value of a run's column or, of any other name, of a key of its recipe.
local function value_of(row, name)
  if row[name] ~= nil and name ~= "recipe" then return row[name] end
  return row.recipe[name]
end

local COLUMNS = lists.set { "name", "path", "state", "step", "epoch", "seconds", "time", table.unpack(evaluate.tasks) }

local function check_name(rows, what, name)
  local known = COLUMNS[name] ~= nil or #rows == 0
  for _, row in ipairs(rows) do
    known = known or lists.set((select(2, recipe.flatten(run.run(row.path).recipe))))[name] ~= nil
  end
  if not known then
    cli.usage("%s: expected a key of the recipes, or one of %s, found %s", what,
      table.concat(lists.keys(COLUMNS), ", "), name)
  end
end

local function matches(row, name, wanted)
  local value = value_of(row, name)
  local text = type(value) == "string" and value or value ~= nil and recipe.show(value) or "none"
  return text == wanted or tonumber(wanted) ~= nil and tonumber(wanted) == tonumber(value)
end

-- Larger first for what is reached, smaller or earlier first for the rest; what has no value comes last.
local function sort(rows, name)
  local descending = lists.set(evaluate.tasks)[name]
  local function before(a, b)
    local x, y = value_of(a, name), value_of(b, name)
    if x == nil or y == nil or x == y then return x ~= y and y == nil or x == y and a.path < b.path end
    if type(x) ~= type(y) or type(x) ~= "number" then x, y = tostring(x), tostring(y) end
    if x == y then return a.path < b.path end
    if descending then x, y = y, x end
    return x < y
  end
  table.sort(rows, before)
end

local function minutes(seconds) return seconds and ("%.1f"):format(seconds / 60) or "-" end

return {
  summary = "Lists runs: how they stand, how long they took, what they reach.",
  configure = function(parser)
    parser:option("--root", "The folder of runs (runs)."):default "runs"
    parser:option("--where", "Only runs with this value: a key of the recipe, or state=done.")
      :count "*":convert(cli.as("--where: expected key=value", function(text)
        return text:match "^[%w_.]+=" and text
      end))
    parser:option("--sort", "By a column or a key of the recipe; tasks with the best first.")
    parser:flag("--json", "Print JSON: a list of runs, their recipes flattened.")
  end,
  run = function(args)
    local rows = lists.map(run.list(args.root), function(path)
      local ok, row = pcall(row_of, path)
      if not ok then warn.line("%s", row) end
      return ok and row
    end)
    for _, text in ipairs(args.where) do
      local name, wanted = text:match "^([%w_.]+)=(.*)$"
      check_name(rows, "--where", name)
      rows = lists.map(rows, function(row) return matches(row, name, wanted) and row end)
    end
    if args.sort then
      check_name(rows, "--sort", args.sort)
      sort(rows, args.sort)
    end
    if args.json then return print(json.encode(rows)) end
    local lines = { { "run", "state", "step", "minutes", "written", table.unpack(evaluate.tasks) } }
    for i, row in ipairs(rows) do
      local cells = { evaluation.title(row.path, row.recipe.supervised), row.state, tostring(row.step or "-"),
        minutes(row.seconds), row.time or "-" }
      for _, task in ipairs(evaluate.tasks) do
        cells[#cells + 1] = row[task] and ("%.1f"):format(row[task]) or "-"
      end
      lines[i + 1] = cells
    end
    print(#rows > 0 and columns(lines, 2) or "no runs")
  end,
}
