--- What of a sweep lies on disk, in runs/NAME:
--   sweep.lua     the file's text, as it was last run      sweep.json   file, changes, and the entries by name
--   ENTRY/        the run folder of each entry             results.csv  what was reached, when all has been run
--   logs/ENTRY.log    what its processes have printed      logs/ENTRY.json   how far it is, while it is running
-- All that is known of a sweep's state stands here, so that who runs it may be killed at any moment, and several may
-- run it at once. And the work on one entry: training or going on with it, evaluation, "done".
local core = require "cohesiv.core"
local json, kinds, lists = require "cohesiv.base.json", require "cohesiv.base.kinds", require "cohesiv.base.lists"
local progress = require "cohesiv.base.progress"
local evaluate = require "cohesiv.hands.evaluate"
local evaluation, recipes = require "cohesiv.train.evaluation", require "cohesiv.train.recipe"
local runs, sweeps = require "cohesiv.train.run", require "cohesiv.train.sweep"
local predicted_query, train = require "cohesiv.train.tasks.predicted_query", require "cohesiv.train.train"
local M = {}
local Folder = {}
Folder.__index = Folder

local BEAT_SECONDS = 1 -- between two notes of how far a run is
local PATIENCE = 10 -- looks within that time at a lock that is held

local KIND = kinds.object({ file = kinds.text, changes = kinds.list(kinds.text),
  entries = kinds.list(kinds.object { name = kinds.text }) }, ": ")

--- at(path, entries): the folder of a sweep of these entries; writes nothing.
function M.at(path, entries) return setmetatable({ path = path, entries = entries, seen = {}, opened = {} }, Folder) end

--- is(path): whether a sweep's runs lie there.
function M.is(path) return core.io.status(path .. "/sweep.json") == "file" end

--- paths(path): the run folders of a sweep, in its order: those that there are already.
function M.paths(path)
  local entries = KIND(json.read(path .. "/sweep.json"), path .. "/sweep.json").entries or {}
  return lists.map(entries, function(entry)
    local run = ("%s/%s"):format(path, entry.name or "")
    return core.io.status(run .. "/recipe.json") and run
  end)
end

function Folder:run(entry) return ("%s/%s"):format(self.path, entry.name) end
function Folder:log(entry) return ("%s/logs/%s.log"):format(self.path, entry.name) end
function Folder:beat(entry) return ("%s/logs/%s.json"):format(self.path, entry.name) end

local function has_run(path) return core.io.status(path .. "/recipe.json") == "file" end

--- folder:check(): raises when a run of an entry's name began with another recipe.
function Folder:check()
  if has_run(self.path) then
    core.refuse("sweep: expected %s to be a sweep's folder, found a run there: give --name", self.path)
  end
  local may_change = lists.set(train.may_change)
  for _, entry in ipairs(self.entries) do
    local path = self:run(entry)
    local changes = has_run(path) and recipes.changes(runs.run(path).recipe, entry.recipe) or {}
    changes = lists.map(changes, function(change) return not may_change[change.key] and change end)
    if #changes > 0 then
      core.refuse("sweep: %s: expected the recipe that the run began with, found another: %s (give --name, or remove "
        .. "the run)", path, recipes.changes_text(changes))
    end
  end
end

--- folder:create(file, changes, text): makes it, or brings it up to date.
function Folder:create(file, changes, text)
  self:check()
  core.io.make_folder(self.path .. "/logs")
  core.io.sweep(self.path)
  core.io.sweep(self.path .. "/logs")
  core.io.write_file(self.path .. "/sweep.lua", text)
  json.write(self.path .. "/sweep.json", { file = file, changes = json.list(changes),
    entries = lists.map(self.entries, function(entry)
      return { name = entry.name, changes = sweeps.changes_text(entry) }
    end) })
end

-- ---- how an entry stands ----
local OVER = lists.set { "done", "dropped" }

-- Means of the four tasks, as kept.
local function figures_of(run)
  local scores = run:scores()
  local summary = scores and evaluate.summarise(scores.rows, scores.names) or {}
  local out = {}
  for _, task in ipairs(evaluate.tasks) do out[task] = summary[task] and summary[task].mean end
  return out
end

