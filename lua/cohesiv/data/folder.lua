--- A data folder of this project's own layout. It is never written, and never listed as a whole unless data.clips is
-- asked for, so that opening one of a million clips costs as much as opening one of ten.
--   clips/NAME.mp4 or clips/NAME/%06d.{png,jpg}      hands_json/NAME.json      person/NAME/%06d.png
--   saliency/NAME/%06d.png      detections/NAME.{json,pkl} or NAME/ (detections.lua)
--   flow/NAME/<gap>/%06d.{flo,png,npy,npz}      masks/NAME/FRAME_{hand,object,arm}K.png, masks/NAME/queries.json
-- NAME may hold slashes: clips/ may be divided into subfolders, and the other folders then likewise. data.clips are the
-- names of all clips, data.annotated of those that have masks; data.path is the folder.
local core = require "cohesiv.core"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"
local annotations, clip = require "cohesiv.data.annotations", require "cohesiv.data.clip"
local clips, frames = require "cohesiv.data.clips", require "cohesiv.data.frames"
local index = require "cohesiv.data.index"
local M = { title = "cohesiv's own layout" }

local DEPTH = 4 -- of subfolders below masks/

local methods = {}
local Data = {
  __name = "data folder", methods = methods,
  __index = function(self, name)
    if name ~= "clips" and name ~= "annotated" then return methods[name] end
    if rawget(self, "indexed") == nil then self.indexed = index.open(self.path) or false end
    if self.indexed then self.places = self.indexed.places end
    self[name] = self.indexed and self.indexed[name] or self["list_" .. name](self)
    return self[name]
  end,
  __tostring = function(self) return ("data folder %s"):format(self.path) end,
}

-- data.clips: the names of all clips, sorted by bytes; listed when first asked for.
function methods:list_clips()
  self.places = clips.list(self, self.path)
  return lists.keys(self.places)
end

--- data:shuffled{ seed = 0, shard = 4096, mixed = 4 }: an iterator over the names of all clips in random order, in
-- memory that does not grow with their number (index.lua).
function methods:shuffled(o)
  o = options.read("shuffled", o, { seed = options.integer(0, math.mininteger, math.maxinteger),
    shard = options.integer(4096, 1, 1 << 20), mixed = options.integer(4, 1, 1 << 10) })
  return index.shuffled(self.clips, o.seed, o.shard, o.mixed)
end

--- data:index(): writes the index (index.lua) of the folder as it is now into the cache; → its file, how many clips.
function methods:index()
  local names, annotated = self:list_clips(), self:list_annotated()
  self.clips, self.annotated, self.indexed = nil, nil, nil
  return index.write(self.path, { clips = names, annotated = annotated, places = rawget(self, "places") }), #names
end

-- data.annotated: the names of the clips that have masks, sorted by bytes.
function methods:list_annotated()
  local set, root = {}, self.path .. "/masks/"
  local function walk(prefix, depth)
    if depth > DEPTH or core.io.status(root .. prefix) ~= "folder" then return end
    for _, file in ipairs(core.io.list(root .. prefix)) do
      local name = prefix .. file
      if core.io.status(root .. name .. "/queries.json") then set[name] = true else walk(name .. "/", depth + 1) end
    end
  end
  walk("", 1)
  return lists.keys(set)
end

-- name, which must be one: a text without parts that are empty, . or ..
local function checked(self, name)
  local text = type(name) == "string"
  if text and not ("/" .. name .. "/"):find "/%.?%.?/" then return name end
  core.refuse("data %s: expected the name of a clip, found %s", self.path, text and ("%q"):format(name) or type(name))
end

--- data:clip(name): the clip of that name.
function methods:clip(name) return self:open_clip(checked(self, name)) end

-- As listed, if that was done, else looked for.
function methods:open_clip(name)
  local listed = rawget(self, "places") and self.places[name]
  local path = listed and ("%s/clips/%s"):format(self.path, listed:gsub("/$", ""))
  if not (path and core.io.status(path)) then path = clips.find(self.path, name) end
  if not path then
    core.refuse("data %s: expected clips/%s.mp4 (or another video) or a folder clips/%s of numbered pictures, found "
      .. "neither", self.path, name, name)
  end
  return clip.new {
    name = name, path = path, root = self.path, data = self, source = frames.source(path),
    hands_files = { ("%s/hands_json/%s.json"):format(self.path, name) },
  }
end

-- Masks are for calibration and evaluation only.
local function masks_folder(self, name) return ("%s/masks/%s"):format(self.path, checked(self, name)) end

--- data:queries(name or clip): the annotated frames of a clip by number, nil when it has no masks: a list of { clip, n,
-- width, height, queries = list of { x, y, index, side, object } } (object: its name, nil for an empty hand).
function methods:queries(of)
  local name = type(of) == "table" and of.name or of
  local folder = masks_folder(self, name)
  local list = annotations.read(folder, name)
  if not list then return nil end
  annotations.check_files(folder, list)
  if of ~= name and list[1] then annotations.check_clip(list[1], of) end
  return list
end

--- data:mask(name, n, kind, k): masks/NAME/FRAME_kindK.png as uint8 H×W of 0 and 1, nil when there is none.
-- kind: "hand", "object" (what hand k holds), "arm" (the rest of that arm).
function methods:mask(name, n, kind, k) return annotations.mask(masks_folder(self, name), n, kind, k) end

--- data:masks(name, n): of a frame by query: { hand = { … }, object = { … }, arm = { … } }, nil where none is.
function methods:masks(name, n) return annotations.masks(masks_folder(self, name), n) end

--- fits(path): whether the folder at `path` has clips/ in it.
function M.fits(path) return core.io.status(path .. "/clips") == "folder" end

--- open(path, own): the data folder at a path. `own`: methods in place of these, of an adapter whose layout differs.
function M.open(path, own)
  local self = lists.copy(own or {})
  self.path = path
  return setmetatable(self, Data)
end

options.guard("data folder", methods, options.named "data folder")

return M
