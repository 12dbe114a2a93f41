-- cohesiv runs and cohesiv compare: runs made of systems without training, and rows written out.
local co = require "cohesiv"
local core = require "cohesiv.core"
local comparison, runs = require "cohesiv.train.comparison", require "cohesiv.train.run"
local json = require "cohesiv.base.json"
local support = require "tests.support"

local folder = support.temp()
local cache_before = os.getenv "COHESIV_CACHE"
local function cohesiv(...) return support.cohesiv({ ... }, { dir = folder }) end
local function decoded(...)
  local result = cohesiv(...)
  assert.equal(0, result.status, result.stderr)
  return json.decode(result.stdout, "its output")
end

setup(function()
  core.system.setenv("COHESIV_CACHE", folder .. "/cache")
  co.world { out = folder .. "/world", clips = 4, frames = 7, size = { 64, 48 }, seed = 4, mask_every = 6,
    progress = false }
  local base = require "experiments.disc"
  for _, change in ipairs { {}, { seed = 7 }, { name = "flow", system = "flow" } } do
    local r = base { data = folder .. "/world", size = { 64, 48 } }
    co.train(r(change), { root = folder .. "/runs" })
  end
  co.evaluate(co.run(folder .. "/runs/disc"))
  co.evaluate(co.run(folder .. "/runs/flow"))
end)
teardown(function() core.system.setenv("COHESIV_CACHE", cache_before) end)

describe("the scores of a run", function()
  it("are kept by an evaluation, and gone when thresholds change", function()
    local run = co.run(folder .. "/runs/disc")
    local kept = run:scores()
    local tasks = co.evaluate(run)
    local sum, n = 0, 0
    for _, row in ipairs(kept.rows) do
      if row.task == "Pair" then sum, n = sum + row.iou, n + 1 end
    end
    assert.equal(tasks.Pair.n, n)
    assert.is_true(math.abs(tasks.Pair.mean - 100 * sum / n) < 1e-9)
    assert.is_nil(co.run(folder .. "/runs/disc-2"):scores())
    local calibration = run:calibration()
    for _, t in pairs(calibration.thresholds) do t[1] = t[1] + 0.01 end
    local before = support.read(run:file "calibration.json")
    run:set_calibration(calibration)
    assert.is_nil(run:scores())
    core.io.write_file(run:file "calibration.json", before)
    assert.same(kept, run:scores())
  end)
end)

describe("cohesiv runs", function()
  local function names(...)
    local list = {}
    for i, row in ipairs(decoded("runs", "--json", ...)) do list[i] = row.path:match "[^/]+$" end
    return list
  end

  it("lists them with what they reach", function()
    local text = cohesiv("runs").stdout
    local tasks = co.evaluate(co.run(folder .. "/runs/disc"))
    assert.is_truthy(text:find(("runs/disc +done .* %.1f +%.1f +%.1f +%.1f\n"):format(tasks.All.mean, tasks.Pair.mean,
      tasks.Hand.mean, tasks.Obj.mean)), text)
    assert.is_truthy(text:find "runs/disc%-2 +done .* %- +%- +%- +%-\n", text)
    local row = decoded("runs", "--json")[1]
    assert.equal("disc", row.name)
    assert.is_true(math.abs(tasks.Obj.mean - row.Obj) < 1e-9)
    assert.equal("disc", row.recipe.system)
  end)

  it("filters and sorts by columns and keys of recipes", function()
    assert.same({ "disc", "disc-2", "flow" }, names())
    assert.same({ "flow" }, names("--where", "system=flow"))
    assert.same({ "disc-2" }, names("--where", "system=disc", "--where", "seed=7"))
    assert.same({ "disc", "disc-2", "flow" }, names("--where", "state=done", "--where", "minutes=none"))
    assert.same({}, names("--where", "optim.lr=99"))
    assert.same({ "disc", "flow", "disc-2" }, names("--sort", "seed"))
    local disc, flow = co.evaluate(co.run(folder .. "/runs/disc")), co.evaluate(co.run(folder .. "/runs/flow"))
    assert.same(disc.Pair.mean > flow.Pair.mean and { "disc", "flow", "disc-2" } or { "flow", "disc", "disc-2" },
      names("--sort", "Pair"))
    assert.equal("no runs\n", cohesiv("runs", "--where", "system=saliency").stdout)
  end)

  it("tells of killed runs and of damaged folders", function()
    local run = co.run(folder .. "/runs/disc-2")
    local before = support.read(run:file "status.json")
    run:set_status { state = "training", step = 12 }
    assert.same({ "disc-2" }, names("--where", "state=killed"))
    local lock = run:lock()
    assert.same({ "disc-2" }, names("--where", "state=training", "--where", "step=12"))
    local _ <close> = lock
    core.io.write_file(run:file "status.json", before)
    core.io.make_folder(folder .. "/runs/broken")
    core.io.write_file(folder .. "/runs/broken/recipe.json", "{")
    finally(function()
      os.remove(folder .. "/runs/broken/recipe.json")
      os.remove(folder .. "/runs/broken")
    end)
    local result = cohesiv("runs")
    assert.equal(0, result.status)
    assert.is_truthy(result.stderr:find("broken/recipe.json", 1, true))
    assert.is_truthy(result.stdout:find("runs/flow", 1, true))
  end)

  it("refuses what it does not know", function()
    support.refuses(cohesiv("runs", "--where", "sytem=flow"), 2, "--where: expected a key of the recipes")
    support.refuses(cohesiv("runs", "--where", "flow"), 2, "--where: expected key=value")
    support.refuses(cohesiv("runs", "--sort", "Pairs"), 2, "--sort")
    support.refuses(cohesiv("runs", "--root", "none"), 1, "expected a folder of runs, found none at none")
  end)
end)

