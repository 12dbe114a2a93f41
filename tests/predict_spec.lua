-- model:predict and trained systems in the evaluator, on a tiny network with random weights.

local calibrate = require "cohesiv.hands.calibrate"
local co = require "cohesiv"
local evaluate = require "cohesiv.hands.evaluate"
local evaluation = require "cohesiv.train.evaluation"
local image = require "cohesiv.tensor.image"
local json = require "cohesiv.base.json"
local metrics = require "cohesiv.hands.metrics"
local predict = require "cohesiv.hands.predict"
local report_run = require "cohesiv.tools.report_run"
local run_folder = require "cohesiv.train.run"
local support = require "tests.support"

local base = require "experiments.cohesiv" {
  name = "tiny", size = { 64, 64 }, calibrate = { steps = 10 },
  model = { encoder = "mobilenet_v2", decoder_widths = { 8, 8, 8, 8, 8 }, embedding_dim = 6, attention_dim = 6 },
}
local thresholds = { object = { 0.1, 0.2 }, hand = { -0.2, 0.2 } }

-- A run with random weights and random means, as training would leave it.
local function tiny_run(changes)
  local run = run_folder.create(base(changes or {}), { root = support.temp() })
  local options = {}
  for k, v in pairs(run.recipe.model) do options[k] = v end
  co.seed(3)
  local model = co.model(options)
  model:eval()
  local function mean() return co.randn(6):totable() end
  local means = { object = mean(), person = mean() }
  if run.recipe.calibrate.score == "posterior" then means.background = mean() end
  run:set_calibration { means = means, thresholds = thresholds }
  model:save(run:file "best.safetensors")
  return run
end

local run = tiny_run()
local model = run:model()
co.seed(9)
local picture = (co.rand(45, 80, 3) * 255):to "uint8"

