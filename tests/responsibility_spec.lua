-- Responsibility maps: the reference values, made-up scenes with known motions, R:with, maps of clips.
local co = require "cohesiv"
local core = require "cohesiv.core"
local maps = require "cohesiv.motion.maps"
local support = require "tests.support"

local f64 = { dtype = "float64" }

-- A flow of W×H pixels: motion(x, y) → dx, dy.
local function flow_of(W, H, motion)
  local rows = {}
  for y = 0, H - 1 do
    local row = {}
    for x = 0, W - 1 do row[x + 1] = { motion(x, y) } end
    rows[y + 1] = row
  end
  return co.tensor(rows)
end

local function by_matrix(m, x, y)
  local w = m[3][1] * x + m[3][2] * y + m[3][3]
  return (m[1][1] * x + m[1][2] * y + m[1][3]) / w - x, (m[2][1] * x + m[2][2] * y + m[2][3]) / w - y
end

-- 21 vertices within a box
local function hand_at(x, y, size, seed)
  co.seed(seed or 1)
  return co.rand(21, 2, f64) * size + co.tensor({ x, y }, f64)
end

-- Two hands on discs that move by their own homographies, over a camera that moves by a third.
local W, H = 96, 64
local discs = { { 28, 30, 16, { { 1.02, 0.01, 3 }, { -0.02, 0.99, -4 }, { 1e-4, 0, 1 } } },
  { 68, 32, 14, { { 0.98, 0, -5 }, { 0.01, 1, 2.5 }, { 0, -1e-4, 1 } } } }
local camera = { { 1.01, 0.02, 1.5 }, { -0.02, 1.01, -0.5 }, { 2e-5, 1e-5, 1 } }

local function owner(x, y)
  for k, d in ipairs(discs) do
    if (x - d[1]) ^ 2 + (y - d[2]) ^ 2 < d[3] ^ 2 then return k end
  end
end

local function scene(moving)
  local flow = flow_of(W, H, function(x, y)
    local k = owner(x, y)
    if k then return by_matrix(discs[k][4], x, y) end
    if moving then return by_matrix(camera, x, y) end
    return 0, 0
  end)
  return { flows = { flow }, hands = { hand_at(24, 24, 8, 2), hand_at(64, 28, 8, 3) } }
end

local function sums_to_one(map)
  local sum = map:sum(3)
  assert.is_true((sum - 1):abs():max():item() < 1e-5)
  assert.is_true(map:min():item() >= 0)
end

