-- cohesiv prepare: what training needs, made ahead of it, by any number of processes at once; and the pool of workers.
local co = require "cohesiv"
local cache = require "cohesiv.data.cache"
local core = require "cohesiv.core"
local labels = require "cohesiv.train.labels"
local progress = require "cohesiv.base.progress"
local recipes = require "cohesiv.train.recipe"
local support = require "tests.support"
local workers = require "cohesiv.tools.workers"

local folder = support.temp()
local data = co.world { seed = 5, clips = 5, frames = 10, size = { 96, 64 }, mask_every = 0, truth = false,
  out = folder .. "/world", progress = false }
local changes = { "size=96x64", "maps.size=96x64", "maps.gaps=-1,1", "maps.sharpen=false", "maps.frames=3" }

local function prepare(store, ...)
  return support.cohesiv({ "prepare", data, table.unpack { ... } },
    { env = { COHESIV_CACHE = folder .. "/" .. store }, timeout = 120 })
end

-- Clips, frames and those made, of the summary.
local function numbers(result)
  local clips, frames, made = result.stdout:match "^prepare: (%d+) clips of .-: (%d+) frames to train on, (%d+) of them"
  assert.is_truthy(clips, result.stdout .. result.stderr)
  return { tonumber(clips), tonumber(frames), tonumber(made) }
end

-- What f sees with that cache, which is put back afterwards.
local function within(store, f)
  local before = os.getenv "COHESIV_CACHE"
  core.system.setenv("COHESIV_CACHE", folder .. "/" .. store)
  local ok, result = pcall(f)
  core.system.setenv("COHESIV_CACHE", before)
  if not ok then error(result, 0) end
end

local function samples(store)
  local pipe = io.popen(("find %s -name '*.npz' | sort"):format(support.quote(folder .. "/" .. store .. "/samples")))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line:match "samples/(.*)" end
  pipe:close()
  return list
end