local function has(part, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.is_nil(message:find "\n")
  assert.is_truthy(message:find(part, 1, true), message)
end

describe("model:predict", function()
  it("answers every query with maps and masks of the image's own size, from one forward pass", function()
    local passes, forward = 0, model.forward
    model.forward = function(...)
      passes = passes + 1
      return forward(...)
    end
    local list = model:predict(picture, { { 10, 20 }, { 79, 44 }, { 0, 0 } })
    model.forward = forward
    assert.are.same({ 3, 1 }, { #list, passes })
    for _, p in ipairs(list) do
      for _, name in ipairs { "attention", "objectness", "personness" } do
        assert.are.same({ 45, 80 }, p[name].shape)
        assert.are.equal("float32", p[name].dtype)
      end
      for _, name in ipairs { "hand", "object", "pair", "contact" } do
        assert.are.same({ 45, 80 }, p[name].shape)
        assert.are.equal("uint8", p[name].dtype)
      end
      assert.is_true(p.attention:min():item() >= 0 and p.attention:max():item() <= 1)
      assert.is_true(p.objectness:abs():max():item() <= 1.0001)
      assert.are.same(metrics.over(p.objectness, 0.1, p.attention, 0.2):totable(), p.object:totable())
      assert.are.same(metrics.over(p.personness, -0.2, p.attention, 0.2):totable(), p.hand:totable())
      assert.are.same(metrics.union { p.hand, p.object }:totable(), p.pair:totable())
      assert.are.same(metrics.contact(p.hand, p.object):totable(), p.contact:totable())
    end
    assert.are.same(list[2].attention:totable(), model:predict(picture, { { 79, 44 } })[1].attention:totable())
  end)

  it("is the network's own output where nothing is scaled", function()
    local square = (co.rand(64, 64, 3) * 255):to "uint8"
    local out = co.no_grad(model.forward, model, square)
    local p = model:predict(square, { { 20, 10 } })[1]
    local q, k = out.Q[11][21], out.K[31][41]
    local a = math.max(0, math.min(1, (q * k):sum():item()))
    assert.is_true(math.abs(a - p.attention[31][41]) < 1e-5)
    local mean, z = co.tensor(model.embeddings.object), out.Z[31][41]
    local cosine = (z * mean):sum():item() / math.sqrt((z * z):sum():item() * (mean * mean):sum():item())
    assert.is_true(math.abs(cosine - p.objectness[31][41]) < 1e-5)
  end)

  it("takes other thresholds, and keeps what it needs with the weights", function()
    local all = model:predict(picture, { { 3, 3 } }, { thresholds = { object = { -2, -1 }, hand = { 2, 2 } } })[1]
    assert.are.same({ 45 * 80, 0 }, { all.object:to("float32"):sum():item(), all.hand:to("float32"):sum():item() })
    local path = support.temp() .. "/w.safetensors"
    model:save(path)
    local options = {}
    for k, v in pairs(base.model) do options[k] = v end
    local again = co.model(options)
    again:load(path)
    again:eval()
    assert.are.same(model:predict(picture, { { 9, 9 } })[1].object:totable(),
      again:predict(picture, { { 9, 9 } })[1].object:totable())
  end)

  it("says in one line what is wrong", function()
    has("expected a point inside the image of 80 x 45, found 80, 3", model.predict, model, picture, { { 80, 3 } })
    has("expected query 1 as {x, y}", model.predict, model, picture, { 3 })
    has("expected a uint8 image HxWx3, found float32", model.predict, model, co.rand(4, 4, 3), { { 1, 1 } })
    local options = {}
    for k, v in pairs(base.model) do options[k] = v end
    local fresh = co.model(options)
    has("expected thresholds", fresh.predict, fresh, picture, { { 1, 1 } })
    has("expected a model with mean embeddings", fresh.predict, fresh, picture, { { 1, 1 } },
      { thresholds = thresholds })
    has("expected a list of queries", predict.predict, model, picture, nil)
  end)
end)

describe("a second look", function()
  -- A network that answers with the picture itself, at every stride-th pixel.
  local function mirror(stride)
    return { stride = stride, forward = function(_, x)
      local h, w = x.shape[1] // stride, x.shape[2] // stride
      local Z = (x:to "float32" / 255):reshape(h, stride, w, stride, 3):mean(4):mean(2)
      return { Z = Z, Q = Z, K = Z * 0 + 0.5 }
    end }
  end
  local W, H = 128, 64
  local stripes = co.zeros(H, W, 3) -- columns of 0 and 255: gray from afar
  for x = 2, W, 2 do stripes[{ {}, { x, x } }] = co.full(255, H, 1, 3) end
  stripes = stripes:to "uint8"

  it("sees what is too small for the first, where its window is, and fades out", function()
    local queries = { { 64, 32 }, { 3, 60 } }
    local how = { size = { W // 2, H // 2 }, zoom = 2, attention_only = true }
    local maps = predict.maps(mirror(1), stripes, queries, how)
    assert.same({ { H, W, 3 }, { H, W }, 1 }, { maps.Z.shape, maps.attention[1].shape, maps.scale })
    local Z = maps.Z:select(3, 1):totable()
    local function contrast(x, y) return Z[y + 1][x + 2] - Z[y + 1][x + 1] end -- x: even, of a dark column
    assert.is_true(math.abs(contrast(64, 32) - 0.5) < 0.01) -- the mean of both looks
    assert.is_true(math.abs(contrast(2, 62) - 0.5) < 0.01) -- at the picture's border it does not fade
    assert.is_true(math.abs(contrast(120, 5)) < 0.01) -- no window here
    local before = 1
    for x = 64, 98, 2 do
      assert.is_true(contrast(x, 32) <= before + 0.02)
      before = contrast(x, 32)
    end
    assert.is_true(contrast(94, 32) < 0.1)
  end)

  it("leaves alone what both looks see alike, at any stride and shape of picture", function()
    for _, of in ipairs { { 1, 96, 64, 2 }, { 2, 96, 64, 2 }, { 2, 50, 70, 1.5 }, { 2, 33, 90, 3 } } do
      local stride, w, h, zoom = table.unpack(of)
      local slope = co.arange(w):reshape(1, w, 1) * (200 / w) + co.arange(h):reshape(h, 1, 1) * (50 / h)
      local shown, queries = slope:expand(h, w, 3):contiguous():to "uint8", { { w - 2, 3 }, { w // 2, h // 2 } }
      local how = { size = { 64, 32 }, attention_only = true }
      local one = predict.maps(mirror(stride), shown, queries, how)
      how.zoom = zoom
      local two = predict.maps(mirror(stride), shown, queries, how)
      local a = metrics.resize(one.Z:select(3, 2):contiguous(), w, h)
      local b = metrics.resize(two.Z:select(3, 2):contiguous(), w, h)
      local inside = { { 7, h - 6 }, { 7, w - 6 } } -- borders are another matter
      assert.is_true(support.difference(a[inside]:contiguous(), b[inside]:contiguous()) < 0.006)
    end
  end)

  it("is none unless it is asked for, and travels with the weights", function()
    local how = { size = { 64, 32 }, attention_only = true }
    local none = predict.maps(mirror(1), stripes, { { 9, 9 } }, how)
    how.zoom = 1
    assert.equal(0, support.difference(none.Z, predict.maps(mirror(1), stripes, { { 9, 9 } }, how).Z))
    local zoomed = tiny_run { predict = { zoom = 2 } }
    local sharp = zoomed:model()
    calibrate.attach(sharp, zoomed.recipe, zoomed:calibration())
    assert.equal(2, sharp.calibration.zoom)
    local twice = predict.maps(sharp, picture, { { 9, 9 } })
    local once = predict.maps(sharp, picture, { { 9, 9 } }, { zoom = 1 })
    assert.equal(2 * once.objectness.shape[1], twice.objectness.shape[1])
    has("zoom: expected a number of 1 to 8, found 0.5", sharp.predict, sharp, picture, { { 3, 3 } }, { zoom = 0.5 })
    assert.same({}, predict.maps(sharp, picture, {}, { attention_only = true }).attention)
  end)
end)

describe("attention close to the query", function()
  it("counts more, half of it so many widths away, at any scale, and travels with the weights", function()
    local near_run = tiny_run { predict = { closeness = 0.25 } }
    local own = near_run:model()
    calibrate.attach(own, near_run.recipe, near_run:calibration())
    assert.equal(0.25, own.calibration.closeness)
    for _, zoom in ipairs { 1, 2 } do
      local queries, how = { { 20, 10 }, { 50, 30 } }, { attention_only = true, zoom = zoom }
      local near = predict.maps(own, picture, queries, how)
      how.closeness = 0
      local far = predict.maps(own, picture, queries, how)
      local half = 0.25 * picture.shape[2] * near.scale -- in pixels of the maps
      for k, query in ipairs(queries) do
        local x, y = (query[1] + 0.5) * near.scale - 0.5, (query[2] + 0.5) * near.scale - 0.5
        local a, b = near.attention[k]:totable(), far.attention[k]:totable()
        for i = 1, #a, 3 do
          for j = 1, #a[1], 3 do
            local distance = ((j - 1 - x) ^ 2 + (i - 1 - y) ^ 2) / half ^ 2
            assert.is_true(math.abs(a[i][j] - b[i][j] * 0.5 ^ distance) < 1e-5)
          end
        end
      end
    end
    has("closeness: expected a number of 0 to 8, found 9", own.predict, own, picture, { { 3, 3 } },
      { closeness = 9 })
  end)
end)

describe("the posterior of the classes", function()
  local other = tiny_run { calibrate = { score = "posterior" }, embedding = { scale = 3 } }
  local posterior = other:model()
  local how = { score = "posterior", scale = 3 }
  calibrate.attach(posterior, other.recipe, other:calibration())

  it("is the softmax of the scaled cosines", function()
    local maps = predict.maps(posterior, picture, { { 3, 3 } })
    local object, person, either = predict.scores(maps, how)
    for _, at in ipairs { { 1, 1 }, { 20, 40 } } do
      local e, names = {}, { "objectness", "personness", "backgroundness" }
      for k, name in ipairs(names) do e[k] = math.exp(3 * maps[name][at[1] ][at[2] ]) end
      local sum = e[1] + e[2] + e[3]
      for _, pair in ipairs { { object, e[1] }, { person, e[2] }, { either, e[1] + e[2] } } do
        assert.is_true(math.abs(pair[1][at[1] ][at[2] ] - pair[2] / sum) < 1e-5)
      end
    end
  end)

  it("is finite at any scale", function()
    local maps = { objectness = co.tensor { { -1, 1 } }, personness = co.tensor { { -1, -1 } },
      backgroundness = co.tensor { { -1, -1 } } }
    local object = predict.scores(maps, { score = "posterior", scale = 1e4 })
    assert.is_true(math.abs(object[1][1] - 1 / 3) < 1e-6)
    assert.are.equal(1, object[1][2])
  end)

  it("travels with the weights, and needs a mean of the background", function()
    local t = { object = { 0.5, 0 }, hand = { 0.5, 0 }, pair = { 0.5, 0 } }
    local path = support.temp() .. "/w.safetensors"
    posterior:save(path)
    local again = require("cohesiv.hands.model").from_file(path)
    again:eval()
    local p = again:predict(picture, { { 9, 9 } }, { thresholds = t })[1]
    local both = co.metrics.union { p.hand, p.object }
    assert.are.equal(0, co.metrics.overlap(p.hand, p.object)) -- two classes cannot both be likelier than not
    assert.are.same({ co.metrics.overlap(both, both) }, { co.metrics.overlap(both, p.pair) })
    again.embeddings.background = nil
    has("expected a model with a mean embedding of the background", again.predict, again, picture, { { 9, 9 } },
      { thresholds = t })
  end)
end)

describe("mean embeddings", function()
  it("are means of the labelled pixels, the same for the same seed", function()
    local images, label = {}, co.zeros(64, 64, { dtype = "int32" })
    for i = 1, 3 do images[i] = (co.rand(64, 64, 3) * 255):to "uint8" end
    label[{ { 1, 4 }, { 1, 5 } }] = 1
    label[{ { 30, 64 }, {} }] = 2
    local function means(count, seed)
      local i = 0
      return calibrate.means(model, function()
        i = i + 1
        return images[i], label
      end, 3, { count = count, seed = seed })
    end
    assert.are.same(means(50, 1), means(50, 1))
    assert.are_not.same(means(50, 1), means(50, 2))
    -- With more embeddings than person pixels, the mean is that of all of them.
    local total = co.zeros(6)
    for i = 1, 3 do
      local Z = co.no_grad(model.forward, model, images[i]).Z[{ { 1, 4 }, { 1, 5 } }]
      total = total + (Z / (Z * Z):sum(3, true):sqrt()):sum(1):sum(1)
    end
    local expected = (total / 60):totable()
    for c, v in ipairs(means(1000, 0).person) do assert.is_true(math.abs(v - expected[c]) < 1e-5) end
    assert.is_nil(means(10, 0).background)
    label[{ { 10, 12 }, {} }] = 3
    assert.are.equal(6, #means(10, 0).background)
    label:fill(2)
    has("expected person pixels", means, 10, 0)
  end)
end)

-- A data folder of noisy frames with two hands each.
local function folder_of(names)
  local folder = support.temp()
  for _, name in ipairs(names) do
    local q = support.quote(folder)
    os.execute(("cd %s && mkdir -p clips/%s masks/%s hands_json"):format(q, name, name))
    for n = 0, 1 do
      image.write(("%s/clips/%s/%06d.png"):format(folder, name, n), (co.rand(45, 80, 3) * 255):to "uint8")
    end
    local hands, queries = {}, {}
    for k = 1, 2 do
      local x = 20 * k
      local mask = co.zeros(45, 80, { dtype = "uint8" })
      mask[{ { 10, 20 }, { x, x + 8 } }] = 1
      image.write(("%s/masks/%s/000000_hand%d.png"):format(folder, name, k), mask, { depth = 1 })
      mask[{ { 10, 20 }, { x, x + 14 } }] = 1
      if k == 1 then image.write(("%s/masks/%s/000000_object1.png"):format(folder, name), mask, { depth = 1 }) end
      queries[k] = { query = { x + 3, 14 }, side = "left", object = k == 1 and "box" or json.null }
      hands[k] = { side = "left", score = 1, box = { x, 9, x + 8, 20 },
        vertices = { { x, 9 }, { x + 8, 9 }, { x + 8, 20 }, { x, 20 }, { x + 4, 13 } } }
    end
    json.write(("%s/masks/%s/queries.json"):format(folder, name),
      { width = 80, height = 45, frames = { ["0"] = queries } })
    json.write(("%s/hands_json/%s.json"):format(folder, name), { width = 80, height = 45, frames = { hands, hands } })
  end
  return folder
end

describe("a trained run in the evaluator", function()
  local folder = folder_of { "a", "b", "c", "d" }

  it("scores the masks that predict gives", function()
    local data = co.data(folder)
    local result = evaluation.full(run, folder)
    assert.are.same(thresholds, result.thresholds)
    local frame = evaluate.frames(data, { "b" })[1]
    local truth = evaluate.truth(data, frame)
    local predicted, asked = model:predict(data:clip("b"):frame(0), frame.queries), 0
    for _, row in ipairs(result.rows) do
      if row.clip == "b" and row.task == "Asked" then
        local hand = predicted[row.q].hand
        local own, other = metrics.iou(hand, truth.hand[row.q]), metrics.iou(hand, truth.hand[3 - row.q])
        assert.are.equal(own - other, row.iou)
        asked = asked + 1
      elseif row.clip == "b" and row.q then
        local mask = ({ Hand = "hand", Obj = "object", Pair = "pair", Contact = "contact" })[row.task]
        local target = row.task == "Contact" and metrics.contact(truth.hand[row.q], truth.object[row.q])
          or evaluate.target(truth, row.task, row.q)
        assert.are.equal(metrics.iou(predicted[row.q][mask], target), row.iou)
      end
    end
    assert.are.equal(8, result.summary.Hand.n)
    assert.are.equal(4, result.summary.Obj.n)
    assert.are.equal(#frame.queries > 1 and #frame.queries or 0, asked)
  end)

  it("scores the masks that predict gives by the posterior too", function()
    local other = tiny_run { data = folder, calibrate = { score = "posterior", pair = "own" } }
    calibrate.thresholds(other)
    local result = evaluation.full(other, folder)
    local data = co.data(folder)
    local frame = evaluate.frames(data, { "b" })[1]
    local truth = evaluate.truth(data, frame)
    local predicted = run_folder.open(other.path):model():predict(data:clip("b"):frame(0), frame.queries)
    local compared = 0
    for _, row in ipairs(result.rows) do
      local mask = ({ Hand = "hand", Obj = "object", Pair = "pair" })[row.task]
      if row.clip == "b" and mask then
        local target = evaluate.target(truth, row.task, row.q)
        assert.are.equal(metrics.iou(predicted[row.q][mask], target), row.iou)
        compared = compared + 1
      end
    end
    assert.are.equal(5, compared)
  end)

  it("stores found thresholds in the run and with the weights", function()
    local other = tiny_run { data = folder, calibrate = { score = "difference", pair = "own" } }
    local found = calibrate.thresholds(other)
    assert.are.equal(2, #found.pair)
    local loaded = run_folder.open(other.path):model()
    assert.are.same(found, loaded.thresholds)
    local p = loaded:predict(picture, { { 9, 9 } })[1]
    assert.are.same(metrics.over(p.objectness - p.personness, found.object[1], p.attention, found.object[2]):totable(),
      p.object:totable())
    assert.are.same({ "b", "d" }, evaluation.full(other).names)
  end)

  it("answers by attention alone or by cosines alone where only one loss trained it", function()
    local attention = tiny_run { data = folder, loss = { embedding = 0 } }
    calibrate.thresholds(attention)
    local s = co.evaluate(attention)
    assert.is_truthy(s.All and s.Pair)
    assert.is_nil(s.Hand or s.Obj)
    local cosines = tiny_run { data = folder, loss = { responsibility = 0 } }
    local found = calibrate.thresholds(cosines)
    assert.are.same({ 1, 1 }, { #found.hand, #found.object })
    assert.is_truthy(co.evaluate(cosines).Obj)
  end)

  it("fills a report", function()
    local one = tiny_run { data = folder, maps = { gaps = { 1 } } }
    one:log { epoch = 1, step = 3, lr = 0.01, train_total = 2.5, validation_total = 3 }
    local path, results = report_run.write(one, { baselines = { "disc", "responsibility" }, pictures = 1 })
    assert.are.equal(one:file "report.html", path)
    local text = support.read(path)
    for _, part in ipairs { "COHESIV", "Disc", "Thresholded responsibility", "Best answers", "Failures, by their kind",
      "map of the video", "embedding (PCA)", "attention", "Learning rate" } do
      assert.is_truthy(text:find(part, 1, true), part)
    end
    assert.are.equal(3, #results)
    assert.is_truthy(text:find("for the thresholds, 2 reported.", 1, true))
  end)

  it("fills one report of several runs on the same clips, and refuses others", function()
    local one, two = tiny_run { data = folder, maps = { gaps = { 1 } } }, tiny_run { data = folder }
    local path, results = report_run.write({ one, two }, { baselines = { "disc" }, pictures = 1 })
    assert.are.equal(one:file "report.html", path)
    assert.are.same({ "tiny", "tiny (2)", "Disc" }, { results[1].name, results[2].name, results[3].name })
    assert.is_truthy(support.read(path):find("tiny (2): embedding (PCA)", 1, true))
    two.recipe.data = folder_of { "x", "y" }
    support.raises("report: expected runs reported on the same clips, found others for tiny (2) than for tiny",
      report_run.write, { one, two }, { baselines = {} })
  end)

  it("shows answers where there are no masks, and measures nothing", function()
    local bare = folder_of { "a", "b" }
    os.execute("rm -r " .. support.quote(bare .. "/masks"))
    local one = tiny_run { data = bare, maps = { gaps = { 1 } } }
    local path, results = report_run.write(one, { pictures = 1 })
    assert.are.same({}, results)
    local text = support.read(path)
    assert.is_truthy(text:find("nothing is measured", 1, true))
    assert.is_nil(text:find("IoU in per cent", 1, true))
  end)
end)

describe("cohesiv eval", function()
  local folder = folder_of { "a", "b" }

  it("prints JSON, of several runs one object per name, and tables", function()
    local one, two = tiny_run { data = folder }, tiny_run { data = folder, loss = { embedding = 0 } }
    calibrate.thresholds(two)
    local first = support.cohesiv { "eval", one.path, "--json" }
    assert.are.equal(0, first.status, first.stderr)
    local doc = json.decode(first.stdout)
    for task, n in pairs { All = 1, Pair = 2, Hand = 2, Obj = 1 } do
      assert.are.equal(n, doc[task].n)
      assert.is_true(doc[task].low <= doc[task].mean and doc[task].mean <= doc[task].high)
    end
    local both = support.cohesiv { "eval", one.path, two.path, "data=" .. folder, "--json" }
    local docs = json.decode(both.stdout)
    assert.are.equal(2, docs.tiny.All.n)
    assert.is_truthy(docs["tiny (2)"].Pair)
    assert.is_nil(docs["tiny (2)"].Hand)
    local text = support.cohesiv { "eval", one.path, "--clips" }.stdout
    assert.is_truthy(text:find "All%s+Pair%s+Hand%s+Obj")
    assert.is_truthy(text:find "\n  b  ")
    local anchor = support.cohesiv { "eval", one.path, "--all-frames", "--score", "difference", "--pair",
      "own", "--json" }
    assert.are.equal(2, json.decode(anchor.stdout).All.n)
  end)

  it("scores systems without training from their experiments", function()
    local path = support.root .. "/experiments/disc.lua"
    local result = support.cohesiv { "eval", path, "data=" .. folder, "--json" }
    assert.are.equal(0, result.status, result.stderr)
    assert.are.equal(1, json.decode(result.stdout).All.n)
  end)

  it("fails with one line", function()
    support.refuses(support.cohesiv { "eval", "/nowhere" }, 1, "expected a run folder with recipe.json, found /nowhere")
    support.refuses(support.cohesiv { "eval", "data=x" }, 1, "expected at least one run folder")
    support.refuses(support.cohesiv { "eval", run.path, "data=/nowhere" }, 1, "/nowhere")
    support.refuses(support.cohesiv { "eval", run.path }, 1, "expected data=PATH")
    support.refuses(support.cohesiv { "eval", run.path, "size=3" }, 1, "expected RUN or data=PATH")
    support.refuses(support.cohesiv { "eval" }, 2, "")
  end)
end)
