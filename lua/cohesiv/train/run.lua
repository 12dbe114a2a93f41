--- Run folders: everything that one experiment did, in runs/NAME.
--
--   recipe.lua       the experiment's source, as it was          recipe.json   its flattened values
--   run.json         seed, commit, environment, what co.tune     status.json   state, epoch, step, seconds
--                    has chosen, changes of the recipe since
--   metrics.jsonl    one record a line, appended                 calibration.json   thresholds and mean embeddings
--   samples.jsonl    what was trained on, with digests
--   best.safetensors, last.safetensors                           checkpoints (the trainer writes them)
--
-- Files are written whole or not at all, by one process at a time (.lock); metrics.jsonl grows by whole lines and is
-- cut back on resume. Equal runs have equal files, but for the times in run.json, status.json and metrics.jsonl
-- (seconds). Nothing here knows what a record means.

local calibrate = require "cohesiv.hands.calibrate"
local core = require "cohesiv.core"
local first_line = require "cohesiv.base.first_line"
local home = require "cohesiv.base.home"
local json = require "cohesiv.base.json"
local kinds = require "cohesiv.base.kinds"
local lfs = require "lfs"
local models = require "cohesiv.hands.model"
local recipe = require "cohesiv.train.recipe"
local tune = require "cohesiv.nn.autotune"
local warn = require "cohesiv.base.warn"
local error = core.error -- a line, whatever it quotes

local run = {}
local Run = { __name = "run" }
Run.__index = Run

local function fail(format, ...) error(("run: " .. format):format(...), 0) end

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a"
end

-- ---- what the files hold ----

local text, number, list, map, object = kinds.text, kinds.number, kinds.list, kinds.map, kinds.object

local RECIPE = object({ name = text }, ": ")
local INFO = object({
  name = text, seed = number, commit = text, environment = object { cwd = text }, convolutions = list(kinds.any),
  changes = list(object { step = number, key = text }),
}, ": ")
local STATUS = object({ state = text, time = text, epoch = number, step = number, seconds = number, samples = number,
  validation = number }, ": ")
local CALIBRATION = object({
  thresholds = map(list(number, 1, 2)), means = map(list(number)), calibrated_on = list(text), reached = map(number),
}, ": ")

local function record_kind(key)
  local is_number = key == "epoch" or key == "step" or key == "seconds" or key == "lr" or key:match "^train_"
    or key:match "^validation_"
  return is_number and number or kinds.scalar
end
local RECORD = object(setmetatable({}, { __index = function(_, key) return record_kind(tostring(key)) end }), ": ")

-- The value of a JSON file of the run, nil where there is none.
local function read_json(path, kind)
  if not core.io.status(path) then return nil end
  return kinds.any(kind(json.read(path), path))
end

local function environment()
  local env = { lua = _VERSION, cwd = lfs.currentdir(), time = os.date "!%Y-%m-%dT%H:%M:%SZ" }
  env.system = first_line "uname -srm"
  env.cpu = first_line "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo"
  env.threads_variable = os.getenv "COHESIV_THREADS"
  env.isa_variable = os.getenv "COHESIV_ISA"
  return env, home.git "rev-parse HEAD"
end

-- ---- the lock ----

local LOCK = ".lock"
local PATIENCE, PAUSE = 2, 0.05 -- seconds: a process that was killed a moment ago may still be on its way out

-- Takes the run's lock, or adds a user to it; or false and by whom it is held. What killed writers have left goes.
-- `until_when`: the time until which a holder may let go, none for not waiting.
local function take_lock(self, until_when)
  local held, who = self.held or { users = 0, lock = false }, nil
  if not self.held then
    held.lock, who = core.io.lock(self:file(LOCK))
    while not held.lock and until_when and core.system.time() < until_when and not core.system.stopped() do
      core.system.sleep(PAUSE)
      held.lock, who = core.io.lock(self:file(LOCK))
    end
    if not held.lock then return false, who end
    self.held = held
    core.io.sweep(self.path)
  end
  held.users = held.users + 1
  if who then
    warn.once(self.path, "%s: expected a file system with locks, found: %s; let nobody else write this run", self.path,
      who)
  end
  return true
end

local function give_lock(self)
  self.held.users = self.held.users - 1
  if self.held.users > 0 then return end
  self.held.lock:close()
  self.held = false
end

local Holding = { __close = function(h) give_lock(h.run) end }

--- lock(): until the returned value is closed (`local _ <close> = run:lock()`) nobody else writes this run. Raises when
--- somebody does. May be nested; whatever here writes takes it by itself.
function Run:lock()
  local holding = setmetatable({ run = self }, Holding)
  local taken, who = take_lock(self, core.system.time() + PATIENCE)
  if not taken then error(("%s: expected a run nobody writes, found it held by %s"):format(self.path, who), 0) end
  return holding
end

-- ---- making and opening ----

local function open_folder(path)
  return setmetatable({ path = path, name = path:match "[^/]+$", recipe = false, held = false }, Run)
end

