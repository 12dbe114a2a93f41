--- Several data folders as one: their clips side by side. A clip has the name that it has in its folder; where two
-- folders have a clip of one name it is FOLDER/NAME in both, FOLDER being the last part of the folder's path, or as
-- many of its last parts as tell the folders apart.
local core = require "cohesiv.core"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"
local annotations = require "cohesiv.data.annotations"
local M = {}

local methods = {}
local Several = {
  __name = "data folder", methods = methods,
  __index = function(self, name)
    local make = name == "clips" and methods.list_clips or name == "annotated" and methods.list_annotated
    if not make then return methods[name] end
    self[name] = make(self)
    return self[name]
  end,
  __tostring = function(self) return ("data folders %s"):format(self.path) end,
}

-- The last `n` parts of a path.
local function last_parts(path, n)
  local parts = {}
  for part in path:gmatch "[^/]+" do parts[#parts + 1] = part end
  return table.concat(parts, "/", math.max(1, #parts - n + 1))
end

-- Names of the folders: as few of their last parts as make them differ.
local function labels(folders)
  for n = 1, 64 do
    local names = lists.map(folders, function(folder) return last_parts(folder.path, n) end)
    if #lists.keys(lists.set(names)) == #names then return names end
  end
  core.refuse("data: expected folders that differ, found %s twice", folders[1].path)
end

-- Where each clip is: by its name here, { folder, its name there }; and its name here by folder and name there.
local function index(self)
  if rawget(self, "places") then return self.places end
  local holders, places = {}, {}
  for _, folder in ipairs(self.folders) do
    for _, own in ipairs(folder.clips) do holders[own] = (holders[own] or 0) + 1 end
  end
  for i, folder in ipairs(self.folders) do
    self.names[i] = {}
    for _, own in ipairs(folder.clips) do
      local name = holders[own] > 1 and self.labels[i] .. "/" .. own or own
      places[name], self.names[i][own] = { folder, own }, name
    end
  end
  self.places = places
  return places
end

-- The folder of a name here, and its name there.
local function place(self, name)
  local found = index(self)[name]
  if found then return found[1], found[2] end
  core.refuse("data %s: expected the name of a clip, found %s", self.path, core.found(name))
end

-- data.clips, data.annotated: the names of all clips, and of those with masks, sorted by bytes.
function methods:list_clips() return lists.keys(index(self)) end

function methods:list_annotated()
  local set = {}
  index(self)
  for i, folder in ipairs(self.folders) do
    for _, own in ipairs(folder.annotated) do set[self.names[i][own] or own] = true end
  end
  return lists.keys(set)
end

--- data:clip(name): the clip of that name.
function methods:clip(name)
  local folder, own = place(self, name)
  local clip = folder:clip(own)
  clip.own_name, clip.name = clip.name, name
  return clip
end

--- data:queries(name or clip), data:mask(name, n, kind, k), data:masks(name, n): as a data folder's.
function methods:queries(of)
  local name = type(of) == "table" and of.name or of
  local folder, own = place(self, name)
  local list = folder:queries(own)
  for _, frame in ipairs(list or {}) do frame.clip = name end
  if list and list[1] and of ~= name then annotations.check_clip(list[1], of) end
  return list
end

function methods:mask(name, ...)
  local folder, own = place(self, name)
  return folder:mask(own, ...)
end

function methods:masks(name, n)
  local folder, own = place(self, name)
  return folder:masks(own, n)
end

--- of(folders): data folders (one at least) as one; a single one stays itself.
function M.of(folders)
  if not folders[2] then return folders[1] end
  local path = table.concat(lists.map(folders, function(folder) return folder.path end), ", ")
  return setmetatable({ folders = folders, labels = labels(folders), names = {}, path = path }, Several)
end

options.guard("data folder", methods, options.named "data folder")

return M
