--- The hands of a clip that no file tells of: found and followed by motion/hands.lua from its first frame on, and kept
-- in the cache in pieces of PIECE frames. A piece is known by the pictures and the piece before it, so that work that
-- was broken off goes on where it was, and gives the same. For others it is what a document of landmarks is.
local core = require "cohesiv.core"
local progress = require "cohesiv.base.progress"
local tensor = require "cohesiv.tensor"
local finder = require "cohesiv.motion.hands"
local cache = require "cohesiv.data.cache"

local PIECE = 32 -- even, see finder.tracker
local TOLD = 3 -- pieces of work and more are told of
local NUMBERS = 3 + 2 * finder.LANDMARKS -- of a hand: its frame within the piece, its side, its score, points

local detected = {}
local Detected = {}
Detected.__index = Detected

--- new(clip): of which frames and the source are asked.
function detected.new(clip) return setmetatable({ clip = clip, pieces = {} }, Detected) end

-- What identifies a piece.
local function key_of(self, p)
  local last, frames = math.min((p + 1) * PIECE, self.clip.frames) - 1, {}
  for n = p * PIECE, last do frames[#frames + 1] = n end
  local before = p > 0 and self.pieces[p - 1].key or ("hands %d"):format(finder.version)
  return core.io.digest(("%s\n%d\n%s"):format(before, p, self.clip.source:key(table.unpack(frames)))), frames
end

-- A piece as numbers: a row for each hand.
local function packed(rows)
  return rows[1] and tensor.tensor(rows, { dtype = "float64" }) or core.full(0, 0, NUMBERS, { dtype = "float64" })
end

local function unpacked(t)
  local frames = {}
  for _, row in ipairs(t:totable()) do
    local points = {}
    for k = 1, finder.LANDMARKS do points[k] = { row[2 * k + 2], row[2 * k + 3] } end
    local n = math.tointeger(row[1])
    frames[n] = frames[n] or {}
    table.insert(frames[n], { side = row[2] > 0 and "right" or "left", score = row[3], points = points })
  end
  return frames
end

-- The hands in the last frame of a piece, from which the next one goes on.
local function tracker_after(self, p)
  if p < 0 then return finder.tracker {} end
  local last = math.min((p + 1) * PIECE, self.clip.frames) - 1 - p * PIECE
  return finder.tracker({}, self.pieces[p].frames[last] or {})
end

local function make(self, p, frames, tell)
  local tracker, rows = tracker_after(self, p - 1), {}
  for i, n in ipairs(frames) do
    local image = self.clip.source:frame(n)
    for _, hand in ipairs(tracker:next(image)) do
      local row = { i - 1, hand.side == "right" and 1 or 0, hand.score }
      for _, point in ipairs(hand.points) do
        row[#row + 1] = point[1]
        row[#row + 1] = point[2]
      end
      rows[#rows + 1] = row
    end
    image:close()
    tell(n + 1)
  end
  return packed(rows)
end

-- Piece p, and before it all that it follows from.
local function piece(self, p)
  local bar, first = nil, p
  while first > 0 and not self.pieces[first - 1] do first = first - 1 end
  local function tell(done)
    if bar then bar:update(done) end
  end
  for q = first, self.pieces[p] and -1 or p do
    local key, frames = key_of(self, q)
    local stored = cache.find("hands", key)
    local _ <close> = not stored and cache.lock("hands", key) or nil
    stored = stored or cache.find("hands", key)
    if not stored then
      if not bar and p - q >= TOLD then bar = progress.new("hands of " .. self.clip.name, self.clip.frames) end
      stored = make(self, q, frames, tell)
      cache.store("hands", key, stored)
    end
    self.pieces[q] = { key = key, frames = unpacked(stored) }
    stored:close()
  end
  if bar then bar:finish(("%d frames"):format(math.min((p + 1) * PIECE, self.clip.frames))) end
  return self.pieces[p]
end

local function found_in(self, n) return finder.distinct(piece(self, n // PIECE).frames[n % PIECE] or {}) end

--- document:key(n): what identifies the hands of frame n, for caches.
function Detected:key(n) return ("%s %d"):format(piece(self, n // PIECE).key, n % PIECE) end

--- document:stamp(): likewise those of all frames.
function Detected:stamp()
  if not self.known then
    local frames = {}
    for n = 0, self.clip.frames - 1 do frames[n + 1] = n end
    self.known = core.io.digest(self.clip.source:key(table.unpack(frames)))
  end
  return ("detected %d %s"):format(finder.version, self.known)
end

--- document:hands(n): the hands of frame n, in the clip's own pixels.
function Detected:hands(n)
  local list = {}
  for i, hand in ipairs(found_in(self, n)) do list[i] = finder.given(hand) end
  return list
end

--- document:prepare(): finds the hands of all frames.
function Detected:prepare()
  if self.clip.frames > 0 then piece(self, (self.clip.frames - 1) // PIECE) end
end

return detected
