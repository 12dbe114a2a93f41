--- Where frames come from: a video file or a folder of numbered pictures, behind one interface:
--
--   source:info() → { frames, width, height }     source:frame(n) → uint8 H×W×3, n from 0
--   source:key(n, …) → text that names the content of these frames, for the cache     source:close()
--
-- Videos are decoded in order; the frames last seen are kept (bounded bytes, all videos together), so that steps of a
-- few frames back cost nothing. Farther back decoding starts anew: exact frame numbers never rest on seeking.
local cache = require "cohesiv.cache"
local core = require "cohesiv.core"
local image = require "cohesiv.image"
local tensor = require "cohesiv.tensor"
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

local function drop_oldest()
  local oldest
  for key, entry in pairs(kept) do
    if not oldest or entry.used < kept[oldest].used then oldest = key end
  end
  drop(oldest)
end

local function remember(key, t)
  if kept[key] then drop(key) end
  clock = clock + 1
  local size = t.shape[1] * t.shape[2] * t.shape[3]
  kept[key] = { tensor = t:keep(), bytes = size, used = clock }
  bytes = bytes + size
  while bytes > MEMORY and next(kept, next(kept)) do drop_oldest() end
end

-- A handle of its own on a kept frame (the pixels are shared until someone writes), or nil.
local function recall(key)
  local entry = kept[key]
  if not entry then return nil end
  clock = clock + 1
  entry.used = clock
  return entry.tensor:reshape(entry.tensor.shape)
end

-- ---- numbers and names ----

local function check_number(name, n)
  if math.type(n) ~= "integer" or n < 0 then
    error(("%s: expected a frame number of 0 or more, found %s"):format(name, tostring(n)), 0)
  end
end

local function beyond(name, count, n)
  error(("%s: expected a frame of 0 to %d, found %d"):format(name, count - 1, n), 0)
end

local function absolute(path)
  return path:sub(1, 1) == "/" and path or lfs.currentdir() .. "/" .. path
end

--- stamp(path): place, size and time of change of a file: together they stand for its content.
function frames.stamp(path)
  local _, size, modified = core.io.status(path)
  return ("%s\n%s\n%s"):format(absolute(path), size, modified)
end

-- ---- videos ----

local Video = {}
Video.__index = Video
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

-- decoder:METHOD(…); a decoder that failed (or was interrupted in the middle of a frame) is of no more use.
local function drive(self, method, ...)
  local ok, result = pcall(self.decoder[method], self.decoder, ...)
  if ok then return result end
  self:close()
  error(result, 0)
end

function Video:frame(n)
  check_number(self.path, n)
  local frame = recall(self.id .. n)
  if frame then return frame end
  local decoder = decoder_before(self, n)
  drive(self, "skip", n - BEHIND - decoder.next)
  while decoder.next <= n do
    local i = decoder.next
    frame = drive(self, "read")
    if not frame then
      self:close()
      beyond(self.path, i, n)
    end
    remember(self.id .. i, frame)
  end
  return recall(self.id .. n)
end

function Video:key() return frames.stamp(self.path) end

-- Counting means decoding the whole file once: kept in the cache, where one can be written.
function Video:info()
  if self.known then return self.known end
  local key = self:key()
  local stored = cache.find("video", key)
  if not stored then
    local count = core.io.video_count(self.path)
    local decoder <close> = core.io.video_open(self.path)
    stored = tensor.tensor({ count, decoder.width, decoder.height }, { dtype = "int64" })
    pcall(cache.store, "video", key, stored)
  end
  local list = stored:totable()
  stored:close()
  self.known = { frames = list[1], width = list[2], height = list[3] }
  return self.known
end

--- forget(): lets go of all decoded frames and ends all decoders.
function frames.forget()
  for key in pairs(kept) do drop(key) end
  while open[1] do open[1]:close() end
end

-- ---- folders of pictures ----

local Folder = {}
Folder.__index = Folder

function Folder.close() end

local function file_of(self, n)
  for _, kind in ipairs { self.kind or "png", "png", "jpg", "jpeg" } do
    local path = ("%s/%06d.%s"):format(self.path, n, kind)
    if core.io.status(path) then
      self.kind = kind
      return path
    end
  end
  return nil
end

function Folder:frame(n)
  check_number(self.path, n)
  local frame = recall(self.id .. n)
  if frame then return frame end
  local path = file_of(self, n)
  if not path then
    local count = self:info().frames
    if n >= count then beyond(self.path, count, n) end
    error(("%s: expected the picture %06d.png or .jpg, found none"):format(self.path, n), 0)
  end
  frame = image.read(path)
  local shape, first = frame.shape, self.known
  if first and (shape[1] ~= first.height or shape[2] ~= first.width) then
    error(("%s: expected a picture of %dx%d as the others, found %dx%d"):format(path, first.width, first.height,
      shape[2], shape[1]), 0)
  end
  remember(self.id .. n, frame)
  return recall(self.id .. n)
end

function Folder:key(...)
  local list = { absolute(self.path) }
  for i, n in ipairs { ... } do
    local path = file_of(self, n)
    list[i + 1] = path and frames.stamp(path) or "none"
  end
  return table.concat(list, "\n")
end

function Folder:info()
  if self.known then return self.known end
  local numbers, last = {}, -1
  for _, name in ipairs(core.io.list(self.path)) do
    local n = name:match "^(%d%d%d%d%d%d+)%.png$" or name:match "^(%d%d%d%d%d%d+)%.jpe?g$"
    if n then
      numbers[tonumber(n)] = true
      last = math.max(last, tonumber(n))
    end
  end
  if last < 0 then error(("%s: expected pictures 000000.png or .jpg and so on, found none"):format(self.path), 0) end
  for n = 0, last do
    if not numbers[n] then
      error(("%s: expected pictures numbered 000000 to %06d, found no %06d"):format(self.path, last, n), 0)
    end
  end
  local shape = self:frame(0).shape
  self.known = { frames = last + 1, width = shape[2], height = shape[1] }
  return self.known
end

--- source(path): the frames of a video file or of a folder of pictures.
local made = 0
function frames.source(path)
  local kind = core.io.status(path)
  if not kind then error(("%s: expected a video file or a folder of pictures, found nothing"):format(path), 0) end
  made = made + 1
  local class = kind == "folder" and Folder or Video
  return setmetatable({ path = path, id = ("%d:"):format(made) }, class)
end

return frames
