--- Run folders: everything that one experiment did, in runs/NAME.
--   recipe.lua       the experiment's source, as it was          recipe.json   its flattened values
--   modules.json     the files that it requires, as they were
--   run.json         seed, commit, environment, what co.tune     status.json   state, epoch, step, seconds
--                    has chosen, changes of the recipe since
--   metrics.jsonl    one record a line, appended                 calibration.json   thresholds and mean embeddings
--   samples.jsonl    what was trained on, with digests          scores.json   IoU of every query that was reported
--   best.safetensors, last.safetensors                           checkpoints (the trainer writes them)
-- Files are written whole or not at all, by one process at a time (.lock); metrics.jsonl grows by whole lines and is
-- cut back on resume. Equal runs have equal files, but for the times in run.json, status.json and metrics.jsonl.
local core = require "cohesiv.core"
local warn = require "cohesiv.base.warn"
local tune = require "cohesiv.nn.autotune"
local code, files, recipe = require "cohesiv.train.code", require "cohesiv.train.files", require "cohesiv.train.recipe"
local first_line, home = require "cohesiv.base.first_line", require "cohesiv.base.home"
local json, kinds, lists = require "cohesiv.base.json", require "cohesiv.base.kinds", require "cohesiv.base.lists"
local calibrate, models = require "cohesiv.hands.calibrate", require "cohesiv.hands.model"
local lfs = require "lfs"
local run = {}
local Run = { __name = "run" }
Run.__index = Run

local function fail(format, ...) core.refuse("run: " .. format, ...) end

local text, number, list, map, object = kinds.text, kinds.number, kinds.list, kinds.map, kinds.object

local RECIPE = object({ name = text }, ": ")
local INFO = object({
  name = text, seed = number, commit = text, environment = object { cwd = text }, convolutions = list(kinds.any),
  changes = list(object { step = number, key = text }),
}, ": ")
local STATUS = object({ state = text, time = text, epoch = number, step = number, seconds = number, share = number,
  samples = number, validation = number }, ": ")
local CALIBRATION = object({
  thresholds = map(list(number, 1, 3)), means = map(list(number)), calibrated_on = list(text), reached = map(number),
}, ": ")

local SCORES = object({
  of = text, names = list(text), rows = list(object { clip = text, n = number, q = number, task = text, iou = number }),
}, ": ")

local RECORD = object(setmetatable({}, { __index = function(_, key)
  for _, pattern in ipairs { "^epoch$", "^step$", "^seconds$", "^lr$", "^train_", "^validation_" } do
    if tostring(key):find(pattern) then return number end
  end
  return kinds.scalar
end }), ": ")

-- The value of a JSON file of the run, nil where there is none.
local function read_json(self, name, kind)
  local path = self:file(name)
  if not core.io.status(path) then return nil end
  return kinds.any(kind(json.read(path), path))
end

local function now() return os.date "!%Y-%m-%dT%H:%M:%SZ" end

local LOCK = ".lock"
local PATIENCE, PAUSE = 2, 0.05 -- seconds: a process that was killed a moment ago may still be on its way out

local Holding = { __close = function(holding)
  holding.run.held:close()
  holding.run.held = false
end }

-- Takes the run's lock, to be closed, and removes what killed writers have left; nil and by whom it is held.
local function hold(self, patience)
  local holding, until_when = setmetatable({ run = self }, Holding), core.system.time() + patience
  local lock, who = core.io.lock(self:file(LOCK))
  while not lock and core.system.time() < until_when and not core.system.stopped() do
    core.system.sleep(PAUSE)
    lock, who = core.io.lock(self:file(LOCK))
  end
  if not lock then return nil, who end
  self.held = lock
  core.io.sweep(self.path)
  if who then
    warn.once(self.path, "%s: expected a file system with locks, found: %s; let nobody else write this run", self.path,
      who)
  end
  return holding
end

--- lock(): until the returned value is closed (`local _ <close> = run:lock()`) nobody else writes this run. Raises when
-- somebody does. Whatever here writes takes it by itself; nil where this run holds it already.
function Run:lock()
  if self.held then return nil end
  local holding, who = hold(self, PATIENCE)
  return holding or core.refuse("%s: expected a run nobody writes, found it held by %s", self.path, who)
end

local function open_folder(path)
  return setmetatable({ path = path, name = path:match "[^/]+$", recipe = false, held = false }, Run)
end

local OWN = { ["."] = true, [".."] = true, [LOCK] = true, ["recipe.lua"] = true, ["run.json"] = true,
  ["status.json"] = true }

-- Whether the folder is what a killed start left: a lock, no recipe yet, and nothing that is not ours.
local function is_abandoned(path)
  if lfs.attributes(path, "mode") ~= "directory" or not core.io.status(path .. "/" .. LOCK) then return false end
  for name in lfs.dir(path) do
    if not OWN[name] and not name:match "^%.cohesiv%-.*%.tmp$" then return false end
  end
  return true
end

