-- Files in and out: every format against files put together here byte by byte, round trips, and damage of all kinds:
-- cut short anywhere, bytes flipped, headers that lie, wrong kinds, nothing, folders. A reader may refuse with one
-- line; it may never crash, hang or leave half a file behind.
local core = require "cohesiv.core"
local co = require "cohesiv"
local make = require "tests.files"
local support = require "tests.support"

local io_ = core.io
local folder = support.temp()
local function at(name) return folder .. "/" .. name end
local function put(name, bytes) return support.write(at(name), bytes) end

-- A tensor of given dtype and shape with different values, exact in every dtype.
local function sample(dtype, ...)
  local shape, n = { ... }, 1
  for _, s in ipairs(shape) do n = n * s end
  local list = {}
  for i = 1, n do list[i] = (i * 37) % 251 - (dtype == "uint8" and 0 or 100) end
  if n == 0 then return co.zeros(shape, { dtype = dtype }) end
  return co.tensor(list, { dtype = dtype }):reshape(shape)
end

local function same(a, b)
  assert.equal(a.dtype, b.dtype)
  assert.same(a.shape, b.shape)
  assert.same(a:totable(), b:totable())
end

describe("npy", function()
  for _, dtype in ipairs { "float32", "float64", "uint8", "int32", "int64", "float16" } do
    it("keeps " .. dtype, function()
      for _, shape in ipairs { { 5 }, { 3, 4 }, { 1, 1, 1 }, { 0 }, { 3, 0, 2 }, { 2, 1, 2, 1, 2, 1, 2, 1 } } do
        local t = sample(dtype == "float16" and "float32" or dtype, table.unpack(shape)):to(dtype)
        co.save(at "a.npy", t)
        local back = co.load(at "a.npy")
        assert.equal(dtype, back.dtype)
        same(t:to "float64", back:to "float64")
      end
    end)
  end

  it("keeps a scalar", function()
    put("s.npy", make.npy("<f8", "()", string.pack("<d", 1 / 3)))
    assert.equal(1 / 3, co.load(at "s.npy"):item())
    assert.same({}, co.load(at "s.npy").shape)
  end)

  it("widens what has no dtype of its own, in both byte orders", function()
    local cases = {
      { "|i1", "int32", "bbb", -128, 0, 127 }, { "<i2", "int32", "<hhh", -32768, 1, 32767 },
      { ">i2", "int32", ">hhh", -32768, 1, 32767 }, { "<u2", "int32", "<HHH", 0, 1, 65535 },
      { ">u4", "int64", ">I4I4I4", 0, 1, 4294967295 }, { "|b1", "uint8", "BBB", 0, 1, 1 },
      { ">f4", "float32", ">fff", 0.5, -2, 3 }, { ">f8", "float64", ">ddd", 0.1, -2, 3 },
      { ">i8", "int64", ">i8i8i8", 1 << 62, -1, 3 }, { "<f2", "float16", "<HHH", 0x3C00, 0xC000, 0x3800 },
    }
    for _, case in ipairs(cases) do
      put("w.npy", make.npy(case[1], "(3,)", string.pack(case[3], case[4], case[5], case[6])))
      local t = co.load(at "w.npy")
      assert.equal(case[2], t.dtype)
      local wanted = { case[4], case[5], case[6] }
      if case[1] == "<f2" then wanted = { 1, -2, 0.5 } end
      if case[2] == "float32" then assert.same(wanted, t:totable()) end
      for i = 1, 3 do assert.equal(wanted[i], t:totable()[i]) end
    end
  end)

  it("reads Fortran order, versions 2 and 3, and any order of the header", function()
    local data = string.pack("<i4i4i4i4i4i4", 1, 4, 2, 5, 3, 6)
    put("f.npy", make.npy("<i4", "(2, 3)", data, { fortran = true }))
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, co.load(at "f.npy"):totable())
    local cube = {}
    for k = 0, 3 do
      for j = 0, 2 do
        for i = 0, 1 do cube[#cube + 1] = string.pack("<i4", 100 * i + 10 * j + k) end
      end
    end
    put("f3.npy", make.npy("<i4", "(2, 3, 4)", table.concat(cube), { fortran = true }))
    assert.equal(123 - 10, co.load(at "f3.npy")[{ 2, 2, 4 }])
    for version = 2, 3 do
      put("v.npy", make.npy("<i4", "(6,)", data, { version = version }))
      assert.same({ 1, 4, 2, 5, 3, 6 }, co.load(at "v.npy"):totable())
    end
    put("o.npy", make.npy(nil, nil, data, { header = '{"shape": (6,), "fortran_order": False, "descr": "<i4"}\n' }))
    assert.equal(6, #co.load(at "o.npy"))
  end)

  it("refuses what it cannot hold, by name", function()
    for _, descr in ipairs { "<c8", "<u8", "|O", "<U5", "|S3", "<f16" } do
      put("r.npy", make.npy(descr, "(1,)", ("\0"):rep(16)))
      support.raises(descr, co.load, at "r.npy")
    end
    local structured = "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,)}"
    put("r.npy", make.npy(nil, nil, "", { header = structured }))
    support.raises("dtype", co.load, at "r.npy")
    put("r.npy", make.npy("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)", "1234"))
    support.raises("8 dimensions", co.load, at "r.npy")
    support.raises("bfloat16", co.save, at "b.npy", sample("float32", 2):to "bfloat16")
  end)

  it("refuses claims that the file does not bear out", function()
    for _, shape in ipairs { "(1000000000000,)", "(4294967296, 4294967296)", "(9223372036854775807, 3)", "(3,)",
      "(99999999999999999999,)", "(-1,)", "(2", "2", "(2,,)", "(2 2)", "" } do
      put("c.npy", make.npy("<f4", shape, "12345678"))
      support.raises(at "c.npy", co.load, at "c.npy")
    end
    put("h.npy", "\x93NUMPY\2\0" .. string.pack("<I4", 1 << 31) .. "x")
    support.raises("header", co.load, at "h.npy")
  end)
end)

describe("npz", function()
  it("keeps arrays by name, deflated and stored", function()
    local all = { a = sample("float32", 4, 5), ["odd/ name"] = sample("int64", 3), none = sample("uint8", 0, 2) }
    co.save(at "a.npz", all)
    io_.npz_write(at "s.npz", all, 0)
    for _, name in ipairs { "a.npz", "s.npz" } do
      local back = co.load(at(name))
      for key, t in pairs(all) do same(t, back[key]) end
    end
    co.save(at "big.npz", { z = co.zeros(1000, 1000) })
    assert.is_true(#support.read(at "big.npz") < 40000)
    same(co.zeros(1000, 1000), co.load(at "big.npz").z)
    co.save(at "e.npz", {})
    assert.is_nil(next(co.load(at "e.npz")))
  end)

  it("reads zip64 sizes, comments, data descriptors, and passes over other entries", function()
    local npy = make.npy("<i4", "(2,)", string.pack("<i4i4", 7, 8))
    for _, options in ipairs { {}, { zip64 = true }, { comment = "PK\5\6 not this one" }, { descriptor = true } } do
      put("z.npz", make.zip({ { "a.npy", npy }, { "readme.txt", "hello" } }, options))
      local back = co.load(at "z.npz")
      assert.same({ 7, 8 }, back.a:totable())
      assert.is_nil(back.readme)
    end
  end)

  it("refuses wrong checksums, other methods, encryption, bombs", function()
    local npy = make.npy("<i4", "(2,)", string.pack("<i4i4", 7, 8))
    local function zip(options) return put("z.npz", make.zip({ { "a.npy", npy } }, options)) end
    support.raises("checksum", co.load, zip { crc = 1 })
    support.raises("method 12", co.load, zip { method = 12 })
    support.raises("encrypted", co.load, zip { flags = 1 })
    support.raises("size", co.load, zip { size = 1 << 31 })
    support.raises("size", co.load, zip { size = 1 << 31, method = 8 })
    local same_place = {}
    for i = 1, 50 do same_place[i] = { ("a%d.npy"):format(i), npy } end
    support.raises("overlap", co.load, put("o.npz", make.zip(same_place, { overlap = true })))
  end)
end)

describe("flo", function()
  it("keeps a flow", function()
    local flow = sample("float32", 3, 5, 2)
    co.flow.write(at "f.flo", flow)
    same(flow, co.flow.read(at "f.flo"))
    same(flow, co.load(at "f.flo"))
    assert.equal("PIEH", support.read(at "f.flo"):sub(1, 4))
    support.raises("HxWx2", co.save, at "g.flo", sample("float32", 3, 5))
    support.raises("HxWx2", co.save, at "g.flo", sample("float64", 3, 5, 2))
    assert.is_nil(io_.status(at "g.flo"))
  end)

  it("refuses sizes that do not fit", function()
    for _, size in ipairs { { 5, 4 }, { -1, -1 }, { 0, 0 }, { 2147483647, 2147483647 }, { 1 << 30, 1 << 30 } } do
      put("x.flo", string.pack("<fi4i4", 202021.25, size[1], size[2]) .. ("\0"):rep(120))
      support.raises("x.flo", co.load, at "x.flo")
    end
  end)

  it("reads KITTI's PNG", function()
    local image = co.tensor { { { 32768 + 64, 32768 - 32, 1 }, { 5, 6, 0 } } }:to "int32"
    co.image.write(at "k.png", image, { depth = 16 })
    local flow, valid = io_.flow_png_read(at "k.png")
    assert.same({ { { 1, -0.5 }, { 0, 0 } } }, flow:totable())
    assert.same({ { 1, 0 } }, valid:totable())
  end)
end)

describe("safetensors", function()
  local all = {
    ["a.weight"] = sample("float32", 2, 3), b = sample("float64", 3), c = sample("uint8", 5), d = sample("int32", 1),
    e = sample("int64", 2, 2), ["quote\"\\\n"] = sample("float32", 0),
  }

  it("keeps tensors and metadata", function()
    all.f = sample("float32", 3):to "bfloat16"
    all.g = sample("float32", 3):to "float16"
    co.save(at "a.safetensors", all, { format = "pt", ["ü\""] = "a\tb" })
    local back, notes = co.load(at "a.safetensors")
    for name, t in pairs(all) do
      assert.equal(t.dtype, back[name].dtype)
      same(t:to "float64", back[name]:to "float64")
    end
    assert.same({ format = "pt", ["ü\""] = "a\tb" }, notes)
    co.save(at "e.safetensors", {})
    assert.is_nil(next((co.load(at "e.safetensors"))))
  end)

  it("writes data that are aligned to their elements", function()
    co.save(at "a.safetensors", { a = sample("uint8", 3), b = sample("float64", 2), c = sample("float32", 1) })
    local bytes = support.read(at "a.safetensors")
    local header = bytes:sub(9, 8 + string.unpack("<i8", bytes))
    assert.equal(0, #header % 8)
    assert.is_truthy(header:find('"b":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}', 1, true))
    assert.is_truthy(header:find('"c":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}', 1, true))
  end)

  local function file(header, data, length)
    return put("x.safetensors", string.pack("<i8", length or #header) .. header .. (data or ""))
  end
  local function one(name, dtype, shape, a, b)
    return ('"%s":{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}'):format(name, dtype, shape, a, b)
  end

  it("reads what others write", function()
    local header = '{ "__metadata__" : {"k\\u00e9\\ud83d\\ude00":"\\/v"}, "x":{"shape":[2] ,"data_offsets":[0,8],'
      .. '"dtype":"F32"} }  '
    local t, notes = co.load(file(header, string.pack("<ff", 1, 2)))
    assert.same({ 1, 2 }, t.x:totable())
    assert.same({ ["ké😀"] = "/v" }, notes)
  end)

  it("refuses hostile headers", function()
    local cases = {
      { "{}", "", 1 << 60 }, { "{}", "", -1 }, { "{}", "", 3 }, { "", "", 0 }, { "{", "" }, { "[]", "" }, { "{}x", "" },
      { "{}", "abcd" }, -- data that nobody claims
      { "{" .. one("a", "F32", "[1]", 0, 4) .. "}", "abc" }, -- beyond the end
      { "{" .. one("a", "F32", "[1]", 4, 8) .. "}", "abcdefgh" }, -- a hole
      { "{" .. one("a", "F32", "[1]", 0, 4) .. "," .. one("b", "F32", "[1]", 0, 4) .. "}", "abcd" }, -- overlapping
      { "{" .. one("a", "F32", "[1]", 0, 4) .. "," .. one("a", "F32", "[1]", 4, 8) .. "}", "abcdefgh" }, -- twice
      { "{" .. one("a", "F32", "[2]", 0, 4) .. "}", "abcd" }, { "{" .. one("a", "Q4", "[1]", 0, 4) .. "}", "abcd" },
      { "{" .. one("a", "F32", "[4611686018427387904,4]", 0, 4) .. "}", "abcd" },
      { "{" .. one("a", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) .. "}", "abcd" },
      { "{" .. one("a", "F32", "[-1]", 0, 4) .. "}", "abcd" }, { "{" .. one("a", "F32", "[1.0]", 0, 4) .. "}", "abcd" },
      { '{"a":{"dtype":"F32","shape":[1]}}', "abcd" }, { '{"a":{"dtype":"F32"', "abcd" },
      { '{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', "abcd" },
      { '{"\\ud800":{}}', "" }, { '{"\\u0000":{}}', "" }, { '{"\\x":{}}', "" }, { '{"a\n":{}}', "" },
      { '{"__metadata__":{"a":1}}', "" },
      { "{" .. one("a", "F32", "[99999999999999999999999]", 0, 4) .. "}", "abcd" },
      { "{" .. one("a", "F32", "[4611686018427387900]", 0, 4) .. "}", "abcd", nil, "a number below 2^62" },
      { "{" .. one("a", "F32", "[4611686018427387899]", 0, 4) .. "}", "abcd", nil, "4611686018427387899" },
    }
    for i, case in ipairs(cases) do
      local ok, message = pcall(co.load, file(case[1], case[2], case[3]))
      assert.is_false(ok, "case " .. i)
      assert.is_truthy(message:find("x.safetensors", 1, true) and not message:find "\n", message)
      if case[4] then assert.is_truthy(message:find(case[4], 1, true), message) end
    end
  end)
end)

describe("png", function()
  it("keeps colour, grey, masks and 16 bits", function()
    for _, size in ipairs { { 1, 1 }, { 3, 7 }, { 5, 8 }, { 17, 9 } } do
      local h, w = size[1], size[2]
      local rgb, grey = sample("uint8", h, w, 3), sample("uint8", h, w)
      co.image.write(at "c.png", rgb)
      same(rgb, co.image.read(at "c.png"))
      same(rgb, co.load(at "c.png"))
      for _, flat in ipairs { grey, grey:reshape { h, w, 1 } } do
        co.image.write(at "g.png", flat)
        local back = co.image.read(at "g.png")
        assert.same({ h, w, 3 }, back.shape)
        for c = 1, 3 do same(grey, back[{ {}, {}, c }]) end
      end
      local mask = (grey:to "float32"):clamp(100, 101) - 100
      mask = mask:to "uint8"
      co.image.write(at "m.png", mask, { depth = 1 })
      same(mask, require("cohesiv.tensor.image").mask(at "m.png"))
      assert.equal(1, support.read(at "m.png"):byte(25)) -- the bit depth in the file
      same((mask:to "float32" * 255):to "uint8", co.image.read(at "m.png")[{ {}, {}, 2 }])
      local deep = (sample("float32", h, w, 3) * 200 + 32768):to "int32"
      co.image.write(at "d.png", deep, { depth = 16 })
      same(deep, co.image.read(at "d.png", { depth = 16 }))
      assert.equal(257 * rgb[{ 1, 1, 1 }], co.image.read(at "c.png", { depth = 16 })[{ 1, 1, 1 }])
    end
    assert.equal(support.read(at "c.png"), io_.png_bytes(co.image.read(at "c.png")))
  end)

  it("reads every colour type, depth and interlacing", function()
    local depths = { [0] = { 1, 2, 4, 8, 16 }, [2] = { 8, 16 }, [3] = { 1, 2, 4, 8 }, [4] = { 8, 16 }, [6] = { 8, 16 } }
    for colour, list in pairs(depths) do
      for _, depth in ipairs(list) do
        for _, interlaced in ipairs { false, true } do
          local bytes, wanted =
            make.png { width = 11, height = 9, colour = colour, depth = depth, interlaced = interlaced }
          put("t.png", bytes)
          local what = ("colour %d depth %d %s"):format(colour, depth, interlaced)
          assert.same(wanted, co.image.read(at "t.png"):totable(), what)
        end
      end
    end
  end)

  it("refuses what it cannot write, and leaves no file", function()
    support.raises("uint8", co.image.write, at "no.png", sample("float32", 2, 2))
    support.raises("HxW", co.image.write, at "no.png", sample("uint8", 2, 2, 4))
    support.raises("HxW", co.image.write, at "no.png", sample("uint8", 2))
    support.raises("1 to", co.image.write, at "no.png", sample("uint8", 0, 2))
    support.raises("65535", co.image.write, at "no.png", sample("int32", 2, 2))
    support.raises("depth", co.image.write, at "no.png", sample("uint8", 2, 2), { depth = 4 })
    support.raises(".png", co.image.write, at "no.bmp", sample("uint8", 2, 2))
    support.raises("folder", co.image.write, at "none/no.png", sample("uint8", 2, 2))
    support.raises("a folder", io_.png_write, folder, sample("uint8", 2, 2))
    assert.is_nil(io_.status(at "no.png"))
  end)

  it("refuses huge claims before it takes memory", function()
    put("h.png", make.png_header(100000, 100000, 8, 2))
    support.raises("pixels", co.image.read, at "h.png")
    put("h.png", make.png_header(16000, 16000, 8, 2))
    support.raises("too few", co.image.read, at "h.png")
    put("h.png", make.png_header(0, 5, 8, 2))
    support.raises("h.png", co.image.read, at "h.png")
  end)
end)

describe("jpeg", function()
  it("is written at any size, grey and in colours, near what was given", function()
    for _, size in ipairs { { 1, 1 }, { 3, 7 }, { 64, 48 }, { 200, 150 } } do
      local h, w = size[1], size[2]
      local ramp = (co.arange(h * w) * (200 / (h * w)) + 20):reshape { h, w, 1 }
      local grey = ramp:to "uint8"
      local rgb = co.cat({ ramp, ramp * 0 + 90, 240 - ramp }, 3):to "uint8"
      co.save(at "w.jpg", rgb)
      assert.is_true(support.difference(rgb, co.load(at "w.jpg")) <= 8)
      for _, flat in ipairs { grey, grey:reshape { h, w } } do
        co.image.write(at "w.JPEG", flat)
        local back = co.image.read(at "w.JPEG")
        assert.same({ h, w, 3 }, back.shape)
        assert.is_true(support.difference(grey:expand { h, w, 3 }, back) <= 6)
      end
    end
    assert.equal(co.image.jpeg(co.load(at "w.jpg")), io_.jpeg_bytes(co.load(at "w.jpg"), 90))
    local noise = sample("uint8", 300, 200, 3) -- more than a buffer of the writer's
    local sizes = {}
    for i, quality in ipairs { 1, 50, 89, 90, 100 } do
      sizes[i] = #co.image.jpeg(noise, { quality = quality })
      assert.is_true(i == 1 or sizes[i] > sizes[i - 1])
    end
    put("n.jpg", co.image.jpeg(noise, { quality = 100 }))
    assert.is_true((co.load(at "n.jpg"):to "float32" - noise:to "float32"):abs():mean():item() < 1)
  end)

  it("refuses what it cannot write, and leaves no file", function()
    support.raises("uint8", co.image.write, at "no.jpg", sample("float32", 2, 2))
    support.raises("HxW", co.image.write, at "no.jpg", sample("uint8", 2, 2, 4))
    support.raises("HxW", co.image.write, at "no.jpg", sample("uint8", 2))
    support.raises("sides of 1 to 65500", co.image.write, at "no.jpg", sample("uint8", 0, 2))
    support.raises("sides of 1 to 65500", co.image.write, at "no.jpg", sample("uint8", 1, 65501))
    support.raises("1 to 100", co.image.write, at "no.jpg", sample("uint8", 2, 2), { quality = 101 })
    support.raises("depth", co.image.write, at "no.jpg", sample("uint8", 2, 2), { depth = 8 })
    support.raises("quality", co.image.write, at "no.png", sample("uint8", 2, 2), { quality = 8 })
    support.raises("folder", co.image.write, at "none/no.jpg", sample("uint8", 2, 2))
    assert.is_nil(io_.status(at "no.jpg"))
  end)

  -- A 16×8 picture, red left and blue right, dark at the top.
  local picture = co.zeros(8, 16, 3, { dtype = "uint8" })
  for y = 1, 8 do
    for x = 1, 16 do picture[{ y, x, x <= 8 and 1 or 3 }] = y <= 4 and 80 or 240 end
  end
  co.image.write(at "j.png", picture)
  local made = support.run {
    "ffmpeg", "-v", "error", "-y", "-i", at "j.png", "-q:v", "1", "-pix_fmt", "yuvj444p", at "j.jpg",
  }
  assert(made.status == 0, made.stderr)
  local bytes = support.read(at "j.jpg")

  it("reads colours to a few grey levels", function()
    local back = co.image.read(at "j.jpg")
    assert.is_true(support.difference(back, picture) <= 12)
  end)

  it("turns as EXIF says", function()
    local o = picture:totable()
    local function turned(w, h, from)
      local t = {}
      for y = 1, h do
        t[y] = {}
        for x = 1, w do t[y][x] = from(x, y) end
      end
      return co.tensor(t, { dtype = "uint8" })
    end
    local wanted = {
      picture,
      turned(16, 8, function(x, y) return o[y][17 - x] end),
      turned(16, 8, function(x, y) return o[9 - y][17 - x] end),
      turned(16, 8, function(x, y) return o[9 - y][x] end),
      turned(8, 16, function(x, y) return o[x][y] end),
      turned(8, 16, function(x, y) return o[9 - x][y] end),
      turned(8, 16, function(x, y) return o[9 - x][17 - y] end),
      turned(8, 16, function(x, y) return o[x][17 - y] end),
    }
    for orientation = 1, 8 do
      for _, big in ipairs { true, false } do
        put("o.jpg", make.oriented(bytes, orientation, big))
        local d = support.difference(co.image.read(at "o.jpg"), wanted[orientation])
        assert.is_true(d <= 12, "orientation " .. orientation)
      end
    end
    put("o.jpg", make.oriented(bytes, 77, true))
    assert.same({ 8, 16, 3 }, co.image.read(at "o.jpg").shape)
  end)

  it("refuses CMYK, and data that a viewer would make up", function()
    put("k.jpg", make.jpeg_header(8, 8, 4))
    support.raises("CMYK", co.image.read, at "k.jpg")
    put("k.jpg", make.jpeg_header(65500, 65500, 3))
    support.raises("pixels", co.image.read, at "k.jpg")
    put("k.jpg", bytes:sub(1, #bytes - 40))
    support.raises("k.jpg", co.image.read, at "k.jpg")
  end)
end)

describe("damage", function()
  local samples = {}
  local t = sample("float32", 6, 5, 2)
  co.save(at "d.npy", t)
  co.save(at "d.npz", { a = t, b = sample("uint8", 40) })
  co.save(at "d.flo", t)
  co.save(at "d.safetensors", { a = t, b = sample("int64", 3) }, { k = "v" })
  co.image.write(at "d.png", sample("uint8", 9, 13, 3))
  co.image.write(at "e.png", sample("uint8", 20, 13), { depth = 1 })
  put("i.png", (make.png { width = 7, height = 5, colour = 3, depth = 4, interlaced = true }))
  io_.pack_write(at "d.pack", "key", t)
  support.run {
    "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=size=40x32", "-frames:v", "1", at "d.jpg",
  }
  local names = { "d.npy", "d.npz", "d.flo", "d.safetensors", "d.png", "e.png", "i.png", "d.jpg", "d.pack" }
  for _, name in ipairs(names) do
    local read = name:match "pack" and function(path) return io_.pack_read(path, "key") end or co.load
    samples[#samples + 1] = { name = name, read = read, bytes = support.read(at(name)) }
  end

  -- Reads damaged bytes: success or one line that names the file. → whether it was read
  local function try(s, bytes)
    local path = put("damaged" .. s.name:match "%.%w+$", bytes)
    local ok, message = pcall(s.read, path)
    if not ok then
      assert.equal("string", type(message))
      assert.is_nil(message:find "\n", message)
      assert.is_truthy(message:find(path, 1, true), message)
    end
    return ok
  end

  for _, s in ipairs(samples) do
    it("cut short anywhere is refused: " .. s.name, function()
      support.no_leak(function()
        local step = math.max(1, #s.bytes // (support.small and 40 or 400))
        for n = 0, #s.bytes - 1, step do
          local whole = s.name == "d.jpg" and n >= #s.bytes - 2 -- only the end marker is missing
          if not whole then assert.is_false(try(s, s.bytes:sub(1, n)), ("%d of %d bytes"):format(n, #s.bytes)) end
        end
      end)
    end)

    it("flipped bytes never crash: " .. s.name, function()
      local random = make.random(7)
      support.no_leak(function()
        for _ = 1, support.small and 60 or 200 do
          local bytes = s.bytes
          for _ = 1, random(3) do
            local i = random(random(2) == 1 and math.min(#bytes, 200) or #bytes)
            bytes = bytes:sub(1, i - 1) .. string.char(random(256) - 1) .. bytes:sub(i + 1)
          end
          try(s, bytes)
        end
      end)
    end)

    it("wrong kinds, nothing and folders are refused: " .. s.name, function()
      for _, other in ipairs(samples) do
        if other.name:match "%w+$" ~= s.name:match "%w+$" then assert.is_false(try(s, other.bytes), other.name) end
      end
      assert.is_false(try(s, ""))
      assert.is_false(try(s, ("\0"):rep(100)))
      local kind = s.name:match "%.%w+$"
      support.raises("No such file", s.read, at("missing" .. kind))
      io_.make_folder(at("folder" .. kind))
      support.raises("expected a file, found a folder", s.read, at("folder" .. kind))
    end)
  end

  it("a pipe is refused at once", function()
    os.execute("mkfifo " .. support.quote(at "pipe.npy"))
    support.raises("a pipe", co.load, at "pipe.npy")
    support.raises("a pipe", co.save, at "pipe.npy", t)
  end)

  it("names and arguments of other kinds are refused", function()
    support.raises("expected a path", co.load, 3)
    support.raises(".npz", co.load, "x.txt")
    support.raises("zero byte", io_.npy_read, "a\0b.npy")
    support.raises("tensor", co.save, at "t.npy", 3)
    support.raises("table", co.save, at "t.npz", t)
    support.raises("tensor", co.save, at "t.npz", { a = 1 })
  end)
end)

describe("writing", function()
  it("replaces a file whole, keeps links, leaves nothing behind", function()
    local own = support.temp()
    co.save(own .. "/a.npy", sample("float32", 3))
    os.execute(("ln -s a.npy %s/link.npy"):format(support.quote(own)))
    co.save(own .. "/link.npy", sample("float32", 5))
    assert.equal(5, #co.load(own .. "/a.npy"))
    assert.same({ "a.npy", "link.npy" }, support.list(own))
    support.raises("bfloat16", co.save, own .. "/a.npy", sample("float32", 2):to "bfloat16")
    support.raises("bfloat16", co.save, own .. "/b.npz", { x = sample("float32", 2):to "bfloat16" })
    assert.equal(5, #co.load(own .. "/a.npy"))
    assert.same({ "a.npy", "link.npy" }, support.list(own))
  end)

  it("refuses devices", function()
    support.raises("a device", io_.write_file, "/dev/null", "x")
    assert.equal("other", io_.status "/dev/null")
  end)

  it("write_file and read_file keep bytes and honour limits", function()
    local bytes = ("a\0b\n"):rep(50000)
    io_.write_file(at "w", bytes)
    assert.equal(bytes, io_.read_file(at "w"))
    support.raises("at most 10 bytes", io_.read_file, at "w", 10)
    io_.write_file(at "w", "x") -- a write may end before the last byte
    assert.equal("x", io_.read_file(at "w"))
    io_.write_file(at "w", "")
    assert.equal("", io_.read_file(at "w"))
  end)
end)

describe("json", function()
  local json = require "cohesiv.base.json"
  it("keeps values and refuses the rest in one line", function()
    assert.same({ a = { 1, 2.5 }, b = "x" }, json.decode(json.encode { a = { 1, 2.5 }, b = "x" }))
    for _, text in ipairs { "", "{", "nope", "[1,]", "NaN", ("["):rep(100), '{"a":1}}' } do
      support.raises("file: expected JSON", json.decode, text, "file")
    end
    support.raises("json", json.encode, { 0 / 0 })
    support.raises("json", json.encode, { print })
    json.write(at "v.json", { 1, 2 })
    assert.same({ 1, 2 }, json.read(at "v.json"))
    support.raises("No such file", json.read, at "none.json")
  end)
end)

describe("resampling", function()
  it("averages areas when shrinking and interpolates when growing", function()
    local row = co.tensor { { 0, 2, 4, 6 } }
    assert.same({ { 1, 5 } }, io_.resample(row, 0.5, 1, 2, 1, 2, 1):totable())
    assert.same({ { 0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6 } }, io_.resample(row, 2, 1, 8, 1, 8, 1):totable())
    local third = io_.resample(row, 0.75, 1, 3, 1, 3, 1):totable()[1]
    for i, v in ipairs { 0.5, 3, 5.5 } do assert.near(v, third[i], 1e-5) end
    assert.same({ { 2, 10, 0 }, { 0, 0, 0 } }, io_.resample(row, 0.5, 1, 2, 1, 3, 2, 2):totable())
  end)

  it("keeps constants and ramps, in uint8 too", function()
    local c = co.full(200, 7, 9, 3, { dtype = "uint8" })
    for _, s in ipairs { 0.3, 0.5, 0.77, 1, 1.7 } do
      local w, h = math.max(1, math.floor(9 * s + 0.5)), math.max(1, math.floor(7 * s + 0.5))
      local r = io_.resample(c, s, s, w, h, w, h)
      same(co.full(200, h, w, 3, { dtype = "uint8" }), r)
    end
    local ramp = co.arange(0, 64):to "float32":reshape { 1, 64 }
    local r = io_.resample(ramp, 0.25, 1, 16, 1, 16, 1):totable()[1]
    for i = 1, 16 do assert.near(((i - 1) + 0.5) / 0.25 - 0.5, r[i], 1e-4) end
  end)

  it("refuses what it cannot do", function()
    local t = co.zeros(2, 2)
    support.raises("scales", io_.resample, t, 0, 1, 1, 1, 1, 1)
    support.raises("scales", io_.resample, t, 0 / 0, 1, 1, 1, 1, 1)
    support.raises("within", io_.resample, t, 1, 1, 3, 1, 2, 1)
    support.raises("HxW", io_.resample, t:to "float64", 1, 1, 1, 1, 1, 1)
    support.raises("HxW", io_.resample, co.zeros(0, 2), 1, 1, 1, 1, 1, 1)
  end)
end)
