--- 100DOH (Shan et al., CVPR 2020): PASCAL VOC's layout, JPEGImages/NAME.jpg and Annotations/NAME.xml. A `hand` has a
-- box, handside (0 left, 1 right), contactstate, and where it touches an object that object's box (objxmin …). There
-- are boxes, no masks (data:boxes). A clip is one picture. Other sets of that layout are read as well: their objects.
local core = require "cohesiv.core"
local lists, xml = require "cohesiv.base.lists", require "cohesiv.base.xml"
local shipped = require "cohesiv.data.shipped"

local FROM = "https://fouheylab.eecs.umich.edu/~dandans/projects/100DOH/download.html"
local WITHIN = { "VOC2007/", "VOCdevkit2007_handobj_100K/VOC2007/",
  "pascal_voc_format/VOCdevkit2007_handobj_100K/VOC2007/" }

local function places(name)
  return lists.map({ "", table.unpack(WITHIN) }, function(prefix) return prefix .. name end)
end

local function part(name, what, needed)
  local list = places(name)
  list.what, list.from, list.needed = what, FROM, needed
  return list
end

local M = { title = "100DOH (PASCAL VOC)", from = FROM, parts = {
  part("JPEGImages", "the pictures", true), part("Annotations", "the boxes"), part("ImageSets/Main", "the splits"),
} }
M.parts.pictures = M.parts[1]

function M.fits(path)
  if shipped.find(path, places "ImageSets/Main") then return true end
  local boxes = shipped.find(path, places "Annotations")
  local first = boxes and shipped.list(path .. "/" .. boxes)[1]
  return first ~= nil and first:find "%.xml$" ~= nil
end

function M.list(data)
  local set, images = {}, shipped.find(data.path, M.parts[1])
  local boxes = shipped.find(data.path, M.parts[2])
  local known = lists.set(boxes and shipped.list(data.path .. "/" .. boxes) or {})
  for _, file in ipairs(shipped.pictures(data.path .. "/" .. images)) do
    local name = shipped.stem(file)
    set[name] = { pictures = { images .. "/" .. file },
      boxes = known[name .. ".xml"] and ("%s/%s/%s.xml"):format(data.path, boxes, name) }
    if not set[name].boxes then set[name].numbers = {} end
  end
  return set
end

function M.annotated() return false end

-- {x0, y0, x1, y1} of the elements PREFIXxmin …; nil where they are None or not there.
local function box_of(node, prefix, where)
  local box = {}
  for i, name in ipairs { "xmin", "ymin", "xmax", "ymax" } do
    local text = node and xml.value(node, prefix .. name)
    if not text or text == "" or text == "None" then return nil end
    box[i] = tonumber(text)
    if not box[i] then core.refuse("%s: %s%s: expected a number, found %s", where, prefix, name, core.found(text)) end
  end
  if box[1] > box[3] or box[2] > box[4] then
    core.refuse("%s: expected a box of xmin, ymin up to xmax, ymax, found %g, %g, %g, %g", where,
      table.unpack(box))
  end
  return box
end

local SIDES = { ["0"] = "left", ["1"] = "right" }
local CONTACTS = { ["0"] = "none", ["1"] = "self", ["2"] = "other person", ["3"] = "portable object",
  ["4"] = "stationary object" }

function M.scene(_, entry)
  if not entry.boxes then return {} end
  local root, seen = xml.read(entry.boxes), { hands = {}, objects = {} }
  if root.name ~= "annotation" then
    core.refuse("%s: expected <annotation>, found <%s>", entry.boxes, root.name)
  end
  local size = xml.child(root, "size") or {}
  seen.width, seen.height = tonumber(xml.value(size, "width")), tonumber(xml.value(size, "height"))
  local count = 0
  for _, object in ipairs(root) do
    if object.name == "object" then
      count = count + 1
      local where, name = ("%s: object %d"):format(entry.boxes, count), xml.value(object, "name")
      local box = box_of(xml.child(object, "bndbox"), "", where)
      if not (name and box) then core.refuse("%s: expected a name and a bndbox, found %s", where, name or "neither") end
      if name == "hand" then
        local held = box_of(object, "obj", where)
        table.insert(seen.hands, { box = box, held_box = held, object = held and "object",
          side = SIDES[xml.value(object, "handside")], contact = CONTACTS[xml.value(object, "contactstate")] })
      else
        table.insert(seen.objects, { name = name, box = box })
      end
    end
  end
  return seen
end

function M.open(path) return shipped.open(path, M) end

return M
