-- Refined masks: a soft, displaced answer is brought to the outline of what the picture shows; calibration chooses
-- where that helps, and the thresholds say so to predict, the evaluator and the weights' file.
local co = require "cohesiv"
local core = require "cohesiv.core"
local calibrate, evaluate = require "cohesiv.hands.calibrate", require "cohesiv.hands.evaluate"
local metrics, refine = require "cohesiv.hands.metrics", require "cohesiv.hands.refine"
local support = require "tests.support"

local H, W = 72, 96

local function distance(x, y, h, w)
  return ((co.arange(w or W):reshape(1, w or W) - x) ^ 2 + (co.arange(h or H):reshape(h or H, 1) - y) ^ 2):sqrt()
end

-- A noisy red disc on noisy green ground, and its mask.
local function disc(x, y, r, h, w)
  h, w = h or H, w or W
  local inside = co.lt(distance(x, y, h, w), r):to("float32"):reshape(h, w, 1)
  local ground, flesh = co.tensor({ 60, 140, 70 }):reshape(1, 1, 3), co.tensor({ 200, 90, 60 }):reshape(1, 1, 3)
  local picture = ground * (1 - inside) + flesh * inside + co.randn(h, w, 3) * 8
  return (picture:clamp(0, 255)):to "uint8", inside:reshape(h, w):to "uint8"
end

describe("a refined mask", function()
  it("follows the outline of the picture, whatever the answer's halo", function()
    co.seed(5)
    local picture, truth = disc(40, 30, 14)
    for _, answer in ipairs { { 40, 30, 20 }, { 44, 33, 15 }, { 38, 28, 10 } } do -- a halo; displaced; too small
      local odds = (answer[3] - distance(answer[1], answer[2])) * 0.4
      local before = metrics.iou(odds:gt(0):to "uint8", truth)
      local after = metrics.iou(core.responsibility.refine(picture, odds):to "uint8", truth)
      assert.is_true(before < 0.75 and after > 0.97, ("%.3f %.3f"):format(before, after))
    end
  end)

  it("stays within its domain, and is what the odds say where nothing can be learnt", function()
    co.seed(6)
    local picture, truth = disc(40, 30, 14)
    local odds = (20 - distance(40, 30)) * 0.4
    local left = co.lt(co.arange(W), 40):to("uint8"):reshape(1, W):expand(H, W):contiguous()
    local half = core.responsibility.refine(picture, odds, left)
    assert.equal(0, (half * (1 - left:to "float32")):sum():item())
    assert.is_true(metrics.iou(half:to "uint8", (truth:to "float32" * left:to "float32"):to "uint8") > 0.95)
    local none = core.responsibility.refine(picture, odds - 100)
    assert.equal(0, none:sum():item())
    local all = core.responsibility.refine(picture, odds * 0 + 5) -- no ground to learn from
    assert.equal(H * W, all:sum():item())
    local point = odds * 0 - 5
    point[{ 10, 10 }] = 5 -- no colours to learn from
    assert.equal(1, core.responsibility.refine(picture, point):sum():item())
    assert.equal(1, core.responsibility.refine(co.zeros(1, 1, 3, { dtype = "uint8" }), co.ones(1, 1)):item())
  end)

  it("is the same for any number of threads, and refuses other sizes", function()
    co.seed(7)
    local picture, odds = disc(40, 30, 14), (20 - distance(42, 30)) * 0.4
    local one = core.responsibility.refine(picture, odds)
    local threads = co.threads()
    co.threads(1)
    assert.equal(0, support.difference(one, core.responsibility.refine(picture, odds)))
    co.threads(threads)
    support.raises("image: expected the size of the odds 10x10", core.responsibility.refine, picture, co.zeros(10, 10))
    support.raises("domain: expected the size of the odds", core.responsibility.refine, picture, odds,
      co.zeros(3, 3, { dtype = "uint8" }))
  end)

  it("of a large picture is refined at 640 pixels, of its own size again", function()
    co.seed(8)
    local picture, truth = disc(500, 300, 150, 720, 1280)
    local attention = ((220 - distance(500, 300, 720, 1280)) * 0.02 + 0.5):clamp(0, 1)
    local score = attention * 0 + 0.9
    local t, how = { 0.5, 0.5, 0 }, { score = "posterior" }
    local plain = refine.mask(picture, score, attention, { 0.5, 0.5 }, how)
    local mask = refine.mask(picture, score, attention, t, how)
    assert.same({ 720, 1280 }, mask.shape)
    assert.is_true(metrics.iou(plain, truth) < 0.5 and metrics.iou(mask, truth) > 0.97)
  end)
end)

