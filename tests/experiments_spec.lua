-- Experiments that bring code along: functions in recipes are strict, known by what they do, kept with their runs, and
-- told of by file and line; the examples, at tiny size.
local co = require "cohesiv"
local core = require "cohesiv.core"
local recipes, runs = require "cohesiv.train.recipe", require "cohesiv.train.run"
local evaluate = require "cohesiv.hands.evaluate"
local support = require "tests.support"
local tiny = require("tests.tiny").new()

local folder = tiny.folder
local before = os.getenv "COHESIV_CACHE"

setup(function()
  core.system.setenv("COHESIV_CACHE", folder .. "/cache")
  require("cohesiv.base.progress").quiet = true
  tiny:make_world(nil, 5)
end)
teardown(function()
  core.system.setenv("COHESIV_CACHE", before)
  require("cohesiv.base.progress").quiet = false
end)

-- An experiment file on top of the tiny one.
local function write(name, body, head)
  return support.write(("%s/%s.lua"):format(folder, name), ([[
%s
return require "tiny" { name = %q, epochs = 1, %s }
]]):format(head or "", name, body))
end

local function digest(path, key)
  return recipes.show(recipes.flatten(recipes.load(path))[key])
end

local function train(path, changes)
  return co.train(recipes.load(path, changes), { root = folder .. "/runs" })
end

