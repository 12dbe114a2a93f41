--- A folder with the masks of a video's frames, made in order and gone on with after any end:
--   NNNNNN_handK.png NNNNNN_objectK.png NNNNNN_contactK.png   1-bit, of the clip's size, K the hand's number
--   segment.jsonl   a line of settings, then one for each frame that is done: { frame, hands, tracks }
-- A frame's line is written after its masks. Masks made with other settings are refused, not mixed.
local core = require "cohesiv.core"
local image = require "cohesiv.tensor.image"
local json = require "cohesiv.base.json"
local warn = require "cohesiv.base.warn"

local M = {}
local Folder = {}
Folder.__index = Folder

local RECORD, LOCK = "segment.jsonl", ".lock"
local KINDS = { "hand", "object", "contact" }

local function record(self) return self.path .. "/" .. RECORD end

-- The whole lines of the record, the last one cut off where its writer was killed.
local function lines_of(self)
  local list = {}
  if not core.io.status(record(self)) then return list end
  for line in core.io.read_file(record(self), 1 << 30):gmatch "([^\n]*)\n" do
    list[#list + 1] = json.decode(line, ("%s: line %d"):format(record(self), #list + 1))
  end
  return list
end

local function check(self, found, settings)
  for key, value in pairs(settings) do
    if type(found) ~= "table" or found[key] ~= value then
      core.refuse("%s: expected masks made with %s %s, found %s (give another --out, or remove the folder)", self.path,
        key, core.text(value), core.text(type(found) == "table" and found[key] or nil))
    end
  end
end

--- open(path, settings): the folder, made unless it is there; settings: a table of texts and numbers that decide what
-- the masks are. .done: how many frames are done; .tracks: those of the hands after them. Close it.
function M.open(path, settings)
  core.io.make_folder(path)
  local self = setmetatable({ path = path, done = 0, tracks = {}, objects = 0 }, Folder)
  local lock, who = core.io.lock(path .. "/" .. LOCK)
  if not lock then core.refuse("%s: expected a folder nobody writes, found it held by %s", path, who) end
  if who then
    warn.once(path, "%s: expected a file system with locks, found: %s; let nobody else write it", path, who)
  end
  self.lock = lock
  local ok, problem = pcall(function()
    core.io.sweep(path)
    local lines = lines_of(self)
    if lines[1] then check(self, lines[1], settings) end
    local kept = { json.encode(settings) }
    for i = 2, #lines do
      if lines[i].frame ~= i - 2 then
        core.refuse("%s: line %d: expected frame %d, found %s", record(self), i, i - 2, core.text(lines[i].frame))
      end
      kept[i], self.done, self.tracks = json.encode(lines[i]), i - 1, lines[i].tracks
    end
    core.io.write_file(record(self), table.concat(kept, "\n") .. "\n")
  end)
  if not ok then
    self:close()
    error(problem, 0)
  end
  return self
end

--- folder:close(): lets others write it.
function Folder:close()
  if self.lock then self.lock:close() end
  self.lock = nil
end
Folder.__close = Folder.close

--- folder:file(n, kind, K): the path of a mask.
function Folder:file(n, kind, number) return ("%s/%06d_%s%d.png"):format(self.path, n, kind, number) end

--- folder:write(n, masks, tracks): the masks of the next frame, as video_masks.lua gives them, and its line.
function Folder:write(n, masks, tracks)
  local numbers = {}
  for i, one in ipairs(masks) do
    numbers[i] = one.number
    for _, kind in ipairs(KINDS) do image.write(self:file(n, kind, one.number), one[kind], { depth = 1 }) end
  end
  local line = json.encode { frame = n, hands = json.list(numbers), tracks = json.list(tracks) } .. "\n"
  local file, problem = io.open(record(self), "a")
  if not file then core.refuse("%s", problem) end
  local written, why = file:write(line)
  local closed, late = file:close()
  if not (written and closed) then core.refuse("%s: expected room for a line, found: %s", record(self), why or late) end
  self.done, self.tracks = n + 1, tracks
end

--- folder:read(n): the masks of a frame that is done, a list of { number, hand, object, contact }.
function Folder:read(n)
  self.lines = self.lines or lines_of(self)
  local list = {}
  for i, number in ipairs(self.lines[n + 2].hands) do
    list[i] = { number = number }
    for _, kind in ipairs(KINDS) do list[i][kind] = image.mask(self:file(n, kind, number)) end
  end
  return list
end

return M
