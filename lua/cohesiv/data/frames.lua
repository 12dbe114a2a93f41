--- Where frames come from: a video file or a folder of numbered pictures, behind one interface:
--   source:info() → { frames, width, height }     source:frame(n) → uint8 H×W×3, n from 0
--   source:rate() → frames a second, nil where that is not told
--   source:number(stem) → the frame whose picture has that name, without its extension, nil where there is none
--   source:key(n, …) → text that names the content of these frames, for the cache     source:close()
-- Videos are decoded in order; the frames last seen are kept (bounded bytes, all videos together), so that steps of a
-- few frames back cost nothing. Farther back decoding starts anew: exact frame numbers never rest on seeking. No frame
-- is given before the whole file is known to be sound: a damaged one may lack frames, and all numbers after them.
local core = require "cohesiv.core"
local shelf, warn = require "cohesiv.base.shelf", require "cohesiv.base.warn"
local tensor, image = require "cohesiv.tensor", require "cohesiv.tensor.image"
local cache, names = require "cohesiv.data.cache", require "cohesiv.data.names"
local lfs = require "lfs"
local frames = {}

local BEHIND = 40 -- frames kept before the one asked for, when memory allows

-- ---- what is kept ----
local kept = shelf(256 << 20) -- decoded frames, by bytes
local decoders = shelf(3) -- of videos

--- forget(): lets go of all decoded frames and ends all decoders.
function frames.forget()
  kept.clear()
  decoders.clear()
end

-- ---- what sources have in common: measure() is asked once, read(n) where frame n is not kept ----
local function info(source)
  source.known = source.known or source:measure()
  return source.known
end

local function frame(source, n)
  if math.type(n) ~= "integer" or n < 0 then
    core.refuse("%s: expected a frame number of 0 or more, found %s", source.path, core.found(n))
  end
  local count, key = source:info().frames, source.id .. n
  if n >= count then core.refuse("%s: expected a frame of 0 to %d, found %d", source.path, count - 1, n) end
  if not kept.get(key) then source:read(n) end
  local t = kept.get(key)
  return t:reshape(t.shape) -- a handle of its own; the pixels are shared until someone writes
end

local function remember(source, n, t)
  kept.put(source.id .. n, t:numel(), function() return t:keep() end)
end

local function class(methods)
  methods.__index, methods.info, methods.frame = methods, info, frame
  return methods
end

-- ./a//b and a/b are one place, and one in the cache.
local function absolute(path)
  path = (path:sub(1, 1) == "/" and path or lfs.currentdir() .. "/" .. path):gsub("//+", "/")
  while path:find("/./", 1, true) do path = path:gsub("/%./", "/") end
  return path
end

--- stamp(path): place, size and time of change of a file: together they stand for its content.
function frames.stamp(path)
  local _, size, modified = core.io.status(path)
  return ("%s\n%s\n%s"):format(absolute(path), size, modified)
end

-- ---- videos ----
local Video = class {}

function Video:close() decoders.drop(self) end

function Video.number() return nil end

local function decode(self, n)
  local decoder = decoders.get(self)
  if not decoder or decoder.next > n then
    decoder = decoders.put(self, 1, function() return core.io.video_open(self.path) end)
  end
  decoder:skip(n - BEHIND - decoder.next)
  for i = decoder.next, n do
    local t = decoder:read()
      or core.refuse("%s: expected %d frames as when they were counted, found %d", self.path, self.known.frames, i)
    remember(self, i, t)
  end
end

-- A decoder that failed (or was interrupted in the middle of a frame) is of no more use.
function Video:read(n)
  local ok, problem = pcall(decode, self, n)
  if ok then return end
  self:close()
  error(problem, 0)
end

function Video:rate() return core.io.video_rate(self.path) end

function Video:key() return frames.stamp(self.path) end

local COUNTED = "count 2\n" -- raised whenever a file may be counted or refused otherwise

-- Counting means decoding the whole file once: kept in the cache, where one can be written.
function Video:measure()
  local key = COUNTED .. self:key()
  local stored = cache.find("video", key)
  if not stored then
    local count = core.io.video_count(self.path)
    local decoder <close> = core.io.video_open(self.path)
    stored = tensor.tensor({ count, decoder.width, decoder.height }, { dtype = "int64" })
    pcall(cache.store, "video", key, stored)
  end
  local list = stored:totable()
  stored:close()
  return { frames = list[1], width = list[2], height = list[3] }
end

-- ---- folders of pictures ----
local Folder = class { close = function() end, rate = function() end }

-- The path of frame n; nil when there is none. The folder is listed once.
local function picture_path(self, n)
  if not self.series then
    local series, reason = names.series(core.io.list(self.path))
    if not series then core.refuse("%s: %s", self.path, reason) end
    local others = #series.others
    if others > 0 then
      warn.once("series " .. absolute(self.path), "%s: passed over %s%s: not numbered as the others", self.path,
        series.others[1], others > 1 and (" and %d more"):format(others - 1) or "")
    end
    self.series = series
  end
  return self.series[n + 1] and self.path .. "/" .. self.series[n + 1]
end

function Folder:number(stem)
  if not self.numbers then
    picture_path(self, 0)
    self.numbers = {}
    for i, name in ipairs(self.series) do self.numbers[name:match "[^/]*$":gsub("%.%w+$", "")] = i - 1 end
  end
  return self.numbers[stem]
end

function Folder:read(n)
  local path, first = picture_path(self, n), self.known
  local t = image.read(path)
  local h, w = table.unpack(t.shape)
  if first and (h ~= first.height or w ~= first.width) then
    core.refuse("%s: expected a picture of %dx%d as the others, found %dx%d", path, first.width, first.height, w, h)
  end
  remember(self, n, t)
  return w, h
end

function Folder:key(...)
  local list = { absolute(self.path) }
  for i, n in ipairs { ... } do
    local path = picture_path(self, n)
    list[i + 1] = path and frames.stamp(path) or "none"
  end
  return table.concat(list, "\n")
end

function Folder:measure()
  local width, height = self:read(0)
  return { frames = #self.series, width = width, height = height }
end

local made = 0

--- pictures(path, list): the frames that lie in files of these names below a folder, whatever they are called.
function frames.pictures(path, list)
  made = made + 1
  return setmetatable({ path = path, series = list, id = ("%d:"):format(made) }, Folder)
end

--- source(path): the frames of a video file or of a folder of pictures.
function frames.source(path)
  local kind = core.io.status(path)
  if not kind then core.refuse("%s: expected a video file or a folder of pictures, found nothing", path) end
  if kind ~= "folder" and names.picture(path) then
    core.refuse("%s: expected a video file or a folder of pictures, found a picture", path)
  end
  made = made + 1
  return setmetatable({ path = path, id = ("%d:"):format(made) }, kind == "folder" and Folder or Video)
end

return frames