describe("co.show of a run", function()
  it("draws the losses of its epochs", function()
    local path = folder .. "/runs/disc-2"
    local run = co.run(path)
    support.raises("expected losses in metrics.jsonl, found none", co.show, run)
    for epoch = 1, 3 do
      run:log { epoch = epoch, step = 10 * epoch, lr = 0.1, train_total = 3 - epoch / 2, validation_total = 4 - epoch }
    end
    finally(function() os.remove(path .. "/metrics.jsonl") end)
    support.write(folder .. "/show.lua", ("local co = require 'cohesiv' co.show(co.run '%s')"):format(path))
    local text = cohesiv(folder .. "/show.lua").stdout
    assert.is_truthy(text:find("train_total 1.5   validation_total 1\n", 1, true), text)
    assert.is_truthy(text:find "\n +10 +30\n$", text)
    assert.is_nil(text:find "lr")
  end)
end)

describe("cohesiv compare", function()
  it("shows settings that differ, and paired differences", function()
    local found = decoded("compare", "runs/disc", "runs/flow", "--json")
    local a, b = co.evaluate(co.run(folder .. "/runs/disc")), co.evaluate(co.run(folder .. "/runs/flow"))
    for task, t in pairs(found.tasks) do
      assert.is_true(math.abs(t.a - a[task].mean) < 1e-9 and math.abs(t.b - b[task].mean) < 1e-9)
      assert.is_true(math.abs(t.difference - (t.b - t.a)) < 1e-9 and t.low <= t.difference and t.difference <= t.high)
    end
    assert.same({ { key = "system", from = "disc", to = "flow" } }, found.settings)
    local same = decoded("compare", "runs/disc", "runs/disc-2", "--json") -- the second is evaluated now
    assert.same({ 0, 0, 0 }, { same.tasks.Pair.difference, same.tasks.Pair.low, same.tasks.Pair.high })
    assert.same({ { key = "seed", from = 0, to = 7 } }, same.settings)
    local text = cohesiv("compare", "runs/disc", "runs/flow").stdout
    assert.is_truthy(text:find('system +"disc" +"flow"'), text)
    assert.is_truthy(text:find("Pair +%d+%.%d +%d+%.%d +[+-]%d+%.%d"), text)
    support.refuses(cohesiv("compare", "runs/disc", "runs/none"), 1, "expected a run folder")
  end)

  it("draws clips, the same for both", function()
    local function row(clip, iou, task) return { clip = clip, n = 1, q = 1, task = task or "Hand", iou = iou } end
    -- far apart between clips, one hundredth apart between runs: the interval is that of the difference
    local a = { row("x", 0.1), row("y", 0.9), row("z", 0.5), row("only a", 0.3) }
    local b = { row("x", 0.11), row("y", 0.91), row("z", 0.51), row("x", 0.3, "Obj") }
    local t = comparison.tasks(a, b)
    assert.is_nil(t.Obj)
    assert.equal(3, t.Hand.n)
    for _, name in ipairs { "difference", "low", "high" } do assert.is_true(math.abs(t.Hand[name] - 1) < 1e-9) end
    assert.is_true(math.abs(t.Hand.a - 50) < 1e-9)
    assert.is_nil(next(comparison.tasks(a, { row("w", 1) })))
  end)

  it("lists runs in order, and only runs", function()
    assert.same({ "disc", "disc-2", "flow" }, (function()
      local list = {}
      for i, path in ipairs(runs.list(folder .. "/runs")) do list[i] = path:match "[^/]+$" end
      return list
    end)())
  end)
end)
