--- co.hands: hands and their 21 landmarks in pictures, by MediaPipe's two networks (weights "hands") on our own ops:
-- palms are detected (palms.lua), each gives a turned square (hand_regions.lua), in which the landmarks, whether there
-- is a hand, and which one are read off. From frame to frame a hand's square follows from its landmarks, and palms are
-- looked for again where fewer hands than `max` are known. As MediaPipe's own program has it, to the same samples: what
-- differs in a thousandth grows from frame to frame.
local core = require "cohesiv.core"
local lists, options, weights = require "cohesiv.base.lists", require "cohesiv.base.options",
  require "cohesiv.base.weights"
local tensor = require "cohesiv.tensor"
local tflite = require("cohesiv.nn.tflite").tflite
local palms, regions = require "cohesiv.motion.palms", require "cohesiv.motion.hand_regions"

local SIDE, LANDMARKS = 224, 21
local CENTRE = 0.5 -- the networks count from a picture's corner, landmarks here from the first pixel's centre
local SURE = 0.4 -- what either network gives for a hand; palms below it count where a certain hand of its own is found
local CERTAIN = 0.8
local PAIR = 2 -- of so many known hands and more, palms are looked for in every second frame
local SAME = 0.5 -- of two squares that overlap more the first is dropped: its hand is known

local M = {
  --- Changes with what is found, so that caches know.
  version = 2,
  LANDMARKS = LANDMARKS,
}

local networks

-- The two networks, read when they are first needed.
local function load()
  if networks then return networks end
  local folder = weights.path "hands"
  networks = { palm = tflite(folder .. "/palm_detection_full.tflite"):freeze(),
    landmark = tflite(folder .. "/hand_landmark_full.tflite"):freeze() }
  return networks
end

--- forget(): lets go of the networks.
function M.forget() networks = nil end

-- The hand in a region; nil where the network gives less than `threshold` for one.
local function look(image, region, threshold)
  local landmarks, presence, right = networks.landmark(core.crop(image, region, SIDE, SIDE, true))
  local score = presence:reshape(-1):totable()[1]
  if not (score >= threshold) then return nil end
  local list, points = landmarks:reshape(-1):totable(), {}
  for k = 1, LANDMARKS do
    local x, y = regions.point(region, list[3 * k - 2] / SIDE, list[3 * k - 1] / SIDE)
    points[k] = { x - CENTRE, y - CENTRE }
  end
  return { score = score, side = right:reshape(-1):totable()[1] > 0.5 and "right" or "left", points = points }
end

local function bounds(points)
  local x0, y0, x1, y1 = math.huge, math.huge, -math.huge, -math.huge
  for _, p in ipairs(points) do
    x0, y0, x1, y1 = math.min(x0, p[1]), math.min(y0, p[2]), math.max(x1, p[1]), math.max(y1, p[2])
  end
  return x0, y0, x1, y1
end

-- The mean distance of the landmarks of two hands, over the size of the smaller.
local function apart(a, b)
  local sum = 0
  for k = 1, LANDMARKS do
    sum = sum + math.sqrt((a.points[k][1] - b.points[k][1]) ^ 2 + (a.points[k][2] - b.points[k][2]) ^ 2)
  end
  local function size(hand)
    local x0, y0, x1, y1 = bounds(hand.points)
    return math.sqrt((x1 - x0) ^ 2 + (y1 - y0) ^ 2)
  end
  return sum / LANDMARKS / math.max(math.min(size(a), size(b)), 1)
end

local DOUBLE = 0.25 -- nearer ones are one hand seen twice

-- The place of the last hand of a list that is the same as another seen twice.
local function double_of(hand, hands)
  for k = #hands, 1, -1 do
    if apart(hand, hands[k]) < DOUBLE then return k end
  end
end