-- The folder, made, as a run that is still empty, and its lock; nil when there is one of that name already.
local function claim(path)
  local made, why = lfs.mkdir(path)
  if not made and not lfs.attributes(path, "mode") then
    fail("expected to make the folder %s, found %s", path, why)
  end
  if not made and not is_abandoned(path) then return nil end
  local self = open_folder(path)
  local lock = hold(self, 0)
  if lock and (made or is_abandoned(path)) then return self, lock end
  local _ <close> = lock -- its maker has just finished
end

local function numbered(root, name, n) return ("%s/%s%s"):format(root, name, n > 1 and "-" .. n or "") end

-- recipe.json comes last: what has it is a run.
local function write_new(self)
  local choices = tune.choices()
  local bundle = recipe.bundle(self.recipe) or { text = "-- made in memory; its values are in recipe.json\n",
    path = "recipe.lua", modules = {} }
  files.keep(self, bundle, recipe.has_code(self.recipe))
  self:write("run.json", json.lines {
    name = self.name, seed = self.recipe.seed, commit = home.git "rev-parse HEAD",
    environment = {
      lua = _VERSION, cwd = lfs.currentdir(), time = now(), system = first_line "uname -srm",
      cpu = first_line "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo",
      threads_variable = os.getenv "COHESIV_THREADS", isa_variable = os.getenv "COHESIV_ISA",
    },
    convolutions = #choices > 0 and choices or nil,
  })
  self:set_status { state = "created" }
  self:write("recipe.json", json.lines(recipe.plain(self.recipe)))
end

--- Makes runs/NAME (NAME-2, NAME-3, … when it exists) for a recipe. `options.root`: the folder of runs, "runs".
-- `options.path`: exactly this folder instead, which may exist. `options.hold`: returns its lock, too.
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
    local root = options.root or "runs"
    core.io.make_folder(root)
    for n = 1, math.huge do
      self, lock = claim(numbered(root, r.name, n))
      if self then break end
    end
  end
  self.recipe = r
  local ok, message = pcall(write_new, self)
  if ok and options.hold then return self, lock end
  local _ <close> = lock
  if ok then return self end
  if not options.path then self:discard() end
  core.error(message, 0)
end

--- discard(): removes the run's folder, which must have nothing but files in it.
function Run:discard()
  for name in lfs.dir(self.path) do
    if name ~= "." and name ~= ".." and name ~= LOCK then os.remove(self:file(name)) end
  end
  if self.held then self.held:close() end -- removes its file; whoever closes it once more does no harm
  lfs.rmdir(self.path)
end

--- newest(name, root = "runs"): the path of the last of ROOT/NAME, NAME-2, … that is a run (has a recipe), or nil.
function run.newest(name, root)
  local found
  for n = 1, math.huge do
    local path = numbered(root or "runs", name, n)
    if lfs.attributes(path, "mode") ~= "directory" then return found end
    if lfs.attributes(path .. "/recipe.json", "mode") == "file" then found = path end
  end
end

