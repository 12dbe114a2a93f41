-- RAFT: its ops against their formulas, its networks against an independent computation and the public code's figures,
-- weights under public names and wrong ones, pictures of odd sizes, several gaps at once, threads.
local co = require "cohesiv"
local core = require "cohesiv.core"
local methods = require "cohesiv.motion.flow_methods"
local plain = require "tests.raft_plain"
local raft_flow = require "cohesiv.motion.raft_flow"
local support = require "tests.support"

local raises = support.raises

local function near(a, b, tolerance, what)
  assert.same(b.shape, a.shape, what)
  local off = support.difference(a:reshape { -1 }, b:reshape { -1 })
  assert.is_true(off <= tolerance, ("%s: differs by %g"):format(what or "it", off))
end

describe("correlation", function()
  -- Product by product, in plain Lua.
  local function one_by_one(first, points, levels, radius)
    local f, p, out = first:totable(), points:totable(), {}
    local function product(image, a, l, x, y)
      local other = levels[l].list[image][y + 1]
      if y < 0 or not other or x < 0 or not other[x + 1] then return 0 end
      local sum = 0
      for c, v in ipairs(a) do sum = sum + v * other[x + 1][c] end
      return sum / (#a) ^ 0.5
    end
    for _, l in ipairs(levels) do l.list = l.t:totable() end
    for image, rows in ipairs(p) do
      for row, line in ipairs(rows) do
        for column, xy in ipairs(line) do
          local a = f[#f == 1 and 1 or image][row][column]
          for l in ipairs(levels) do
            for i = -radius, radius do
              for j = -radius, radius do
                local x, y = xy[1] / 2 ^ (l - 1) + i, xy[2] / 2 ^ (l - 1) + j
                local u, v = math.floor(x), math.floor(y)
                local s, t = x - u, y - v
                out[#out + 1] = (1 - t) * ((1 - s) * product(image, a, l, u, v) + s * product(image, a, l, u + 1, v))
                  + t * ((1 - s) * product(image, a, l, u, v + 1) + s * product(image, a, l, u + 1, v + 1))
              end
            end
          end
        end
      end
    end
    local shape = points.shape
    shape[4] = #levels * (2 * radius + 1) * (2 * radius + 1)
    return co.tensor(out):reshape(shape)
  end

  it("is the products with the windows of a pyramid, interpolated", function()
    co.seed(3)
    for _, case in ipairs { { 1, 3, 4, 3, 1 }, { 2, 2, 3, 17, 3 }, { 1, 4, 3, 40, 4 }, { 3, 3, 2, 6, 2 } } do
      local n, h, w, c, radius = table.unpack(case)
      local points = co.rand(n, h, w, 2) * 14 - 3
      for _, images in ipairs { 1, n } do
        local first, levels = co.randn(images, h, w, c), {}
        for l = 1, 4 do levels[l] = { t = co.randn(n, math.max(1, 8 >> l), math.max(1, 12 >> l), c) } end
        for count = 1, 4 do
          local list, given = { table.unpack(levels, 1, count) }, {}
          for l, level in ipairs(list) do given[l] = level.t end
          given[#given + 1] = { radius = radius }
          near(co.correlation(first, points, table.unpack(given)), one_by_one(first, points, list, radius), 1e-5,
            table.concat(case, " "))
        end
      end
    end
  end)

  it("is 0 far outside and where a point is no number", function()
    local f = co.ones(1, 1, 4, 2)
    local points = co.tensor { { { { 0 / 0, 0 }, { 1e30, 0 }, { -1 / 0, 1 }, { 0, 0 } } } }
    local y = co.correlation(f, points, f, { radius = 1 })
    assert.equal(0, y[{ {}, {}, { 1, 3 } }]:abs():max():item())
    assert.is_true(math.abs(y[{ 1, 1, 4, 5 }] - 2 / 2 ^ 0.5) < 1e-6)
  end)

  it("refuses what does not fit in one line", function()
    local f, p = co.zeros(2, 3, 4, 5), co.zeros(2, 3, 4, 2)
    raises("correlation: points: expected N x H x W x 2, found 2x3x4x3", co.correlation, f, co.zeros(2, 3, 4, 3), f)
    raises("correlation: first: expected features of 2x3x4x2", co.correlation, co.zeros(2, 3, 3, 5), p, f)
    raises("correlation: half: expected 2 x H x W x 5 with at least one pixel, found 2x1x1x4", co.correlation, f, p, f,
      co.zeros(2, 1, 1, 4))
    raises("correlation: half: expected it before quarter, found nothing", co.correlation, f, p, f, nil, f)
    raises("correlation: radius: expected 0 to 8, found 9", co.correlation, f, p, f, { radius = 9 })
  end)
end)

describe("gru_reset and gru_update", function()
  it("are the gates of a recurrent unit", function()
    co.seed(4)
    local gates, state, q = co.randn(2, 3, 5, 12), co.randn(2, 3, 5, 10), co.randn(2, 3, 5, 6)
    local z, r = gates:narrow(4, 1, 6):sigmoid(), gates:narrow(4, 7, 6):sigmoid()
    local h, x = state:narrow(4, 1, 6), state:narrow(4, 7, 4)
    near(co.gru_reset(gates, state), co.cat({ r * h, x }, 4), 1e-6)
    near(co.gru_update(gates, state, q), (1 - z) * h + z * q:tanh(), 1e-6)
  end)

  it("refuse what does not fit in one line", function()
    local state = co.zeros(2, 3, 5)
    raises("gru_reset: gates: expected an even number of channels, found 2x3x5", co.gru_reset, state, state)
    raises("gru_reset: state: expected the rows of 2x3x12 with at least 6 channels, found 2x3x5", co.gru_reset,
      co.zeros(2, 3, 12), state)
    raises("gru_update: candidate: expected the rows of 2x3x4 with 2 channels, found 2x3x5", co.gru_update,
      co.zeros(2, 3, 4), state, state)
  end)
end)

describe("convex_upsample", function()
  it("is a mean of neighbours under the softmax of the mask", function()
    co.seed(5)
    local x, mask = co.randn(2, 3, 4, 2), co.randn(2, 3, 4, 9 * 9)
    local weight = mask:reshape({ 2, 3, 4, 9, 9 }):permute(1, 2, 3, 5, 4):softmax() -- …, pixel of nine, neighbour
    local around = co.unfold(x, { 3, 3 }, { padding = { 1, 1 } }):reshape { 2, 3, 4, 1, 9, 2 }
    local fine = (around * weight:reshape { 2, 3, 4, 9, 9, 1 }):sum(5) -- 2, 3, 4, 9, 2
    local expected = fine:reshape({ 2, 3, 4, 3, 3, 2 }):permute(1, 2, 4, 3, 5, 6):reshape { 2, 9, 12, 2 }
    near(co.convex_upsample(x, mask, { factor = 3 }), expected, 1e-6)
  end)

  it("refuses what does not fit in one line", function()
    raises("convex_upsample: mask: expected the pixels of 1x2x2x2 with 576 channels, found 1x2x2x9", co.convex_upsample,
      co.zeros(1, 2, 2, 2), co.zeros(1, 2, 2, 9))
    raises("convex_upsample: factor: expected 1 to 16, found 0", co.convex_upsample, co.zeros(1, 2, 2, 2),
      co.zeros(1, 2, 2, 0), { factor = 0 })
  end)
end)

describe("RAFT", function()
  local folder = support.temp()
  os.execute("mkdir -p " .. folder)
  local KINDS = support.small and { "raft_small" } or { "raft_small", "raft_large" }

  -- The weights of a network, drawn, and a file of them.
  local states, files = {}, {}
  for _, name in ipairs(KINDS) do
    states[name] = plain.draw(name, 3)
    files[name] = folder .. "/" .. name .. ".safetensors"
    co.save(files[name], states[name])
  end

  -- Blocks of two sizes, the second picture moved by a pixel and with some noise.
  local function pictures(h, w, channels)
    co.seed(6)
    local function blocks(n)
      local down, across = h // n + 2, w // n + 2
      return co.rand(down, 1, across, 1, channels):expand({ down, n, across, n, channels })
        :reshape { down * n, across * n, channels }
    end
    local large, small = blocks(12), blocks(3)
    local function cut(dx, dy)
      local rows, columns = { 1 + dy, h + dy }, { 1 + dx, w + dx }
      local t = large[{ rows, columns }] * 150 + small[{ rows, columns }] * 60 + co.rand(h, w, channels) * 40
      return (channels == 1 and t:reshape { h, w } or t):to "uint8"
    end
    return cut(1, 1), cut(0, 1)
  end

  local function estimate(name, a, b, o)
    o = o or {}
    o.method, o.weights, o.iterations = name, o.weights or files[name], o.iterations or 2
    return co.flow.estimate(a, b, o)
  end

  it("computes what the paper says, small and large, whatever the names of its weights", function()
    local a, b = pictures(128, 136, 3)
    for _, name in ipairs(KINDS) do
      local expected = co.no_grad(plain.flow, name, states[name], a, b, 2)
      assert.is_true(expected:abs():mean():item() > 0.3)
      near(estimate(name, a, b), expected:to "float32", 1e-3, name)
      local wrapped = {}
      for key, t in pairs(states[name]) do wrapped["module." .. key] = t end
      if name == "raft_large" then -- the authors' file holds these norms twice
        for stage = 2, 3 do
          for _, part in ipairs { "weight", "bias", "running_mean", "running_var" } do
            local at = ("module.cnet.layer%d.0."):format(stage)
            wrapped[at .. "norm3." .. part] = wrapped[at .. "downsample.1." .. part]
          end
        end
        wrapped["module.cnet.norm1.num_batches_tracked"] = co.tensor(3, { dtype = "int64" })
      end
      local one = estimate(name, a, b)
      for i, state in ipairs { wrapped, plain.torchvision(states[name]) } do
        local path = ("%s/%s-%d.npz"):format(folder, name, i)
        co.save(path, state)
        near(estimate(name, a, b, { weights = path }), one, 0, path)
      end
    end
  end)

  it("gives the same bits for several pictures at once, with kept features, on any number of threads", function()
    local a, b = pictures(130, 140, 3)
    local before, one = co.threads(), estimate("raft_small", a, b)
    local back, seen = estimate("raft_small", b, a), {}
    for _, n in ipairs(support.small and { 2 } or { 1, 2, 4 }) do
      co.threads(n)
      for _, keys in ipairs { false, { "a", "b", "a", "b" }, { "a", "b", "a", "b" } } do
        methods.flows(a, { b, a, b }, { method = "raft_small", weights = files.raft_small, iterations = 2 },
          keys or nil, function(i, f) seen[i] = f end)
        near(seen[1], one, 0)
        near(seen[3], one, 0)
      end
      methods.flows(b, { a }, { method = "raft_small", weights = files.raft_small, iterations = 2 }, { "b", "a" },
        function(_, f) near(f, back, 0) end)
    end
    co.threads(before)
    raft_flow.forget()
  end)

  it("pads pictures of odd sizes and small ones with their edges", function()
    local function bordered(t, top, left, bottom, right)
      local h, w = t.shape[1], t.shape[2]
      local function side(x, n) return x:expand { n, x.shape[2], 3 } end
      t = co.cat({ side(t[{ { 1, 1 } }], top), t, side(t[{ { h, h } }], bottom) }, 1):transpose(1, 2)
      return co.cat({ side(t[{ { 1, 1 } }], left), t, side(t[{ { w, w } }], right) }, 1):transpose(1, 2):contiguous()
    end
    local a, b = pictures(131, 101, 3)
    local whole = estimate("raft_small", bordered(a, 2, 13, 3, 14), bordered(b, 2, 13, 3, 14))
    near(estimate("raft_small", a, b), whole[{ { 3, 133 }, { 14, 114 } }], 0)
    for _, size in ipairs { { 1, 1 }, { 1, 7 }, { 40, 37 }, { 200, 9 } } do
      local c, d = pictures(size[1], size[2], 1)
      local f, valid = estimate("raft_small", c, d, { check = true, iterations = 1 })
      assert.same({ size[1], size[2], 2 }, f.shape)
      assert.is_true(f:abs():max():item() < 1000) -- false for NaN too
      assert.same(size, valid.shape)
      local h, w = size[1], size[2]
      local function colours(t) return t:reshape({ h, w, 1 }):expand({ h, w, 3 }):contiguous() end
      near(f, estimate("raft_small", colours(c), colours(d), { iterations = 1 }), 0, "grey")
    end
  end)

  it("returns memory", function()
    local a, b = pictures(32, 32, 3)
    raft_flow.forget()
    support.no_leak(function()
      estimate("raft_small", a, b)
      raft_flow.forget()
    end)
  end)

  it("refuses what it cannot compute with in one line", function()
    local raft_weights = require "cohesiv.motion.raft_weights"
    local a, b = pictures(32, 40, 3)
    raises("expected two images of one shape, found 32x40x3 and 40x32x3", estimate, "raft_small", a,
      b:transpose(1, 2):contiguous())
    raises("first image: expected", estimate, "raft_small", co.zeros(3, 3), b)
    raises("flow: expected images of at least 1x1, found 0x5", estimate, "raft_small",
      co.zeros(0, 5, { dtype = "uint8" }), co.zeros(0, 5, { dtype = "uint8" }))
    for _, bad in ipairs { 0, -1, 1.5, 1001, 0 / 0 } do
      raises("iterations: expected", estimate, "raft_small", a, b, { iterations = bad })
    end
    raises("raft_large: " .. files.raft_small .. ": expected weights of RAFT large, found those of RAFT small",
      estimate, "raft_large", a, b, { weights = files.raft_small })
    local large = {}
    for key, shape in pairs(raft_weights.shapes(raft_weights.kinds.raft_large)) do large[key] = co.zeros(shape) end
    co.save(folder .. "/large.safetensors", large)
    raises("expected weights of RAFT small, found those of RAFT large", estimate, "raft_small", a, b,
      { weights = folder .. "/large.safetensors" })
    raises("raft_small: weights: expected a file, found no " .. folder .. "/none.pth", estimate, "raft_small", a, b,
      { weights = folder .. "/none.pth" })
    raises("raft_small: weights: expected a file, found a folder, " .. folder, estimate, "raft_small", a, b,
      { weights = folder })
    local function with(change)
      local state = {}
      for key, t in pairs(states.raft_small) do state[key] = t end
      change(state)
      co.save(folder .. "/changed.safetensors", state)
      return { weights = folder .. "/changed.safetensors" }
    end
    raises("expected weights of RAFT small: expected update_block.gru.convq.bias 96, found none", estimate,
      "raft_small", a, b, with(function(state) state["update_block.gru.convq.bias"] = nil end))
    raises("expected fnet.conv1.weight 32x3x7x7, found float32 32x3x7x6", estimate, "raft_small", a, b,
      with(function(state) state["fnet.conv1.weight"] = co.zeros(32, 3, 7, 6) end))
    raises("expected fnet.conv1.bias 32, found int32 32", estimate, "raft_small", a, b,
      with(function(state) state["fnet.conv1.bias"] = co.zeros(32, { dtype = "int32" }) end))
    raises("expected no fnet.more.weight, found one", estimate, "raft_small", a, b,
      with(function(state) state["fnet.more.weight"] = co.zeros(3) end))
    local bytes = support.read(files.raft_small)
    raises("cut.safetensors: ", estimate, "raft_small", a, b,
      { weights = support.write(folder .. "/cut.safetensors", bytes:sub(1, #bytes // 2)) })
    raises("page.pth: expected", estimate, "raft_small", a, b,
      { weights = support.write(folder .. "/page.pth", "<!DOCTYPE html><html></html>") })
  end)

  it("finds weights where they lie ready, under the names that they have elsewhere, or says what to do", function()
    local place = support.temp() .. "/weights"
    local script = support.write(support.temp() .. "/try.lua", [[
      local co = require "cohesiv"
      local a = co.zeros(16, 16, { dtype = "uint8" })
      print(co.flow.estimate(a, a, { method = "raft_small", iterations = 1 }):abs():max():item() < 100)]])
    local env = { env = { COHESIV_WEIGHTS = place } }
    local r = support.cohesiv({ script }, env)
    support.refuses(r, 1, "weights raft_small: expected them in " .. place .. ", found none: get raft-small.pth")
    os.execute("mkdir -p " .. place)
    os.execute(("cp %s %s/raft-small.safetensors"):format(files.raft_small, place))
    assert.equal("true\n", support.cohesiv({ script }, env).stdout)
  end)

  local cache_before = os.getenv "COHESIV_CACHE"
  teardown(function() core.system.setenv("COHESIV_CACHE", cache_before) end)

  it("is a clip's flow, kept by its settings", function()
    core.system.setenv("COHESIV_CACHE", support.temp())
    local root, a, b = support.temp(), pictures(72, 96, 3)
    os.execute(("mkdir -p %s/clips/x"):format(root))
    for n, t in ipairs { a, b, a } do co.image.write(("%s/clips/x/%06d.png"):format(root, n - 1), t) end
    local clip = co.data(root):clip "x"
    local function at(o)
      o.size, o.method, o.iterations = { 112, 72 }, "raft_small", o.iterations or 2
      o.weights = o.weights or files.raft_small
      return o
    end
    local found = clip:flows(1, { -1, 1 }, at {})
    local expected = estimate("raft_small", b, a)
    for _, f in ipairs(found) do
      near(f[{ {}, { 1, 96 } }], expected, 1 / 128 + 1e-6)
      assert.equal(0, f[{ {}, { 97, 112 } }]:abs():max():item())
    end
    near(clip:flow(1, -1, at {}), found[1], 0)
    near(clip:flow(1, 1, at { iterations = 1 })[{ {}, { 1, 96 } }], estimate("raft_small", b, a, { iterations = 1 }),
      1 / 128 + 1e-6)
    assert.is_true(support.difference(clip:flow(1, 1, at { iterations = 1 }), found[2]) > 0.1)
    local other = folder .. "/other.safetensors"
    co.save(other, plain.draw("raft_small", 4))
    assert.is_true(support.difference(clip:flow(1, 1, at { weights = other }), found[2]) > 0.1)
    raft_flow.forget()
    support.no_leak(function()
      co.tidy(clip.flows, clip, 0, { 1, 2 }, at { iterations = 1 })
      raft_flow.forget()
      core.system.setenv("COHESIV_CACHE", support.temp())
    end)
    raises("expected a gap of frames other than 0, found 0", clip.flows, clip, 1, { 1, 0 }, at {})
    raises("iterations: expected a method with weights beside it, found dis", clip.flow, clip, 0, 1, { iterations = 2 })
    assert.equal("raft_small", require "experiments.cohesiv" { maps = { flow = "raft_small" } }.maps.flow)
  end)

  support.data_it("is as good as the authors' code on FlyingChairs", function()
    local data = support.data .. "/flow/"
    local found = co.flow.estimate(co.image.read(data .. "spynet_00002_img1.png"),
      co.image.read(data .. "spynet_00002_img2.png"), { method = "raft_small",
        weights = support.data .. "/weights/raft-small.pth" })
    local d = found - co.flow.read(data .. "spynet_00002_flow.flo")
    local off = (d * d):sum(3):sqrt():mean():item()
    assert.is_true(math.abs(off - 0.551) <= 0.02, "end-point error " .. off)
  end)

  support.python_it("equals torchvision's", function()
    local a, b = pictures(128, 144, 3)
    co.image.write(folder .. "/a.png", a)
    co.image.write(folder .. "/b.png", b)
    for _, name in ipairs { "raft_small", "raft_large" } do
      local weights, out = ("%s/%s-tv.safetensors"):format(folder, name), folder .. "/flow.npy"
      co.save(weights, plain.torchvision(states[name]))
      local r = support.run({ support.python, support.root .. "/tests/reference/raft.py", name, weights,
        folder .. "/a.png", folder .. "/b.png", 4, out }, { timeout = 120 })
      assert.equal(0, r.status, r.stderr)
      near(estimate(name, a, b, { iterations = 4 }), co.load(out), 1e-2, name)
    end
  end)
end)
