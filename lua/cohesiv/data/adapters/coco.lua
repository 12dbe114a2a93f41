--- COCO (Lin et al., arXiv:1405.0312) and what is written in its format: annotations/NAME_SPLIT.json with images,
-- annotations and categories; pictures in SPLIT/, images/SPLIT/ or images/. Masks are lists of polygons (in coordinates
-- of pixels' corners: a pixel is set whose centre is within one of them) or runs down the columns, packed or as a list.
-- Annotations whose category is a hand ("hand", "left hand" …) are hands; what one holds is the annotation of the
-- picture whose id it gives as `interaction`. All others are objects. A clip is one picture, SPLIT/NAME.
local core = require "cohesiv.core"
local json, kinds, lists = require "cohesiv.base.json", require "cohesiv.base.kinds", require "cohesiv.base.lists"
local shipped = require "cohesiv.data.shipped"

local FROM = "https://cocodataset.org/#download"

local M = { title = "COCO", from = FROM, parts = {
  { "annotations", what = "the annotations", from = FROM, needed = true },
  { "train2017", "val2017", "images", "train", "val", "test", "train2014", "val2014", what = "the pictures",
    from = FROM },
} }
M.parts.pictures = M.parts[2]

-- The files of instances and their splits: instances_val2017.json, val.json.
local function files_of(path)
  local files = lists.map(shipped.list(path .. "/annotations"), function(file) return file:find "%.json$" and file end)
  local instances = lists.map(files, function(file) return file:find "^instances_" and file end)
  return instances[1] and instances or files
end

function M.fits(path) return files_of(path)[1] ~= nil end

local image_of = kinds.object { id = kinds.any, file_name = kinds.text, width = kinds.whole, height = kinds.whole }

-- Where a picture lies; nothing is opened.
local function place_of(path, split, file)
  return shipped.find(path, { split .. "/" .. file, ("images/%s/%s"):format(split, file), "images/" .. file, file })
    or split .. "/" .. file
end

local function side_of(category, annotation)
  local side = annotation.handside
  return category:find "left" and "left" or category:find "right" and "right" or side == 0 and "left"
    or side == 1 and "right" or nil
end

-- Adds what one file says to the set.
local function read(data, file, set)
  local path = ("%s/annotations/%s"):format(data.path, file)
  local doc = json.read(path)
  if type(doc) ~= "table" or type(doc.images) ~= "table" then
    core.refuse("%s: expected { images, annotations, categories }, found %s", path,
      type(doc) == "table" and "the keys " .. kinds.keys(doc) or kinds.found(doc))
  end
  local split, by_id, categories = shipped.stem(file):gsub("^%a+_", ""), {}, {}
  for i, category in ipairs(type(doc.categories) == "table" and doc.categories or {}) do
    local c = kinds.object { name = kinds.text } (category, ("%s: categories[%d]"):format(path, i))
    categories[c.id] = c.name
  end
  for i, image in ipairs(doc.images) do
    image = image_of(image, ("%s: images[%d]"):format(path, i))
    if not (image.id and image.file_name and image.width and image.height) then
      core.refuse("%s: images[%d]: expected id, file_name, width and height, found %s", path, i, kinds.keys(image))
    end
    local entry = { file = image.file_name, split = split, image = image, where = path, annotations = {} }
    entry.pictures = setmetatable({}, { __index = function(list, k)
      if k == 1 then
        list[1] = place_of(data.path, split, image.file_name)
        return list[1]
      end
    end, __len = function() return 1 end })
    set[split .. "/" .. shipped.stem(image.file_name)], by_id[image.id] = entry, entry
  end
  for i, annotation in ipairs(type(doc.annotations) == "table" and doc.annotations or {}) do
    local entry = type(annotation) == "table" and by_id[annotation.image_id]
    if not entry then
      core.refuse("%s: annotations[%d]: expected the image_id of one of the images, found %s", path, i,
        type(annotation) == "table" and kinds.found(annotation.image_id) or kinds.found(annotation))
    end
    local name = categories[annotation.category_id] or ("category %s"):format(kinds.found(annotation.category_id))
    table.insert(entry.annotations, annotation)
    annotation.name, annotation.hand = name, (name:lower():gsub("%W", " ") .. " "):find "%f[%a]hand " ~= nil
    entry.hands = entry.hands or annotation.hand and annotation.iscrowd ~= 1
  end
end

function M.list(data)
  local set = {}
  for _, file in ipairs(files_of(data.path)) do read(data, file, set) end
  return set
end

function M.annotated(_, entry) return entry.hands or false end

-- A segmentation as a mask; nil where there is none.
local function mask_of(segmentation, width, height, where)
  if kinds.absent(segmentation) or type(segmentation) == "table" and next(segmentation) == nil then return nil end
  if kinds.is_list(segmentation) then
    local mask
    for _, polygon in ipairs(segmentation) do -- each by itself: where two overlap, both are set
      if type(polygon) ~= "table" or #polygon < 6 or #polygon % 2 ~= 0 then
        core.refuse("%s: expected polygons [x, y, x, y, x, y, …], found %s", where, kinds.entries(polygon))
      end
      local one = core.outline.polygons({ polygon }, height, width, 0.5)
      mask = mask and core.metrics.join(mask, one) or one
    end
    return mask
  end
  local size, counts = type(segmentation) == "table" and segmentation.size, nil
  if type(size) == "table" then counts = segmentation.counts end
  if type(counts) ~= "string" and type(counts) ~= "table" then
    core.refuse("%s: expected polygons or { size, counts }, found %s", where, kinds.found(segmentation))
  end
  if size[1] ~= height or size[2] ~= width then
    core.refuse("%s: expected size = [%d, %d], found %s", where, height, width, kinds.entries(size))
  end
  if type(counts) == "table" then counts = lists.map(counts, function(v) return math.tointeger(v) or v end) end
  local ok, mask = pcall(core.outline.runs, counts, height, width)
  return ok and mask or core.refuse("%s: %s", where, (tostring(mask)))
end

-- [x, y, width, height] as {x0, y0, x1, y1}.
local function box_of(box)
  if type(box) ~= "table" or #box ~= 4 then return nil end
  return { box[1], box[2], box[1] + box[3], box[2] + box[4] }
end

function M.scene(_, entry)
  local width, height = entry.image.width, entry.image.height
  local seen, by_id = { width = width, height = height, hands = {}, objects = {} }, {}
  for _, annotation in ipairs(entry.annotations) do
    local where = ("%s: annotation %s"):format(entry.where, kinds.found(annotation.id))
    local one = { name = annotation.name, box = box_of(annotation.bbox),
      mask = mask_of(annotation.segmentation, width, height, where) }
    if annotation.hand then
      one.side, one.contact, one.interaction = side_of(one.name:lower(), annotation), annotation.isincontact,
        annotation.interaction
      if annotation.iscrowd ~= 1 then table.insert(seen.hands, one) end
    else
      by_id[annotation.id or one] = one
      table.insert(seen.objects, one)
    end
  end
  for _, hand in ipairs(seen.hands) do
    local object = hand.interaction and by_id[hand.interaction]
    if object then hand.held, hand.object, hand.held_box = object.mask, object.name, object.box end
  end
  return seen
end

function M.open(path) return shipped.open(path, M) end

return M
