--- Data folders and lone clips: co.data and co.clip. A data folder is never written, and never listed as a whole
-- unless data.clips is asked for, so that opening one of a million clips costs as much as opening one of ten.
--
--   clips/NAME.mp4 or clips/NAME/%06d.{png,jpg}      hands_json/NAME.json      person/NAME/%06d.png
--   flow/NAME/<gap>/%06d.{flo,png,npy,npz}      masks/NAME/FRAME_{hand,object,arm}K.png, masks/NAME/queries.json
--
-- NAME may hold slashes: clips/ may be divided into subfolders, and the other folders then likewise.
local annotations = require "cohesiv.data.annotations"
local clip = require "cohesiv.data.clip"
local clips = require "cohesiv.data.clips"
local core = require "cohesiv.core"
local frames = require "cohesiv.data.frames"
local names = require "cohesiv.data.names"
local scale = require "cohesiv.motion.scale"
local warn = require "cohesiv.base.warn"
local error = core.error -- a line, whatever it quotes

local M = { scale = scale.of }

local DEPTH = 4 -- of subfolders below masks/

local methods = {}
local Data = {
  __name = "data folder",
  __index = function(self, name)
    local value = methods[name]
    if name == "clips" or name == "annotated" then
      value = methods["list_" .. name](self)
      rawset(self, name, value)
    end
    return value
  end,
  __tostring = function(self) return ("data folder %s"):format(self.path) end,
}

local function fail(format, ...) error(warn.plain(format:format(...)), 0) end

-- Sorted by bytes (Lua's order on strings in the C locale, which is the only one we use).
local function sorted(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- data.clips: the names of all clips, sorted by bytes; listed when first asked for.
function methods:list_clips()
  self.places = clips.list(self, self.path)
  return sorted(self.places)
end

-- data.annotated: the names of the clips that have masks, sorted by bytes.
function methods:list_annotated()
  local set = {}
  local function walk(prefix, depth)
    for _, file in ipairs(core.io.list(self.path .. "/masks/" .. prefix)) do
      local name = prefix .. file
      if core.io.status(self.path .. "/masks/" .. name .. "/queries.json") then
        set[name] = true
      elseif depth < DEPTH and core.io.status(self.path .. "/masks/" .. name) == "folder" then
        walk(name .. "/", depth + 1)
      end
    end
  end
  if core.io.status(self.path .. "/masks") == "folder" then walk("", 1) end
  return sorted(set)
end

local function check_name(self, name)
  if type(name) ~= "string" then fail("data %s: expected the name of a clip, found %s", self.path, type(name)) end
  for part in (name .. "/"):gmatch "([^/]*)/" do
    if part == "" or part == "." or part == ".." then
      fail("data %s: expected the name of a clip, found %q", self.path, name)
    end
  end
end

-- The video file or folder of pictures of a clip, or nil: as listed, if that was done, else looked for.
local function place_of(self, name)
  local listed = rawget(self, "places") and self.places[name]
  local path = listed and ("%s/clips/%s"):format(self.path, listed:gsub("/$", ""))
  if path and core.io.status(path) then return path end
  return clips.find(self.path, name)
end

--- data:clip(name): the clip of that name.
function methods:clip(name)
  check_name(self, name)
  local path = place_of(self, name)
  if not path then
    fail("data %s: expected clips/%s.mp4 (or another video) or a folder clips/%s of numbered pictures, found neither",
      self.path, name, name)
  end
  return clip.new {
    name = name, path = path, root = self.path, data = self, source = frames.source(path),
    hands_files = { ("%s/hands_json/%s.json"):format(self.path, name) },
  }
end

-- ---- masks, for calibration and evaluation only ----

local function masks_folder(self, name)
  check_name(self, name)
  return ("%s/masks/%s"):format(self.path, name)
end

--- data:queries(name or clip): the annotated frames of a clip, sorted by number, nil when it has no masks: a list
-- of { clip, n, width, height, queries = list of { x, y, index, side, object } } (object: its name, nil for an
-- empty hand).
function methods:queries(name)
  local of = type(name) == "table" and name or nil
  local folder = masks_folder(self, of and of.name or name)
  local list = annotations.read(folder, of and of.name or name)
  if not list then return nil end
  annotations.check_files(folder, list)
  if of and list[1] then annotations.check_clip(list[1], of) end
  return list
end

--- data:mask(name, n, kind, k): masks/NAME/FRAME_kindK.png as uint8 H×W of 0 and 1, nil when there is none.
-- kind: "hand", "object" (what hand k holds), "arm" (the rest of that arm).
function methods:mask(name, n, kind, k) return annotations.mask(masks_folder(self, name), n, kind, k) end

--- data:masks(name, n): the masks of an annotated frame by query: { hand = { … }, object = { … }, arm = { … } };
-- object[k] and arm[k] are nil where there is none.
function methods:masks(name, n) return annotations.masks(masks_folder(self, name), n) end

--- data(path): the data folder at a path.
function M.data(path)
  if type(path) ~= "string" then fail("data: expected the path of a folder, found %s", type(path)) end
  path = #path > 1 and path:gsub("/+$", "") or path
  local kind = core.io.status(path)
  if kind ~= "folder" then fail("data %s: expected a folder, found %s", path, kind and "a file" or "nothing") end
  if core.io.status(path .. "/clips") ~= "folder" then
    fail("data %s: expected a data folder with clips/ in it, found none", path)
  end
  return setmetatable({ path = path }, Data)
end

--- clip(file, { hands = FILE }): a lone video file or folder of pictures. Landmarks are those of FILE, else of
-- ../hands_json/NAME.json, else of NAME.json beside it.
function M.clip(file, options)
  if type(file) ~= "string" then fail("clip: expected the path of a video, found %s", type(file)) end
  options = options or {}
  for key in pairs(type(options) == "table" and options or { [type(options)] = true }) do
    if key ~= "hands" then fail("clip %s: expected the option hands, found %s", file, core.text(key)) end
  end
  local path = #file > 1 and file:gsub("/+$", "") or file
  local folder, base = path:match "^(.*/)([^/]+)$"
  folder, base = folder or "", base or path
  local source = frames.source(path)
  local name = core.io.status(path) ~= "folder" and names.video(base) or base
  source:info() -- a file that is no video shall fail here
  return clip.new {
    name = name, path = path, source = source,
    hands_files = options.hands and { options.hands }
      or { ("%s../hands_json/%s.json"):format(folder, name), ("%s%s.json"):format(folder, name) },
  }
end

require("cohesiv.base.options").guard("data folder", methods, require("cohesiv.base.options").named "data folder")

return M
