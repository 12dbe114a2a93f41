--- Event files for TensorBoard, of scalars and pictures: records as TFRecord frames them (length, CRC-32C of it, bytes,
-- CRC-32C of those), each a protocol buffer `Event` (tensorflow/core/util/event.proto). Files are appended to by whole
-- records, and cut back when a run is resumed.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local M = {}

--- The file's name in a run folder.
M.name = "events.out.tfevents.0.cohesiv"

-- ---- CRC-32C (Castagnoli), masked as TFRecord has it ----
local TABLE = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do c = c & 1 == 1 and c >> 1 ~ 0x82F63B78 or c >> 1 end
  TABLE[i] = c
end

--- crc32c(bytes): its CRC-32C, for example 0xE3069283 of "123456789".
function M.crc32c(bytes)
  local c = 0xFFFFFFFF
  for at = 1, #bytes, 4096 do
    for _, byte in ipairs { bytes:byte(at, at + 4095) } do c = c >> 8 ~ TABLE[(c ~ byte) & 255] end
  end
  return c ~ 0xFFFFFFFF
end

local function masked(bytes)
  local c = M.crc32c(bytes)
  return ("<I4"):pack(((c >> 15 | c << 17) + 0xA282EAD8) & 0xFFFFFFFF)
end

local function framed(bytes)
  local length = ("<I8"):pack(#bytes)
  return length .. masked(length) .. bytes .. masked(bytes)
end

-- ---- protocol buffers: a field's number and kind, then its value ----
local function varint(n)
  local out = {}
  repeat
    out[#out + 1] = string.char(n & 127 | (n >> 7 ~= 0 and 128 or 0))
    n = n >> 7
  until n == 0
  return table.concat(out)
end

local function key(field, kind) return varint(field << 3 | kind) end
local function whole(field, n) return key(field, 0) .. varint(n) end
local function double(field, x) return key(field, 1) .. ("<d"):pack(x) end
local function bytes(field, text) return key(field, 2) .. varint(#text) .. text end
local function float(field, x) return key(field, 5) .. ("<f"):pack(x) end

--- version(time): the record that a file begins with.
function M.version(time) return framed(double(1, time) .. bytes(3, "brain.Event:2")) end

local function event(time, step, values)
  return framed(double(1, time) .. whole(2, step) .. bytes(5, table.concat(values)))
end

--- scalars(time, step, values): a record of numbers by tag.
function M.scalars(time, step, values)
  return event(time, step, lists.map(lists.keys(values), function(tag)
    return bytes(1, bytes(1, tag) .. float(2, values[tag]))
  end))
end

--- picture(time, step, tag, png, width, height): a record of a picture.
function M.picture(time, step, tag, png, width, height)
  local image = whole(1, height) .. whole(2, width) .. whole(3, 3) .. bytes(4, png) -- 3: RGB
  return event(time, step, { bytes(1, bytes(1, tag) .. bytes(4, image)) })
end

-- ---- reading, as far as cutting back needs it ----
local function read_varint(text, at)
  local n, shift = 0, 0
  while true do
    local byte = text:byte(at)
    if not byte then return nil end
    n, shift, at = n | (byte & 127) << shift, shift + 7, at + 1
    if byte < 128 then return n, at end
  end
end

-- The step of an event; 0 where it has none.
local function step_of(text)
  local at = 1
  while at <= #text do
    local field, value
    field, at = read_varint(text, at)
    if not field then return 0 end
    if field & 7 == 0 then
      value, at = read_varint(text, at)
      if field >> 3 == 2 or not at then return value or 0 end
    else
      local size = field & 7 == 1 and 8 or field & 7 == 5 and 4
      if not size then
        size, at = read_varint(text, at)
        if not size then return 0 end
      end
      at = at + size
    end
  end
  return 0
end

--- kept(text, step): the records of a file's text up to a step; what is torn at its end is left out.
function M.kept(text, step)
  local out, at = {}, 1
  while at + 12 <= #text do
    local length = ("<I8"):unpack(text, at)
    local last = at + 15 + length
    if length < 0 or last > #text then break end
    if step_of(text:sub(at + 12, last - 4)) <= step then out[#out + 1] = text:sub(at, last) end
    at = last + 1
  end
  return table.concat(out)
end

--- append(run, records): adds records to the run's file, which begins with its version.
function M.append(run, records)
  local _ <close> = run:lock()
  local path = run:file(M.name)
  if not core.io.status(path) then table.insert(records, 1, M.version(core.system.now())) end
  local file <close>, why = io.open(path, "ab")
  local written
  if file then written, why = file:write(table.concat(records)) end
  if written then written, why = file:flush() end
  if not written then core.refuse("%s: expected to append to it, found %s", path, why) end
end

--- cut(run, step): takes what was written after a step away again.
function M.cut(run, step)
  if not run:has(M.name) then return end
  local text = core.io.read_file(run:file(M.name))
  local kept = M.kept(text, step)
  if kept ~= text then run:write(M.name, kept) end
end

return M
