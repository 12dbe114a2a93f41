-- The evaluator on folders made here: split, tasks by hand-computed IoU, arms, detection, thresholds against slow
-- search, systems, JSON.

local co = require "cohesiv"
local calibrate = require "cohesiv.hands.calibrate"
local evaluate = require "cohesiv.hands.evaluate"
local evaluation = require "cohesiv.train.evaluation"
local image = require "cohesiv.tensor.image"
local json = require "cohesiv.base.json"
local metrics = require "cohesiv.hands.metrics"
local recipe = require "cohesiv.train.recipe"
local run = require "cohesiv.train.run"
local support = require "tests.support"

local base = require "experiments.cohesiv" { size = { 32, 32 }, calibrate = { steps = 20 } }

-- A filled rectangle of 1 in a mask of height × width (inclusive pixel bounds, from 0).
local function box(height, width, x0, y0, x1, y1)
  local mask = co.zeros(height, width, { dtype = "uint8" })
  mask[{ { y0 + 1, y1 + 1 }, { x0 + 1, x1 + 1 } }] = 1
  return mask
end

local HEIGHT, WIDTH = 24, 32

-- A data folder of clips of three frames with masks on frame 1. clips[name] = list of
-- { query, hand = box or nil, object, arm, detected = box of the detection or nil }, boxes as { x0, y0, x1, y1 }.
local function folder_of(clips)
  local folder = support.temp()
  os.execute(("cd %s && mkdir -p clips masks hands_json"):format(support.quote(folder)))
  for name, queries in pairs(clips) do
    os.execute(("cd %s && mkdir -p clips/%s masks/%s"):format(support.quote(folder), name, name))
    for n = 0, 2 do
      local frame = co.full(90, HEIGHT, WIDTH, 3, { dtype = "uint8" })
      image.write(("%s/clips/%s/%06d.png"):format(folder, name, n), frame)
    end
    local listed, hands = {}, {}
    for k, q in ipairs(queries) do
      listed[k] = { query = q.query, side = "right", object = q.object and "box" or json.null }
      for _, kind in ipairs { "hand", "object", "arm" } do
        if q[kind] then
          image.write(("%s/masks/%s/000001_%s%d.png"):format(folder, name, kind, k),
            box(HEIGHT, WIDTH, table.unpack(q[kind])), { depth = 1 })
        end
      end
      local d = q.detected
      if d then
        hands[#hands + 1] = { side = "right", score = 1, box = d,
          vertices = { { d[1], d[2] }, { d[3], d[2] }, { d[1], d[4] }, { d[3], d[4] } } }
      end
    end
    json.write(folder .. "/masks/" .. name .. "/queries.json",
      { width = WIDTH, height = HEIGHT, frames = { ["1"] = listed } })
    json.write(folder .. "/hands_json/" .. name .. ".json",
      { width = WIDTH, height = HEIGHT, frames = { hands, hands, hands } })
  end
  return folder
end

local one = {
  a = { { query = { 6, 6 }, hand = { 4, 4, 9, 9 }, object = { 10, 4, 15, 9 }, arm = { 0, 4, 5, 9 },
          detected = { 3, 3, 10, 10 } } },
  b = { { query = { 6, 6 }, hand = { 4, 4, 9, 9 }, detected = { 3, 3, 10, 10 } },
        { query = { 20, 12 }, hand = { 18, 10, 23, 15 }, object = { 24, 10, 29, 15 } } },
}

-- A system that always answers the same maps.
local function fixed(goals, answer) return { goals = goals, answer = function() return answer end } end

local function as_map(mask) return mask:to "float32" end

describe("the split", function()
  it("alternates over annotated clips by name", function()
    local clips = {}
    for _, name in ipairs { "b", "a", "B", "c", "a1" } do clips[name] = one.a end
    local data = co.data(folder_of(clips))
    local calibration, reported = evaluate.split(data)
    assert.are.same({ "B", "a1", "c" }, calibration)
    assert.are.same({ "a", "b" }, reported)
  end)
end)

