-- Every allocation of what is no op fails once (see tests/faults.lua): making and indexing tensors, flow, homographies,
-- responsibility, person masks, sharpening, saliency, metrics, the loader, the generated world, files of all kinds,
-- videos, data folders, evaluation, runs, reports, and the line editor.
local co = require "cohesiv"
local core = require "cohesiv.core"
local evaluation = require "cohesiv.train.evaluation"
local faults = require "tests.faults"
local frames = require "cohesiv.data.frames"
local json = require "cohesiv.base.json"
local labels = require "cohesiv.train.labels"
local make = require "tests.files"
local pickles = require "tests.pickles"
local recipe = require "experiments.cohesiv"
local recipes = require "cohesiv.train.recipe"
local report = require "cohesiv.tools.report"
local runs = require "cohesiv.train.run"
local scale = require "cohesiv.motion.scale"
local show = require "cohesiv.tools.show"
local support = require "tests.support"
local tflites = require "tests.tflite_maker"
local files = require "cohesiv.tensor.io"

-- What is written, and looked at after every failure; what is only read.
local folder, fixtures = support.temp(), support.temp()
local function at(name) return folder .. "/" .. name end
local function given(name) return fixtures .. "/" .. name end

local W, H = 40, 32
co.seed(5)
local frame = (co.rand(H // 4, 1, W // 4, 1, 3) * 255):expand({ H // 4, 4, W // 4, 4, 3 }):reshape({ H, W, 3 })
local first, second = frame:to "uint8", co.cat({ frame[{ {}, { 2, W } }], frame[{ {}, { 1, 1 } }] }, 2):to "uint8"
local flow = co.randn(H, W, 2)
local hands = { co.rand(21, 2, { dtype = "float64" }) * 10 + 5, co.rand(21, 2, { dtype = "float64" }) * 10 + 18 }
local arrays = { a = co.randn(3, 4), b = (co.rand(2, 5) * 9):to "uint8", c = co.tensor { 1, 2, 3 } }

local function motion_points(n)
  local source = co.rand(n, 2, { dtype = "float64" }) * 100
  return source, source * 1.1 + 3
end
local source, target = motion_points(30)

local function scene(options)
  local s = { flows = { flow, flow * 0.5 }, hands = hands }
  for key, value in pairs(options or {}) do s[key] = value end
  return s
end

local function by_name(list)
  local all = {}
  for name, t in pairs(list) do all[name] = t end
  return all
end

local function written(name, write, read)
  return function()
    write(at(name))
    return read(at(name))
  end
end

local picture = co.tensor({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 250, 251, 252 }, { dtype = "uint8" }):reshape { 2, 2, 3 }
co.image.write(given "read.png", picture)
support.write(given "turned.png", (make.png { width = 9, height = 5, colour = 2, depth = 8,
  before = { { "eXIf", make.exif(6) } } }))
support.write(given "mask.png", (make.png { width = 9, height = 5, colour = 3, depth = 4,
  at = function(x) return x < 4 and 0 or 3 end }))
co.save(given "read.npz", arrays)
co.save(given "read.safetensors", arrays, { note = "of it" })

-- A dict of dicts, a shared storage, strides, bytes the other way round.
do
  local w, b = pickles.tensor {}, pickles.tensor { offset = 2, shape = { 2 }, stride = { 3 } }
  local state = pickles.dict("module.w", w, "module.b", b)
  support.write(given "read.pth", pickles.archive(pickles.dict("epoch", pickles.int(3), "state_dict", state),
    { string.pack(">ffffff", 1, 2, 3, 4, 5, 6) }, { byteorder = "big" }))
  w, b = pickles.tensor { part = "N" }, pickles.tensor { offset = 2, shape = { 2 }, stride = { 3 }, part = "N" }
  support.write(given "old.pth", pickles.old(pickles.dict("state_dict", pickles.dict("module.w", w, "module.b", b))))
end

do -- { a: an array of two float32, list: [7] }
  local function text(s) return "X" .. string.pack("<s4", s) end
  support.write(given "read.pkl", "\x80\3}(" .. text "a" .. "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
    .. "(K\0tB\1\0\0\0bt" .. "R(K\1(K\2tcnumpy\ndtype\n(" .. text "f4" .. "K\0K\1tR(K\3" .. text "<"
    .. "NNNK\1K\1K\0tb\x89B" .. string.pack("<s4", string.pack("<ff", 1, 2)) .. "tb" .. text "list" .. "](K\7eu.")
end
support.write(given "read.tflite", tflites.one("FULLY_CONNECTED", { { 1, 2 } }, { 1, 2 }, {},
  { { { 2, 2 }, ("\0\x3C"):rep(4), "FLOAT16" }, { { 2 }, "\1\2", "INT8" } }))

local function ffmpeg(...)
  local result = support.run { "ffmpeg", "-v", "error", "-y", ... }
  assert(result.status == 0, result.stderr)
end

ffmpeg("-f", "lavfi", "-i", "testsrc=size=40x32", "-frames:v", "1", given "plain.jpg")
support.write(given "turned.jpg", make.oriented(support.read(given "plain.jpg"), 6, true))
ffmpeg("-f", "lavfi", "-i", "testsrc=size=32x24:rate=5", "-frames:v", "3", "-c:v", "ffv1", given "video.mkv")
co.world { out = given "data", clips = 2, frames = 2, size = { 48, 32 }, seed = 4, progress = false }

local small = { data = given "data", size = { 48, 32 }, calibrate = { steps = 4 } }

local samples = {}
for i = 1, 3 do
  samples[i] = given("sample" .. i .. ".npz")
  core.sample_write(samples[i], {
    image = first, maps = co.full(10 * i, H, W, 1, { dtype = "uint8" }), person = co.zeros(H, W, { dtype = "uint8" }),
    points = co.tensor { { 7, 9 } }, content = { W, H },
  })
end

local function generated(o)
  o.out, o.clips, o.size, o.seed, o.progress = at "world", 1, { 48, 32 }, 2, false
  co.world(o)
  local bytes = support.read(at "world/world.json")
  os.execute("rm -rf " .. support.quote(at "world"))
  return bytes
end

local sample_file

-- name → what is tried; values that are compared are returned.
local cases = {
  tensors = function()
    local t = co.tensor({ { 1, 2 }, { 3, 4 } }, { dtype = "int32" })
    local u = co.arange(1, 9, { dtype = "uint8" }):reshape { 2, 4 }
    local f = co.full(2.5, 3, { dtype = "float64", requires_grad = true })
    u[{ 1, { 2, 3 } }] = 7
    u[{ 2 }] = co.tensor { 1, 2, 3, 4 }
    co.seed(3)
    return { t:to "float16", u, u[1], f, co.eye(3), co.randn(4),
      co.cat { t, t }, t[1]:totable(), tostring(u), tostring(f) }
  end,
  backward = function()
    local x = co.tensor({ 1, 2, 3 }, { requires_grad = true })
    local y = co.no_grad(function() return x * 2 end);
    (x * y):sum():backward(nil, { retain_graph = true });
    (x * x):backward(co.ones(3))
    return { x.grad, y.requires_grad }
  end,
  ["flow.estimate"] = function()
    local f, valid = co.flow.estimate(first, second, { check = true })
    return { f, valid }
  end,
  ["homography.fit"] = function() return { (co.homography.fit(source, target)) } end,
  ["robust homography.fit"] = function()
    local m, inliers = co.homography.fit(source, target, { robust = true })
    return { m, inliers }
  end,
  person = function()
    local hull = hands[1][{ { 1, 9 } }] -- no skeleton: the points' hull
    return core.flow.person(first, { hands[1]:to "float32", hands[2]:to "float32", hull:to "float32" })
  end,
  responsibility = function()
    local R = co.responsibility(scene())
    return { R.map, R.homographies, R.residuals, R:with({ temperature = 4 }).map }
  end,
  ["responsibility over a moving background"] = function()
    return co.responsibility(scene { background = "homography" }).map
  end,
  ["responsibility over a background of depth"] = function()
    local R = co.responsibility(scene { background = "auto" }):with { background = "epipolar" }
    return { R.map, R.residuals }
  end,
  ["hand and object of a map"] = function()
    local R = co.responsibility(scene {})
    return { core.responsibility.parts(R.scene, first, R.map) }
  end,
  ["a refined mask"] = function()
    return core.responsibility.refine(first, frame:select(3, 1) / 50 - 2, co.gt(frame:select(3, 2), 9):to "uint8")
  end,
  ["sharpened responsibility"] = function() return co.responsibility(scene { sharpen = first }).map end,
  ["responsibility sharpened by a random walker"] = function()
    return co.responsibility(scene { sharpen = "walker", picture = first }).map
  end,
  saliency = function() return core.metrics.saliency(first) end,
  contact = function()
    local a, b = co.zeros(H, W), co.zeros(H, W)
    a[{ { 3, 12 }, { 3, 12 } }] = 1
    b[{ { 10, 20 }, { 10, 20 } }] = 1
    return co.metrics.contact(a:to "uint8", b:to "uint8")
  end,
  ["metrics.bootstrap"] = function()
    return { core.metrics.bootstrap({ 0.1, 0.4, 0.5, 0.9 }, { 1, 1, 1, 1 }, 50, 7) }
  end,
  ["metrics.table"] = function()
    local map, mask = frame:select(3, 1) / 255, co.gt(frame:select(3, 2), 100):to "uint8"
    return core.metrics.table(map, nil, mask, nil, { 0.2, 0.4, 0.6 })
  end,
  loader = function()
    local loader <close> = core.loader { paths = samples, size = { W, H }, batch = 2, seed = 4, tau = 0.5, band = 0,
      weights = { 1, 2, 3 },
      augment = { flip = 0.5, scale = { 0.8, 1.2 }, rotate = 20, shift = 0.1, colour = 0.2, blur = 0.5, noise = 0.05,
        paste = 0.5, join = 0.5 } }
    loader:samples(1, 1)
    local batch = loader:next()
    return { batch.image, batch.label, batch.maps, batch.points }
  end,
  ["looking for a NaN"] = function()
    local before = core.detect_anomaly(true)
    local _ <close> = setmetatable({}, { __close = function() core.detect_anomaly(before) end })
    local x = co.tensor({ 1.0, 2.0 }, { requires_grad = true })
    local y = x:log():sum()
    y:backward()
    return { y:detach(), x.grad }
  end,
  ["a generated clip"] = function() return generated { frames = 2, truth = { "flow" } } end,
  ["viz.flow_color"] = function() return (co.flow.color(flow)) end,
  ["reading a PNG"] = function() return co.load(given "read.png") end,
  ["reading a PNG of 16 bits"] = function() return co.image.read(given "read.png", { depth = 16 }) end,
  ["reading a mask"] = function() return co.image.mask(given "mask.png") end,
  ["reading labels"] = function()
    local picture_of = core.io.png_read(given "mask.png", "labels")
    return core.outline.label(picture_of, core.outline.labels(picture_of)[1])
  end,
  ["masks of polygons"] = function() return core.outline.polygons({ { 1, 1, 8, 1, 5, 7 } }, 9, 12, 0, true) end,
  ["masks of runs"] = function() return core.outline.runs("114", 2, 3) end,
  ["reading a turned PNG"] = function() return co.load(given "turned.png") end,
  ["writing a PNG"] = written("w.png", function(path) co.image.write(path, picture) end, co.load),
  ["writing a JPEG"] = written("w.jpg", function(path) co.image.write(path, first) end, co.load),
  ["a JPEG's bytes"] = function() return co.image.jpeg(first:reshape(H, 3 * W)) end,
  ["a PNG's bytes"] = function() return co.image.png(picture) end,
  ["an NPY file"] = written("w.npy", function(path) co.save(path, arrays.a) end, co.load),
  ["an FLO file"] = written("w.flo", function(path) co.save(path, flow) end, co.load),
  ["reading an NPZ file"] = function() return by_name(co.load(given "read.npz")) end,
  ["writing an NPZ file"] = function()
    co.save(at "w.npz", arrays)
    return by_name(co.load(at "w.npz"))
  end,
  ["reading safetensors"] = function()
    local list, notes = co.load(given "read.safetensors")
    return { by_name(list), notes.note }
  end,
  ["writing safetensors"] = function()
    co.save(at "w.safetensors", arrays, { note = "of it" })
    return by_name((co.load(at "w.safetensors")))
  end,
  ["a pack"] = function()
    core.io.pack_write(at "w.pack", "key", arrays.a)
    return core.io.pack_read(at "w.pack", "key")
  end,
  ["a pack of a flow"] = function()
    core.io.pack_write(at "w.pack", "key", flow, true)
    return core.io.pack_read(at "w.pack", "key")
  end,
  ["a pack of a picture"] = function()
    core.io.pack_write(at "w.pack", "key", first)
    return core.io.pack_read(at "w.pack", "key")
  end,
  resample = function() return scale.picture(first, scale.of(W, H, { 24, 24 })) end,
  ["reading a .pth file"] = function() return { files.weights(given "read.pth") } end,
  ["reading a .pth file of before 1.6"] = function() return { files.weights(given "old.pth") } end,
  ["reading a .tflite file"] = function()
    local list = {}
    for i, t in ipairs(core.io.tflite_read(given "read.tflite").tensors) do list[i] = t.constant or t.name end
    return list
  end,
  ["reading a pickle of arrays"] = function()
    local value = core.io.pickle_read(given "read.pkl")
    return { value.a, value.list[1] }
  end,
  ["a crop, and strokes over a picture"] = function()
    local crop = core.crop(first, { x = 20, y = 16, width = 30, height = 20, angle = 1 }, 9, 7, true)
    return { crop, core.strokes(first, { 1, 2, 30, 20 }, 2, 255, 0, 0) }
  end,
  ["an entry of a zip file"] = function()
    local list = core.io.zip_list(given "read.npz")
    return { list[1].name, core.io.zip_extract(given "read.npz", list[1].name, at "w.npy"), co.load(at "w.npy") }
  end,
  ["a copy of a file"] = function()
    core.io.copy(given "read.npz", at "w.npz")
    return core.io.sha256(at "w.npz")
  end,
  ["reading a JPEG"] = function() return co.load(given "plain.jpg") end,
  ["reading a turned JPEG"] = function() return co.load(given "turned.jpg") end,
  ["a video"] = function()
    local v <close> = core.io.video_open(given "video.mkv")
    local list = { v:skip(1) }
    while list[#list] do list[#list + 1] = v:read() or false end
    return list
  end,
  ["a video left in the middle"] = function()
    local v <close> = core.io.video_open(given "video.mkv")
    return v:read()
  end,
  ["writing a video"] = function()
    do
      local w <close> = core.io.video_writer(at "w.gif", 25)
      w:add(first)
      w:commit()
    end
    return { core.io.video_rate(at "w.gif"), (core.io.video_count(at "w.gif")) }
  end,
  ["counting a video's frames"] = function() return core.io.video_count(given "video.mkv") end,
  ["a clip of a video"] = function()
    frames.forget()
    local clip = co.clip(given "video.mkv")
    local list = { clip.frames, clip:frame(2), clip:frame(0) }
    clip:close()
    return list
  end,
  ["a data folder"] = function()
    frames.forget()
    local data = co.data(given "data")
    local clip = data:clip(data.clips[1])
    return { data.clips, data.annotated, clip:hands(0), clip:scaled(1, { size = { 24, 16 } }),
      clip:flow(0, 1, { size = { 24, 16 } }), clip:person(0, { size = { 24, 16 } }) }
  end,
  ["a training sample"] = function()
    frames.forget()
    local clip, r = co.data(given "data"):clip "s4_0000000", recipe(small) { maps = { gaps = { 1 } } }
    if sample_file then os.remove(sample_file) end
    sample_file = labels.sample(clip, 0, r)
    return support.read(sample_file)
  end,
  evaluation = function()
    frames.forget()
    local run = evaluation.untrained(recipe(small) { system = "disc", name = "disc" })
    local result = evaluation.full(run)
    return { result.summary, run:calibration(), evaluation.text { { name = "disc", summary = result.summary } } }
  end,
  ["making a run folder"] = function() return runs.create(recipe { name = "made" }, { path = at "made" }).path end,
  ["a run folder"] = function()
    local run = runs.open(at "run")
    run:set_status { state = "training" }
    run:set_calibration { thresholds = { Pair = { 0.5 } }, reached = { Pair = 51.5 } }
    return { run:status().state, run:calibration(), run:info().name, run.recipe.optim.lr }
  end,
  ["metrics of a run"] = function()
    local run = runs.open(at "run")
    run:cut(function() return false end)
    run:log { epoch = 1, loss = 0.5 }
    run:log { epoch = 2, loss = 0.25 }
    return (run:metrics())
  end,
  ["a recipe"] = function()
    local r = recipes.load(support.root .. "/experiments/attention_only.lua", { "optim.lr=0.5" })
    return { r.optim.lr, recipes.describe(r) }
  end,
  ["a report"] = function()
    return report.write(at "report.html", { title = "Report", facts = { { "Data", "none" } }, sections = {
      { title = "Results", table = { columns = { "All" }, bars = true, rows = {
        { name = "COHESIV", main = true, cells = { All = { mean = 51, low = 48, high = 55 } } } } } },
      { title = "Training", curves = { { title = "Loss", series = {
        { name = "training", points = { { 1, 3 }, { 2, 1.5 } }, dots = true } } } } },
      { title = "Pictures", pictures = { { title = "clip", items = { { image = picture, caption = "a" } } } } },
    } })
  end,
  ["pictures to look at"] = function()
    co.viz.overlay(first, co.gt(frame:select(3, 2), 100):to "uint8"):save(at "seen.png")
    return { show.text(flow, 10, 5), co.viz.points(first, { { 10, 12 } }), co.viz.pca(co.cat({ flow, flow * flow }, 3)),
      co.viz.grid({ picture, picture }, 2) }
  end,
  JSON = function()
    local numbers = {}
    for i = 1, 70 do numbers[i] = i end
    json.write(at "w.json", { a = { 1, 2.5, "th\nree", { c = json.list {} } }, b = json.null, numbers = numbers })
    local value = json.read(at "w.json")
    return { value.a, value.numbers, json.row { a = 1, [2] = 0 / 0 } }
  end,
  ["a program beside this one"] = function()
    local child <close> = core.io.child({ "true" }, at "child.log")
    local status
    repeat status = child:ended() until status
    return { status }
  end,
  ["a folder's list"] = function() return core.io.list(folder) end,
}

-- These take away what they write first.
local renewed = {
  ["a generated clip"] = true, ["metrics of a run"] = true, ["a training sample"] = true,
}

local names = {}
for name in pairs(cases) do names[#names + 1] = name end
table.sort(names)

describe("a failing allocation", function()
  local threads, cache, given_files = co.threads(), os.getenv "COHESIV_CACHE", faults.content(fixtures)
  setup(function()
    co.threads(1)
    core.system.setenv("COHESIV_CACHE", at "cache")
    runs.create(recipe { name = "run" }, { path = at "run" })
  end)
  teardown(function()
    co.threads(threads)
    core.system.setenv("COHESIV_CACHE", cache)
  end)

  for _, whose in ipairs { "C", "Lua" } do
    for _, name in ipairs(names) do
      it(("of %s in %s is one clear error, and nothing is lost"):format(whose, name), function()
        cases[name]()
        local before, o = support.list(folder), { lua = whose == "Lua", folder = not renewed[name] and folder or nil }
        faults.each(name, cases[name], o)
        if whose == "C" and not name:find "generated" then
          o.burst = math.maxinteger >> 1 -- none to be had until the error is there
          faults.each(name, cases[name], o)
        end
        assert.same(before, support.list(folder))
      end)
    end

    it(("of %s in the line editor is one clear error, and nothing is lost"):format(whose), function()
      local asked = 0
      local function complete(text)
        asked = asked + 1
        return "", { text .. "a", text .. "b" }
      end
      local leave = faults.terminal()
      local ok, message = pcall(faults.each, "editor", function()
        faults.type "co.te\tnsor\n"
        local editor <close> = core.system.editor(at "history", complete)
        local line = editor:line "> "
        return { line, editor:remember(line) }
      end, { lua = whose == "Lua", folder = folder })
      leave()
      assert.is_true(ok, message)
      assert.is_true(asked > 0)
    end)
  end

  it("leaves what is read as it was", function() assert.same(given_files, faults.content(fixtures)) end)
end)
