--- Landmarks: from the file of a clip's hands to the hands of a frame. What can be understood in one way only is read;
-- the rest is an error that names file, frame (from 0), hand and vertex (from 1), or a warning where it may be right.
--
--   { "width": W, "height": H, "frames": [[HAND, …], …] }
--   HAND: { "side": "left", "score": 0.9, "vertices": [[x, y], …], "box": [x0, y0, x1, y1] }
--
-- frames may be keyed by number instead; a frame may be null, one hand, or { "hands": … }. The document is decoded as a
-- whole, but a frame is looked at only when it is asked for: files of an hour of video have 200,000 hands.
local core = require "cohesiv.core"
local fields = require "cohesiv.base.fields"
local json = require "cohesiv.base.json"
local scale = require "cohesiv.motion.scale"
local tensor = require "cohesiv.tensor"
local warn = require "cohesiv.base.warn"

local landmarks = {}
local Document = {}
Document.__index = Document

local absent, fail, found = fields.absent, fields.fail, fields.found

-- A warning about a place in the file, once for each kind.
local function tell(self, kind, where, format, ...)
  warn.once(("%s\n%s"):format(self.path, kind), "%s: " .. format, where, ...)
end

-- ---- the document ----

-- Without width and height the clip's are meant, unless they seem to be there under other names.
local function check_keys(self, doc)
  for key, value in pairs(doc) do
    local word = tostring(key):lower()
    if not absent(value)
      and (word:find "width" or word:find "height" or word:find "size" or word:find "resolution") then
      tell(self, "keys", self.path, "expected width and height, found the keys %s: vertices are taken for the clip's "
        .. "pixels", fields.keys(doc))
      return
    end
  end
end

-- What x and y of the file are multiplied with to be the clip's pixels, and the size that the file tells, if any.
local function set_scale(self, doc)
  local w, h = fields.size(self.path, "width", doc.width), fields.size(self.path, "height", doc.height)
  local W, H = self.clip.width, self.clip.height
  self.rx, self.ry, self.width, self.height = w and W / w or 1, h and H / h or 1, w, h
  if not w and not h then return check_keys(self, doc) end
  if not (w and h) then
    fail("%s: expected width and height, found the %s alone", self.path, w and "width" or "height")
  end
  if w == 1 and h == 1 then return end -- parts of the picture, and said so
  if scale.same_aspect(w, h, W, H) then return end
  fail("%s: expected the aspect of the clip (%dx%d), found %gx%g%s", self.path, W, H, w, h,
    scale.same_aspect(h, w, W, H) and ": swapped (landmarks of the unrotated video?)" or "")
end

local function check_list(self, list)
  local count, expected = #list, self.clip.frames
  if count == expected then return end
  tell(self, "count", self.path, "expected landmarks of the clip's %d frames, found %d: %s", expected, count,
    count < expected and ("from frame %d on there are no hands"):format(count) or "the last are not used")
end

local function set_keyed(self, object)
  local low, high
  self.keyed, low, high = fields.frames(self.path, object)
  local count = self.clip.frames
  if high < count then return end -- frames without hands may be left out
  if low == 1 and high == count then
    fail("%s: frames: expected frames of 0 to %d, found 1 to %d (frames count from 0)", self.path, count - 1, high)
  end
  tell(self, "count", self.path, "expected frames of 0 to %d, found frame %d: what is beyond the clip is not used",
    count - 1, high)
end

--- read(path, clip): the document of a file of landmarks for a clip (of which frames, width and height are asked).
function landmarks.read(path, clip)
  local doc = json.read(path)
  if type(doc) ~= "table" or type(doc.frames) ~= "table" then
    fail("%s: expected landmarks { width, height, frames = [[…], …] }, found %s", path,
      type(doc) ~= "table" and found(doc) or fields.is_list(doc) and found(doc)
      or doc.frames ~= nil and "frames = " .. found(doc.frames) or "the keys " .. fields.keys(doc))
  end
  local self = setmetatable({ path = path, clip = clip }, Document)
  set_scale(self, doc)
  if fields.is_list(doc.frames) then
    self.list = doc.frames
    check_list(self, doc.frames)
  else
    set_keyed(self, doc.frames)
  end
  return self
