-- Data sets in the exact forms in which they are shipped, tiny: make.NAME(folder) writes one. Shapes are rectangles, so
-- that what must be read of them can be counted.
local co = require "cohesiv"
local core = require "cohesiv.core"
local files = require "tests.files"
local json = require "cohesiv.base.json"
local support = require "tests.support"

local make = {}

make.W, make.H = 32, 24
local W, H = make.W, make.H

--- Writes a file and the folders above it.
function make.put(root, file, bytes)
  core.io.make_folder((root .. "/" .. file):match "^(.*)/")
  return support.write(root .. "/" .. file, bytes)
end

--- A picture of one grey at a path (.jpg or .png).
function make.picture(root, file, grey, w, h)
  core.io.make_folder((root .. "/" .. file):match "^(.*)/")
  local t = co.full(grey, h or H, w or W, 3, { dtype = "uint8" })
  if file:find "%.png$" then co.image.write(root .. "/" .. file, t) else core.io.jpeg_write(root .. "/" .. file, t) end
end

--- A PNG of labels: at(x, y) → its value; colour 3 is a palette, 0 grey.
function make.labels(root, file, colour, at, w, h)
  make.put(root, file, (files.png { width = w or W, height = h or H, colour = colour, depth = 8, at = at }))
end

--- A picture of labels out of rectangles { value, x0, y0, x1, y1 } (inclusive), the later over the earlier.
function make.rectangles(list)
  return function(x, y)
    local value = 0
    for _, r in ipairs(list) do
      if x >= r[2] and y >= r[3] and x <= r[4] and y <= r[5] then value = r[1] end
    end
    return value
  end
end

--- Of a mask: how many pixels are set, and their bounds x0, y0, x1, y1.
function make.measure(mask)
  local n, x0, y0, x1, y1 = 0, math.huge, math.huge, -1, -1
  for y, row in ipairs(mask:totable()) do
    for x, v in ipairs(row) do
      if v ~= 0 then
        n, x0, y0, x1, y1 = n + 1, math.min(x0, x - 1), math.min(y0, y - 1), math.max(x1, x - 1), math.max(y1, y - 1)
      end
    end
  end
  return { n, x0, y0, x1, y1 }
end

function make.egohos(root)
  make.picture(root, "train/image/ego4d_1.jpg", 90)
  make.labels(root, "train/label/ego4d_1.png", 0, make.rectangles {
    { 1, 2, 3, 6, 8 }, { 2, 20, 4, 24, 9 }, { 3, 2, 12, 5, 14 }, { 5, 10, 10, 14, 13 }, { 6, 0, 20, 3, 22 } })
  make.picture(root, "val/image/thu_2.jpg", 120)
  make.labels(root, "val/label/thu_2.png", 0, make.rectangles { { 2, 8, 8, 12, 12 } })
end

function make.davis(root)
  for n = 0, 2 do
    make.picture(root, ("JPEGImages/480p/walk/%05d.jpg"):format(n), 60 + 20 * n)
    make.labels(root, ("Annotations/480p/walk/%05d.png"):format(n), 3,
      make.rectangles { { 1, 2 + n, 3, 6 + n, 8 }, { 2, 20, 10, 25, 15 } })
  end
  for n = 0, 1 do make.picture(root, ("JPEGImages/480p/test/%05d.jpg"):format(n), 30) end
  make.labels(root, "Annotations/480p/test/00000.png", 3, make.rectangles { { 1, 0, 0, 3, 3 } })
end

