-- Data sets as they are shipped: what the adapters read of them, in exact values; what is said of what is missing or
-- damaged; the command that tells what a folder is.
local co = require "cohesiv"
local core = require "cohesiv.core"
local evaluate = require "cohesiv.hands.evaluate"
local json = require "cohesiv.base.json"
local make = require "tests.shipped_sets"
local support = require "tests.support"

local W, H = make.W, make.H

-- A set in a new folder.
local function set(name)
  local root = support.temp()
  make[name](root)
  return root
end

local function measured(mask) return mask and make.measure(mask) end

-- Points of queries lie on their hands, and the evaluator takes the set.
local function check_queries(data)
  for _, name in ipairs(data.annotated) do
    for _, frame in ipairs(data:queries(name)) do
      local masks, clip = data:masks(name, frame.n), data:clip(name)
      assert.same({ clip.width, clip.height }, { frame.width, frame.height })
      for k, query in ipairs(frame.queries) do
        assert.equal(1, masks.hand[k][{ query[2] + 1, query[1] + 1 }])
        assert.equal(query.object ~= nil, masks.object[k] ~= nil)
      end
      if #frame.queries > 0 then
        assert.same({ frame.height, frame.width }, evaluate.truth(data, frame).all.shape)
      end
    end
  end
end

describe("masks of data sets", function()
  it("are drawn from polygons by the pixels' centres", function()
    local square = { 10, 4, 20, 4, 20, 11, 10, 11 }
    assert.same({ 70, 10, 4, 19, 10 }, make.measure(core.outline.polygons({ square }, H, W, 0.5)))
    local inner = { 12, 6, 18, 6, 18, 9, 12, 9 }
    assert.same({ 70 - 18, 10, 4, 19, 10 }, make.measure(core.outline.polygons({ square, inner }, H, W, 0.5)))
    assert.same({ 88, 10, 4, 20, 11 }, make.measure(core.outline.polygons({ square }, H, W, 0, true)))
    local triangle = core.outline.polygons({ { 0, 0, 8, 0, 0, 8 } }, H, W, 0.5)
    assert.same({ 28, 0, 0, 6, 6 }, make.measure(triangle)) -- 7 + 6 + … + 1: the hypotenuse's own pixels are outside
    local far = core.outline.polygons({ { -1e9, -1e9, 1e9, -1e9, 1e9, 1e9, -1e9, 1e9 } }, H, W, 0, true)
    assert.same({ W * H, 0, 0, W - 1, H - 1 }, make.measure(far))
    assert.equal(0, make.measure(core.outline.polygons({}, H, W))[1])
    assert.same({ 1, 3, 2, 3, 2 }, make.measure(core.outline.polygons({ { 3.7, 2.2 } }, H, W, 0, true)))
    support.raises("coordinate: expected", core.outline.polygons, { { 0 / 0, 1, 2, 3 } }, H, W)
    support.raises("polygon: expected", core.outline.polygons, { 3 }, H, W)
  end)

  it("are made of runs down the columns", function()
    local at = make.rectangles { { 1, 4, 5, 9, 11 }, { 1, 0, 0, 0, 3 } }
    local runs = make.runs(at)
    assert.equal(0, runs[1])
    for _, form in ipairs { runs, make.packed(runs) } do
      local mask = core.outline.runs(form, H, W)
      for x = 0, W - 1, 3 do
        for y = 0, H - 1 do assert.equal(at(x, y), mask[{ y + 1, x + 1 }]) end
      end
      assert.equal(46, make.measure(mask)[1])
    end
    -- 1, 1 and 4 pixels down the columns of 2 rows
    assert.same({ 1, 0, 1, 0, 1 }, make.measure(core.outline.runs("114", 2, 3)))
    support.raises("expected runs of 6 pixels (3x2), found 5", core.outline.runs, { 5 }, 2, 3)
    support.raises("expected runs of 6 pixels (3x2), found more", core.outline.runs, { 5, 2 }, 2, 3)
    support.raises("the text's end within one", core.outline.runs, "11P", 2, 3)
    support.raises("found byte 10", core.outline.runs, "1\n", 2, 3)
    support.raises("found a larger number", core.outline.runs, ("o"):rep(9) .. "1", 2, 3)
    support.raises("expected runs of 0 or more pixels, found -1", core.outline.runs, "O", 2, 3)
  end)

  it("have a place: a pixel near the middle, and bounds", function()
    local ring = core.outline.polygons({ { 2, 2, 12, 2, 12, 12, 2, 12 }, { 4, 4, 10, 4, 10, 10, 4, 10 } }, H, W, 0.5)
    local x, y, left, top, right, bottom = core.outline.place(ring)
    assert.equal(1, ring[{ y + 1, x + 1 }])
    assert.same({ 2, 2, 11, 11 }, { left, top, right, bottom })
    assert.is_nil(core.outline.place(co.zeros(3, 4, { dtype = "uint8" })))
  end)
end)

