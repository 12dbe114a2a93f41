-- Pictures as tools write them: masks of every form, pictures of flow, EXIF in PNG files, and files that claim or cost
-- more than they are.
local core = require "cohesiv.core"
local co = require "cohesiv"
local make = require "tests.files"
local support = require "tests.support"

local folder = support.temp()
local function at(name) return folder .. "/" .. name end

local W, H = 24, 16
local function inside(x, y) return x >= 6 and x < 18 and y >= 4 and y < 12 end

-- A PNG of W×H: `unset` outside of the rectangle and `set` inside, each a list of samples; or at = function(x, y).
local function png(colour, depth, unset, set, more)
  local o = { width = W, height = H, colour = colour, depth = depth }
  function o.at(x, y) return table.unpack(inside(x, y) and set or unset) end
  for key, value in pairs(more or {}) do o[key] = value end
  return support.write(at "p.png", (make.png(o)))
end

local function grey(depth, pixel) return png(0, depth, nil, nil, { at = pixel }) end

local function rectangle(mask, what)
  assert.equal("uint8", mask.dtype, what)
  assert.same({ H, W }, mask.shape, what)
  for y, row in ipairs(mask:totable()) do
    for x, value in ipairs(row) do assert.equal(inside(x - 1, y - 1) and 1 or 0, value, what) end
  end
end

local function set(path) return co.image.mask(path):to("float32"):sum():item() end