--- list(root = "runs"): the paths of all runs in a folder, sorted by name, those of a sweep at its place.
function run.list(root)
  root = root or "runs"
  if core.io.status(root) ~= "folder" then fail("expected a folder of runs, found none at %s", root) end
  local paths = {}
  for _, name in ipairs(core.io.list(root)) do
    local path = root .. "/" .. name
    if core.io.status(path .. "/recipe.json") == "file" then
      paths[#paths + 1] = path
    elseif core.io.status(path .. "/sweep.json") == "file" then
      for _, inner in ipairs(run.list(path)) do paths[#paths + 1] = inner end
    end
  end
  return paths
end

-- Functions of a recipe, in place of what recipe.json says of them: each is looked for in the kept files when it is
-- first called.
local function with_code(self, values)
  local find
  for name, value in pairs(values) do
    local digest = type(value) == "table" and value.digest
    if type(digest) == "string" and type(value["function"]) == "string" then
      values[name] = code.stand_in(digest, value["function"], function()
        local bundle = not find and (files.kept(self)
          or fail("%s: expected the files of its functions (modules.json), found none", self.path))
        find = find or recipe.finder(bundle)
        return find(name, digest)
      end)
    end
  end
  return values
end

-- The recipe in a run folder; names of keys without a value are kept.
local function read_recipe(self)
  local path = self:file "recipe.json"
  local flat = json.read(path)
  local names = lists.keys(type(flat) == "table" and flat or {})
  local values = with_code(self, kinds.any(RECIPE(flat, path)))
  local ok, r = pcall(function()
    if values.name == nil then core.refuse "name: expected a text, found none" end
    local base = recipe.method()
    if base then recipe.fits(values, base) end
    return recipe.unflatten(values, names)
  end)
  return ok and r or fail("%s: %s", path, r)
end

--- Opens a run folder: `co.run "runs/x"`. `options.hold`: locks it before it is read, and returns the lock, too.
function run.open(path, options)
  if type(path) ~= "string" then fail("expected the path of a run folder, found a %s", type(path)) end
  local self = open_folder(#path > 1 and path:gsub("/+$", "") or path)
  if not self:has "recipe.json" then fail("expected a run folder with recipe.json, found %s", self.path) end
  local lock = options and options.hold and self:lock() or nil
  local ok, r = pcall(read_recipe, self)
  if ok then
    self.recipe = r
    return self, lock
  end
  local _ <close> = lock
  core.error(r, 0)
end

--- co.run(path): the run in a folder: run.recipe, run:model(), run:status(), run:metrics(), run:calibration().
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

--- run.json: name, seed, commit, environment; tuned convolutions; changes of the recipe: { step, key, from, to }, ….
function Run:info() return read_json(self, "run.json", INFO) or {} end

--- The convolutions of the run's beginning for co.tune's choices, or (take = tune.include) beside them.
function Run:restore_choices(take)
  local ok, message = pcall(take or tune.use, self:info().convolutions or {})
  if not ok then fail("%s: %s", self:file "run.json", message) end
end

--- The recipe from a step on: run.json gets the changes (see recipe.changes) and the step, recipe.json the new values.
function Run:change_recipe(r, changes, step)
  local _ <close> = self:lock()
  local info = self:info()
  info.changes = info.changes or {}
  for _, c in ipairs(changes) do
    info.changes[#info.changes + 1] = { step = step, key = c.key, from = c.from, to = c.to }
  end
  self:write("run.json", json.lines(info))
  self:write("recipe.json", json.lines(recipe.plain(r)))
  self.recipe = r
end

--- The run's state: a table with `state` ("created", "training", "stopped", "done", …) and what the trainer adds.
function Run:status()
  local status = read_json(self, "status.json", STATUS) or {}
  status.state = status.state or "unknown"
  return status
end

--- Replaces the state.
function Run:set_status(status)
  status.time = now()
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
  local records, lines, path = {}, {}, self:file "metrics.jsonl"
  for line in (self:has "metrics.jsonl" and core.io.read_file(path) or ""):gmatch "([^\n]*)\n" do
    local where = ("run: %s: line %d"):format(path, #records + 1)
    records[#records + 1], lines[#lines + 1] = kinds.any(RECORD(json.decode(line, where), where)), line
  end
  return records, lines
end

--- Cuts metrics.jsonl back to the records for which `keep(record)` holds, for example those up to a checkpoint's step.
function Run:cut(keep)
  if not self:has "metrics.jsonl" then return end
  local records, lines = self:metrics()
  local kept = lists.map(records, function(record, i) return keep(record) and lines[i] .. "\n" end)
  self:write("metrics.jsonl", table.concat(kept))
end

--- The calibration: { thresholds = …, means = { object = {…}, person = {…} }, … }, or nil before it was made.
function Run:calibration() return read_json(self, "calibration.json", CALIBRATION) end

--- Stores the calibration.
function Run:set_calibration(t) self:write("calibration.json", json.lines(t)) end

-- What scores are of: the thresholds and the step of the weights.
local function scored(self)
  local calibration = self:has "calibration.json" and core.io.read_file(self:file "calibration.json") or ""
  return core.io.digest(("%s\n%s"):format(calibration, self:status().step))
end

--- The scores of the clips that the recipe reports, { names, rows = list of { clip, n, q, task, iou } }, as kept by
-- set_scores; nil where there are none, or thresholds or weights have changed since.
function Run:scores()
  local scores = read_json(self, "scores.json", SCORES)
  return scores and scores.of == scored(self) and scores or nil
end

--- Keeps the scores of an evaluation: its names and rows. A folder that cannot be written is warned of: scores can be
-- had without one.
function Run:set_scores(result)
  local content = json.lines { of = scored(self), names = result.names, rows = result.rows }
  local ok, why = pcall(self.write, self, "scores.json", content)
  if not ok and core.system.stopped() then core.error(why, 0) end
  if not ok then warn.line("%s: the scores are not kept: %s", self.path, why) end
end

--- Whether a process writes this run, and who.
function Run:held_by()
  local lock, who = core.io.lock(self:file(LOCK))
  if lock then lock:close() end
  return not lock and who or nil
end

--- The trained model in evaluation mode, ready for `predict`, converted to run.dtype where that is set. `name`: which
-- checkpoint, "best" (default) or "last". Choices that co.tune had made when the run began count again.
function Run:model(name)
  local file = (name or "best") .. ".safetensors"
  if not self:has(file) then fail("%s: expected a trained model (%s), found none", self.path, file) end
  self:restore_choices(tune.include)
  local model = models.like(self.recipe.model) -- the checkpoint has the encoder's weights
  model:load(self:file(file))
  model:eval()
  calibrate.attach(model, self.recipe, self:calibration())
  return self.dtype and model:to(self.dtype) or model
end

-- A run may stand behind another table that has its own recipe (evaluate.lua).
require("cohesiv.base.options").guard("run", Run, function(x) return type(x) == "table" and x.recipe ~= nil end)

return run
