-- co.flow.estimate, the forward-backward check, and person masks: generated pictures with known motion, tiny and odd
-- sizes, threads and instruction sets, real pairs.
local co = require "cohesiv"
local core = require "cohesiv.core"
local support = require "tests.support"

-- Smooth random texture, h×w: random grids of several sizes, enlarged bilinearly by matrices.
local function enlarger(from, to, shift)
  local rows = {}
  for i = 1, to do
    local row, p = {}, (i - 1 + shift) * (from - 2) / to
    local k, f = math.floor(p), p - math.floor(p)
    for j = 1, from do row[j] = j == k + 1 and 1 - f or j == k + 2 and f or 0 end
    rows[i] = row
  end
  return co.tensor(rows)
end

local function texture(h, w, dx, dy, seed)
  co.seed(seed or 3)
  local sum = co.zeros(h, w)
  for _, cell in ipairs { 6, 11, 24 } do
    local gh, gw = h // cell + 6, w // cell + 6
    local grid = co.rand(gh, gw) - 0.5
    -- a border of two cells on every side, so that shifts stay inside
    sum = sum + enlarger(gh, h, 20 - dy):matmul(grid):matmul(enlarger(gw, w, 20 - dx):transpose(1, 2))
  end
  return ((sum * 110 + 128):clamp(0, 255) + 0.5):to "uint8"
end

-- Mean end-point error against a constant or a tensor, `margin` pixels inside the border.
local function error_of(flow, truth, margin)
  local h, w = flow.shape[1], flow.shape[2]
  local d = flow - truth
  if margin > 0 then d = d[{ { 1 + margin, h - margin }, { 1 + margin, w - margin } }] end
  return (d * d):sum(3):sqrt():mean():item()
end

local function constant(h, w, dx, dy)
  return co.stack({ co.full(dx, h, w), co.full(dy, h, w) }, 3)
end

local function same(a, b) return co.eq(a, b):min():item() == 1 end

local function noise(h, w, ...) return (co.rand(h, w, ...) * 255):to "uint8" end

