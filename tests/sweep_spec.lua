-- Sweeps: what grid, random and list make; runs as processes that are killed, go on, fail and are tried again; halving;
-- maps that are made once by many processes; and a real Slurm, where there is one.
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"
local jobs = require "cohesiv.tools.sweep_jobs"
local lists = require "cohesiv.base.lists"
local plans = require "cohesiv.tools.sweep_plan"
local public = require "cohesiv.sweep"
local runs = require "cohesiv.train.run"
local slurm = require "tests.slurm"
local support = require "tests.support"
local sweeps = require "cohesiv.train.sweep"
local tables = require "cohesiv.tools.sweep_table"
local tiny = require "tests.tiny"

local base = require "experiments.cohesiv"
local t = tiny.new()
t:make_world()

local function names(list) return lists.map(list, function(entry) return entry.name end) end

-- A sweep file of the tiny experiment.
local function file(name, text)
  return support.write(("%s/%s.lua"):format(t.folder, name),
    ('local sweep, tiny = require "cohesiv.sweep", dofile %q\nreturn %s\n'):format(t.experiment, text))
end

local function sweep(dir, words, options)
  options = options or {}
  options.dir, options.env, options.timeout = dir, options.env or t.environment, options.timeout or 120
  return support.cohesiv({ "sweep", table.unpack(words) }, options)
end

local function wait_for(what, seconds)
  local before = core.system.now()
  while core.system.now() - before < (seconds or 60) do
    local value = what()
    if value then return value end
    core.system.sleep(0.05)
  end
  error("waited in vain", 2)
end

-- The process that holds a run, when it has written so many records.
local function holder(path, records)
  local lines = core.io.status(path .. "/metrics.jsonl") and support.read(path .. "/metrics.jsonl") or ""
  local held = core.io.status(path .. "/.lock") and support.read(path .. "/.lock"):match "process (%d+)"
  return select(2, lines:gsub("\n", "")) >= records and held or nil
end

-- Whether a process is at work: one that has ended, and that nobody has waited for, is not.
local function lives(pid)
  local stat <close> = io.open(("/proc/%s/stat"):format(pid))
  return stat and not stat:read("a"):find "%) Z " or false
end

