--- EgoHOS (Zhang et al., ECCV 2022): SPLIT/image/NAME.jpg and SPLIT/label/NAME.png, a picture of labels: 1 left hand,
-- 2 right hand, 3 what the left one holds, 4 the right one, 5 both; 6, 7 and 8 are touched by those objects, not by a
-- hand. A clip is one picture, SPLIT/NAME.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local shipped = require "cohesiv.data.shipped"

local FROM = "https://github.com/owenzlz/EgoHOS"
local SPLITS = { "train", "val", "test_indomain", "test_outdomain" }

local function places(kind) return lists.map(SPLITS, function(split) return split .. "/" .. kind end) end

local function part(kind, what)
  local list = places(kind)
  list.what, list.from = what, FROM
  return list
end

local M = { title = "EgoHOS", from = FROM, parts = { part("image", "the pictures"), part("label", "the labels") } }
M.parts.pictures = M.parts[1]
for _, split in ipairs(SPLITS) do
  M.parts[#M.parts + 1] = { split, what = "a split", from = FROM }
end

function M.fits(path) return shipped.find(path, places "label") ~= nil end

function M.list(data)
  local set = {}
  for _, split in ipairs(SPLITS) do
    local labels = lists.set(shipped.list(("%s/%s/label"):format(data.path, split)))
    for _, file in ipairs(shipped.pictures(("%s/%s/image"):format(data.path, split))) do
      local stem = shipped.stem(file)
      set[split .. "/" .. stem] = {
        pictures = { ("%s/image/%s"):format(split, file) },
        label = labels[stem .. ".png"] and ("%s/label/%s.png"):format(split, stem),
      }
    end
  end
  return set
end

function M.annotated(_, entry) return entry.label and true or false end

local OBJECTS = { left = { 3, 5 }, right = { 4, 5 } }

function M.scene(data, entry)
  if not entry.label then return {} end
  local path = data.path .. "/" .. entry.label
  local labels = core.io.png_read(path, "labels")
  local present = core.outline.labels(labels)
  if present[#present] > 8 then core.refuse("%s: expected labels of 0 to 8, found %d", path, present[#present]) end
  local height, width = table.unpack(labels.shape)
  local there, seen = lists.set(present), { height = height, width = width, hands = {}, objects = {} }
  for value, side in ipairs { "left", "right" } do
    if there[value] then
      local held
      for _, object in ipairs(OBJECTS[side]) do
        local mask = there[object] and core.outline.label(labels, object)
        held = held and mask and core.metrics.join(held, mask) or held or mask or nil
      end
      table.insert(seen.hands, { side = side, mask = core.outline.label(labels, value), held = held,
        object = held and "object" })
    end
  end
  for value = 3, 8 do
    if there[value] then
      table.insert(seen.objects, { name = value < 6 and "object" or "second object",
        mask = core.outline.label(labels, value) })
    end
  end
  return seen
end

function M.open(path) return shipped.open(path, M) end

return M
