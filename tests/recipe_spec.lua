-- Recipes: merging, errors that name the nearest key, files, overrides; and the run folders that keep them.

local lfs = require "lfs"
local recipe = require "cohesiv.train.recipe"
local run = require "cohesiv.train.run"
local support = require "tests.support"

local function message_of(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.is_nil(message:find "\n")
  return message
end

local function has(message, part) assert.is_truthy(message:find(part, 1, true), message) end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

describe("the options of maps", function()
  local map_options = require "cohesiv.motion.map_options"

  it("are a recipe's, and clip:responsibility takes them as they are", function()
    local base = require "experiments.cohesiv"
    local o = map_options.of_recipe(base { maps = { background = "homography", closeness = 2 } })
    assert.same({ "homography", 2, { 448, 256 }, 500 }, { o.background, o.closeness, o.size, o.fit.points })
    o = map_options.read("x", o, map_options.clip)
    assert.is_true(o.fit.fall_back)
    assert.equal("auto", o.flow)
  end)

  it("name samples in the cache by these keys", function()
    assert.same({ "maps.background", "maps.closeness", "maps.fit.model", "maps.fit.points", "maps.fit.robust",
      "maps.flow", "maps.gaps", "maps.sharpen", "maps.size", "maps.targets", "maps.temperature" },
      map_options.recipe_keys())
  end)
end)

describe("a recipe", function()
  local base = require "experiments.cohesiv"

  it("has every key of the contract, with the method's defaults", function()
    local values, names = recipe.flatten(base)
    local known = {}
    for _, name in ipairs(names) do known[name] = true end
    for name in ([[name data size seed threads minutes epochs batch model.encoder model.encoder_weights
        model.decoder_widths model.embedding_dim model.attention_dim loss.responsibility loss.embedding
        embedding.normalise embedding.scale embedding.epsilon embedding.means optim.lr optim.weight_decay
        optim.schedule maps.gaps maps.temperature maps.background maps.fit.model maps.fit.points maps.fit.robust
        maps.targets maps.closeness maps.flow maps.tau maps.band person.source person.threshold device]])
        :gmatch "%S+" do
      assert.is_true(known[name], name)
    end
    assert.are.same({ 448, 256 }, base.size)
    assert.are.same({ 10, 1, 0.01, 2, 500 }, { values["loss.responsibility"], values["loss.embedding"],
      values["optim.lr"], values["maps.temperature"], values["maps.fit.points"] })
  end)

  it("merges deeply and leaves its base alone", function()
    local one = base { loss = { embedding = 0 }, name = "one" }
    local two = one { maps = { fit = { robust = true }, gaps = { 1 } } }
    assert.are.same({ 0, 10, "one" }, { two.loss.embedding, two.loss.responsibility, two.name })
    assert.is_true(two.maps.fit.robust)
    assert.are.same({ 1 }, two.maps.gaps)
    assert.are.same({ 1, "cohesiv", 6 }, { base.loss.embedding, base.name, #base.maps.gaps })
    assert.is_false(one.maps.fit.robust)
    two.size[1] = 7
    assert.are.equal(448, one.size[1])
  end)

  it("names the nearest key for an unknown one", function()
    has(message_of(base, { maps = { temprature = 1 } }), 'unknown key "maps.temprature"')
    has(message_of(base, { maps = { temprature = 1 } }), 'the nearest known one is "maps.temperature"')
    has(message_of(base, { lr = 1 }), '"optim.lr"')
    has(message_of(base, { modle = {} }), '"model"')
    has(message_of(function() return base.batches end), '"batch"')
    has(message_of(function() base {}.optim.rate = 1 end), '"optim.')
  end)

  it("refuses changed types and values out of a closed set", function()
    has(message_of(base, { batch = "x" }), 'batch: expected a number or one of "auto", found "x"')
    local whole = require "experiments.cohesiv"
    has(message_of(whole, { maps = { temperature = -1 } }), "maps.temperature: expected pixels above 0, found -1")
    has(message_of(whole, { maps = { fit = { points = 1.5 } } }), "maps.fit.points: expected an integer of 0 to")
    has(message_of(whole, { maps = { closeness = 0 } }), "maps.closeness: expected hand sizes above 0, found 0")
    has(message_of(base, { maps = 3 }), "maps: expected a table with")
    has(message_of(base, { name = {} }), "name: expected a string")
    has(message_of(base, { size = { 1, "x" } }), "size[2]: expected a number")
    has(message_of(base, { model = { encoder = "vgg" } }), '"resnet50"')
    has(message_of(base, { maps = { gaps = "fast" } }), 'maps.gaps: expected a list or one of "motion", found "fast"')
    has(message_of(base, { minutes = "long" }), "minutes: expected a number")
    has(message_of(base, 3), "expected a table of changes")
    assert.are.equal("motion", base { maps = { gaps = "motion" } }.maps.gaps)
    assert.are.equal(2, base { minutes = 2 }.minutes)
  end)

  it("takes typed overrides", function()
    local new = recipe.override(base, { "maps.gaps=-1,1", "size=224x128", "minutes=0.5", "embedding.normalise=false",
      "model.encoder_weights=a b", "name=x", "model.decoder_widths={1, 2, 3, 4, 5}" })
    assert.are.same({ -1, 1 }, new.maps.gaps)
    assert.are.same({ 224, 128 }, new.size)
    assert.are.same({ 0.5, false, "a b", "x", 5 },
      { new.minutes, new.embedding.normalise, new.model.encoder_weights, new.name, #new.model.decoder_widths })
    assert.are.equal("motion", recipe.override(base, { "maps.gaps=motion" }).maps.gaps)
    assert.is_nil(recipe.override(new, { "minutes=none" }).minutes)
    has(message_of(recipe.override, base, { "maps.temprature=1" }), '"maps.temperature"')
    has(message_of(recipe.override, base, { "maps=1" }), "expected one of its keys")
    has(message_of(recipe.override, base, { "batch=x" }), "expected a number")
    has(message_of(recipe.override, base, { "embedding.normalise=yes" }), "expected true or false")
    has(message_of(recipe.override, base, { "batch" }), "expected key=value")
    has(message_of(recipe.override, base, { "data=a", "batch=2", "data=b" }),
      'data: expected one value (several paths: "data={a,b}", in quotes), found two')
    assert.are.equal(3, recipe.override(base, { "batch=2", "data=a", "batch=3", "data=a" }).batch)
    has(message_of(recipe.override, base, { "maps.temperature.x=1" }), "unknown key")
  end)

  it("lists its values as assignments, and is the same as another that has the same ones", function()
    local one = base { name = "x", minutes = 2 }
    assert.are.same({ "minutes=2", 'name="x"', "size={448, 256}" },
      recipe.assignments(one, { size = 1, minutes = 1, name = 1, threads = 1 }))
    local count = 0
    for _ in pairs((recipe.flatten(one))) do count = count + 1 end
    assert.are.equal(count, #recipe.assignments(one))
    assert.is_true(recipe.same(one, base { minutes = 2, name = "x" }))
    assert.is_false(recipe.same(one, base { name = "x" }))
  end)

  it("refuses names that are a key and a group at once, or empty in part", function()
    has(message_of(recipe.unflatten, { a = 1, ["a.b"] = 2 }), "a: expected a group of keys, found 1")
    has(message_of(recipe.unflatten, { ["a..b"] = 2 }), "expected a name, found a part of it empty")
    assert.are.equal(2, recipe.unflatten({ ["a.b"] = 2 }, { "a.b", "a.c" }).a.b)
  end)

  it("describes itself, marking what differs", function()
    local text = recipe.describe(base { batch = 4 })
    has(text, "batch                      4   (base: 10)")
    has(text, "closeness")
    assert.is_nil(text:find("seed[^\n]*base"))
  end)
end)

describe("an experiment file", function()
  it("is loaded from any folder, and its source is kept", function()
    local folder = support.temp()
    local path = folder .. "/mine.lua"
    local text = 'return require "experiments.cohesiv" { name = "mine", batch = 3 }\n'
    write(path, text)
    local before = lfs.currentdir()
    assert(lfs.chdir(folder))
    local ok, r = pcall(recipe.load, "mine.lua", { "batch=4" })
    assert(lfs.chdir(before))
    assert.is_true(ok, r)
    assert.are.same({ "mine", 4, text }, { r.name, r.batch, (recipe.source(r)) })
  end)

  it("that ships is at most five lines, the base apart, and loads", function()
    for name in lfs.dir(support.root .. "/experiments") do
      local path = support.root .. "/experiments/" .. name
      local text = name:find "%.lua$" and support.read(path)
      if text and name ~= "cohesiv.lua" and text:find('require "experiments.cohesiv"', 1, true) then
        assert.is_true(recipe.is(recipe.load(path)), name)
        if #name < 40 and text:find "^local base" then assert.is_true(select(2, text:gsub("\n", "")) <= 5, name) end
      end
    end
  end)

  it("that is wrong gives one line", function()
    local folder = support.temp()
    has(message_of(recipe.load, folder .. "/none.lua"), "none.lua")
    has(message_of(recipe.load, folder), "expected")
    write(folder .. "/a.lua", "return {}")
    has(message_of(recipe.load, folder .. "/a.lua"), "expected the file to return a recipe")
    write(folder .. "/s.lua", 'return require("cohesiv.sweep").list { require "experiments.cohesiv" { name = "a" } }')
    has(message_of(recipe.load, folder .. "/s.lua"), "found a sweep: cohesiv sweep")
    write(folder .. "/b.lua", "return (")
    has(message_of(recipe.load, folder .. "/b.lua"), "b.lua")
    write(folder .. "/c.lua", 'return require "experiments.cohesiv" { bach = 1 }')
    has(message_of(recipe.load, folder .. "/c.lua"), 'c.lua: recipe: unknown key "bach"; the nearest known one is')
  end)
end)

describe("a run folder", function()
  local base = require "experiments.cohesiv"

  it("keeps the recipe and never takes another's place", function()
    local root = support.temp()
    local r = base { name = "x", maps = { gaps = { -1, 1 } }, minutes = 2 }
    local one, two = run.create(r, { root = root }), run.create(r, { root = root })
    assert.are.same({ "x", "x-2", "x-3" }, { one.name, two.name, run.create(r, { root = root }).name })
    local again = run.open(two.path .. "/")
    assert.are.same((recipe.flatten(r)), (recipe.flatten(again.recipe)))
    assert.is_true(recipe.same(r, again.recipe))
    assert.is_false(recipe.same(r, r { batch = r.batch + 1 }))
    assert.are.equal("x-2", again.name)
    assert.are.equal(5, again.recipe { batch = 5 }.batch)
    assert.are.equal("created", again:status().state)
    assert.are.equal(0, again:info().seed)
    has(message_of(function() again.recipe { bach = 1 } end), '"batch"')
  end)

  it("appends metrics, survives a torn line, and cuts back", function()
    local made = run.create(base { name = "m" }, { root = support.temp() })
    assert.are.same({}, made:metrics())
    for step = 1, 5 do made:log { step = step, loss = 1 / step } end
    local file = io.open(made:file "metrics.jsonl", "ab")
    file:write '{"step": 6, "lo'
    file:close()
    assert.are.equal(5, #made:metrics())
    made:cut(function(record) return record.step <= 3 end)
    local records = made:metrics()
    assert.are.same({ 3, 3 }, { #records, records[3].step })
    assert.is_true(math.abs(records[3].loss - 1 / 3) < 1e-12)
    assert.are.equal("integer", math.type(records[3].step))
    made:log { step = 4, loss = 0 / 0 }
    assert.is_nil(made:metrics()[4].loss)
    support.write(made:file "metrics.jsonl", '{"step": 1}\nstep 2\n')
    has(message_of(made.metrics, made), "metrics.jsonl: line 2: expected JSON")
  end)

  it("refuses what is no run, and names that leave the folder", function()
    local root = support.temp()
    has(message_of(run.open, root), "expected a run folder with recipe.json")
    has(message_of(run.open, nil), "expected the path of a run folder")
    has(message_of(run.create, base { name = "../x" }, { root = root }), "expected a name of letters")
    has(message_of(run.create, base { name = ".." }, { root = root }), "expected a name of letters")
    has(message_of(run.create, {}, { root = root }), "expected a recipe")
    write(root .. "/recipe.json", "{")
    has(message_of(run.open, root), "expected JSON")
    local made = run.create(base { name = "untrained" }, { root = root })
    has(message_of(made.model, made), "expected a trained model (best.safetensors), found none")
  end)
end)
