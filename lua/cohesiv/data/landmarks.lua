--- Landmarks: from the file of a clip's hands to the hands of a frame. What can be understood in one way only is read;
-- the rest is an error that names file, frame (from 0), hand and vertex (from 1), or a warning where it may be right.
--   { "width": W, "height": H, "frames": [[HAND, …], …] }
--   HAND: { "side": "left", "score": 0.9, "vertices": [[x, y], …], "box": [x0, y0, x1, y1] }
-- frames may be keyed by number instead; a frame may be null, one hand, or { "hands": … }. What other programs write is
-- turned into this (landmark_formats.lua). The document is decoded as a whole, but a frame is looked at only when it is
-- asked for: files of an hour of video have 200,000 hands.
local core = require "cohesiv.core"
local warn = require "cohesiv.base.warn"
local tensor = require "cohesiv.tensor"
local scale = require "cohesiv.motion.scale"
local formats = require "cohesiv.data.landmark_formats"
local document, frames = require "cohesiv.data.document", require "cohesiv.data.frames"
local json, kinds, lists = require "cohesiv.base.json", require "cohesiv.base.kinds", require "cohesiv.base.lists"

local absent, found, is_list = kinds.absent, kinds.found, kinds.is_list

local landmarks = {}
local Document = {}
Document.__index = Document

-- A warning about a place in the file, once for each kind.
local function tell(self, kind, where, format, ...)
  warn.once(("%s\n%s"):format(self.path, kind), "%s: " .. format, where, ...)
end

-- ---- the document ----
-- Without width and height the clip's are meant, unless they seem to be there under other names.
local function check_size(self, doc)
  local w, h, W, H = self.width, self.height, self.clip.width, self.clip.height
  for key, value in pairs(w and {} or doc) do
    local name = absent(value) and "" or key:lower()
    if name:find "width" or name:find "height" or name:find "size" or name:find "resolution" then
      return tell(self, "keys", self.path, "expected width and height, found the keys %s: vertices are taken for the "
        .. "clip's pixels", kinds.keys(doc))
    end
  end
  if not w or w == 1 and h == 1 or scale.same_aspect(w, h, W, H) then return end -- 1: parts of the picture
  core.refuse("%s: expected the aspect of the clip (%dx%d), found %gx%g%s", self.path, W, H, w, h,
    scale.same_aspect(h, w, W, H) and ": swapped (landmarks of the unrotated video?)" or "")
end

-- Of frames by number those without hands may be left out, of a list none.
local function check_count(self, high, low)
  local count = self.clip.frames
  if low == 1 and high == count then
    core.refuse("%s: frames: expected frames of 0 to %d, found 1 to %d (frames count from 0)", self.path, count - 1,
      high)
  elseif low and high >= count then
    tell(self, "count", self.path, "expected frames of 0 to %d, found frame %d: what is beyond the clip is not used",
      count - 1, high)
  elseif not low and high + 1 ~= count then
    tell(self, "count", self.path, "expected landmarks of the clip's %d frames, found %d: %s", count, high + 1,
      high < count and ("from frame %d on there are no hands"):format(high + 1) or "the last are not used")
  end
end

--- read(path, clip): the document of a file of landmarks for a clip (of which frames, width and height are asked).
function landmarks.read(path, clip)
  local doc, w, h = document.read(path, "landmarks { width, height, frames = [[…], …] }", false,
    formats.read(path) or formats.converted(path, json.read(path)))
  local self = setmetatable({ path = path, clip = clip, width = w, height = h }, Document)
  -- What x and y of the file are multiplied with to be the clip's pixels.
  self.rx, self.ry = w and clip.width / w or 1, h and clip.height / h or 1
  check_size(self, doc)
  local high, low = #doc.frames - 1, nil
  self.frames, self.first = doc.frames, 1
  if not is_list(doc.frames) then
    self.first, self.frames, high, low = 0, document.by_number(path, doc.frames)
  end
  check_count(self, high, low)
  return self
end

-- ---- the hands of a frame, as the file has them ----
local NUMBERS = { "frame", "frame_id", "frame_idx", "frame_index", "frame_number", "index", "number" }

-- A frame that says its own number says the right one: lists with frames left out exist.
local function check_number(where, n, frame)
  for _, key in ipairs(NUMBERS) do
    local number = kinds.spelled(frame[key])
    if number and number ~= n then
      core.refuse("%s: expected frame %d, found %s %g (frames count from 0; those without hands are [])", where, n, key,
        number)
    end
  end
end

-- The list of hands of frame n, and its place.
local function raw(self, n)
  local where, hands = ("%s: frames[%d]"):format(self.path, n), self.frames[n + self.first]
  if type(hands) == "table" and not is_list(hands) then
    check_number(where, n, hands)
    if hands.vertices == nil and hands.hands ~= nil then hands = hands.hands end
  end
  if type(hands) == "table" and hands.vertices ~= nil then hands = { hands } end
  if absent(hands) then return {}, where end
  if is_list(hands) then return hands, where end
  core.refuse("%s: expected a list of hands, found %s", where, found(hands))
end

--- document:key(n): what identifies the hands of frame n, for caches.
function Document:key(n)
  local hands, where = raw(self, n)
  local ok, text = pcall(json.encode, hands) -- fails for 1e999 where no hand is looked for
  if not ok then core.refuse("%s: %s", where, text) end
  return core.io.digest(("%s\n%g %g"):format(text, self.rx, self.ry))
