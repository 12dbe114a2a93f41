--- co.evaluate: a run on a data folder, calibrated first if need be, and what is printed of it. Scores are made in
-- hands/evaluate.lua, thresholds in hands/calibrate.lua.
local calibrate = require "cohesiv.hands.calibrate"
local core = require "cohesiv.core"
local evaluate = require "cohesiv.hands.evaluate"
local recipe = require "cohesiv.train.recipe"
local runs = require "cohesiv.train.run"
local error = core.error -- a line, whatever it quotes

local evaluation = {}

local function fail(format, ...) error(("evaluate: " .. format):format(...), 0) end

--- Everything about a run on some data: { summary, rows, names, thresholds }. Without `data`: the recipe's own folder,
--- calibrated on its first half if need be, reported on its second; with `data`: the run's thresholds, every
--- annotated clip of it.
function evaluation.full(run, data, options)
  options = options or {}
  if type(run) == "string" then run = runs.open(run) end
  if type(run) ~= "table" or type(run.recipe) ~= "table" or not run.calibration then
    fail("expected a run or the path of its folder, found %s", core.text(run))
  end
  local own = not data
  local folder = evaluate.data(run, data)
  if options.all then
    local changed = { score = options.score, pair = options.pair }
    if next(changed) then
      run = setmetatable({ recipe = run.recipe { calibrate = changed } }, { __index = run })
    end
    local system, names = evaluate.system(run), folder.annotated
    local ask = evaluate.asker(system, folder)
    local thresholds = calibrate.search(system, folder, names, { ask = ask, progress = options.progress })
    return evaluate.score(system, thresholds, folder, names, { ask = ask, progress = options.progress })
  end
  if not (run:calibration() or {}).thresholds then
    if not own and not run.recipe.data then fail("%s: expected calibrated thresholds, found none", run.name) end
    calibrate.thresholds(run, evaluate.data(run), options)
  end
  local names = own and select(2, evaluate.split(folder)) or folder.annotated
  return evaluate.score(evaluate.system(run), run:calibration().thresholds, folder, names, options)
end

--- co.evaluate(run, data): the table that `cohesiv eval --json` prints, per cent:
--- { All = { mean, low, high, n }, Pair = …, Hand = …, Obj = … }; tasks that a system cannot do are left out.
function evaluation.evaluate(run, data, options)
  local summary = evaluation.full(run, data, options).summary
  local out = {}
  for _, task in ipairs(evaluate.tasks) do out[task] = summary[task] end
  return out
end

--- A table as text, one line per entry { name, summary }, "mean (low-high)" per task, and the counts of the first.
function evaluation.text(entries)
  local widest, lines = 3, {}
  for _, entry in ipairs(entries) do widest = math.max(widest, #entry.name) end
  local function add(name, cell)
    local cells = {}
    for k, task in ipairs(evaluate.tasks) do cells[k] = ("%-17s"):format(cell(task)) end
    lines[#lines + 1] = (("%%-%ds  %%s"):format(widest):format(name, table.concat(cells, " ")):gsub("%s+$", ""))
  end
  add("IoU", function(task) return (" "):rep(5 - #task) .. task end)
  for _, entry in ipairs(entries) do
    add(entry.name, function(task)
      local s = entry.summary[task]
      return s and ("%5.1f (%.1f-%.1f)"):format(s.mean, s.low, s.high) or "    -"
    end)
  end
  add("n", function(task)
    local s = entries[1].summary[task]
    return s and ("%5d"):format(s.n) or "    -"
  end)
  return table.concat(lines, "\n")
end

--- A recipe's system without training as a run in memory, for tables that show baselines: a recipe or an
--- EXPERIMENT.lua. Its calibration stays in memory.
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