describe("the adapter of", function()
  it("EgoHOS gives hands and what each holds", function()
    local root = set "egohos"
    local data = co.data(root)
    assert.same({ "train/ego4d_1", "val/thu_2" }, data.clips)
    assert.same(data.clips, data.annotated)
    local queries = data:queries "train/ego4d_1"
    assert.equal(1, #queries)
    assert.same({ "left", "right" }, { queries[1].queries[1].side, queries[1].queries[2].side })
    local masks = data:masks("train/ego4d_1", 0)
    assert.same({ 30, 2, 3, 6, 8 }, measured(masks.hand[1]))
    assert.same({ 30, 20, 4, 24, 9 }, measured(masks.hand[2]))
    assert.same({ 12 + 20, 2, 10, 14, 14 }, measured(masks.object[1])) -- labels 3 and 5
    assert.same({ 20, 10, 10, 14, 13 }, measured(masks.object[2])) -- 5 alone
    assert.is_nil(data:masks("val/thu_2", 0).object[1])
    assert.equal("right", data:queries("val/thu_2")[1].queries[1].side)
    assert.near(90, data:clip("train/ego4d_1"):frame(0)[1][1][1], 2)
    assert.same({ 20, 4, 24, 9 }, data:boxes("train/ego4d_1", 0)[2].box)
    check_queries(data)
    make.labels(root, "val/label/thu_2.png", 0, make.rectangles { { 9, 1, 1, 2, 2 } })
    support.raises("val/label/thu_2.png: expected labels of 0 to 8, found 9", data.masks, data, "val/thu_2", 0)
    os.remove(root .. "/val/label/thu_2.png")
    assert.same({ "train/ego4d_1" }, co.data(root).annotated)
  end)

  it("DAVIS gives the frames and a mask of every object", function()
    local data = co.data(set "davis")
    assert.same({ "test", "walk" }, data.clips)
    assert.same({}, data.annotated)
    assert.equal(3, data:clip("walk").frames)
    assert.near(100, data:clip("walk"):frame(2)[1][1][1], 2)
    local objects = data:objects("walk", 2)
    assert.same({ "1", "2" }, { objects[1].name, objects[2].name })
    assert.same({ 30, 4, 3, 8, 8 }, measured(objects[1].mask))
    assert.same({ 36, 20, 10, 25, 15 }, measured(objects[2].mask))
    assert.same({ 0 }, data:numbers "test") -- of a test clip the first frame alone has masks
    assert.is_nil(data:queries "walk")
  end)

  it("COCO gives polygons and runs, packed or not, and hands by their category", function()
    local root = set "coco"
    local data = co.data(root)
    assert.same({ "val2017/000000000139", "val2017/000000000285" }, data.clips)
    assert.same({ "val2017/000000000139" }, data.annotated)
    local masks = data:masks("val2017/000000000139", 0)
    assert.same({ 42, 4, 5, 9, 11 }, measured(masks.hand[1]))
    assert.same({ 70 + 9, 10, 1, 24, 10 }, measured(masks.object[1]))
    local query = data:queries("val2017/000000000139")[1].queries[1]
    assert.same({ "right", "bottle" }, { query.side, query.object })
    assert.same({ { side = "right", box = { 4, 5, 10, 12 }, object_box = { 10, 4, 20, 11 }, object = "bottle" } },
      data:boxes("val2017/000000000139", 0))
    local objects = data:objects("val2017/000000000285", 0)
    assert.equal("person", objects[1].name)
    assert.same({ 95 + 6, 3, 2, 14, 20 }, measured(objects[1].mask))
    check_queries(data)
    local path = root .. "/annotations/instances_val2017.json"
    local doc = json.read(path)
    doc.annotations[2].segmentation.size = { 3, 4 }
    json.write(path, doc)
    support.raises("annotation 2: expected size = [24, 32], found [3, 4]", data.masks, co.data(root),
      "val2017/000000000139", 0)
    doc.annotations[2].image_id = 7
    json.write(path, doc)
    support.raises("annotations[2]: expected the image_id of one of the images, found 7", function()
      return co.data(root).clips
    end)
  end)

  it("100DOH gives the boxes of hands and of what they touch", function()
    local root = set "100doh"
    local data, name = co.data(root), "boardgame_v_zUvfbTVEYqA_frame000012"
    assert.same({ name }, data.clips)
    assert.same({}, data.annotated)
    assert.same({
      { side = "right", box = { 4, 5, 12, 15 }, object_box = { 10, 8, 20, 16 }, contact = "portable object",
        object = "object" },
      { side = "left", box = { 22, 2, 30, 9 }, contact = "none" },
    }, data:boxes(name, 0))
    assert.same({ name = "targetobject", box = { 10, 8, 20, 16 } }, data:objects(name, 0)[1])
    assert.near(80, data:clip(name):frame(0)[1][1][1], 2)
    local path = ("%s/Annotations/%s.xml"):format(root, name)
    support.write(path, (support.read(path):gsub("<xmin>4<", "<xmin>40<")))
    support.raises("object 1: expected a box of xmin, ymin up to xmax, ymax, found 40, 5, 12, 15", data.boxes, data,
      name, 0)
    support.write(path, "<annotation><object></annotation>")
    support.raises("line 1: expected </object>, found </annotation>", data.boxes, data, name, 0)
    -- further up, as it is unpacked
    local above = support.temp()
    make["100doh"](above .. "/VOCdevkit2007_handobj_100K/VOC2007")
    assert.same({ name }, co.data(above).clips)
    assert.equal(2, #co.data(above):boxes(name, 0))
  end)

  it("Hands23 gives the lines of its texts with their masks", function()
    local root = set "hands23"
    local data, name = co.data(root), "EK_0001_P01_01"
    assert.same({ name }, data.annotated)
    local masks = data:masks(name, 0)
    assert.same({ 35, 2, 2, 6, 8 }, measured(masks.hand[1]))
    assert.is_nil(masks.object[1])
    assert.same({ 49, 18, 4, 24, 10 }, measured(masks.hand[2]))
    assert.same({ 35, 12, 11, 18, 15 }, measured(masks.object[2]))
    local boxes = data:boxes(name, 0)
    assert.same({ side = "left", box = { 1.5, 2, 7.25, 9 }, contact = "no_contact" }, boxes[1])
    assert.same({ { 18, 4, 25, 11 }, { 12, 10, 19, 16 } }, { boxes[2].box, boxes[2].object_box })
    local objects = data:objects(name, 0)
    assert.same({ "object", "second object" }, { objects[1].name, objects[2].name })
    assert.same({ 36, 2, 14, 7, 19 }, measured(objects[2].mask))
    check_queries(data)
    support.write(root .. "/allMergedTxt/EK_0001_P01_01.jpg.txt", "left_hand | no_contact | 1,2,3\n")
    support.raises("jpg.txt: line 1: expected 7 fields between |, found 3", data.boxes, data, name, 0)
    os.execute("rm -r " .. root .. "/masks_sam " .. root .. "/allMergedTxt")
    assert.same({}, co.data(root).annotated)
    assert.is_nil(co.data(root):queries(name))
  end)

  it("HO-3D gives blue hands and green objects of either version", function()
    for _, kind in ipairs { "png", "jpg" } do
      local root = support.temp()
      make.ho3d(root, kind)
      local data = co.data(root)
      assert.same({ "evaluation/SM1", "train/ABF10" }, data.clips)
      assert.same({ "train/ABF10" }, data.annotated)
      assert.equal(2, data:clip("train/ABF10").frames)
      assert.near(71, data:clip("train/ABF10"):frame(1)[1][1][1], 2)
      local masks = data:masks("train/ABF10", 1)
      assert.same({ 128, 8, 0, 15, 15 }, measured(masks.hand[1]))
      assert.same({ 128, 16, 8, W - 1, 15 }, measured(masks.object[1]))
      check_queries(data)
    end
  end)

  it("VISOR gives polygons, what hands hold, and the frames' names in EPIC-KITCHENS", function()
    local root = set "visor"
    local data, name = co.data(root), "train/P01_01"
    assert.same({ name }, data.annotated)
    assert.equal(2, data:clip(name).frames)
    assert.near(32, data:clip(name):frame(0)[1][1][1], 2) -- sorted by their numbers
    local queries = data:queries(name)
    assert.same({ 2, 0 }, { #queries[1].queries, #queries[2].queries })
    assert.same({ "left", "knife" }, { queries[1].queries[1].side, queries[1].queries[1].object })
    assert.same({ "right" }, { queries[1].queries[2].side, queries[1].queries[2].object })
    local masks = data:masks(name, 0)
    assert.same({ 21 * 21, 10, 20, 30, 40 }, measured(masks.hand[1]))
    assert.same({ 21 * 11 + 11 * 11, 30, 30, 70, 40 }, measured(masks.object[1]))
    assert.same({ 21 * 21, 100, 20, 120, 40 }, measured(masks.hand[2]))
    assert.equal("hand-not-in-contact", data:boxes(name, 0)[2].contact)
    assert.same({ "frame_0000000318.jpg", 318 }, { data:source_frame(name, 0) })
    assert.is_nil(data:source_frame(name, 5))
    check_queries(data)
    os.execute("rm -r " .. root .. "/GroundTruth-SparseAnnotations/rgb_frames")
    support.raises("a picture of EPIC-KITCHENS VISOR (to be had from https://", function()
      return co.data(root):clip(name)
    end)
  end)
end)

describe("XML", function()
  local xml = require "cohesiv.base.xml"
  it("is read as elements, attributes and text", function()
    local root = xml.decode("\xEF\xBB\xBF<?xml version='1.0'?>\n<!-- a --><a b = 'x&lt;y' c=\"&#65;\"> t&amp;u <d/>"
      .. "<![CDATA[<e>]]><f>1</f ></a>\n", "x")
    assert.same({ "a", { b = "x<y", c = "A" }, "t&u <e>", 2 }, { root.name, root.attributes, root.text, #root })
    assert.equal("1", xml.value(root, "f"))
    assert.is_nil(xml.value(root, "g"))
  end)

  it("that is damaged is one line with its place", function()
    for text, said in pairs {
      ["<a>\n<b></a>"] = "x: line 2: expected </b>, found </a>", ["<a>"] = "expected </a>, found the end of the file",
      [""] = "expected an element, found", ["<a b=c/>"] = "expected a quoted value of b, found none",
      ["<a/><b/>"] = "found more behind it", ["<a>&b;</a>"] = "expected an entity that is known, found &b",
      ["<!DOCTYPE a><a/>"] = "expected no document type", [("<a>"):rep(100)] = "at most 64 elements",
      ["<a"] = "<a>: expected its end, found none",
    } do
      support.raises(said, xml.decode, text, "x")
    end
  end)
end)

describe("cohesiv data", function()
  it("says what a folder is, what it lacks, what it holds, and shows it", function()
    local root = set "egohos"
    local run = support.cohesiv { "data", root, "--out", root .. "/sheet.png" }
    assert.equal(0, run.status, run.stderr)
    assert.is_truthy(run.stdout:find(root .. ": EgoHOS\n", 1, true), run.stdout)
    assert.is_truthy(run.stdout:find("missing: test_indomain (a split), to be had from https://", 1, true))
    for name, count in pairs { clips = 2, frames = 2, annotated = 2, hands = 3, objects = 3, masks = 6 } do
      assert.is_truthy(run.stdout:find(("\n%-10s%d\n"):format(name, count), 1, true), name .. ": " .. run.stdout)
    end
    local sheet = co.image.read(root .. "/sheet.png")
    assert.is_true(sheet.shape[1] > 100 and sheet.shape[2] > 200)
    local told = json.decode(support.cohesiv({ "data", root, "--json" }).stdout, "stdout")
    assert.same({ "EgoHOS", 2, 3, 2 }, { told.layout, told.clips, told.hands, #told.missing })
    local empty = support.temp()
    support.refuses(support.cohesiv { "data", empty }, 1, "expected clips/ with videos or numbered pictures, or ")
    support.refuses(support.cohesiv { "data", empty .. "/none" }, 1, "expected a folder, found nothing")
  end)
end)

describe("an index", function()
  local before = os.getenv "COHESIV_CACHE"
  setup(function() core.system.setenv("COHESIV_CACHE", support.temp()) end)
  teardown(function() core.system.setenv("COHESIV_CACHE", before) end)
  local index = require "cohesiv.data.index"

  it("stands for the folder's names, without a walk, until the folder changes", function()
    local root = support.temp()
    co.world { out = root, clips = 3, frames = 2, size = { 48, 32 }, progress = false }
    local plain = co.data(root)
    local names, annotated = plain.clips, plain.annotated
    local run = support.cohesiv { "data", root, "--index" }
    assert.equal(0, run.status, run.stderr)
    assert.is_truthy(run.stdout:find ": 3 clips\n$")
    local data = co.data(root)
    assert.equal(3, #data.clips)
    for i, name in ipairs(data.clips) do assert.equal(names[i], name) end
    assert.same({ annotated[1], annotated[3] }, { data.annotated[1], data.annotated[3] })
    assert.is_nil(data.clips[4])
    assert.is_truthy(data.indexed)
    assert.equal(2, data:clip(names[2]).frames)
    support.raises("found neither", data.clip, data, "none")
    co.world { out = root, clips = 4, frames = 2, size = { 48, 32 }, progress = false }
    core.io.make_folder(root .. "/clips/zz")
    assert.is_true(#co.data(root).clips >= 4) -- told in a warning
    local file = co.data(root):index()
    assert.is_truthy(index.open(root))
    support.write(file, support.read(file):sub(1, 100))
    assert.is_nil(index.open(root))
    assert.is_true(#co.data(root).clips >= 4)
  end)

  it("of many finds each, and shuffles all by shards", function()
    local root, clips, places = support.temp(), {}, {}
    for i = 1, 2000 do
      clips[i] = ("a%05d\n/b"):format(i)
      places[clips[i]] = "p" .. i
    end
    index.write(root, { clips = clips, annotated = { clips[7] }, places = places })
    local made = index.open(root)
    assert.same({ 2000, 1, clips[7] }, { #made.clips, #made.annotated, made.annotated[1] })
    for i = 1, 2000, 37 do assert.same({ clips[i], "p" .. i }, { made.clips[i], made.places[clips[i]] }) end
    assert.same({ "p1", "p2000" }, { made.places[clips[1]], made.places[clips[2000]] })
    assert.is_nil(made.places["a00001"])
    assert.is_nil(made.places["z"])
    local function order(seed)
      local list = {}
      for name in index.shuffled(made.clips, seed, 64, 4) do list[#list + 1] = name end
      return list
    end
    local one, same, other = order(1), order(1), order(2)
    assert.same(one, same)
    assert.not_same(one, other)
    assert.not_same(one, clips)
    table.sort(one)
    assert.same(clips, one)
    index.write(root, { clips = {}, annotated = {} })
    assert.equal(0, #index.open(root).clips)
    assert.is_nil(index.open(root).places["a"])
  end)
end)
