--- A clip: frames, landmarks, flow, person masks and maps of one video. Made by co.clip and data:clip; everything is
-- read when it is asked for. Frame numbers count from 0.
--
-- What a data folder holds is taken from there, what it lacks is made and cached: see method and source below.
local cache = require "cohesiv.data.cache"
local companions = require "cohesiv.data.companions"
local core = require "cohesiv.core"
local estimator = require "cohesiv.motion.flow"
local frames = require "cohesiv.data.frames"
local brought = require "cohesiv.data.given"
local landmarks = require "cohesiv.data.landmarks"
local maps = require "cohesiv.motion.maps"
local options = require "cohesiv.base.options"
local refuse = require "cohesiv.base.refuse"
local scale = require "cohesiv.motion.scale"
local tensor = require "cohesiv.tensor"

local any = options.optional "any"
local clip = {}
local methods = {}

--- Clip.frames (a count), .width, .height (pixels, after rotation); .name, .path, .source.
local Clip = {
  __name = "clip", methods = methods,
  __index = function(self, name)
    if name == "frames" or name == "width" or name == "height" then return self.source:info()[name] end
    return methods[name]
  end,
  __tostring = function(self) return ("clip %s"):format(self.name) end,
}

local function fail(self, format, ...) refuse("clip %s: " .. format, self.name, ...) end

local function read(self, what, given, schema)
  return options.read(("clip %s: %s"):format(self.name, what), given, schema)
end

local function check_frame(self, n)
  if math.type(n) ~= "integer" or n < 0 or n >= self.frames then
    fail(self, "expected a frame of 0 to %d, found %s", self.frames - 1, core.text(n))
  end
end

--- clip:frame(n): frame n in the clip's own pixels, uint8 H×W×3.
function methods:frame(n) return self.source:frame(n) end

--- clip:scale(size): how this clip's pixels become pixels at size = {width, height}; see scale.lua.
function methods:scale(size) return scale.of(self.width, self.height, size) end

--- clip:scaled(n, { size, padded = true }): frame n at `size` (default 448×256), zeros right and below; with
-- padded = false the content alone.
function methods:scaled(n, given)
  local o = read(self, "scaled", given, { size = any, padded = true })
  local sc, frame = self:scale(o.size), self:frame(n)
  local result = not o.padded and scale.content(frame, sc) or scale.picture(frame, sc)
  frame:close()
  return result
end

--- clip:close(): stops the decoder. The clip stays usable.
function methods:close() self.source:close() end

-- ---- landmarks ----

-- The file of landmarks; nil when there is none, which is refused where it is `needed`.
local function hands_file(self, needed)
  for _, path in ipairs(self.hands_files) do
    if core.io.status(path) then return path end
  end
  if needed then
    fail(self, "expected landmarks of its hands in %s%s, found none", table.concat(self.hands_files, " or "),
      self.data and "" or " (or give { hands = FILE })")
  end
end

--- clip:has_hands(): whether there is a file of landmarks.
function methods:has_hands() return hands_file(self) ~= nil end

--- clip:key(n): what identifies the picture of frame n, for caches: its file's place, size and time of change.
function methods:key(n) return self.source:key(n) end

--- clip:hands_key(): likewise for the landmarks.
function methods:hands_key() return frames.stamp(hands_file(self, true)) end

-- The document of landmarks, read when it is first asked for.
local function hands_of(self)
  self.landmarks = self.landmarks or landmarks.read(hands_file(self, true), self)
  return self.landmarks
end

--- clip:hands(n, { size }): the hands of frame n, a list of { side, score, vertices (V×2 float32),
-- box {x0, y0, x1, y1} }, in the clip's own pixels, or in those of the scaled frame when `size` is given. Files made
-- at another resolution are scaled to the clip's. Frames beyond the file's list have no hands.
function methods:hands(n, given)
  local o = read(self, "hands", given, { size = any })
  local doc = hands_of(self)
  check_frame(self, n)
  local list = doc:hands(n)
  if o.size then
    local sc = self:scale(o.size)
    for _, hand in ipairs(list) do
      hand.vertices = scale.points(hand.vertices, sc)
      for i = 1, 4 do hand.box[i] = (hand.box[i] + 0.5) * sc.s - 0.5 end
    end
  end
  return list
end

-- ---- flow and person masks ----

local KINDS = { flow = { "flo", "npz", "npy", "png" }, person = { "png" } }

-- The file of frame n of these kinds in a folder of the data folder, or nil. gap: of flow, else 0.
local function stored_file(self, folder, n, kinds, gap)
  if not self.root then return nil end
  return companions.file(self.root .. "/" .. folder, n, kinds, self, self.frames - math.max(gap, 0))
end

