-- The systems beyond COHESIV's own that learn: predicted queries (heat-maps, peaks, which peak is which hand) and
-- supervised boxes; as parts, and as whole tiny runs.
local co = require "cohesiv"
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"
local boxes, peaks = require "cohesiv.hands.boxes", require "cohesiv.hands.peaks"
local evaluate = require "cohesiv.hands.evaluate"
local hand_boxes, tasks = require "cohesiv.train.hand_boxes", require "cohesiv.train.tasks"
local loss, recipes = require "cohesiv.train.loss", require "cohesiv.train.recipe"
local support = require "tests.support"
local tiny = require("tests.tiny").new()

local folder, before = tiny.folder, os.getenv "COHESIV_CACHE"

setup(function()
  core.system.setenv("COHESIV_CACHE", folder .. "/cache")
  require("cohesiv.base.progress").quiet = true
  tiny:make_world(nil, 5)
end)
teardown(function()
  core.system.setenv("COHESIV_CACHE", before)
  require("cohesiv.base.progress").quiet = false
end)

-- An experiment on top of the tiny one.
local function experiment(name, body)
  return support.write(("%s/%s.lua"):format(folder, name), ("return require 'tiny' { name = %q, %s }\n"):format(name,
    body))
end
local QUERY = "system = 'predicted_query', model = { query_branch = true }, query = { share = 0.5 }"
local BOX = "system = 'supervised_box', supervised = true, model = { box_branch = true }"

local function quietly(f, ...)
  local stderr = io.stderr
  io.stderr = { write = function(self) return self end } -- luacheck: ignore 122
  local ok, result = pcall(f, ...)
  io.stderr = stderr -- luacheck: ignore 122
  if not ok then error(result, 0) end
  return result
end

local function train(path, changes)
  return quietly(co.train, recipes.load(path, changes), { root = folder .. "/runs" })
end

local function command(dir, ...)
  return support.cohesiv({ ... }, { dir = dir, env = tiny.environment, timeout = 400 })
end

-- Trains in a folder until the first checkpoint is written.
local function killed(dir, path)
  local stop = support.write(folder .. "/stop.lua", ([[
    local checkpoint = require "cohesiv.train.checkpoint"
    local write = checkpoint.write
    checkpoint.write = function(...)
      write(...)
      os.execute("kill -9 " .. require("cohesiv.core").system.pid())
    end
    require("cohesiv.train.train").train(require("cohesiv.train.recipe").load(%q))]]):format(path))
  assert.equal(137, support.cohesiv({ stop }, { dir = dir, env = tiny.often, timeout = 400 }).status)
end

local function places(list)
  local out = {}
  for i, p in ipairs(list) do out[i] = ("%g,%g"):format(p[1], p[2]) end
  return out
end

describe("a heat-map", function()
  it("of boxes is the largest of their Gaussians", function()
    local heat = peaks.target({ { 10, 4, 20, 8 }, { 24, 4, 34, 8 } }, 40, 12, 0.2):reshape { 12, 40 }
    local function at(x, y) return heat[{ y + 1, x + 1 }] end
    assert.equal(1, at(15, 6))
    assert.equal(1, at(29, 6))
    local function bell(d, side) return math.exp(-(d / (0.2 * side)) ^ 2 / 2) end
    assert.is_true(math.abs(at(17, 6) - bell(2, 11)) < 1e-6)
    assert.is_true(math.abs(at(15, 7) - bell(1, 5)) < 1e-6)
    assert.is_true(math.abs(at(22, 6) - bell(7, 11)) < 1e-6)
    assert.equal(0, peaks.target({}, 5, 4, 0.2):max():item())
  end)

  it("has its peaks found, the highest first, one of those that lie together", function()
    local heat = co.zeros(30, 40)
    for _, p in ipairs { { 5, 6, 0.9 }, { 8, 6, 0.8 }, { 30, 20, 0.95 }, { 39, 29, 0.4 }, { 20, 10, 0.2 } } do
      heat[{ p[2] + 1, p[1] + 1 }] = p[3]
    end
    heat[{ { 15, 16 }, { 3, 4 } }] = 0.7 -- a plateau is one peak
    assert.same({ "30,20", "5,6", "2,14", "39,29" }, places(peaks.find(heat, { threshold = 0.3, radius = 4 })))
    assert.same({ "30,20", "5,6", "8,6", "2,14", "39,29", "20,10" }, places(peaks.find(heat, { radius = 2 })))
    assert.same({ "30,20", "5,6" }, places(peaks.find(heat, { radius = 4, most = 2 })))
    assert.same({}, peaks.find(heat, { threshold = 0.95 }))
    assert.is_true(math.abs(peaks.find(heat)[1].score - 0.95) < 1e-6)
  end)

  it("gives every hand at most one peak, the nearest pair first", function()
    local points = { { 10, 10 }, { 14, 10 }, { 50, 50 } }
    assert.same({ 2, 1 }, peaks.match(points, { { 13, 10 }, { 12, 10 } }, 20))
    assert.same({ [1] = 1 }, peaks.match(points, { { 10, 11 }, { 30, 30 } }, 20))
    assert.same({}, peaks.match({}, { { 1, 1 } }, 20))
  end)
end)