end

-- ---- the hands of a frame, as the file has them ----

local NUMBERS = { "frame", "frame_id", "frame_idx", "frame_index", "frame_number", "index", "number" }

-- A frame that says its own number says the right one: lists with frames left out exist.
local function check_number(self, n, frame)
  for _, key in ipairs(NUMBERS) do
    local number = fields.number(frame[key])
    if number and number ~= n then
      fail("%s: frames[%d]: expected frame %d, found %s %g (frames count from 0; those without hands are [])",
        self.path, n, n, key, number)
    end
  end
end

local function hands_in(self, n, value, nested)
  if absent(value) then return {} end
  if fields.is_list(value) then return value end
  if type(value) == "table" then
    if not nested then check_number(self, n, value) end
    if value.vertices ~= nil then return { value } end
    if value.hands ~= nil and not nested then return hands_in(self, n, value.hands, true) end
  end
  fail("%s: frames[%d]: expected a list of hands, found %s", self.path, n, found(value))
end

local function raw(self, n)
  if self.keyed then return hands_in(self, n, self.keyed[n]) end
  return hands_in(self, n, self.list[n + 1])
end

--- document:key(n): what identifies the hands of frame n, for caches.
function Document:key(n)
  local ok, text = pcall(json.encode, raw(self, n)) -- fails for 1e999 where no hand is looked for
  if not ok then fail("%s: frames[%d]: %s", self.path, n, text) end
  return core.io.digest(("%s\n%g %g"):format(text, self.rx, self.ry))
end

-- ---- one hand ----

local SIDES = { left = "left", l = "left", right = "right", r = "right" }

local function side_of(where, side)
  if absent(side) then return nil end
  if type(side) ~= "string" then fail("%s: side: expected left or right, found %s", where, found(side)) end
  return SIDES[side:lower()] or side
end

local function score_of(where, score)
  if absent(score) then return 1 end
  return fields.number(score) or fail("%s: score: expected a number, found %s", where, found(score))
end

-- The vertices in the clip's pixels, and their bounds in the file's.
local function points_of(self, where, hand)
  local points, x0, y0, x1, y1 = {}, math.huge, math.huge, -math.huge, -math.huge
  local rx, ry = self.rx, self.ry
  for i, p in ipairs(hand.vertices) do
    local x, y = fields.point(p)
    if not x then fail("%s: vertex %d: expected [x, y] in pixels, found %s", where, i, fields.found_point(p)) end
    points[i] = { x * rx, y * ry }
    x0, y0, x1, y1 = math.min(x0, x), math.min(y0, y), math.max(x1, x), math.max(y1, y)
  end
  return points, x0, y0, x1, y1
end

local TINY, SMALL = 2, 16 -- no hand lies within 2 pixels at the corner of a picture of 16 or more

local function check_place(self, where, count, x0, y0, x1, y1)
  local clip = self.clip
  local w, h = self.width or clip.width, self.height or clip.height
  if count > 1 and w >= SMALL and h >= SMALL and x0 >= -TINY and y0 >= -TINY and x1 <= TINY and y1 <= TINY then
    if x0 == x1 and y0 == y1 then
      fail("%s: expected vertices in pixels, found all of them at (%g, %g) (no hand? leave it out)", where, x0, y0)
    end
    fail("%s: expected vertices in pixels, found a whole hand within %s (normalised coordinates? then width and height "
      .. "are 1)", where, math.max(x1 - x0, y1 - y0) <= 1 and "one pixel" or "a few pixels")
  end
  local beyond = self.width and 1 or 0 -- how many pictures beside the picture is too far
  local rx, ry = self.rx, self.ry
  if x1 * rx < -beyond * clip.width or x0 * rx > (1 + beyond) * clip.width or y1 * ry < -beyond * clip.height
    or y0 * ry > (1 + beyond) * clip.height then
    tell(self, "place", where, "expected a hand in the picture of %dx%d, found it at x %.0f to %.0f, y %.0f to %.0f%s",
      clip.width, clip.height, x0 * rx, x1 * rx, y0 * ry, y1 * ry,
      self.width and "" or " (the file tells no width and height: of another resolution?)")
  end