local OWN = { ["."] = true, [".."] = true, [LOCK] = true, ["recipe.lua"] = true, ["run.json"] = true,
  ["status.json"] = true }

-- Whether the folder is what a start left that was killed: there is a lock and no recipe yet, and nothing that is not
-- ours.
local function is_abandoned(path)
  if lfs.attributes(path, "mode") ~= "directory" or not core.io.status(path .. "/" .. LOCK) then return false end
  for name in lfs.dir(path) do
    if not OWN[name] and not name:match "^%.cohesiv%-.*%.tmp$" then return false end
  end
  return true
end

-- The folder, made and locked, as a run that is still empty; nil when there is one of that name already.
local function claim(path)
  local made, why = lfs.mkdir(path)
  if not made and not lfs.attributes(path, "mode") then
    fail("expected to make the folder %s, found %s", path, why)
  end
  if not made and not is_abandoned(path) then return nil end
  local self = open_folder(path)
  if not take_lock(self) then return nil end
  if made or is_abandoned(path) then return self end -- else its maker has just finished
  give_lock(self)
end

local function claim_next(root, name)
  core.io.make_folder(root)
  local n, self = 1, claim(root .. "/" .. name)
  while not self do
    n = n + 1
    self = claim(("%s/%s-%d"):format(root, name, n))
  end
  return self
end

