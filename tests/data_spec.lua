-- Data folders, clips, scaling and the cache, on a folder made here: two video clips, a clip of pictures, one in a
-- subfolder; landmarks, flow in every format, person masks, hand-drawn masks.
local core = require "cohesiv.core"
local co = require "cohesiv"
local cache = require "cohesiv.data.cache"
local frames = require "cohesiv.data.frames"
local image = require "cohesiv.tensor.image"
local json = require "cohesiv.base.json"
local scale = require "cohesiv.motion.scale"
local support = require "tests.support"
local warn = require "cohesiv.base.warn"

support.without_weights()

local root = support.temp()
local caches = support.temp()
local function at(name) return root .. "/" .. name end
local function folder(name)
  core.io.make_folder(at(name))
  return at(name) .. "/"
end

local cache_before = os.getenv "COHESIV_CACHE"
local told = warn.write
setup(function()
  core.system.setenv("COHESIV_CACHE", caches)
  warn.write = function() end -- what is told of these files: landmarks_spec, given_spec
end)
teardown(function()
  warn.write = told
  frames.forget()
  core.system.setenv("COHESIV_CACHE", cache_before)
end)

local W, H, COUNT = 96, 64, 8

-- A textured picture that moves by (2, 1) pixels a frame.
local function picture(n)
  local t = {}
  for y = 1, H do
    t[y] = {}
    for x = 1, W do
      local u, v = x - 2 * n, y - n
      local g = 128 + 60 * math.sin(u * 0.5) * math.cos(v * 0.4) + 40 * math.sin(u * 0.13 + v * 0.21)
      t[y][x] = { math.floor(g), math.floor(255 - g), math.floor(g / 2) }
    end
  end
  return co.tensor(t, { dtype = "uint8" })
end

local pictures = {}
for _, name in ipairs { "b", "sub/c" } do folder("clips/" .. name) end
for n = 0, COUNT - 1 do
  pictures[n] = picture(n)
  for _, name in ipairs { "b", "sub/c" } do co.image.write(at(("clips/%s/%06d.png"):format(name, n)), pictures[n]) end
end
for _, name in ipairs { "a", "a-b" } do
  local made = support.run {
    "ffmpeg", "-v", "error", "-y", "-i", at "clips/b/%06d.png", "-c:v", "libx264rgb", "-qp", "0",
    at("clips/" .. name .. ".mp4"),
  }
  assert(made.status == 0, made.stderr)
end
support.write(at "clips/readme.txt", "not a clip")

-- Hands at half the clip's resolution for b, at its own for a; frame 1 has two, frame 2 none.
local function landmarks(s)
  local function hand(x, y)
    return { { x * s, y * s }, { (x + 10) * s, y * s }, { x * s, (y + 8) * s }, { (x + 9) * s, (y + 9) * s } }
  end
  local list = {}
  for n = 0, COUNT - 1 do
    local box = { 20 * s, 15 * s, 30 * s, 24 * s }
    list[n + 1] = { { side = "right", score = 0.75, vertices = hand(20 + 2 * n, 15), box = box } }
  end
  list[2][2] = { side = json.null, vertices = hand(60, 30) }
  list[3] = {}
  return { width = W * s, height = H * s, frames = list }
end
folder "hands_json"
json.write(at "hands_json/a.json", landmarks(1))
json.write(at "hands_json/b.json", landmarks(0.5))

local function constant_flow(u, v, h, w)
  local t = co.zeros(h, w, 2)
  t[{ {}, {}, 1 }], t[{ {}, {}, 2 }] = u, v
  return t
end