describe("calibration", function()
  -- A system whose answers have a halo where `halo` is true, and are noise elsewhere, on two frames of discs.
  local pictures, truths = {}, {}
  co.seed(9)
  for n = 1, 2 do pictures[n], truths[n] = disc(30 + 8 * n, 30, 14) end
  local frames = {}
  for n = 1, 2 do frames[n] = { clip = "a", n = n, queries = { { 30 + 8 * n, 30 } } } end
  local data = { path = "discs", annotated = { "a" } }

  local function search(how, score_of)
    local grids = { metrics.grid(0, 1, 20), metrics.grid(0, 1, 20) }
    local system = { goals = { hand = { task = "Hand", grids = grids } }, refine = how }
    local each = evaluate.each
    evaluate.each = function(_, _, _, _, visit)
      for n, frame in ipairs(frames) do
        local own = truths[n]
        local truth = { hand = { own }, object = {}, pair = { own }, all = own, height = H, width = W }
        visit(frame, { picture = pictures[n], hand = { { score_of(n), score_of(n) } } }, truth)
      end
      return #frames
    end
    local ok, thresholds, reached = pcall(calibrate.search, system, data, { "a" }, { ask = true })
    evaluate.each = each
    assert(ok, thresholds)
    return thresholds.hand, reached.hand
  end

  local function displaced(n) return ((18 - distance(36 + 8 * n, 34)) * 0.05 + 0.5):clamp(0, 1) end

  it("refines where that is better, by thresholds of refined masks", function()
    local plain, before = search(nil, displaced)
    assert.equal(2, #plain)
    local refined, after = search({ score = "posterior" }, displaced)
    assert.equal(3, #refined)
    local among = false
    for _, row in ipairs(refine.candidates(plain, { score = "posterior" })) do
      for _, t in ipairs(row) do among = among or t[1] == refined[1] and t[2] == refined[2] end
    end
    assert.is_true(among)
    assert.is_true(before < 80 and after > 95, ("%g %g"):format(before, after))
  end)

  it("chooses among thresholds of cosines, too, with and without attention", function()
    local grid = refine.candidates({ 0.2 }, { score = "cosine", scale = 10 })
    assert.same({ 1, 9, { 0.2, -1, 0 } }, { #grid, #grid[1], grid[1][5] })
    assert.is_true(math.abs(grid[1][7][1] - 0.14) < 1e-9) -- odds that are raised are a threshold that is lower
    grid = refine.candidates({ 0.5, 0.5 }, { score = "posterior" })
    local function logit(p) return math.log(p / (1 - p)) end
    assert.same({ 3, 9, { 0.5, 0.5, 0 } }, { #grid, #grid[1], grid[2][5] })
    assert.is_true(math.abs(logit(grid[2][7][1]) + 0.6) < 1e-9 and grid[2][7][2] == 0.5)
    assert.is_true(math.abs(logit(grid[3][5][2]) + 1.2) < 1e-9 and grid[3][5][1] == 0.5)
  end)

  it("leaves masks alone that are better as they are", function()
    -- The truth's own outline is not the picture's: colours mislead.
    for n = 1, 2 do truths[n] = co.lt(distance(30 + 8 * n, 30), 22):to "uint8" end
    local exact = function(n) return truths[n]:to "float32" * 0.6 + 0.2 end
    local t, reached = search({ score = "posterior" }, exact)
    assert.equal(2, #t)
    assert.equal(100, reached)
  end)
end)
