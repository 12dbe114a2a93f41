--- Hand, object and contact masks of the frames of a video from its maps alone: no network, no training.
--
-- Frames are asked for in order; what is kept is small: pictures of the working size and the maps of three frames.
-- Per frame: few gaps, as far as the landmarks say that a hand moves (both sides); flow by dense inverse search; the
-- map, averaged with those of the two neighbours carried here by the flow, so that masks do not flicker; sharpened by
-- the least cut (csrc/motion/sharpen.h); split into hand and object (csrc/motion/parts.h). Hands are followed from
-- frame to frame: the K-th stays the K-th. What a frame gives depends on frames near it alone, but for the numbers K.
local core = require "cohesiv.core"
local flow = require "cohesiv.motion.flow"
local metrics = require "cohesiv.hands.metrics"
local responsibility = require "cohesiv.motion.responsibility"
local scale = require "cohesiv.motion.scale"
local tensor = require "cohesiv.tensor"

local M = {}
local VideoMasks = {}
VideoMasks.__index = VideoMasks

M.version = 1 --- changes with the masks that are given

local LONG = 320 -- of the working size
local GAPS = { 1, 2, 3, 6, 12 }
local FAR = 4 -- pixels that a hand shall move in a gap, at the working size
local NEXT = 0.5 -- weight of the neighbours' maps
local LOST = 30 -- frames that a number waits for its hand

--- new(clip, { method = "dis", tracks = {} }): the masks of a clip's frames; method: as flow.estimate has it; tracks:
-- those of another such object of the clip, after the frame before the first that is asked for.
function M.new(clip, o)
  local long = math.max(clip.width, clip.height)
  local function side(length) return math.max(1, math.floor(length * math.min(1, LONG / long) + 0.5)) end
  return setmetatable({ clip = clip, size = { side(clip.width), side(clip.height) }, method = o and o.method,
    tracks = o and o.tracks or {}, pictures = {}, maps = {}, flows = {} }, VideoMasks)
end

function VideoMasks:picture(n)
  self.pictures[n] = self.pictures[n] or self.clip:scaled(n, { size = self.size }):keep()
  return self.pictures[n]
end

function VideoMasks:flow(n, gap)
  local list = self.flows[n] or {}
  self.flows[n] = list
  list[gap] = list[gap]
    or flow.estimate(self:picture(n), self:picture(n + gap), { method = self.method }):keep()
  return list[gap]
end

function VideoMasks:hands(n)
  local sc = self.clip:scale(self.size)
  local list = {}
  for k, hand in ipairs(self.clip:hands(n)) do
    list[k] = { vertices = scale.points(hand.vertices:detach():to "float64", sc):keep(), side = hand.side }
  end
  return list
end

local function centre_and_size(vertices)
  local low, high, mean = vertices:min(1), vertices:max(1), vertices:mean(1)
  return mean[1], mean[2], math.sqrt(math.max(1, (high[1] - low[1]) * (high[2] - low[2])))
end

-- The hand of a list that is nearest to one, within so many of its sizes: its number and the distance in pixels.
local function nearest(vertices, list, sizes)
  local x, y, size = centre_and_size(vertices)
  local best, least = nil, sizes * size
  for k, other in ipairs(list) do
    local u, v = centre_and_size(other.vertices)
    local d = math.sqrt((u - x) ^ 2 + (v - y) ^ 2)
    if d < least then best, least = k, d end
  end
  return best, least
end

