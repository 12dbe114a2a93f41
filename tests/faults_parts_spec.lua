-- Every allocation of what is no op fails once (see tests/faults.lua): making and indexing tensors, flow, homographies,
-- responsibility, person masks, sharpening, saliency, metrics, the loader, the generated world, and files of all kinds.
local co = require "cohesiv"
local core = require "cohesiv.core"
local faults = require "tests.faults"
local scale = require "cohesiv.scale"
local support = require "tests.support"

local folder = support.temp()
local function at(name) return folder .. "/" .. name end

local function values(t) return { t.dtype, t.shape, t:reshape({ -1 }):totable() } end

local W, H = 40, 32
co.seed(5)
local frame = (co.rand(H // 4, 1, W // 4, 1, 3) * 255):expand({ H // 4, 4, W // 4, 4, 3 }):reshape({ H, W, 3 })
local first, second = frame:to "uint8", co.cat({ frame[{ {}, { 2, W } }], frame[{ {}, { 1, 1 } }] }, 2):to "uint8"
local flow = co.randn(H, W, 2)
local hands = { co.rand(21, 2, { dtype = "float64" }) * 10 + 5, co.rand(21, 2, { dtype = "float64" }) * 10 + 18 }
local weights = { a = co.randn(3, 4), b = (co.rand(2, 5) * 9):to "uint8", c = co.tensor { 1, 2, 3 } }

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
  for name, t in pairs(list) do all[name] = values(t) end
  return all
end

local function written(name, write, read)
  return function()
    write(at(name))
    return values(read(at(name)))
  end
end

local picture = co.tensor({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 250, 251, 252 }, { dtype = "uint8" }):reshape { 2, 2, 3 }
co.image.write(at "read.png", picture)
co.save(at "read.npz", weights)
co.save(at "read.safetensors", weights, { note = "of it" })

local samples = {}
for i = 1, 3 do
  samples[i] = at("sample" .. i .. ".npz")
  core.sample_write(samples[i], {
    image = first, maps = co.full(10 * i, H, W, 1, { dtype = "uint8" }), person = co.zeros(H, W, { dtype = "uint8" }),
    points = co.tensor { { 7, 9 } }, content = { W, H },
  })
end

-- name → what is tried; values that are compared are returned.
local cases = {
  tensors = function()
    local t = co.tensor({ { 1, 2 }, { 3, 4 } }, { dtype = "int32" })
    local u = co.arange(1, 9, { dtype = "uint8" }):reshape { 2, 4 }
    local f = co.full(2.5, 3, { dtype = "float64", requires_grad = true })
    u[{ 1, { 2, 3 } }] = 7
    u[{ 2 }] = co.tensor { 1, 2, 3, 4 }
    co.seed(3)
    return { values(t:to "float16"), values(u), values(u[1]), values(f), values(co.eye(3)), values(co.randn(4)),
      values(co.cat { t, t }), t[1]:totable(), tostring(u), tostring(f) }
  end,
  backward = function()
    local x = co.tensor({ 1, 2, 3 }, { requires_grad = true })
    local y = co.no_grad(function() return x * 2 end);
    (x * y):sum():backward(nil, { retain_graph = true });
    (x * x):backward(co.ones(3))
    return { values(x.grad), y.requires_grad }
  end,
  ["flow.estimate"] = function()
    local f, valid = co.flow.estimate(first, second, { check = true })
    return { values(f), values(valid) }
  end,
  ["homography.fit"] = function() return { values((co.homography.fit(source, target))) } end,
  ["robust homography.fit"] = function()
    local m, inliers = co.homography.fit(source, target, { robust = true })
    return { values(m), inliers }
  end,
  person = function()
    return values(core.flow.person(first, { hands[1]:to "float32", hands[2]:to "float32" }))
  end,
  responsibility = function()
    local R = co.responsibility(scene())
    return { values(R.map), values(R.homographies), values(R.residuals), values(R:with({ temperature = 4 }).map) }
  end,
  ["responsibility over a moving background"] = function()
    return values(co.responsibility(scene { background = "homography" }).map)
  end,
  ["sharpened responsibility"] = function() return values(co.responsibility(scene { sharpen = first }).map) end,
  saliency = function() return values(core.metrics.saliency(first)) end,
  contact = function()
    local a, b = co.zeros(H, W), co.zeros(H, W)
    a[{ { 3, 12 }, { 3, 12 } }] = 1
    b[{ { 10, 20 }, { 10, 20 } }] = 1
    return values(co.metrics.contact(a:to "uint8", b:to "uint8"))
  end,
  ["metrics.bootstrap"] = function()
    return { core.metrics.bootstrap({ 0.1, 0.4, 0.5, 0.9 }, { 1, 1, 1, 1 }, 50, 7) }
  end,
  ["metrics.table"] = function()
    local map, mask = frame:select(3, 1) / 255, co.gt(frame:select(3, 2), 100):to "uint8"
    return values(core.metrics.table(map, nil, mask, nil, { 0.2, 0.4, 0.6 }))
  end,
  loader = function()
    local loader <close> = core.loader { paths = samples, size = { W, H }, batch = 2, seed = 4, tau = 0.5, band = 0,
      augment = { flip = 0.5, scale = { 0.8, 1.2 }, rotate = 20, shift = 0.1, colour = 0.2, blur = 0.5, noise = 0.05 } }
    local batch = loader:next()
    return { values(batch.image), values(batch.label), values(batch.maps), values(batch.points) }
  end,
  ["a generated clip"] = function()
    co.world { out = at "world", clips = 1, frames = 2, size = { 48, 32 }, seed = 2, progress = false }
    local bytes = support.read(at "world/world.json")
    os.execute("rm -rf " .. support.quote(at "world"))
    return #bytes
  end,
  ["viz.flow_color"] = function() return values((co.flow.color(flow))) end,
  ["reading a PNG"] = function() return values(co.load(at "read.png")) end,
  ["reading a PNG of 16 bits"] = function() return values(co.image.read(at "read.png", { depth = 16 })) end,
  ["reading a mask"] = function() return values(co.image.mask(at "read.png")) end,
  ["writing a PNG"] = written("w.png", function(path) co.image.write(path, picture) end, co.load),
  ["a PNG's bytes"] = function() return co.image.png(picture) end,
  ["an NPY file"] = written("w.npy", function(path) co.save(path, weights.a) end, co.load),
  ["an FLO file"] = written("w.flo", function(path) co.save(path, flow) end, co.load),
  ["reading an NPZ file"] = function() return by_name(co.load(at "read.npz")) end,
  ["writing an NPZ file"] = function()
    co.save(at "w.npz", weights)
    return by_name(co.load(at "w.npz"))
  end,
  ["reading safetensors"] = function()
    local list, notes = co.load(at "read.safetensors")
    return { by_name(list), notes.note }
  end,
  ["writing safetensors"] = function()
    co.save(at "w.safetensors", weights, { note = "of it" })
    return by_name((co.load(at "w.safetensors")))
  end,
  ["a pack"] = function()
    core.io.pack_write(at "w.pack", "key", weights.a)
    return values(core.io.pack_read(at "w.pack", "key"))
  end,
  resample = function() return values(scale.picture(first, scale.of(W, H, { 24, 24 }))) end,
  ["a folder's list"] = function() return core.io.list(folder) end,
}

-- Costly ones: every so many allocations only.
local strides = { ["a generated clip"] = 17, ["flow.estimate"] = 2, loader = 3 }

local names = {}
for name in pairs(cases) do names[#names + 1] = name end
table.sort(names)

describe("a failing allocation", function()
  local threads = co.threads()
  setup(function() co.threads(1) end)
  teardown(function() co.threads(threads) end)

  for _, whose in ipairs { "C", "Lua" } do
    for _, name in ipairs(names) do
      it(("of %s in %s is one clear error, and nothing is lost"):format(whose, name), function()
        cases[name]()
        local before = support.list(folder)
        local n = faults.each(name, cases[name], {
          lua = whose == "Lua", stride = (strides[name] or 1) * (support.small and 5 or 1),
        })
        assert.is_true(n > 0)
        assert.same(before, support.list(folder))
      end)
    end
  end
end)
