--- Which clips a data folder holds, and where each lies: clips/NAME.mp4 (and other videos) or clips/NAME/ with numbered
-- pictures, NAME with slashes where clips/ is divided into subfolders. names.lua says what a name means. What is passed
-- over in a listing is told in one warning, with the reasons. Nothing is opened here.
local core = require "cohesiv.core"
local warn = require "cohesiv.base.warn"
local names = require "cohesiv.data.names"
local clips = {}

local DEPTH = 4 -- of subfolders below clips/
local SHOWN = 5 -- of what is passed over

-- The names in a folder that is no clip, nil of one that is. Looking for the usual first name saves listing thousands.
local function names_within(path)
  for _, kind in ipairs(names.PICTURES) do
    if core.io.status(("%s/000000.%s"):format(path, kind)) then return nil end
  end
  local list = core.io.list(path)
  return not names.has_series(list) and list or nil
end

-- A listing under way: root, found (names → where), passed (list of { what, why, name: of two clips with one name }).
local Walk = {}
Walk.__index = Walk

function Walk:pass(what, why, name) table.insert(self.passed, { what = what, why = why, name = name }) end

-- Takes a clip that lies at `file` (below clips/); of two with one name the one of the lower rank.
function Walk:take(name, file)
  local other = self.found[name]
  if other and names.rank(file) > names.rank(other) then file, other = other, file end
  self.found[name] = file
  if other then self:pass(other, nil, name) end
  return true
end

-- The entries of a folder that is no clip, by their names; whether there was a clip among them or below.
function Walk:enter(prefix, depth, list)
  if depth > DEPTH then return self:pass(prefix, ("more than %d folders deep"):format(DEPTH)) end
  local before, clip, picture = #self.passed, false, nil
  for _, file in ipairs(list) do
    if names.any_picture(file) then
      picture = picture or file
    else
      clip = self:look(prefix, file, depth) or clip
    end
  end
  if picture and (clip or depth == 1) then
    self:pass(prefix .. picture, "a picture outside of a clip's folder")
  elseif picture then
    self:pass(prefix, select(2, names.series(list)))
  elseif depth > 1 and not clip and #self.passed == before then
    self:pass(prefix, "no pictures or videos in it")
  end
  return clip
end

-- One entry of a folder, no picture; whether there was a clip at it or below.
function Walk:look(prefix, file, depth)
  local where = prefix .. file
  local what = core.io.status(self.root .. where)
  local stem = names.video(file)
  if what == "file" and stem then return self:take(prefix .. stem, where) end
  if not what then return self:pass(where, "a link to nothing") end
  if names.ignored(file) then return false end
  if what ~= "folder" then return self:pass(where, "no video by its name") end
  local list = names_within(self.root .. where)
  if list then return self:enter(where .. "/", depth + 1, list) end
  return self:take(where, where .. "/")
end

--- list(owner, path): { NAME = "NAME.mp4" or "NAME/" below clips/ }; tells an owner once what is passed over.
function clips.list(owner, path)
  local walk = setmetatable({ root = path .. "/clips/", found = {}, passed = {} }, Walk)
  walk:enter("", 1, core.io.list(walk.root))
  local told, more = {}, #walk.passed - SHOWN
  for i, one in ipairs(walk.passed) do
    local why = one.why or "its name is that of " .. walk.found[one.name]
    told[i] = i <= SHOWN and ("%s (%s)"):format(one.what, why) or nil
  end
  if #told > 0 then
    warn.once(owner, "data %s: passed over in clips/: %s%s", path, table.concat(told, ", "),
      more > 0 and (" and %d more"):format(more) or "")
  end
  return walk.found
end

--- find(path, name): the clip's file or folder, as list would choose it, or nil. Only for .Mp4 and the like it lists.
function clips.find(path, name)
  local base = ("%s/clips/%s"):format(path, name)
  for _, kind in ipairs(names.SPELLINGS) do
    if core.io.status(base .. "." .. kind) == "file" then return base .. "." .. kind end
  end
  local is_folder = core.io.status(base) == "folder"
  if is_folder and not names_within(base) then return base end
  local best
  local folder, stem = base:match "^(.*/)([^/]*)$"
  for _, file in ipairs(core.io.status(folder) == "folder" and core.io.list(folder) or {}) do
    if names.video(file) == stem and (not best or names.rank(file) < names.rank(best)) then best = file end
  end
  return best and folder .. best or is_folder and base or nil
end

return clips