end

local function corners_of(where, box)
  if absent(box) or type(box) == "table" and next(box) == nil then return nil end
  local list = type(box) == "table" and #box == 4 and box or {}
  local x0, y0, x1, y1 = fields.number(list[1]), fields.number(list[2]), fields.number(list[3]), fields.number(list[4])
  if not (x0 and y0 and x1 and y1) then
    fail("%s: box: expected [x0, y0, x1, y1], found %s", where,
      fields.is_list(box) and fields.found_list(box) or found(box))
  end
  if x1 < x0 or y1 < y0 then
    fail("%s: box: expected [x0, y0, x1, y1] with x0 ≤ x1 and y0 ≤ y1, found %s ([x, y, width, height]?)", where,
      fields.found_list(box))
  end
  return { x0, y0, x1, y1 }
end

-- How many vertices lie in a box.
local function inside(hand, x0, y0, x1, y1)
  local count = 0
  for _, p in ipairs(hand.vertices) do
    local x, y = fields.point(p)
    if x >= x0 and x <= x1 and y >= y0 and y <= y1 then count = count + 1 end
  end
  return count
end

-- The hand's box in the clip's pixels: the file's, else the bounds of the vertices. One that holds fewer than half of
-- them is another hand's, of another resolution, or not two corners.
local function box_of(self, where, hand, x0, y0, x1, y1)
  local rx, ry = self.rx, self.ry
  local box = corners_of(where, hand.box)
  if not box then return { x0 * rx, y0 * ry, x1 * rx, y1 * ry } end
  local a, b, c, d = table.unpack(box)
  if x0 < a or y0 < b or x1 > c or y1 > d then
    local held, count = inside(hand, a, b, c, d), #hand.vertices
    if 2 * held < count then
      tell(self, "box", where, "expected a box [x0, y0, x1, y1] around the vertices, found one that holds %d of %d%s",
        held, count, 2 * inside(hand, a, b, a + c, b + d) >= count and " ([x, y, width, height]?)" or "")
    end
  end
  return { a * rx, b * ry, c * rx, d * ry }
end

local function hand_of(self, n, k, hand)
  local where = ("%s: frames[%d]: hand %d"):format(self.path, n, k)
  if type(hand) ~= "table" or fields.is_list(hand) then
    fail("%s: expected an object with vertices, found %s", where, found(hand))
  end
  if not fields.is_list(hand.vertices) or #hand.vertices == 0 then
    fail("%s: expected vertices [[x, y], …], found %s", where,
      hand.vertices == nil and "only " .. fields.keys(hand) or found(hand.vertices))
  end
  local points, x0, y0, x1, y1 = points_of(self, where, hand)
  check_place(self, where, #points, x0, y0, x1, y1)
  return {
    side = side_of(where, hand.side), score = score_of(where, hand.score),
    vertices = tensor.tensor(points), box = box_of(self, where, hand, x0, y0, x1, y1),
  }
end

--- document:hands(n): the hands of frame n in the clip's pixels, a list of { side, score, vertices (V×2 float32),
-- box { x0, y0, x1, y1 } }. Frames beyond the file's have none.
function Document:hands(n)
  local list = {}
  for k, hand in ipairs(raw(self, n)) do
    if not absent(hand) then list[#list + 1] = hand_of(self, n, k, hand) end
  end
  return list
end

return landmarks
