-- PyTorch's files of before 1.6, five pickles and raw storages: values by hand, every claim that they make turned into
-- a lie, damage of all kinds. What pickles may hold is pth_spec.lua's.
local co = require "cohesiv"
local core = require "cohesiv.core"
local make = require "tests.files"
local pickles = require "tests.pickles"
local support = require "tests.support"
local files = require "cohesiv.tensor.io"

local folder = support.temp()
local function put(name, bytes) return support.write(folder .. "/" .. name, bytes) end

local text, int, global, tuple, call, dict = pickles.text, pickles.int, pickles.global, pickles.tuple, pickles.call,
  pickles.dict
local old, ORDERED, SIX = pickles.old, pickles.ORDERED, pickles.SIX

-- Storages of this form have a sixth part.
local function tensor(o)
  o.part = o.part or "N"
  return pickles.tensor(o)
end

local function read(...) return core.io.pth_read(put("x.pth", old(...))) end
local function refuses(expected, ...)
  local message = support.raises(expected, read, ...)
  assert.is_truthy(message:find("x.pth: ", 1, true), message)
end

local LONGS = string.pack("<i8i8i8", 1 << 40, -2, 3)
local function longs(o)
  o.type, o.key, o.count, o.shape, o.stride = "LongStorage", "94001", 3, o.shape or { 3 }, o.stride or { 1 }
  return tensor(o)
end

describe("a .pth file of before 1.6", function()
  it("gives tensors by name, storages in the order of their keys", function()
    local pickle = dict("w", tensor {}, "n", longs {}, "t", tensor { shape = { 3, 2 }, stride = { 1, 3 } }, "o",
      tensor { offset = 2, shape = { 2 }, stride = { 3 } }, "none", tensor { shape = { 0, 5 }, stride = { 5, 1 } }, "s",
      longs { offset = 1, shape = {}, stride = {} })
    local six, three = { "0", 6, SIX }, { "94001", 3, LONGS }
    for _, storages in ipairs { { six, three }, { three, six } } do
      local state = read(pickle, storages)
      assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, state.w:totable())
      assert.same({ { 1, 4 }, { 2, 5 }, { 3, 6 } }, state.t:totable())
      assert.same({ 3, 6 }, state.o:totable())
      assert.same({ 0, 5 }, state.none.shape)
      assert.same({ "int64", 1 << 40, -2, 3 }, { state.n.dtype, table.unpack(state.n:totable()) })
      assert.equal(-2, state.s:item())
    end
    local path = put("y.pt", old(dict("w", tensor {})))
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, co.load(path).w:totable())
  end)

  it("is unwrapped as the zip form is, and may hold more than weights", function()
    local moments = dict("step", longs {})
    local state, _, kind = files.weights(put("x.pth.tar", old(
      dict("epoch", int(3), "optimizer", moments, "state_dict", dict("module.a", tensor {}, "module.b", tensor {})),
      { { "94001", 3, LONGS }, { "0", 6, SIX } })))
    assert.equal("pth", kind)
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, state.a:totable())
    assert.is_truthy(state.b)
    assert.is_nil(state["module.a"])
    assert.is_nil(state.step)
    local parameter = call(global("torch._utils", "_rebuild_parameter"), tensor {}, "\x89", ORDERED)
    assert.same({ 2, 3 }, read(dict("p", parameter)).p.shape)
    local early = call(global("torch._utils", "_rebuild_tensor"), pickles.storage { part = "N" }, int(0),
      pickles.ints { 2, 3 }, pickles.ints { 3, 1 }) -- before 0.4
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, read(dict("w", early)).w:totable())
  end)

  it("may name a part of a storage", function()
    local part = tuple(text "v", int(2), int(3))
    assert.same({ 3, 4, 5 }, read(dict("w", tensor { part = part, shape = { 3 }, stride = { 1 } })).w:totable())
    assert.same({ 5 }, read(dict("w", tensor { part = part, offset = 2, shape = { 1 }, stride = { 1 } })).w:totable())
    refuses("w: expected elements within its storage", dict("w", tensor { part = part, shape = { 4 }, stride = { 1 } }))
    for _, wrong in ipairs { tuple(text "v", int(2), int(5)), tuple(text "v", int(-1), int(2)), tuple(text "v", int(2)),
      tuple(text "v", int(0), int(-1)), tuple(text "v", int(7), int(0)), tuple(text "v", "N", "N"), "\x88", int(3),
      tuple(text "v", "\x8a\8" .. string.pack("<i8", 1 << 62), int(1)) } do
      refuses("expected a part of its storage, found another", dict("w", tensor { part = wrong }))
    end
  end)

  it("has little-endian numbers whatever machine wrote it, in any protocol", function()
    local machine = dict("protocol_version", int(1001), "little_endian", "\x89")
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, read(dict("w", tensor {}), nil, { machine = machine }).w:totable())
    local framed = "\x80\4\x95" .. string.pack("<i8", 9)
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, read(dict("w", tensor {}), nil, { proto = framed }).w:totable())
    for _, case in ipairs { { "HalfStorage", "float16", "H", 0x3800, 0xC000, 0.5, -2 },
      { "ShortStorage", "int32", "i2", 300, -300, 300, -300 }, { "ByteStorage", "uint8", "B", 255, 0, 255, 0 },
      { "BoolStorage", "uint8", "B", 2, 0, 1, 0 }, { "DoubleStorage", "float64", "d", 0.1, -2, 0.1, -2 } } do
      local pickle = dict("w", tensor { type = case[1], count = 2, shape = { 2 }, stride = { 1 } })
      local t = read(pickle, { { "0", 2, string.pack("<" .. case[3] .. case[3], case[4], case[5]) } }).w
      assert.same({ case[2], case[6], case[7] }, { t.dtype, t[1], t[2] }, case[1])
    end
  end)
