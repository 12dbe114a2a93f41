--- Run folders: everything that one experiment did, in runs/NAME.
--
--   recipe.lua       the experiment's source, as it was          recipe.json   its flattened values
--   run.json         seed, commit, environment, what co.tune     status.json   state, epoch, step
--                    has chosen for convolutions
--   metrics.jsonl    one record a line, appended                 calibration.json   thresholds and mean embeddings
--   best.safetensors, last.safetensors                           checkpoints (the trainer writes them)
--
-- Files are written whole or not at all; metrics.jsonl grows by whole lines and is cut back on resume. Nothing here
-- knows what a record means.

local core = require "cohesiv.core"
local json = require "cohesiv.json"
local lfs = require "lfs"
local recipe = require "cohesiv.recipe"
local tune = require "cohesiv.tune"

local run = {}
local Run = { __name = "run" }
Run.__index = Run

local function fail(format, ...) error(("run: " .. format):format(...), 0) end

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a"
end

local function fits_json(v) return type(v) ~= "number" or (v == v and math.abs(v) < math.huge) end

-- The fields of an object as JSON, keys sorted: the same table always gives the same text. NaN becomes null.
local function json_fields(t, absent)
  local keys, fields = {}, {}
  for k in pairs(t) do keys[#keys + 1] = k end
  for _, k in ipairs(absent or {}) do
    if t[k] == nil then keys[#keys + 1] = k end
  end
  table.sort(keys)
  for i, k in ipairs(keys) do
    local held = t[k] ~= nil and fits_json(t[k])
    fields[i] = ("%s: %s"):format(json.encode(k), held and json.encode(t[k]) or "null")
  end
  return fields
end

local function json_lines(t, absent) return "{\n  " .. table.concat(json_fields(t, absent), ",\n  ") .. "\n}\n" end

-- JSON has one kind of number: whole ones become Lua integers again, so that they print as such.
local function whole(value)
  if type(value) == "table" then
    for k, v in pairs(value) do value[k] = whole(v) end
  elseif math.type(value) == "float" then
    return math.tointeger(value) or value
  end
  return value
end

local function read_json(path)
  if not core.io.status(path) then return nil end
  local value = json.read(path)
  if type(value) ~= "table" then fail("%s: expected a JSON object, found a %s", path, type(value)) end
  return whole(value)
end

local function line_of(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local line = pipe and pipe:read "l"
  if pipe then pipe:close() end
  return line
end

local function environment()
  local source = debug.getinfo(1, "S").source:match "^@(.*)/lua/cohesiv/[^/]*$"
  local env = { lua = _VERSION, cwd = lfs.currentdir(), time = os.date "!%Y-%m-%dT%H:%M:%SZ" }
  env.system = line_of "uname -srm"
  env.cpu = line_of "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo"
  env.threads_variable = os.getenv "COHESIV_THREADS"
  env.isa_variable = os.getenv "COHESIV_ISA"
  local commit = source and line_of(("git -C '%s' rev-parse HEAD"):format(source:gsub("'", "'\\''")))
  return env, commit
end

local function make_folder(path)
  local ok, why = lfs.mkdir(path)
  if not ok and lfs.attributes(path, "mode") ~= "directory" then
    fail("expected to make the folder %s, found %s", path, why)
  end
end

-- Every folder on the way to `path`.
local function make_parents(path)
  local at = path:sub(1, 1) == "/" and "/" or ""
  for part in path:gmatch "[^/]+" do
    at = at .. part
    make_folder(at)
    at = at .. "/"
  end
end

--- Makes runs/NAME (NAME-2, NAME-3, … when it exists) for a recipe. `options.root`: the folder of runs, "runs".
--- `options.path`: exactly this folder instead, which may exist.
function run.create(r, options)
  options = options or {}
  if not recipe.is(r) then fail("expected a recipe, found a %s", type(r)) end
  if not r.name:match "^[%w_.+-]+$" or r.name:match "^%.+$" then
    fail("expected a name of letters, digits, _ . + -, found %q", r.name)
  end
  local path = options.path
  if path then
    make_parents(path)
  else
    local root = options.root or "runs"
    make_parents(root)
    path = root .. "/" .. r.name
    local n = 1
    while not lfs.mkdir(path) do
      if not lfs.attributes(path, "mode") then fail("expected to make the folder %s", path) end
      n = n + 1
      path = ("%s/%s-%d"):format(root, r.name, n)
    end
  end
  local self = setmetatable({ path = path, name = path:match "[^/]+$", recipe = r }, Run)
  local values, names = recipe.flatten(r)
  local text = recipe.source(r)
  core.io.write_file(path .. "/recipe.lua", text or "-- made in memory; its values are in recipe.json\n")
  core.io.write_file(path .. "/recipe.json", json_lines(values, names))
  local env, commit = environment()
  local choices = tune.choices()
  core.io.write_file(path .. "/run.json", json_lines { name = self.name, seed = r.seed, commit = commit,
    environment = env, convolutions = #choices > 0 and choices or nil })
  self:set_status { state = "created" }
  return self
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

--- Opens an existing run folder: `co.run "runs/x"`.
function run.open(path)
  if type(path) ~= "string" then fail("expected the path of a run folder, found a %s", type(path)) end
  path = #path > 1 and path:gsub("/+$", "") or path
  local flat = read_json(path .. "/recipe.json")
  if not flat then fail("expected a run folder with recipe.json, found %s", path) end
  local values, names = {}, {}
  for name, value in pairs(flat) do
    names[#names + 1] = name
    if value ~= json.null then values[name] = value end
  end
  local ok, r = pcall(recipe.unflatten, values, names)
  if not ok then fail("%s/recipe.json: %s", path, r) end
  return setmetatable({ path = path, name = path:match "[^/]+$", recipe = r }, Run)
end

run.run = run.open

--- The path of a file in the run folder.
function Run:file(name) return self.path .. "/" .. name end

--- Whether the run folder has a file.
function Run:has(name) return lfs.attributes(self:file(name), "mode") == "file" end

--- Writes a file of the run folder, whole or not at all.
function Run:write(name, text) core.io.write_file(self:file(name), text) end

--- What run.json says: name, seed, commit, environment, convolutions (nil when nothing was tuned).
function Run:info() return read_json(self:file "run.json") or {} end

--- Convolutions as when the run began, and no other choices of co.tune: for going on bit for bit.
function Run:restore_choices() tune.use(self:info().convolutions or {}) end

--- The run's state: a table with `state` ("created", "training", "stopped", "done", …) and what the trainer adds.
function Run:status() return read_json(self:file "status.json") or { state = "unknown" } end

--- Replaces the state.
function Run:set_status(status)
  status.time = os.date "!%Y-%m-%dT%H:%M:%SZ"
  core.io.write_file(self:file "status.json", json_lines(status))
end

--- Appends one record (a flat table of numbers and strings) to metrics.jsonl.
function Run:log(record)
  local line = "{" .. table.concat(json_fields(record), ", ") .. "}\n" -- before the file is open
  local file <close>, why = io.open(self:file "metrics.jsonl", "ab")
  local written
  if file then written, why = file:write(line) end
  if written then written, why = file:flush() end
  if not written then fail("expected to append to metrics.jsonl, found %s", why) end
end

--- All records of metrics.jsonl, in order, and their lines. A last line cut short by a crash is left out.
function Run:metrics()
  local records = {}
  local lines = {}
  for line in (read(self:file "metrics.jsonl") or ""):gmatch "([^\n]*)\n" do
    local record = json.decode(line, ("run: %s: line %d"):format(self:file "metrics.jsonl", #records + 1))
    for k, v in pairs(record) do
      if v == json.null then record[k] = nil end
    end
    records[#records + 1], lines[#lines + 1] = whole(record), line
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
  core.io.write_file(self:file "metrics.jsonl", table.concat(kept))
end

--- The calibration: { thresholds = …, means = { object = {…}, person = {…} }, … }, or nil before it was made.
function Run:calibration() return read_json(self:file "calibration.json") end

--- Stores the calibration.
function Run:set_calibration(t) core.io.write_file(self:file "calibration.json", json_lines(t)) end

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
  tune.include(self:info().convolutions or {})
  local model = require "cohesiv".model(options)
  model:load(self:file(file))
  model:eval()
  require "cohesiv.calibrate".attach(model, self.recipe, self:calibration())
  return self.dtype and model:to(self.dtype) or model
end

return run