local function last_record(run)
  local list = run:metrics()
  return list[#list]
end

describe("functions in a recipe", function()
  it("stand at the named places alone", function()
    local base = require "experiments.cohesiv"
    local f = function() end
    support.raises('unknown key "on.stop"; the nearest known one is "optim.stop"', base, { on = { stop = f } })
    support.raises("batch: expected a number", base, { batch = f })
    support.raises("maps.edit: expected a function, found 3", base, { maps = { edit = 3 } })
    support.raises('unknown key "loss.terms.mine.wieght"', base, { loss = { terms = { mine = { wieght = 1, f } } } })
    support.raises("loss.terms: expected names as keys", base, { loss = { terms = { { weight = 1, f } } } })
    support.raises("loss.terms.mine: expected a function, found 3", base, { loss = { terms = { mine = { 3 } } } })
    support.raises("maps.edit: expected a function, which a text cannot be", recipes.override, base, { "maps.edit=x" })
    support.raises('system: expected a string or one of "cohesiv"', base, { system = 3 })
    local r = base { loss = { terms = { mine = { weight = 2, f } } } }
    assert.equal(2, r.loss.terms.mine.weight)
    assert.equal(3, recipes.override(r, { "loss.terms.mine.weight=3" }).loss.terms.mine.weight)
    assert.equal(5, r { loss = { terms = { mine = { weight = 5 }, other = { f } } } }.loss.terms.mine.weight)
    assert.is_nil(rawget(base.loss.terms, "mine"))
    support.raises('unknown key "loss.terms.mine.weight"', recipes.override, base, { "loss.terms.mine.weight=3" })
  end)

  it("are known by what they do: neither by place nor by comments", function()
    local one = digest(write("a", "maps = { edit = function(R) return R end }"), "maps.edit")
    assert.is_truthy(one:find "^function %x+$")
    assert.equal(one, digest(write("b", "epochs = 3,\n maps = { edit = function(R) -- as it is\n  return R\n end }",
      "-- more\n"), "maps.edit"))
    assert.not_equal(one, digest(write("c", "maps = { edit = function(R) return R:with{} end }"), "maps.edit"))
    local function with(head) return digest(write("d", "maps = { edit = function(R) return f(R, T) end }", head),
      "maps.edit") end
    local plain = with "local T, f = 1, function(R, t) return R end"
    assert.equal(plain, with "local T, f = 1, function(R, t) --[[ the same ]] return R end\nlocal other = 3")
    assert.not_equal(plain, with "local T, f = 2, function(R, t) return R end")
    assert.not_equal(plain, with "local T, f = 1, function(R, t) return R:with { temperature = t } end")
    assert.not_equal(plain, with "T, f = 1, function(R, t) return t end")
  end)

  it("count in the key of samples where they change them, and only there", function()
    local labels, data = require "cohesiv.train.labels", co.data(tiny.world)
    local clip = data:clip(data.clips[1])
    local n
    local function sample(path, changes)
      local r = recipes.load(path, changes)
      n = n or labels.frames(clip, r)[1]
      return (labels.sample(clip, n, r))
    end
    local plain = sample(tiny.experiment)
    assert.equal(plain, sample(write("k1", "on = { step = print }, predict = { edit = function(m) return m end }")))
    local halved = sample(write("k2", [[maps = { edit = function(R, clip, n)
      assert(clip.name and n, "a clip and a frame")
      local map = R.map * 0.5
      return { map = map }
    end }]]))
    assert.not_equal(plain, halved)
    local a, b = co.load(plain), co.load(halved)
    assert.is_true(support.difference(a.maps:to "float32" / 2, b.maps:to "float32") <= 1)
    assert.equal(0, support.difference(a.image, b.image))
    local own = sample(write("k3", [[sample = { edit = function(sample)
      sample.person = sample.maps:max(3)
      sample.image = sample.image * 0
    end }]]))
    local c = co.load(own)
    assert.is_true(support.difference(c.person, a.maps:max(3)) <= 1)
    assert.equal(0, c.image:to("float32"):sum():item())
    support.raises("k4.lua:2: expected R with a map of 32x64x", sample,
      write("k4", "maps = { edit = function(R) return { map = R.map[1] } end }"))
    support.raises("k5.lua:2: maps: expected a tensor of 32x64xhands, found nil", sample,
      write("k5", "sample = { edit = function(s) s.maps = nil end }"))
    clip:close()
  end)

  it("tell an error by the experiment's file and line", function()
    for i, case in ipairs {
      { "on = { step = function(t) t.none.x = 1 end }", "on.step", "attempt to index" },
      { "loss = { terms = { own = { function(out) return out.Z end } } }", "loss.terms.own",
        "expected a tensor of one number, found a tensor of 2x32x64x4" },
      { "maps = { edit = function(R) return R:with { temprature = 1 } end }", "maps.edit", "temprature" },
      { "model = { build = function(m) m:replace('branch', m) end }", "model.build", "replace: expected encoder" },
      { "on = { epoch = function() error({}) end }", "on.epoch", "" },
    } do
      local name = "wrong" .. i
      local path = write(name, "\n  " .. case[1])
      local result = support.cohesiv({ "train", path }, { dir = folder, env = tiny.environment })
      assert.equal(1, result.status)
      local line = result.stderr:match "([^\n]*)\n$"
      assert.is_truthy(line:find("cohesiv: " .. case[2] .. ": ", 1, true)
        and line:find("/" .. name .. ".lua:3: ", 1, true) and line:find(case[3], 1, true), line)
    end
  end)
end)

describe("a run of an experiment with code", function()
  local EXPERIMENT = [[
model = { build = function(model)
  model:replace("object_branch", nn.Sequential { nn.Conv2d { 4, 4, 1 }, nn.ReLU() })
end }, loss = { terms = { small = { weight = 0.5, function(out, batch, model)
  assert(#batch.samples == batch.image.shape[1] and batch.samples[1].frame and model.forward)
  return helper.mean(out.Z)
end } } }, predict = { edit = function(maps)
  for k, a in ipairs(maps.attention) do maps.attention[k] = a * 0 + 1 end
  return maps
end }, epochs = 2, on = {
  step = function(training) training.state.steps = (training.state.steps or 0) + 1 end,
  epoch = function(training, record) record.own_steps = training.state.steps end,
  finish = function(training) training.run:write("finished.txt", training.run.name) end }]]
  local path, run

  setup(function()
    support.write(folder .. "/helper.lua", "return { mean = function(z) return z:square():mean() end }")
    path = write("coded", EXPERIMENT, 'local nn, helper = require("cohesiv").nn, require "helper"')
    run = train(path)
  end)

  it("learns with it", function()
    local records = run:metrics()
    assert.equal(3, records[1].own_steps)
    assert.equal(6, records[2].own_steps)
    local r = records[2]
    local sum = 10 * r.train_responsibility + r.train_embedding + 0.5 * r.train_small
    assert.is_true(math.abs(sum - r.train_total) < 1e-4)
    assert.equal("coded", support.read(run:file "finished.txt"))
  end)

  it("keeps it: the run opens, predicts and evaluates without the file", function()
    local text, helper = support.read(path), support.read(folder .. "/helper.lua")
    os.remove(path)
    os.remove(folder .. "/helper.lua")
    local opened = co.run(run.path)
    local model = opened:model()
    assert.same({ "0.weight", "0.bias" }, (function()
      local names = {}
      for name in model.children.object_branch:named_parameters() do names[#names + 1] = name end
      return names
    end)())
    local answer = model:predict(co.zeros(40, 60, 3, { dtype = "uint8" }), { { 3, 4 } })
    assert.equal(1, answer[1].attention:min():item())
    local result = support.cohesiv({ "eval", run.path, "--json" }, { dir = folder, env = tiny.environment })
    assert.equal(0, result.status, result.stderr)
    result = support.cohesiv({ "runs", "--json", "--root", folder .. "/runs" }, { dir = folder })
    assert.is_truthy(result.stdout:find('"predict.edit":{"digest":"', 1, true), result.stderr)
    support.raises("found one that model.build has changed: open its run folder",
      require("cohesiv.hands.model").from_file, run:file "best.safetensors")
    support.write(path, text)
    support.write(folder .. "/helper.lua", helper)
  end)

  it("resumes in the same bits after it was killed, but not with other code", function()
    local script = support.write(folder .. "/stop.lua", ([[
      local checkpoint = require "cohesiv.train.checkpoint"
      local write, left = checkpoint.write, 2
      checkpoint.write = function(...)
        write(...)
        left = left - 1
        if left == 0 then os.execute("kill -9 " .. require("cohesiv.core").system.pid()) end
      end
      require("cohesiv.train.train").train(require("cohesiv.train.recipe").load(%q))]]):format(path))
    local dir = tiny:new_folder "killed"
    assert.equal(137, support.cohesiv({ script }, { dir = dir, env = tiny.often }).status)
    local text = support.read(path)
    support.write(path, (text:gsub("%* 0 %+ 1", "* 0 + 2")))
    local function resume()
      return support.cohesiv({ "train", path, "--resume" }, { dir = dir, env = tiny.environment })
    end
    local result = resume()
    assert.equal(1, result.status)
    assert.is_truthy(result.stderr:find "found another: predict.edit: function %x+ → function %x+ ", result.stderr)
    support.write(path, "-- moved by a line\n" .. text)
    result = resume()
    assert.equal(0, result.status, result.stderr)
    local differing = require("tests.tiny").differing(run.path, dir .. "/runs/coded")
    for i = #differing, 1, -1 do -- the line is another, scores were made of the first
      if ({ ["recipe.lua"] = true, ["scores.json"] = true })[differing[i]] then table.remove(differing, i) end
    end
    assert.same({}, differing)
  end)

  it("is refused when its kept files do something else", function()
    local kept = support.read(run:file "recipe.lua")
    support.write(run:file "recipe.lua", (kept:gsub("nn.ReLU", "nn.SiLU")))
    local opened = co.run(run.path)
    support.raises("model.build: expected function ", opened.model, opened)
    support.write(run:file "recipe.lua", kept)
    local memory = runs.create(require "experiments.cohesiv" { name = "memory", predict = { edit = print } },
      { root = folder .. "/runs" })
    support.raises("predict.edit: expected function ", co.run(memory.path).recipe.predict.edit, {})
  end)
end)

describe("the examples", function()
  local TINY = { "size=64x32", "batch=2", "epochs=1", "validation=0.25", "seed=3", "model.encoder=mobilenet_v2",
    "model.decoder_widths=8,8,8,8,8", "model.embedding_dim=4", "model.attention_dim=4", "optim.lr=0.001",
    "maps.gaps=-1,1", "maps.fit.points=60", "maps.frames=2", "calibrate.embeddings=20", "calibrate.steps=5" }
  local function example(name)
    local path = ("%s/experiments/examples/%s.lua"):format(support.root, name)
    assert.is_true(select(2, support.read(path):gsub("\n", "")) <= 20, name)
    local changes = { "data=" .. tiny.world, table.unpack(TINY) }
    return recipes.load(path, changes), path, changes
  end
  local function run_of(name)
    local _, path, changes = example(name)
    local run = train(path, changes)
    assert.equal("done", run:status().state)
    local scores = co.evaluate(co.run(run.path))
    assert.is_true(scores.All.n > 0 and scores.Pair.n > 0)
    return run
  end

  it("let the temperature of the maps fall", function()
    local r = example "falling_temperature"
    local function softmax(residuals, T)
      local e = (-residuals / T):exp()
      return e / e:sum(1, true)
    end
    co.seed(1)
    local residuals = co.rand(3, 4, 5) * 6 -- two hands and the ground
    local warm, cold = softmax(residuals, 2), softmax(residuals, 0.5)
    local batch = { maps = co.cat({ warm:narrow(1, 1, 2), co.full(-1, 1, 4, 5) }, 1),
      image_index = co.tensor({ 1, 1, 2 }, { dtype = "int32" }) }
    r.on.step({ share = function() return 1 end }, batch)
    assert.is_true(support.difference(batch.maps:narrow(1, 1, 2), cold:narrow(1, 1, 2)) < 1e-5)
    assert.equal(0, support.difference(batch.maps[3], co.full(-1, 4, 5)))
    run_of "falling_temperature"
  end)

  it("show a branch coordinates relative to the query", function()
    local run = run_of "relative_coordinates"
    local model = run:model()
    local out = model:forward(co.rand(32, 64, 3))
    assert.same({ 32, 64, 7 }, out.Q.shape)
    local q, k = out.Q[{ 11, 21 }]:totable(), out.K[{ 6, 41 }]:totable()
    local plain = 0
    for i = 1, 4 do plain = plain + q[i] * k[i] end
    local score = plain
    for i = 5, 7 do score = score + q[i] * k[i] end
    assert.is_true(math.abs(score - plain - q[5] * (40 - 20) / 64 - q[6] * (5 - 10) / 64) < 1e-5)
  end)

  it("have a focal responsibility loss", function()
    local r = example "focal_loss"
    local Q, K, R = co.zeros(1, 2, 2, 1), co.full(0.75, 1, 2, 2, 1), co.full(-1, 1, 2, 2)
    Q[{ 1, 2, 1, 1 }], R[{ 1, 1, 2 }] = 1, 0.25
    local value = r.loss.terms.focal.term({ Q = Q, K = K }, { image_index = co.tensor({ 1 }, { dtype = "int32" }),
      points = co.tensor { { 0.2, 0.9 } }, maps = R }):item()
    local p = 1 / (1 + math.exp(-2))
    local expected = (0.25 - p) ^ 2 * -(0.25 * math.log(p) + 0.75 * math.log(1 - p)) / 4
    assert.is_true(math.abs(value - expected) < 1e-6)
    assert.equal("number", type(last_record(run_of "focal_loss").train_focal))
  end)

  it("weigh the responsibility loss by how sure the maps are", function()
    local term = example("confident_maps").loss.terms.confident.term
    co.seed(5)
    local points, image = co.tensor { { 1, 2 }, { 3.4, 0.2 } }, co.tensor({ 1, 1 }, { dtype = "int32" })
    local R = co.gt(co.rand(2, 20, 30), 0.5) * 1.0
    local function both(maps) -- the loss as the example has it, and the built-in one, with their gradients
      local values = {}
      local function term_of(Q, K)
        return term({ Q = Q, K = K }, { maps = maps, points = points, image_index = image })
      end
      local function built_in(Q, K)
        return co.losses.responsibility(Q, K, maps, points, image, { through = true })
      end
      for i, loss in ipairs { term_of, built_in } do
        co.seed(6)
        local Q, K = co.rand(1, 20, 30, 3), co.rand(1, 20, 30, 3) * 3 - 0.5
        Q.requires_grad, K.requires_grad = true, true
        local value = loss(Q, K)
        value:backward()
        values[i] = { value:item(), Q.grad, K.grad }
      end
      return values[1], values[2]
    end
    local own, plain = both(R) -- maps that are sure everywhere: all pixels count alike
    assert.is_true(math.abs(own[1] - plain[1]) < 1e-6 and plain[1] > 0.1)
    for i = 2, 3 do assert.is_true(support.difference(own[i], plain[i]) < 1e-6) end
    own = both(co.full(0.5, 2, 20, 30)) -- nowhere
    assert.equal(0, own[1])
    R[{ {}, { 11, 20 } }] = 0.5 -- below: as if the maps ended there
    own = both(R)
    R[{ {}, { 11, 20 } }] = -1
    assert.is_true(math.abs(own[1] - both(R)[1]) < 1e-7)
    assert.is_true(last_record(run_of "confident_maps").train_confident > 0)
  end)

  it("keep embeddings consistent along the flow", function()
    local record = last_record(run_of "flow_consistency")
    assert.is_true(record.train_consistency > 0 and record.train_consistency < 2)
    local r = example "flow_consistency"
    local data = co.data(tiny.world)
    for stride = 1, 2 do
      local same = { forward = function() return { Z = co.full(1, 1, 32 // stride, 64 // stride, 3) } end }
      assert.is_true(math.abs(r.loss.terms.consistency.term(nil, { data = data, image = co.zeros(1, 32, 64, 3),
        samples = { { clip = data.clips[1], frame = 1 } } }, same):item()) < 1e-6)
    end
  end)

  it("learn from frames without maps what an average of the network answers for them", function()
    local record = last_record(run_of "mean_teacher")
    assert.is_true(record.train_teacher > 0 and record.train_teacher < 2)
    local r = example "mean_teacher"
    local function network(f) return { forward = function(_, x) return { Z = f(x:to "float32") } end } end
    local function term(model)
      local data = co.data(tiny.world)
      return r.loss.terms.teacher.term(nil, { data = data, image = co.zeros(1, 32, 64, 3),
        samples = { { clip = data.clips[1], frame = 1 } } }, model):item()
    end
    local one, other = network(function(x) return x * 0 + 1 end), network(function(x) return x * 0 - 1 end)
    r.on.step { average = { model = one } }
    assert.is_true(math.abs(term(one)) < 1e-6 and math.abs(term(other) - 2) < 1e-6)
    local colours = network(function(x) return x end) -- an answer that follows the colours is told from the average's
    r.on.step { average = { model = colours } }
    assert.is_true(term(colours) > 1e-5)
  end)

  it("let the hands of a picture contend for its pixels", function()
    local term = example("contrast_queries").loss.terms.contrast.term
    local Q, K = co.zeros(2, 1, 2, 1), co.ones(2, 1, 2, 1)
    Q[{ 1, 1, 1, 1 }] = 1 -- the first hand's scores are 1, the second one's 0
    local batch = { points = co.tensor { { 0, 0 }, { 1.2, 0 }, { 0, 0 } }, maps = co.tensor { { { 0.9, 0.2 } },
      { { 0.1, 0.6 } }, { { 1, 1 } } }, image_index = co.tensor({ 1, 1, 2 }, { dtype = "int32" }) }
    local p = 1 / (1 + math.exp(-8))
    local expected = -(0.8 * math.log(p) + 0.4 * math.log(1 - p)) / 2
    assert.is_true(math.abs(term({ Q = Q, K = K }, batch):item() - expected) < 1e-4 * expected)
    batch.image_index = co.tensor({ 1, 2, 2 }, { dtype = "int32" })
    batch.maps = co.tensor { { { 0.9, 0.2 } }, { { 0.5, 0.6 } }, { { 0.5, -1 } } } -- alike, and beyond the picture
    assert.equal(0, term({ Q = Q, K = K }, { points = batch.points, maps = co.cat { batch.maps:narrow(1, 1, 2),
      batch.maps:narrow(1, 2, 1) }, image_index = batch.image_index }):item())
    assert.is_true(last_record(run_of "contrast_queries").train_contrast >= 0)
  end)

  it("learn from a generated world beside", function()
    local record = last_record(run_of "generated_beside")
    assert.is_true(record.train_generated > 0 and record.train_generated < math.huge)
  end)

  it("have a system of one's own", function()
    local run = run_of "own_system"
    assert.is_false(run:has "best.safetensors")
    assert.equal(4, #(function()
      local tasks = {}
      for task in pairs(run:calibration().thresholds) do tasks[#tasks + 1] = task end
      return tasks
    end)())
  end)
end)

describe("true boxes", function()
  it("answer as a detector that never errs", function()
    local data = co.data(tiny.world)
    local run = train(support.root .. "/experiments/true_boxes.lua", { "data=" .. tiny.world, "calibrate.steps=5" })
    local scores, reported = co.evaluate(run), select(2, evaluate.split(data))
    local function covered(values) -- from the first that is in to the last
      local list, first, last = values:totable(), nil, nil
      for k, v in ipairs(list) do
        if v > 0 then first, last = first or k, k end
      end
      for k = first, last do list[k] = 1 end
      return co.tensor(list)
    end
    for task, part in pairs { Hand = "hand", Obj = "object" } do
      local sum, count = 0, 0
      for _, frame in ipairs(evaluate.frames(data, reported)) do
        local truth = evaluate.truth(data, frame)
        local counts = truth.ignore and 1 - truth.ignore:to "float32" or co.ones(truth.height, truth.width)
        for q = 1, #truth.hand do
          local mask = truth[part][q]
          if mask then
            local box = covered(mask:max(2)):reshape { -1, 1 } * covered(mask:max(1)):reshape { 1, -1 }
            sum = sum + 100 * (mask:to "float32" * counts):sum():item() / (box * counts):sum():item()
            count = count + 1
          end
        end
      end
      assert.equal(count, scores[task].n)
      assert.is_true(count > 0 and math.abs(scores[task].mean - sum / count) < 1e-3, ("%s: %g, %g"):format(task,
        scores[task].mean, sum / count))
    end
  end)
end)
