-- Landmarks as MediaPipe, OpenPose and FrankMocap write them, and tables: that they give the hands they mean, and one
-- line
-- for what does not fit.
local co = require "cohesiv"
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"
local support = require "tests.support"

support.without_weights()

local W, H, COUNT = 100, 80, 4
local folder = support.temp()
core.io.make_folder(folder .. "/clip")
for n = 0, COUNT - 1 do
  co.image.write(("%s/clip/%06d.png"):format(folder, n), co.zeros(H, W, 3, { dtype = "uint8" }))
end

local function hands(path, n) return co.clip(folder .. "/clip", { hands = path }):hands(n) end
local function near(list, vertices)
  for k, p in ipairs(vertices:totable()) do
    for c = 1, 2 do assert.is_true(math.abs(list[k][c] - p[c]) < 1e-3, ("%g, %g"):format(list[k][c], p[c])) end
  end
end

describe("landmarks of MediaPipe", function()
  local points = { { x = 0.1, y = 0.5, z = -0.1 }, { x = 0.5, y = 0.25, z = 0 } }

  it("are read as its solution and its tasks give them, shares of the picture, sides as they are", function()
    local one = { multi_hand_landmarks = { { landmark = points } },
      multi_handedness = { { classification = { { index = 0, score = 0.75, label = "Left" } } } } }
    local none = { multi_hand_landmarks = json.null }
    json.write(folder .. "/a.json", { one, none, none, one })
    local hand = hands(folder .. "/a.json", 0)[1]
    near({ { 10, 40 }, { 50, 20 } }, hand.vertices)
    assert.same({ "right", 0.75 }, { hand.side, hand.score })
    assert.same({}, hands(folder .. "/a.json", 1))
    local task = { hand_landmarks = { points }, handedness = { { { score = 0.5, category_name = "Right" } } } }
    json.write(folder .. "/b.json", { frames = { task, task, task, task } })
    hand = hands(folder .. "/b.json", 3)[1]
    near({ { 10, 40 }, { 50, 20 } }, hand.vertices)
    assert.same({ "left", 0.5 }, { hand.side, hand.score })
  end)
end)

