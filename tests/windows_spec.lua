-- Ops over windows and points of images, against what they are made of: average pooling and unfold by convolutions,
-- grid_sample against places that are known, instance norm and PReLU against their formulas; and their layers.
local co = require "cohesiv"
local core = require "cohesiv.core"
local support = require "tests.support"

local nn, raises = co.nn, support.raises
local function flat(t) return t:reshape({ -1 }):totable() end
local function near(a, b, tolerance)
  assert.same(b.shape, a.shape)
  assert.is_true((a - b):abs():max():item() <= (tolerance or 1e-5))
end

describe("average pooling", function()
  -- A depthwise convolution with equal weights.
  local function by_convolution(x, k, o)
    local c = x.shape[4]
    return co.conv2d(x, co.full(1 / (k[1] * k[2]), c, k[1], k[2], 1, { dtype = x.dtype }),
      { stride = o.stride, padding = o.padding, groups = c })
  end

  it("is a convolution with equal weights, to the last bit where it was one", function()
    for _, c in ipairs { 1, 5, 16, 64 } do
      local x = co.randn(2, 11, 10, c)
      for _, o in ipairs { { stride = 2, padding = 1 }, { stride = 3 }, { padding = { 1, 0 } } } do
        assert.same(flat(by_convolution(x, { 3, 3 }, o)), flat(co.avg_pool2d(x, 3, { stride = o.stride or 1,
          padding = o.padding or 0 })))
      end
    end
    local x = co.randn(1, 9, 8, 3, { dtype = "float64" })
    near(co.avg_pool2d(x, { 2, 4 }, { stride = { 1, 3 }, padding = { 1, 0, 2, 1 } }),
      by_convolution(x, { 2, 4 }, { stride = { 1, 3 }, padding = { 1, 0, 2, 1 } }), 1e-12)
  end)

  it("leaves the padding's zeros out of the mean when told", function()
    local x = co.ones(1, 4, 5, 2)
    for _, o in ipairs { { stride = 2, padding = 1 }, { stride = 1, padding = "same" },
      { padding = { 1, 0, 1, 1 } } } do
      o.count_include_pad = false
      for _, v in ipairs(flat(co.avg_pool2d(x, 3, o))) do assert.is_true(math.abs(v - 1) < 1e-6) end
    end
    assert.same({ 1, 2, 2, 1 }, co.avg_pool2d(co.ones(1, 6, 7, 1), 3).shape) -- stride: the kernel
    assert.same({ 1, 3, 4, 1 }, co.avg_pool2d(co.ones(1, 6, 7, 1), 3, { stride = 2, padding = "same" }).shape)
    near(nn.AvgPool2d { { 1, 2 }, stride = { 1, 2 } }(co.ones(1, 2, 4, 3)), co.ones(1, 2, 2, 3))
  end)

  it("refuses windows that see nothing", function()
    local x = co.ones(1, 4, 4, 1)
    raises("avg_pool2d: kernel: expected a number or {height, width}, found 0 numbers", co.avg_pool2d, x)
    raises("avg_pool2d: padding: expected at most half the kernel, 1, found 2", co.avg_pool2d, x, 3, { padding = 2 })
    raises("avg_pool2d: kernel: expected one that fits the padded image, found 5x5 on 1x4x4x1", co.avg_pool2d, x, 5)
    raises("avg_pool2d: kernel: expected 1 .. 4096, found 0", co.avg_pool2d, x, { 0, 2 })
  end)
end)

describe("unfold", function()
  it("times weights is a convolution", function()
    for _, o in ipairs { { padding = 1 }, { stride = { 2, 1 }, padding = { 0, 1, 2, 0 } }, { dilation = { 2, 1 } },
      { stride = 2, padding = "same" } } do
      local x, w = co.randn(2, 7, 9, 3), co.randn(5, 3, 2, 3)
      local y, rows = co.conv2d(x, w, o), co.unfold(x, { 3, 2 }, o)
      assert.same({ 2, y.shape[2] * y.shape[3], 18 }, rows.shape)
      near(rows:matmul(w:reshape(5, 18):transpose(1, 2)):reshape(y.shape), y, 1e-4)
    end
    assert.same({ 1, 4, 9 }, nn.Unfold { 3, stride = 3 }(co.ones(1, 6, 6, 1)).shape)
  end)
end)