describe("co.flow.estimate", function()
  it("finds translations, whole and broken, grey and in colour", function()
    local h, w = 120, 160
    local still = texture(h, w, 0, 0)
    for _, move in ipairs { { 3, 0 }, { -2, 5 }, { 0.5, -0.25 }, { 11, 7 } } do
      local moved = texture(h, w, move[1], move[2])
      local flow = co.flow.estimate(still, moved)
      assert.same({ h, w, 2 }, flow.shape)
      assert.equal("float32", flow.dtype)
      local off = error_of(flow, constant(h, w, move[1], move[2]), 16)
      assert.is_true(off < 0.1, ("moved by %g, %g: error %g"):format(move[1], move[2], off))
    end
    local rgb = still:reshape { h, w, 1 }:expand { h, w, 3 }
    local moved = texture(h, w, 3, 0):reshape { h, w, 1 }:expand { h, w, 3 }
    assert.is_true(error_of(co.flow.estimate(rgb, moved), constant(h, w, 3, 0), 16) < 0.1)
  end)

  it("treats x and y alike: the flow of transposed pictures is the transposed flow", function()
    local a, b = texture(120, 160, 0, 0), texture(120, 160, 3, 1)
    local flow = co.flow.estimate(a, b)
    local other = co.flow.estimate(a:transpose(1, 2), b:transpose(1, 2)):transpose(1, 2)
    for c = 1, 2 do
      local off = (flow:select(3, c) - other:select(3, 3 - c)):abs():mean():item()
      assert.is_true(off < 5e-4, ("component %d: %g"):format(c, off))
    end
  end)

  it("finds an enlargement", function()
    -- The second picture shows the first, s times as large about the corner: flow = (s - 1) (x, y).
    local h, w, s = 120, 160, 1.05
    co.seed(5)
    local grid = co.rand(h // 6 + 6, w // 6 + 6)
    local function view(scale)
      local function matrix(from, to)
        local rows = {}
        for i = 1, to do
          local row, p = {}, ((i - 1) / scale) / 6
          local k, f = math.floor(p), p - math.floor(p)
          for j = 1, from do row[j] = j == k + 1 and 1 - f or j == k + 2 and f or 0 end
          rows[i] = row
        end
        return co.tensor(rows)
      end
      local y, x = matrix(grid.shape[1], h), matrix(grid.shape[2], w)
      return (y:matmul(grid):matmul(x:transpose(1, 2)) * 255):to "uint8"
    end
    local x = co.arange(0, w):reshape { 1, w }:expand { h, w } * (s - 1)
    local y = co.arange(0, h):reshape { h, 1 }:expand { h, w } * (s - 1)
    local truth = co.stack({ x, y }, 3):to "float32"
    local off = error_of(co.flow.estimate(view(1), view(s)), truth, 12)
    assert.is_true(off < 0.15, "error " .. off)
  end)

  it("is zero between equal pictures, whatever their size", function()
    for _, size in ipairs { { 1, 1 }, { 1, 7 }, { 9, 1 }, { 8, 8 }, { 33, 47 }, { 65, 130 } } do
      co.seed(1)
      local a = noise(size[1], size[2])
      local flow = co.flow.estimate(a, a)
      assert.same({ size[1], size[2], 2 }, flow.shape)
      assert.equal(0, flow:abs():max():item())
    end
  end)

  it("stays finite between pictures that have nothing in common, at any size", function()
    for _, size in ipairs { { 1, 1 }, { 1, 40 }, { 2, 3 }, { 7, 9 }, { 16, 15 }, { 31, 64 }, { 97, 61 } } do
      co.seed(2)
      local a, b = noise(size[1], size[2], 3), noise(size[1], size[2], 3)
      local flow, valid = co.flow.estimate(a, b, { check = true })
      assert.is_true(flow:abs():max():item() < 1000) -- false for NaN too
      assert.same({ size[1], size[2] }, valid.shape)
    end
  end)

  it("gives the same bits on 1, 2 and 4 threads", function()
    local before = co.threads()
    co.seed(4)
    for _, size in ipairs { { 131, 203 }, { 40, 37 } } do
      local a, b = noise(size[1], size[2]), noise(size[1], size[2])
      if size[1] > 100 then a, b = texture(size[1], size[2], 0, 0), texture(size[1], size[2], 6, -4) end
      co.threads(1)
      local one, mask = co.flow.estimate(a, b, { check = true })
      for _, n in ipairs { 2, 4 } do
        co.threads(n)
        local many, again = co.flow.estimate(a, b, { check = true })
        assert.is_true(same(one, many))
        assert.is_true(same(mask, again))
      end
    end
    co.threads(before)
  end)

  it("hardly depends on the instruction set", function()
    local script = [[
      local co = require "cohesiv"
      co.seed(8)
      local h, w = 96, 144
      local blocks = (co.rand(h // 4, 1, w // 4 + 2, 1) * 255):expand { h // 4, 4, w // 4 + 2, 4 }:reshape { h, w + 8 }
      local a, b = blocks[{ {}, { 4, w + 3 } }]:to "uint8", blocks[{ {}, { 1, w } }]:to "uint8"
      local f = co.flow.estimate(a, b)[{ { 13, h - 12 }, { 13, w - 12 } }]
      io.write(("%.6f %.6f"):format(f:select(3, 1):mean():item(), f:select(3, 2):abs():mean():item()))]]
    local path = support.write(support.temp() .. "/isa.lua", script)
    for _, set in ipairs { "portable", "avx2", "avx512" } do -- one that the CPU lacks falls back to the best it has
      local r = support.cohesiv({ path }, { env = { COHESIV_ISA = set } })
      assert.equal(0, r.status, r.stderr)
      local u, v = r.stdout:match "^(%S+) (%S+)"
      assert.is_true(math.abs(tonumber(u) - 3) < 0.05, set .. ": " .. r.stdout)
      assert.is_true(tonumber(v) < 0.05, set .. ": " .. r.stdout)
    end
  end)

  it("returns memory", function()
    local a, b = texture(60, 90, 0, 0), texture(60, 90, 2, 1)
    support.no_leak(function() co.flow.estimate(a, b, { check = true }) end)
  end)

  it("refuses what is no pair of pictures in one line", function()
    local a = co.zeros(4, 5, { dtype = "uint8" })
    support.raises("first image: expected", co.flow.estimate, 3, a)
    support.raises("float32", co.flow.estimate, co.zeros(4, 5), a)
    support.raises("expected HxWx3 or HxW, found 4x5x2", co.flow.estimate, co.zeros(4, 5, 2, { dtype = "uint8" }), a)
    support.raises("expected two images of one shape, found 4x5 and 5x4", co.flow.estimate, a,
      co.zeros(5, 4, { dtype = "uint8" }))
    support.raises("expected images of 1x1", co.flow.estimate, co.zeros(0, 5, { dtype = "uint8" }),
      co.zeros(0, 5, { dtype = "uint8" }))
    support.raises("expected a method out of dis, raft_large, raft_small, found raft9", co.flow.estimate, a, a,
      { method = "raft9" })
    support.raises("iterations: expected a method with weights beside it, found dis", co.flow.estimate, a, a,
      { iterations = 3 })
    support.raises("found chekc", co.flow.estimate, a, a, { chekc = true })
    support.raises("expected a table of options, found string", co.flow.estimate, a, a, "dis")
  end)

  support.data_it("is as good as OpenCV's medium preset on FlyingChairs", function()
    local function mean_error(first, second, truth)
      local folder = support.data .. "/flow/"
      local flow = co.flow.estimate(co.image.read(folder .. first), co.image.read(folder .. second))
      return error_of(flow, co.flow.read(folder .. truth), 0)
    end
    for _, pair in ipairs {
      { "fn2tf_0img0.png", "fn2tf_0img1.png", "fn2tf_0flow.flo", 1.76 },
      { "spynet_00001_img1.png", "spynet_00001_img2.png", "spynet_00001_flow.flo", 2.72 },
      { "spynet_00002_img1.png", "spynet_00002_img2.png", "spynet_00002_flow.flo", 0.64 },
    } do
      local found = mean_error(pair[1], pair[2], pair[3])
      assert.is_true(found <= pair[4] + 0.05, ("%s: expected %g, found %g"):format(pair[3], pair[4], found))
    end
  end)
end)

describe("the forward-backward check", function()
  it("holds for flows that undo each other, and not outside", function()
    local h, w = 20, 30
    local valid = co.flow.check(constant(h, w, 4, -2), constant(h, w, -4, 2))
    local rows = valid:totable()
    for y = 1, h do
      for x = 1, w do
        local inside = x - 1 + 4 <= w - 1 and y - 1 - 2 >= 0
        assert.equal(inside and 1 or 0, rows[y][x], ("at %d, %d"):format(x - 1, y - 1))
      end
    end
    assert.equal(0, co.flow.check(constant(h, w, 4, 0), constant(h, w, 0, 0)):max():item())
    assert.equal(1, co.flow.check(constant(h, w, 4, 0), constant(h, w, 0, 0), 0, 17):max():item())
  end)

  it("finds what a moving thing covers", function()
    -- A textured square moves to the right by 8 over a textured background at rest: what it comes to cover has no
    -- counterpart.
    local h, w = 96, 128
    local back, thing = texture(h, w, 0, 0, 11), texture(h, w, 0, 0, 12)
    local function scene(at)
      local image = back:clone()
      image[{ { 30, 69 }, { at, at + 39 } }] = thing[{ { 30, 69 }, { 30, 69 } }]
      return image
    end
    local _, valid = co.flow.estimate(scene(30), scene(38), { check = true })
    local covered = valid[{ { 36, 63 }, { 71, 76 } }]:to("float32"):mean():item()
    local rest = valid[{ { 5, 90 }, { 90, 120 } }]:to("float32"):mean():item()
    local inside = valid[{ { 36, 63 }, { 36, 60 } }]:to("float32"):mean():item()
    assert.is_true(covered < 0.4, "covered: " .. covered)
    assert.is_true(rest > 0.95, "background: " .. rest)
    assert.is_true(inside > 0.95, "thing: " .. inside)
  end)

  it("treats what is not finite as invalid, and refuses bad arguments", function()
    local bad = constant(3, 3, 0 / 0, math.huge)
    assert.equal(0, co.flow.check(bad, bad):max():item())
    support.raises("expected HxWx2", co.flow.check, co.zeros(3, 3, 3), bad)
    support.raises("one shape", co.flow.check, bad, constant(3, 4, 0, 0))
    support.raises("at least 0", co.flow.check, bad, bad, -1)
  end)
end)

describe("core.flow.person", function()
  -- A hand with its fingers to the left and the forearm leaving the picture on the right, on grey.
  local joints = { { 150, 100 }, { 135, 82 }, { 120, 70 }, { 108, 62 }, { 98, 56 } }
  for finger = 0, 3 do
    for k = 0, 3 do joints[#joints + 1] = { 104 - 13 * k, 82 + 12 * finger } end
  end
  local hand = co.tensor(joints)

  -- The picture and the truth: what lies within `radius` of the bones, the palm, or the forearm is skin.
  local function scene(w)
    local truth, image, h = {}, {}, 200
    local bones = { { 1, 2 }, { 2, 3 }, { 3, 4 }, { 4, 5 } }
    for f = 0, 3 do
      bones[#bones + 1] = { 1, 6 + 4 * f }
      for k = 0, 2 do bones[#bones + 1] = { 6 + 4 * f + k, 7 + 4 * f + k } end
    end
    co.seed(6)
    local grain = (co.rand(h, w) * 12):totable()
    for y = 0, h - 1 do
      local t, row = {}, {}
      for x = 0, w - 1 do
        local inside = x >= 145 and math.abs(y - 100) < 17
        for _, bone in ipairs(bones) do
          local a, b = joints[bone[1]], joints[bone[2]]
          local dx, dy, px, py = b[1] - a[1], b[2] - a[2], x - a[1], y - a[2]
          local s = math.max(0, math.min(1, (px * dx + py * dy) / (dx * dx + dy * dy)))
          inside = inside or (px - s * dx) ^ 2 + (py - s * dy) ^ 2 < (bone[1] == 1 and 64 or 25)
        end
        local g = grain[y + 1][x + 1]
        t[x + 1] = inside and 1 or 0
        row[x + 1] = inside and { 190 + g, 140 + g, 115 + g } or { 90 + g, 100 + g, 110 + g }
      end
      truth[y + 1], image[y + 1] = t, row
    end
    return co.tensor(image):to "uint8", co.tensor(truth)
  end

  local function overlap(mask, truth)
    local m = co.gt(mask:to "float32", 0):to "float32"
    return ((m * truth):sum() / (m + truth - m * truth):sum()):item()
  end

  it("covers a hand and its forearm, and hardly more", function()
    local image, truth = scene(280)
    local mask = core.flow.person(image, { hand })
    assert.same({ 200, 280 }, mask.shape)
    assert.equal("uint8", mask.dtype)
    local iou = overlap(mask, truth)
    assert.is_true(iou > 0.85, "IoU " .. iou)
    local values = co.eq(mask, 0):to "float32" + co.eq(mask, 255):to "float32"
    assert.equal(1, values:min():item())
  end)

  it("treats the three colours alike", function()
    local _, truth = scene(280)
    co.seed(7)
    -- hand and surroundings differ in how their colours vary, each differently, more than in the colours themselves
    local function coloured(mean, spread)
      return co.randn(200, 280, 3):matmul(co.tensor(spread)) + co.tensor(mean)
    end
    local hand_colours = coloured({ 150, 120, 130 }, { { 20, 4, 2 }, { 0, 9, 1 }, { 0, 0, 3 } })
    local rest = coloured({ 120, 125, 120 }, { { 4, 1, 8 }, { 0, 10, 2 }, { 0, 0, 22 } })
    local t = truth:reshape { 200, 280, 1 }
    local image = ((hand_colours * t + rest * (1 - t)):clamp(0, 255)):to "uint8"
    local mask = core.flow.person(image, { hand })
    assert.is_true(overlap(mask, truth) > 0.7, "IoU " .. overlap(mask, truth))
    for _, order in ipairs { { 2, 3, 1 }, { 3, 2, 1 } } do
      local planes = {}
      for i, c in ipairs(order) do planes[i] = image:select(3, c) end
      local other = core.flow.person(co.stack(planes, 3), { hand })
      local alike = overlap(mask, co.gt(other:to "float32", 0):to "float32")
      assert.is_true(alike > 0.999, "IoU of the two masks " .. alike)
    end
  end)

  it("takes points of any number as a hull", function()
    local image = scene(280)
    co.seed(9)
    local dense = co.rand(300, 2) * co.tensor { 60, 40 } + co.tensor { 92, 80 }
    local mask = core.flow.person(image, { dense })
    assert.equal(255, mask[{ 101, 121 }])
    assert.equal(0, mask[{ 11, 11 }])
    for _, points in ipairs { co.tensor { { 120, 100 } }, co.tensor { { 120, 100 }, { 125, 100 } } } do
      assert.same({ 200, 280 }, core.flow.person(image, { points }).shape)
    end
  end)

  it("is empty without hands and with hands far outside", function()
    local image = scene(280)
    assert.equal(0, core.flow.person(image, {}):max():item())
    assert.equal(0, core.flow.person(image, { hand + 5000 }):max():item())
    assert.same({ 1, 1 }, core.flow.person(co.zeros(1, 1, 3, { dtype = "uint8" }), { hand }).shape)
  end)

  it("gives the same bits on 1, 2 and 4 threads, and returns memory", function()
    local before = co.threads()
    local image = scene(230)
    co.threads(1)
    local one = core.flow.person(image, { hand, hand + 20 })
    for _, n in ipairs { 2, 4 } do
      co.threads(n)
      assert.is_true(same(one, core.flow.person(image, { hand, hand + 20 })))
    end
    co.threads(before)
    support.no_leak(function() core.flow.person(image, { hand }) end)
  end)

  it("refuses bad arguments in one line", function()
    local image = co.zeros(8, 8, 3, { dtype = "uint8" })
    support.raises("expected HxWx3", core.flow.person, co.zeros(8, 8, 4, { dtype = "uint8" }), {})
    support.raises("expected a list of tensors, found no value", core.flow.person, image)
    support.raises("hand 1: expected Vx2 points, found 21x3", core.flow.person, image, { co.zeros(21, 3) })
    support.raises("finite", core.flow.person, image, { co.full(0 / 0, 21, 2) })
  end)

  support.data_it("covers the hands of a real frame", function()
    local weights = os.getenv "COHESIV_WEIGHTS"
    core.system.setenv("COHESIV_WEIGHTS", support.temp()) -- a trained segmenter would come first
    finally(function() core.system.setenv("COHESIV_WEIGHTS", weights) end)
    local frames, n = co.clip(support.data .. "/clips/cups.mp4"), 126
    local at = { size = { 448, 256 } }
    local mask = frames:person(n, at):to "float32"
    local truth = co.zeros(720, 1280)
    for k = 1, 2 do
      for _, kind in ipairs { "hand", "arm" } do
        local path = ("%s/masks/cups/%06d_%s%d.png"):format(support.data, n, kind, k)
        truth = truth + co.gt(core.io.png_read(path, "mask"), 0):to "float32"
      end
    end
    -- both at a quarter of the frame's pixels a side or so: compare at the frame's own, nearest pixel
    local scale, rows, cols = 448 / 1280, {}, {}
    for y = 1, 720 do rows[y] = math.min(255, math.floor((y - 0.5) * scale)) end
    for x = 1, 1280 do cols[x] = math.min(447, math.floor((x - 0.5) * scale)) end
    local m, t, both, either = mask:totable(), truth:totable(), 0, 0
    for y = 1, 720 do
      for x = 1, 1280 do
        local p, q = m[rows[y] + 1][cols[x] + 1] > 0, t[y][x] > 0
        if p and q then both = both + 1 end
        if p or q then either = either + 1 end
      end
    end
    assert.is_true(both / either > 0.7, "IoU " .. both / either)
  end)
end)