describe("landmarks of OpenPose", function()
  local function file(n, people)
    json.write(("%s/pose/video_%012d_keypoints.json"):format(folder, n), { version = 1.3, people = json.list(people) })
  end

  it("are read from a folder of a file a frame; hands without confidence are none", function()
    core.io.make_folder(folder .. "/pose")
    file(0, { { hand_left_keypoints_2d = { 0, 0, 0, 0, 0, 0 }, hand_right_keypoints_2d = { 10, 20, 0.5, 30, 40, 1 } } })
    file(2, {})
    local hand = hands(folder .. "/pose", 0)[1]
    near({ { 10, 20 }, { 30, 40 } }, hand.vertices)
    assert.same({ "right", 0.75 }, { hand.side, hand.score })
    assert.same({ 0, 0 }, { #hands(folder .. "/pose", 1), #hands(folder .. "/pose", 2) })
    file(3, { { hand_left_keypoints_2d = { 1, 2 } } })
    support.raises("hand_left_keypoints_2d: expected three numbers a point, found 2 numbers", hands, folder
      .. "/pose", 0)
    json.write(folder .. "/pose/video_000000000003_keypoints.json", { persons = {} })
    support.raises("expected an object with people, as OpenPose writes it, found the keys persons", hands,
      folder .. "/pose", 0)
  end)

  it("are found beside a data folder's other landmarks, and other folders are refused", function()
    os.execute(("mkdir -p %s/data/clips %s/data/hands_json && cp -r %s/clip %s/data/clips/a"):format(folder, folder,
      folder,
      folder))
    core.io.make_folder(folder .. "/data/hands_json/a")
    json.write(folder .. "/data/hands_json/a/x_000000000001_keypoints.json",
      { people = { { hand_left_keypoints_2d = { 50, 60, 1 } } } })
    assert.equal("left", co.data(folder .. "/data"):clip("a"):hands(1)[1].side)
    support.raises("expected files NAME_000000000000_keypoints.json (OpenPose)", hands, folder .. "/clip", 0)
  end)
end)

describe("landmarks in tables", function()
  local function table_of(text) return support.write(folder .. "/t.csv", text) end

  it("are read with a row a hand or a row a vertex", function()
    local path = table_of("frame,side,score,x0,y0,x1,y1\n0,left,0.5,1,2,30,4\n0,right,0.25,5,6,70,8\n"
      .. "2,left,1,9,9,20,20\n")
    assert.same({ 2, 0, 1 }, { #hands(path, 0), #hands(path, 1), #hands(path, 2) })
    local hand = hands(path, 0)[2]
    near({ { 5, 6 }, { 70, 8 } }, hand.vertices)
    assert.same({ "right", 0.25 }, { hand.side, hand.score })
    path = table_of "\xEF\xBB\xBFframe;hand;point;x;y\r\n1;left;0;10;20\r\n1;left;1;30;40\r\n1;right;0;50;60\r\n"
    assert.equal(2, #hands(path, 1))
    near({ { 10, 20 }, { 30, 40 } }, hands(path, 1)[1].vertices)
    assert.equal("right", hands(path, 1)[2].side)
  end)

  it("are refused where they do not fit", function()
    support.raises("t.csv: expected the columns frame, x0, y0, x1, y1", hands, table_of "a,b\n1,2\n", 0)
    support.raises("t.csv: row 2: x: expected a number, found abc", hands, table_of "frame,x,y\n0,abc,1\n", 0)
    support.raises("t.csv: row 2: frame: expected 0 or more, found -1", hands, table_of "frame,x,y\n-1,2,1\n", 0)
    support.raises("t.csv: expected a table with a header, found nothing", hands, table_of "", 0)
  end)
end)

describe("landmarks of FrankMocap", function()
  -- A pickle, put together by its opcodes (protocol 3).
  local function text(s) return "X" .. string.pack("<s4", s) end
  local function int(n) return "J" .. string.pack("<i4", n) end
  local function global(module, name) return "c" .. module .. "\n" .. name .. "\n" end
  local function tuple(...) return "(" .. table.concat { ... } .. "t" end
  local function list(...) return "](" .. table.concat { ... } .. "e" end
  local function dict(...) return "}(" .. table.concat { ... } .. "u" end
  local function bytes(s) return "B" .. string.pack("<s4", s) end
  local function array(numbers, rows, code, order)
    local dtype = global("numpy", "dtype") .. tuple(text(code or "f4"), int(0), int(1)) .. "R"
      .. tuple(int(3), text(order or "<"), "N", "N", "N", int(-1), int(-1), int(0)) .. "b"
    return global("numpy.core.multiarray", "_reconstruct")
      .. tuple(global("numpy", "ndarray"), tuple(int(0)), bytes "b") .. "R"
      .. tuple(int(1), tuple(int(rows), int(#numbers // rows)), dtype, "\x89",
        bytes(string.pack("<" .. ("f"):rep(#numbers), table.unpack(numbers)))) .. "b"
  end
  -- As protocol 5 has it: the bytes themselves, in a bytearray.
  local function buffer_array(numbers, rows, order)
    local dtype = global("numpy", "dtype") .. tuple(text "f4", int(0), int(1)) .. "R"
      .. tuple(int(3), text "<", "N", "N", "N", int(-1), int(-1), int(0)) .. "b"
    return global("numpy._core.numeric", "_frombuffer") .. tuple(
      "\x96" .. string.pack("<s8", string.pack("<" .. ("f"):rep(#numbers), table.unpack(numbers))), dtype,
      tuple(int(rows), int(#numbers // rows)), text(order or "C")) .. "R"
  end
  local function file(body)
    core.io.make_folder(folder .. "/mocap")
    return support.write(folder .. "/mocap/00001_prediction_result.pkl", "\x80\3" .. body .. ".")
  end

  it("are the projected vertices of its meshes", function()
    local right = dict(text "pred_vertices_img", array({ 10, 20, 3, 30, 40, 3 }, 2), text "pred_hand_pose", "N")
    file(dict(text "demo_type", text "hand", text "pred_output_list",
      list(dict(text "left_hand", "N", text "right_hand", right))))
    local hand = hands(folder .. "/mocap", 1)[1]
    near({ { 10, 20 }, { 30, 40 } }, hand.vertices)
    assert.equal("right", hand.side)
    assert.same({}, hands(folder .. "/mocap", 0))
  end)

  it("may be of protocol 5, whose arrays are buffers", function()
    local value = core.io.pickle_read(file(buffer_array({ 1, 2, 3, 4, 5, 6 }, 2)))
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, value:totable())
    support.raises("in C order, found another", core.io.pickle_read, file(buffer_array({ 1, 2, 3, 4 }, 2, "F")))
    support.raises("expected arrays of", core.io.pickle_read,
      file(global("numpy._core.numeric", "_frombuffer") .. tuple(int(1)) .. "R"))
  end)

  it("are read as data: other names and damage are refused in one line", function()
    local function refused(expected, body) support.raises(expected, core.io.pickle_read, file(body)) end
    refused("refused: os.system is not on the list", global("os", "system") .. tuple(text "id") .. "R")
    refused("little-endian, found f4", array({ 1, 2 }, 1, "f4", ">"))
    refused("found O", array({ 1, 2 }, 1, "O"))
    refused("expected 16 bytes in an array, found 8", array({ 1, 2 }, 1, "f8"))
    refused("expected arrays of a size that the file can hold", array({ 1, 2 }, -1))
    refused("expected values at most 24 deep", ("]"):rep(30) .. ("a"):rep(29))
    support.raises("expected a pickle, found", core.io.pickle_read, support.write(folder .. "/x.pkl", "hello"))
    file(dict(text "a", int(1)))
    support.raises("expected a dict with pred_output_list, as FrankMocap writes it, found the keys a", hands,
      folder .. "/mocap", 0)
    assert.same({ 1.5, true, core.json.null }, core.io.pickle_read(file(list("G" .. string.pack(">d", 1.5), "\x88",
      "N"))))
  end)
end)