describe("prepare", function()
  local first = prepare("first", table.unpack(changes))
  local total = numbers(first)[2]

  it("makes what training then finds, and says what a frame takes", function()
    assert.equal(0, first.status, first.stderr)
    assert.is_true(total > 5)
    assert.same({ 5, total, total }, numbers(first))
    local sizes = "; samples of [%d.]+ kB, [%d.]+ kB a frame; beside them, for each frame made, flow [%d.]+ kB, person"
    assert.is_truthy(first.stdout:find(sizes), first.stdout)
    assert.is_truthy(first.stderr:find "prepare: 5 of 5, 0 s left: [^:]+: 3 frames, 3 made, ", first.stderr)
    assert.equal(total, #samples "first")
    within("first", function()
      local recipe = recipes.load(recipes.experiment "quickstart_real", changes)
      cache.written, progress.quiet = {}, true
      local made = labels.prepare(co.data(data), recipe)
      progress.quiet = false
      assert.equal(total, #made.train + #made.validation)
      assert.same({}, cache.written)
    end)
  end)

  it("makes nothing twice, and what is damaged again", function()
    assert.same({ 5, total, 0 }, numbers(prepare("first", table.unpack(changes))))
    support.write(folder .. "/first/samples/" .. samples("first")[1], "damaged")
    local again = prepare("first", "--jobs", "2", table.unpack(changes))
    assert.same({ 5, total, 1 }, numbers(again))
    assert.is_truthy(again.stderr:find("expected an intact sample, found it damaged", 1, true))
  end)

  it("is shared by processes that run at once: each sample is made once", function()
    local words = {}
    for i, word in ipairs(changes) do words[i] = support.quote(word) end
    local main = support.quote(support.root .. "/lua/cohesiv/main.lua")
    local function one(i, jobs)
      local line = "COHESIV_CACHE=%s lua5.4 %s prepare %s %s %s >F/out%d 2>F/err%d; echo $? >F/status%d"
      return line:gsub("F/", (folder:gsub("%%", "%%%%")) .. "/"):format(support.quote(folder .. "/shared"), main,
        support.quote(data), table.concat(words, " "), jobs, i, i, i)
    end
    support.run(("(%s) & (%s) & (%s) & wait"):format(one(1, "--jobs 2"), one(2, ""), one(3, "")), { timeout = 120 })
    local made = 0
    for i = 1, 3 do
      local result = { stdout = support.read(folder .. "/out" .. i), stderr = support.read(folder .. "/err" .. i) }
      assert.equal("0\n", support.read(folder .. "/status" .. i), result.stderr)
      local clips, frames, mine = table.unpack(numbers(result))
      assert.same({ 5, total }, { clips, frames })
      made = made + mine
    end
    assert.equal(total, made)
    assert.same(samples "first", samples "shared")
    assert.same({}, support.list(folder .. "/shared/prepare"))
    for _, kind in ipairs { "samples", "flow", "person" } do
      assert.same({}, support.list(folder .. "/shared/" .. kind .. "/tmp"))
    end
    assert.same({ 5, total, 0 }, numbers(prepare("shared", table.unpack(changes))))
  end)

  it("takes a part of the clips, by their names alone", function()
    local clips, frames = 0, 0
    for i = 1, 3 do
      local part = prepare("first", "--shard", i .. "/3", table.unpack(changes))
      assert.equal(0, part.status, part.stderr)
      local found = numbers(part)
      clips, frames = clips + found[1], frames + found[2]
    end
    assert.same({ 5, total }, { clips, frames })
    local inside = require("cohesiv.train.prepare").in_shard
    local counts = { 0, 0, 0 }
    for n = 1, 600 do
      for i = 1, 3 do counts[i] = counts[i] + (inside("clip" .. n, i, 3) and 1 or 0) end
    end
    assert.equal(600, counts[1] + counts[2] + counts[3])
    for i = 1, 3 do assert.is_true(counts[i] > 150) end
  end)

  it("tells of a damaged clip in a line, and makes the others", function()
    local broken = folder .. "/broken"
    os.execute(("cp -r %s %s"):format(support.quote(data), support.quote(broken)))
    support.write(broken .. "/clips/bad.mp4", "no video")
    assert(require("lfs").mkdir(broken .. "/clips/bare"))
    support.write(broken .. "/clips/bare/00000.png", co.image.png(co.zeros(8, 8, 3, { dtype = "uint8" })))
    local names = co.data(data).clips
    support.write(broken .. "/hands_json/bad.json", support.read(("%s/hands_json/%s.json"):format(data, names[1])))
    for _, jobs in ipairs { "1", "2" } do
      local result = support.cohesiv({ "prepare", broken, "--jobs", jobs, table.unpack(changes) },
        { env = { COHESIV_CACHE = folder .. "/broken_cache", COHESIV_WEIGHTS = folder }, timeout = 120 })
      assert.equal(1, result.status)
      assert.same({ 7, total, jobs == "1" and total or 0 }, numbers(result))
      assert.is_truthy(result.stdout:find("1 with no landmarks", 1, true), result.stdout)
      local told = "prepare: %d of 7, [^:]*: bad: [^\n]*bad.mp4: expected a video file, found"
      assert.is_truthy(result.stderr:find(told), result.stderr)
      local last = "cohesiv: prepare: expected 7 whole clips, found 1 that could not be prepared: bad\n"
      assert.equal(last, result.stderr:sub(-#last))
    end
  end)

  it("refuses in one line what it cannot mean", function()
    support.refuses(prepare("none", "--jobs", "0"), 2, "--jobs: expected an integer of 1 or more, found '0'")
    for _, part in ipairs { "0/3", "4/3", "1", "1/0", "a/b" } do
      support.refuses(prepare("none", "--shard", part), 2, "--shard: expected i/n with i of 1 to n, found")
    end
    support.refuses(prepare("none", "a.lua", "b.lua"), 2, "expected one EXPERIMENT.lua and key=value, found b.lua")
    support.refuses(prepare("none", "maps.gap=1"), 1, "maps.gaps")
    support.refuses(prepare("none", "none.lua"), 1, "none.lua")
    assert(require("lfs").mkdir(folder .. "/empty") and require("lfs").mkdir(folder .. "/empty/clips"))
    support.refuses(support.cohesiv { "prepare", folder .. "/empty" }, 1, "found none in clips/")
    support.refuses(support.cohesiv { "prepare", folder .. "/nowhere" }, 1, "expected a folder, found nothing")
  end)

  it("stops at Ctrl-C, and goes on", function()
    local long = co.world { seed = 6, clips = 4, frames = 40, size = { 192, 128 }, mask_every = 0, truth = false,
      out = folder .. "/long", progress = false }
    for _, jobs in ipairs { "1", "2" } do
      local result = support.cohesiv({ "prepare", long, "--jobs", jobs, "size=192x128" },
        { env = { COHESIV_CACHE = folder .. "/stopped" }, timeout = 1.5, signal = "INT" })
      assert.equal(130, result.status, result.stderr)
      local line = "cohesiv: interrupted: what was made so far is kept; the same command goes on with the rest\n"
      assert.equal(line, result.stderr:sub(-#line))
      assert.equal(1, select(2, result.stderr:gsub("interrupted", "")))
      assert.equal("", result.stdout)
    end
    within("stopped", function()
      for _, path in ipairs(samples "stopped") do core.sample_digest(folder .. "/stopped/samples/" .. path) end
    end)
  end)
end)

describe("a pool of workers", function()
  local script = support.write(folder .. "/worker.lua", [[
    local me = arg[#arg]
    for line in io.lines() do
      if line:find "die" then os.exit(3) end
      io.write('{"worker":', me, ',"half":1}\n{"worker":', me, ',"state":"done","task":', line, '}\n')
      io.flush()
    end]])

  -- What is heard of tasks, with this script for the program.
  local function run(tasks, count)
    local before, heard, halves = arg, {}, 0
    _G.arg = { [-1] = "lua5.4", [0] = script }
    local pool <close> = workers.start { words = {}, count = count }
    _G.arg = before
    pool:run(function() return table.remove(tasks, 1) end, function(answer, task)
      if answer.half then halves = halves + 1 return end
      heard[#heard + 1] = task.name .. " " .. answer.state
      assert.is_true(answer.state == "lost" or answer.task.name == task.name)
    end)
    table.sort(heard)
    return heard, halves
  end

  it("deals every task out once, whoever is free", function()
    local tasks, wanted = {}, {}
    for i = 1, 40 do tasks[i], wanted[i] = { name = ("n%02d\n'"):format(i) }, ("n%02d\n' done"):format(i) end
    local heard, halves = run(tasks, 3)
    assert.same(wanted, heard)
    assert.equal(40, halves)
  end)

  it("tells which tasks were lost with their worker", function()
    local heard = run({ { name = "a" }, { name = "die" }, { name = "b" }, { name = "c" } }, 2)
    assert.same({ "a done", "b done", "c done", "die lost" }, heard)
    assert.same({ "die lost" }, (run({ { name = "die" }, { name = "x" } }, 1)))
  end)
end)
