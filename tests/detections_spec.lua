-- What others have found, as files of a data folder: saliency maps, and boxes of two detectors; and the systems that
-- answer with them.
local co = require "cohesiv"
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"
local boxes = require "cohesiv.hands.boxes"
local calibrate, evaluate = require "cohesiv.hands.calibrate", require "cohesiv.hands.evaluate"
local recipes, tasks = require "cohesiv.train.recipe", require "cohesiv.train.tasks"
local support = require "tests.support"
local tiny = require("tests.tiny").new()

local folder, before = tiny.folder, os.getenv "COHESIV_CACHE"

setup(function()
  core.system.setenv("COHESIV_CACHE", folder .. "/cache")
  require("cohesiv.base.progress").quiet = true
  tiny:make_world(nil, 5)
end)
teardown(function()
  core.system.setenv("COHESIV_CACHE", before)
  require("cohesiv.base.progress").quiet = false
end)

-- A world whose clips have files of their own beside them.
local function linked(name)
  local path = tiny:new_folder(name)
  for _, part in ipairs { "clips", "masks", "hands_json" } do
    os.execute(("ln -s %s/%s %s/%s"):format(tiny.world, part, path, part))
  end
  return path
end

describe("saliency", function()
  it("is that of map files where there are some", function()
    local path = linked "salient"
    local data = co.data(path)
    local name = data.clips[1]
    local clip = data:clip(name)
    assert.is_nil(clip:saliency(3))
    local map = co.zeros(64, 96, { dtype = "uint8" })
    map[{ { 11, 30 }, { 21, 60 } }] = 204
    core.io.make_folder(path .. "/saliency/" .. name)
    local file = path .. "/saliency/" .. name .. "/000003.png"
    co.image.write(file, map)
    assert.is_true(support.difference(clip:saliency(3), map:to "float32" / 255) < 1e-6)
    local system = evaluate.system { recipe = recipes.load(tiny.experiment, { "system=saliency" }) }
    local answer = system.answer(clip, 3, { { 1, 1 } })
    assert.is_true(math.abs(answer.Hand[1][1][{ 15, 40 }] - 0.8) < 1e-6)
    assert.is_true(support.difference(answer.All[1][1], map:to "float32" / 255) < 1e-6)
    support.raises("saliency/" .. name .. ": expected a map of frame 4, found none (000004.png)", clip.saliency, clip,
      4)
    co.image.write(file, map[{ { 1, 32 }, { 1, 48 } }]:contiguous())
    assert.same({ 64, 96 }, clip:saliency(3).shape)
    co.image.write(file, map[{ { 1, 40 }, { 1, 40 } }]:contiguous())
    support.raises("000003.png: expected a map of the whole frame (96x64, or scaled), found 40x40", clip.saliency, clip,
      3)
    co.image.write(file, clip:frame(3))
    support.raises("000003.png: expected a grey map, found colours", clip.saliency, clip, 3)
  end)
end)

