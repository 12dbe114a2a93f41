-- Run folders against accidents: one writer at a time, the same recipe and data on resume, damaged samples and files,
-- starts that fail, killed writers; and that equal runs are equal byte for byte.
local co = require "cohesiv"
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"
local lfs = require "lfs"
local recipes = require "cohesiv.train.recipe"
local runs = require "cohesiv.train.run"
local support = require "tests.support"
local tiny = require "tests.tiny"
local warn = require "cohesiv.base.warn"

local t = tiny.new()
local base = require "experiments.cohesiv"

local MAY_CHANGE = "detect_anomaly, device, epochs, minutes, pictures, tensorboard, threads may change"

-- One line on standard error at the end that holds `text`, and nothing from inside the interpreter.
local function refused(result, text)
  assert.equal(1, result.status, result.stderr)
  local line = result.stderr:match "([^\n]*)\n$"
  assert.is_truthy(line:find("^cohesiv: ") and line:find(text, 1, true), ("expected '%s' in: %s"):format(text, line))
  assert.is_nil(result.stderr:find "attempt to")
end

local function copy(from, to) assert.equal(0, support.run({ "cp", "-r", from, to }).status) end

describe("a run folder", function()
  local root = support.temp()

  it("is written by one process, and says by which", function()
    local run = runs.create(base { name = "held" }, { root = root })
    local other = runs.open(run.path)
    do
      local _ <close> = run:lock()
      local nested <close> = run:lock()
      run:log { epoch = 1 }
      local message = support.raises(run.path .. ": expected a run nobody writes, found it held by process", other.log,
        other, { epoch = 1 })
      assert.is_truthy(message:find(("process %d on %s since 20%%d%%d%%-%%d%%d%%-%%d%%d %%d%%d:%%d%%d:%%d%%d UTC")
        :format(core.system.pid(), (core.system.hostname():gsub("%p", "%%%0"))) .. "$"), message)
      local _ = nested
    end
    other:log { epoch = 2 }
    assert.equal(2, #run:metrics())
    assert.is_nil(core.io.status(run:file ".lock"))
  end)

  it("that a killed process held is free at once", function()
    local run = runs.create(base { name = "killed" }, { root = root })
    local script = support.write(root .. "/hold.lua", ([[
      local run = require("cohesiv.train.run").open %q
      local lock <close> = run:lock()
      os.execute("kill -9 " .. require("cohesiv.core").system.pid())]]):format(run.path))
    assert.equal(137, support.cohesiv({ script }).status)
    assert.equal("file", (core.io.status(run:file ".lock")))
    run:set_status { state = "free" }
    assert.equal("free", run:status().state)
    assert.is_nil(core.io.status(run:file ".lock"))
  end)

  it("is another for each of many that begin at one moment", function()
    local script = support.write(root .. "/many.lua", ([[
      local runs, base = require "cohesiv.train.run", require "experiments.cohesiv"
      for _ = 1, 10 do print(runs.create(base { name = "many" }, { root = %q }).path) end]]):format(root))
    local command = {}
    for i = 1, 4 do
      command[i] = ("lua5.4 %s/lua/cohesiv/main.lua %s & "):format(support.root, script)
    end
    local result = support.run("{ " .. table.concat(command) .. "wait; }")
    local seen, count = {}, 0
    for path in result.stdout:gmatch "[^\n]+" do
      assert.is_nil(seen[path], path)
      seen[path], count = true, count + 1
      assert.equal("many", runs.open(path).recipe.name)
    end
    assert.equal(40, count, result.stderr)
  end)

  it("of a start that was killed is taken over, one that anything else made is not", function()
    local path = root .. "/begun"
    lfs.mkdir(path)
    support.write(path .. "/.lock", "process 1 on nowhere since long ago\n")
    support.write(path .. "/run.json", "{")
    support.write(path .. "/.cohesiv-1-1.tmp", "half")
    local run = runs.create(base { name = "begun" }, { root = root })
    assert.equal(path, run.path)
    assert.same({ "recipe.json", "recipe.lua", "run.json", "status.json" }, support.list(path))
    lfs.mkdir(root .. "/mine")
    assert.equal(root .. "/mine-2", runs.create(base { name = "mine" }, { root = root }).path)
  end)

  it("loses the temporary files of killed writers, not those of live ones", function()
    local run = runs.create(base { name = "swept" }, { root = root })
    support.write(run:file ".cohesiv-1-1.tmp", ("x"):rep(1000))
    support.write(run:file ".cohesiv-keep", "not ours")
    local script = support.write(root .. "/write.lua", ([[
      -- writes what takes a while, and waits in the middle of it
      local core = require "cohesiv.core"
      local big = require("cohesiv").zeros(1 << 20)
      for _ = 1, 400 do core.io.npz_write(%q, { big = big }, 9) end]]):format(run:file "big.npz"))
    local pipe = io.popen(("exec lua5.4 %s/lua/cohesiv/main.lua %s"):format(support.root, script))
    local before = core.system.now()
    local others = 0
    while others == 0 and core.system.now() - before < 20 do
      for _, path in ipairs(tiny.leftovers(run.path)) do
        if not path:find "%-1%-1" and not path:find "keep" then others = others + 1 end
      end
    end
    assert.is_true(others > 0)
    for _ = 1, 20 do core.io.sweep(run.path) end
    assert.is_true(pipe:close(), "the writer found its file gone")
    assert.same({ run:file ".cohesiv-keep" }, tiny.leftovers(run.path))
  end)
end)

describe("a generated world", function()
  it("loses the temporary files of killed writers when it is gone on with", function()
    local out = support.temp() .. "/world"
    local function make(clips)
      co.world { clips = clips, frames = 3, size = { 32, 24 }, out = out, progress = false }
    end
    make(1)
    local clip = support.list(out .. "/clips")[1]
    local next_clip = clip:gsub("0$", "1")
    core.io.make_folder(out .. "/clips/." .. next_clip .. ".part")
    core.io.make_folder(out .. "/masks/" .. next_clip)
    for _, place in ipairs { "", "/hands_json", "/masks/" .. next_clip, "/clips/." .. next_clip .. ".part" } do
      support.write(out .. place .. "/.cohesiv-1-1.tmp", "half")
    end
    assert.equal(4, #tiny.leftovers(out))
    make(2)
    assert.same({ clip, next_clip }, support.list(out .. "/clips"))
    assert.same({}, tiny.leftovers(out))
  end)
end)

describe("JSON", function()
  it("is the same text for the same value, keys sorted", function()
    assert.equal('{"1":5,"a":{"b":[1,{"x":[],"y":2}],"c":null},"b":"\\/\\n"}',
      (json.encode { b = "/\n", a = { c = json.null, b = { 1, { y = 2, x = {} } } }, ["1"] = 5 }:gsub("{}", "[]")))
    assert.equal('[{"a":1},null,{"b":2}]', json.encode { { a = 1 }, nil, { b = 2 } })
    assert.equal('{"a": false, "b": null, "c": 0.1}\n', json.row { c = 0.1, b = 0 / 0, a = false })
    assert.equal('{\n  "a": 1,\n  "b": null\n}\n', json.lines({ a = 1 }, { "a", "b" }))
    local deep = {}
    for _ = 1, 70 do deep = { a = deep, b = 1 } end
    support.raises("more than 64 deep", json.encode, deep)
    support.raises("a boolean as a key", json.encode, { [true] = 1 })
    support.raises("more holes than values", json.encode, { [1] = {}, [5000] = { a = 1, b = 1 } })
  end)
end)

describe("a training run", function()
  local whole = t:new_folder "whole"
  local made = whole .. "/runs/tiny"

  setup(function()
    t:make_world()
    local result = t:train(whole)
    assert.equal(0, result.status, result.stderr)
  end)

  it("is another's equal byte for byte, but for the times", function()
    local result = t:train(whole)
    assert.equal("runs/tiny-2\n", result.stdout, result.stderr)
    lfs.mkdir(t.folder .. "/second")
    assert(os.rename(whole .. "/runs/tiny-2", t.folder .. "/second/tiny"))
    assert.same({}, tiny.differing(made, t.folder .. "/second/tiny"))
    local list = {}
    for line in support.read(made .. "/samples.jsonl"):gmatch "[^\n]+" do list[#list + 1] = json.decode(line) end
    assert.equal(co.run(made):status().samples + co.run(made):status().validation, #list)
    for _, s in ipairs(list) do assert.is_truthy(#s == 4 and s[4]:find("^%x+$"), json.encode(s)) end
  end)

  it("goes on with its recipe alone: what changed is named", function()
    local dir = t:new_folder "changed"
    copy(whole .. "/runs", dir)
    local path = dir .. "/runs/tiny"
    local before = support.read(path .. "/last.safetensors")
    refused(t:train(dir, { "--resume", "batch=4", "optim.lr=0.5", "epochs=3", "minutes=4" }),
      "train: runs/tiny: expected the recipe that the run began with, found another: batch: 2 → 4, optim.lr: 0.001 → "
      .. "0.5 (only " .. MAY_CHANGE .. ")")
    refused(t:train(dir, { "--resume", "data=" .. t.folder .. "/cache" }), "data: ")
    assert.equal(before, support.read(path .. "/last.safetensors"))
    assert.same({}, tiny.differing(made, path))
    local result = t:train(dir, { "--resume", "epochs=3", "minutes=100" })
    assert.equal(0, result.status, result.stderr)
    local line = "runs/tiny: from step %d+ on epochs: 2 → 3, minutes: none → 100"
    assert.is_truthy(result.stderr:find(line), result.stderr)
    local run = co.run(path)
    assert.equal(3, #run:metrics())
    assert.same({ 3, 100, 2 }, { run.recipe.epochs, run.recipe.minutes, run.recipe.batch })
    local changes = run:info().changes
    assert.same({ { key = "epochs", step = changes[1].step, from = 2, to = 3 },
      { key = "minutes", step = changes[1].step, to = 100 } }, changes)
    assert.is_true(changes[1].step > 0)
    result = t:train(dir, { "--resume", "epochs=3", "minutes=100" })
    assert.equal(0, result.status, result.stderr)
    assert.same(changes, co.run(path):info().changes)
    local script = 'local recipe = require("cohesiv.train.recipe").load(%q) { seed = 4 } '
      .. 'require("cohesiv").train(recipe, { resume = "runs/tiny" })'
    script = script:format(t.experiment)
    refused(support.cohesiv({ "-e", script }, { dir = dir, env = t.environment }), "seed: 3 → 4")
    local help = support.cohesiv { "train", "--help" }
    assert.is_truthy(help.stdout:find("only " .. MAY_CHANGE, 1, true))
  end)

  it("is begun as long as it would be, with more epochs from the start or on the way", function()
    local dir, other = t:new_folder "longer", t:new_folder "long"
    assert.equal(0, t:train(dir, { "epochs=1" }).status)
    assert.equal(0, t:train(dir, { "--resume", "epochs=2" }).status)
    assert.equal(0, t:train(other).status)
    assert.same({ "run.json" }, tiny.differing(dir .. "/runs/tiny", other .. "/runs/tiny"))
  end)

  it("goes on with its data alone: what changed is counted and named, and nothing else", function()
    local dir, clip = t:new_folder "data", nil
    copy(whole .. "/runs", dir)
    for line in support.read(made .. "/samples.jsonl"):gmatch "[^\n]+" do clip = clip or json.decode(line)[2] end
    local hands = ("%s/hands_json/%s.json"):format(t.world, clip)
    local good = support.read(hands)
    support.run { "touch", hands } -- the same content: made again, the same
    local result = t:train(dir, { "--resume" })
    assert.equal(0, result.status, result.stderr)
    assert.same({}, tiny.differing(made, dir .. "/runs/tiny"))
    local doc = json.decode(good)
    for _, frame in ipairs(doc.frames) do
      for _, hand in ipairs(frame) do
        for _, vertex in ipairs(hand.vertices) do vertex[1] = vertex[1] + 2 end
        hand.box = { hand.box[1] + 2, hand.box[2], hand.box[3] + 2, hand.box[4] }
      end
    end
    support.write(hands, json.encode(doc))
    result = t:train(dir, { "--resume" })
    support.write(hands, good)
    local count = co.run(made):status()
    refused(result, ("train: runs/tiny: expected the samples that the run began with, found that the data has changed: "
      .. "2 of %d samples differ, first: clip %s frame "):format(count.samples + count.validation, clip))
    assert.same({}, tiny.differing(made, dir .. "/runs/tiny"))
  end)

  it("makes damaged samples again, and ends in the same bytes", function()
    local cache, dir = t:new_folder "mended_cache", t:new_folder "mended"
    local env = { COHESIV_CACHE = cache }
    assert.equal(0, t:train(t:new_folder "mended_before", nil, { env = env }).status)
    local found = support.run { "find", cache .. "/samples", "-name", "*.npz" }
    local files = {}
    for line in found.stdout:gmatch "[^\n]+" do files[#files + 1] = line end
    table.sort(files)
    local good = {}
    for i, path in ipairs(files) do good[i] = support.read(path) end
    local function flip(bytes, at)
      return bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ 64) .. bytes:sub(at + 1)
    end
    local function flip_sum(bytes) return flip(bytes, bytes:find("PK\1\2", 1, true) + 16) end -- the digest, too
    local damage = {
      function(bytes) return bytes:sub(1, #bytes // 2) end, function(bytes) return flip(bytes, #bytes // 3) end,
      function() return "" end, function() return nil end, flip_sum,
      function(bytes) return ("x"):rep(#bytes) end,
    }
    assert.equal(#damage, #files)
    for round = 1, 2 do -- of a new run, and of one that is gone on with
      for i, path in ipairs(files) do
        local bytes = damage[(i + round) % #damage + 1](good[i])
        os.remove(path)
        if bytes then support.write(path, bytes) else lfs.mkdir(path) end
      end
      local result = t:train(dir, { "--resume" }, { env = env })
      assert.equal(0, result.status, result.stderr)
      local line = "cohesiv: warning: %s: expected an intact sample, found it damaged; it is made again\n"
      line = line:format(files[1])
      assert.is_truthy(result.stderr:find(line, 1, true), result.stderr)
      assert.same({}, tiny.differing(made, dir .. "/runs/tiny"))
      for i, path in ipairs(files) do
        assert.is_true(round == 2 or good[i] == support.read(path), ("sample %d"):format(i))
      end
    end
  end)

  it("leaves no folder when it fails before the first step", function()
    local dir = t:new_folder "failed"
    local function none(result, text)
      refused(result, text)
      assert.same({}, support.list(dir .. "/runs"))
    end
    local script = support.write(t.folder .. "/fails.lua", ([[
      -- what arg names fails
      local name, place = arg[1]:match "^(.*)%%.(.*)$"
      require("cohesiv." .. name)[place] = function() error("memory: expected bytes, found none left", 0) end
      require("cohesiv.train.train").train(require("cohesiv.train.recipe").load(%q))]]):format(t.experiment))
    for _, what in ipairs { "nn.losses.responsibility", "train.samples.text", "nn.autotune.use",
      "hands.calibrate.attach" } do
      local result = support.cohesiv({ script, what }, { dir = dir, env = t.environment })
      if what == "hands.calibrate.attach" then -- after the last step: everything is kept
        refused(result, "memory: expected bytes")
        assert.same({ "tiny" }, support.list(dir .. "/runs"))
        support.run { "rm", "-r", dir .. "/runs/tiny" }
      elseif what ~= "nn.autotune.use" then
        none(result, "memory: expected bytes")
      end
      support.run { "rm", "-rf", dir .. "/runs/tiny" }
    end
    support.write(dir .. "/disc.lua", 'return require "experiments.cohesiv" { name = "disc", system = "disc" }')
    none(support.cohesiv({ "train", "disc.lua", "data=" .. dir }, { dir = dir, env = t.environment }), dir)
    none(t:train(dir, { "optim.lr=nan" }), "")
  end)

  it("that a process writes is no other's to go on with", function()
    local dir = t:new_folder "locked"
    local script = support.write(t.folder .. "/second.lua", ([[
      -- in the middle of its epoch starts a second one
      local progress = require "cohesiv.base.progress"
      local new, told = progress.new, false
      progress.new = function(label, total)
        local bar = new(label, total)
        function bar:update(done)
          if label:find "epoch 1" and not told then
            told = true
            os.execute("lua5.4 %s/lua/cohesiv/main.lua train %s --resume 2>second")
            os.execute("lua5.4 %s/lua/cohesiv/main.lua eval runs/tiny 2>third")
          end
        end
        return bar
      end
      require("cohesiv.train.train").train(require("cohesiv.train.recipe").load(%q))]]):format(support.root,
      t.experiment, support.root, t.experiment))
    local result = support.cohesiv({ script }, { dir = dir, env = t.environment, timeout = 400 })
    assert.equal(0, result.status, result.stderr)
    assert.same({}, tiny.differing(made, dir .. "/runs/tiny"))
    for _, name in ipairs { "second", "third" } do
      local line = support.read(dir .. "/" .. name)
      assert.is_truthy(line:find("^cohesiv: runs/tiny: expected a run nobody writes, found it held by process %d+ on "
        .. ".* since [%d: -]+ UTC\n$"), name .. ": " .. line)
    end
  end)

  it("that was killed at any moment leaves nothing behind once it is resumed", function()
    co.seed(math.tointeger(os.getenv "COHESIV_KILL_SEED" or 11))
    local dir, cache = t:new_folder "killed", t:new_folder "killed_cache"
    local env = { COHESIV_CACHE = cache, COHESIV_CHECKPOINT_SECONDS = "0" }
    local kills, hurry = 0, 1
    repeat -- sooner on a machine that is done before the first kill
      support.run { "rm", "-rf", dir .. "/runs", cache }
      for k = 1, support.small and 3 or 6 do
        local moment = hurry * (0.3 + k * co.rand(1)[1])
        local result = t:train(dir, { "--resume" }, { signal = "KILL", timeout = moment, env = env })
        if result.status == 0 then break end
        assert.equal(137, result.status, result.stderr)
        kills = kills + 1
      end
      hurry = hurry / 2
    until kills > 0
    -- what no moment can be trusted to leave
    core.io.make_folder(dir .. "/runs/tiny")
    for _, kind in ipairs { "samples/tmp", "flow/tmp" } do
      core.io.make_folder(cache .. "/" .. kind)
      support.write(cache .. "/" .. kind .. "/.cohesiv-1-1.tmp", "half a sample")
    end
    if core.io.status(dir .. "/runs/tiny/recipe.json") then
      support.write(dir .. "/runs/tiny/.cohesiv-1-1.tmp", "half a checkpoint")
    end
    support.run { "sh", "-c", "find " .. cache .. "/samples -name '*.npz' | head -1 | xargs -r truncate -s 100" }
    local result = t:train(dir, { "--resume" }, { env = env })
    assert.equal(0, result.status, result.stderr)
    local path = dir .. "/" .. result.stdout:gsub("\n", "")
    assert.same({}, tiny.differing(made, path))
    assert.same({}, tiny.leftovers(dir))
    assert.same({}, tiny.leftovers(cache .. "/samples"))
    assert.is_nil(core.io.status(path .. "/.lock"))
  end)

  it("with any damaged file gives an answer or one line that names it", function()
    local dir = t:new_folder "damaged"
    copy(whole .. "/runs", dir)
    local path, random = dir .. "/runs/tiny", {}
    co.seed(5)
    for i, v in ipairs((co.rand(300) * 256):totable()) do random[i] = string.char(math.floor(v)) end
    random = table.concat(random)
    local kinds = { "", random, "[]", "1", '"x"', "null", '{"thresholds":1}', "[[1]]", '{"a":{"b":[null]}}', "half",
      "a folder" }
    core.system.setenv("COHESIV_CACHE", t.environment.COHESIV_CACHE)
    local recipe = recipes.load(t.experiment)
    local calls = {
      open = function() return co.run(path) end,
      metrics = function() return co.run(path):metrics() end,
      status = function() return co.run(path):status() end,
      info = function() return co.run(path):info() end,
      calibration = function() return co.run(path):calibration() end,
      model = function() return co.run(path):model() end,
      last = function() return co.run(path):model "last" end,
      choices = function() return co.run(path):restore_choices() end,
      facts = function() require("cohesiv.tools.report_run").write(co.run(path), { baselines = {}, pictures = 1 }) end,
      evaluate = function() return co.evaluate(path) end,
      resume = function() return co.train(recipe, { resume = path }) end,
    }
    local good, names = {}, support.list(path)
    for _, name in ipairs(names) do good[name] = support.read(path .. "/" .. name) end
    require("cohesiv.base.progress").quiet = true
    local write = warn.write
    warn.write = function() end
    local function restore()
      for _, name in ipairs(support.list(path)) do
        if core.io.status(path .. "/" .. name) == "folder" then lfs.rmdir(path .. "/" .. name) end
      end
      for name, bytes in pairs(good) do support.write(path .. "/" .. name, bytes) end
    end
    local failures, answers = 0, 0
    -- each of these for every so many kinds: those that take long, and those that read few of the files
    local order, slow, every = {}, { facts = 0, evaluate = 1, resume = 2, model = 0, last = 1 }, { model = 3, last = 3 }
    for call in pairs(calls) do order[#order + 1] = call end
    table.sort(order)
    local function each(name, kind, i)
      local file = path .. "/" .. name
      for _, call in ipairs(order) do
        local f = calls[call]
        if not slow[call] or (i + #name) % (every[call] or 5) == slow[call] then
          os.remove(file)
          if kind == "a folder" then lfs.mkdir(file)
          else support.write(file, kind == "half" and good[name]:sub(1, #good[name] // 2) or kind) end
          local ok, message = pcall(co.tidy, function() f() end)
          restore()
          local case = ("%s of %q with %s: %s"):format(call, kind:sub(1, 20), name, tostring(message))
          if ok then answers = answers + 1 else
            failures = failures + 1
            assert.is_nil(message:find("\n", 1, true), case)
            assert.is_nil(message:find "attempt to" or message:find "bad argument" or message:find "%.lua:%d", case)
            assert.is_truthy(message:find(name, 1, true) or message:find("runs/tiny", 1, true), case)
          end
        end
      end
    end
    local ok, message = pcall(function()
      for _, name in ipairs(names) do
        for i, kind in ipairs(kinds) do each(name, kind, i) end
      end
    end)
    require("cohesiv.base.progress").quiet = false
    warn.write = write
    core.system.setenv("COHESIV_CACHE", nil)
    if not ok then error(message, 0) end
    for _, name in ipairs { "report.html", "scores.json" } do os.remove(path .. "/" .. name) end
    assert.is_true(failures > 50 and answers > 50, failures .. " " .. answers)
    assert.same({}, tiny.differing(made, path))
  end)
end)