describe("grid_sample", function()
  local x = co.tensor { { { { 1 }, { 2 } }, { { 3 }, { 4 } } } } -- 1×2×2×1
  local function at(px, py, o) return co.grid_sample(x, co.tensor { { { { px, py } } } }, o):item() end

  it("takes places from centre to centre, or from edge to edge", function()
    for _, padding in ipairs { "zeros", "border" } do
      local o = { align_corners = true, padding = padding }
      assert.equal(1, at(-1, -1, o))
      assert.equal(2, at(1, -1, o))
      assert.equal(3, at(-1, 1, o))
      assert.equal(2.5, at(0, 0, o))
      assert.equal(1.25, at(-0.5, -1, o))
      o.align_corners = false
      assert.equal(1, at(-0.5, -0.5, o))
      assert.equal(4, at(0.5, 0.5, o))
      assert.equal(2.5, at(0, 0, o))
    end
    assert.equal(0.25, at(-1, -1)) -- a quarter of the corner's pixel, zeros around
    assert.equal(1, at(-1, -1, { padding = "border" }))
    assert.equal(4, at(9, 7, { padding = "border" }))
    assert.equal(0, at(9, 7))
  end)

  it("takes places far away and no places at all", function()
    for _, far in ipairs { 1e30, -1e30, math.huge, -math.huge, 0 / 0 } do
      assert.equal(0, at(far, 0))
      local v = at(far, -1, { padding = "border" })
      assert.equal(far > 0 and 2 or 1, v)
    end
  end)

  it("gives an image back on the grid of its own pixels", function()
    local image, h, w = co.randn(2, 5, 7, 3), 5, 7
    local list = {}
    for n = 1, 2 do
      list[n] = {}
      for i = 1, h do
        list[n][i] = {}
        for j = 1, w do list[n][i][j] = { (2 * j - 1) / w - 1, (2 * i - 1) / h - 1 } end
      end
    end
    near(co.grid_sample(image, co.tensor(list)), image, 1e-5)
    raises("grid_sample: grid: expected 2 x H x W x 2, found 1x1x1x2", co.grid_sample, image, co.zeros(1, 1, 1, 2))
    raises('grid_sample: padding: expected zeros or border, found "reflection"', co.grid_sample, image, co.tensor(list),
      { padding = "reflection" })
  end)
end)

describe("instance norm", function()
  it("is its formula, with the activation behind it", function()
    local v = co.randn(3, 6, 5, 7, { dtype = "float64" }) * 3 + 2
    local weight, bias = co.randn(7, { dtype = "float64" }), co.randn(7, { dtype = "float64" })
    local rows = v:reshape(3, 30, 7)
    local mean, var = rows:mean(2, true), rows:var(2, true, false)
    local want = ((rows - mean) / (var + 1e-5):sqrt()):reshape(v.shape)
    near(co.instance_norm(v), want, 1e-12)
    near(co.instance_norm(v, weight, bias), want * weight + bias, 1e-12)
    near(co.instance_norm(v, nil, nil, { act = "relu" }), want:relu(), 1e-12)
    near(nn.InstanceNorm2d(7)(v:to "float32"), want:to "float32", 1e-5)
    assert.equal(0, #nn.InstanceNorm2d(7):parameters())
    assert.equal(2, #nn.InstanceNorm2d { 7, affine = true, act = "silu" }:parameters())
    raises("InstanceNorm2d: expected 6 numbers in the last dimension", nn.InstanceNorm2d(6), v)
  end)
end)

describe("PReLU", function()
  it("has a slope below 0, one for all or one a channel", function()
    local v = co.tensor { { -2, 4 }, { 6, -8 } }
    assert.same({ -0.5, 4, 6, -2 }, flat(nn.PReLU()(v)))
    assert.same({ -1, 4, 6, -2 }, flat(co.prelu(v, co.tensor { 0.5, 0.25 })))
    assert.same({ 2 }, nn.PReLU { 2 }.params.weight.shape)
    raises("prelu: weight: expected 1 number or one for each channel of 2x2, found 3", co.prelu, v, co.ones(3))
  end)
end)

describe("cat", function()
  it("joins along every dimension, more than a chunk at a time", function()
    local threads = co.threads()
    co.threads(2)
    for dim = 1, 3 do
      local parts, sizes = {}, { { 7, 0, 40 }, { 1, 300, 5 }, { 129, 3, 64 } }
      for i, n in ipairs(sizes[dim]) do
        local shape = { 30, 40, 60 }
        shape[dim] = n
        parts[i] = co.randn(shape)
        parts[i].requires_grad = true
      end
      local y, start = co.cat(parts, { dim = dim }), 1
      y:backward(y:detach())
      for _, part in ipairs(parts) do
        local n = part.shape[dim]
        assert.same(flat(part), flat(core.ops.narrow.call(y:detach(), dim, start, n)))
        assert.same(flat(part), flat(part.grad))
        start = start + n
      end
    end
    co.threads(threads)
  end)
end)

describe("windows, points and norms", function()
  it("give the same bits for any number of threads, with more than a chunk of work", function()
    local threads, x = co.threads(), co.randn(2, 70, 61, 24)
    local grid = co.rand(2, 80, 50, 2) * 2.4 - 1.2
    local weight, bias = co.randn(24), co.randn(24)
    for name, call in pairs {
      avg_pool2d = function(a) return co.avg_pool2d(a, 3, { padding = 1, stride = 1 }) end,
      unfold = function(a) return co.unfold(a, 3, { padding = 1 }) end,
      grid_sample = function(a, points) return co.grid_sample(a, points) end,
      instance_norm = function(a, _, w, b) return co.instance_norm(a, w, b) end,
      prelu = function(a, _, w) return co.prelu(a, w) end, cat = function(a) return co.cat(a, a * 2, { dim = 4 }) end,
    } do
      local first
      for _, n in ipairs { 1, 2, 4 } do
        co.threads(n)
        local inputs = {}
        for i, t in ipairs { x, grid, weight, bias } do
          inputs[i] = t:clone()
          inputs[i].requires_grad = true
        end
        local y = call(table.unpack(inputs))
        y:backward(y:detach())
        local all = { flat(y) }
        for i, t in ipairs(inputs) do all[i + 1] = t.grad and flat(t.grad) or false end
        first = first or all
        assert.same(first, all, name)
      end
    end
    co.threads(threads)
  end)
end)