describe("detections", function()
  local function clip_with(files)
    local path = linked("detected" .. tostring(files):match "%x+$")
    local data = co.data(path)
    core.io.make_folder(path .. "/detections/" .. data.clips[1])
    os.execute(("rmdir %s/detections/%s"):format(path, data.clips[1]))
    for form, text in pairs(files) do
      local file = ("%s/detections/%s%s"):format(path, data.clips[1], form)
      core.io.make_folder(file:match "^(.*)/")
      support.write(file, text)
    end
    return data:clip(data.clips[1]), data
  end

  local ROW = "10 12 20 24 0.9 3 0.002 0.6 0.8 1" -- its offset leads from (15, 18) to (27, 34)
  local OBJECTS = { "0 0 8 8 0.5 0 0 0 0 0", "22 30 34 40 0.75 0 0 0 0 0" }
  local HELD = { side = "right", score = 0.9, contact = "portable object", box = { 10, 12, 20, 24 },
    object_box = { 22, 30, 34, 40 }, object_score = 0.75 }
  local function row(text) return "[" .. text:gsub(" ", ",") .. "]" end

  it("of hand_object_detector are rows by picture, hands with the object that their offset leads to", function()
    local clip = clip_with { [".json"] = ('{ "000003": { "hand_dets": [%s, %s], "obj_dets": [%s, %s] }, "frame_000004":'
      .. ' { "hand_dets": null, "obj_dets": null } }'):format(row(ROW), row "1 2 3 4 0.6 0 0 0 0 0", row(OBJECTS[1]),
        row(OBJECTS[2])) }
    assert.same({ HELD, { side = "left", score = 0.6, contact = "none", box = { 1, 2, 3, 4 } } }, clip:detections(3))
    assert.same({}, clip:detections(4))
    assert.same({}, clip:detections(5))
  end)

  it("of its evaluation are texts that count pixels from 1", function()
    local clip = clip_with {
      ["/comp4_x_det_test_hand.txt"] = "a_000003 0.900 11.0 13.0 21.0 25.0 3.0 0.002 0.6 0.8 1.0 0.1\n",
      ["/comp4_x_det_test_targetobject.txt"] = "a_000003 0.500 1 1 9 9 0 0 0 0 0 0\n"
        .. "a_000003 0.75 23 31 35 41 0 0 0 0 0 0\na_000004 0.75 23 31 35 41 0 0 0 0 0 0\n" }
    assert.same({ HELD }, clip:detections(3))
    assert.same({}, clip:detections(4))
  end)

  it("of its test are a pickle by class and frame", function()
    local function list(items) return "](" .. table.concat(items) .. "e" end
    local function rows(...)
      local out = {}
      for i, text in ipairs { ... } do
        local numbers = {}
        for word in text:gmatch "%S+" do numbers[#numbers + 1] = "G" .. string.pack(">d", tonumber(word)) end
        out[i] = list(numbers)
      end
      return #out > 0 and list(out) or "]"
    end
    local clip = clip_with { [".pkl"] = "\x80\2" .. list { list { "]", "]", "]", "]" },
      list { rows(), rows(), rows(), rows(OBJECTS[1], OBJECTS[2]) }, list { rows(), rows(), rows(), rows(ROW) } }
      .. "." }
    assert.same({ HELD }, clip:detections(3))
    assert.same({}, clip:detections(0))
    assert.same({}, clip:detections(7))
  end)

  it("of Hands23 are predictions by picture", function()
    local clip = clip_with { [".json"] = [[{ "save_dir": "x", "images": [{ "file_name": "a/000003.jpg",
      "predictions": [{ "hand_id": 0, "hand_bbox": ["10.0", "12", "20", "24"], "contact_state": "object_contact",
         "hand_side": "right_hand", "obj_bbox": ["22", "30", "34", "40"], "obj_touch": "tool_,_held",
         "second_obj_bbox": null, "hand_pred_score": "0.9", "obj_pred_score": "0.75", "sec_obj_pred_score": "None" },
       { "hand_id": 1, "hand_bbox": [1, 2, 3, 4], "contact_state": "no_contact", "hand_side": "left_hand",
         "obj_bbox": "None", "obj_touch": "None", "hand_pred_score": "0.6", "obj_pred_score": "None" }] }] }]] }
    local expected = {}
    for k, v in pairs(HELD) do expected[k] = v end
    expected.contact = "object_contact"
    assert.same({ expected, { side = "left", score = 0.6, contact = "no_contact", box = { 1, 2, 3, 4 } } },
      clip:detections(3))
  end)

  it("of a folder of pictures go by the pictures' names, whatever they count from", function()
    local path = tiny:new_folder "pictures"
    for n = 1, 3 do
      core.io.make_folder(path .. "/clips/a")
      co.image.write(("%s/clips/a/frame_%010d.png"):format(path, n), co.zeros(8, 10, 3, { dtype = "uint8" }))
    end
    core.io.make_folder(path .. "/detections")
    support.write(path .. "/detections/a.json", ('{ "frame_0000000001": { "hand_dets": [%s] },'
      .. ' "x/frame_0000000003.png": { "hand_dets": [] } }'):format(row(ROW)))
    local clip = co.data(path):clip "a"
    assert.same({ 1, 0, 0 }, { #clip:detections(0), #clip:detections(1), #clip:detections(2) })
    support.raises("expected a frame of 0 to 2, found 3", clip.detections, clip, 3)
  end)

  it("name what is wrong with them", function()
    local function wrong(files, message)
      local clip = clip_with(files)
      support.raises(message, clip.detections, clip, 3)
    end
    wrong({ [".json"] = '{ "x": 3 }' },
      "expected images (Hands23) or FRAME = { hand_dets, obj_dets }, found the keys x")
    wrong({ [".json"] = '{ "a": { "hand_dets": [] } }' }, "expected names that end in a frame's number, found a")
    wrong({ [".json"] = '{ "99": { "hand_dets": [] } }' }, "expected frames of 0 to 9, found 99")
    wrong({ [".json"] = '{ "3": { "hand_dets": [] }, "03": { "hand_dets": [] } }' }, "expected frame 3 once, found ")
    wrong({ [".json"] = '{ "3": { "hand_dets": [[1, 2, 3]] } }' },
      "row 1: expected 10 numbers or more, found 3 entries")
    wrong({ [".json"] = '{ "3": { "hand_dets": [' .. row "20 2 3 4 0.6 0 0 0 0 0" .. "] } }" },
      "3: hand: expected x0, y0 up to x1, y1, found [20, 2, 3, 4]")
    wrong({ [".json"] = '{ "images": [{ "file_name": "3.jpg", "predictions": [{}] }] }' },
      "images[1]: predictions[1]: expected hand_bbox, found none")
    wrong({ ["/x_hand.txt"] = "3 0.9 1 2\n" }, "x_hand.txt: line 1: expected a frame and 10 numbers or more, found ")
    wrong({ ["/x.txt"] = "" }, "expected …_hand.txt and …_targetobject.txt of hand_object_detector, found x.txt")
    wrong({ [".pkl"] = "\x80\2](]]e." }, "expected detections of background, object and hand by frame, found 2 classes")
  end)

  it("answer as supervised boxes do: filled, with what is over the scores", function()
    local data = co.data(tiny.world)
    local path = linked "files"
    core.io.make_folder(path .. "/detections")
    local sums = { Hand = 0, Obj = 0 }
    local counts = { Hand = 0, Obj = 0 }
    for _, name in ipairs(data.annotated) do
      local images = {}
      for _, frame in ipairs(data:queries(name)) do
        local masks, list = data:masks(name, frame.n), {}
        for k, hand in ipairs(masks.hand) do
          local held = masks.object[k]
          list[k] = { hand_bbox = boxes.of(hand:to "float32"), hand_pred_score = 0.9,
            obj_bbox = held and boxes.of(held:to "float32"), obj_pred_score = 0.8 }
          local function add(task, mask)
            local filled = boxes.fill(boxes.of(mask:to "float32"), 96, 64)
            sums[task] = sums[task] + co.metrics.iou(co.gt(filled, 0), mask, evaluate.truth(data, frame).ignore)
            counts[task] = counts[task] + 1
          end
          add("Hand", hand)
          if held then add("Obj", held) end
        end
        images[#images + 1] = { file_name = ("%06d.jpg"):format(frame.n), predictions = json.list(list) }
      end
      support.write(("%s/detections/%s.json"):format(path, name), json.encode { images = json.list(images) })
    end
    local recipe = recipes.load(support.root .. "/experiments/detections.lua",
      { "data=" .. path, "calibrate.steps=10" })
    assert.is_nil(tasks.of(recipe))
    local system = evaluate.system { recipe = recipe }
    local own = co.data(path)
    local thresholds = calibrate.search(system, own, own.annotated)
    local summary = evaluate.score(system, thresholds, own, own.annotated).summary
    for task, sum in pairs(sums) do
      assert.equal(counts[task], summary[task].n)
      assert.is_true(summary[task].mean >= 100 * sum / counts[task] - 1e-6, task)
    end
    local run = co.train(recipe, { root = folder .. "/runs" })
    assert.is_false(run:has "best.safetensors")
    support.raises("expected detections/", evaluate.system({ recipe = recipe }).answer, data:clip(data.clips[1]), 3,
      { { 1, 1 } })
  end)
end)
