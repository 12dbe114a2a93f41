--- Which clips a data folder holds, and where each lies: clips/NAME.mp4 (and other videos) or clips/NAME/ with numbered
-- pictures, NAME with slashes where clips/ is divided into subfolders. names.lua says what a name means. What is passed
-- over in a listing is told in one warning, with the reasons. Nothing is opened here.
local core = require "cohesiv.core"
local names = require "cohesiv.data.names"
local warn = require "cohesiv.base.warn"

local clips = {}

local DEPTH = 4 -- of subfolders below clips/
local SHOWN = 5 -- of what is passed over

-- The usual name of the first picture saves listing a folder of thousands.
local function begins_as_usual(path)
  for _, kind in ipairs(names.PICTURES) do
    if core.io.status(("%s/000000.%s"):format(path, kind)) then return true end
  end
  return false
end

-- A listing under way: root, found (names → where), ranks (of videos), passed (list of { what, why, name }; name: of a
-- clip that has the same name as another).
local Walk = {}
Walk.__index = Walk

function Walk:pass(what, why, name) table.insert(self.passed, { what = what, why = why, name = name }) end

-- Takes a clip that lies at `file` (below clips/); of two with one name the one of the lower rank.
function Walk:take(name, file, rank)
  local other, other_rank = self.found[name], self.ranks[name]
  if not other or rank <= other_rank then self.found[name], self.ranks[name] = file, rank end
  if other then self:pass(other_rank < rank and file or other, nil, name) end
end

-- The entries of a folder that is no clip, by their names; whether there was a clip among them or below.
function Walk:enter(prefix, depth, list)
  if depth > DEPTH then return self:pass(prefix, ("more than %d folders deep"):format(DEPTH)) end
  local before, clip, picture = #self.passed, false, nil
  for _, file in ipairs(list) do
    if names.any_picture(file) then
      picture = picture or file
    else
      clip = self:look(prefix .. file, file, depth) or clip
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
function Walk:look(where, file, depth)
  local what = core.io.status(self.root .. where)
  local _, kind = names.video(file)
  if what == "file" and kind then
    self:take(names.video(where), where, names.rank(kind))
    return true
  elseif not what then
    return self:pass(where, "a link to nothing")
  elseif names.ignored(file) then
    return false
  elseif what ~= "folder" then
    return self:pass(where, "no video by its name")
  end
  local list = not begins_as_usual(self.root .. where) and core.io.list(self.root .. where) or nil
  if list and not names.has_series(list) then return self:enter(where .. "/", depth + 1, list) end
  self:take(where, where .. "/", names.FOLDER)
  return true
end

--- list(owner, path): where the clips of the data folder at `path` lie, by name: { NAME = "NAME.mp4" or "NAME/" below
-- clips/ }. What is passed over is told once for an owner.
function clips.list(owner, path)
  local walk = setmetatable({ root = path .. "/clips/", found = {}, ranks = {}, passed = {} }, Walk)
  walk:enter("", 1, core.io.list(walk.root))
  local told, passed = {}, walk.passed
  for i = 1, math.min(#passed, SHOWN) do
    local one = passed[i]
    told[i] = ("%s (%s)"):format(one.what, one.why or "its name is that of " .. walk.found[one.name])
  end
  if #passed > 0 then
    warn.once(owner, "data %s: passed over in clips/: %s%s", path, table.concat(told, ", "),
      #passed > SHOWN and (" and %d more"):format(#passed - SHOWN) or "")
  end
  return walk.found
end

-- The first video of that stem in a folder, whatever the case of its extension; only for want of the usual ones.
local function any_video(folder, stem)
  local best, lowest
  for _, file in ipairs(core.io.status(folder) == "folder" and core.io.list(folder) or {}) do
    local name, kind = names.video(file)
    if name == stem and (not best or names.rank(kind) < lowest) then best, lowest = folder .. file, names.rank(kind) end
  end
  return best
end

--- find(path, name): the video file or folder of the clip of that name, as list would choose it, or nil. clips/ is
-- listed for spellings such as .Mp4 alone.
function clips.find(path, name)
  local base = ("%s/clips/%s"):format(path, name)
  for _, kind in ipairs(names.VIDEOS) do
    for _, spelling in ipairs { kind, kind:upper() } do
      local file = base .. "." .. spelling
      if core.io.status(file) == "file" then return file end
    end
  end
  local folder = core.io.status(base) == "folder"
  if folder and (begins_as_usual(base) or names.has_series(core.io.list(base))) then return base end
  return any_video(base:match "^(.*/)([^/]*)$") or (folder and base or nil)
end

return clips