--- Runs down the columns of a mask, 0 first.
function make.runs(at)
  local runs, value, length = {}, 0, 0
  for x = 0, W - 1 do
    for y = 0, H - 1 do
      local v = at(x, y) ~= 0 and 1 or 0
      if v ~= value then
        runs[#runs + 1], value, length = length, v, 0
      end
      length = length + 1
    end
  end
  runs[#runs + 1] = length
  return runs
end

--- Runs as COCO packs them.
function make.packed(runs)
  local out = {}
  for i, run in ipairs(runs) do
    local v, more = i > 3 and run - runs[i - 2] or run, true
    while more do
      local group = v & 31
      v = v // 32
      more = not (v == 0 and group & 16 == 0 or v == -1 and group & 16 ~= 0)
      out[#out + 1] = string.char(48 + group + (more and 32 or 0))
    end
  end
  return table.concat(out)
end

function make.coco(root)
  make.picture(root, "val2017/000000000139.jpg", 100)
  make.picture(root, "val2017/000000000285.jpg", 140)
  local hand = make.rectangles { { 1, 4, 5, 9, 11 } }
  local other = make.rectangles { { 1, 3, 2, 7, 20 }, { 1, 12, 2, 14, 3 } }
  make.put(root, "annotations/instances_val2017.json", json.encode {
    info = { description = "COCO 2017 Dataset" }, licenses = json.list {},
    images = {
      { id = 139, file_name = "000000000139.jpg", width = W, height = H, license = 2 },
      { id = 285, file_name = "000000000285.jpg", width = W, height = H, license = 4 },
    },
    annotations = {
      { id = 1, image_id = 139, category_id = 44, iscrowd = 0, area = 70, bbox = { 10, 4, 10, 7 },
        segmentation = { { 10, 4, 20, 4, 20, 11, 10, 11 }, { 22, 1.2, 25, 1.2, 25, 3.8, 22, 3.8 } } },
      { id = 2, image_id = 139, category_id = 900, iscrowd = 0, handside = 1, interaction = 1, bbox = { 4, 5, 6, 7 },
        segmentation = { size = { H, W }, counts = make.packed(make.runs(hand)) } },
      { id = 3, image_id = 285, category_id = 1, iscrowd = 1, bbox = { 3, 2, 12, 19 },
        segmentation = { size = { H, W }, counts = make.runs(other) } },
    },
    categories = { { id = 1, name = "person", supercategory = "person" }, { id = 44, name = "bottle" },
      { id = 900, name = "hand" } },
  })
end

make["100doh"] = function(root)
  local function object(name, box, more)
    return ("<object><name>%s</name><pose>Unspecified</pose><bndbox><xmin>%d</xmin><ymin>%d</ymin><xmax>%d</xmax>"
      .. "<ymax>%d</ymax></bndbox>%s</object>\n"):format(name, box[1], box[2], box[3], box[4], more or "")
  end
  make.picture(root, "JPEGImages/boardgame_v_zUvfbTVEYqA_frame000012.jpg", 80)
  make.put(root, "ImageSets/Main/trainval.txt", "boardgame_v_zUvfbTVEYqA_frame000012\n")
  make.put(root, "Annotations/boardgame_v_zUvfbTVEYqA_frame000012.xml", ([[
<?xml version="1.0"?>
<annotation>
  <folder>JPEGImages</folder><!-- as made -->
  <filename>boardgame_v_zUvfbTVEYqA_frame000012.jpg</filename>
  <size><width>%d</width><height>%d</height><depth>3</depth></size>
]]):format(W, H) .. object("hand", { 4, 5, 12, 15 }, "<contactstate>3</contactstate><handside>1</handside>"
      .. "<objxmin>10</objxmin><objymin>8</objymin><objxmax>20</objxmax><objymax>16</objymax>"
      .. "<unitdx>0.9</unitdx><unitdy>0.3</unitdy><magnitude>0.007</magnitude>")
    .. object("hand", { 22, 2, 30, 9 }, "<contactstate>0</contactstate><handside>0</handside><objxmin>None</objxmin>"
      .. "<objymin>None</objymin><objxmax>None</objxmax><objymax>None</objymax>")
    .. object("targetobject", { 10, 8, 20, 16 }) .. "</annotation>\n")
end

function make.hands23(root)
  make.picture(root, "allMergedBlur/EK_0001_P01_01.jpg", 110)
  make.put(root, "allMergedTxt/EK_0001_P01_01.jpg.txt",
    "left_hand | no_contact | 1.5,2.0,7.25,9.0 | None | None | None | None\n"
    .. "right_hand | object_contact | 18.0,4.0,25.0,11.0 | 12,10,19,16 | tool_,_used | 2,14,8,20 | NP-Fin\n")
  for file, r in pairs { ["2_0"] = { 2, 2, 6, 8 }, ["2_1"] = { 18, 4, 24, 10 }, ["3_1"] = { 12, 11, 18, 15 },
    ["5_1"] = { 2, 14, 7, 19 } } do
    local at = make.rectangles { { 255, table.unpack(r) } }
    make.labels(root, ("masks_sam/%s_EK_0001_P01_01.png"):format(file), 2, function(x, y)
      local v = at(x, y)
      return v, v, v
    end)
  end
  make.put(root, "allMergedSplit/TRAIN.txt", "EK_0001_P01_01.jpg\n")
end

--- kind: "png" (version 2) or "jpg" (version 3).
function make.ho3d(root, kind)
  kind = kind or "png"
  local function at(x, y)
    if x >= 8 and x < 16 and y < 16 then return 0, 0, 255 end
    if x >= 16 and y >= 8 and y < 16 then return 0, 255, 0 end
    return 0, 0, 0
  end
  for n = 0, 1 do
    make.picture(root, ("train/ABF10/rgb/%04d.%s"):format(n, kind), 70 + n)
    make.labels(root, ("train/ABF10/seg/%04d.png"):format(n), 2, at)
    if kind == "jpg" then
      local png = ("%s/train/ABF10/seg/%04d.png"):format(root, n)
      core.io.jpeg_write(png:gsub("png$", "jpg"), co.image.read(png), 95)
      os.remove(png)
    end
  end
  make.picture(root, "evaluation/SM1/rgb/0000." .. kind, 50)
  make.put(root, "train.txt", "ABF10/0000\nABF10/0001\n")
end

function make.visor(root)
  local top = "GroundTruth-SparseAnnotations/"
  local function rectangle(x0, y0, x1, y1) return { { x0, y0 }, { x1, y0 }, { x1, y1 }, { x0, y1 } } end
  local function frame(number, annotations)
    local name = ("P01_01_frame_%010d.jpg"):format(number)
    make.picture(root, top .. "rgb_frames/train/P01/P01_01/" .. name, number // 10, 192, 108)
    return { image = { image_path = "P01_01/" .. name, name = name, subsequence = "P01_01_seq_00001",
      video = "P01_01" }, annotations = annotations }
  end
  make.put(root, top .. "annotations/train/P01_01.json", json.encode { info = { version = "1.0" },
    video_annotations = {
      frame(1000, { { id = "c", name = "pan", class_id = 5, exhaustive = "y",
        segments = { rectangle(0, 0, 100, 100) } } }),
      frame(320, {
        { id = "a", name = "left hand", class_id = 300, in_contact_object = "b",
          segments = { rectangle(100, 200, 300, 400) } },
        { id = "b", name = "knife", class_id = 4, segments = { rectangle(300, 300, 500, 400),
          rectangle(600, 300, 700, 400) } },
        { id = "d", name = "right glove", class_id = 60, on_which_hand = { "right hand" },
          in_contact_object = "hand-not-in-contact", segments = { rectangle(1000, 200, 1200, 400) } },
      }),
    } })
  make.put(root, top .. "frame_mapping.json", json.encode { P01_01 = {
    ["P01_01_frame_0000000320.jpg"] = "frame_0000000318.jpg", ["P01_01_frame_0000001000.jpg"] = "frame_0000000998.jpg",
  } })
end

return make