describe("boxes", function()
  local function squares() -- a hand and what it holds; a hand alone
    local maps = co.zeros(4, 40, 60)
    maps[{ 1, { 11, 20 }, { 11, 22 } }], maps[{ 2, { 15, 30 }, { 15, 40 } }] = 1, 1
    maps[{ 3, { 6, 25 }, { 31, 50 } }] = 1
    return maps
  end

  it("are those of masks, and fill their pixels", function()
    local maps = squares()
    assert.same({ 10, 10, 21, 19 }, boxes.of(maps[1]))
    assert.is_nil(boxes.of(maps[4]))
    assert.equal(0, support.difference(boxes.fill(boxes.of(maps[2]), 60, 40), maps[2]))
    assert.equal(4, boxes.fill({ -3, -3, 1, 1 }, 60, 40):sum():item())
    assert.equal(0, boxes.fill({ 70, 3, 80, 9 }, 60, 40):sum():item())
  end)

  it("have no loss where the numbers are right, and lead a pixel's numbers there", function()
    local maps, image = squares(), co.tensor({ 1, 1, 2, 2 }, { dtype = "int32" })
    local B = co.zeros(2, 40, 60, 9)
    local unit = 60 / 8
    for m, truth in ipairs { { 9.5, 9.5, 21.5, 19.5, 13.5, 13.5, 39.5, 29.5 }, { 29.5, 4.5, 49.5, 24.5 } } do
      for i, edge in ipairs(truth) do
        local axis = co.arange(i % 2 == 1 and 60 or 40):to "float32"
        local shape = i % 2 == 1 and { 1, 60 } or { 40, 1 }
        B[{ m, {}, {}, i }] = ((edge - axis) / unit):reshape(shape):expand { 40, 60 }
      end
      B[{ m, {}, {}, 9 }] = m == 1 and 20 or -20
    end
    local function losses()
      local hand, object, contact = boxes.loss(B, maps, image)
      return { hand:item(), object:item(), contact:item() }
    end
    for _, value in ipairs(losses()) do assert.is_true(value < 1e-5) end
    local hand, object, contact = boxes.read(B[1], 12.3, 14.6)
    for i, x in ipairs { 10, 10, 21, 19 } do assert.is_true(math.abs(hand[i] - x) < 1e-4) end
    for i, x in ipairs { 14, 14, 39, 29 } do assert.is_true(math.abs(object[i] - x) < 1e-4) end
    assert.is_true(contact > 0.99)
    B[{ 2, {}, {}, 9 }] = 0
    assert.is_true(math.abs(losses()[3] - math.log(2) / 2) < 1e-5)
    B[{ 1, {}, {}, 3 }] = B[{ 1, {}, {}, 3 }] + 5 / unit -- five of seventeen columns too many: IoU 12/17
    local near, d = 0.1, 5 / unit / 4
    local apart = near * (4 * d - near / 2) / near / 4 + 1 - 12 / 17
    assert.is_true(math.abs(losses()[1] - apart / 2) < 1e-4)
  end)

  it("of two frames are learnt by heart", function()
    co.seed(1)
    local model = co.model { encoder = "mobilenet_v2", decoder_widths = { 8, 8, 8, 8, 8 }, embedding_dim = 4,
      attention_dim = 2, box_branch = true }
    local maps, image = squares():narrow(2, 1, 32):contiguous(), co.tensor({ 1, 1, 2, 2 }, { dtype = "int32" })
    local pictures = co.zeros(2, 32, 60, 3)
    for m = 1, 4 do
      local picture, channel = (m + 1) // 2, (m - 1) % 2 + 1
      pictures[{ picture, {}, {}, channel }] = maps[m] * 2 - 1
    end
    local optimiser = co.optim.AdamW(model:parameters(), { lr = 5e-3 })
    for _ = 1, 60 do
      co.tidy(function()
        local hand, object, contact = boxes.loss(model:forward(pictures).B, maps, image)
        optimiser:zero_grad()
        local total = hand + object + contact
        total:backward()
        optimiser:step()
      end)
    end
    local B = model:forward(pictures).B:detach()
    local function iou(box, m) return co.metrics.iou(co.gt(boxes.fill(box, 60, 32), 0), co.gt(maps[m], 0)) end
    local hand, object, contact = boxes.read(B[1], 15, 15)
    assert.is_true(iou(hand, 1) > 0.6 and iou(object, 2) > 0.6 and contact > 0.8)
    hand, object, contact = boxes.read(B[2], 40, 15)
    assert.is_true(iou(hand, 3) > 0.6 and object and contact < 0.2)
  end)
end)

