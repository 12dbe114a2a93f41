--- A clip: frames, landmarks, flow, person masks and maps of one video. Everything is read when it is asked for; what
-- the data folder lacks is made and cached. Frame numbers count from 0. clip.frames is a count; clip.width and
-- clip.height are pixels, after rotation; clip.name and clip.path say which it is.
local core = require "cohesiv.core"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"
local weights = require "cohesiv.base.weights"
local tensor = require "cohesiv.tensor"
local scale = require "cohesiv.motion.scale"
local estimator, maps = require "cohesiv.motion.flow_methods", require "cohesiv.motion.maps"
local landmarks, detected = require "cohesiv.data.landmarks", require "cohesiv.data.detected"
local corrected, person = require "cohesiv.data.corrected", require "cohesiv.data.person"
local cache, given = require "cohesiv.data.cache", require "cohesiv.data.given"
local detections = require "cohesiv.data.detections"

local any = options.optional "any"
local clip = {}
local methods = {}

local Clip = {
  __name = "clip", methods = methods,
  __index = function(self, name)
    if name == "frames" or name == "width" or name == "height" then return self.source:info()[name] end
    return methods[name]
  end,
  __tostring = function(self) return ("clip %s"):format(self.name) end,
}

local function fail(self, format, ...) core.refuse("clip %s: " .. format, self.name, ...) end

local function read(self, what, o, schema) return options.read(("clip %s: %s"):format(self.name, what), o, schema) end

local function check_frame(self, n)
  if math.type(n) ~= "integer" or n < 0 or n >= self.frames then
    fail(self, "expected a frame of 0 to %d, found %s", self.frames - 1, core.text(n))
  end
end

--- clip:frame(n): frame n in the clip's own pixels, uint8 H×W×3.
function methods:frame(n) return self.source:frame(n) end

--- clip:rate(): frames a second, as the video tells; 25, which is what video programs assume, where nothing does.
function methods:rate() return self.source:rate() or 25 end

--- clip:scale(size): how this clip's pixels become pixels at size = {width, height}; see scale.lua.
function methods:scale(size) return scale.of(self.width, self.height, size) end

--- clip:scaled(n, { size, padded = true }): frame n at `size` (default 448×256), with zeros right and below or
-- without.
function methods:scaled(n, o)
  o = read(self, "scaled", o, { size = any, padded = true })
  local sc, frame = self:scale(o.size), self:frame(n)
  local result = (o.padded and scale.picture or scale.content)(frame, sc)
  frame:close()
  return result
end

--- clip:close(): stops the decoder. The clip stays usable.
function methods:close() self.source:close() end

-- The file of landmarks; nil when there is none.
local function hands_file(self)
  for _, path in ipairs(self.hands_files) do
    if core.io.status(path) then return path end
    local bare = path:match "^(.+)%.json$"
    if bare and core.io.status(bare .. ".csv") == "file" then return bare .. ".csv" end
    if bare and bare:find "hands_json/" and core.io.status(bare) == "folder" then return bare end
  end
end

-- Raises where a clip has neither a file of landmarks nor what it takes to find its hands.
local function no_hands(self)
  fail(self, "expected landmarks of its hands in %s%s, found none%s", table.concat(self.hands_files, " or "),
    self.data and "" or " (or give { hands = FILE })",
    self.hands_given and "" or ("; to detect them %s"):format(weights.how "hands"))
end

--- clip:hands_source(): where its hands come from: "file", or "detected" when there is none.
function methods:hands_source() return (hands_file(self) or self.hands_given) and "file" or "detected" end

--- clip:has_hands(): whether there is a file of landmarks, or the weights (co.weights, "hands") to find them with.
function methods:has_hands()
  return hands_file(self) ~= nil or not self.hands_given and weights.has "hands"
end

--- clip:key(n): what identifies the picture of frame n, for caches: its file's place, size and time of change.
function methods:key(n) return self.source:key(n) end

