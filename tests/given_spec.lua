-- What a data folder brings along beside pictures and landmarks: queries and masks that are checked against each other,
-- flow and person masks by content and by name. One clip of 4 frames, 40x24.
local co = require "cohesiv"
local core = require "cohesiv.core"
local frames = require "cohesiv.data.frames"
local json = require "cohesiv.base.json"
local support = require "tests.support"
local warn = require "cohesiv.base.warn"

local W, H, COUNT = 40, 24, 4
local root, old = nil, os.getenv "COHESIV_CACHE"
setup(function() core.system.setenv("COHESIV_CACHE", support.temp()) end)
teardown(function()
  frames.forget()
  core.system.setenv("COHESIV_CACHE", old)
end)

-- Warnings of f, without the folder that they name first.
local function warnings_of(f, ...)
  local write, lines = warn.write, {}
  warn.write = function(line) lines[#lines + 1] = line:gsub("^cohesiv: warning: ", ""):sub(#root + 2) end
  local ok, why = pcall(f, ...)
  warn.write = write
  if not ok then error(why, 0) end
  return lines
end

local function refuses(expected, f, ...)
  local message = support.raises(root, f, ...)
  assert.equal(expected, message:sub(#root + 2))
end

local function fresh()
  root = support.temp()
  for _, name in ipairs { "clips/a", "masks/a", "flow/a/1", "person/a" } do core.io.make_folder(root .. "/" .. name) end
  for n = 0, COUNT - 1 do
    co.image.write(("%s/clips/a/%06d.png"):format(root, n), co.zeros(H, W, 3, { dtype = "uint8" }))
  end
  return co.data(root)
end

-- A mask set in columns 10 to 19, rows 4 to 9.
local function mask(name, w, h)
  local t = co.zeros(h or H, w or W, { dtype = "uint8" })
  t[{ { 5, 10 }, { 11, 20 } }] = 255
  co.image.write(root .. "/" .. name, t)
end
local function queries(list, more)
  local doc = { width = W, height = H, frames = list }
  for key, value in pairs(more or {}) do doc[key] = value end
  json.write(root .. "/masks/a/queries.json", doc)
end
local function query(more)
  local q = { query = { 12, 6 }, side = "left" }
  for key, value in pairs(more or {}) do q[key] = value end
  return q
end

describe("queries", function()
  local data
  before_each(function() data = fresh() end)

  it("are read in every layout that says one thing", function()
    for _, key in ipairs { "2", "000002", "0000000002" } do
      for _, list in ipairs { { query() }, query(), { query { query = { "12", "6.0" } } },
        { query { query = { x = 12, y = 6 } } }, { query { object = json.null, hand_pixels = 60 } } } do
        queries { [key] = list }
        local got = data:queries "a"
        assert.same({ 1, 2, W, H }, { #got, got[1].n, got[1].width, got[1].height })
        assert.same({ 12, 6, index = 1, side = "left" }, got[1].queries[1])
      end
    end
    queries({ ["3"] = json.null }, { width = "40", height = "24" })
    assert.same({ {}, 40 }, { data:queries("a")[1].queries, data:queries("a")[1].width })
  end)

  it("are refused by file, frame and number", function()
    local function wrong(expected, list, more)
      queries(list, more)
      refuses("masks/a/queries.json: " .. expected, data.queries, data, "a")
    end
    wrong('frames["02"]: expected a list of queries, found an object', { ["02"] = { x = 1 } })
    wrong('frames["2"]: expected a list of queries, found "12, 6"', { ["2"] = "12, 6" })
    wrong('frames["2"]: query 2: expected query = [x, y], found 3', { ["2"] = { query(), 3 } })
    wrong('frames["2"]: query 1: expected query = [x, y], found point, side', { ["2"] = { { point = 1, side = 1 } } })
    wrong('frames["2"]: query 1: expected query = [x, y] in pixels, found ["a", 2]',
      { ["2"] = { query { query = { "a", 2 } } } })
    wrong('frames["2"]: query 1: expected query = [x, y] in pixels, found [1, 2, 3] (with a third number: give x and y '
      .. "alone)", { ["2"] = { query { query = { 1, 2, 3 } } } })
    wrong('frames["2"]: query 1: expected a point in the picture of 40x24, found [12, 24]',
      { ["2"] = { query { query = { 12, 24 } } } })
    wrong('frames["2"]: query 1: expected a point in the picture of 40x24, found [-1, 2]',
      { ["2"] = { query { query = { -1, 2 } } } })
    wrong('frames["2"]: query 1: object: expected a name or null, found 3', { ["2"] = { query { object = 3 } } })
    wrong('frames["2"]: query 1: side: expected left, right or null, found true', { ["2"] = { query { side = true } } })
    wrong('frames: expected frame numbers as keys, found "a\\nb\\x1b"', { ["a\nb\27"] = {} })
    wrong('frames: expected frame 2 once, found "02" and "2"', { ["2"] = {}, ["02"] = {} })
    wrong('expected { width, height, frames = { "FRAME": [queries] } }, found frames = a list', { { query() } })
    wrong("expected a width of 1 or more pixels, found 0", {}, { width = 0 })
    wrong("expected width and height, found the width alone", {}, { height = json.null })
    support.write(root .. "/masks/a/queries.json", '{"frames":{"2":[{"query":[NaN,3]}]}}')
    refuses("masks/a/queries.json: expected JSON, found NaN at line 1, column 27", data.queries, data, "a")
  end)

  it("are of the clip's size", function()
    queries({ ["2"] = { query() } }, { width = 80, height = 48 })
    refuses("masks/a/queries.json: expected the clip's size of 40x24, found 80x48", data.queries, data, data:clip "a")
    local ask = require("cohesiv.hands.evaluate").asker({ answer = error }, data)
    refuses("masks/a/queries.json: expected the clip's size of 40x24, found 80x48", ask, data:queries("a")[1])
  end)
end)

describe("masks", function()
  local data
  before_each(function() data = fresh() end)

  it("belong to queries, are on their points and of their size", function()
    queries { ["2"] = { query { object = "cup" } } }
    mask "masks/a/000002_hand1.png"
    mask "masks/a/000002_object1.png"
    assert.same({}, warnings_of(function()
      data:queries "a"
      local masks = data:masks("a", 2)
      assert.same({ 60, 60 }, { masks.hand[1]:to("float32"):sum():item(), masks.object[1]:to("float32"):sum():item() })
    end))
    local file = root .. "/masks/a/000002_hand1.png"
    for _, name in ipairs { "00002_hand1.PNG", "2_hand1.png", "frame_0000000002_hand1.png" } do
      os.rename(file, root .. "/masks/a/" .. name)
      file = root .. "/masks/a/" .. name
      assert.equal(60, data:mask("a", 2, "hand", 1):to("float32"):sum():item())
      assert.same({}, warnings_of(function() data:queries "a" end))
    end
    os.remove(file)
    refuses("masks/a/000002_hand1.png: expected the hand mask of query 1 of frame 2, found none", data.masks, data,
      "a", 2)
    mask("masks/a/000002_hand1.png", 80, 48)
    local other = "masks/a/000002_hand1.png: expected a mask of 40x24 as queries.json says, found 80x48"
    refuses(other, data.masks, data, "a", 2)
    refuses(other, data.mask, data, "a", 2, "hand", 1)
    mask "masks/a/2_hand1.png"
    refuses("masks/a: expected one mask of frame 2, hand 1, found 000002_hand1.png and 2_hand1.png", data.masks, data,
      "a", 2)
  end)

  it("that are not used are told once", function()
    queries { ["2"] = { query { query = { 6, 12 }, object = "cup" }, query() } }
    for _, name in ipairs {
      "000002_hand1", "000002_hand2", "000002_object2", "000002_hand3", "000003_hand1", "hand_2",
    } do
      mask("masks/a/" .. name .. ".png")
    end
    local function all()
      data:queries "a"
      data:masks("a", 2)
    end
    assert.same({
      "masks/a/000002_hand3.png: expected query 3 of frame 2 in queries.json, found none: the mask is not used",
      "masks/a/000003_hand1.png: expected query 1 of frame 3 in queries.json, found none: the mask is not used",
      "masks/a/hand_2.png: expected FRAME_handK.png, FRAME_objectK.png or FRAME_armK.png, found another name: not used",
      "masks/a/queries.json: expected points on their hands, found query 1 of frame 2 at [6, 12] outside of its hand "
        .. "mask",
      'masks/a/000002_object1.png: expected the mask of the object "cup" of queries.json, found none',
      "masks/a/000002_object2.png: expected no mask, as queries.json names no object, found one",
    }, warnings_of(all))
    assert.same({}, warnings_of(all))
  end)
end)

describe("given flow", function()
  local data, clip
  before_each(function()
    data = fresh()
    clip = data:clip "a"
  end)
  local size = { size = { W, H } }
  local function flow(change)
    local t = co.zeros(H, W, 2) + 1.5
    if change then change(t) end
    return t
  end

  it("is of numbers, in pixels", function()
    local path = root .. "/flow/a/1/000001.npy"
    local function wrong(expected, t)
      co.save(path, t)
      refuses("flow/a/1/000001.npy: " .. expected, clip.flow, clip, 1, 1, size)
    end
    wrong("expected a flow of numbers, found NaN at (4, 2)", flow(function(t) t[{ 3, 5, 1 }] = 0 / 0 end))
    wrong("expected a flow of numbers, found infinity at (39, 23)", flow(function(t) t[{ H, W, 2 }] = -math.huge end))
    wrong("expected a flow of numbers, found infinity at (0, 0)",
      flow():to "float64" * 1e300)
    wrong("expected vectors of at most 160 pixels (4 pictures), found 32768 (coded, not in pixels?)",
      flow(function(t) t[{ 1, 1, 1 }] = 32768 end))
    wrong("expected a flow of the whole frame (40x24, or scaled), found 2x24x40 (height x width x 2 is the order)",
      co.zeros(2, H, W))
    co.save(path, flow(function(t) t[{ 3, 5, 1 }], t[{ 4, 5, 2 }] = 160, -1.67e9 end)) -- the second: unknown
    local got = clip:flow(1, 1, size)
    assert.same({ { 160, 1.5 }, { 0, 0 }, { 1.5, 1.5 } },
      { got[{ 3, 5 }]:totable(), got[{ 4, 5 }]:totable(), got[{ 5, 5 }]:totable() })
  end)

  it("is the array called flow, or the only one", function()
    local path = root .. "/flow/a/1/000001.npz"
    co.save(path, { field = flow() })
    assert.same({ 1.5, 1.5 }, clip:flow(1, 1, size)[{ 1, 1 }]:totable())
    co.save(path, { flow = flow(), other = co.zeros(3) })
    assert.same({ 1.5, 1.5 }, clip:flow(1, 1, size)[{ 1, 1 }]:totable())
    co.save(path, { forward = flow(), backward = flow() })
    refuses("flow/a/1/000001.npz: expected an array named flow, found backward, forward", clip.flow, clip, 1, 1, size)
  end)
end)

describe("given person masks", function()
  it("are of the clip's size", function()
    local clip = fresh():clip "a"
    mask("person/a/000002.png", 80, 48)
    refuses("person/a/000002.png: expected a mask of 40x24, found 80x48", clip.person, clip, 2)
  end)
end)

describe("lists", function()
  local lists = require "cohesiv.base.lists"

  it("are mapped in order, what is nil or false left out", function()
    local function f(x, i) return x > 1 and x * 10 + i end
    assert.same({ 32, 23 }, lists.map({ 1, 3, 2 }, f))
    assert.same({}, lists.map({}, f))
  end)
end)
