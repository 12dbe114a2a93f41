-- The inputs that fuzzing begins with: small files of every form that a reader knows, from our own writers and put
-- together byte by byte. all(folder) → { corpus = { name = bytes } }; folder is for what the writers write.
local co = require "cohesiv"
local core = require "cohesiv.core"
local files = require "tests.files"
local maker = require "tests.tflite_maker"
local pickles = require "tests.pickles"

local seeds = {}

-- ---- pictures ----

local function png()
  local list = {}
  for colour, depths in pairs { [0] = { 1, 2, 4, 8, 16 }, [2] = { 8, 16 }, [3] = { 1, 2, 4 }, [4] = { 8, 16 },
    [6] = { 8, 16 } } do
    for _, depth in ipairs(depths) do
      for _, interlaced in ipairs { false, true } do
        local size = interlaced and depth < 16 and 5 or 2
        list[("colour%d_%d%s"):format(colour, depth, interlaced and "_interlaced" or "")] = files.png {
          width = size, height = size, colour = colour, depth = depth, interlaced = interlaced,
        }
      end
    end
  end
  local function grey(o)
    o.width, o.height, o.colour, o.depth = o.width or 3, o.height or 3, o.colour or 0, o.depth or 8
    return (files.png(o))
  end
  for orientation = 1, 8 do
    local exif = { { "eXIf", files.exif(orientation, orientation % 2 == 0) } }
    list["exif" .. orientation] = grey { [orientation % 3 == 0 and "after" or "before"] = exif }
  end
  list.texts = grey { before = { { "tEXt", "Title\0a" }, { "zTXt", "a\0\0" .. files.zlib_zeros(2065) },
    { "iTXt", "a\0\1\0\0\0" .. files.zlib_zeros(2065) } } }
  list.profile = grey { before = { { "iCCP", "a\0\0" .. files.zlib_zeros(2065) }, { "gAMA", "\0\0\xB1\x8F" } } }
  list.zeros = files.png_header(64, 64, 8, 0):gsub("IDAT.*", "") .. ""
  list.lies = files.png_header(1 << 20, 1 << 10, 1, 0)
  local function of_two(a, b) return function(x) return x > 0 and a or b end end
  list.mask_0_1 = grey { at = of_two(0, 1) }
  list.mask_0_255 = grey { at = of_two(255, 0) }
  list.mask_bits = grey { depth = 1, at = of_two(0, 1) }
  list.mask_palette = grey { colour = 3, depth = 2, at = of_two(0, 2) }
  list.mask_alpha = grey { colour = 4, at = function(x) return x > 0 and 255 or 0, 255 end }
  local ramp = { 0, 0, 0, 90, 200, 255, 255, 255 }
  list.mask_resized = grey { width = 8, height = 8, at = function(x) return ramp[x + 1] end }
  local function flow_at(x, y) return 32768 + 64 * x, 32768 - 64 * y, x > 0 and 1 or 0 end
  list.flow = grey { colour = 2, depth = 16, at = flow_at }
  return list
end

