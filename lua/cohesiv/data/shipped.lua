--- Data sets as they are shipped: a data folder made of a description of the set's own layout (adapters/NAME.lua; what
-- it says stands in adapters.lua). What a set's files mean the adapter knows; what all sets give is made here: clips
-- of the named pictures, queries that lie on the hands, masks by query, boxes, counts. Nothing is written.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local tensor = require "cohesiv.tensor"
local clip, folder = require "cohesiv.data.clip", require "cohesiv.data.folder"
local frames, names = require "cohesiv.data.frames", require "cohesiv.data.names"
local shipped = {}

--- find(path, places): the first of these places below a folder that is there, or nil.
function shipped.find(path, places)
  for _, place in ipairs(places) do
    if core.io.status(path .. "/" .. place) then return place end
  end
end

--- list(path): the names in a folder without hidden ones, sorted; none where there is no folder.
function shipped.list(path)
  if core.io.status(path) ~= "folder" then return {} end
  return lists.map(core.io.list(path), function(name) return name:sub(1, 1) ~= "." and name end)
end

--- pictures(path): those of the names in a folder that are pictures; nothing else is asked of them.
function shipped.pictures(path)
  return lists.map(shipped.list(path), function(name) return names.picture(name) and name end)
end

--- stem(file): its name without the extension.
function shipped.stem(file) return (file:gsub("%.%w+$", "")) end

--- missing(layout, path): the parts of a set that are not at a path: a list of { places, what, from }.
function shipped.missing(layout, path)
  return lists.map(layout.parts, function(part) return not shipped.find(path, part) and part end)
end

--- lacking(part): a part as messages name it.
function shipped.lacking(part)
  return ("%s (%s), to be had from %s"):format(part[1], part.what, part.from)
end

local methods = {}

-- The clips by name: { pictures = paths below the folder, … what the adapter keeps }.
local function entries(self)
  if not self.set then self.set = self.layout.list(self) end
  return self.set
end

local function entry_of(self, name)
  local entry = type(name) == "string" and entries(self)[name]
  return entry or core.refuse("data %s: expected the name of a clip of %s, found %s", self.path, self.layout.title,
    core.text(name))
end

function methods:list_clips() return lists.keys(entries(self)) end

function methods:list_annotated()
  local list = {}
  for name, entry in pairs(entries(self)) do
    if self.layout.annotated(self, entry) then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

function methods:open_clip(name)
  local entry = entry_of(self, name)
  local first = entry.pictures[1]
  if not core.io.status(self.path .. "/" .. first) then
    core.refuse("data %s: expected %s, a picture of %s (to be had from %s), found none", self.path, first,
      self.layout.title, self.layout.parts.pictures.from)
  end
  return clip.new {
    name = name, path = self.path .. "/" .. first, root = self.path, data = self,
    source = frames.pictures(self.path, entry.pictures), hands_files = { ("%s/hands_json/%s.json"):format(self.path,
      name) },
  }
end

-- What is seen in a frame, see adapters.lua; hands whose mask is empty are none.
local function scene(self, entry, n)
  local seen = self.layout.scene(self, entry, n)
  seen.hands = lists.map(seen.hands or {}, function(hand)
    if hand.mask then
      local x, y, left, top, right, bottom = core.outline.place(hand.mask)
      if not x then return nil end
      hand.x, hand.y, hand.box = x, y, hand.box or { left, top, right, bottom }
    end
    if hand.held then
      local x, _, left, top, right, bottom = core.outline.place(hand.held)
      if x then hand.held_box = hand.held_box or { left, top, right, bottom } else hand.held, hand.object = nil, nil end
    end
    return hand
  end)
  seen.objects = seen.objects or {}
  return seen
end

-- The frames of a clip that the set says something about, and whether n is one.
local function numbers(entry)
  if entry.numbers then return entry.numbers end
  local list = {}
  for i = 1, #entry.pictures do list[i] = i - 1 end
  return list
end

local function with_masks(seen) return lists.map(seen.hands, function(hand) return hand.mask and hand end) end

function methods:queries(of)
  local name = type(of) == "table" and of.name or of
  local entry, list = entry_of(self, name), {}
  if not self.layout.annotated(self, entry) then return nil end
  for _, n in ipairs(numbers(entry)) do
    tensor.tidy(function()
      local seen = scene(self, entry, n)
      local hands = with_masks(seen)
      list[#list + 1] = { clip = name, n = n, width = seen.width, height = seen.height,
        file = self.path .. "/" .. entry.pictures[n + 1],
        queries = lists.map(hands, function(hand, k)
          return { hand.x, hand.y, index = k, side = hand.side, object = hand.held and hand.object or nil }
        end) }
    end)
  end
  return list
end

function methods:masks(name, n)
  local masks, entry = { hand = {}, object = {}, arm = {} }, entry_of(self, name)
  if not entry.pictures[n + 1] then return masks end
  for k, hand in ipairs(with_masks(scene(self, entry, n))) do masks.hand[k], masks.object[k] = hand.mask, hand.held end
  return masks
end

function methods:mask(name, n, kind, k) return (self:masks(name, n)[kind] or {})[k] end

-- data:boxes(name, n): the hands of a frame as boxes: a list of { side, box, object_box, contact, object }, boxes
-- {x0, y0, x1, y1} in pixels; of a set of masks their bounds. contact: what the set calls the hand's state.
function methods:boxes(name, n)
  return tensor.tidy(function()
    return lists.map(scene(self, entry_of(self, name), n).hands, function(hand)
      return { side = hand.side, box = hand.box, object_box = hand.held_box, contact = hand.contact,
        object = hand.object }
    end)
  end)
end

-- data:objects(name, n): what a frame shows besides hands: a list of { name, mask, box }.
function methods:objects(name, n) return scene(self, entry_of(self, name), n).objects end

-- data:numbers(name): the frames that the set says something about.
function methods:numbers(name) return numbers(entry_of(self, name)) end

-- data:frame_count(name): how many frames a clip has; nothing is opened.
function methods:frame_count(name) return #entry_of(self, name).pictures end

-- data:scene(name, n): all of it, for counting: { width, height, hands, objects }.
function methods:scene(name, n) return scene(self, entry_of(self, name), n) end

--- open(path, layout, more): the data folder of a set at a path. more: methods and fields of its own.
function shipped.open(path, layout, more)
  local lacks = shipped.missing(layout, path)
  for _, part in ipairs(lacks) do
    if part.needed then
      core.refuse("data %s: expected %s with %s, found none", path, layout.title, shipped.lacking(part))
    end
  end
  local own = lists.copy(methods)
  own.layout = layout
  for key, value in pairs(more or {}) do own[key] = value end
  return folder.open(path, own)
end

return shipped
