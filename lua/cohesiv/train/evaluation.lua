--- co.evaluate: a run on data, calibrated if need be, and what is printed of it; on hands/evaluate.lua, calibrate.lua.
local core = require "cohesiv.core"
local columns, lists = require "cohesiv.base.columns", require "cohesiv.base.lists"
local calibrate, evaluate = require "cohesiv.hands.calibrate", require "cohesiv.hands.evaluate"
local recipe, runs = require "cohesiv.train.recipe", require "cohesiv.train.run"
local evaluation = {}

local function fail(format, ...) core.refuse("evaluate: " .. format, ...) end

--- Everything about a run on some data: { summary, rows, names, thresholds }. Without `data`: reported on the clips
--- that its recipe says, calibrated if need be; with `data`: the run's thresholds, every annotated clip of it. Options:
--- progress; all = true: thresholds chosen on what is reported, with this score and pair instead of the recipe's.
function evaluation.full(run, data, options)
  options = options or {}
  if type(run) == "string" then run = runs.open(run) end
  if type(run) ~= "table" or type(run.recipe) ~= "table" or not run.calibration then
    fail("expected a run or the path of its folder, found %s", core.text(run))
  end
  local folder, names
  if data then folder = evaluate.data(run, data) else folder, names = evaluate.part(run, "evaluate") end
  if data or options.all then names = folder.annotated end
  if options.all then
    local changed = run.recipe { calibrate = { score = options.score, pair = options.pair } }
    local system = evaluate.system(setmetatable({ recipe = changed }, { __index = run }))
    local ask = evaluate.asker(system, folder)
    local thresholds = calibrate.search(system, folder, names, { ask = ask, progress = options.progress })
    return evaluate.score(system, thresholds, folder, names, { ask = ask, progress = options.progress })
  end
  if not (run:calibration() or {}).thresholds then
    if data and not run.recipe.data then fail("%s: expected calibrated thresholds, found none", run.name) end
    calibrate.thresholds(run, options)
  end
  local result = evaluate.score(evaluate.system(run), run:calibration().thresholds, folder, names, options)
  if not data and run.set_scores and not run.dtype then run:set_scores(result) end
  return result
end

--- The rows of a run on the clips that its recipe reports: those that are kept, else evaluated now.
function evaluation.rows(run, options)
  local kept = run:scores()
  local made = not kept and evaluation.full(run, nil, options)
  kept = kept or run:scores() or made -- as the file has them, the first time too
  return kept.rows, kept.names
end

--- co.evaluate(run, data): the table that `cohesiv eval --json` prints, per cent:
--- { All = { mean, low, high, n }, Pair = …, Hand = …, Obj = … }; tasks that a system cannot do are left out.
function evaluation.evaluate(run, data, options)
  local summary = evaluation.full(run, data, options).summary
  local out = {}
  for _, task in ipairs(evaluate.tasks) do out[task] = summary[task] end
  return out
end

--- The names of runs, told apart: "x", "x (2)", "x (3)".
function evaluation.names(list)
  local names, taken = {}, {}
  for i, one in ipairs(list) do
    local n, name = 1, one.name
    while taken[name] do
      n = n + 1
      name = ("%s (%d)"):format(one.name, n)
    end
    names[i], taken[name] = name, true
  end
  return names
end

--- The name of a row in tables: what has learnt from masks says so.
function evaluation.title(name, supervised) return supervised and name .. " (supervised)" or name end

--- A table as text, one line per entry { name, summary, supervised }, "mean (low-high)" per task, and the counts of the
--- first.
function evaluation.text(entries)
  local lines = {}
  local function add(name, summary, cell)
    local cells = { name }
    for k, task in ipairs(evaluate.tasks) do cells[k + 1] = summary[task] and cell(summary[task], task) or "    -" end
    lines[#lines + 1] = cells
  end
  add("IoU", lists.set(evaluate.tasks), function(_, task) return (" "):rep(5 - #task) .. task end)
  for _, entry in ipairs(entries) do
    add(evaluation.title(entry.name, entry.supervised), entry.summary, function(s)
      return ("%5.1f (%.1f-%.1f)"):format(s.mean, s.low, s.high)
    end)
  end
  add("n", entries[1].summary, function(s) return ("%5d"):format(s.n) end)
  return columns(lines, 1 + #evaluate.tasks)
end

--- The system without training of a recipe or EXPERIMENT.lua as a run in memory, for tables that show baselines.
function evaluation.untrained(r)
  if type(r) == "string" then r = recipe.load(r) end
  local kept
  return {
    name = r.name, recipe = r, path = nil,
    calibration = function() return kept end,
    set_calibration = function(_, t) kept = t end,
  }
end

return evaluation
