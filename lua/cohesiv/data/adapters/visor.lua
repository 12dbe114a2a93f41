--- EPIC-KITCHENS VISOR (Darkhalil et al., NeurIPS 2022), the sparse annotations: annotations/SPLIT/VIDEO.json with
-- polygons, rgb_frames/SPLIT/KITCHEN/VIDEO/VIDEO_frame_%010d.jpg, and frame_mapping.json, which tells a frame's name
-- among those of EPIC-KITCHENS. A clip is a video, SPLIT/VIDEO, of its annotated frames, the first one 0.
-- Hands and gloves that are worn are hands; what one holds is the annotation whose id is its in_contact_object. Points
-- are whole pixels, and the pixels of a polygon's edges belong to it, as in the set's own masks.
local core = require "cohesiv.core"
local json, kinds = require "cohesiv.base.json", require "cohesiv.base.kinds"
local image = require "cohesiv.tensor.image"
local shipped = require "cohesiv.data.shipped"

local FROM = "https://epic-kitchens.github.io/VISOR"
local SPLITS = { "train", "val", "test" }
local WIDTH, HEIGHT = 1920, 1080 -- that the polygons are in

local function places(name) return { name, "GroundTruth-SparseAnnotations/" .. name } end

local function part(name, what)
  local list = places(name)
  list.what, list.from = what, FROM
  return list
end

local M = { title = "EPIC-KITCHENS VISOR", from = FROM, parts = {
  part("annotations", "the polygons"), part("rgb_frames", "the frames, unzipped"),
  part("frame_mapping.json", "the names of the frames in EPIC-KITCHENS"),
} }
M.parts[1].needed = true
M.parts.pictures = M.parts[2]

function M.fits(path)
  for _, place in ipairs(places "annotations") do
    for _, split in ipairs(SPLITS) do
      for _, file in ipairs(shipped.list(("%s/%s/%s"):format(path, place, split))) do
        if file:find "^P%d+_%d+.*%.json$" then return true end
      end
    end
  end
  return false
end

local image_of = kinds.object { name = kinds.text, image_path = kinds.text }

-- The frames of one video: { pictures, frames = their annotations }.
local function read(data, split, file, frames_at)
  local path = ("%s/%s/%s/%s"):format(data.path, shipped.find(data.path, M.parts[1]), split, file)
  local doc = json.read(path)
  local list = type(doc) == "table" and doc.video_annotations
  if not kinds.is_list(list) then
    core.refuse("%s: expected { video_annotations = [ … ] }, found %s", path, kinds.found(list))
  end
  local video, frames = shipped.stem(file), {}
  for i, one in ipairs(list) do
    local where = ("%s: video_annotations[%d]"):format(path, i)
    local picture = image_of(type(one) == "table" and one.image, where .. ": image")
    if not picture.name or not kinds.is_list(one.annotations) then
      core.refuse("%s: expected image.name and annotations, found %s", where, kinds.keys(one))
    end
    frames[i] = { name = picture.name, annotations = one.annotations, where = where }
  end
  table.sort(frames, function(a, b) return a.name < b.name end)
  local kitchen = video:match "^P%d+"
  local entry = { frames = frames, video = video, pictures = {} }
  for i, frame in ipairs(frames) do
    local base = ("%s/%s"):format(frames_at, split)
    entry.pictures[i] = shipped.find(data.path, {
      ("%s/%s/%s/%s"):format(base, kitchen, video, frame.name), ("%s/%s/%s"):format(base, kitchen, frame.name),
      ("%s/%s/%s"):format(base, video, frame.name),
    }) or ("%s/%s/%s/%s"):format(base, kitchen, video, frame.name)
  end
  return entry
end

function M.list(data)
  local set, polygons = {}, shipped.find(data.path, M.parts[1])
  local frames_at = shipped.find(data.path, M.parts[2]) or polygons:gsub("annotations$", "rgb_frames")
  for _, split in ipairs(SPLITS) do
    for _, file in ipairs(shipped.list(("%s/%s/%s"):format(data.path, polygons, split))) do
      if file:find "%.json$" then
        set[split .. "/" .. shipped.stem(file)] = read(data, split, file, frames_at)
      end
    end
  end
  return set
end

local HANDS = { [300] = "left", [301] = "right", [303] = "left", [304] = "right" }

-- "left" or "right" for a hand or a glove on one, nil for all else.
local function side_of(annotation)
  local side = HANDS[annotation.class_id]
  if side then return side end
  local on = annotation.on_which_hand
  on = type(on) == "table" and #on == 1 and on[1] or on
  return annotation.in_contact_object ~= nil and type(on) == "string" and on:match "^(%l+) hand$" or nil
end

function M.annotated(_, entry)
  for _, frame in ipairs(entry.frames) do
    for _, annotation in ipairs(frame.annotations) do
      if side_of(annotation) then return true end
    end
  end
  return false
end

local function mask_of(annotation, where, w, h)
  local polygons, sx, sy = {}, w / WIDTH, h / HEIGHT
  if not kinds.is_list(annotation.segments) then
    core.refuse("%s: segments: expected a list of polygons, found %s", where, kinds.found(annotation.segments))
  end
  for _, points in ipairs(annotation.segments) do
    local flat = {}
    for _, point in ipairs(type(points) == "table" and points or {}) do
      if type(point) ~= "table" or type(point[1]) ~= "number" or type(point[2]) ~= "number" then
        core.refuse("%s: segments: expected points [x, y], found %s", where, kinds.entries(point))
      end
      flat[#flat + 1], flat[#flat + 2] = point[1] * sx, point[2] * sy
    end
    if flat[1] then polygons[#polygons + 1] = flat end
  end
  return core.outline.polygons(polygons, h, w, 0, true)
end

function M.scene(data, entry, n)
  local frame = entry.frames[n + 1]
  local w, h = WIDTH, HEIGHT
  if core.io.status(data.path .. "/" .. entry.pictures[n + 1]) then -- smaller frames have smaller masks
    h, w = table.unpack(image.read(data.path .. "/" .. entry.pictures[n + 1]).shape)
  end
  local seen, by_id = { width = w, height = h, hands = {}, objects = {} }, {}
  for i, annotation in ipairs(frame.annotations) do
    local where = ("%s: annotations[%d]"):format(frame.where, i)
    if type(annotation) ~= "table" then
      core.refuse("%s: expected an object, found %s", where, kinds.found(annotation))
    end
    local one = { name = annotation.name, mask = mask_of(annotation, where, w, h), side = side_of(annotation) }
    if one.side then
      one.contact = annotation.in_contact_object
      table.insert(seen.hands, one)
    else
      if annotation.id ~= nil then by_id[annotation.id] = one end
      table.insert(seen.objects, one)
    end
  end
  for _, hand in ipairs(seen.hands) do
    local held = by_id[hand.contact]
    if held then hand.held, hand.object, hand.contact = held.mask, held.name, "object" end
  end
  return seen
end

-- data:source_frame(name, n): the file name of a frame among those of EPIC-KITCHENS and its number there, nil where
-- frame_mapping.json does not tell.
local function source_frame(data, name, n)
  local place = shipped.find(data.path, M.parts[3])
  data.mapping = data.mapping or place and json.read(data.path .. "/" .. place) or {}
  data:numbers(name) -- refuses names that are none
  local entry = data.set[name]
  local frame = entry.frames[n + 1]
  local file = frame and (data.mapping[entry.video] or {})[frame.name]
  return file, file and math.tointeger(tonumber(file:match "(%d+)%.%w+$"))
end

function M.open(path) return shipped.open(path, M, { source_frame = source_frame }) end

return M