-- The hands of the clip, with what corrects them; read, or found, when they are first asked for.
local function hands_of(self)
  if not self.landmarks then
    local path = hands_file(self)
    if not self:has_hands() then no_hands(self) end
    self.landmarks = corrected.new(self, path and landmarks.read(path, self) or detected.new(self))
  end
  return self.landmarks
end

--- clip:hands_key(): likewise for the landmarks.
function methods:hands_key() return hands_of(self):stamp() end

--- clip:hands(n, { size }): the hands of frame n, a list of { side, score, vertices (V×2 float32),
-- box {x0, y0, x1, y1} }, in the clip's own pixels, or in those of the scaled frame when `size` is given. Files made
-- at another resolution are scaled to the clip's. Frames beyond the file's list have no hands. Without a file they are
-- detected and followed, from the first frame on, and cached. clip:hands(): all of them, to be corrected
-- (corrected.lua).
function methods:hands(n, o)
  o = read(self, "hands", o, { size = any })
  local doc = hands_of(self)
  if n == nil then return doc end
  check_frame(self, n)
  local list = doc:list(n)
  if o.size then
    local sc = self:scale(o.size)
    for _, hand in ipairs(list) do
      hand.vertices = scale.points(hand.vertices, sc)
      for i = 1, 4 do hand.box[i] = (hand.box[i] + 0.5) * sc.s - 0.5 end
    end
  end
  return list
end

--- clip:given_key(n): likewise for the flow and the person mask of frame n that the data folder brings along.
function methods:given_key(n) return given.key(self, n) end

-- The key of what a text and the pictures of these frames determine, at a scale.
local function key_of(self, text, sc, of)
  return ("%s\n%dx%d\n%s"):format(text, sc.w, sc.h, self.source:key(table.unpack(of)))
end

-- What make() returns, padded: cached.
local function made(kind, key, sc, make)
  return cache.get(kind, key, function()
    return tensor.tidy(function() return scale.pad(make(), sc) end)
  end, kind == "flow")
end

-- Estimates the flows from frame n to n + gaps[i] for every i in the list `missing`, and caches them under keys[i].
local function estimate(self, n, gaps, o, sc, missing, keys, flows)
  local pictures, names = {}, {}
  for k = 0, #missing do
    local frame = k == 0 and n or n + gaps[missing[k]]
    pictures[k] = self:scaled(frame, { size = o.size, padded = false }):to(o.device)
    names[k + 1] = ("%s\n%d"):format(self.source:key(frame), frame)
  end
  estimator.flows(pictures[0], pictures, o, names, function(k, flow)
    local i = missing[k]
    flows[i] = made("flow", keys[i], sc, function() return flow:to "cpu" end)
    flow:close()
  end)
  for k = 0, #missing do pictures[k]:close() end
end