end)

describe("a file of before 1.6 that lies", function()
  local whole = dict("w", tensor {})

  it("about what it is, is refused", function()
    refuses("expected a file of torch.save, found a pickle of something else", whole, nil, { magic = int(3) })
    refuses("found a pickle of something else", whole, nil, { magic = "\x8a\n" .. ("\1"):rep(10) })
    refuses("found a pickle of something else", whole, nil, { magic = dict("w", tensor {}) })
    refuses("expected version 1001", whole, nil, { version = int(1000) })
    refuses("expected version 1001", whole, nil, { version = "N" })
    refuses("expected a dict of the machine", whole, nil, { machine = int(1) })
    refuses("expected a list of storages", whole, nil, { keys = tuple(text "0") })
    refuses("expected a key of a storage", whole, nil, { keys = "]" .. int(0) .. "a" })
    refuses("refused: os.system", call(global("os", "system"), text "id"))
    refuses("refused: os.system", whole, nil, { machine = call(global("os", "system"), text "id") })
    refuses("refused: os.system", whole, nil, { keys = call(global("os", "system"), text "id") })
    refuses("expected tensors, found none", dict("n", int(3)), {})
  end)

  it("about its storages, is refused", function()
    local again = { "0", 6, SIX }
    refuses("w: expected a storage 0, found none", whole, {})
    refuses("expected every storage once, found 0 twice", whole, { again, again })
    refuses("expected storages of its tensors, found a foreign one: other", whole, { again, { "other", 6, SIX } })
    for _, n in ipairs { 5, 7, 0, -1, math.mininteger, math.maxinteger } do
      refuses(("expected 6 elements in storage 0, found %d"):format(n), whole, { { "0", n, SIX } })
    end
    refuses("expected 24 bytes in storage 0, found 20 (truncated?)", whole, { { "0", 6, SIX:sub(1, 20) } })
    refuses("expected its end after the last storage, found 1 more bytes", whole, nil, { tail = "x" })
    refuses("expected its end after the last storage, found 4 more bytes", whole, { { "0", 6, SIX .. "abcd" } })
    refuses("storage that memory can hold", dict("w", tensor { count = -1 }))
    refuses("storage that memory can hold", dict("w", tensor { count_bytes = "\x8a\8" .. string.pack("<i8", 1 << 61) }))
    local two = dict("w", tensor {}, "v", tensor { type = "DoubleStorage", shape = { 1 }, stride = { 1 } })
    refuses("bytes in storage 0", two)
    refuses("expected a dtype of", dict("w", tensor { type = "ComplexFloatStorage" }))
    refuses("another reference", dict("w", tensor {}, "x", tuple(text "module", "N", "N", "N", "N", "N") .. "Q"))
    refuses("another reference", dict("w", tensor { part = "NN" }))
    refuses("w: expected elements within its storage", dict("w", tensor { shape = { 7 }, stride = { 1 } }))
    refuses("about the size of the file", dict("w", tensor { shape = { 1 << 30, 9 }, stride = { 0, 0 } }))
  end)

  -- Success or one line that names the file. → whether it was read
  local function try(bytes)
    local path = put("damaged.pth", bytes)
    local ok, message = pcall(core.io.pth_read, path)
    assert.is_true(ok or type(message) == "string" and not message:find "%c" and message:find(path, 1, true) ~= nil,
      message)
    return ok
  end

  local bytes = old(dict("epoch", int(3), "state_dict", ORDERED .. "(" .. text "a" .. tensor {} .. "q\7" .. text "b"
    .. longs {} .. text "c" .. "h\7u"), { { "94001", 3, LONGS }, { "0", 6, SIX } })

  it("cut short anywhere is refused", function()
    assert.is_true(try(bytes))
    support.no_leak(function()
      for n = 0, #bytes - 1, support.small and 5 or 1 do assert.is_false(try(bytes:sub(1, n)), n) end
    end)
  end)

  it("flipped, dropped and added bytes never crash", function()
    local random = make.random(5)
    support.no_leak(function()
      for _ = 1, tonumber(os.getenv "COHESIV_FUZZ") or support.small and 300 or 3000 do
        local damaged = bytes
        for _ = 1, random(3) do
          local i, how = random(#damaged), random(3)
          local with = how == 1 and "" or string.char(random(256) - 1)
          damaged = damaged:sub(1, how == 3 and i or i - 1) .. with .. damaged:sub(i + 1)
        end
        try(damaged)
      end
    end)
  end)

  it("as the tar files before 0.1.10 is named", function()
    local tar = "storages" .. ("\0"):rep(249) .. "ustar\00000" .. ("\0"):rep(1000)
    local message = support.raises("found a tar archive", core.io.pth_read, put("tar.pth", tar))
    assert.is_truthy(message:find("expected weights as torch.save writes them since PyTorch 0.1.10", 1, true), message)
  end)
end)
