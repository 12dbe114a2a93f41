-- Files put together byte by byte for the specs, by their formats' definitions and not by the code under test: PNG with
-- stored deflate blocks in every colour type, NumPy headers, zip files, EXIF markers.
local files = {}

--- random(seed) → a function that draws 1 … n; the same numbers everywhere.
function files.random(seed)
  local state = seed
  return function(n)
    state = (state * 6364136223846793005 + 1442695040888963407)
    return (state >> 33) % n + 1
  end
end

local crc_table = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do c = c & 1 == 1 and 0xEDB88320 ~ (c >> 1) or c >> 1 end
  crc_table[i] = c
end

--- The CRC-32 of PNG and zip.
function files.crc32(bytes)
  local c = 0xFFFFFFFF
  for i = 1, #bytes do c = crc_table[(c ~ bytes:byte(i)) & 0xFF] ~ (c >> 8) end
  return c ~ 0xFFFFFFFF
end

local function zlib_stored(bytes)
  local a, b, blocks = 1, 0, { "\x78\x01" }
  for i = 1, #bytes do
    a = (a + bytes:byte(i)) % 65521
    b = (b + a) % 65521
  end
  for i = 1, math.max(1, #bytes), 60000 do
    local piece = bytes:sub(i, i + 59999)
    blocks[#blocks + 1] = string.pack("<BI2I2", i + 60000 > #bytes and 1 or 0, #piece, #piece ~ 0xFFFF) .. piece
  end
  return table.concat(blocks) .. string.pack(">I4", b << 16 | a)
end

local function chunk(name, data)
  return string.pack(">I4", #data) .. name .. data .. string.pack(">I4", files.crc32(name .. data))
end

local SIGNATURE = "\x89PNG\r\n\x1a\n"
local function ihdr(w, h, depth, colour, interlaced)
  return chunk("IHDR", string.pack(">I4I4BBBBB", w, h, depth, colour, 0, 0, interlaced and 1 or 0))
end

--- A PNG that ends soon after its header.
function files.png_header(w, h, depth, colour)
  return SIGNATURE .. ihdr(w, h, depth, colour) .. chunk("IDAT", zlib_stored "abc") .. chunk("IEND", "")
end

-- The samples of pixel (x, y): values of 0 … 2^depth − 1.
local function samples_at(o, channels, x, y)
  if o.at then return { o.at(x, y) } end
  local list = {}
  for c = 1, channels do list[c] = (x * 7 + y * 13 + c * 29 + x * y) * 37 % (1 << o.depth) end
  return list
end

-- One row of pixels as the file packs them.
local function packed(o, channels, xs, y)
  local bytes, bits, count = {}, 0, 0
  for _, x in ipairs(xs) do
    for _, v in ipairs(samples_at(o, channels, x, y)) do
      if o.depth == 16 then
        bytes[#bytes + 1] = string.pack(">I2", v)
      else
        bits, count = bits << o.depth | v, count + o.depth
        if count == 8 then
          bytes[#bytes + 1] = string.char(bits)
          bits, count = 0, 0
        end
      end
    end
  end
  if count > 0 then bytes[#bytes + 1] = string.char(bits << (8 - count)) end
  return "\0" .. table.concat(bytes) -- filter 0
end

--- n zero bytes (1 more than a multiple of 2064) as zlib packs them 158-fold: a block of fixed codes, a literal 0 and
-- a match of 258 (with the header three bytes), then eight such matches of 13 bits in every 13 bytes.
function files.zlib_zeros(n)
  local function bytes(bits)
    return (bits:gsub(("."):rep(8), function(b) return string.char(tonumber(b:reverse(), 2)) end))
  end
  local match, groups = "11000101" .. "00000", (n - 1) // 2064
  local first, last = bytes("110" .. "00110000" .. match), match:rep(7) .. "0000000"
  last = last .. ("0"):rep(-#last % 8)
  return "\x78\x01" .. first .. bytes(match:rep(8)):rep(groups - 1) .. bytes(last)
    .. string.pack(">I4", n % 65521 << 16 | 1)
end

-- Adam7: first pixel and step in x and y of the seven passes.
local PASSES = {
  { 0, 0, 8, 8 }, { 4, 0, 8, 8 }, { 0, 4, 4, 8 }, { 2, 0, 4, 4 }, { 0, 2, 2, 4 }, { 1, 0, 2, 2 }, { 0, 1, 1, 2 },
}

local function pixel_rows(o, channels)
  local rows = {}
  for _, pass in ipairs(o.interlaced and PASSES or { { 0, 0, 1, 1 } }) do
    local xs = {}
    for x = pass[1], o.width - 1, pass[3] do xs[#xs + 1] = x end
    for y = pass[2], #xs > 0 and o.height - 1 or -1, pass[4] do rows[#rows + 1] = packed(o, channels, xs, y) end
  end
  return table.concat(rows)
end

local function palette_entry(i) return { i * 5 % 256, (255 - i) % 256, i * 91 % 256 } end

local function chunks(list)
  local out = {}
  for i, item in ipairs(list or {}) do out[i] = chunk(item[1], item[2]) end
  return table.concat(out)
end

--- png{ width, height, colour, depth, interlaced, at, before, after } → its bytes, and the uint8 H×W×3 that readers
-- must make of it. at(x, y): the samples of a pixel, from 0. before, after: chunks around the picture, { name, data }.
function files.png(o)
  local channels = ({ [0] = 1, [2] = 3, [3] = 1, [4] = 2, [6] = 4 })[o.colour]
  local palette = {}
  for i = 0, (1 << math.min(o.depth, 8)) - 1 do palette[i + 1] = string.char(table.unpack(palette_entry(i))) end
  local top, wanted = (1 << o.depth) - 1, {}
  for y = 0, o.height - 1 do
    wanted[y + 1] = {}
    for x = 0, o.width - 1 do
      local s = samples_at(o, channels, x, y)
      for c = 1, channels do s[c] = o.colour == 3 and s[c] or math.floor(s[c] * 255 / top + 0.5) end
      wanted[y + 1][x + 1] = o.colour == 3 and palette_entry(s[1]) or channels < 3 and { s[1], s[1], s[1] }
        or { s[1], s[2], s[3] }
    end
  end
  return SIGNATURE .. ihdr(o.width, o.height, o.depth, o.colour, o.interlaced)
    .. (o.colour == 3 and chunk("PLTE", table.concat(palette)) .. chunk("tRNS", "\0\128") or "")
    .. chunks(o.before) .. chunk("IDAT", zlib_stored(pixel_rows(o, channels))) .. chunks(o.after) .. chunk("IEND", ""),
    wanted
end

--- A .npy file: descr and shape as Python writes them. options: fortran, version (1), header (instead of all).
function files.npy(descr, shape, data, options)
  options = options or {}
  local header = options.header or ("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n"):format(descr,
    options.fortran and "True" or "False", shape)
  local version = options.version or 1
  return "\x93NUMPY" .. string.char(version, 0) .. string.pack(version == 1 and "<s2" or "<s4", header) .. data
end

--- A zip file of stored entries { name, bytes }. options: zip64 (sizes and offset there), comment, descriptor (local
-- sizes are 0), overlap (all entries point at the first), and lies: crc, method, flags, size.
function files.zip(entries, options)
  options = options or {}
  local body, directory, first = "", "", nil
  for _, entry in ipairs(entries) do
    local name, data, offset = entry[1], entry[2], #body
    local crc, flags = options.crc or files.crc32(data), (options.flags or 0) | (options.descriptor and 8 or 0)
    local size, packed_size = options.size or #data, #data
    local hidden = options.descriptor
    if not (options.overlap and first) then
      body = body .. string.pack("<I4I2I2I2I2I2I4I4I4I2I2", 0x04034b50, 45, flags, options.method or 0, 0, 0,
        hidden and 0 or crc, hidden and 0 or packed_size, hidden and 0 or size, #name, 0) .. name .. data
      if hidden then body = body .. string.pack("<I4I4I4I4", 0x08074b50, crc, packed_size, size) end
    end
    first = first or offset
    if options.overlap then offset = first end
    local extra, large = "", 0xFFFFFFFF
    if options.zip64 then extra = string.pack("<I2I2I8I8I8", 1, 24, size, packed_size, offset) end
    directory = directory .. string.pack("<I4I2I2I2I2I2I2I4I4I4I2I2I2I2I2I4I4", 0x02014b50, 45, 45, flags,
      options.method or 0, 0, 0, crc, options.zip64 and large or packed_size, options.zip64 and large or size, #name,
      #extra, 0, 0, 0, 0, options.zip64 and large or offset) .. name .. extra
  end
  local start, tail = #body, ""
  if options.zip64 then
    tail = string.pack("<I4I8I2I2I4I4I8I8I8I8", 0x06064b50, 44, 45, 45, 0, 0, #entries, #entries, #directory, start)
      .. string.pack("<I4I4I8I4", 0x07064b50, 0, start + #directory, 1)
  end
  local comment, wide = options.comment or "", options.zip64
  return body .. directory .. tail .. string.pack("<I4I2I2I2I2I4I4I2", 0x06054b50, 0, 0, wide and 0xFFFF or #entries,
    wide and 0xFFFF or #entries, wide and 0xFFFFFFFF or #directory, wide and 0xFFFFFFFF or start, #comment) .. comment
end

--- A block of EXIF data that tells an orientation, in either byte order.
function files.exif(orientation, big)
  return (big and "MM" or "II")
    .. string.pack((big and ">" or "<") .. "I2I4I2I2I2I4I2I2I4", 42, 8, 1, 0x112, 3, 1, orientation, 0, 0)
end

--- A JPEG with an EXIF orientation put in front, in either byte order.
function files.oriented(jpeg, orientation, big)
  local exif = "Exif\0\0" .. files.exif(orientation, big)
  return jpeg:sub(1, 2) .. "\xFF\xE1" .. string.pack(">I2", #exif + 2) .. exif .. jpeg:sub(3)
end

local function quantisers() return "\xFF\xD8\xFF\xDB" .. string.pack(">I2", 67) .. "\0" .. ("\1"):rep(64) end

--- A JPEG that ends with the header of its scan.
function files.jpeg_header(w, h, components)
  local frame, scan = string.pack(">BI2I2B", 8, h, w, components), string.char(components)
  for c = 1, components do
    frame = frame .. string.char(c, 0x11, 0)
    scan = scan .. string.char(c, 0)
  end
  scan = scan .. "\0\x3F\0"
  return quantisers() .. "\xFF\xC0" .. string.pack(">I2", #frame + 2) .. frame
    .. "\xFF\xDA" .. string.pack(">I2", #scan + 2) .. scan
end

--- A progressive grey JPEG of w×h, multiples of 64, with this many scans that say that all is the same.
function files.jpeg_scans(w, h, scans)
  local function table_of(class) return string.char(class << 4, 1) .. ("\0"):rep(15) .. "\0" end -- one code: 0
  local huffman = table_of(0) .. table_of(1)
  local list = {
    quantisers() .. "\xFF\xC2" .. string.pack(">I2BI2I2BBBB", 11, 8, h, w, 1, 1, 0x11, 0)
      .. "\xFF\xC4" .. string.pack(">I2", #huffman + 2) .. huffman,
  }
  for i = 1, scans do
    list[i + 1] = "\xFF\xDA" .. string.pack(">I2BBBBBB", 8, 1, 1, 0, i == 1 and 0 or 1, i == 1 and 0 or 63, 0)
      .. ("\0"):rep(w * h // 512)
  end
  return table.concat(list) .. "\xFF\xD9"
end

return files