describe("the four tasks", function()
  it("are what one counts by hand", function()
    local data = co.data(folder_of(one))
    local hand, object = box(HEIGHT, WIDTH, 4, 4, 9, 9), box(HEIGHT, WIDTH, 10, 4, 12, 9)
    local grids = { { 0.5 } }
    local goals = { hand = { task = "Hand", grids = grids }, object = { task = "Obj", grids = grids } }
    local system = fixed(goals, { hand = { { as_map(hand) }, { as_map(hand) } },
      object = { { as_map(object) }, { as_map(object) } } })
    local result = evaluate.score(system, { hand = { 0.5 }, object = { 0.5 } }, data, { "a", "b" })
    local got = {}
    for _, row in ipairs(result.rows) do got[row.clip .. (row.q or "") .. row.task] = row.iou end
    -- a: the arm (columns 0..5) takes columns 4 and 5 from the hand. Object 6×6, predicted 3×6.
    assert.are.equal(1, got.a1Hand)
    assert.are.equal(0.5, got.a1Obj)
    assert.are.equal((24 + 18) / (24 + 36), got.a1Pair)
    assert.are.equal(got.a1Pair, got.aAll)
    -- b: query 1 holds nothing; query 2's hand and object are elsewhere.
    assert.is_nil(got.b1Obj)
    assert.are.same({ 1, 0, 0, 0 }, { got.b1Hand, got.b2Hand, got.b2Obj, got.b2Pair })
    assert.are.equal(36 / 54, got.b1Pair)
    assert.are.equal(36 / (36 + 18 + 72), got.bAll)
    local s = result.summary
    assert.are.same({ 2, 3, 3, 2 }, { s.All.n, s.Pair.n, s.Hand.n, s.Obj.n })
    assert.is_true(math.abs(s.Hand.mean - 200 / 3) < 1e-9 and math.abs(s.Obj.mean - 25) < 1e-9)
    assert.is_true(s.Hand.low <= s.Hand.mean and s.Hand.mean <= s.Hand.high)
  end)

  it("count a query without an answer as empty", function()
    local data = co.data(folder_of(one))
    local goals = { Pair = { task = "Pair", grids = { { 0.5 } } }, All = { task = "All", grids = { { 0.5 } } } }
    local hand = as_map(box(HEIGHT, WIDTH, 18, 10, 23, 15))
    local result = evaluate.score(fixed(goals, { Pair = { nil, { hand } }, All = { { hand } } }),
      { Pair = { 0.5 }, All = { 0.5 } }, data, { "b" })
    assert.are.equal(25, result.summary.Pair.mean) -- (0 + 36/72) / 2
    assert.are.equal(2, result.summary.Pair.n)
    assert.is_nil(result.summary.Hand)
  end)
end)

describe("the detected hand of a query", function()
  it("is the one whose box holds it, the nearest vertex mean of several, none else", function()
    local function hand(x0, y0, x1, y1)
      return { box = { x0, y0, x1, y1 }, vertices = co.tensor { { x0, y0 }, { x1, y1 } } }
    end
    local clip = { hands = function() return { hand(0, 0, 10, 10), hand(4, 4, 8, 8), hand(20, 0, 30, 10) } end }
    local frame = { n = 0, queries = { { 6, 6 }, { 1, 1 }, { 20, 10 }, { 15, 5 } } }
    assert.are.same({ 2, 1, 3, false }, evaluate.detected(clip, frame))
  end)
end)

describe("the threshold search", function()
  it("finds what trying every pair of thresholds finds", function()
    co.seed(4)
    local data = co.data(folder_of(one))
    local names, maps = data.annotated, {}
    for i = 1, 4 do maps[i] = co.rand(32, 32) end -- of the scaled frame: 32×24 content, padded to 32×32
    local grids = { metrics.grid(0, 1, 7), metrics.grid(0, 1, 5) }
    local system = fixed({ hand = { task = "Hand", grids = grids }, object = { task = "Obj", grids = grids } },
      { hand = { { maps[1], maps[2] }, { maps[2], maps[3] } },
        object = { { maps[3], maps[4] }, { maps[1], maps[4] } } })
    local found, reached = calibrate.search(system, data, names)
    for key, task in pairs { hand = "Hand", object = "Obj" } do
      local best = -1
      for _, t1 in ipairs(grids[1]) do
        for _, t2 in ipairs(grids[2]) do
          local thresholds = { hand = { 0, 0 }, object = { 0, 0 } }
          thresholds[key] = { t1, t2 }
          best = math.max(best, evaluate.score(system, thresholds, data, names).summary[task].mean)
        end
      end
      assert.is_true(math.abs(best - reached[key]) < 1e-4)
      assert.is_true(math.abs(evaluate.score(system, found, data, names).summary[task].mean - best) < 1e-4)
    end
  end)
end)