-- On each side the smallest gap in which every hand moves, or else the widest that there is.
function VideoMasks:gaps(n, hands)
  local chosen = {}
  for side = -1, 1, 2 do
    local widest
    for _, gap in ipairs(GAPS) do
      local there = n + side * gap
      if there < 0 or there >= self.clip.frames then break end
      widest = side * gap
      local still, others = false, self:hands(there)
      for _, hand in ipairs(hands) do
        local k, far = nearest(hand.vertices, others, 3)
        still = still or k and far < FAR
      end
      if not still then break end
    end
    chosen[#chosen + 1] = widest
  end
  return chosen
end

-- The map of frame n without its neighbours, H×W×(N+1), and its scene; nil without hands or in a clip of one frame.
function VideoMasks:map(n)
  if self.maps[n] then return self.maps[n] end
  local hands = self:hands(n)
  local gaps = #hands > 0 and self:gaps(n, hands) or {}
  local made = { hands = hands }
  if #gaps > 0 then
    local flows, vertices = {}, {}
    for g, gap in ipairs(gaps) do flows[g] = self:flow(n, gap) end
    for k, hand in ipairs(hands) do vertices[k] = hand.vertices end
    local R = responsibility.responsibility { flows = flows, hands = vertices, background = "homography",
      temperature = 1, closeness = 4, fit = { model = "homography", points = 500, fall_back = true } }
    made.scene, made.map = { flows = flows, hands = vertices }, R.map:keep()
  end
  self.maps[n] = made
  return made
end

-- A map H×W×N of another frame in this one: at every pixel its value where the flow leads.
function VideoMasks:carry(map, to)
  local w, h = self.size[1], self.size[2]
  if not self.places then
    local x, y = tensor.arange(0, w):reshape { 1, w, 1 }, tensor.arange(0, h):reshape { h, 1, 1 }
    self.places = (tensor.cat({ x:expand { h, w, 1 }, y:expand { h, w, 1 } }, 3) + 0.5):keep()
    self.unit = tensor.tensor({ 2 / w, 2 / h }):keep()
  end
  local grid = (to + self.places) * self.unit - 1
  local out = core.ops.grid_sample.call(map:reshape { 1, h, w, map.shape[3] }, grid:reshape { 1, h, w, 2 }, "border")
  return out:reshape(map.shape)
end

-- The map of frame n with those of its neighbours.
function VideoMasks:steady(n, made)
  local sum, weight = made.map, 1
  for side = -1, 1, 2 do
    local there = n + side
    local other = there >= 0 and there < self.clip.frames and self:map(there)
    if other and other.map then
      local planes, found = {}, false
      for k, hand in ipairs(made.hands) do
        local match = nearest(hand.vertices, other.hands, 1)
        found = found or match
        planes[k] = match and other.map:select(3, match) or made.map:select(3, k)
      end
      if found then
        local carried = self:carry(tensor.stack(planes, 3), self:flow(n, side))
        sum, weight = sum:narrow(3, 1, #planes) + carried * NEXT, weight + NEXT
      end
    end
    sum = sum:narrow(3, 1, #made.hands)
  end
  local map = sum * (1 / weight)
  return tensor.cat({ map, (1 - map:sum(3, true)):clamp(0, 1) }, 3)
end

-- Numbers for the hands of a frame: those of the tracks that they continue, else the smallest free ones. A track is a
-- hand as it was last seen: { number, x, y, size, side, lost = frames since then }.
function VideoMasks:number(hands)
  local numbers, taken, close, tracks = {}, {}, {}, {}
  for k, hand in ipairs(hands) do
    local x, y, size = centre_and_size(hand.vertices)
    tracks[k] = { x = x, y = y, size = size, side = hand.side, lost = 0 }
    for _, track in ipairs(self.tracks) do
      local d = math.sqrt((track.x - x) ^ 2 + (track.y - y) ^ 2) / size
      local other_side = track.side and hand.side and track.side ~= hand.side and 0.5 or 0 -- detectors confuse sides
      if d < 2 then close[#close + 1] = { d + other_side, k, track.number } end
    end
  end
  table.sort(close, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return a[2] < b[2] or a[2] == b[2] and a[3] < b[3]
  end)
  for _, pair in ipairs(close) do
    if not numbers[pair[2]] and not taken[pair[3]] then numbers[pair[2]], taken[pair[3]] = pair[3], true end
  end
  local known = {}
  for _, track in ipairs(self.tracks) do known[track.number] = true end
  for k, track in ipairs(tracks) do
    local free = 1
    while taken[free] or not numbers[k] and known[free] do free = free + 1 end
    numbers[k] = numbers[k] or free
    taken[numbers[k]], track.number = true, numbers[k]
  end
  for _, track in ipairs(self.tracks) do
    if not taken[track.number] and track.lost < LOST then
      track.lost = track.lost + 1
      tracks[#tracks + 1] = track
    end
  end
  self.tracks = tracks
  return numbers
end

-- Lets go of what the frames from n on do not need.
function VideoMasks:forget(n)
  for i, picture in pairs(self.pictures) do
    if math.abs(i - n) > GAPS[#GAPS] + 1 then
      picture:close()
      self.pictures[i] = nil
    end
  end
  for i, list in pairs(self.flows) do
    if math.abs(i - n) > 1 then
      for _, t in pairs(list) do t:close() end
      self.flows[i] = nil
    end
  end
  for i, made in pairs(self.maps) do
    if math.abs(i - n) > 1 then
      if made.map then made.map:close() end
      self.maps[i] = nil
    end
  end
end

--- masks:frame(n): the masks of frame n, a list of { number, hand, object, contact }, uint8 of the clip's size;
-- number: the K of this hand. Ask for frames in order.
function VideoMasks:frame(n)
  local out = tensor.tidy(function()
    local made = self:map(n)
    local hands = made.hands
    local numbers = self:number(hands)
    local list = {}
    if #hands > 0 then
      local scene, map
      if made.map then
        scene, map = made.scene, self:steady(n, made)
      else -- one frame alone: no motion, so the landmarks alone say where the hand is
        scene = { flows = { tensor.zeros(self.size[2], self.size[1], 2) }, hands = {} }
        for k, hand in ipairs(hands) do scene.hands[k] = hand.vertices end
        map = tensor.full(1 / (#hands + 1), self.size[2], self.size[1], #hands + 1)
      end
      local picture = self:picture(n)
      local sharp = core.responsibility.sharpen(scene, picture, map, "cut")
      local hand, object = core.responsibility.parts(scene, picture, sharp)
      local width, height = self.clip.width, self.clip.height
      for k in ipairs(hands) do
        local function own(mask) return metrics.over(metrics.resize(mask[k]:to "float32", width, height), 0.5) end
        local one = { number = numbers[k], hand = own(hand), object = own(object) }
        one.contact = metrics.contact(one.hand, one.object)
        list[k] = one
      end
    end
    return list
  end)
  self:forget(n)
  return out
end

return M