describe("a sweep", function()
  it("is every combination of a grid, in the order of its keys", function()
    local grid = public.grid(base, { ["maps.temperature"] = { 1, 2.5 }, seed = { 0, 1 } })
    assert.same({ "cohesiv_temperature-1_seed-0", "cohesiv_temperature-1_seed-1", "cohesiv_temperature-2.5_seed-0",
      "cohesiv_temperature-2.5_seed-1" }, names(grid))
    assert.equal(2.5, grid[3].recipe.maps.temperature)
    assert.equal(1, grid[4].recipe.seed)
    assert.equal(grid[3].name, grid[3].recipe.name)
    assert.equal("maps.temperature = 2.5, seed = 1", sweeps.changes_text(grid[4]))
    local several = public.grid({ base, base { name = "other", loss = { embedding = 0 } } }, { seed = { 0, 1 },
      ["maps.gaps"] = { { -1, 1 } } })
    assert.same({ "cohesiv_gaps--1_1_seed-0", "cohesiv_gaps--1_1_seed-1", "other_gaps--1_1_seed-0",
      "other_gaps--1_1_seed-1" }, names(several))
    assert.same({ 0, { -1, 1 } }, { several[3].recipe.loss.embedding, several[3].recipe.maps.gaps })
  end)

  it("is drawn at random, the longer beginning with the shorter", function()
    local values = { ["optim.lr"] = { 1e-4, 1e-1, log = true }, seed = { 3, 5 }, batch = { 2, 4, 8 } }
    local long, short = public.random(base, values, 60, 7), public.random(base, values, 3, 7)
    local seen, low = { seed = {}, batch = {} }, 0
    for i, entry in ipairs(long) do
      local r = entry.recipe
      seen.seed[r.seed], seen.batch[r.batch] = true, true
      assert.is_true(r.optim.lr >= 1e-4 and r.optim.lr <= 1e-1)
      low = low + (r.optim.lr < 10 ^ -2.5 and 1 or 0)
      if short[i] then assert.same(sweeps.changes_text(short[i]), sweeps.changes_text(entry)) end
    end
    assert.same({ seed = { [3] = true, [4] = true, [5] = true }, batch = { [2] = true, [4] = true, [8] = true } }, seen)
    assert.is_true(low > 15 and low < 45, low) -- half of them, in the logarithm
    assert.is_false(sweeps.changes_text(long[1]) == sweeps.changes_text(public.random(base, values, 1, 8)[1]))
  end)

  it("is a list, names told apart", function()
    local list = public.list { base, base { batch = 3 }, public.grid(base, { seed = { 4 } }) }
    assert.same({ "cohesiv", "cohesiv-2", "cohesiv_seed-4" }, names(list))
    assert.equal("batch = 3", sweeps.changes_text(list[2]))
  end)

  it("of the paper's tables has every system, each as far from the base as its experiment", function()
    local paper = sweeps.load(support.root .. "/experiments/sweeps/paper.lua")
    local by = {}
    for _, entry in ipairs(paper) do by[entry.name] = entry.recipe end
    assert.equal(21, #paper)
    assert.is_function(paper.prepare)
    assert.same({ 0, 1, 2 }, { by["cohesiv_seed-0"].seed, by["cohesiv_seed-1"].seed, by["resnet_seed-2"].seed })
    assert.equal(0, by["attention_only_seed-1"].loss.embedding)
    assert.equal(0, by["embeddings_only_seed-1"].loss.responsibility)
    assert.equal("resnet50", by["resnet_seed-0"].model.encoder)
    assert.equal("responsibility", by.thresholded_responsibility.system)
    assert.same({ 160, 96 }, by["cohesiv_seed-0"].size) -- quickstart's
    assert.same({ 224, 128 }, by.flow.size)
    local real = sweeps.load(support.root .. "/experiments/sweeps/paper_real.lua")
    assert.same({ 9, true, "resnet50", "random" }, { #real, real[1].recipe.held_out, real[7].recipe.model.encoder,
      real[7].recipe.model.encoder_weights }) -- nowhere to be had for it
  end)

  it("says in one line what is wrong with it", function()
    support.raises('unknown key "maps.temprature"; the nearest known one is "maps.temperature"', public.grid, base,
      { ["maps.temprature"] = { 1 } })
    support.raises("seed: expected a list of values, found 3", public.grid, base, { seed = 3 })
    support.raises("expected a key with a list of values, found none", public.grid, base, {})
    support.raises("grid: base: expected a recipe or a list of them, found nil", public.grid, nil, { seed = { 1 } })
    support.raises("list[2]: expected a recipe, found 3", public.list, { base, 3 })
    support.raises("random: expected a number of draws, found 0", public.random, base, { seed = { 1, 2 } }, 0)
    support.raises("optim.lr: expected { low, high } above 0", public.random, base,
      { ["optim.lr"] = { 0, 1, log = true } }, 1)
    support.refuses(sweep(t.folder, { file("number", "3") }), 1, "expected the file to return sweep.grid")
    support.refuses(sweep(t.folder, { t.experiment }), 1, "found a recipe: cohesiv train")
    support.refuses(sweep(t.folder, { file("one", "sweep.list { tiny }"), "--only", "2" }), 2, "a place of 1 to 1")
    local bare = file("bare", 'sweep.list { require "experiments.cohesiv" { name = "bare" } }')
    support.refuses(sweep(t.folder, { bare }), 1, "sweep: bare: expected a data folder (data=PATH), found none")
  end)
end)

describe("a program beside this one", function()
  local log = t.folder .. "/child.log"

  local function status_of(words, signal)
    local child <close> = core.io.child(words, log)
    assert.is_true(child:pid() > 0)
    if signal then child:signal(signal) end
    return wait_for(function() return child:ended() end, 20)
  end

  it("tells how it ended, and appends what it prints", function()
    assert.equal(3, status_of { "sh", "-c", "echo one; exit 3" })
    assert.equal(0, status_of { "sh", "-c", "echo two >&2" })
    assert.equal("one\ntwo\n", support.read(log))
    assert.equal(128 + 9, status_of({ "sleep", "60" }, "KILL"))
    assert.equal(128 + 15, status_of({ "sleep", "60" }, "TERM"))
  end)

  it("is killed with its handle, and refused in one line", function()
    local pid
    do
      local child <close> = core.io.child({ "sleep", "60" }, log)
      pid = child:pid()
    end
    assert.is_false(os.execute(("kill -0 %d 2>/dev/null"):format(pid)) == true)
    support.raises("no-such-program: expected the program on the PATH", core.io.child, { "no-such-program" }, log)
    support.raises("words: expected a program and its arguments, found an empty list", core.io.child, {}, log)
    support.raises("expected a file to write to", core.io.child, { "true" }, t.folder .. "/none/log")
  end)
end)

describe("CPUs", function()
  it("are shared fairly", function()
    local function shares(cpus, count)
      local list = {}
      for slot = 1, count do list[slot] = jobs.threads(cpus, count, slot) end
      return list
    end
    assert.same({ 3, 3, 2 }, shares(8, 3))
    assert.same({ 1, 1, 1 }, shares(2, 3))
    assert.same({ 16 }, shares(16, 1))
  end)

  it("have GPUs beside them: those that are visible", function()
    local before = os.getenv "CUDA_VISIBLE_DEVICES"
    for text, list in pairs { ["3,5"] = { "3", "5" }, ["GPU-1f, 0"] = { "GPU-1f", "0" }, [""] = {} } do
      core.system.setenv("CUDA_VISIBLE_DEVICES", text)
      assert.same(list, jobs.gpus())
    end
    core.system.setenv("CUDA_VISIBLE_DEVICES", before)
  end)
end)

describe("the table", function()
  local rows = {
    { name = "a", state = "done", step = 20, loss = 0.5, figures = { All = 61.24, Pair = 50 } },
    { name = "b", state = "running", step = 3, loss = 1.25, figures = {}, left = 75, share = 0.5 },
    { name = "c", state = "waiting", figures = {} },
  }

  it("shows state, step, loss, figures and time left", function()
    local text = tables.text(rows)
    assert.is_truthy(text:find "\na +done +20 +0.5000 +61.2 +50.0 +%- +%-")
    assert.is_truthy(text:find "\nb +running +3 +1.2500 .* 1:15 min")
    assert.equal("1 of 3 done, 1 running, 1 waiting", tables.counts(rows))
    assert.is_truthy(tables.text(rows, 1):find "\nb .-\n… and 2 more$")
  end)

  it("tells how long all takes, as far as what runs tells", function()
    assert.equal((75 + 150) / 1, plans.remaining(rows, 1)) -- half of b, and c as long as all of b
    assert.equal((75 + 150) / 2, plans.remaining(rows, 2))
    assert.is_nil(plans.remaining({ rows[1], rows[3] }, 1))
  end)
end)

describe("successive halving", function()
  it("gives twice the training to the better half until one is left", function()
    local entries = lists.map({ 1, 2, 3, 4, 5 }, function(i) return { name = "r" .. i, recipe = base {} } end)
    local rows, merit = {}, { r1 = 1, r2 = 5, r3 = 3, r4 = 2, r5 = 4 }
    for i, entry in ipairs(entries) do
      rows[entry.name] = { name = entry.name, state = i == 5 and "failed" or "waiting", figures = {}, share = 0 }
    end
    local folder = { entries = entries, row = function(_, entry) return rows[entry.name] end,
      merit = function(_, entry) return merit[entry.name], true end,
      drop = function(_, entry) rows[entry.name].state = "dropped" end }
    local plan = plans.new(folder, { halving = true })
    local shares = {}
    for _ = 1, 10 do
      local now, share, going = plan:look()
      if not going then break end
      shares[#shares + 1] = share
      for i, row in ipairs(now) do
        if plan:wants(row, i, share) then
          rows[row.name].state, rows[row.name].share = share == 1 and "done" or "paused", share
        end
      end
    end
    assert.same({ 0.125, 0.25, 0.5, 1 }, shares)
    assert.same({ "dropped", "done", "dropped", "dropped", "failed" }, lists.map(entries, function(entry)
      return rows[entry.name].state
    end))
  end)
end)

describe("cohesiv sweep", function()
  it("plans without writing, runs, tries again what fails, and goes on", function()
    local path = file("mixed",
      'sweep.list { tiny { epochs = 1 }, tiny { name = "disc", system = "disc" }, '
        .. 'tiny { name = "bad", model = { encoder_weights = "none.npz" } }, '
        .. 'require "experiments.examples.own_system" { data = tiny.data, size = tiny.size }, '
        .. 'prepare = function(all) io.open("prepared", "a"):write(#all, all[1].name, " "):close() end }')
    local dir = t:new_folder "mixed-runs"
    local dry = sweep(dir, { path, "--dry-run" })
    assert.equal(0, dry.status, dry.stderr)
    assert.is_truthy(dry.stdout:find "\n2 +disc +waiting +epochs = 2, system = \"disc\"\n", dry.stdout)
    assert.same({}, support.list(dir))
    local result = sweep(dir, { path, "--jobs", "3" })
    assert.equal(1, result.status)
    assert.equal("runs/mixed\n", result.stdout)
    assert.is_truthy(result.stderr:find("sweep: bad failed: [^\n]*none.npz[^\n]*; it is tried again\n"), result.stderr)
    assert.is_truthy(result.stderr:find("sweep: bad failed again: [^\n]*none.npz"), result.stderr)
    assert.is_truthy(result.stderr:find("expected 4 runs done, found 1 that failed twice: bad ", 1, true))
    assert.same({ "disc", "logs", "own_system", "results.csv", "sweep.json", "sweep.lua", "tiny" },
      support.list(dir .. "/runs/mixed"))
    assert.equal("4tiny ", support.read(dir .. "/prepared")) -- by the sweep, not by its runs
    assert.equal(support.read(path), support.read(dir .. "/runs/mixed/sweep.lua"))
    assert.equal(support.read(path), support.read(dir .. "/runs/mixed/tiny/recipe.lua"))
    local csv = support.read(dir .. "/runs/mixed/results.csv")
    assert.is_truthy(csv:find "\ntiny,,done,%d+,[%d.]+,[%d.]+,[%d.]+,[%d.]+,[%d.]+,[%d.]+\n", csv)
    assert.is_truthy(csv:find '\nbad,"[^\n]*",failed,', csv)
    assert.is_truthy(runs.open(dir .. "/runs/mixed/tiny"):scores())
    assert.is_truthy(runs.open(dir .. "/runs/mixed/disc"):scores())
    assert.is_truthy(runs.open(dir .. "/runs/mixed/own_system"):scores()) -- code in a recipe
    -- Again: only what failed is tried; done runs stay as they are.
    local before = support.read(dir .. "/runs/mixed/tiny/status.json")
    result = sweep(dir, { path, "--only", "1-2" })
    assert.equal(0, result.status, result.stderr)
    assert.equal(before, support.read(dir .. "/runs/mixed/tiny/status.json"))
    assert.equal(3, #runs.list(dir .. "/runs"))
    -- The same name for another recipe.
    support.refuses(sweep(dir, { path, "batch=1", "--only", "1" }), 1, "found another: batch: 2 → 1")
  end)

  it("survives the death of a run's process, and its own, bit for bit", function()
    local path, dir, plain = file("killed", "sweep.grid(tiny, { seed = { 1 } })"), t:new_folder "killed", "runs/killed"
    local run = ("%s/%s/tiny_seed-1"):format(dir, plain)
    local whole = t:train(t:new_folder "straight", { "name=tiny_seed-1", "seed=1", "epochs=6" })
    assert.equal(0, whole.status, whole.stderr)
    local main = ("cd %s && COHESIV_CACHE=%s COHESIV_CHECKPOINT_SECONDS=0 lua5.4 %s/lua/cohesiv/main.lua"):format(
      support.quote(dir), support.quote(t.folder .. "/cache"), support.root)
    local log = t.folder .. "/killed.err"
    local pipe = io.popen(("%s sweep %s epochs=6 2>%s & echo $!; wait"):format(main, support.quote(path), log))
    local own = math.tointeger(pipe:read "n")
    local first = wait_for(function() return holder(run, 1) end)
    os.execute("kill -9 " .. first)
    local orphan = wait_for(function() -- tried again; the sweep itself looks at the lock for a moment
      local now = holder(run, 2)
      return now and now ~= first and tonumber(now) ~= own and now
    end)
    assert.is_truthy(support.read(log):find("tiny_seed-1 failed: killed by signal 9; it is tried again", 1, true))
    os.execute("kill -9 " .. own)
    pipe:close()
    wait_for(function() return not lives(orphan) end) -- it has noticed: its run is stopped, or else done
    local stopped = sweep(dir, { path, "epochs=6" }, { timeout = 0.9, signal = "INT", env = t.often })
    assert.is_truthy(stopped.status == 130 or stopped.status == 0, stopped.stderr)
    local last = sweep(dir, { path, "epochs=6" })
    assert.equal(0, last.status, last.stderr)
    os.remove(run .. "/scores.json")
    assert.same({ "modules.json", "recipe.lua" }, tiny.differing(run, t.folder .. "/straight/runs/tiny_seed-1"))
    assert.equal("done", runs.open(run):status().state)
  end)

  it("gives up the worse half when it halves, and finishes the rest as if it had not stopped", function()
    local path, dir = file("halved", "sweep.grid(tiny, { seed = { 1, 2 } })"), t:new_folder "halved"
    local result = sweep(dir, { path, "--halving", "--jobs", "2" })
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stderr:find "halving: 1 of 2 go on after 0.5 of the training, by the IoU", result.stderr)
    local states = lists.map({ 1, 2 }, function(seed)
      return runs.open(("%s/runs/halved/tiny_seed-%d"):format(dir, seed)):status().state
    end)
    table.sort(states)
    assert.same({ "done", "dropped" }, states)
    result = sweep(dir, { path, "--halving" })
    assert.equal(0, result.status, result.stderr)
    assert.equal(2, #runs.list(dir .. "/runs"))
  end)

  it("has one report, which a browser opens, with its tables as CSV, JSON and LaTeX", function()
    local dir = t.folder .. "/mixed-runs"
    local result = support.cohesiv({ "report", "mixed.lua", "--csv", "tables", "--latex", "tables", "--pictures", "1" },
      { dir = dir, env = t.environment, timeout = 120 })
    assert.equal(0, result.status, result.stderr)
    assert.equal("runs/mixed/report.html\n", result.stdout)
    local text = support.read(dir .. "/runs/mixed/report.html")
    assert.is_true(#text < 600000, #text)
    for _, part in ipairs { "own_system", "mixed: hands and what they hold", "Differences", "Settings that differ",
      "Validation loss",
      "Thresholds", "The same frames", "Failures, by their kind", "<svg", "data-with=" } do
      assert.is_truthy(text:find(part, 1, true), part)
    end
    assert.is_nil(text:find "ublished")
    assert.is_nil(text:find "https?://[^w]")
    for _, name in ipairs { "results", "differences", "settings" } do
      for _, extension in ipairs { "csv", "json", "tex" } do
        assert.is_truthy(core.io.status(("%s/tables/%s.%s"):format(dir, name, extension)), name .. extension)
      end
    end
    assert.is_truthy(support.read(dir .. "/tables/results.csv"):find "^name,All,All low,All high,All n,Pair,")
    assert.is_truthy(support.read(dir .. "/tables/results.tex"):find("\\begin{tabular}{lrrrr}", 1, true))
    local browser = support.run("command -v chromium || command -v chromium-browser").stdout:match "%S+"
    if not browser then return end
    local seen = support.run({ browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
      "--log-level=0", "--dump-dom", "file://" .. dir .. "/runs/mixed/report.html" },
      { timeout = 120, env = { HOME = dir } })
    assert.equal(0, seen.status, seen.stderr)
    assert.is_truthy(seen.stdout:find("data-note=", 1, true)) -- its script has run
    assert.is_nil(seen.stderr:find "CONSOLE", seen.stderr)
  end)
end)

describe("what runs share", function()
  it("is made once by eight processes at once, also when one is killed at it", function()
    local script = support.write(t.folder .. "/share.lua", ([[
      local cache, labels = require "cohesiv.data.cache", require "cohesiv.train.labels"
      local recipe = require("cohesiv.train.recipe").load(%q, { "maps.gaps=-2,2" })
      require("cohesiv.base.progress").quiet = true
      local write = cache.write
      if arg[1] == "dies" then -- with the lock of what it makes, which is half made
        cache.write = function(kind, key, extension, make)
          write(kind, key, extension, function(path, folder)
            if kind == "samples" then
              local core = require "cohesiv.core"
              io.open(%q, "w"):close()
              core.system.sleep(1) -- the others come
              os.execute("kill -9 " .. core.system.pid())
            end
            make(path, folder)
          end)
        end
      else
        cache.write = function(kind, key, ...)
          io.write(kind, " ", require("cohesiv.core").io.digest(key), "\n")
          return write(kind, key, ...)
        end
      end
      local made = labels.prepare(require("cohesiv").data(recipe.data), recipe)
      print("whole " .. #made.train + #made.validation)]]):format(t.experiment, t.folder .. "/held"))
    local one = ("lua5.4 %s/lua/cohesiv/main.lua %s"):format(support.root, script)
    local words = { ("%s dies & while [ ! -e %s/held ]; do sleep 0.05; done;"):format(one, t.folder) }
    for _ = 1, 8 do words[#words + 1] = one .. " &" end
    local result = support.run("{ " .. table.concat(words, " ") .. " wait; }",
      { env = { COHESIV_CACHE = t.folder .. "/shared", COHESIV_THREADS = "1" }, timeout = 120 })
    local times, kinds, whole = {}, {}, {}
    for line in result.stdout:gmatch "[^\n]+" do
      if line:find "^whole" then
        whole[#whole + 1] = line
      else
        times[line], kinds[line:match "%w+"] = (times[line] or 0) + 1, true
      end
    end
    assert.equal(8, #whole, result.stderr)
    assert.same({ whole[1] }, lists.keys(lists.set(whole)))
    for line, count in pairs(times) do assert.equal(1, count, line) end
    assert.is_true(kinds.samples and kinds.flow)
    assert.same({}, tiny.leftovers(t.folder .. "/shared"))
  end)
end)

describe("Slurm", function()
  local cluster, why = slurm.start()
  if not cluster then
    pending("runs a sweep as an array, requeued on SIGUSR1: " .. why)
    return
  end
  teardown(function() cluster:close() end)

  it("runs a sweep as an array; a task that is told of its limit goes back into the queue and goes on", function()
    local path, dir = file("array", "sweep.grid(tiny, { seed = { 1, 2 } })"), t:new_folder "array"
    local env = { COHESIV_CACHE = t.folder .. "/cache", COHESIV_SLURM_SECONDS = "0.5" }
    for name, value in pairs(cluster.environment) do env[name] = value end
    local submit = support.root .. "/lua/cohesiv/main.lua sweep " .. support.quote(path)
      .. " --slurm epochs=6 >out 2>err; echo $? >status"
    local words = {}
    for name, value in pairs(env) do words[#words + 1] = name .. "=" .. support.quote(value) end
    local pipe = io.popen(("cd %s && { %s lua5.4 %s; }"):format(support.quote(dir), table.concat(words, " "), submit))
    wait_for(function() return holder(dir .. "/runs/array/tiny_seed-1", 1) end)
    local told = support.run({ "scancel", "--signal=USR1", "--batch", "--name=cohesiv-array", "--state=RUNNING" },
      { env = env })
    assert.equal(0, told.status, told.stderr)
    pipe:close()
    local errors = support.read(dir .. "/err")
    assert.equal("0\n", support.read(dir .. "/status"), errors)
    assert.equal("runs/array\n", support.read(dir .. "/out"))
    assert.is_truthy(errors:find "submitted as job %d+: 2 runs", errors)
    assert.is_truthy(support.read(dir .. "/runs/array/logs/slurm-1.log"):find
      "interrupted: a checkpoint was written[^\n]*; back into the queue as %d+_1")
    for seed = 1, 2 do
      local run = runs.open(("%s/runs/array/tiny_seed-%d"):format(dir, seed))
      assert.equal("done", run:status().state)
      assert.equal(6, #run:metrics())
      assert.is_truthy(run:scores())
    end
    assert.equal(2, select(2, support.read(dir .. "/runs/array/results.csv"):gsub(",done,", "")))
    assert.equal("array", json.read(dir .. "/runs/array/sweep.json").file:match "([^/]+)%.lua$")
  end)
end)