local function last_loss(run)
  local records = run:metrics()
  local record = records[#records] or {}
  return record.validation_total or record.train_total
end

-- Whether a recipe wants more, or less, training than a run has had: it goes on with that.
local function is_longer(before, recipe)
  local wanted = lists.set { "epochs", "minutes" }
  return #lists.map(recipes.changes(before, recipe), function(change) return wanted[change.key] end) > 0
end

local TOLD = { step = "number", loss = "number", share = "number", label = "string" }

-- What the process of an entry has told of how far it is: step, loss, share, label, and when (time).
function Folder:told(entry)
  local ok, beat = pcall(json.read, self:beat(entry))
  local out = { time = ok and type(beat) == "table" and tonumber(beat.time) or 0 }
  for key, kind in pairs(out.time > 0 and TOLD or {}) do
    if type(beat[key]) == kind then out[key] = beat[key] end
  end
  return out
end

function Folder:lock(entry) return ("%s/logs/%s.lock"):format(self.path, entry.name) end

-- Whether a process works on an entry, by the lock that it holds from its beginning, before there is a run folder.
function Folder:is_begun(entry)
  if not core.io.status(self:lock(entry)) then return false end
  local lock = core.io.lock(self:lock(entry))
  if lock then lock:close() end
  return not lock
end

local function take(row, told)
  row.state = "running"
  for key in pairs(TOLD) do row[key] = told[key] or row[key] end
end

--- folder:row(entry): { name, state, step, loss, share, seconds, figures, held, label }: state is "waiting" (nothing is
-- there), "running" (a process has it: held says which), "stopped" (it can go on), "paused" (by halving), "dropped" (by
-- halving) or "done".
function Folder:row(entry)
  if self.seen[entry.name] then return self.seen[entry.name] end
  local row, path = { name = entry.name, state = "waiting", figures = {} }, self:run(entry)
  if not self.opened[entry.name] and has_run(path) then
    local ok, run = pcall(runs.run, path)
    self.opened[entry.name] = ok and run or nil
  end
  local run = self.opened[entry.name]
  local ok, status = pcall(function() return run:status() end)
  if not run or not ok then -- its process may be at the maps, which come first
    if self:is_begun(entry) then take(row, self:told(entry)) end
    return row
  end
  row.state, row.step, row.seconds, row.share = status.state, status.step, status.seconds, status.share
  if row.state == "done" and is_longer(run.recipe, entry.recipe) then row.state = "stopped" end
  local read, loss = pcall(last_loss, run)
  row.loss = read and type(loss) == "number" and loss or nil
  if OVER[row.state] then
    row.figures, row.share = figures_of(run), row.state == "done" and 1 or row.share
    self.seen[entry.name] = row -- it stays so
    return row
  end
  local _, held = pcall(run.held_by, run)
  if type(held) == "string" or self:is_begun(entry) then
    row.held = type(held) == "string" and held or nil
    take(row, self:told(entry))
  elseif row.state ~= "paused" then
    row.state = "stopped"
  end
  return row
end

--- folder:forget(entry): looks at it anew; its process has ended.
function Folder:forget(entry)
  self.seen[entry.name], self.opened[entry.name] = nil, nil
  os.remove(self:beat(entry))
end

--- folder:merit(entry): how good a run is so far, a list to compare by: the mean IoU reached where thresholds were
-- chosen, as far as there are masks, else minus its loss.
function Folder:merit(entry)
  local run = runs.run(self:run(entry))
  local sum, n = 0, 0
  for _, value in pairs((run:calibration() or {}).reached or {}) do sum, n = sum + value, n + 1 end
  return n > 0 and sum / n or -(last_loss(run) or math.huge), n > 0
end

--- folder:drop(entry): gives a run up.
function Folder:drop(entry)
  runs.run(self:run(entry)):set_state "dropped"
  self:forget(entry)
end

-- ---- the work on one ----
-- Does an entry's work, unless another process does it: then waits for that.
function Folder:have(entry)
  while not OVER[self:row(entry).state] do
    if core.system.stopped() then core.refuse("interrupted: waiting for %s", entry.name) end
    if self:row(entry).state == "running" then core.system.sleep(BEAT_SECONDS) else self:work(entry) end
  end
end

-- Whether a run's answers can be measured: where its data has masks.
local function can_be_reported(run)
  local _, names = evaluate.part(run, "evaluate")
  return #names > 0 and (run:calibration() or {}).thresholds ~= nil
end

local function beats(path)
  local told = -math.huge
  return function(label, done, total, facts)
    local now = core.system.time()
    if now - told < BEAT_SECONDS then return end
    told = now
    local note = { label = label, done = done, total = total, time = core.system.now() }
    for key, value in pairs(facts or {}) do note[key] = value end
    local file <close> = io.open(path .. ".new", "w") -- where it cannot be written, nothing is told
    if file and file:write(json.row(note)) and file:flush() then os.rename(path .. ".new", path) end
  end
end

--- folder:work(entry, pause): trains an entry's run, or goes on with it, up to that share if given, evaluates it where
-- its data has masks, and says that it is done.
function Folder:work(entry, pause)
  local needed = predicted_query.needed(self.entries, entry)
  if needed then self:have(needed) end
  local path, lock = self:run(entry), nil
  for _ = 1, PATIENCE do -- who only looks holds it for a moment
    lock = lock or core.io.lock(self:lock(entry))
    if not lock then core.system.sleep(BEAT_SECONDS / PATIENCE) end
  end
  if not lock then core.refuse("sweep: %s: expected it free, found another process at work on it", entry.name) end
  local _ <close> = lock
  progress.heard = beats(self:beat(entry))
  local run = train.train(entry.recipe, { path = path, resume = has_run(path) and path or nil, state = "trained",
    again = "the same sweep", pause = pause })
  if run:status().state == "paused" then return end
  local _ <close> = run:lock()
  if can_be_reported(run) then evaluation.rows(run, { progress = function(done, total)
    progress.heard("evaluate", done, total, { step = run:status().step, share = 1 })
  end }) end
  run:set_state "done"
end

return M
