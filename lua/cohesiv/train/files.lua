--- The files of an experiment: the one that is read and those that it requires. They are kept with a run, and read
-- again from there. The library's own modules and its base recipe are not among them.
--   bundle = { path, text, modules = name → { path, text } }
local core = require "cohesiv.core"
local home, json, lists = require "cohesiv.base.home", require "cohesiv.base.json", require "cohesiv.base.lists"
local kinds = require "cohesiv.base.kinds"
local lfs = require "lfs"
local M = {}

local BASE = "experiments.cohesiv" -- declares what the library reads: always the library's own

local current -- the bundle that is being read

--- current(): the bundle that is being read, or nil.
function M.current() return current end

-- Makes `require "experiments.x"` find the files beside this library, beside the experiment and in its folder, from any
-- folder.
local folders = {}
local function extend_path(folder)
  local pattern = folder .. "/?.lua"
  folders[#folders + 1] = folder .. "/"
  if not (";" .. package.path .. ";"):find(";" .. pattern .. ";", 1, true) then
    package.path = package.path .. ";" .. pattern
  end
end

if home.checkout then extend_path(home.checkout) end

-- The file of a module that belongs to the experiment; nil for one of the library or of anybody else.
local function own_file(name)
  if name == BASE or name == "cohesiv" or name:find "^cohesiv%." then return nil end
  local path = package.searchpath(name, package.path)
  if not path then return nil end
  local own = name:find "^experiments%." ~= nil or path:sub(1, 1) ~= "/" -- beside where the program was started
  for _, folder in ipairs(folders) do own = own or path:sub(1, #folder) == folder end
  return own and path or nil
end

local function read(path)
  local file <close>, why = io.open(path, "r")
  local text = file and file:read "a"
  if not text then core.refuse("experiment: expected a readable file, found %s", why or "the folder " .. path) end
  return text
end

--- What belongs to texts: path → text of a bundle's files.
function M.texts(bundle)
  local texts = {}
  for _, file in pairs(bundle and bundle.modules or {}) do texts[file.path] = file.text end
  if bundle then texts[bundle.path] = bundle.text end
  return texts
end

-- Runs one file of a bundle; `seen(value, file)` hears what each returned.
local function run(bundle, env, file, seen)
  local chunk, problem = load(file.text, "@" .. file.path, "t", env)
  if not chunk then error(problem, 0) end
  local before = current
  current = { path = file.path, text = file.text, modules = bundle.modules }
  local _ <close> = setmetatable({}, { __close = function() current = before end })
  local result = chunk()
  seen(result, current)
  return result
end

-- What an experiment's files see: `require` and `dofile` that notice what belongs to it; kept files come first.
local function environment(bundle, seen)
  local env, loaded = {}, {}
  local function once(name, find)
    local file = bundle.modules[name]
    if not file then
      local path = find()
      if not path then return nil end
      file = { path = path, text = read(path) }
      bundle.modules[name] = file
    end
    return run(bundle, env, file, seen)
  end
  env.require = function(name)
    if type(name) ~= "string" then return require(name) end
    if loaded[name] == nil then
      local value = once(name, function() return own_file(name) end)
      if value == nil and not bundle.modules[name] then return require(name) end
      loaded[name] = value == nil or value
    end
    return loaded[name]
  end
  env.dofile = function(path) return once(path, function() return path end) end
  return setmetatable(env, { __index = _G })
end

--- load(path, seen): reads a file and what it requires → what it returns, the bundle. seen(value, bundle): called with
-- what each file of the experiment returned.
function M.load(path, seen)
  local absolute = path:sub(1, 1) == "/" and path or lfs.currentdir() .. "/" .. path
  local folder = absolute:match "^(.*)/[^/]*$"
  extend_path(folder .. "/..")
  extend_path(folder .. "/../..") -- of a sweep
  extend_path(folder)
  return M.again({ path = path, text = read(path), modules = {} }, seen)
end

--- again(bundle, seen): the same of files that were kept.
function M.again(bundle, seen) return run(bundle, environment(bundle, seen), bundle, seen), bundle end

local MODULES = "modules.json"

--- keep(run, bundle, code): writes a bundle into a run folder: recipe.lua and, where it requires others or has code,
-- modules.json.
function M.keep(run_folder, bundle, code)
  run_folder:write("recipe.lua", bundle.text)
  if not code and not next(bundle.modules) then return end
  local list = lists.map(lists.keys(bundle.modules), function(name)
    return { name = name, path = bundle.modules[name].path, text = bundle.modules[name].text }
  end)
  run_folder:write(MODULES, json.lines { path = bundle.path, modules = json.list(list) })
end

local text = kinds.text
local KEPT = kinds.object({ path = text, modules = kinds.list(kinds.object { name = text, path = text, text = text }) },
  ": ")

--- kept(run): the bundle in a run folder.
function M.kept(run_folder)
  local path = run_folder:file(MODULES)
  if not core.io.status(path) then return nil end
  local stored = kinds.any(KEPT(json.read(path), path))
  local bundle = { path = stored.path or "recipe.lua", text = core.io.read_file(run_folder:file "recipe.lua"),
    modules = {} }
  for _, module in ipairs(stored.modules or {}) do
    if not (module.name and module.path and module.text) then
      core.refuse("%s: expected modules with name, path and text, found one without", path)
    end
    bundle.modules[module.name] = { path = module.path, text = module.text }
  end
  return bundle
end

return M