describe("a network's further branches", function()
  local small = { encoder = "mobilenet_v2", decoder_widths = { 8, 8, 8, 8, 8 }, embedding_dim = 4, attention_dim = 4 }
  local function with(more)
    local o = {}
    for k, v in pairs(small) do o[k] = v end
    for k, v in pairs(more) do o[k] = v end
    return co.model(o)
  end

  it("are parts like the others, saved and loaded with it", function()
    local model = with { query_branch = true, box_branch = true }
    local out = model:eval():forward(co.ones(2, 33, 40, 3))
    assert.same({ { 2, 33, 40, 1 }, { 2, 33, 40, 9 } }, { out.H.shape, out.B.shape })
    assert.same({ 33, 40, 1 }, model:forward(co.ones(33, 40, 3)).H.shape)
    local names = {}
    for name in model:named_parameters() do names[#names + 1] = name:match "^query_branch.*" end
    assert.same({ "query_branch.0.weight", "query_branch.1.weight", "query_branch.1.bias", "query_branch.3.weight",
      "query_branch.3.bias" }, names)
    local path = folder .. "/heads.safetensors"
    model:save(path)
    local again = require("cohesiv.hands.model").from_file(path):eval()
    assert.equal(0, support.difference(out.H, again:forward(co.ones(2, 33, 40, 3)).H))
    model:replace("query_branch", co.nn.Conv2d { 4, 1, 1 })
  end)

  it("leave a network without them as it was", function()
    local path = folder .. "/plain.safetensors"
    local model = with {}
    model:save(path)
    assert.is_nil(support.read(path):find("_branch\":", 1, true))
    assert.is_nil(model.queries)
    support.raises("expected one of its parts", model.replace, model, "query_branch", co.nn.Conv2d { 4, 1, 1 })
    support.raises("queries: expected a uint8 image HxWx3", peaks.queries, with { query_branch = true }, co.zeros(3, 4))
  end)
end)

describe("supervised boxes", function()
  local recipe, data
  setup(function()
    recipe = recipes.load(experiment("box", BOX))
    data = co.data(tiny.world)
  end)

  it("are said to be so, or refused", function()
    local base = recipes.load(tiny.experiment)
    support.raises("supervised_box: expected supervised = true", co.train, base { system = "supervised_box" })
    support.raises("supervised_box: expected model.box_branch = true", co.train,
      base { system = "supervised_box", supervised = true })
    support.raises("supervised: expected false: system cohesiv", co.train, base { supervised = true })
  end)

  it("learn from masks of the calibration half alone, which follow the picture", function()
    local samples = tasks.of(recipe).open(recipe).prepare()
    local allowed, seen = {}, 0
    for _, name in ipairs((evaluate.split(data))) do allowed[name] = true end
    for _, use in pairs(samples) do
      for _, entry in ipairs(use) do
        assert.is_true(allowed[entry.clip])
        seen = seen + 1
        local sample = co.load(entry.path)
        local masks = data:masks(entry.clip, entry.frame)
        assert.equal(2 * #masks.hand, sample.maps.shape[3])
        for k, hand in ipairs(masks.hand) do
          local sc = data:clip(entry.clip):scale(recipe.size)
          local box, truth = boxes.of(sample.maps:select(3, 2 * k - 1):to "float32" / 255), boxes.of(hand:to "float32")
          for i = 1, 4 do assert.is_true(math.abs((truth[i] + 0.5) * sc.s - 0.5 - box[i]) < 1.01) end
          local object = boxes.of(sample.maps:select(3, 2 * k):to "float32" / 255)
          assert.equal(masks.object[k] ~= nil, object ~= nil)
        end
      end
    end
    assert.equal(#evaluate.frames(data, (evaluate.split(data))), seen)
    local masks = hand_boxes.calibration(recipe { calibrate = { data = tiny.world } })
    assert.equal(tiny.world, masks.path)
  end)

  it("are trained, resumed in the same bits, calibrated, and called supervised in tables", function()
    local run = train(folder .. "/box.lua")
    assert.equal("done", run:status().state)
    local thresholds = run:calibration().thresholds
    assert.is_true(thresholds.hand[1] >= 0 and thresholds.object[1] >= 0)
    local model = run:model()
    local forward = model.forward
    function model:forward(x) -- boxes from (4, 4) to (19, 11) of 64×32, the same at every pixel
      local out, unit = forward(self, x), 64 / 8
      for i, edge in ipairs { 3.5, 3.5, 19.5, 11.5 } do
        local odd = i % 2 == 1
        local axis = co.arange(odd and 64 or 32):to("float32"):reshape(odd and { 1, 64 } or { 32, 1 })
        out.B[{ {}, {}, i }] = ((edge - axis) / unit):expand { 32, 64 }
      end
      out.B[{ {}, {}, 9 }] = 0
      return out
    end
    local found = model:boxes(co.zeros(64, 128, 3, { dtype = "uint8" }), { { 100, 50 }, { 3, 3 } })
    for i, x in ipairs { 8, 8, 39, 23 } do -- of a picture twice as large
      assert.is_true(math.abs(found[1].hand[i] - x) < 1e-3 and math.abs(found[2].hand[i] - x) < 1e-3)
    end
    assert.equal(0.5, found[1].contact)
    support.raises("boxes: point 1: x: expected a finite number", model.boxes, model,
      co.zeros(64, 128, 3, { dtype = "uint8" }), { {} })
    local record = run:metrics()[2]
    local sum = record.train_hand_box + record.train_object_box + record.train_contact
    assert.is_true(math.abs(sum - record.train_total) < 1e-4)
    local dir = tiny:new_folder "killed"
    killed(dir, folder .. "/box.lua")
    local result = command(dir, "train", folder .. "/box.lua", "--resume")
    assert.equal(0, result.status, result.stderr)
    assert.same({}, require("tests.tiny").differing(run.path, dir .. "/runs/box"))
    result = command(folder, "eval", run.path)
    assert.is_truthy(result.stdout:find("box (supervised) ", 1, true), result.stdout .. result.stderr)
  end)
end)

describe("predicted queries", function()
  local base, run

  setup(function()
    run = train(experiment("query", QUERY))
    base = co.run(folder .. "/runs/cohesiv") -- there was none: trained first
  end)

  it("stand on the network of a COHESIV run, of which nothing changes", function()
    assert.equal(base.path, run.recipe.query.run)
    local old, new = co.load(base:file "best.safetensors"), co.load(run:file "best.safetensors")
    local branch = 0
    for name, t in pairs(new) do
      if name:find "^query_branch%." then
        branch = branch + 1
      else
        assert.equal(0, support.difference(old[name]:to "float64", t:to "float64"), name)
      end
    end
    assert.equal(7, branch) -- five parameters, two running statistics
    assert.same(base:calibration().means, run:calibration().means)
    local query = run:calibration().query
    assert.is_true(query.threshold > 0 and query.threshold < 1 and query.size > 0 and query.size < 1)
    assert.equal(1, #run:metrics()) -- half of two epochs
  end)

  it("are resumed in the same bits, also where that run is gone", function()
    local dir = tiny:new_folder "query-killed"
    core.io.make_folder(dir .. "/runs")
    os.execute(("cp -r %s %s/runs/cohesiv"):format(base.path, dir))
    local path = experiment("longer", (QUERY:gsub("0.5", "1")))
    local whole = train(path)
    killed(dir, path)
    os.rename(dir .. "/runs/cohesiv", dir .. "/gone")
    local result = command(dir, "train", path, "--resume")
    assert.equal(0, result.status, result.stderr)
    assert.is_nil(result.stderr:find("trained first", 1, true))
    local differing = require("tests.tiny").differing(whole.path, dir .. "/runs/longer")
    assert.same({ "recipe.json" }, differing) -- where the other run lay
  end)

  it("reuse it the next time, and say what does not fit", function()
    local found = require("cohesiv.train.tasks.predicted_query").found
    local recipe = recipes.load(folder .. "/query.lua")
    local path, finished = found(recipe { seed = 3 }, folder .. "/runs")
    assert.same({ base.path, true }, { path, finished })
    assert.is_nil((found(recipe { seed = 4 }, folder .. "/runs")))
    assert.is_nil((found(recipe, folder .. "/none")))
    support.raises("query.share: expected more than 0", co.train, recipe { query = { share = 0 } })
    support.raises("predicted_query: expected model.query_branch = true", co.train,
      recipe { model = { query_branch = false } })
    support.raises("query.run: " .. base.path .. ": expected a network of the recipe's parts, found", co.train,
      recipe { query = { run = base.path }, model = { embedding_dim = 6 } })
  end)

  it("learn squared differences to the Gaussians, where there is a picture", function()
    local recipe = recipes.load(folder .. "/query.lua")
    local model = run:model()
    local maps = co.full(-1, 1, 32, 64)
    maps[{ 1, {}, { 1, 48 } }] = 0
    maps[{ 1, { 5, 14 }, { 9, 24 } }] = 1
    local batch = { image = co.zeros(1, 32, 64, 3), maps = maps, image_index = co.tensor({ 1 }, { dtype = "int32" }) }
    local _, parts = loss.of(model, recipe, batch)
    local target = peaks.target({ { 8, 4, 23, 13 } }, 64, 32, recipe.query.sigma):reshape { 32, 64 }
    local heat = model:forward(batch.image).H:reshape { 32, 64 }
    local expected = (heat - target):square()[{ {}, { 1, 48 } }]:mean():item()
    assert.is_true(math.abs(loss.named(recipe, parts:totable()).heat - expected) < 1e-6)
  end)

  -- The run's system with a heat-map that has these peaks, in pixels of the frame.
  local function predicting(points)
    local system = evaluate.system(run)
    system.model.queries = function() return points, 30 end
    return system
  end

  it("are matched to the true hands, and count in All where there is none", function()
    local data = co.data(tiny.world)
    local frame = evaluate.frames(data, data.annotated)[1]
    local clip, truth = data:clip(frame.clip), evaluate.truth(data, frame)
    local system = predicting {}
    local given, queries = evaluate.system { recipe = base.recipe, model = function() return run:model() end },
      frame.queries
    local plain = given.answer(clip, frame.n, queries)
    assert.same({}, system.answer(clip, frame.n, queries))
    local turned = { { 1, 1 } }
    for q = #queries, 1, -1 do table.insert(turned, { queries[q][1], queries[q][2] }) end
    system = predicting(turned)
    local answer = system.answer(clip, frame.n, queries)
    assert.equal(#queries + 1, answer.count)
    for q in ipairs(queries) do
      assert.equal(0, support.difference(plain.hand[q][2], answer.hand[q][2]))
    end
    local all = { object = { -2, -2 }, hand = { -2, -2 } }
    local masks = evaluate.masks(system, answer, all, frame, truth)
    assert.equal(1, masks.All:to("float32"):min():item())
    assert.equal(#queries + 1, #masks.Pair)
    system = predicting { turned[1] } -- the true hands have no answer, what is elsewhere spoils All
    masks = evaluate.masks(system, system.answer(clip, frame.n, queries), all, frame, truth)
    assert.equal(0, masks.Pair[1]:to("float32"):max():item())
    assert.equal(1, masks.All:to("float32"):min():item())
  end)

  it("segment a picture without a point", function()
    local picture = folder .. "/picture.png"
    co.image.write(picture, co.data(tiny.world):clip("s5_0000000"):frame(3))
    local function segment(model, out)
      return command(folder, "segment", picture, "--model", model, "--out", folder .. "/" .. out)
    end
    local result = segment(base.path, "none")
    assert.equal(2, result.status)
    assert.is_truthy(result.stderr:find("is no run of experiments/predicted_query.lua", 1, true), result.stderr)
    local stored = run:calibration()
    local copy = folder .. "/copy"
    os.execute(("cp -r %s %s"):format(run.path, copy))
    for threshold, files in pairs { [2] = { "overlay.png" }, [-9] = { "contact1.png", "hand1.png", "object1.png",
      "overlay.png", "panel.png" } } do
      stored.query = { threshold = threshold, size = 10 } -- one hand fills the picture: one peak, the highest
      support.write(copy .. "/calibration.json", json.encode(stored))
      result = segment(copy, "segmented" .. #files)
      assert.equal(0, result.status, result.stderr)
      assert.same(files, support.list(folder .. "/segmented" .. #files))
    end
    local model = co.run(copy):model()
    local points, size = model:queries(co.data(tiny.world):clip("s5_0000000"):frame(3))
    assert.equal(1, #points)
    assert.is_true(points[1][1] >= 0 and points[1][1] <= 95 and points[1][2] >= 0 and points[1][2] <= 63 and size > 96)
  end)

  it("wait for their network in a sweep", function()
    local sweep_folder = require "cohesiv.train.sweep_folder"
    local query = recipes.load(folder .. "/query.lua")
    local list = { { name = "cohesiv-0", recipe = query { system = "cohesiv", model = { query_branch = false } } },
      { name = "cohesiv-1", recipe = query { system = "cohesiv", model = { query_branch = false }, seed = 1 } },
      { name = "query-1", recipe = query { seed = 1 } }, { name = "other", recipe = query { seed = 2 } },
      { name = "named", recipe = query { query = { run = base.path } } } }
    local sweep = sweep_folder.at(folder .. "/sweep", list)
    local needed = require("cohesiv.train.tasks.predicted_query").needed
    assert.equal(list[2], needed(list, list[3]))
    assert.is_nil(needed(list, list[4]))
    assert.is_nil(needed(list, list[5]))
    assert.is_nil(needed(list, list[1]))
    local plan = require("cohesiv.tools.sweep_plan").new(sweep, {})
    local function wants(i) return plan:wants(sweep:row(list[i]), i, 1) end
    assert.same({ true, true, false, true }, { wants(1), wants(2), wants(3), wants(4) })
    plan.failed["cohesiv-1"] = "why"
    assert.is_true(wants(3))
    assert.is_true(require("cohesiv.tools.sweep_plan").new(sweep, { only = { 3 } }):wants(sweep:row(list[3]), 1, 1))
  end)

  it("and the other systems are the nine rows of the paper", function()
    local systems = require "experiments.sweeps.systems"
    local names = {}
    for _, entry in ipairs(require("cohesiv.sweep").list(systems(recipes.load(tiny.experiment), { 0 }))) do
      names[#names + 1] = entry.recipe.name:gsub("_seed%-0$", "")
      assert.equal(entry.recipe.system == "supervised_box", entry.recipe.supervised)
      assert.equal(entry.recipe.system == "predicted_query", entry.recipe.model.query_branch)
    end
    table.sort(names)
    assert.same({ "attention_only", "cohesiv", "embeddings_only", "flow", "predicted_query", "resnet", "saliency",
      "supervised_box", "thresholded_responsibility" }, names)
  end)
end)

describe("frames of good maps", function()
  it("are trained on alone where maps.quality asks for them", function()
    local labels, data = require "cohesiv.train.labels", co.data(tiny.world)
    local recipe = recipes.load(tiny.experiment)
    local scores = {}
    for _, use in pairs(labels.prepare(data, recipe)) do
      for _, entry in ipairs(use) do
        local R = data:clip(entry.clip):responsibility(entry.frame, { gaps = { -1, 1 }, fit = { points = 60 },
          size = recipe.size })
        scores[#scores + 1] = { R.quality.score, entry.clip .. entry.frame }
      end
    end
    table.sort(scores, function(a, b) return a[1] > b[1] end)
    local least = (scores[2][1] + scores[3][1]) / 2
    local expected, found = {}, {}
    for i = 1, 2 do expected[scores[i][2]] = true end
    for _, use in pairs(labels.prepare(data, recipe { maps = { quality = least } })) do
      for _, entry in ipairs(use) do found[entry.clip .. entry.frame] = true end
    end
    assert.same(expected, found)
    local weights = {} -- and weighted by maps.weighted, by scores that the cache has from making the samples
    for _, frames in ipairs { 2, 3 } do
      for _, use in pairs(labels.prepare(data, recipe { maps = { weighted = true, frames = frames } })) do
        for _, entry in ipairs(use) do weights[entry.clip .. entry.frame] = entry.weight end
      end
    end
    for _, score in ipairs(scores) do
      assert.is_true(math.abs(math.max(score[1], 0.01) - weights[score[2]]) < 1e-6)
    end
    assert.equal(2, co.train(recipe { maps = { weighted = true }, epochs = 2 }, { root = tiny:new_folder "weighted" })
      :status().epoch)
    support.raises("maps.quality: expected frames whose maps have a score of 9 or more, found", labels.prepare, data,
      recipe { maps = { quality = 9 } })
  end)
end)

describe("the losses of boxes and queries", function()
  it("are the same on a device whose memory the host may not touch, and teach what they shall", function()
    local rates = require "cohesiv.train.rates"
    local maps = co.zeros(4, 32, 64)
    maps[{ 1, { 5, 14 }, { 9, 24 } }], maps[{ 2, { 10, 20 }, { 20, 30 } }], maps[{ 3, { 15, 20 }, { 2, 9 } }] = 1, 1, 1
    co.seed(4)
    local pictures = (co.rand(2, 32, 64, 3) * 255):to "uint8"
    for _, body in ipairs { BOX, QUERY } do
      local recipe, values = recipes.load(experiment("guarded", body)), {}
      for i, device in ipairs { "cpu", "guard" } do
        co.seed(1)
        local model, part = require("cohesiv.hands.model").model(recipe.model):to(device), tasks.of(recipe).part
        local optimiser, names = rates.of(model, recipe.optim, part)
        rates.train(model, recipe.optim, part)
        local image_index = co.tensor({ 1, 1, 2, 2 }, { dtype = "int32" })
        local batch = { image = pictures:to(device), maps = maps:to(device), image_index = image_index:to(device) }
        local total = loss.of(model, recipe, batch)
        total:backward()
        optimiser:step()
        values[i] = { total:item(), loss.of(model, recipe, batch):item() }
        for name, t in model:named_parameters() do
          local learns = not part or name:find("^" .. part .. "%.") ~= nil
          assert.equal(learns and not name:find "hand_branch" and not name:find "object_branch", t.grad ~= nil, name)
        end
        assert.equal(part and 5 or #model:parameters(), #names)
      end
      assert.same(values[1], values[2])
    end
  end)
end)
