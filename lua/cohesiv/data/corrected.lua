--- The hands of a clip, wherever they come from, with corrections on top: what clip:hands() gives. Corrections hold for
-- this clip object alone, until they are saved as a file.
--   clip:hands():drop(12, 2):interpolate(15, 1):save "cups.json"
local core = require "cohesiv.core"
local json, lists = require "cohesiv.base.json", require "cohesiv.base.lists"
local options = require "cohesiv.base.options"
local tensor = require "cohesiv.tensor"

local REACH = 12 -- frames on each side in which a hand is looked for to interpolate from
local NEAR = 1.5 -- sizes of a hand that it may move from one frame to the next at most

local corrected = {}
local Corrected = { __name = "hands of a clip" }
Corrected.__index = Corrected

--- new(clip, document): document: of landmarks.lua or detected.lua.
function corrected.new(clip, document)
  return setmetatable({ clip = clip, document = document, changed = {} }, Corrected)
end

local function check_frame(self, what, n)
  if math.type(n) ~= "integer" or n < 0 or n >= self.clip.frames then
    core.refuse("clip %s: hands: %s: expected a frame of 0 to %d, found %s", self.clip.name, what, self.clip.frames - 1,
      core.text(n))
  end
end

local function copy_of(hand)
  return { side = hand.side, score = hand.score, vertices = hand.vertices, box = lists.copy(hand.box) }
end

--- h:list(n): the hands of frame n, as clip:hands(n) gives them.
function Corrected:list(n)
  local changed = self.changed[n]
  return changed and lists.map(changed, copy_of) or self.document:hands(n)
end

local function text_of(hands)
  return json.encode(json.list(lists.map(hands, function(hand)
    return { side = hand.side, score = hand.score, box = json.list(hand.box),
      vertices = json.list(lists.map(hand.vertices:totable(), json.list)) }
  end)))
end

--- h:key(n): what identifies the hands of frame n, for caches.
function Corrected:key(n)
  return self.changed[n] and core.io.digest(text_of(self.changed[n])) or self.document:key(n)
end

--- h:stamp(): likewise of all frames.
function Corrected:stamp()
  local frames, list = {}, { self.document:stamp() }
  for n in pairs(self.changed) do frames[#frames + 1] = n end
  table.sort(frames)
  for _, n in ipairs(frames) do list[#list + 1] = ("%d %s"):format(n, self:key(n)) end
  return table.concat(list, "\n")
end

-- The hands of a frame, to be changed, of which `most` may be meant.
local function open(self, what, n, k, more)
  check_frame(self, what, n)
  local hands = self:list(n)
  local most = #hands + more
  if math.type(k) ~= "integer" or k < 1 or k > most then
    core.refuse("clip %s: hands: %s: frame %d: expected a hand of 1 to %d, found %s%s", self.clip.name, what, n, most,
      core.text(k), #hands == 0 and " (there are no hands)" or "")
  end
  return hands
end

--- h:drop(n, k): frame n without its hand k. → h
function Corrected:drop(n, k)
  local hands = open(self, "drop", n, k, 0)
  table.remove(hands, k)
  self.changed[n] = hands
  return self
end

-- ---- interpolation ----
local function centre(hand)
  local box = hand.box
  return (box[1] + box[3]) / 2, (box[2] + box[4]) / 2, math.max(box[3] - box[1], box[4] - box[2], 1)
end

local function distance(a, b)
  local ax, ay, size = centre(a)
  local bx, by = centre(b)
  return math.sqrt((ax - bx) ^ 2 + (ay - by) ^ 2) / size
end

-- The hand of frame n that lies nearest to where `hand` was `gap` frames away.
local function nearest(self, n, hand, gap)
  local best, least
  for _, other in ipairs(self:list(n)) do
    local d = distance(hand, other)
    if #other.vertices == #hand.vertices and d <= NEAR * gap and d < (least or math.huge) then best, least = other,
      d end
  end
  return best
end

-- A hand of frame n that is `step` frames or a few more away, and how many.
local function neighbour(self, n, hand, step)
  for gap = 1, REACH do
    local there = n + step * gap
    if there < 0 or there >= self.clip.frames then return nil end
    local found = nearest(self, there, hand, gap)
    if found then return found, gap end
  end
end

-- Pairs of hands before and after frame n that are one, and that none of the frame's own is.
local function missing(self, n, hands)
  for gap = 1, REACH do
    if n - gap < 0 then return nil end
    for _, before in ipairs(self:list(n - gap)) do
      local known = false
      for _, hand in ipairs(hands) do known = known or distance(hand, before) < 0.5 end
      local after, later = neighbour(self, n, before, 1)
      if after and not known then return before, gap, after, later end
    end
  end
end

-- The hand that lies a share of the way from one to another.
local function between(before, after, share)
  local list = (before.vertices * (1 - share) + after.vertices * share):totable()
  local x0, y0, x1, y1 = math.huge, math.huge, -math.huge, -math.huge
  for _, p in ipairs(list) do
    x0, y0, x1, y1 = math.min(x0, p[1]), math.min(y0, p[2]), math.max(x1, p[1]), math.max(y1, p[2])
  end
  return { side = before.side, score = math.min(before.score, after.score), vertices = tensor.tensor(list),
    box = { x0, y0, x1, y1 } }
end

--- h:interpolate(n, k): hand k of frame n as lies between the nearest frames before and after that have it (at most 12
-- away); k one beyond the frame's hands: the hand that they have and this frame lacks. → h
function Corrected:interpolate(n, k)
  local hands = open(self, "interpolate", n, k, 1)
  local before, gap, after, later
  if hands[k] then
    before, gap = neighbour(self, n, hands[k], -1)
    after, later = neighbour(self, n, hands[k], 1)
  else
    before, gap, after, later = missing(self, n, hands)
  end
  if not (before and after) then
    core.refuse("clip %s: hands: interpolate: frame %d: expected the hand within %d frames before and after, found "
      .. "none %s", self.clip.name, n, REACH, before and "after" or "before")
  end
  hands[k] = between(before, after, gap / (gap + later))
  self.changed[n] = hands
  return self
end

-- ---- files ----
local function rounded(list)
  return json.list(lists.map(list, function(x) return math.floor(x * 100 + 0.5) / 100 end))
end

--- h:save(path): all frames as a file of landmarks, written whole or not at all. → h
function Corrected:save(path)
  options.expect("hands: save", "file path", path)
  if self.document.prepare then self.document:prepare() end
  local frames = {}
  for n = 0, self.clip.frames - 1 do
    frames[n + 1] = json.list(lists.map(self:list(n), function(hand)
      return { side = hand.side, score = math.floor(hand.score * 1e4 + 0.5) / 1e4, box = rounded(hand.box),
        vertices = json.list(lists.map(hand.vertices:totable(), rounded)) }
    end))
  end
  core.io.write_file(path, json.encode { width = self.clip.width, height = self.clip.height,
    frames = json.list(frames) })
  return self
end

return options.guard("hands of a clip", Corrected, options.named "hands of a clip") and corrected