describe("co.responsibility", function()
  support.data_it("equals the reference", function()
    local d = co.load(support.data .. "/reference/responsibility.npz")
    local R = co.responsibility { flows = d.flows, hands = d.hands }
    assert.is_true(support.difference(R.map, d.map) < 1e-6)
    local M = d.homographies:reshape { 6, 3, 3, 3 }
    assert.is_true(support.difference(R.homographies, M) < 1e-9)
    assert.is_true(support.difference(R:with({ temperature = 4 }).map, d.map_temperature_4) < 1e-6)
  end)

  it("gives each pixel to what moves it", function()
    local R = co.responsibility(scene(false))
    assert.same({ H, W, 3 }, R.map.shape)
    assert.same({ 1, 2, 3, 3 }, R.homographies.shape)
    assert.same({ 1, H, W, 3 }, R.residuals.shape)
    assert.same({ 1, H, W, 2 }, R.flows.shape)
    assert.same({ W, H }, R.size)
    assert.is_nil(R.background_homographies)
    sums_to_one(R.map)
    for _, at in ipairs { { 30, 30 }, { 70, 35 }, { 5, 5 }, { 28, 44 } } do
      local k = owner(at[1], at[2]) or 3
      local r = R.residuals[1][at[2] + 1][at[1] + 1]
      assert.is_true(r[k] < 1e-3)
      assert.equal(k, R.map[at[2] + 1][at[1] + 1]:argmax():item())
    end
  end)

  it("is the softmax of its residuals, averaged over gaps", function()
    local s = scene(true)
    s.flows[2] = s.flows[1] * 0.5
    s.temperature = 1.5
    local R = co.responsibility(s)
    local e = (R.residuals * (-1 / 1.5)):exp()
    local expected = (e / e:sum(4, true)):mean(1)
    assert.is_true(support.difference(expected, R.map) < 2e-6)
  end)

  it("fits a moving camera", function()
    local s = scene(true)
    local still = co.responsibility(s)
    s.background = "homography"
    local R = co.responsibility(s)
    assert.same({ 1, 3, 3 }, R.background_homographies.shape)
    local m = R.background_homographies[1]
    for i = 1, 3 do
      for j = 1, 3 do assert.near(camera[i][j], m[i][j], 1e-2) end
    end
    assert.is_true(R.map[3][3][3] > 0.8)
    assert.is_true(R.residuals[1][3][3][3] < 0.05)
    assert.is_true(still.residuals[1][3][3][3] > 1)
    sums_to_one(R.map)
  end)

  it("says nothing about an empty list of hands but background", function()
    for _, background in ipairs { "static", "homography" } do
      local R = co.responsibility { flows = scene(true).flows, hands = {}, background = background }
      assert.same({ H, W, 1 }, R.map.shape)
      assert.equal(1, R.map:min():item())
      assert.same({ 1, 0, 3, 3 }, R.homographies.shape)
      assert.equal(0, #R.quality)
      assert.equal(0, R.quality.score)
    end
  end)

  it("works on one pixel and one row", function()
    for _, size in ipairs { { 1, 1 }, { 7, 1 }, { 1, 9 }, { 17, 3 } } do
      for _, background in ipairs { "static", "homography" } do
        local R = co.responsibility { flows = { co.ones(size[2], size[1], 2) }, hands = { hand_at(0, 0, 5) },
          background = background }
        sums_to_one(R.map)
        assert.near(0, R.residuals[1][1][1][1], 1e-4)
        -- so few vectors determine no background, except those of the last size
        local moves = background == "static" or size[1] * size[2] < 24
        assert.near(moves and math.sqrt(2) or 0, R.residuals[1][1][1][2], 1e-4)
      end
    end
  end)

  it("gives what is beyond the horizon to the others, never NaN", function()
    -- w = 1 - x / 40 vanishes in column 40; the hand lies left of it
    local tilt = { { 1, 0, 0 }, { 0, 1, 0 }, { -1 / 40, 0, 1 } }
    local flow = flow_of(W, H, function(x, y)
      if x < 36 then return by_matrix(tilt, x, y) end
      return 0, 0
    end)
    local R = co.responsibility { flows = { flow }, hands = { hand_at(4, 20, 20) } }
    assert.near(-1 / 40, R.homographies[1][1][3][1], 1e-4)
    assert.equal(math.huge, R.residuals[1][10][60][1])
    assert.equal(0, R.map[10][60][1])
    assert.equal(1, R.map[10][60][2])
    assert.is_true(R.map[25][11][1] > 0.9)
    sums_to_one(R.map)
    -- a fit whose vertices lie on both sides is still a fit
    local both = co.tensor({ { 10, 10 }, { 20, 50 }, { 30, 20 }, { 15, 30 }, { 60, 20 }, { 80, 50 } }, f64)
    flow = flow_of(W, H, function(x, y)
      if x == 40 then return 0, 0 end
      return by_matrix(tilt, x, y)
    end)
    R = co.responsibility { flows = { flow }, hands = { both } }
    sums_to_one(R.map)
  end)

  it("keeps NaN and infinite flow to the background", function()
    local s = scene(false)
    s.flows[1][{ 1, 1, 1 }] = 0 / 0
    s.flows[1][{ 1, 2, 2 }] = math.huge
    local R = co.responsibility(s)
    assert.equal(1, R.map[1][1][3])
    assert.equal(1, R.map[1][2][3])
    sums_to_one(R.map)
  end)

  it("takes lists, stacked tensors, other dtypes, and records of hands", function()
    local s = scene(false)
    local R = co.responsibility(s)
    local stacked = co.responsibility { flows = co.stack(s.flows, 1), hands = co.stack(s.hands, 1) }
    assert.equal(0, support.difference(R.map, stacked.map))
    local records = co.responsibility { flows = { s.flows[1]:to "float64" },
      hands = { { vertices = s.hands[1] }, { vertices = s.hands[2] } } }
    assert.equal(0, support.difference(R.map, records.map))
  end)

  it("does not see later writes to what it was given", function()
    local s = scene(false)
    local R = co.responsibility(s)
    local before = R.map:clone()
    s.flows[1][{ {}, {}, {} }] = 9
    s.hands[1][{ {}, {} }] = 0
    assert.equal(0, support.difference(before, R:with({ temperature = 2 }).map))
  end)

  it("is the same on 1, 2 and 4 threads", function()
    local threads, found = co.threads(), {}
    for i, n in ipairs { 1, 2, 4 } do
      co.threads(n)
      local s = scene(true)
      s.background, s.closeness, s.fit = "homography", 1.5, { points = 300, robust = true }
      local R = co.responsibility(s)
      found[i] = { R.map, R.residuals, R.homographies, R.background_homographies }
    end
    co.threads(threads)
    for i = 2, 3 do
      for j = 1, 4 do assert.equal(0, support.difference(found[1][j], found[i][j])) end
    end
  end)

  it("fits robustly and with poorer models", function()
    local s = scene(false)
    local wild = s.hands[1]:clone()
    for i = 1, 6 do wild[{ i, 1 }] = 90 - i end
    local function error_of(fit)
      local R = co.responsibility { flows = s.flows, hands = { wild }, fit = fit }
      return R.residuals[1][31][29][1], R.quality[1]
    end
    local plain = error_of {}
    local robust, quality = error_of { robust = true }
    assert.is_true(plain > 0.05)
    assert.is_true(robust < 1e-3)
    assert.near(15 / 21, quality.inliers[1], 0.08)
    for _, model in ipairs { "affine", "similarity", "translation" } do
      assert.is_true(error_of { model = model, robust = true } < 0.5)
    end
  end)

  it("refuses degenerate hands, or falls back where asked", function()
    local s = scene(false)
    local line = co.tensor({ { 20, 20 }, { 24, 24 }, { 28, 28 }, { 32, 32 } }, f64)
    local three = co.tensor({ { 20, 20 }, { 24, 29 }, { 28, 21 } }, f64)
    for words, hand in pairs { ["found degenerate points"] = line, ["found 3"] = three } do
      local message = support.raises(words, co.responsibility, { flows = s.flows, hands = { s.hands[1], hand } })
      assert.truthy(message:find("hand 2, gap 1", 1, true))
    end
    local R = co.responsibility { flows = s.flows, hands = { s.hands[1], line, three }, fit = { fall_back = true } }
    assert.equal("homography", R.quality[1].model[1])
    assert.equal("similarity", R.quality[2].model[1])
    assert.equal("affine", R.quality[3].model[1])
    sums_to_one(R.map)
  end)

  it("falls with the distance from the hand's hull when closeness is given", function()
    local s = scene(false)
    local square = co.tensor({ { 20, 20 }, { 30, 20 }, { 30, 30 }, { 20, 30 }, { 25, 24 } }, f64)
    s.hands = { square }
    local plain = co.responsibility(s)
    local near = plain:with { closeness = 2 }
    for _, at in ipairs { { 25, 25, 0 }, { 40, 25, 10 }, { 33, 34, 5 }, { 20, 0, 20 } } do
      local before, after = plain.map[at[2] + 1][at[1] + 1][1], near.map[at[2] + 1][at[1] + 1][1]
      assert.near(before * math.exp(-at[3] / 20), after, 1e-6)
    end
    sums_to_one(near.map)
    s.closeness = 2
    assert.equal(0, support.difference(near.map, co.responsibility(s).map))
    assert.equal(0, support.difference(plain.map, near:with({ closeness = false }).map))
  end)

  it("tells the quality of each hand", function()
    local q = co.responsibility(scene(false)).quality
    assert.equal(2, #q)
    assert.is_true(q[1].error[1] < 1e-3)
    assert.is_true(q[1].motion[1] > 3)
    assert.equal(1, q[1].inliers[1])
    assert.near(math.pi * 16 ^ 2 / (W * H), q[1].share, 0.05)
  end)

  it("gives back all memory", function()
    support.no_leak(function()
      local s = scene(true)
      s.background = "homography"
      local R = co.responsibility(s)
      local _ = { R.residuals, R.flows, R.quality, R:with { temperature = 1, keep = { 2 } } }
      pcall(co.responsibility, { flows = s.flows, hands = { co.zeros(4, 2) } })
    end)
  end)

  it("lives on when its scope ends", function()
    local R
    R = co.tidy(function() return co.responsibility(scene(false)) end)
    co.tidy(function() return R.residuals, nil end)
    co.tidy(function() local _ = R.flows end)
    assert.same({ 1, H, W, 2 }, R.flows.shape)
    assert.is_true(R.flows:max():item() > 0)
  end)

  it("says what is wrong with the arguments", function()
    local s = scene(false)
    local function refuses(words, changes)
      local options = { flows = s.flows, hands = s.hands }
      for key, value in pairs(changes) do options[key] = value end
      support.raises(words, co.responsibility, options)
    end
    refuses("flows: expected a list of HxWx2 tensors or GxHxWx2, found number", { flows = 3 })
    refuses("flows: expected GxHxWx2 or a list, found shape 64x96x2", { flows = s.flows[1] })
    refuses("flows: expected at least one, found none", { flows = {} })
    refuses("flows[1]: expected a tensor of HxWx2, found number", { flows = { 1 } })
    refuses("flows[1]: expected shape HxWx2, found 64x96x3", { flows = { co.zeros(64, 96, 3) } })
    refuses("flows[2]: expected shape 64x96x2 as the first, found 10x10x2",
      { flows = { s.flows[1], co.zeros(10, 10, 2) } })
    refuses("hands[1]: expected a tensor of Vx2, found boolean", { hands = { true } })
    refuses("hands[1]: expected shape Vx2, found 21x3", { hands = { co.zeros(21, 3) } })
    refuses("hands[1]: vertex 2: expected finite coordinates", { hands = { co.tensor { { 1, 1 }, { 0 / 0, 1 } } } })
    refuses("temperature: expected pixels above 0, found 0", { temperature = 0 })
    refuses("temperature: expected pixels above 0, found hot", { temperature = "hot" })
    refuses("background: expected static, homography, epipolar or auto, found moving", { background = "moving" })
    refuses("closeness: expected hand sizes above 0, found -1", { closeness = -1 })
    refuses("found temprature", { temprature = 2 })
    refuses("model: expected homography, affine, similarity or translation, found plane", { fit = { model = "plane" } })
    refuses("content: expected 1x1 to 96x64 pixels, found 97x64", { content = { 97, 64 } })
    support.raises("expected a table of options, found nil", co.responsibility)
    local R = co.responsibility(s)
    support.raises("found gaps", R.with, R, { gaps = { 1 } })
    support.raises("keep: expected hands from 1 to 2, each once, found 3", R.with, R, { keep = { 3 } })
    support.raises("keep: expected hands from 1 to 2, each once, found 1", R.with, R, { keep = { 1, 1 } })
    support.raises("temperature: expected pixels above 0", R.with, R, { temperature = -1 })
  end)
end)

describe("R:with", function()
  it("equals a fresh computation", function()
    local s = scene(true)
    s.flows[2] = s.flows[1] * -1
    local R = co.responsibility(s)
    local function fresh(changes)
      local options = { flows = s.flows, hands = s.hands }
      for key, value in pairs(changes) do options[key] = value end
      return co.responsibility(options)
    end
    local function same(a, b)
      assert.equal(0, support.difference(a.map, b.map))
      assert.equal(0, support.difference(a.homographies, b.homographies))
      assert.equal(0, support.difference(a.residuals, b.residuals))
      assert.same(a.quality, b.quality)
    end
    same(fresh { temperature = 4 }, R:with { temperature = 4 })
    same(fresh { background = "homography" }, R:with { background = "homography" })
    same(fresh {}, R:with({ background = "homography" }):with { background = "static" })
    same(fresh { hands = { s.hands[2] } }, R:with { keep = { 2 } })
    same(fresh { hands = { s.hands[2], s.hands[1] }, temperature = 1 }, R:with { keep = { 2, 1 }, temperature = 1 })
    same(fresh { hands = { s.hands[1] } }, R:with({ keep = { 2, 1 } }):with { keep = { 2 } })
    local _ = R.residuals
    same(fresh { background = "homography", closeness = 1 }, R:with { background = "homography", closeness = 1 })
    assert.equal(0, support.difference(fresh({}).map, R.map), "R itself is not touched")
  end)

  it("can leave no hand", function()
    local R = co.responsibility(scene(true)):with { keep = {} }
    assert.same({ H, W, 1 }, R.map.shape)
    assert.equal(1, R.map:min():item())
  end)
end)

-- A clip of generated flow: hands that move by `speed` pixels a frame over a camera that moves by (1, 0).
local function fake_clip(speeds)
  local clip = { frames = 30, width = 192, height = 100, asked = {} }
  local centres = { { 40, 40 }, { 150, 60 } }
  function clip.hands(_, n)
    local list = {}
    for k in ipairs(speeds) do
      list[k] = { side = "right", score = 1,
        vertices = hand_at(centres[k][1] + speeds[k] * n, centres[k][2], 20, k):to "float32" }
    end
    return list
  end
  function clip.flow(_, n, gap, options)
    clip.asked[#clip.asked + 1] = gap
    local size = options.size
    local s = math.min(size[1] / clip.width, size[2] / clip.height)
    return flow_of(size[1], size[2], function(x, y)
      if x >= clip.width * s or y >= clip.height * s - 0.5 then return 0, 0 end
      for k in ipairs(speeds) do
        local cx, cy = (centres[k][1] + speeds[k] * n + 10) * s, (centres[k][2] + 10) * s
        if (x - cx) ^ 2 + (y - cy) ^ 2 < (26 * s) ^ 2 then return speeds[k] * gap * s, 0 end
      end
      return gap * s, 0
    end)
  end
  return clip
end

describe("clip:responsibility", function()
  local small = { 96, 64 }

  it("scales vertices to the size, and leaves padding to the background", function()
    local clip = fake_clip { 3 }
    local R = maps.responsibility(clip, 10, { size = small, gaps = { 1, -2 }, background = "homography" })
    assert.same({ 64, 96, 2 }, R.map.shape)
    assert.same({ 1, -2 }, R.gaps)
    assert.same(small, R.size)
    assert.near(1.5, R.homographies[1][1][1][3], 1e-3)
    assert.near(-3, R.homographies[2][1][1][3], 1e-3)
    assert.near(0.5, R.background_homographies[1][1][3], 0.01)
    assert.equal(1, R.map[60][50][2]) -- the content ends after row 50
    assert.equal(0, R.map[60][50][1])
    sums_to_one(R.map)
  end)

  it("leaves out gaps that leave the clip", function()
    local R = maps.responsibility(fake_clip { 2 }, 1, { size = small })
    assert.same({ -1, 1, 2, 3 }, R.gaps)
    support.raises("gaps: expected one within the clip's 30 frames, found none", maps.responsibility, fake_clip { 2 },
      0, { size = small, gaps = { -1 } })
  end)

  it("chooses gaps by motion, for each hand, and takes their union", function()
    -- against the camera, at half size: 2.2 and 0.6 pixels a frame
    local R = maps.responsibility(fake_clip { 5.4, 2.2 }, 14, { size = small, gaps = "motion" })
    assert.same({ -12, -6, -3, -2, 2, 3, 6, 12 }, R.gaps)
    R = maps.responsibility(fake_clip { 5.4 }, 14, { size = small, gaps = "motion" })
    assert.same({ -6, -3, -2, 2, 3, 6 }, R.gaps)
    R = maps.responsibility(fake_clip { 1.2 }, 8, { size = small, gaps = "motion" }) -- too slow for any gap
    assert.same({ -6, 6, 12 }, R.gaps)
    R = maps.responsibility(fake_clip {}, 8, { size = small, gaps = "motion" })
    assert.same({ -3, -2, -1, 1, 2, 3 }, R.gaps)
  end)

  it("takes the landmarks of the other frame as targets", function()
    local clip = fake_clip { 3 }
    local R = maps.responsibility(clip, 10, { size = small, gaps = { 2 }, targets = "landmarks",
      fit = { model = "translation" } })
    assert.near(3, R.homographies[1][1][1][3], 1e-4)
    local hands = clip.hands
    clip.hands = function(self, n) return n == 10 and hands(self, n) or {} end -- none there: by flow
    R = maps.responsibility(clip, 10, { size = small, gaps = { 2 }, targets = "landmarks" })
    assert.near(3, R.homographies[1][1][1][3], 1e-3)
  end)

  it("says what is wrong with the arguments", function()
    local clip = fake_clip { 3 }
    local function refuses(words, n, options) support.raises(words, maps.responsibility, clip, n, options) end
    refuses("frame: expected 0 to 29, found 30", 30)
    refuses("frame: expected 0 to 29, found 1.5", 1.5)
    refuses('gaps: expected a list or "motion", found all', 3, { gaps = "all" })
    refuses("gaps: expected integers other than 0, found 0", 3, { gaps = { 0 } })
    refuses("targets: expected flow or landmarks, found faces", 3, { targets = "faces" })
    refuses("size: expected", 3, { size = { 0, 1 } })
    refuses("found gap", 3, { gap = { 1 } })
    refuses("fall_back, model, points, robust, found modle", 3, { fit = { modle = "affine" } })
  end)

  support.data_it("works on a real clip", function()
    local clip = co.data(support.data):clip "cups"
    local R = clip:responsibility(126, { size = { 160, 96 }, background = "homography", temperature = 1 })
    local N = #clip:hands(126)
    assert.same({ 96, 160, N + 1 }, R.map.shape)
    sums_to_one(R.map)
    assert.is_true(R.quality[1].share < 0.6)
    clip:close()
  end)
end)

describe("sharpened maps", function()
  -- Two discs of speckled colours on a striped ground; the flow carries a halo of 5 pixels along.
  local function picture()
    local rows = {}
    co.seed(5)
    local noise = co.randn(H, W):totable()
    for y = 0, H - 1 do
      rows[y + 1] = {}
      for x = 0, W - 1 do
        local k, n = owner(x, y), 8 * noise[y + 1][x + 1]
        local colour = k == 1 and { 200, 140, 110 } or k == 2 and { 60, 90, 180 }
          or x // 6 % 2 == 0 and { 90, 110, 80 } or { 130, 130, 120 }
        for c = 1, 3 do colour[c] = math.max(0, math.min(255, math.floor(colour[c] + n + 0.5))) end
        rows[y + 1][x + 1] = colour
      end
    end
    return co.tensor(rows, { dtype = "uint8" })
  end
  local function haloed()
    return flow_of(W, H, function(x, y)
      for _, d in ipairs(discs) do
        if (x - d[1]) ^ 2 + (y - d[2]) ^ 2 < (d[3] + 5) ^ 2 then return by_matrix(d[4], x, y) end
      end
      return 0, 0
    end)
  end
  local function truth(k)
    return flow_of(W, H, function(x, y) return owner(x, y) == k and 1 or 0 end):reshape(H, W)
  end
  local function iou(map, k)
    local found, real = map:select(3, k):gt(0.5):to "float32", truth(k)
    return (found * real):sum():item() / co.maximum(found, real):sum():item()
  end
  local function given(changes)
    local of = { flows = { haloed() }, hands = scene().hands }
    for key, value in pairs(changes or {}) do of[key] = value end
    return co.responsibility(of)
  end

  for _, how in ipairs { "cut", "walker" } do
    it(("lose the halo (%s)"):format(how), function()
      local raw, sharp = given(), given { sharpen = how, picture = picture() }
      for k = 1, 2 do
        assert.is_true(iou(raw.map, k) < 0.65, ("raw: %g"):format(iou(raw.map, k)))
        assert.is_true(iou(sharp.map, k) > 0.88, ("sharpened: %g"):format(iou(sharp.map, k)))
      end
      sums_to_one(sharp.map)
      local back = sharp:with { sharpen = false }
      assert.equal(0, support.difference(raw.map, back.map))
      assert.equal(0, support.difference(sharp.map, back:with { sharpen = how }.map))
    end)

    it(("are the same on any number of threads, background where there is no picture (%s)"):format(how), function()
      local before, found = co.threads(), {}
      finally(function() co.threads(before) end)
      for _, threads in ipairs { 1, 3 } do
        co.threads(threads)
        found[threads] = given({ sharpen = how, picture = picture(), content = { 90, 60 } }).map
      end
      assert.equal(0, support.difference(found[1], found[3]))
      assert.equal(0, found[1][{ {}, { 91, W }, { 1, 2 } }]:max():item())
      assert.equal(1, found[1][{ { 61, H }, {}, 3 }]:min():item())
    end)

    it(("share out a pixel that two hands claim (%s)"):format(how), function()
      local disc, hand = truth(1), scene().hands[1]
      local map = co.stack({ disc * 0.45, disc * 0.45, 1 - disc * 0.9 }, 3)
      local both = { flows = { co.zeros(H, W, 2) }, hands = { hand, hand } }
      local sharp = core.responsibility.sharpen(both, picture(), map, how)
      sums_to_one(sharp)
      assert.is_true(iou(sharp + 0.01, 1) > 0.88) -- each is as sure as it may be: a half
      assert.equal(0, support.difference(sharp:select(3, 1), sharp:select(3, 2)))
    end)
  end

  it("by the better way where true or the frame alone is given", function()
    local sharp = given { sharpen = "cut", picture = picture() }
    assert.equal(0, support.difference(sharp.map, given({ sharpen = picture() }).map))
    assert.equal(0, support.difference(sharp.map, given({ sharpen = true, picture = picture }).map))
    assert.equal("cut", given({ sharpen = picture() }).sharpen)
  end)

  it("leave the hand its flesh where there is nothing else to learn from", function()
    local map = co.responsibility({ flows = { co.zeros(H, W, 2) }, hands = scene().hands, sharpen = picture() }).map
    for k, hand in ipairs(scene().hands) do
      local mine = map:select(3, k)
      assert.is_true(mine:max():item() > 0.9)
      local x, y = hand[{ {}, 1 }]:mean():item() // 1 | 0, hand[{ {}, 2 }]:mean():item() // 1 | 0
      local near = mine[{ { y - 8, y + 10 }, { x - 8, x + 10 } }]
      assert.equal(mine:sum():item(), near:sum():item())
    end
    assert.equal(1, map[{ H, W, 3 }])
  end)

  it("refuse what is not the frame", function()
    support.raises("sharpen: expected an image, found true", given, { sharpen = true })
    local small = co.zeros(4, 4, 3, { dtype = "uint8" })
    support.raises(("image: expected %dx%dx3"):format(H, W), given, { sharpen = small })
  end)
end)

describe("a background of depth", function()
  local F = 80
  -- What a camera that moves by (tx, ty, tz) sees of points at depth(x, y); the first disc moves otherwise.
  local function seen(depth, tx, ty, tz)
    co.seed(4)
    return flow_of(W, H, function(x, y)
      if owner(x, y) == 1 then return -3, 5 end
      local Z = depth(x, y)
      local X, Y = (x - W / 2) * Z / F, (y - H / 2) * Z / F
      return (X + tx) * F / (Z + tz) + W / 2 - x, (Y + ty) * F / (Z + tz) + H / 2 - y
    end) + co.randn(H, W, 2) * 0.1
  end
  local function blocks(x, y) return 4 + (x // 8 * 7 + y // 8 * 5) % 6 end
  local function slope(x) return 5 + x / 30 end
  local function given(flow, background)
    return co.responsibility { flows = { flow, flow * 1 }, hands = { hand_at(20, 22, 16, 2) }, temperature = 1,
      background = background, fit = { model = "translation" } }
  end

  it("is found by its fit, and told", function()
    for kind, flow in pairs { epipolar = seen(blocks, 0.4, 0.1, 0.3), homography = seen(slope, 0.4, 0.1, 0.3),
      static = seen(blocks, 0, 0, 0) } do
      local R = given(flow, "auto")
      assert.equal(kind, R.background)
      for other, cost in pairs(R.background_fit) do assert.is_true(other == kind or cost > R.background_fit[kind]) end
      assert.is_truthy(tostring(R):find(kind .. " background", 1, true))
      assert.equal(0, support.difference(R.map, given(flow, kind).map))
      assert.equal(0, support.difference(R.map, given(flow, "static"):with({ background = "auto" }).map))
    end
  end)

  it("has the Sampson distance to its epipolar geometry for residual", function()
    local flow = seen(blocks, 0.4, 0.1, 0.3)
    local R = given(flow, "epipolar")
    local f = R.fundamental[2]:totable()
    for _, at in ipairs { { 5, 6 }, { 80, 50 }, { 28, 30 } } do
      local x, y = at[1], at[2]
      local u, v = x + flow[{ y + 1, x + 1, 1 }], y + flow[{ y + 1, x + 1, 2 }]
      local a, b = {}, {}
      for i = 1, 3 do
        a[i] = f[i][1] * x + f[i][2] * y + f[i][3]
        b[i] = f[1][i] * u + f[2][i] * v + f[3][i]
      end
      local d = math.abs(a[1] * u + a[2] * v + a[3]) / math.sqrt(a[1] ^ 2 + a[2] ^ 2 + b[1] ^ 2 + b[2] ^ 2)
      assert.is_true(math.abs(d - R.residuals[{ 2, y + 1, x + 1, 2 }]) < 1e-4 * (1 + d))
    end
    assert.is_true(R.residuals[{ 1, 31, 29, 2 }] > 1.5) -- on the disc
    local still = R.residuals[{ 1, { 1, 8 }, { 1, W }, 2 }]
    assert.is_true(still:mean():item() < 0.2)
    sums_to_one(R.map)
    assert.is_true(R.quality.background_residual < 0.2)
    assert.is_nil(R.background_homographies)
    assert.equal(1, R.map[{ H, W, 2 }] > 0.5 and 1 or 0)
  end)

  it("is a static one where nothing determines it", function()
    local R = co.responsibility { flows = { co.ones(4, 4, 2) }, hands = {}, background = "epipolar" }
    assert.is_true(support.difference(R.residuals:select(4, 1), co.full(math.sqrt(2), 1, 4, 4)) < 1e-6)
  end)
end)

it("a score ranks clear maps over ambiguous ones", function()
  local good = co.responsibility { flows = { scene().flows[1] * 1 }, hands = scene().hands, temperature = 0.5 }
  local poor = co.responsibility { flows = { scene().flows[1] * 0.1 + co.randn(H, W, 2) }, hands = scene().hands,
    temperature = 0.5 }
  assert.is_true(good.quality.score > 0.8 and poor.quality.score < 0.5)
  for _, name in ipairs { "score", "hand_motion", "hand_residual", "background_residual", "contrast" } do
    assert.equal("number", type(good.quality[name]))
    assert.equal("number", type(good.quality[2][name]))
  end
  assert.is_true(good.quality.hand_motion > 2 * poor.quality.hand_motion)
  assert.is_true(good.quality.hand_residual < poor.quality.hand_residual)
end)

describe("the least cut", function()
  -- What a mask costs, as cut.h has it; edges as the colours give them.
  local function cost(colours, odds, smooth, mask)
    local h, w = #odds, #odds[1]
    local function difference(y, x, v, u)
      local d = 0
      for c = 1, 3 do d = d + (colours[y][x][c] - colours[v][u][c]) ^ 2 end
      return d
    end
    local function edges(visit)
      for y = 1, h do
        for x = 1, w do
          for _, way in ipairs { { 1, 0, 1 }, { 0, 1, 1 }, { 1, 1, math.sqrt(0.5) }, { -1, 1, math.sqrt(0.5) } } do
            local u, v = x + way[1], y + way[2]
            if u >= 1 and u <= w and v <= h then visit(y, x, v, u, difference(y, x, v, u), way[3]) end
          end
        end
      end
    end
    local sum, count, total = 0, 0, 0
    edges(function(_, _, _, _, d) sum, count = sum + d, count + 1 end)
    edges(function(y, x, v, u, d, near)
      if mask(y, x) ~= mask(v, u) then
        total = total + smooth * near * math.exp(-0.5 * d / (sum / count + 1))
      end
    end)
    for y = 1, h do
      for x = 1, w do
        if (odds[y][x] > 0) ~= mask(y, x) then total = total + math.abs(odds[y][x]) end
      end
    end
    return total
  end

  it("costs least of all masks of a small picture", function()
    for seed = 1, 6 do
      co.seed(seed)
      local h, w = 3, 4
      local colours, odds = co.rand(h, w, 3) * 255, co.randn(h, w) * 2
      local found = core.responsibility.cut(colours, odds, 1.5):totable()
      local c, o, least = colours:totable(), odds:totable(), math.huge
      for bits = 0, (1 << h * w) - 1 do
        least = math.min(least, cost(c, o, 1.5, function(y, x) return bits >> (y - 1) * w + x - 1 & 1 == 1 end))
      end
      local mine = cost(c, o, 1.5, function(y, x) return found[y][x] == 1 end)
      assert.is_true(mine < least + 0.05, ("seed %d: %g, least %g"):format(seed, mine, least))
    end
  end)

  it("is what the odds say without edges, and one piece with strong ones", function()
    co.seed(3)
    local odds, grey = co.randn(20, 30) + 0.4, co.full(9, 20, 30, 3)
    assert.equal(0, support.difference(odds:gt(0):to "float32", core.responsibility.cut(grey, odds, 0)))
    assert.equal(20 * 30, core.responsibility.cut(grey, odds, 50):sum():item())
    assert.equal(1, core.responsibility.cut(co.zeros(1, 1, 3), co.ones(1, 1), 9):item())
  end)

  it("refuses other sizes", function()
    support.raises("colours: expected the size of the odds", core.responsibility.cut, co.zeros(2, 2, 3), co.zeros(2, 3),
      1)
    support.raises("smooth: expected nats of 0 to 1000", core.responsibility.cut, co.zeros(2, 3, 3), co.zeros(2, 3), -1)
  end)
end)

it("points within a hand make its homography firm", function()
  -- landmarks of a hand in noisy flow: how far off the fit is, away from the hand
  local function off(points)
    local sum = 0
    for seed = 1, 8 do
      local hand = hand_at(20, 20, 20, seed)
      co.seed(100 + seed)
      local R = co.responsibility { flows = { co.randn(64, 96, 2) * 0.3 + 2 }, hands = { hand },
        fit = { points = points } }
      local dx, dy = by_matrix(R.homographies[1][1]:totable(), 48, 30)
      sum = sum + math.min(10, math.abs(dx - 2) + math.abs(dy - 2))
    end
    return sum / 8
  end
  local sparse, dense = off(0), off(500)
  assert.is_true(dense < sparse / 2, ("expected less than half of %g, found %g"):format(sparse, dense))
end)