describe("a mask", function()
  it("is any value but 0 where there are two", function()
    for _, c in ipairs {
      { "1 bit", 0, 1, { 0 }, { 1 } }, { "2 bits", 0, 2, { 0 }, { 1 } }, { "4 bits", 0, 4, { 0 }, { 7 } },
      { "0/1", 0, 8, { 0 }, { 1 } }, { "0/128", 0, 8, { 0 }, { 128 } }, { "0/127", 0, 8, { 0 }, { 127 } },
      { "0/255", 0, 8, { 0 }, { 255 } }, { "16 bits 0/1", 0, 16, { 0 }, { 1 } },
      { "16 bits 0/256", 0, 16, { 0 }, { 256 } }, { "16 bits 0/65535", 0, 16, { 0 }, { 65535 } },
      { "palette 0/1", 3, 8, { 0 }, { 1 } }, { "palette 0/9", 3, 8, { 0 }, { 9 } },
      { "palette of 1 bit", 3, 1, { 0 }, { 1 } }, { "palette of 4 bits", 3, 4, { 0 }, { 5 } },
      { "colours 0/1", 2, 8, { 0, 0, 0 }, { 1, 1, 1 } }, { "dark red", 2, 8, { 0, 0, 0 }, { 128, 0, 0 } },
      { "dark blue", 2, 16, { 0, 0, 0 }, { 0, 0, 3 } },
      { "grey, opaque", 4, 8, { 0, 255 }, { 1, 255 } }, { "grey, of one alpha", 4, 8, { 0, 90 }, { 255, 90 } },
      { "grey and alpha", 4, 8, { 0, 0 }, { 255, 255 } }, { "grey and alpha of 16 bits", 4, 16, { 0, 0 }, { 1, 9 } },
      { "in alpha, black", 4, 8, { 0, 0 }, { 0, 255 } }, { "in alpha, white", 4, 8, { 255, 0 }, { 255, 1 } },
      { "colour, opaque", 6, 8, { 0, 0, 0, 255 }, { 0, 200, 0, 255 } },
      { "in alpha of a colour", 6, 8, { 9, 9, 9, 0 }, { 9, 9, 9, 255 } },
      { "a cut-out", 6, 16, { 7, 0, 0, 0 }, { 9, 0, 0, 65535 } },
    } do
      for _, interlaced in ipairs { false, true } do
        rectangle(co.image.mask(png(c[2], c[3], c[4], c[5], { interlaced = interlaced })), c[1])
      end
    end
  end)

  it("is all or nothing where there is one", function()
    for _, c in ipairs {
      { 0, 1, { 0 }, 0 }, { 0, 1, { 1 }, 1 }, { 0, 8, { 0 }, 0 }, { 0, 8, { 1 }, 1 }, { 0, 8, { 255 }, 1 },
      { 0, 16, { 0 }, 0 }, { 0, 16, { 3 }, 1 }, { 3, 8, { 0 }, 0 }, { 3, 8, { 2 }, 1 }, { 2, 8, { 0, 0, 0 }, 0 },
      { 2, 8, { 0, 5, 0 }, 1 }, { 4, 8, { 0, 255 }, 0 }, { 4, 8, { 0, 0 }, 0 }, { 4, 8, { 1, 255 }, 1 },
    } do
      assert.equal(c[4] * W * H, set(png(c[1], c[2], c[3], c[3])), table.concat(c[3], ","))
    end
  end)

  it("of more values is refused with a list of them", function()
    local function labels(...)
      local list = { ... }
      return function(x) return list[x * #list // W + 1] end
    end
    for _, c in ipairs {
      { 0, 8, labels(0, 1, 2, 3), "expected a mask of two values, found 4: 0 1 2 3" },
      { 0, 8, labels(7, 0, 5), "expected a mask of two values, found 3: 0 5 7" },
      { 0, 8, labels(0, 128, 255), "found 3: 0 128 255" }, { 0, 8, labels(0, 1, 255), "found 3: 0 1 255" },
      { 0, 16, labels(0, 300, 65535), "found 3: 0 300 65535" }, { 0, 2, labels(0, 1, 2, 3), "found 4: 0 1 2 3" },
      { 3, 8, labels(0, 1, 2), "expected a mask of two values, found 3 of a palette: 0 1 2" },
      { 3, 8, labels(1, 2), "expected a mask of 0 and one other value, found 2 of a palette: 1 2" },
      { 0, 8, labels(1, 2), "expected a mask of 0 and one other value, found 2: 1 2" },
      { 0, 8, labels(128, 255), "found 2: 128 255" },
      { 0, 8, function(x, y) return (y * W + x) % 256 end, "found more than 32: 0 1 2" },
    } do
      support.raises(c[4], co.image.mask, png(c[1], c[2], nil, nil, { at = c[3] }))
    end
    support.raises("p.png: expected a mask of 0 and one other value, found 2: (0,1,0) (1,0,0)",
      co.image.mask, png(2, 8, { 0, 1, 0 }, { 1, 0, 0 }))
    support.raises("found 2: (0,255) (255,0)", co.image.mask, png(4, 8, { 0, 255 }, { 255, 0 }))
    support.raises("found 1: (255,0)", co.image.mask, png(4, 8, { 255, 0 }, { 255, 0 }))
    support.raises("found 3: (0,0,0) (0,128,0) (128,0,0)", co.image.mask, png(2, 8, nil, nil, {
      at = function(x)
        if x < 8 then return 0, 0, 0 end
        return x < 16 and 128 or 0, x < 16 and 0 or 128, 0
      end,
    }))
  end)

  -- Coverage of pixel (x, y) by a rectangle between pixels, times `top`: the seams of a resized mask.
  local function soft(top)
    local function along(a, low, high) return math.max(0, math.min(a + 1, high) - math.max(a, low)) end
    return function(x, y) return math.floor(top * along(x, 5.7, 17.9) * along(y, 4.4, 12.1) + 0.5) end
  end

  it("that was resized is set from half of the largest value on", function()
    local wanted = 0
    for y = 0, H - 1 do
      for x = 0, W - 1 do wanted = wanted + (soft(255)(x, y) >= 128 and 1 or 0) end
    end
    assert.is_true(wanted > 80)
    assert.equal(wanted, set(grey(8, soft(255))))
    assert.equal(wanted, set(grey(16, soft(65535))))
    local value = soft(255)
    local function red(x, y) return value(x, y), 0, 0 end
    local function all(x, y) return value(x, y), value(x, y), value(x, y) end
    local function alpha(x, y) return 40, 40, 40, value(x, y) end
    for colour, pixel in pairs { [2] = red, [6] = alpha } do
      assert.equal(wanted, set(png(colour, 8, nil, nil, { at = pixel })))
    end
    assert.equal(wanted, set(png(2, 8, nil, nil, { at = all })))
  end)

  it("with seams is none when something else is in it", function()
    local value = soft(255)
    local function with(label, x0, y0, size)
      return grey(8, function(x, y)
        return x >= x0 and x < x0 + size and y >= y0 and y < y0 + size and label or value(x, y)
      end)
    end
    support.raises("p.png: expected a mask of two values, found", co.image.mask, with(128, 0, 0, 3)) -- an area
    support.raises("found 3: 0 128 255", co.image.mask, -- one pixel alone
      grey(8, function(x, y) return x == 1 and y == 1 and 128 or inside(x, y) and 255 or 0 end))
    support.raises("found", co.image.mask, grey(8, function(x, y) return value(x, y) * 254 // 255 end)) -- no top
    support.raises("found 3: 0 127 254", co.image.mask, grey(8, function(x, y) return (x * 7 + y * 5) % 3 * 127 end))
    local noise = { 0, 128, 255 } -- no areas
    support.raises("found 3: 0 128 255", co.image.mask,
      grey(8, function(x, y) return noise[(x * 7 + y * 5) % 3 + 1] end))
    support.raises("of a palette", co.image.mask, png(3, 8, nil, nil, { at = value })) -- indices have no order
  end)

  it("is turned as pictures are", function()
    local function corner(x, y) return x < 3 and y < 2 and 1 or 0 end
    local mask = co.image.mask(png(0, 8, nil, nil, { at = corner, before = { { "eXIf", make.exif(6) } } }))
    assert.same({ W, H }, mask.shape)
    assert.equal(6, mask:to("float32"):sum():item())
    assert.equal(1, mask[{ 3, H }])
    assert.equal(1, mask[{ 1, H - 1 }])
  end)

  it("of the shared data is as it was", function()
    if not support.data then return end
    local list = core.io.list(support.data .. "/masks")
    for i = 1, #list, 5 do
      local clip = ("%s/masks/%s"):format(support.data, list[i])
      for _, name in ipairs(core.io.status(clip) == "folder" and core.io.list(clip) or {}) do
        if name:match "%.png$" then
          local stored = co.image.read(clip .. "/" .. name):select(3, 1):to "float32"
          local half = co.gt(stored, 127):to "uint8"
          assert.equal(0, support.difference(half, co.image.mask(clip .. "/" .. name)), name)
        end
      end
    end
  end)
end)

describe("a picture of flow", function()
  local read = core.io.flow_png_read

  it("has 16 bits and three channels", function()
    local path = png(2, 16, { 32768, 32768, 0 }, { 32768 + 128, 32768 - 64, 1 })
    local flow, known = read(path)
    assert.same({ H, W, 2 }, flow.shape)
    rectangle(known)
    assert.same({ 2, -1 }, flow[{ 6, 9 }]:totable())
    assert.same({ 0, 0 }, flow[{ 1, 1 }]:totable())
    local wanted = "p.png: expected a 16-bit picture of three channels (KITTI's flow), found "
    support.raises(wanted .. "8 bits", read, png(2, 8, { 200, 120, 255 }, { 9, 9, 9 }))
    support.raises(wanted .. "8 bits", read, png(3, 8, { 0 }, { 1 }))
    support.raises(wanted .. "1 bits", read, png(0, 1, { 0 }, { 1 }))
    support.raises(wanted .. "channels: 1", read, png(0, 16, { 0 }, { 1 }))
    support.raises(wanted .. "channels: 4", read, png(6, 16, { 0, 0, 1, 1 }, { 1, 1, 1, 1 }))
  end)

  it("tells with one value where it is known, and is not turned", function()
    support.raises("p.png: expected 0 and one other value in the third channel (known or not), found 5 and 7", read,
      png(2, 16, { 1, 1, 5 }, { 1, 1, 7 }))
    local _, known = read(png(2, 16, { 1, 1, 65535 }, { 1, 1, 65535 }))
    assert.equal(W * H, known:to("float32"):sum():item())
    local turned = { before = { { "eXIf", make.exif(3) } } }
    support.raises("p.png: expected an upright flow, found the EXIF orientation 3", read,
      png(2, 16, { 1, 1, 1 }, { 2, 1, 1 }, turned))
  end)
end)

describe("a .flo file", function()
  it("is as large as it says, whatever its sizes multiply to", function()
    -- 8 · 2147352580 · 1073807362 is 2^64 + 64
    for _, c in ipairs {
      { 7, 5, 36 }, { 7, -5, 35 }, { 2147352580, 1073807362, 8 }, { 1 << 30, (1 << 31) - 1, 0 }, { 0, 0, 0 },
    } do
      local header, bytes = string.pack("<fi4i4", 202021.25, c[1], c[2]), 8 * c[3]
      local path = support.write(at "x.flo", header .. ("\0"):rep(bytes))
      support.raises(("for a flow of %dx%d, found %d"):format(c[1], c[2], 12 + bytes), co.flow.read, path)
    end
  end)

  it("keeps what is no number: unknown flow", function()
    support.write(at "x.flo", string.pack("<fi4i4ffff", 202021.25, 2, 1, 0 / 0, 1, 1e10, -2))
    local flow = co.flow.read(at "x.flo")
    assert.is_true(flow[{ 1, 1, 1 }] ~= flow[{ 1, 1, 1 }])
    assert.equal(1, flow[{ 1, 1, 2 }])
    assert.equal(-2, flow[{ 1, 2, 2 }])
  end)
end)

describe("EXIF in a PNG file", function()
  local w, h = 5, 3
  local function pixel(x, y) return 10 * x + 1, 10 * y + 2, x * y end
  local function read(chunks, depth)
    local o = { width = w, height = h, colour = 2, depth = 8, at = pixel }
    for key, value in pairs(chunks) do o[key] = value end
    return co.image.read(support.write(at "o.png", (make.png(o))), { depth = depth })
  end
  -- Where pixel (x, y) of the turned picture is stored, by the definition of the tag (rows and columns that its first
  -- row and first column are).
  local stored = {
    function(x, y) return x, y end, function(x, y) return w - 1 - x, y end,
    function(x, y) return w - 1 - x, h - 1 - y end, function(x, y) return x, h - 1 - y end,
    function(x, y) return y, x end, function(x, y) return y, h - 1 - x end,
    function(x, y) return w - 1 - y, h - 1 - x end, function(x, y) return w - 1 - y, x end,
  }

  it("turns the picture, all eight ways, before and after the picture's data, in both byte orders", function()
    for orientation, from in ipairs(stored) do
      for _, where in ipairs { "before", "after" } do
        for _, big in ipairs { true, false } do
          for _, front in ipairs { "", "Exif\0\0" } do
            local wanted = {}
            for y = 1, orientation > 4 and w or h do
              wanted[y] = {}
              for x = 1, orientation > 4 and h or w do wanted[y][x] = { pixel(from(x - 1, y - 1)) } end
            end
            local chunks = { [where] = { { "eXIf", front .. make.exif(orientation, big) } } }
            assert.same(wanted, read(chunks):totable(), orientation .. where)
            assert.equal(257 * wanted[1][2][1], read(chunks, 16)[{ 1, 2, 1 }])
          end
        end
      end
    end
  end)

  it("is passed over when it is damaged", function()
    local good = make.exif(6, false)
    local list = { "", "II", "XX" .. good:sub(3), good:sub(1, 4) .. "\xFF\xFF\xFF\xFF" .. good:sub(9),
      good:sub(1, 4) .. "\x1A\0\0\0" .. good:sub(9), make.exif(0), make.exif(9), make.exif(77),
      (good:gsub("\x12\1\3\0", "\x12\1\2\0")) }
    for n = 0, 20 do list[#list + 1] = good:sub(1, n) end
    for i, exif in ipairs(list) do assert.same({ h, w, 3 }, read({ before = { { "eXIf", exif } } }).shape, i) end
    local path = support.write(at "o.png", (make.png { width = w, height = h, colour = 2, depth = 8,
      before = { { "eXIf", good } } }))
    assert.same({ w, h, 3 }, co.image.read(path).shape)
    local bytes = support.read(path)
    local place = bytes:find("eXIf", 1, true)
    support.write(path, bytes:sub(1, place + 26) .. "\7" .. bytes:sub(place + 28)) -- the checksum does not fit
    assert.same({ h, w, 3 }, co.image.read(path).shape)
  end)

  it("takes numbers of four bytes too, as JPEG's does", function()
    for _, big in ipairs { true, false } do
      local exif = make.exif(6, big):sub(1, 8)
        .. string.pack((big and ">" or "<") .. "I2I2I2I4I4I4", 1, 0x112, 4, 1, 6, 0)
      assert.same({ w, h, 3 }, read({ before = { { "eXIf", exif } } }).shape)
    end
  end)
end)

describe("a file that costs more than it is", function()
  -- What reading takes: seconds, and bytes above those in use before, in a process of its own.
  local script = support.write(at "cost.lua", [[
    local core = require "cohesiv.core"
    local read = arg[1]:match "jpg$" and core.io.jpeg_read or core.io.png_read
    local start, clock = core.system.memory().resident, os.clock()
    local ok, got = pcall(read, arg[1], arg[2])
    print(os.clock() - clock, core.system.memory().peak - start)
    print(ok and table.concat(got.shape, "x") or got)
  ]])
  local function cost(path, as)
    local r = support.cohesiv({ script, path, as }, { timeout = 120 })
    assert.equal(0, r.status, r.stderr)
    local seconds, bytes, result = r.stdout:match "^(%S+)%s+(%S+)\n(.*)\n$"
    return tonumber(seconds), tonumber(bytes), result
  end

  it("is not unpacked: texts and profiles of a PNG", function()
    local n = 2064 * 3800 + 1 -- 7.8 MB in 50 kB, below what libpng allows a chunk
    local zeros = make.zlib_zeros(n)
    local chunks = {}
    for i = 1, 20 do chunks[i] = { "zTXt", "k" .. i .. "\0\0" .. zeros } end
    for i = 21, 40 do chunks[i] = { "iTXt", "k" .. i .. "\0\1\0\0\0" .. zeros } end
    chunks[41] = { "iCCP", "k\0\0" .. zeros }
    for _, where in ipairs { "before", "after" } do
      local path = png(0, 8, { 0 }, { 255 }, { [where] = chunks })
      for _, as in ipairs { "rgb8", "rgb16", "mask" } do
        local seconds, bytes, result = cost(path, as)
        assert.is_truthy(result:find "^16x24", result)
        assert.is_true(bytes < 16e6 and seconds < 1, ("%g s, %g bytes"):format(seconds, bytes))
      end
    end
  end)

  it("is refused when its data are too few for its size", function()
    for _, size in ipairs { { 65535, 65535 }, { 16384, 16384 }, { 5000, 5000 }, { 1, 1 << 24 }, { 1 << 24, 1 } } do
      for _, colour in ipairs { 0, 2, 6 } do
        local path = support.write(at "claim.png", make.png_header(size[1], size[2], 8, colour))
        local _, bytes, result = cost(path)
        assert.is_truthy(result:find "claim.png: expected .* found .*", result)
        assert.is_true(bytes < 16e6, result .. bytes)
      end
    end
    -- bytes that are no picture do not count
    local header = make.png_header(5000, 5000, 8, 2)
    local text = "tEXtk\0" .. ("x"):rep(200000)
    local padded = header:sub(1, 33) .. string.pack(">I4", #text - 4) .. text .. string.pack(">I4", make.crc32(text))
      .. header:sub(34)
    local path = support.write(at "claim.png", padded)
    support.raises("expected a PNG of 5000x5000 pixels, found 14 bytes of data, too few for that", co.image.read, path)
    for _, size in ipairs { { 65500, 65500 }, { 16000, 16000 }, { 2000, 2000 } } do
      path = support.write(at "claim.jpg", make.jpeg_header(size[1], size[2], 3))
      local _, bytes, result = cost(path)
      assert.is_truthy(result:find "claim.jpg: expected .* found .*", result)
      assert.is_true(bytes < 16e6, result .. bytes)
    end
    support.raises("expected a JPEG of 2000x2000 pixels, found", co.image.read, path)
  end)

  it("is refused beyond 33 million pixels unless there is a byte for 64 of them", function()
    local function bomb(w, h) -- a grey picture of zeros, 158-fold
      local n = (w + 1) * h
      n = n + (1 - n) % 2064
      local plain = make.png_header(w, h, 8, 0)
      local data = "IDAT" .. make.zlib_zeros(n)
      return support.write(at "bomb.png", plain:sub(1, 33) .. string.pack(">I4", #data - 4) .. data
        .. string.pack(">I4", make.crc32(data)) .. "\0\0\0\0IEND\xAE\x42\x60\x82")
    end
    local _, bytes, result = cost(bomb(2063, 1000), "mask")
    assert.equal("1000x2063", result)
    assert.is_true(bytes < 16e6)
    _, bytes, result = cost(bomb(8191, 4098), "mask")
    assert.is_truthy(result:find "bomb.png: expected a PNG of 8191x4098 pixels, found %d+ bytes of data, too", result)
    assert.is_true(bytes < 16e6)
  end)

  it("is refused with more than 50 scans", function()
    local path = support.write(at "s.jpg", make.jpeg_scans(64, 128, 50))
    assert.same({ 128, 64, 3 }, co.image.read(path).shape)
    assert.equal(128, co.image.read(path)[{ 1, 1, 1 }])
    support.write(path, make.jpeg_scans(64, 128, 51))
    support.raises("s.jpg: expected a JPEG of at most 50 scans, found more", co.image.read, path)
    support.write(path, make.jpeg_scans(2048, 2048, 486))
    local seconds, bytes, result = cost(path)
    assert.is_truthy(result:find "at most 50 scans", result)
    assert.is_true(seconds < 5 and bytes < 2048 * 2048 * 9 + 16e6, seconds .. " s " .. bytes)
  end)
end)

describe("names and arguments of pictures", function()
  it("stay in one line", function()
    local line = support.raises("expected a .png, .jpg or .jpeg file, found .", co.image.read, "a\nb\27[1m.g\rif")
    assert.is_nil(line:find "%c")
    for _, name in ipairs { "no\nne.png", "no\27ne.jpg" } do
      assert.is_nil(support.raises("expected a readable file", co.image.read, at(name)):find "%c")
    end
    support.raises("expected depth 8 or 16, found text", co.image.read, "a.png", { depth = "text" })
    support.raises("expected rgb8, rgb16, mask or labels, found flow", core.io.png_read, "a.png", "flow")
    support.raises("expected a tensor", co.image.write, at "a.png", nil)
    support.raises("expected a tensor", co.image.write, at "a.png", 3)
  end)
end)