--- distinct(hands): of a tracker's, where two squares may have settled on one hand: of these the better answer.
function M.distinct(hands)
  local kept = {}
  for _, hand in ipairs(hands) do
    local k = double_of(hand, kept)
    if not k then
      kept[#kept + 1] = hand
    elseif hand.score > kept[k].score then
      kept[k] = hand
    end
  end
  return kept
end

-- The places in a list of squares of those that are of one hand with another.
local function same(list, region)
  return lists.map(list, function(other, i)
    return palms.overlap(regions.box(region), regions.box(other)) > SAME and i
  end)
end

-- A list of squares without those that a later one shows to be of one hand.
local function last_of_each(list)
  local kept = {}
  for _, region in ipairs(list) do
    local places = same(kept, region)
    for i = #places, 1, -1 do table.remove(kept, places[i]) end
    kept[#kept + 1] = region
  end
  return kept
end

-- The squares in which hands are looked for: those of palms, where asked, that are in none of the known ones (of weak
-- palms in a picture of its own, or beside one known hand: the other one), and, last, the known ones.
local function regions_of(image, known, o, search)
  local old, new, weak = last_of_each(known or {}), {}, {}
  for _, palm in ipairs(search and palms.detect(networks.palm, image, o.threshold) or {}) do
    local region = regions.of_palm(palm)
    region.weak = palm.score < SURE
    if region.width > 0 then table.insert(region.weak and weak or new, region) end
  end
  new = last_of_each(new)
  if not known or #old == 1 then table.move(weak, 1, #weak, #new + 1, new) end
  local list = {}
  for _, region in ipairs(new) do
    local another = not same(old, region)[1] and not same(list, region)[1]
    if another and #old + #list < o.max then list[#list + 1] = region end
  end
  return table.move(old, 1, #old, #list + 1, list)
end

-- known: the squares of the frame before; nil for a picture of its own.
local function search_in(image, known, o, search)
  local hands = {}
  for _, region in ipairs(regions_of(image, known, o, search)) do
    local hand = look(image, region, region.weak and CERTAIN or math.max(SURE, o.threshold))
    if hand then
      local k = double_of(hand, hands)
      if k and hands[k].weak then table.remove(hands, k) end
      hand.weak = region.weak
      hands[#hands + 1] = hand
    end
  end
  return hands
end

local schema = { max = options.integer(4, 1, 32), threshold = options.between(0.3, 0.001, 0.999) }

local function check_image(what, image)
  if not core.is_tensor(image) or image.dtype ~= "uint8" or #image.shape ~= 3 or image.shape[3] ~= 3
    or image:numel() == 0 then
    core.refuse("%s: expected an image uint8 HxWx3, found %s", what, options.show(image))
  end
end

--- given(hand): a hand of a tracker as detect gives it.
function M.given(hand)
  return { side = hand.side, score = hand.score, vertices = tensor.tensor(hand.points),
    box = { bounds(hand.points) } }
end

--- detect(image, { max = 4, threshold = 0.3 }): the hands in an image uint8 H×W×3, at most `max`: a list of { side,
-- score, vertices (21×2 float32), box {x0, y0, x1, y1} } in its pixels. A hand is one where both networks give 0.4 (or
-- `threshold`, if that is more), or where the palm's gives `threshold` and the other is certain of a hand that no
-- better palm led to.
function M.detect(image, o)
  o = options.read("hands.detect", o, schema)
  check_image("hands.detect", image)
  load()
  local list = M.distinct(tensor.no_grad(tensor.tidy, search_in, image, nil, o, true))
  for i, hand in ipairs(list) do list[i] = M.given(hand) end
  return list
end

-- ---- from frame to frame ----
local Tracker = {}
Tracker.__index = Tracker

local function regions_after(hands)
  local list = {}
  for i, hand in ipairs(hands) do
    local region = regions.of_landmarks(hand.points)
    region.x, region.y = region.x + CENTRE, region.y + CENTRE
    list[i] = region
  end
  return list
end

--- tracker:next(image): the hands of the next frame, as { side, score, points = {{x, y}, …} }; see distinct.
function Tracker:next(image)
  load()
  self.frames = self.frames + 1
  local search = #self.known < self.o.max and (#self.known < PAIR or self.frames % 2 == 0)
  local hands = tensor.no_grad(tensor.tidy, search_in, image, self.known, self.o, search)
  self.known = regions_after(hands)
  return hands
end

--- tracker({ max = 4, threshold = 0.3 }, hands?): follows hands through the frames of a video, given in order; goes on
-- after a frame with these hands (an even number of frames after the first, to give the same).
function M.tracker(o, hands)
  return setmetatable({ o = options.read("hands.tracker", o, schema), frames = 0,
    known = regions_after(hands or {}) }, Tracker)
end

--- What co.hands is.
M.public = { detect = M.detect }

return M
