-- Responsibility maps: the reference values, made-up scenes with known motions, R:with, maps of clips.
local co = require "cohesiv"
local maps = require "cohesiv.motion.maps"
local discs_of = require "tests.discs"
local support = require "tests.support"

local f64, W, H, camera = discs_of.f64, discs_of.W, discs_of.H, discs_of.camera
local flow_of, by_matrix, hand_at = discs_of.flow_of, discs_of.by_matrix, discs_of.hand_at
local owner, scene, sums_to_one = discs_of.owner, discs_of.scene, discs_of.sums_to_one

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
