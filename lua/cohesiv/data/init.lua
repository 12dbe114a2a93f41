--- co.data and co.clip: data folders and lone clips. What a folder's layout is its adapter knows (adapters.lua).
local core = require "cohesiv.core"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"
local scale = require "cohesiv.motion.scale"
local adapters, clip = require "cohesiv.data.adapters", require "cohesiv.data.clip"
local frames, names = require "cohesiv.data.frames", require "cohesiv.data.names"
local several = require "cohesiv.data.several"

local M = { scale = scale.of }

-- A path without slashes at its end.
local function bare(path) return #path > 1 and path:gsub("/+$", "") or path end

-- One of the folders.
local function open(path)
  if type(path) ~= "string" then core.refuse("data: expected the path of a folder, found %s", type(path)) end
  path = bare(path)
  local kind = core.io.status(path)
  if kind ~= "folder" then core.refuse("data %s: expected a folder, found %s", path, kind and "a file" or "nothing") end
  for _, adapter in ipairs(adapters) do
    if adapter.fits(path) then return adapter.open(path) end
  end
  core.refuse("data %s: expected a data folder with clips/ in it, found none", path)
end

--- data(path or list of paths): the data folder at a path, of any layout that an adapter knows; several as one.
function M.data(paths)
  if type(paths) ~= "table" or core.is_tensor(paths) then return open(paths) end
  if #paths == 0 then core.refuse "data: expected the paths of folders, found an empty list" end
  return several.of(lists.map(paths, open))
end

--- clip(file, { hands = FILE }): a lone video file or folder of pictures. Landmarks are those of FILE, else of
-- ../hands_json/NAME.json, else of NAME.json beside it.
function M.clip(file, given)
  if type(file) ~= "string" then core.refuse("clip: expected the path of a video, found %s", type(file)) end
  local o = options.read("clip " .. file, given, { hands = options.optional "any" })
  local path = bare(file)
  local folder, base = path:match "^(.-)([^/]*)$"
  local source = frames.source(path)
  local name = core.io.status(path) ~= "folder" and names.video(base) or base
  source:info() -- a file that is no video shall fail here
  return clip.new {
    name = name, path = path, source = source,
    hands_given = o.hands ~= nil,
    hands_files = o.hands and { o.hands }
      or { ("%s../hands_json/%s.json"):format(folder, name), ("%s%s.json"):format(folder, name) },
  }
end

return M