-- recipe.json comes last: what has it is a run.
local function write_new(self, r)
  local values, names = recipe.flatten(r)
  local env, commit = environment()
  local choices = tune.choices()
  core.io.write_file(self:file "recipe.lua",
    recipe.source(r) or "-- made in memory; its values are in recipe.json\n")
  core.io.write_file(self:file "run.json", json.lines { name = self.name, seed = r.seed, commit = commit,
    environment = env, convolutions = #choices > 0 and choices or nil })
  self:set_status { state = "created" }
  core.io.write_file(self:file "recipe.json", json.lines(values, names))
end

--- Makes runs/NAME (NAME-2, NAME-3, … when it exists) for a recipe. `options.root`: the folder of runs, "runs".
--- `options.path`: exactly this folder instead, which may exist. `options.hold`: returns its lock, too.
function run.create(r, options)
  options = options or {}
  if not recipe.is(r) then fail("expected a recipe, found a %s", type(r)) end
  if not r.name:match "^[%w_.+-]+$" or r.name:match "^%.+$" then
    fail("expected a name of letters, digits, _ . + -, found %q", r.name)
  end
  local self, lock
  if options.path then
    core.io.make_folder(options.path)
    self = open_folder(options.path)
    lock = self:lock()
  else
    self = claim_next(options.root or "runs", r.name)
    lock = setmetatable({ run = self }, Holding)
  end
  self.recipe = r
  local ok, message = pcall(write_new, self, r)
  if ok and options.hold then return self, lock end
  if not ok and not options.path then self:discard() end
  give_lock(self)
  if not ok then error(message, 0) end
  return self
end

--- discard(): removes the run's folder, which must have nothing but files in it.
function Run:discard()
  for name in lfs.dir(self.path) do
    if name ~= "." and name ~= ".." and name ~= LOCK then os.remove(self:file(name)) end
  end
  if self.held then self.held.lock:close() end -- removes its file; whoever closes it once more does no harm
  lfs.rmdir(self.path)
end

--- newest(name, root = "runs"): the path of the last one of ROOT/NAME, NAME-2, NAME-3, … that is a run; nil when there
--- is none yet (a start that was killed may have left a folder without a recipe).
function run.newest(name, root)
  root = root or "runs"
  local path, n, found = root .. "/" .. name, 1, nil
  while lfs.attributes(path, "mode") == "directory" do
    if lfs.attributes(path .. "/recipe.json", "mode") == "file" then found = path end
    n = n + 1
    path = ("%s/%s-%d"):format(root, name, n)
  end
  return found
end

-- The recipe in a run folder; names of keys without a value are kept.
local function read_recipe(path)
  local names = {}
  local flat = json.read(path)
  for name in pairs(type(flat) == "table" and flat or {}) do names[#names + 1] = name end
  local values = kinds.any(RECIPE(flat, path))
  local ok, r = pcall(function()
    if values.name == nil then error("name: expected a text, found none", 0) end
    local found, base = pcall(require, "experiments.cohesiv")
    if found and recipe.is(base) then recipe.fits(values, base) end
    return recipe.unflatten(values, names)
  end)
  if not ok then fail("%s: %s", path, r) end
  return r
end

--- Opens an existing run folder: `co.run "runs/x"`. `options.hold`: locks it before it is read, and returns the lock,
--- too.
function run.open(path, options)
  if type(path) ~= "string" then fail("expected the path of a run folder, found a %s", type(path)) end
  local self = open_folder(#path > 1 and path:gsub("/+$", "") or path)
  if not self:has "recipe.json" then fail("expected a run folder with recipe.json, found %s", self.path) end
  local lock = options and options.hold and self:lock() or nil
  local ok, r = pcall(read_recipe, self:file "recipe.json")
  if ok then
    self.recipe = r
    return self, lock
  end
  if lock then give_lock(self) end
  error(r, 0)
end

--- co.run(path): run.open, for everybody.
function run.run(path) return (run.open(path)) end

--- The path of a file in the run folder.
function Run:file(name) return self.path .. "/" .. name end

--- Whether the run folder has a file.
function Run:has(name) return lfs.attributes(self:file(name), "mode") == "file" end

--- Writes a file of the run folder, whole or not at all.
function Run:write(name, content)
  local _ <close> = self:lock()
  core.io.write_file(self:file(name), content)
end

--- What run.json says: name, seed, commit, environment, convolutions (nil when nothing was tuned), changes (a list of
--- { step, key, from, to } of a recipe that was changed on the way).
function Run:info() return read_json(self:file "run.json", INFO) or {} end

-- Convolutions as when the run began, by tune.use or tune.include.
local function with_choices(self, take)
  local ok, message = pcall(take, self:info().convolutions or {})
  if not ok then fail("%s: %s", self:file "run.json", message) end
end

--- Convolutions as when the run began, and no other choices of co.tune: for going on bit for bit.
function Run:restore_choices() with_choices(self, tune.use) end

--- The recipe from here on: run.json gets the changes (see recipe.changes) with the step at which they came,
--- recipe.json the new values.
function Run:change_recipe(r, changes, step)
  local _ <close> = self:lock()
  local info = self:info()
  info.changes = info.changes or {}
  for _, c in ipairs(changes) do
    info.changes[#info.changes + 1] = { step = step, key = c.key, from = c.from, to = c.to }
  end
  self:write("run.json", json.lines(info))
  local values, names = recipe.flatten(r)
  self:write("recipe.json", json.lines(values, names))
  self.recipe = r
end

--- The run's state: a table with `state` ("created", "training", "stopped", "done", …) and what the trainer adds.
function Run:status()
  local status = read_json(self:file "status.json", STATUS) or {}
  status.state = status.state or "unknown"
  return status
end

--- Replaces the state.
function Run:set_status(status)
  status.time = os.date "!%Y-%m-%dT%H:%M:%SZ"
  self:write("status.json", json.lines(status))
end

--- Replaces the state alone.
function Run:set_state(state)
  local status = self:status()
  status.state = state
  self:set_status(status)
end

--- Appends one record (a flat table of numbers and strings) to metrics.jsonl.
function Run:log(record)
  local line = json.row(record) -- before the file is open
  local _ <close> = self:lock()
  local file <close>, why = io.open(self:file "metrics.jsonl", "ab")
  local written
  if file then written, why = file:write(line) end
  if written then written, why = file:flush() end
  if not written then fail("expected to append to metrics.jsonl, found %s", why) end
end

--- All records of metrics.jsonl, in order, and their lines. A last line cut short by a crash is left out.
function Run:metrics()
  local records, lines = {}, {}
  for line in (read(self:file "metrics.jsonl") or ""):gmatch "([^\n]*)\n" do
    local where = ("run: %s: line %d"):format(self:file "metrics.jsonl", #records + 1)
    records[#records + 1], lines[#lines + 1] = kinds.any(RECORD(json.decode(line, where), where)), line
  end
  return records, lines
end

--- Cuts metrics.jsonl back to the records for which `keep(record)` holds, for example those up to a checkpoint's step.
function Run:cut(keep)
  if not self:has "metrics.jsonl" then return end
  local records, lines = self:metrics()
  local kept = {}
  for i, record in ipairs(records) do
    if keep(record) then kept[#kept + 1] = lines[i] .. "\n" end
  end
  self:write("metrics.jsonl", table.concat(kept))
end

--- The calibration: { thresholds = …, means = { object = {…}, person = {…} }, … }, or nil before it was made.
function Run:calibration() return read_json(self:file "calibration.json", CALIBRATION) end

--- Stores the calibration.
function Run:set_calibration(t) self:write("calibration.json", json.lines(t)) end

--- The trained model in evaluation mode, ready for `predict`. `name`: which checkpoint, "best" (default) or "last".
-- run.dtype, where it is set, is what the model is converted to. Its convolutions are computed as when the run began:
-- choices that co.tune had made then count again.
function Run:model(name)
  local file = (name or "best") .. ".safetensors"
  if not self:has(file) then fail("%s: expected a trained model (%s), found none", self.path, file) end
  local options = {}
  for k, v in pairs(self.recipe.model) do
    if k ~= "encoder_weights" then options[k] = v end
  end
  with_choices(self, tune.include)
  local model = models.model(options)
  model:load(self:file(file))
  model:eval()
  calibrate.attach(model, self.recipe, self:calibration())
  return self.dtype and model:to(self.dtype) or model
end

-- A run may stand behind another table that has its own recipe (evaluate.lua).
require("cohesiv.base.options").guard("run", Run, function(x) return type(x) == "table" and x.recipe ~= nil end)

return run