end

--- document:stamp(): likewise of all frames: its file's.
function Document:stamp() return frames.stamp(self.path) end

-- ---- one hand ----
local SIDES = { left = "left", l = "left", right = "right", r = "right" }

local side_of = kinds.optional(kinds.kind("left or right", function(side)
  return type(side) == "string" and (SIDES[side:lower()] or side) or nil
end))
local score_of = kinds.optional(kinds.kind("a number", kinds.spelled), 1)
local corners_of = kinds.kind("[x0, y0, x1, y1]", function(box)
  local corners = {}
  for _, value in ipairs(type(box) == "table" and box or {}) do corners[#corners + 1] = kinds.spelled(value) end
  return #corners == 4 and #box == 4 and corners or nil
end, kinds.entries)

-- The vertices of a hand, as in the file, and their bounds.
local function points_of(where, hand)
  if not is_list(hand.vertices) or #hand.vertices == 0 then
    core.refuse("%s: expected vertices [[x, y], …], found %s", where,
      hand.vertices == nil and "only " .. kinds.keys(hand) or found(hand.vertices))
  end
  local points, x0, y0, x1, y1 = {}, math.huge, math.huge, -math.huge, -math.huge
  for i, p in ipairs(hand.vertices) do
    local x, y = document.point(p)
    if not x then core.refuse("%s: vertex %d: expected [x, y] in pixels, found %s", where, i, y) end
    points[i] = { x, y }
    x0, y0, x1, y1 = math.min(x0, x), math.min(y0, y), math.max(x1, x), math.max(y1, y)
  end
  return points, { x0, y0, x1, y1 }
end

local TINY, SMALL = 2, 16 -- no hand lies within 2 pixels at the corner of a picture of 16 or more

local function check_place(self, where, count, x0, y0, x1, y1)
  local clip = self.clip
  local w, h = self.width or clip.width, self.height or clip.height
  if count > 1 and w >= SMALL and h >= SMALL and x0 >= -TINY and y0 >= -TINY and x1 <= TINY and y1 <= TINY then
    if x0 == x1 and y0 == y1 then
      core.refuse("%s: expected vertices in pixels, found all of them at (%g, %g) (no hand? leave it out)", where, x0,
        y0)
    end
    core.refuse("%s: expected vertices in pixels, found a whole hand within %s (normalised coordinates? then width and "
      .. "height are 1)", where, math.max(x1 - x0, y1 - y0) <= 1 and "one pixel" or "a few pixels")
  end
  local beyond = self.width and 1 or 0 -- how many pictures beside the picture is too far
  if x1 < -beyond * w or x0 > (1 + beyond) * w or y1 < -beyond * h or y0 > (1 + beyond) * h then
    tell(self, "place", where, "expected a hand in the picture of %dx%d, found it at x %.0f to %.0f, y %.0f to %.0f%s",
      clip.width, clip.height, x0 * self.rx, x1 * self.rx, y0 * self.ry, y1 * self.ry,
      self.width and "" or " (the file tells no width and height: of another resolution?)")
  end
end

-- How many points lie in a box.
local function inside(points, x0, y0, x1, y1)
  local count = 0
  for _, p in ipairs(points) do
    if p[1] >= x0 and p[1] <= x1 and p[2] >= y0 and p[2] <= y1 then count = count + 1 end
  end
  return count
end

-- The box of a hand: the file's, else the vertices' bounds. One that holds fewer than half of them is told of.
local function box_of(self, where, hand, points, bounds)
  if absent(hand.box) or type(hand.box) == "table" and next(hand.box) == nil then return bounds end
  local box = corners_of(hand.box, where .. ": box")
  local a, b, c, d = table.unpack(box)
  if c < a or d < b then
    core.refuse("%s: box: expected [x0, y0, x1, y1] with x0 ≤ x1 and y0 ≤ y1, found %s ([x, y, width, height]?)",
      where, kinds.entries(hand.box))
  end
  local held, count = inside(points, a, b, c, d), #points
  if 2 * held < count then
    tell(self, "box", where, "expected a box [x0, y0, x1, y1] around the vertices, found one that holds %d of %d%s",
      held, count, 2 * inside(points, a, b, a + c, b + d) >= count and " ([x, y, width, height]?)" or "")
  end
  return box
end

local function hand_of(self, where, hand)
  if type(hand) ~= "table" or is_list(hand) then
    core.refuse("%s: expected an object with vertices, found %s", where, found(hand))
  end
  local points, bounds = points_of(where, hand)
  check_place(self, where, #points, table.unpack(bounds))
  local side, score = side_of(hand.side, where .. ": side"), score_of(hand.score, where .. ": score")
  local x0, y0, x1, y1 = table.unpack(box_of(self, where, hand, points, bounds))
  local rx, ry = self.rx, self.ry
  for _, p in ipairs(points) do p[1], p[2] = p[1] * rx, p[2] * ry end
  return { side = side, score = score, vertices = tensor.tensor(points), box = { x0 * rx, y0 * ry, x1 * rx, y1 * ry } }
end

--- document:hands(n): the hands of frame n as clip:hands gives them, in the clip's own pixels.
function Document:hands(n)
  local hands, where = raw(self, n)
  return lists.map(hands, function(hand, k)
    return not absent(hand) and hand_of(self, ("%s: hand %d"):format(where, k), hand)
  end)
end

return landmarks