describe("data folder", function()
  local data = co.data(root)

  it("lists clips by their bytes, when asked", function()
    assert.same({ "a", "a-b", "b", "sub/c" }, data.clips)
    local list, called = core.io.list, 0
    core.io.list = function(...)
      called = called + 1
      return list(...)
    end
    co.data(root):clip "a-b"
    co.data(root):clip "sub/c"
    core.io.list = list
    assert.equal(0, called)
  end)

  it("gives frames of videos and of folders alike", function()
    for _, name in ipairs(data.clips) do
      local clip = data:clip(name)
      assert.same({ COUNT, W, H }, { clip.frames, clip.width, clip.height })
      for _, n in ipairs { 3, 0, 7 } do assert.equal(0, support.difference(clip:frame(n), pictures[n])) end
      clip:close()
    end
  end)

  it("gives hands in the clip's own pixels", function()
    for _, name in ipairs { "a", "b" } do
      local clip = data:clip(name)
      local hands = clip:hands(1)
      assert.equal(2, #hands)
      assert.same({ "right", 0.75 }, { hands[1].side, hands[1].score })
      assert.is_nil(hands[2].side)
      assert.equal("float32", hands[1].vertices.dtype)
      assert.same({ { 22, 15 }, { 32, 15 }, { 22, 23 }, { 31, 24 } }, hands[1].vertices:totable())
      assert.same({ 20, 15, 30, 24 }, hands[1].box)
      assert.same({ 60, 30, 70, 39 }, hands[2].box)
      assert.same({}, clip:hands(2))
      local small = clip:hands(1, { size = { W // 2, H // 2 } })
      assert.same({ (22 + 0.5) / 2 - 0.5, (15 + 0.5) / 2 - 0.5 }, small[1].vertices[1]:totable())
      support.raises("0 to 7, found 8", clip.hands, clip, 8)
      support.raises("found -1", clip.hands, clip, -1)
    end
    local bare = data:clip "a-b"
    assert.is_false(bare:has_hands())
    support.raises("hands_json/a-b.json", bare.hands, bare, 0)
  end)

  it("refuses landmark files of other kinds, in one line", function()
    for _, text in ipairs {
      "", "[]", "{}", '{"frames":3}', '{"frames":[[{"vertices":[]}]]}', '{"frames":[[3]]}',
      '{"frames":[[{"vertices":[[1,2],[3]]}]]}', '{"frames":[[{"vertices":[["a",2]]}]]}',
      '{"frames":[[{"vertices":[[1e9,2]]}]]}',
    } do
      local path, clip = support.write(at "hands_json/a-b.json", text), data:clip "a-b"
      support.raises(path, clip.hands, clip, 0)
    end
    os.remove(at "hands_json/a-b.json")
  end)

  it("refuses names and folders that are none", function()
    support.raises("clips/nope.mp4", data.clip, data, "nope")
    for _, name in ipairs { "../b", "", "/b", "b/", ".", "sub//c", "sub/../a" } do
      support.raises("expected the name of a clip", data.clip, data, name)
    end
    support.raises("found number", data.clip, data, 3)
    support.raises("found nothing", co.data, at "none")
    support.raises("found a file", co.data, at "clips/a.mp4")
    support.raises("clips/", co.data, at "clips")
    support.raises("path", co.data, nil)
  end)
end)

describe("an adapter", function()
  it("opens a layout of its own, with what it does not say taken from the house's", function()
    local adapters, native = require "cohesiv.data.adapters", require "cohesiv.data.folder"
    local clip, davis = require "cohesiv.data.clip", support.temp()
    core.io.make_folder(davis .. "/Walks/walk")
    for n = 0, 2 do
      co.image.write(("%s/Walks/walk/%05d.png"):format(davis, n), co.full(40 * n, 6, 8, 3, { dtype = "uint8" }))
    end
    support.raises("expected a data folder with clips/ in it", co.data, davis)
    table.insert(adapters, {
      fits = function(path) return core.io.status(path .. "/Walks") == "folder" end,
      open = function(path)
        return native.open(path, {
          list_clips = function(self) return core.io.list(self.path .. "/Walks") end,
          open_clip = function(self, name)
            local place = self.path .. "/Walks/" .. name
            return clip.new { name = name, path = place, root = self.path, data = self, hands_files = {},
              source = frames.source(place) }
          end,
        })
      end,
    })
    local other = co.data(davis)
    table.remove(adapters)
    assert.same({ "walk" }, other.clips)
    assert.same({}, other.annotated)
    assert.equal(3, other:clip("walk").frames)
    assert.equal(80, other:clip("walk"):frame(2)[1][1][1])
    assert.is_nil(other:queries "walk")
    support.raises("expected the name of a clip", other.clip, other, "../walk")
    assert.equal("data folder " .. davis, tostring(other))
  end)
end)

describe("scaling", function()
  it("keeps the aspect, rounds the content, pads right and below", function()
    local cases = {
      { 1280, 720, 448, 256, 448, 252 }, { 368, 480, 448, 256, 196, 256 }, { 448, 256, 448, 256, 448, 256 },
      { 10, 10, 448, 256, 256, 256 }, { 1000, 1, 448, 256, 448, 1 }, { 1, 1, 1, 1, 1, 1 },
    }
    for _, c in ipairs(cases) do
      local sc = scale.of(c[1], c[2], { c[3], c[4] })
      assert.same({ c[5], c[6], c[3], c[4] }, { sc.content_w, sc.content_h, sc.w, sc.h })
      assert.equal(math.min(c[3] / c[1], c[4] / c[2]), sc.s)
    end
    assert.same(scale.of(1280, 720, { 448, 256 }), scale.of(1280, 720))
    for _, size in ipairs { 3, {}, { 1 }, { 0, 5 }, { 1.5, 2 }, { 1 << 20, 2 }, "448x256" } do
      support.raises("size: expected {width, height}", scale.of, 10, 10, size)
    end
  end)

  it("puts pictures and points at the same place", function()
    local t = co.zeros(40, 60, 3, { dtype = "uint8" })
    t[{ { 21, 24 }, { 37, 40 }, {} }] = 255 -- centre (37.5, 21.5)
    for _, size in ipairs { { 30, 20 }, { 45, 30 }, { 120, 80 }, { 31, 100 } } do
      local sc = scale.of(60, 40, size)
      local out = scale.picture(t, sc)
      assert.same({ size[2], size[1], 3 }, out.shape)
      local sum, x_sum, y_sum = 0, 0, 0
      for y, row in ipairs(out:totable()) do
        for x, p in ipairs(row) do
          sum, x_sum, y_sum = sum + p[1], x_sum + p[1] * (x - 1), y_sum + p[1] * (y - 1)
        end
      end
      local where = scale.points(co.tensor { { 37.5, 21.5 } }, sc):totable()[1]
      assert.near(where[1], x_sum / sum, 0.02)
      assert.near(where[2], y_sum / sum, 0.02)
    end
  end)

  it("gives padded frames", function()
    local clip = co.data(root):clip "b"
    local t = clip:scaled(2, { size = { 48, 40 } })
    assert.same({ 40, 48, 3 }, t.shape)
    assert.equal(0, t[{ { 33, 40 }, {}, {} }]:to("float32"):max():item())
    assert.equal(0, support.difference(t[{ { 1, 32 }, {}, {} }], clip:scaled(2, { size = { 48, 40 }, padded = false })))
    support.raises("size", clip.scaled, clip, 2, { sice = { 1, 1 } })
  end)
end)

describe("flow", function()
  local data = co.data(root)

  it("takes the data folder's, in every format, at any resolution", function()
    local clip = data:clip "b"
    local full, half = constant_flow(2, 1, H, W), constant_flow(1, 0.5, H // 2, W // 2)
    local coded = co.zeros(H, W, 3)
    coded[{ {}, {}, 1 }], coded[{ {}, {}, 2 }], coded[{ {}, {}, 3 }] = 32768 + 128, 32768 + 64, 1
    local write = {
      flo = function(path) co.save(path, half) end,
      npy = function(path) co.save(path, full:to "float64") end,
      npz = function(path) co.save(path, { flow = full, other = co.zeros(1) }) end,
      png = function(path) co.image.write(path, coded:to "int32", { depth = 16 }) end,
    }
    for kind, save in pairs(write) do
      for _, gap in ipairs { -3, 1, 12 } do
        if gap < COUNT then
          local path = folder(("flow/b/%d"):format(gap)) .. "000004." .. kind
          save(path)
          local flow = clip:flow(4, gap, { size = { 48, 40 } })
          assert.same({ 40, 48, 2 }, flow.shape)
          assert.same({ 1, 0.5 }, flow[{ 1, 1 }]:totable(), kind)
          assert.same({ 1, 0.5 }, flow[{ 32, 48 }]:totable(), kind)
          assert.same({ 0, 0 }, flow[{ 33, 1 }]:totable(), kind)
          os.remove(path)
        end
      end
    end
    local path = folder "flow/b/1" .. "000004.npy"
    for _, wrong in ipairs { co.zeros(H, W), co.zeros(H, W, 3), co.zeros(H, H, 2), co.zeros(0, W, 2) } do
      co.save(path, wrong)
      support.raises(path, clip.flow, clip, 4, 1)
    end
    os.remove(path)
  end)

  it("is estimated where there is none, and kept", function()
    local clip = data:clip "a"
    local flow = clip:flow(3, 1, { size = { W, H } })
    local middle = flow[{ { 17, 48 }, { 25, 72 } }]
    assert.near(2, middle[{ {}, {}, 1 }]:mean():item(), 0.1)
    assert.near(1, middle[{ {}, {}, 2 }]:mean():item(), 0.1)
    local estimator, estimate = require "cohesiv.motion.flow", require("cohesiv.motion.flow").estimate
    estimator.estimate = function() error("estimated again", 0) end
    local again = data:clip("a"):flow(3, 1, { size = { W, H } })
    estimator.estimate = estimate
    assert.equal(0, support.difference(flow, again))
    assert.is_nil(core.io.status(at "flow/a"))
  end)

  it("and the person mask of a data folder are part of what identifies a frame's labels", function()
    local clip = data:clip "b"
    assert.equal("", clip:given_key(4))
    local paths = { folder "flow/b/1" .. "000004.npy", folder "person/b" .. "000004.png" }
    co.save(paths[1], co.zeros(H, W, 2))
    local with_flow = clip:given_key(4)
    assert.is_truthy(with_flow:find("flow/b/1/000004.npy", 1, true), with_flow)
    co.image.write(paths[2], co.zeros(H, W, { dtype = "uint8" }))
    assert.is_truthy(clip:given_key(4):find("person/b/000004.png", 1, true))
    assert.equal("", clip:given_key(5))
    for _, path in ipairs(paths) do os.remove(path) end
  end)

  it("refuses frames and gaps outside", function()
    local clip = data:clip "a"
    support.raises("0 to 7, found 9", clip.flow, clip, 7, 2)
    support.raises("0 to 7, found -1", clip.flow, clip, 1, -2)
    support.raises("other than 0", clip.flow, clip, 1, 0)
    support.raises("other than 0", clip.flow, clip, 1, 1.5)
    support.raises("method", clip.flow, clip, 1, 1, { method = "magic" })
    support.raises("truth/flow/a/1/000001", clip.flow, clip, 1, 1, { method = "truth" })
    support.raises("temperature", clip.flow, clip, 1, 1, { temperature = 2 })
  end)
end)

describe("person", function()
  it("takes the data folder's masks, else makes them", function()
    local clip = co.data(root):clip "b"
    local mask = co.zeros(H, W, { dtype = "uint8" })
    mask[{ {}, { 1, 48 } }] = 255
    co.image.write(folder "person/b" .. "000002.png", mask)
    local person = clip:person(2, { size = { 48, 40 } })
    assert.same({ "uint8", 40, 48 }, { person.dtype, person.shape[1], person.shape[2] })
    assert.same({ 1, 1, 0, 0 }, { person[{ 1, 1 }], person[{ 32, 24 }], person[{ 1, 25 }], person[{ 33, 1 }] })
    co.image.write(at "person/b/000003.png", co.zeros(3, 3, { dtype = "uint8" }))
    support.raises("96x64", clip.person, clip, 3)
    support.raises("truth/person/b/000002", clip.person, clip, 2, { source = "truth" })
    support.raises("auto, network, skin or truth", clip.person, clip, 2, { source = "magic" })
    local made = clip:person(4, { size = { 48, 40 } })
    assert.same({ 40, 48 }, made.shape)
    local values = made:to "float32"
    assert.is_true(values:max():item() <= 1)
    assert.equal(0, values[{ { 33, 40 }, {} }]:max():item())
    assert.equal(0, support.difference(made, co.data(root):clip("b"):person(4, { size = { 48, 40 } })))
  end)
end)

describe("masks", function()
  local data = co.data(root)
  local one = co.zeros(H, W, { dtype = "uint8" })
  one[{ { 1, 9 }, { 3, 3 } }] = 1
  folder "masks/b"
  folder "masks/a"
  json.write(at "masks/b/queries.json", {
    width = W, height = H,
    frames = {
      ["10"] = { { side = "left", query = { 5, 6 }, object = json.null } },
      ["4"] = { { side = "right", query = { 1, 2 }, object = "cup" }, { query = { 3.5, 4 } } },
    },
  })
  for _, name in ipairs { "000004_hand1", "000004_object1", "000004_hand2", "000004_arm2", "000010_hand1" } do
    co.image.write(at(("masks/b/%s.png"):format(name)), one, { depth = 1 })
  end

  it("come with their queries, by frame", function()
    assert.is_nil(data:queries "a")
    assert.same({ "b" }, data.annotated)
    local list = data:queries "b"
    assert.same({ 4, 10 }, { list[1].n, list[2].n })
    assert.same({ 1, 2, index = 1, side = "right", object = "cup" }, list[1].queries[1])
    assert.same({ 3.5, 4, index = 2 }, list[1].queries[2])
    assert.same({ 5, 6, index = 1, side = "left" }, data:queries(data:clip "b")[2].queries[1])
    local masks = data:masks("b", 4)
    assert.equal(0, support.difference(one, masks.hand[1]))
    assert.same({ true, false }, { masks.object[1] ~= nil, masks.object[2] ~= nil })
    assert.same({ false, true }, { masks.arm[1] ~= nil, masks.arm[2] ~= nil })
    assert.equal(9, data:mask("b", 10, "hand", 1):to("float32"):sum():item())
    assert.same({ hand = {}, object = {}, arm = {} }, data:masks("b", 5))
    support.raises("expected the name", data.queries, data, "../b")
  end)

  it("are refused when they are of another kind", function()
    for _, text in ipairs {
      "{}", "[1]", "{", '{"frames":{"x":[]}}', '{"frames":{"4":3}}', '{"frames":{"4":[{"query":[1]}]}}',
      '{"frames":[[]]}',
    } do
      local path = support.write(at "masks/a/queries.json", text)
      support.raises(path, data.queries, data, "a")
    end
    os.remove(at "masks/a/queries.json")
  end)
end)

describe("lone clip", function()
  it("finds its landmarks by the rule", function()
    local lone = support.temp()
    os.execute(("cp %s %s"):format(support.quote(at "clips/a.mp4"), support.quote(lone .. "/x.mp4")))
    local clip = co.clip(lone .. "/x.mp4")
    assert.equal(COUNT, clip.frames)
    support.raises("{ hands = FILE }", clip.hands, clip, 0)
    json.write(lone .. "/x.json", landmarks(1))
    assert.equal(20, co.clip(lone .. "/x.mp4"):hands(0)[1].vertices[{ 1, 1 }])
    assert.equal(20, co.clip(at "clips/a.mp4"):hands(0)[1].vertices[{ 1, 1 }])
    json.write(lone .. "/other.json", { frames = { { { vertices = { { 7, 8 } } } } } })
    assert.equal(7, co.clip(lone .. "/x.mp4", { hands = lone .. "/other.json" }):hands(0)[1].vertices[{ 1, 1 }])
    local wrong = co.clip(lone .. "/x.mp4", { hands = lone .. "/none.json" })
    support.raises("none.json", wrong.hands, wrong, 0)
    support.raises("hand", co.clip, lone .. "/x.mp4", { hand = "x" })
    support.raises("found nothing", co.clip, lone .. "/y.mp4")
  end)
end)

describe("cache", function()
  local function make(value) return function() return co.full(value, 2, 3) end end

  it("keeps what was made, by kind and key", function()
    assert.equal(1, cache.get("t", "key 1", make(1))[{ 1, 1 }])
    assert.equal(1, cache.get("t", "key 1", make(2))[{ 1, 1 }])
    assert.equal(3, cache.get("t", "key 2", make(3))[{ 1, 1 }])
    assert.equal(4, cache.get("u", "key 1", make(4))[{ 1, 1 }])
    assert.is_nil(cache.find("t", "key 3"))
    assert.equal(5, cache.get("t", ("long"):rep(3000), make(5))[{ 1, 1 }])
    assert.equal(5, cache.find("t", ("long"):rep(3000))[{ 1, 1 }])
  end)

  it("rounds flow to 1/64 from the first use on", function()
    local flow = co.tensor { { { 0.5 + 1 / 200, -1 / 64 }, { 1e6, -1e6 } } }
    local first = cache.get("flow", "f", function() return flow:clone() end, true)
    local second = cache.get("flow", "f", error, true)
    assert.same(first:totable(), second:totable())
    assert.same({ { { 0.5, -1 / 64 }, { 32767 / 64, -32767 / 64 } } }, second:totable())
    assert.is_true(#support.read(cache.path("flow", "f")) < 60)
  end)

  it("makes damaged and foreign entries again", function()
    local path, place = cache.path("t", "damaged")
    cache.get("t", "damaged", make(1))
    local bytes = support.read(path)
    for n = 0, #bytes - 1, 5 do
      support.write(path, bytes:sub(1, n))
      assert.equal(7, cache.get("t", "damaged", make(7))[{ 1, 1 }])
    end
    for i = 1, #bytes, 3 do
      support.write(path, bytes:sub(1, i - 1) .. string.char(bytes:byte(i) ~ 0x40) .. bytes:sub(i + 1))
      assert.equal(8, cache.get("t", "damaged", make(8))[{ 1, 1 }])
    end
    cache.store("t", "another", co.zeros(1))
    support.write(path, support.read(cache.path("t", "another")))
    assert.equal(9, cache.get("t", "damaged", make(9))[{ 1, 1 }])
    assert.same({ path:match "[^/]+$" }, support.list(place))
  end)

  it("raises what make raises, and stores nothing", function()
    support.raises("no luck", cache.get, "t", "unlucky", function() error("no luck", 0) end)
    assert.is_nil(cache.find("t", "unlucky"))
  end)

  it("says where it cannot write", function()
    support.write(caches .. "/file", "")
    core.system.setenv("COHESIV_CACHE", caches .. "/file")
    local ok, message = pcall(cache.get, "t", "k", make(1))
    core.system.setenv("COHESIV_CACHE", caches)
    assert.is_false(ok)
    assert.is_truthy(message:find("file/t", 1, true), message)
  end)

  it("notices that a file has changed", function()
    local own = support.temp()
    for n = 0, 1 do co.image.write(("%s/%06d.png"):format(own, n), pictures[n]) end
    local before = co.clip(own):flow(0, 1, { size = { W, H } })
    co.image.write(own .. "/000001.png", pictures[3])
    local after = co.clip(own):flow(0, 1, { size = { W, H } })
    assert.is_true(support.difference(before, after) > 0.5)
  end)
end)

support.data_it("the real data folder is read as its README says", function()
  local data = co.data(support.data)
  assert.same({ 43, 36 }, { #data.clips, #data.annotated })
  local hands, objects, shown = 0, 0, 0
  for _, name in ipairs(data.annotated) do
    for _, frame in ipairs(data:queries(name)) do
      shown = shown + 1
      local masks = data:masks(name, frame.n)
      for k, query in ipairs(frame.queries) do
        hands = hands + 1
        objects = objects + (masks.object[k] and 1 or 0)
        assert.same({ frame.height, frame.width }, masks.hand[k].shape)
        assert.equal(1, masks.hand[k][{ math.floor(query[2]) + 1, math.floor(query[1]) + 1 }], name)
        assert.equal(query.object ~= nil, masks.object[k] ~= nil, name)
      end
    end
  end
  assert.same({ 42, 60, 55 }, { shown, hands, objects })
  assert.same({ 480, 640 }, image.mask(("%s/masks/hrt1_lid/000028_hand1.png"):format(support.data)).shape)
end)
