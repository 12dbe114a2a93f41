--- Where frames come from: a video file or a folder of numbered pictures, behind one interface:
--
--   source:info() → { frames, width, height }     source:frame(n) → uint8 H×W×3, n from 0
--   source:key(n, …) → text that names the content of these frames, for the cache     source:close()
--
-- Each kind of source says how it measures itself for info and what it reads for a frame that is not kept.
--
-- Videos are decoded in order; the frames last seen are kept (bounded bytes, all videos together), so that steps of a
-- few frames back cost nothing. Farther back decoding starts anew: exact frame numbers never rest on seeking. No frame
-- is given before the whole file is known to be sound: a damaged one may lack frames, and all numbers after them.
local cache = require "cohesiv.data.cache"
local core = require "cohesiv.core"
local image = require "cohesiv.tensor.image"
local names = require "cohesiv.data.names"
local refuse = require "cohesiv.base.refuse"
local tensor = require "cohesiv.tensor"
local warn = require "cohesiv.base.warn"
local lfs = require "lfs"

local frames = {}

local MEMORY = 256 << 20 -- bytes of decoded frames
local OPEN = 3 -- decoders at a time
local BEHIND = 40 -- frames kept before the one asked for, when memory allows

-- ---- decoded frames, least recently used out first ----

local kept, bytes, clock = {}, 0, 0

local function drop(key)
  local entry = kept[key]
  kept[key] = nil
  bytes = bytes - entry.bytes
  entry.tensor:close()
end

local function remember(source, n, t)
  local key = source.id .. n
  if kept[key] then drop(key) end
  clock = clock + 1
  local size = t.shape[1] * t.shape[2] * t.shape[3]
  kept[key] = { tensor = t:keep(), bytes = size, used = clock }
  bytes = bytes + size
  while bytes > MEMORY and next(kept, next(kept)) do
    local oldest = next(kept)
    for other, entry in pairs(kept) do
      if entry.used < kept[oldest].used then oldest = other end
    end
    drop(oldest)
  end
end

-- ---- what sources have in common ----

local function info(source)
  source.known = source.known or source:measure()
  return source.known
end

local function frame(source, n)
  if math.type(n) ~= "integer" or n < 0 then
    refuse("%s: expected a frame number of 0 or more, found %s", source.path, core.found(n))
  end
  local count, key = source:info().frames, source.id .. n
  if n >= count then refuse("%s: expected a frame of 0 to %d, found %d", source.path, count - 1, n) end
  if not kept[key] then source:read(n) end
  clock = clock + 1
  kept[key].used = clock
  local t = kept[key].tensor
  return t:reshape(t.shape) -- a handle of its own; the pixels are shared until someone writes
end

local function class(methods)
  methods.__index, methods.info, methods.frame = methods, info, frame
  return methods
end

local function absolute(path) return path:sub(1, 1) == "/" and path or lfs.currentdir() .. "/" .. path end

--- stamp(path): place, size and time of change of a file: together they stand for its content.
function frames.stamp(path)
  local _, size, modified = core.io.status(path)
  return ("%s\n%s\n%s"):format(absolute(path), size, modified)
end

-- ---- videos ----

local Video = class {}
local open = {} -- sources with a running decoder, the last used at the end

local function retire(source)
  for i, other in ipairs(open) do
    if other == source then table.remove(open, i) end
  end
end

function Video:close()
  retire(self)
  if self.decoder then self.decoder:close() end
  self.decoder = nil
end

-- The decoder, such that frame n is still to come.
local function decoder_before(self, n)
  if self.decoder and self.decoder.next > n then self:close() end
  retire(self)
  if not self.decoder then
    if #open >= OPEN then open[1]:close() end
    self.decoder = core.io.video_open(self.path)
  end
  open[#open + 1] = self
  return self.decoder
end

local function decode(self, decoder, n)
  decoder:skip(n - BEHIND - decoder.next)
  for i = decoder.next, n do
    local t = decoder:read()
      or refuse("%s: expected %d frames as when they were counted, found %d", self.path, self.known.frames, i)
    remember(self, i, t)
  end
end

-- A decoder that failed (or was interrupted in the middle of a frame) is of no more use.
function Video:read(n)
  local ok, problem = pcall(decode, self, decoder_before(self, n), n)
  if ok then return end
  self:close()
  error(problem, 0)
end

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

--- forget(): lets go of all decoded frames and ends all decoders.
function frames.forget()
  for key in pairs(kept) do drop(key) end
  while open[1] do open[1]:close() end
end

-- ---- folders of pictures ----

local Folder = class { close = function() end }

-- The path of frame n; nil when there is none. The folder is listed once.
local function picture_path(self, n)
  if not self.series then
    local series, reason = names.series(core.io.list(self.path))
    if not series then refuse("%s: %s", self.path, reason) end
    local others = #series.others
    if others > 0 then
      warn.once("series " .. absolute(self.path), "%s: passed over %s%s: not numbered as the others", self.path,
        series.others[1], others > 1 and (" and %d more"):format(others - 1) or "")
    end
    self.series = series
  end
  return self.series[n + 1] and self.path .. "/" .. self.series[n + 1]
end

function Folder:read(n)
  local path, first = picture_path(self, n), self.known
  local t = image.read(path)
  local h, w = table.unpack(t.shape)
  if first and (h ~= first.height or w ~= first.width) then
    refuse("%s: expected a picture of %dx%d as the others, found %dx%d", path, first.width, first.height, w, h)
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

--- source(path): the frames of a video file or of a folder of pictures.
local made = 0
function frames.source(path)
  local kind = core.io.status(path)
  if not kind then refuse("%s: expected a video file or a folder of pictures, found nothing", path) end
  if kind ~= "folder" and names.picture(path) then
    refuse("%s: expected a video file or a folder of pictures, found a picture", path)
  end
  made = made + 1
  return setmetatable({ path = path, id = ("%d:"):format(made) }, kind == "folder" and Folder or Video)
end

return frames