describe("a system without training", function()
  local folder = folder_of { a = one.a, b = one.b, c = one.a, d = one.b }

  it("calibrates on its own folder and reports the other half", function()
    local made = run.create(base { name = "disc", system = "disc", data = folder }, { root = support.temp() })
    local result = evaluation.full(made)
    assert.are.same({ "b", "d" }, result.names)
    assert.are.same({ "a", "c" }, made:calibration().calibrated_on)
    assert.are.equal(4, result.summary.Pair.n)
    -- Again, from the folder on disk: the same numbers; another folder: every clip of it.
    local again = co.evaluate(run.open(made.path))
    assert.are.same(result.summary.Hand, again.Hand)
    assert.are.equal(6, co.evaluate(run.open(made.path), folder_of { x = one.b, y = one.b, z = one.b }).Hand.n)
  end)

  it("calibrates and reports on the folders that its recipe names", function()
    local made = evaluation.untrained(base { system = "disc", data = folder,
      calibrate = { data = folder_of { p = one.a } }, evaluate = { data = folder_of { q = one.b, r = one.a } } })
    assert.are.same({ "q", "r" }, evaluation.full(made).names)
    assert.are.same({ "p" }, made:calibration().calibrated_on)
    assert.are.same({ "a", "b", "c", "d" }, evaluation.full(made, folder).names)
    assert.are.same({ "q", "r" }, evaluation.full(made, nil, { all = true }).names)
  end)

  it("gives the disc's best radius", function()
    -- A hand of 6×6 pixels around (6.5, 6.5), query (6, 6): every radius is tried by slow search.
    local data = co.data(folder)
    local system = evaluate.system(evaluation.untrained(base { system = "disc" }))
    local _, reached = calibrate.search(system, data, { "a" })
    local truth, best = evaluate.truth(data, evaluate.frames(data, { "a" })[1]), 0
    for _, t in ipairs(metrics.grid(-0.5, 0, 20)) do
      local disc = metrics.over(metrics.disc(6, 6, WIDTH, HEIGHT), t)
      best = math.max(best, metrics.iou(disc, truth.hand[1], truth.ignore))
    end
    assert.is_true(math.abs(100 * best - reached.Hand) < 1e-4)
  end)

  it("runs for every baseline that ships, on still frames without failing", function()
    for _, name in ipairs { "saliency", "flow", "thresholded_responsibility", "disc" } do
      local r = recipe.load(support.root .. "/experiments/" .. name .. ".lua", { "size=32,32" })
      r.data = folder
      local s = evaluation.full(evaluation.untrained(r)).summary
      assert.is_true(s.Pair.mean >= 0 and s.Pair.mean <= 100 and s.Pair.n == 4, name)
    end
  end)

  it("says what is missing", function()
    local function message(f, ...)
      local ok, text = pcall(f, ...)
      assert.is_false(ok)
      return text
    end
    local bare = evaluation.untrained(base { system = "disc" })
    assert.is_truthy(message(evaluation.full, bare):find("expected data=PATH", 1, true))
    local empty = folder_of {}
    assert.is_truthy(message(evaluation.full, evaluation.untrained(base { system = "disc", data = empty }))
      :find("expected clips with masks", 1, true))
    os.remove(folder .. "/masks/d/000001_hand1.png")
    assert.is_truthy(message(evaluation.full, evaluation.untrained(base { system = "disc", data = folder }))
      :find("masks/d/000001_hand1.png: expected the hand mask of query 1 of frame 1, found none", 1, true))
  end)
end)

describe("real masks", function()
  if support.small then return pending "give the disc of the method's anchor: a small run" end
  support.data_it("give the disc of the method's anchor: 36, 35, 53, 13 per cent", function()
    local r = require "experiments.cohesiv" { system = "disc", data = support.data }
    local s = evaluation.full(evaluation.untrained(r), nil, { all = true }).summary
    assert.are.same({ 42, 60, 60, 55 }, { s.All.n, s.Pair.n, s.Hand.n, s.Obj.n })
    for task, percent in pairs { All = 36, Pair = 35, Hand = 53, Obj = 13 } do
      assert.is_true(math.abs(s[task].mean - percent) < 0.6, task)
    end
  end)
end)
