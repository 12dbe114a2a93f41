--- Files of a data folder that belong to single frames: FOLDER/%06d.png and the like, numbered as frames are, from 0,
-- whatever the numbers of the clip's own pictures. Other spellings (5 to 10 digits, a prefix, .PNG) are found where one
-- file alone can be meant.
--
-- The spelling %06d costs one look at the disk and never lists a folder; for others the folder is listed, and again
-- only when it has changed.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local names = require "cohesiv.data.names"
local refuse = require "cohesiv.base.refuse"
local warn = require "cohesiv.base.warn"

local companions = {}

local KEPT = 64 -- folders whose listing is kept
local RACY = 2 -- seconds: a folder changed so lately may change again within its time stamp

local listings, count = {}, 0

-- The files of a folder by number, each a list of { name, kind }.
local function listing(folder)
  local what, _, modified = core.io.status(folder)
  if what ~= "folder" then return {} end
  local entry = listings[folder]
  if entry and entry.modified == modified then return entry.files end
  local files = {}
  for _, name in ipairs(core.io.list(folder)) do
    local _, digits, kind = names.numbered(name)
    if digits then
      local n = math.tointeger(tonumber(digits))
      files[n] = files[n] or {}
      table.insert(files[n], { name = name, kind = kind:lower() })
    end
  end
  if modified // 1000000000 < os.time() - RACY then
    if count >= KEPT then listings, count = {}, 0 end
    count = count + 1
    listings[folder] = { modified = modified, files = files }
  end
  return files
end

local function usual_spelling(folder, n, kinds)
  for _, kind in ipairs(kinds) do
    local path = ("%s/%06d.%s"):format(folder, n, kind)
    if core.io.status(path) then return path, kind end
  end
end

local function other_spelling(folder, n, kinds)
  local wanted, found = lists.set(kinds), nil
  for _, file in ipairs(listing(folder)[n] or {}) do
    if found and wanted[file.kind] then
      refuse("%s: expected one file of frame %d, found %s and %s", folder, n, found.name, file.name)
    end
    found = found or wanted[file.kind] and file
  end
  if found then return folder .. "/" .. found.name, found.kind end
end

-- A file numbered like the first frame that can have none: the files count from 1, unless frame 0 has one too.
local checked = setmetatable({}, { __mode = "k" }) -- clip → folders
local function check_numbers(clip, folder, beyond, find, kinds)
  checked[clip] = checked[clip] or {}
  if checked[clip][folder] then return end
  local path = find(folder, beyond, kinds)
  if path and not find(folder, 0, kinds) then
    refuse("%s: expected files of frames 0 to %d at most, found one of frame %d and none of frame 0 (frames count from "
      .. "0)", path, beyond - 1, beyond)
  end
  if path then warn.once(path, "%s: expected files of frames 0 to %d at most: it is not used", path, beyond - 1) end
  checked[clip][folder] = true
end

--- file(folder, n, kinds, clip, beyond): path and extension of the file of frame n in a folder, of one of these
-- extensions; of several in the usual spelling the first. nil when there is none. clip and beyond: whose frames they
-- are, and the first frame that can have no file: one that has is refused.
function companions.file(folder, n, kinds, clip, beyond)
  for _, find in ipairs { usual_spelling, other_spelling } do
    local path, kind = find(folder, n, kinds)
    if path then
      check_numbers(clip, folder, beyond, find, kinds)
      return path, kind
    end
  end
end

return companions