-- The file of frame n that the data folder brings along, or the generated world's truth, which must be there.
local function given_file(self, from, what, n, gap)
  if from ~= "auto" and from ~= "truth" then return nil end
  local folder = ("%s%s/%s%s"):format(from == "truth" and "truth/" or "", what, self.name, gap and "/" .. gap or "")
  local path, kind = stored_file(self, folder, n, KINDS[what], gap or 0)
  if path or from == "auto" then return path, kind end
  fail(self, "expected %s/%06d.%s, found none", folder, n, what == "flow" and "flo (or .npz, .npy, .png)" or "png")
end

--- clip:given_key(n): likewise for the flow and the person mask of frame n that the data folder brings along.
function methods:given_key(n)
  local stamps, flows = {}, self.root and ("%s/flow/%s"):format(self.root, self.name)
  local function add(folder, kinds, gap)
    local path = stored_file(self, folder, n, kinds, gap)
    if path then stamps[#stamps + 1] = frames.stamp(path) end
  end
  for _, gap in ipairs(flows and core.io.status(flows) == "folder" and core.io.list(flows) or {}) do
    add(("flow/%s/%s"):format(self.name, gap), KINDS.flow, math.tointeger(tonumber(gap)) or 0)
  end
  add("person/" .. self.name, KINDS.person, 0)
  return table.concat(stamps, "\n")
end

local function key_of(self, what, sc, ...)
  return ("%s\n%dx%d\n%s"):format(what, sc.w, sc.h, self.source:key(...))
end

local function estimate_flow(self, n, gap, size, sc, method)
  local key = key_of(self, ("flow %s %s\n%d\n%d"):format(method, estimator.version or 1, n, gap), sc, n, n + gap)
  return cache.get("flow", key, function()
    return tensor.tidy(function()
      local a = self:scaled(n, { size = size, padded = false })
      local b = self:scaled(n + gap, { size = size, padded = false })
      return scale.pad((estimator.estimate(a, b, { method = method })), sc)
    end)
  end, { flow64 = true })
end

--- clip:flow(n, gap, { size, method }): the flow from frame n to n + gap, float32 H×W×2 at `size` (default 448×256), in
-- pixels there, 0 in the padding. method: "auto", the default, takes the data folder's
-- flow/NAME/gap/%06d.{flo,png,npy,npz} and estimates by "dis" without one; "dis" always estimates (cached in 1/64
-- pixel); "truth" takes truth/flow of a generated world.
function methods:flow(n, gap, given)
  local o = read(self, "flow", given, { size = any, method = any })
  if math.type(gap) ~= "integer" or gap == 0 then
    fail(self, "expected a gap of frames other than 0, found %s", core.text(gap))
  end
  check_frame(self, n)
  check_frame(self, n + gap)
  local sc, method = self:scale(o.size), o.method or "auto"
  local path, kind = given_file(self, method, "flow", n, gap)
  if path then return brought.flow(self, path, kind, sc) end
  return estimate_flow(self, n, gap, o.size, sc, method == "auto" and "dis" or method)
end

local function find_person(self, n, size, sc)
  local seeds = {}
  for k, hand in ipairs(self:hands(n, { size = { sc.w, sc.h } })) do seeds[k] = hand.vertices end
  local mask = core.flow.person(self:scaled(n, { size = size, padded = false }), seeds) -- 0 and 255
  return scale.pad((mask:to "float32" / 255):to "uint8", sc)
end

--- clip:person(n, { size, source }): where people are in frame n, uint8 H×W of 0 and 1 at `size`, 0 in the padding.
-- source: "auto", the default, takes the data folder's person/NAME/%06d.png and else "skin"; "skin" is a simple colour
-- model seeded with the landmarks, a stand-in for a real person segmenter (cached); "truth" takes truth/person of a
-- generated world.
function methods:person(n, given)
  local o = read(self, "person", given, { size = any, source = any })
  check_frame(self, n)
  local sc, source = self:scale(o.size), o.source or "auto"
  local path = given_file(self, source, "person", n)
  if path then return scale.picture(brought.person(self, path), sc) end
  if source ~= "auto" and source ~= "skin" then
    fail(self, "person: expected source auto, skin or truth, found %s", core.text(source))
  end
  local key = ("person skin 1\n%d\n%s"):format(n, hands_of(self):key(n))
  return cache.get("person", key_of(self, key, sc, n), function()
    return tensor.tidy(find_person, self, n, o.size, sc)
  end)
end

--- clip:responsibility(n, options): the maps of frame n; see maps.lua.
function methods:responsibility(n, given) return maps.responsibility(self, n, given) end

options.guard("clip", methods, options.named "clip")

--- new{ name, path, source, root, hands_files }: a clip; root is the data folder or nil.
function clip.new(fields) return setmetatable(fields, Clip) end

return clip