-- Bytes of a marker's segment.
local function segment(marker, data) return "\xFF" .. string.char(marker) .. string.pack(">I2", #data + 2) .. data end

-- A JPEG of w×h: start of frame `sof`, sampling factors of its components, and scans
-- { components, Ss, Se, AhAl, bytes }.
local function jpeg_of(sof, w, h, sampling, scans, before)
  local quantiser = "\0" .. ("\1"):rep(64)
  local frame = string.pack(">BI2I2B", 8, h, w, #sampling)
  for c, factors in ipairs(sampling) do frame = frame .. string.char(c, factors, 0) end
  local function codes(class, symbols)
    return string.char(class << 4) .. ("\1"):rep(#symbols) .. ("\0"):rep(16 - #symbols)
      .. string.char(table.unpack(symbols))
  end
  local parts = {
    "\xFF\xD8", before or "", segment(0xDB, quantiser), segment(sof, frame),
    segment(0xC4, codes(0, { 0, 3, 1 }) .. codes(1, { 0, 1, 0xF0, 0x11, 0x10 })),
  }
  for _, scan in ipairs(scans) do
    local head = string.char(#scan[1])
    for _, c in ipairs(scan[1]) do head = head .. string.char(c, 0) end
    parts[#parts + 1] = segment(0xDA, head .. string.char(scan[2], scan[3], scan[4])) .. scan[5]
  end
  return table.concat(parts) .. "\xFF\xD9"
end

local function jpeg()
  local function whole(...) return { { ... }, 0, 63, 0, ("\0"):rep(6) } end
  local grey = jpeg_of(0xC0, 8, 8, { 0x11 }, { whole(1) })
  local list = {
    grey = grey, grey_odd = jpeg_of(0xC0, 19, 5, { 0x11 }, { whole(1) }),
    colour = jpeg_of(0xC0, 8, 8, { 0x11, 0x11, 0x11 }, { whole(1, 2, 3) }),
    colour_420 = jpeg_of(0xC1, 17, 9, { 0x22, 0x11, 0x11 }, { whole(1, 2, 3) }),
    colour_separate = jpeg_of(0xC0, 8, 8, { 0x11, 0x11, 0x11 }, { whole(1), whole(2), whole(3) }),
    cmyk = jpeg_of(0xC0, 8, 8, { 0x11, 0x11, 0x11, 0x11 }, { whole(1, 2, 3, 4) }),
    numbers = jpeg_of(0xC0, 16, 8, { 0x11 }, { { { 1 }, 0, 63, 0, "\x95\x5A\xB7\x3C\x6A\x91" } }),
    arithmetic = jpeg_of(0xC9, 8, 8, { 0x11 }, { whole(1) }),
    restart = jpeg_of(0xC0, 16, 8, { 0x11 }, { { { 1 }, 0, 63, 0, "\x3F\xFF\xD0\x3F" } }, segment(0xDD, "\0\1")),
    adobe = jpeg_of(0xC0, 8, 8, { 0x11, 0x11, 0x11 }, { whole(1, 2, 3) }, segment(0xEE, "Adobe\0\100\0\0\0\0\0")),
    progressive = jpeg_of(0xC2, 8, 8, { 0x11 }, {
      { { 1 }, 0, 0, 1, "\x5F" }, { { 1 }, 1, 63, 1, "\xBF" }, { { 1 }, 0, 0, 0x10, "\x7F" },
      { { 1 }, 1, 63, 0x10, "\x6B" },
    }),
    lies = files.jpeg_header(60000, 4000, 3), cut = grey:sub(1, -8), scans = files.jpeg_scans(64, 64, 4),
  }
  for orientation = 1, 8 do list["exif" .. orientation] = files.oriented(grey, orientation, orientation % 2 == 0) end
  return list
end

-- ---- arrays ----

local function tensors()
  return {
    float32 = co.tensor { { 1, 2, 3 } }, float64 = co.tensor({ 1, 2 }, { dtype = "float64" }),
    uint8 = co.tensor({ 1, 2, 3 }, { dtype = "uint8" }), int32 = co.tensor({ { 1 }, { -1 } }, { dtype = "int32" }),
    int64 = co.tensor({ 7 }, { dtype = "int64" }), float16 = co.tensor({ 1, 2 }):to "float16", none = co.zeros(0, 2),
  }
end

local function npy(written)
  local list = {}
  for name, t in pairs(tensors()) do list[name] = written("x.npy", core.io.npy_write, t) end
  for _, descr in ipairs { "|i1", ">i2", "<u2", ">u4", "|b1", ">f8", "<f2", "<c8", "|O", "<U5" } do
    list["descr_" .. descr:gsub("%W", { [">"] = "big_", ["<"] = "", ["|"] = "" })] = files.npy(descr, "(2,)",
      ("\1\0"):rep(8))
  end
  list.fortran = files.npy("<i2", "(2, 3)", ("\1\2"):rep(6), { fortran = true })
  list.fortran_big = files.npy(">f4", "(2, 1, 2)", ("\1\2\3\4"):rep(4), { fortran = true })
  list.scalar = files.npy("<f8", "()", ("\0"):rep(8))
  list.version2 = files.npy("|u1", "(1,)", "x", { version = 2 })
  list.version3 = files.npy("|u1", "(1,)", "x", { version = 3 })
  list.lies = files.npy("<f4", "(4294967296, 4294967296)", "12345678")
  list.html = "<!DOCTYPE html><html>"
  list.pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
  return list
end

local function npz(written)
  local array = files.npy("<i4", "(2,)", string.pack("<i4i4", 7, 8))
  local one = { { "a.npy", array } }
  return {
    stored = files.zip(one), deflated = written("x.npz", core.io.npz_write, { a = co.zeros(40) }, 9),
    two = written("x.npz", core.io.npz_write, { a = co.tensor { 1 }, ["b/c"] = co.tensor { 2 } }, 0),
    empty = files.zip {}, zip64 = files.zip(one, { zip64 = true }), comment = files.zip(one, { comment = "PK\5\6 no" }),
    descriptor = files.zip(one, { descriptor = true }), method = files.zip(one, { method = 12 }),
    encrypted = files.zip(one, { flags = 1 }), checksum = files.zip(one, { crc = 1 }),
    lies = files.zip(one, { size = 1 << 31, method = 8 }),
    overlap = files.zip({ one[1], { "b.npy", array } }, { overlap = true }),
    twice = files.zip { one[1], one[1] }, other = files.zip { { "readme.txt", "hello" }, one[1] },
    bytes = files.zip { { "a.npy", files.npy("|i1", "(9,)", "123456789") } },
  }
end

local function flo(written)
  local function of(w, h, body) return "PIEH" .. string.pack("<i4i4", w, h) .. body end
  return {
    written = written("x.flo", core.io.flo_write, co.zeros(2, 1, 2)), lies = of(1 << 16, 1 << 16, "12345678"),
    negative = of(-1, -1, "12345678"), empty = of(0, 0, ""), cut = of(1, 1, "1234567"),
  }
end

local function safetensors(written)
  local function of(header, data) return string.pack("<s8", header) .. (data or "") end
  local function entry(name, from, to)
    return ('"%s":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}'):format(name, from, to)
  end
  local list = {
    written = written("x.safetensors", core.io.safetensors_write, { a = co.tensor { 1 }, b = co.zeros(0, 2) },
      { k = "v" }),
    empty = of "{}", blanks = of '{ "a" : {"dtype":"U8","shape":[],"data_offsets":[0,1]} }' .. "x",
    escapes = of('{"\\u00e9\\ud83d\\ude00\\n":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', "xy"),
    twice = of("{" .. entry("a", 0, 1) .. "," .. entry("a", 1, 2) .. "}", "xy"),
    overlap = of("{" .. entry("a", 0, 1) .. "," .. entry("b", 0, 1) .. "}", "x"),
    lies = of '{"a":{"dtype":"F64","shape":[1152921504606846976,8],"data_offsets":[0,8]}}' .. "12345678",
    metadata = of '{"__metadata__":{"a":"b","c":"d"}}', long = string.pack("<I8", 1 << 60) .. "{",
  }
  for dtype, count in pairs { F64 = 2, F16 = 8, BF16 = 8, I64 = 2, I32 = 4, I8 = 16, BOOL = 16 } do
    list[dtype] = of(('{"a":{"shape":[%d],"dtype":"%s","data_offsets":[0,16]}}'):format(count, dtype), ("\1"):rep(16))
  end
  return list
end

local function pth()
  local p = pickles
  local text, int, dict, tensor = p.text, p.int, p.dict, p.tensor
  local contents = {
    one = dict("w", tensor {}),
    unwrapped = dict("epoch", int(3), "state_dict", p.ORDERED .. "(" .. text "a" .. tensor {} .. "u"),
    strides = dict("t", tensor { shape = { 3, 2 }, stride = { 1, 3 } }, "e",
      tensor { shape = { 2, 2 }, stride = { 0, 1 } }),
    half = dict("w", tensor { type = "HalfStorage", count = 12 }),
    bytes = dict("w", tensor { type = "BoolStorage", count = 24 }),
    scalar = dict("s", tensor { offset = 5, shape = {}, stride = {} }),
    evil = p.call(p.global("os", "system"), text "true"),
    lies = dict("w", tensor { count_bytes = "\x8a\8" .. string.pack("<i8", 1 << 61) }),
    cycle = "}q\0" .. text "a" .. "h\0s",
    list = dict("l", "](" .. int(1) .. "N\x88\x89" .. "G" .. string.pack(">d", 0.5) .. "e"),
  }
  local list = {}
  for name, content in pairs(contents) do
    list["zip_" .. name] = p.archive(content, nil, { top = "x/" })
    list["old_" .. name] = p.old(content)
  end
  list.zip_big = p.archive(contents.one, nil, { top = "", byteorder = "big" })
  list.zip_4 = p.archive("\x8c\1a" .. "\x94" .. "0" .. contents.one, nil,
    { top = "x/", proto = "\x80\4\x95" .. string.pack("<I8", 9) })
  list.old_cut = p.old(contents.one):sub(1, -5)
  list.old_tail = p.old(contents.one, nil, { tail = "x" })
  list.html = "<html><head>"
  return list
end

local function pack(written)
  local function of(t, flow64)
    return written("x.pack", function(path) core.io.pack_write(path, "key", t, flow64) end)
  end
  local list = { flow64 = of(co.tensor { { { 0.5, -1 } } }, true) }
  for name, t in pairs(tensors()) do list[name] = of(t) end
  list.other = written("x.pack", function(path) core.io.pack_write(path, "another key", co.zeros(1)) end)
  return list
end

local function sample(written)
  local function u8(...) return co.zeros({ ... }, { dtype = "uint8" }) end
  local function of(fields)
    local all = {
      image = u8(2, 3, 3), maps = u8(2, 3, 1), person = u8(2, 3), points = co.zeros(1, 2),
      content = co.tensor({ 3, 2 }, { dtype = "int32" }),
    }
    for name, t in pairs(fields) do all[name] = t end
    return written("x.npz", core.io.npz_write, all, 1)
  end
  return {
    whole = of {}, no_hands = of { maps = u8(2, 3, 0), points = co.zeros(0, 2) },
    other_sizes = of { person = u8(3, 3) },
    other_dtype = of { maps = co.zeros(2, 3, 1) }, content = of { content = co.tensor({ 4, 2 }, { dtype = "int32" }) },
  }
end

-- ---- video ----

local function container()
  local packet = "G" .. ("\0"):rep(187)
  return {
    avi = "RIFF" .. string.pack("<I4", 12) .. "AVI LIST\0\0\0\0", avi_unfinished = "RIFF\0\0\0\0AVI LIST",
    asf = "\x30\x26\xB2\x75\x8E\x66\xCF\x11" .. ("\0"):rep(22)
      .. "\xA1\xDC\xAB\x8C\x47\xA9\xCF\x11\x8E\xE4\x00\xC0\x0C\x20\x53\x65" .. ("\0"):rep(76),
    matroska = "\x1A\x45\xDF\xA3\x82ab\x18\x53\x80\x67\x82cd",
    matroska_unknown = "\x1A\x45\xDF\xA3\x80\x18\x53\x80\x67\xFF",
    flv = "FLV\1\5\0\0\0\9\0\8filesize\0" .. string.pack(">d", 30), gif = "GIF89a\1\0\1\0\0\0\0\x3B\0\0",
    ogg = "OggS\0\4" .. ("\0"):rep(20) .. "\1\2ab", ogg_middle = "OggS\0\0" .. ("\0"):rep(20) .. "\1\2ab",
    transport = packet:rep(5), transport_cut = packet:rep(5) .. "G12",
  }
end

local function video()
  local function frame(w, h) return ("P6\n%d %d\n255\n"):format(w, h) .. ("x"):rep(w * h * 3) end
  return {
    one = frame(2, 1), three = frame(3, 2):rep(3), other_size = frame(2, 1) .. frame(1, 2),
    cut = frame(2, 1):sub(1, -3),
    lies = "P6\n999999999 999999999\n255\n", large = "P6\n16384 16384\n255\nx", grey = "P5\n1 1\n255\nx",
    zero = "P6\n0 0\n255\n",
    deep = "P6\n1 1\n65535\nxxxxxx", long = "P6\n00000000000000000001 1\n255\nxxx", empty = "",
  }
end

local function complaint()
  local h264 = "[h264 @ 0x55d0c0ffee00] "
  return {
    damage = h264 .. "[error] error while decoding MB 3 4, bytestream -7\n",
    sound = "[aac @ 0x55] [error] Input buffer exhausted\n",
    harmless = h264 .. "[error] mmco: unref short failure\n",
    file = "[error] file:a.mp4: Invalid data found when processing input\n",
    warning = "[warning] corrupt decoded frame in stream 0\n",
    mapping = h264 .. "[error] a\n[info] Stream mapping:\n" .. h264 .. "[fatal] b\n",
    frames = ("[Parsed_showinfo_0 @ 0x5] [info] n:   0 pts: 0\n"):rep(2) .. "\r\n[error] c\n",
    brackets = "[[a] [b] ] [error\n[] [] x\n", long = "[error] " .. ("x"):rep(300),
  }
end

-- ---- JSON ----

local function json()
  return {
    values = '[null,true,false,0,-0,1.5,-12e+3,1e999,123456789012345678901234567890,"",{},[]]',
    texts = [=[["\"\\\/\b\f\n\r\t","\u00e9\ud83d\ude00\u0000","é\127","\ud800"]]=],
    keys = '{"a":{"":1},"b":[{"a":2}]}',
    blanks = " [ 1 ,\r\n\t2 ] \n", mark = "\xEF\xBB\xBF[1]", wide = "\xFF\xFE[\0]\0",
    deep = ("["):rep(64) .. ("]"):rep(64),
    deeper = ('{"a":'):rep(65),
    cut = '[1,{"a":"b', control = '["a\nb"]', number = "[01]", word = "[nul]", nothing = " ",
  }
end

local function hands()
  local hand = '{"side":"left","score":0.9,"vertices":[[1,2],[9,4.5]],"box":[1,2,9,5]}'
  local function of(frames, size) return ('{%s"frames":%s}'):format(size or '"width":16,"height":9,', frames) end
  return {
    list = of("[[" .. hand .. "],[],null]"), two = of("[[" .. hand .. "," .. hand .. "],[],[]]"),
    keyed = of('{"0":[' .. hand .. '],"000002":[]}'), from_1 = of '{"1":[],"2":[],"3":[]}',
    single = of("[" .. hand .. ',{"hands":[' .. hand .. "]},[]]"),
    half_size = of("[[" .. hand .. "],[],[]]", '"width":8,"height":4.5,'),
    normalised = of('[[{"vertices":[[0.1,0.2],[0.9,0.8]]}],[],[]]', '"width":1,"height":1,'),
    not_normalised = of '[[{"vertices":[[0.1,0.2],[0.9,0.8]]}],[],[]]',
    swapped = of("[[],[],[]]", '"width":9,"height":16,'),
    texts = of '[[{"vertices":[["1","2"],{"x":3,"y":"4e0"}],"score":"1"}],[],[]]', bare = of("[[" .. hand .. "]]", ""),
    numbered = of '[{"frame":1,"hands":[]},[],[]]', box = of '[[{"vertices":[[1,1],[5,5]],"box":[9,9,2,2]}],[],[]]',
    box_infinite = of '[[{"vertices":[[1,1],[5,5]],"box":[1,2,1e999,5]}],[],[]]',
    key_infinite = of '[[{"vertices":[[1,1]],"id":1e999}],[],[]]',
    no_vertices = of '[[{"joints":[[1,2]]}],[],[]]', third = of '[[{"vertices":[[1,2,3]]}],[],[]]',
    side = of '[[{"vertices":[[1,2]],"side":3}],[],[]]', infinite = of '[[{"vertices":[[1e999,2]]}],[],[]]',
    escapes = of '[[{"vertices":[[1,2]],"side":"\\u0000\\ud83d\\n"}],[],[]]', twice = of('[[]],"frames":[[],[],[]]'),
    mark = "\xEF\xBB\xBF" .. of "[[],[],[]]", wide = "\xFF\xFE{\0}\0", cut = of("[["), nested = ("["):rep(80),
    text = "hello",
    far = of '[[{"vertices":[[900,900],[901,901]]}],[],[]]', number = "3", null = "null",
  }
end

local function queries()
  local q = '{"query":[3,4],"side":"left","object":"cup"}'
  local function of(frames, size) return ('{%s"frames":%s}'):format(size or '"width":16,"height":9,', frames) end
  return {
    one = of('{"0":[' .. q .. "]}"), two = of('{"000000":[' .. q .. "," .. q .. '],"2":[]}'),
    single = of('{"1":' .. q .. "}"),
    null = of '{"0":null}', list = of("[[" .. q .. "]]"), outside = of '{"0":[{"query":[99,4]}]}',
    texts = of '{"0":[{"query":["1","2"]}]}',
    object = of '{"0":[{"query":{"x":1,"y":2},"object":null}]}', side = of '{"0":[{"query":[1,2],"side":7}]}',
    same = of '{"1":[],"01":[]}',
    far = of '{"99999999999999999999":[]}', names = of '{"a":[]}', bare = of('{"0":[' .. q .. "]}", ""),
    size = of("{}", '"width":"a",'),
    none = of '{"0":[{}]}', empty = "{}", text = '"a"', deep = of '{"0":[[[[[]]]]]}',
  }
end

local function pickled()
  local function text(s) return "X" .. string.pack("<s4", s) end
  local function array(code, order, rows, columns, bytes)
    return "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tB\1\0\0\0btR(K\1(K"
      .. string.char(rows, 75, columns) .. "tcnumpy\ndtype\n(" .. text(code) .. "K\0K\1tR(K\3" .. text(order)
      .. "NNNK\1K\1K\0tb\x89B" .. string.pack("<s4", bytes) .. "tb"
  end
  local function file(body) return "\x80\3" .. body .. "." end
  return {
    floats = file(array("f4", "<", 1, 2, "12345678")), none = file(array("f8", "<", 0, 2, "")),
    bytes = file("}(" .. text "a" .. array("u1", "|", 2, 2, "1234") .. text "b" .. "](K\1G12345678NeK\7\x88u"),
    lies = file(array("f4", "<", 255, 255, "1234")), big = file(array("i4", ">", 1, 1, "1234")),
    object = file(array("O8", "|", 1, 1, "1234")), state = file("cnumpy\ndtype\n(tR(K\1tb"),
    bare = file("cnumpy.core.multiarray\n_reconstruct\n(tR"), other = file "cos\nsystem\n", text = "hello",
      cut = "\x80\3",
  }
end

local function tflite()
  local one = maker.one("CONV_2D", { { 1, 2, 2, 1 } }, { 1, 2, 2, 1 }, { stride_w = 1, stride_h = 1, act = 1 },
    { { { 1, 1, 1, 1 }, maker.floats { 2 } }, { { 1 }, "\0\x3C", "FLOAT16" } })
  local function of(list, operators)
    return maker.model { tensors = list, operators = operators, inputs = { 0 }, outputs = { 1 } }
  end
  return {
    one = one, cut = one:sub(1, -30), other = maker.model { tensors = {}, operators = {}, inputs = {}, outputs = {},
      identifier = "TFL2" },
    kinds = of({ { "a", { 2 }, type = "INT8", data = "ab" }, { "b", { 1 }, type = "INT64", data = ("\0"):rep(8) },
      { "c", { 2 }, type = "INT16", data = "\xFF\xFF\1\0" }, { "d", {}, type = "FLOAT64", data = ("\0"):rep(8) } },
      { { "STRIDED_SLICE", { 0, -1 }, { 1 }, { end_mask = 3 } }, { "Custom", { 2 }, { 3 } },
        { "LEAKY_RELU", {}, {}, { slope = 0.5 } } }),
    lies = of({ { "x", { 1 << 20, 1 << 20 }, data = "abcd" }, { "y", { 1 } } }, { { "RELU", { 0 }, { 1 } } }),
    places = of({ { "x", { 1 } }, { "y", { 1 } } }, { { "ADD", { 0, 7 }, { 1 } } }),
    far = ("\xFF\xFF\xFF\x7FTFL3"), none = "\8\0\0\0TFL3\0\0\0\0", empty = "",
  }
end

--- all(folder) → { corpus = { name = bytes } }.
function seeds.all(folder)
  local function written(name, write, ...)
    local path = folder .. "/" .. name
    write(path, ...)
    return core.io.read_file(path)
  end
  return {
    png = png(), jpeg = jpeg(), npy = npy(written), npz = npz(written), flo = flo(written),
    safetensors = safetensors(written), pth = pth(), pickled = pickled(), tflite = tflite(), pack = pack(written),
      sample = sample(written),
    container = container(),
    video = video(), complaint = complaint(), json = json(), hands = hands(), queries = queries(),
  }
end

return seeds
