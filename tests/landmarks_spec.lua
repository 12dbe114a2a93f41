-- What users' JSON files really hold: layouts of landmarks that can be understood one way only are read, all others are
-- one line that names the place; warnings where it may be right. The clip is of 12 frames, 160x96.
local co = require "cohesiv"
local core = require "cohesiv.core"
local frames = require "cohesiv.data.frames"
local json = require "cohesiv.base.json"
local support = require "tests.support"
local warn = require "cohesiv.base.warn"

local W, H, COUNT = 160, 96, 12
local root = support.temp()
local path = root .. "/hands_json/a.json"
core.io.make_folder(root .. "/clips/a")
core.io.make_folder(root .. "/hands_json")
for n = 0, COUNT - 1 do
  co.image.write(("%s/clips/a/%06d.png"):format(root, n), co.zeros(H, W, 3, { dtype = "uint8" }))
end
teardown(frames.forget)

-- Runs f and returns the warnings that it gave.
local function warnings_of(f, ...)
  local write, lines = warn.write, {}
  warn.write = function(line) lines[#lines + 1] = line end
  local ok, why = pcall(f, ...)
  warn.write = write
  if not ok then error(why, 0) end
  return lines
end

-- Every file is one of its own, so that what was said of another is not left out.
local made = 0
local function clip_of(text)
  made = made + 1
  path = ("%s/hands_json/%d.json"):format(root, made)
  support.write(path, type(text) == "string" and text or json.encode(text))
  return co.clip(root .. "/clips/a", { hands = path })
end

-- The square hand of frame n: corners of (30 + 4n, 20) and 20 pixels.
local function points(n)
  local x = 30 + 4 * n
  return { { x, 20 }, { x + 20, 20 }, { x, 40 }, { x + 20, 40 } }
end
local function hand(n, more)
  local result = { side = "right", score = 0.5, vertices = points(n), box = { 30 + 4 * n, 20, 50 + 4 * n, 40 } }
  for key, value in pairs(more or {}) do result[key] = value end
  return result
end
local function list_of(make)
  local list = {}
  for n = 0, COUNT - 1 do list[n + 1] = make(n) end
  return list
end
local function doc(list, more)
  local result = { width = W, height = H, frames = list or list_of(function(n) return { hand(n) } end) }
  for key, value in pairs(more or {}) do result[key] = value end
  return result
end

-- Frame 6 of a document is the hand above, and nothing is said.
local function reads(document, expected)
  local clip = clip_of(document)
  local lines = warnings_of(function()
    local hands = clip:hands(6)
    assert.equal(1, #hands)
    assert.same(points(6), hands[1].vertices:totable())
    assert.same({ 54, 20, 74, 40 }, hands[1].box)
    for key, value in pairs(expected or { side = "right", score = 0.5 }) do assert.equal(value, hands[1][key]) end
  end)
  assert.same({}, lines)
end

local function refuses(expected, document)
  local clip = clip_of(document)
  assert.equal(path .. ": " .. expected, support.raises(expected, clip.hands, clip, 6))
end

local function warns(expected, document)
  local clip = clip_of(document)
  local lines = warnings_of(function()
    for n = 0, COUNT - 1 do clip:hands(n) end
    co.clip(root .. "/clips/a", { hands = path }):hands(6) -- once a file, not once a clip
  end)
  assert.same({ "cohesiv: warning: " .. path .. ": " .. expected }, lines)
end

-- A document whose frame 6 is this.
local function with(frame)
  return doc(list_of(function(n) return n == 6 and frame or { hand(n) } end))
end
local function with_hand(more) return with { hand(6, more) } end

describe("landmarks", function()
  it("are read in every layout that says one thing", function()
    reads(doc())
    for _, pattern in ipairs { "%d", "%05d", "%06d", "%010d" } do
      local keyed = {}
      for n = 2, COUNT - 2 do keyed[pattern:format(n)] = { hand(n) } end
      reads(doc(keyed))
      assert.same({}, co.clip(root .. "/clips/a", { hands = path }):hands(11))
    end
    reads(doc(list_of(function(n) return hand(n) end)))
    reads(doc(list_of(function(n) return { hands = { hand(n) } } end)))
    reads(doc(list_of(function(n) return { frame = n, hands = hand(n), time = 0.2 } end)))
    reads(with { json.null, hand(6) })
    reads(doc(nil, { width = "160", height = "96.0", source = "a tool" }))
    reads(doc(nil, { width = json.null, height = json.null }))
    reads(with_hand { colour = "red", id = 3 })
    reads(with_hand { box = json.null })
    reads(with_hand { box = {} })
    reads(with_hand { box = { "54", "20", "74.0", 40 } })
    reads(with_hand { vertices = { { "54", "2e1" }, { "74.0", 20 }, { 54, 40 }, { 74, 40 } } })
    reads(with_hand { vertices = { { x = 54, y = 20 }, { x = 74, y = 20, z = 1 }, { x = "54", y = 40 }, { 74, 40 } } })
    reads("\xEF\xBB\xBF" .. json.encode(doc()))
    reads(with_hand { side = "Left", score = "0.25" }, { side = "left", score = 0.25 })
    reads(with_hand { side = "R", score = json.null }, { side = "right", score = 1 })
    reads(with_hand { side = "unsure" }, { side = "unsure" })
    local none = doc(list_of(function(n) return n == 6 and json.null or n == 7 and {} or { hand(n) } end))
    local clip = clip_of(none)
    assert.same({ {}, {}, 1 }, { clip:hands(6), clip:hands(7), #clip:hands(8) })
    local empty = with { hands = json.null }
    assert.same({}, clip_of(empty):hands(6))
  end)

  it("are scaled from their size to the clip's", function()
    local half = doc(list_of(function(n)
      local h = hand(n)
      for _, p in ipairs(h.vertices) do p[1], p[2] = p[1] / 2, p[2] / 2 end
      for i = 1, 4 do h.box[i] = h.box[i] / 2 end
      return { h }
    end), { width = W // 2, height = H // 2 })
    reads(half)
    local parts = doc(list_of(function(n)
      local h = hand(n, { box = json.null })
      for _, p in ipairs(h.vertices) do p[1], p[2] = p[1] / 256, p[2] / 128 end
      return { h }
    end), { width = 1, height = 1 })
    local got = clip_of(parts):hands(6)[1]
    assert.same({ 54 * 160 / 256, 15 }, got.vertices[1]:totable())
    assert.same({ 74 * 160 / 256, 15 }, got.vertices[2]:totable())
  end)

  it("name the frame that is no list of hands", function()
    refuses("frames[6]: expected a list of hands, found an object", with { keypoints = points(6) })
    refuses("frames[6]: expected a list of hands, found an object", with { hands = { hands = {}, a = 1 } })
    refuses("frames[6]: expected a list of hands, found 7", with(7))
    refuses('frames[6]: expected a list of hands, found "none\\n"', with "none\n")
    refuses("frames[6]: expected a list of hands, found true", with(true))
    refuses("frames[6]: expected frame 6, found frame 9 (frames count from 0; those without hands are [])",
      with { frame = 9, hands = { hand(9) } })
    refuses('frames[6]: expected a list of hands, found "' .. ("x"):rep(39) .. '…"', with(("x"):rep(50)))
  end)

  it("name the hand and the vertex", function()
    refuses("frames[6]: hand 2: expected an object with vertices, found 3", with { hand(6), 3 })
    refuses("frames[6]: hand 1: expected an object with vertices, found a list", with { points(6) })
    refuses("frames[6]: hand 1: expected vertices [[x, y], …], found only box, keypoints, score",
      with { { keypoints = points(6), box = { 1, 2, 3, 4 }, score = 1 } })
    refuses("frames[6]: hand 1: expected vertices [[x, y], …], found an empty list or object",
      with_hand { vertices = {} })
    refuses('frames[6]: hand 1: expected vertices [[x, y], …], found "1,2"', with_hand { vertices = "1,2" })
    local function vertex(expected, p)
      local v = points(6)
      v[3] = p
      refuses("frames[6]: hand 1: vertex 3: expected [x, y] in pixels, found " .. expected, with_hand { vertices = v })
    end
    vertex("[54, 40, 0.1] (with a third number: give x and y alone)", { 54, 40, 0.1 })
    vertex("[54]", { 54 })
    vertex('["a", 2]', { "a", 2 })
    vertex('["0x10", 2]', { "0x10", 2 })
    vertex('["nan", 2]', { "nan", 2 })
    vertex("[null, 2]", { json.null, 2 })
    vertex("[true, 2]", { true, 2 })
    vertex("[1000000000, 2]", { 1e9, 2 })
    vertex("[a list, 2]", { { 1, 2 }, 2 })
    vertex("54.5", 54.5)
    vertex("null", json.null)
    vertex("an object of u, v", { u = 1, v = 2 })
    vertex("an empty list or object", {})
    refuses("frames[6]: hand 1: side: expected left or right, found 1", with_hand { side = 1 })
    refuses("frames[6]: hand 1: score: expected a number, found an object", with_hand { score = { left = 1 } })
    refuses("frames[6]: hand 1: box: expected [x0, y0, x1, y1], found [1, 2, 3]", with_hand { box = { 1, 2, 3 } })
    refuses('frames[6]: hand 1: box: expected [x0, y0, x1, y1], found [54, 20, "1e999", 40]',
      with_hand { box = { 54, 20, "1e999", 40 } })
    refuses("frames[6]: hand 1: box: expected [x0, y0, x1, y1], found an object", with_hand { box = { x = 1 } })
    refuses("frames[6]: hand 1: box: expected [x0, y0, x1, y1] with x0 ≤ x1 and y0 ≤ y1, found [54, 20, 20, 20] "
      .. "([x, y, width, height]?)", with_hand { box = { 54, 20, 20, 20 } })
  end)

  it("of no document are refused", function()
    refuses("expected landmarks { width, height, frames = [[…], …] }, found an empty list or object", "[]")
    refuses("expected landmarks { width, height, frames = [[…], …] }, found a list", "[[]]")
    refuses("expected landmarks { width, height, frames = [[…], …] }, found 3", "3")
    refuses("expected landmarks { width, height, frames = [[…], …] }, found frames = 3", '{"frames":3}')
    refuses("expected landmarks { width, height, frames = [[…], …] }, found the keys Frames, width",
      '{"Frames":[],"width":160}')
    refuses('frames: expected frame numbers as keys, found "frame_6"', doc { frame_6 = { hand(6) } })
    refuses('frames: expected frame numbers as keys, found "-6"', doc { ["-6"] = { hand(6) } })
    refuses('frames: expected frame numbers as keys, found "6\\x1b[2J"', doc { ["6\27[2J"] = { hand(6) } })
    refuses('frames: expected frame numbers as keys, found "99999999999999999999"', doc { [("9"):rep(20)] = {} })
    refuses('frames: expected frame 6 once, found "000006" and "6"', doc { ["6"] = {}, ["000006"] = {} })
    local from1 = {}
    for n = 1, COUNT do from1[("%06d"):format(n)] = { hand(n) } end
    refuses("frames: expected frames of 0 to 11, found 1 to 12 (frames count from 0)", doc(from1))
    refuses('expected JSON, found the key "frames" twice in an object at line 1, column 14',
      '{"frames":[],"frames":[]}')
  end)

  it("have the clip's aspect", function()
    refuses("expected the aspect of the clip (160x96), found 96x160: swapped (landmarks of the unrotated video?)",
      doc(nil, { width = H, height = W }))
    refuses("expected the aspect of the clip (160x96), found 160x160", doc(nil, { height = 160 }))
    refuses("expected width and height, found the width alone", { width = 320, frames = doc().frames })
    refuses("expected width and height, found the height alone", { height = 96, frames = doc().frames })
    local wrong = { ["0"] = 0, ["-160"] = -160, ['"wide"'] = "wide", ["a list"] = { 160 }, ["true"] = true }
    for shown, value in pairs(wrong) do
      refuses("expected a width of 1 or more pixels, found " .. shown, doc(nil, { width = value }))
    end
    refuses("expected a height of 1 or more pixels, found inf", '{"width":160,"height":1e999,"frames":[[]]}')
    local padded = clip_of(doc(nil, { height = 97 })):hands(6)[1].vertices:totable() -- 1 %: a row more, or less
    assert.near(20 * 96 / 97, padded[1][2], 1e-5)
  end)

  it("are in pixels", function()
    local function scaled(sx, sy) -- of frame 6
      local v = points(6)
      for _, p in ipairs(v) do p[1], p[2] = p[1] * sx, p[2] * sy end
      return with_hand { vertices = v, box = json.null }
    end
    local expected = "frames[6]: hand 1: expected vertices in pixels, found a whole hand within one pixel (normalised "
      .. "coordinates? then width and height are 1)"
    refuses(expected, scaled(1 / W, 1 / H))
    local unsaid = scaled(1 / W, 1 / H)
    unsaid.width, unsaid.height = nil, nil
    refuses(expected, unsaid)
    refuses("frames[6]: hand 1: expected vertices in pixels, found all of them at (0, 0) (no hand? leave it out)",
      scaled(0, 0))
    -- At the corner, within 2 pixels: where the picture has 16 or more.
    local least = scaled(1 / W, 1 / H)
    least.width, least.height = 27, 16
    refuses(expected, least)
    least.width, least.height = 25, 15
    assert.equal(#points(6), clip_of(least):hands(6)[1].vertices.shape[1])
    local single = clip_of(with_hand { vertices = { { 0.5, 0.5 } }, box = json.null })
    assert.same({ { 0.5, 0.5 } }, single:hands(6)[1].vertices:totable())
  end)

  it("that may be wrong are told once", function()
    local short = doc()
    for _ = 1, 6 do table.remove(short.frames) end
    warns("expected landmarks of the clip's 12 frames, found 6: from frame 6 on there are no hands", short)
    local long = doc()
    long.frames[13] = {}
    warns("expected landmarks of the clip's 12 frames, found 13: the last are not used", long)
    warns("expected frames of 0 to 11, found frame 100: what is beyond the clip is not used",
      doc { ["100"] = {}, ["6"] = { hand(6) } })
    warns("frames[6]: hand 1: expected a hand in the picture of 160x96, found it at x 354 to 374, y 20 to 40",
      with_hand { vertices = { { 354, 20 }, { 374, 40 } }, box = json.null })
    local bare = with_hand { vertices = { { 170, 20 }, { 190, 40 } }, box = json.null }
    bare.width, bare.height = nil, nil
    warns("frames[6]: hand 1: expected a hand in the picture of 160x96, found it at x 170 to 190, y 20 to 40 (the file "
      .. "tells no width and height: of another resolution?)", bare)
    warns("expected width and height, found the keys frames, image_height, image_width: vertices are taken for the "
      .. "clip's pixels", { image_width = 320, image_height = 192, frames = doc().frames })
    warns("frames[6]: hand 1: expected a box [x0, y0, x1, y1] around the vertices, found one that holds 0 of 4 ([x, y, "
      .. "width, height]?)", with_hand { vertices = { { 24, 24 }, { 30, 24 }, { 24, 30 }, { 30, 30 } },
      box = { 10, 10, 22, 22 } })
    warns("frames[6]: hand 1: expected a box [x0, y0, x1, y1] around the vertices, found one that holds 0 of 4",
      with_hand { box = { 100, 60, 120, 80 } })
  end)

  it("are part of what identifies a person mask, with their size", function()
    local function key_of(document, n)
      local clip = clip_of(document)
      clip:hands(n)
      return clip.landmarks:key(n)
    end
    assert.equal(key_of(doc(), 6), key_of(doc(), 6))
    assert.is_true(key_of(doc(), 6) ~= key_of(doc(), 5))
    assert.is_true(key_of(doc(), 6) ~= key_of(doc(nil, { width = 2 * W, height = 2 * H }), 6))
  end)
end)

support.data_it("landmarks of real clips are read without a word", function()
  local data = co.data(support.data)
  local lines = warnings_of(function()
    for _, name in ipairs(data.clips) do
      local clip = data:clip(name)
      for n = 0, clip.frames - 1 do clip:hands(n) end
      clip:close()
    end
  end)
  assert.same({}, lines)
end)
