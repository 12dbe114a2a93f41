-- Packs, the cache's files: what they hold, how small they are, and what is refused (csrc/io/pack.c).
local co = require "cohesiv"
local io_ = require("cohesiv.core").io
local make = require "tests.files"
local support = require "tests.support"

local folder = support.temp()
local function at(name) return folder .. "/" .. name end
local function put(name, bytes) return support.write(at(name), bytes) end

local function sample(dtype, ...)
  local t = co.randn(...)
  return (dtype == "uint8" and (t * 20 + 100):clamp(0, 255) or t * 3):to(dtype)
end

local function same(a, b)
  assert.equal(a.dtype, b.dtype)
  assert.same(a:totable(), b:totable())
end

describe("a pack", function()
  -- A pack of those data, in the encodings that were written before any were deflated.
  local function plain(encoding, dtype, shape, data)
    local bytes = "COHPACK1" .. string.pack("<BBBBI4", encoding, dtype, #shape, 0, 3)
    for _, size in ipairs(shape) do bytes = bytes .. string.pack("<i8", size) end
    bytes = bytes .. "key" .. data
    return bytes .. string.pack("<I4", make.crc32(bytes))
  end
  local function written(t, flow64)
    io_.pack_write(at "p.pack", "key", t, flow64)
    return io_.pack_read(at "p.pack", "key")
  end

  it("holds flows in 1/64 pixel, up to ±512, of any shape", function()
    local shapes = { { 7, 9, 2 }, { 1, 1, 2 }, { 5, 1, 2 }, { 1, 300, 2 }, { 2, 3, 4, 2 }, { 6 }, { 4, 3 }, { 0, 3, 2 },
      { 3, 0 }, {} }
    for _, shape in ipairs(shapes) do
      local count = 1
      for _, n in ipairs(shape) do count = count * n end
      local t = sample("float32", math.max(count, 1))
      local values = count > 0 and (t * 300):reshape(shape) or co.zeros(table.unpack(shape))
      local wanted = {}
      for i, v in ipairs(count > 0 and values:reshape(count):totable() or {}) do
        wanted[i] = math.min(math.max(v * 64, -32767), 32767) / 64
      end
      local back = written(values, true)
      assert.same(shape, back.shape)
      if count > 0 then
        assert.is_true(support.difference(co.tensor(wanted), back:reshape(count)) <= 0.5 / 64)
        same(back, written(back, true))
      end
    end
    local edges = { 0, 511.984375, -511.984375, 1e9, -1e9, 1 / 64, -1 / 64, 1 / 0, -1 / 0, 0 / 0 }
    assert.same({ 0, 511.984375, -511.984375, 511.984375, -511.984375, 1 / 64, -1 / 64, 511.984375, -511.984375,
      -511.984375 }, written(co.tensor(edges), true):totable())
  end)

  it("is small where its values are alike", function()
    local y, x = co.arange(100):reshape { 100, 1, 1 }, co.arange(160):reshape { 1, 160, 1 }
    local flow = co.cat({ x * 0.05 + y * 0.02, y * 0.1 - x * 0.03 }, 3)
    assert.is_true(support.difference(flow, written(flow, true)) <= 0.5 / 64)
    assert.is_true(#support.read(at "p.pack") < 100 * 160 * 4 / 4)
    same(co.ones(90, 70, { dtype = "uint8" }), written(co.ones(90, 70, { dtype = "uint8" })))
    assert.is_true(#support.read(at "p.pack") < 200)
    for _, dtype in ipairs { "uint8", "int32", "int64", "float32", "float64" } do
      local t = sample(dtype, 5, 4, 3)
      same(t, written(t))
    end
  end)

  it("of before is read; one that holds more or less than its shape is not", function()
    local flow = string.pack("<i2i2i2i2", 64, -32, 1, -32767)
    put("p.pack", plain(1, 0, { 1, 2, 2 }, flow))
    assert.same({ { { 1, -0.5 }, { 1 / 64, -511.984375 } } }, io_.pack_read(at "p.pack", "key"):totable())
    local u8 = co.zeros(1, { dtype = "uint8" })
    io_.pack_write(at "p.pack", "key", u8)
    local code = support.read(at "p.pack"):byte(10)
    put("p.pack", plain(0, code, { 2, 2 }, "\1\2\3\4"))
    assert.same({ { 1, 2 }, { 3, 4 } }, io_.pack_read(at "p.pack", "key"):totable())
    io_.pack_write(at "p.pack", "key", co.ones(30, { dtype = "uint8" }))
    local data = support.read(at "p.pack"):sub(8 + 8 + 8 + 3 + 1, -5)
    local function refused(what, shape, bytes, encoding)
      put("p.pack", plain(encoding or 2, code, shape, bytes))
      support.raises(what, io_.pack_read, at "p.pack", "key")
    end
    put("p.pack", plain(2, code, { 5, 6 }, data))
    same(co.ones(5, 6, { dtype = "uint8" }), io_.pack_read(at "p.pack", "key"))
    for _, shape in ipairs { { 29 }, { 31 }, { 0 } } do
      refused("expected deflated data of the shape's size, found others", shape, data)
    end
    refused("expected deflated data of the shape's size, found others", { 30 }, data .. "\0")
    refused("expected deflated data of the shape's size, found others", { 30 }, data:sub(1, -2))
    refused("expected deflated data of the shape's size, found others", { 30 }, ("\255"):rep(9))
    refused("expected as much data as the shape says", { 1 << 40 }, data)
    refused("expected a cached tensor, found another kind", { 30 }, data, 4)
    refused("expected a cached tensor, found another kind", { 30 }, data, 3)
  end)
end)