--- clip:flows(n, gaps, options): the list of clip:flow(n, gap, options) of a list of gaps. What a network has seen in a
-- frame serves all of them.
function methods:flows(n, gaps, o)
  o = read(self, "flow", o, { size = any, method = any, device = "cpu", iterations = estimator.settings.iterations,
    weights = estimator.settings.weights })
  options.expect(("clip %s: flows"):format(self.name), "gaps list", gaps)
  for _, gap in ipairs(gaps) do
    if math.type(gap) ~= "integer" or gap == 0 then
      fail(self, "expected a gap of frames other than 0, found %s", core.text(gap))
    end
    check_frame(self, n)
    check_frame(self, n + gap)
  end
  local sc, from, flows, keys, missing = self:scale(o.size), o.method or "auto", {}, {}, {}
  o.method = from ~= "auto" and from or nil
  for i, gap in ipairs(gaps) do
    flows[i] = given.flow(self, from, n, gap, sc)
    if not flows[i] then
      keys[i] = key_of(self, ("flow %s\n%d\n%d"):format(estimator.identity(o), n, gap), sc, { n, n + gap })
      flows[i] = cache.find("flow", keys[i])
      missing[#missing + 1] = not flows[i] and i or nil
    end
  end
  if #missing > 0 then
    local all = key_of(self, ("flows %s\n%d"):format(estimator.identity(o), n), sc, { n })
    local _ <close> = cache.lock("flow", all)
    missing = lists.map(missing, function(i) -- another process may have made them meanwhile
      flows[i] = cache.find("flow", keys[i])
      return not flows[i] and i
    end)
    if #missing > 0 then estimate(self, n, gaps, o, sc, missing, keys, flows) end
  end
  return flows
end

--- clip:flow(n, gap, { size, method, iterations = 20, weights, device = "cpu" }): the flow from frame n to n + gap,
-- float32 H×W×2 at `size` (default 448×256), in pixels there, 0 in the padding. method: "auto", the default, takes the
-- folder's flow/NAME/gap/%06d.{flo,png,npy,npz}, else "dis"; "dis", "raft_small" and "raft_large" estimate on `device`
-- (cached in 1/64 pixel): see co.flow.estimate for them, iterations and weights; "truth" takes truth/flow of a
-- generated world.
function methods:flow(n, gap, o) return self:flows(n, { gap }, o)[1] end

--- clip:person(n, { size, source }): where people are in frame n, uint8 H×W of 0 and 1 at `size`, 0 in the padding.
-- source: "auto", the default, takes the data folder's person/NAME/%06d.png, else "network", the segmenter that
-- experiments/person.lua trains, where its weights are present, else "skin": a simple colour model seeded with the
-- landmarks (both cached); "truth" takes truth/person of a generated world.
function methods:person(n, o)
  o = read(self, "person", o, { size = any, source = any })
  check_frame(self, n)
  local sc, source = self:scale(o.size), o.source or "auto"
  local mask = given.person(self, source, n, sc)
  if mask then return mask end
  source = source == "auto" and (person.present() and "network" or "skin") or source
  if source == "network" then
    local key = ("person network 2\n%d\n%s"):format(n, person.key())
    return made("person", key_of(self, key, sc, { n }), sc, function()
      return person.mask(self:scaled(n, { size = o.size, padded = false }))
    end)
  elseif source ~= "skin" then
    fail(self, "person: expected source auto, network, skin or truth, found %s", core.text(source))
  end
  local key = ("person skin 1\n%d\n%s"):format(n, hands_of(self):key(n))
  return made("person", key_of(self, key, sc, { n }), sc, function()
    local seeds = {}
    for k, hand in ipairs(self:hands(n, { size = { sc.w, sc.h } })) do seeds[k] = hand.vertices end
    local found = core.flow.person(self:scaled(n, { size = o.size, padded = false }), seeds) -- 0 and 255
    return (found:to "float32" / 255):to "uint8"
  end)
end

--- clip:person_key(source): what identifies, beyond the frame, how clip:person makes masks of this source.
function methods.person_key(_, source)
  return (source == "network" or source == "auto" and person.present()) and person.key() or "none"
end

--- clip:saliency(n): a map of what stands out that the data folder brings along, saliency/NAME/%06d.png, float32 H×W of
-- 0 to 1 in the clip's own pixels; nil where it has no such folder of this clip.
function methods:saliency(n)
  check_frame(self, n)
  return given.saliency(self, n)
end

--- clip:detections(n): the hands of frame n and what they hold as a detector has written them (detections.lua), a list
-- of { side, score, box, object_box, object_score, contact }, in the clip's own pixels; nil where there is no file of
-- this clip.
function methods:detections(n)
  check_frame(self, n)
  if self.detected_boxes == nil then self.detected_boxes = detections.of(self) or false end
  return self.detected_boxes and (self.detected_boxes[n] or {}) or nil
end

--- clip:responsibility(n, options): the maps of frame n; see maps.lua.
function methods:responsibility(n, o) return maps.responsibility(self, n, o) end

options.guard("clip", methods, options.named "clip")

--- new{ name, path, source, root, hands_files }: a clip; root is the data folder or nil.
function clip.new(fields) return setmetatable(fields, Clip) end

return clip
