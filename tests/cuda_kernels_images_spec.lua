-- Ops over images on a GPU where their samples do not lead: few and many channels, memory that is not aligned, numbers
-- far from 0, gradients that are added to others, points and hands that meet. As tests/cuda_kernels_spec.lua it runs on
-- the CPU.
local alike = require "tests.alike"
local co = require "cohesiv"
local large = require "tests.large"
local samples = require "tests.samples"

local same, there = alike.same, alike.there

-- On the CPU and on the GPU, once, and with gradients added to gradients.
local function check(name, inputs, args, what)
  args, what = args or {}, ("%s %s"):format(name, what)
  same(large.results(name, inputs, args), large.results(name, there(inputs), args), what)
  same(large.twice(name, inputs, args), large.twice(name, there(inputs), args), what .. ", twice")
end

-- A tensor of this shape whose memory begins `skip` numbers behind an aligned address.
local function skewed(skip, t)
  local shape, n = t.shape, #t:reshape { -1 }
  return co.cat({ co.zeros(skip, { device = t.device }), t:reshape { -1 } }, 1):narrow(1, skip + 1, n):reshape(shape)
end

describe("on a GPU", function()
  before_each(function() co.seed(4) end)

  for _, name in ipairs { "batch_norm", "batch_norm_se", "instance_norm", "max_pool2d", "global_pool", "avg_pool2d",
    "upsample2", "upsample2_cat", "grid_sample", "responsibility_loss", "embedding_loss" } do
    it("op " .. name .. " adds to gradients that are there", function()
      samples.each(name, false, function(inputs, args, variant)
        local x = inputs[1].shape
        if name == "instance_norm" and x[2] * x[3] == 2 then return end -- all but rounding cancels in the gradient
        same(large.twice(name, inputs, args), large.twice(name, there(inputs), args), "sample " .. variant)
      end)
    end)
  end

  -- Channels: below and above those that a block's threads cover, by fours and not.
  local function norms(shape)
    local C = shape[#shape]
    local function lines() return co.rand(C) + 0.5, co.randn(C), co.zeros(C), co.ones(C) end
    return co.randn(shape) * 2 + 1, lines()
  end
  local shapes = {
    { 1, 3, 5, 1 }, { 3, 15, 20, 3 }, { 2, 9, 7, 20 }, { 2, 10, 9, 132 }, { 2, 5, 5, 45 }, { 3, 1, 2, 260 } }

  it("batch norm takes any number of channels", function()
    for _, shape in ipairs(shapes) do
      for variant, act in ipairs { "none", "relu", "relu6", "silu" } do
        local x, w, b, m, v = norms(shape)
        local residual = variant % 2 == 0 and co.randn(shape) or nil
        check("batch_norm", { x, w, b, m, v, residual }, { training = variant ~= 3, act = act },
          table.concat(shape, "x") .. " " .. act)
      end
    end
  end)

  it("batch norm with a gate, and instance norm, take any number of channels", function()
    for _, shape in ipairs(shapes) do
      local C, S = shape[4], 1 + shape[4] // 3
      for _, act in ipairs { "relu", "silu" } do
        local x, w, b, m, v = norms(shape)
        local residual = act == "relu" and co.randn(shape) or nil
        check("batch_norm_se", { x, w, b, m, v, co.randn(S, 1, 1, C) * 0.2, co.randn(S), co.randn(C, 1, 1, S) * 0.2,
          co.randn(C), residual }, { training = true, act = act }, table.concat(shape, "x") .. " " .. act)
        if shape[2] * shape[3] > 2 then
          check("instance_norm", { x, w, b }, { act = act }, table.concat(shape, "x") .. " " .. act)
        end
      end
    end
  end)

  it("the variance of numbers far from 0 keeps its digits", function()
    local x = co.randn(2, 50, 60, 8) * 0.01 + 100
    local one, none = co.ones(8), co.zeros(8)
    local function variance(t)
      local mean, var = co.zeros(8, { device = t.device }), co.zeros(8, { device = t.device })
      local other = { device = t.device }
      co.batch_norm(t, co.ones(8, other), co.zeros(8, other), mean, var, { training = true, momentum = 1 })
      return mean:to "cpu", var:to "cpu"
    end
    local mean, var = variance(x:to "cuda")
    local wide = x:to "float64"
    local exact, exact_var = none:to "float64", one:to "float64"
    co.batch_norm(wide, one:to "float64", none:to "float64", exact, exact_var, { training = true, momentum = 1 })
    for i = 1, 8 do
      assert.near(exact[i], mean[i], 1e-5)
      assert.near(exact_var[i], var[i], 1e-5 * exact_var[i])
    end
  end)

  it("maps that are made again for backward are the same", function()
    local function gradients(device)
      co.seed(6)
      local x = co.randn(2, 20, 21, 32):to(device)
      x.requires_grad = true
      local function line(t) return t:to(device) end
      local y = co.batch_norm(x, line(co.rand(32)), line(co.randn(32)), line(co.zeros(32)), line(co.ones(32)),
        { training = true, act = "silu" })
      y = co.instance_norm(y, line(co.rand(32)), line(co.randn(32)), { act = "relu" })
      y = co.batch_norm_se(y, line(co.rand(32)), line(co.randn(32)), line(co.zeros(32)), line(co.ones(32)),
        line(co.randn(4, 1, 1, 32)), line(co.randn(4)), line(co.randn(32, 1, 1, 4)), line(co.randn(32)),
        { training = true, act = "silu" })
      y = co.max_pool2d(y)
      y:backward(line(co.randn(y.shape)))
      return { y:detach(), x.grad }
    end
    same(gradients "cpu", gradients "cuda", "a chain of norms")
  end)

  it("losses take any number of channels", function()
    for _, C in ipairs { 1, 3, 64, 45, 132, 133, 300 } do
      local Z, label = co.randn(3, 9, 11, C), (co.rand(3, 9, 11) * 3.99):to("uint8"):to "float32"
      for variant = C > 1 and 0 or 2, 3 do -- a single number's direction has no gradient but rounding
        local args = { normalise = variant < 2, scale = variant < 2 and 10 or 1, batch_means = variant % 2 == 1 }
        check("embedding_loss", { variant < 2 and Z or Z / C, label }, args, ("%d channels, %d"):format(C, variant))
      end
      check("responsibility_loss", { co.randn(3, 9, 11, C), co.randn(3, 9, 11, C) / C, co.rand(5, 9, 11) * 1.2 - 0.2,
        co.tensor { { 3, 4 }, { 3.2, 4.4 }, { 50, -1 }, { 3, 4 }, { 0, 0 } }, co.tensor { 2, 2, 1, 2, 3 } },
        { through = C % 2 == 1 }, C .. " channels")
    end
  end)

  it("a pixel whose label is absent from its image, and hands without pixels, change nothing", function()
    local label = co.zeros(2, 20, 30)
    label[1] = 2
    check("embedding_loss", { co.randn(2, 20, 30, 8), label }, {}, "of one class")
    local R = co.rand(2, 20, 30)
    R[1] = -1
    check("responsibility_loss", { co.randn(2, 20, 30, 8), co.randn(2, 20, 30, 8), R, co.zeros(2, 2) }, {},
      "of one hand")
  end)

  it("memory need not be aligned", function()
    local x, grid = co.randn(2, 9, 8, 12), co.rand(2, 5, 6, 2) * 2 - 1
    for skip = 1, 3 do
      local function run(device)
        local own, points = skewed(skip, x:to(device)), skewed(skip, grid:to(device))
        return { co.max_pool2d(own), co.avg_pool2d(own, { kernel = { 3, 3 } }), co.global_pool(own),
          co.upsample2_cat(own, skewed(skip, co.ones(2, 18, 16, 4, { device = device }))), co.grid_sample(own, points),
          co.instance_norm(own), co.embedding_loss(own, co.ones(2, 9, 8, { device = device })) }
      end
      same(run "cpu", run "cuda", skip .. " numbers off")
    end
  end)

  it("no number is the largest of a window", function()
    local x = co.randn(1, 8, 8, 4)
    x[{ 1, 3, 3, 2 }] = 0 / 0
    for _, kernel in ipairs { 2, 3, 5 } do
      for stride = 1, 3 do
        local function run(device)
          local own = x:to(device):clone()
          own.requires_grad = true
          local y = co.max_pool2d(own, { kernel = kernel, stride = stride, padding = kernel // 2 })
          y:backward(co.ones(y.shape, { device = device }))
          y = y:detach()
          return { y:ne(y), co.where(y:ne(y), co.zeros(1, { device = device }), y), own.grad }
        end
        same(run "cpu", run "cuda", ("%d by %d"):format(kernel, stride))
      end
    end
  end)

  it("points that meet in a pixel are added up, small and large, whatever their order", function()
    for _, size in ipairs { 1, 1e-30, 1e30 } do
      local function gradient(device)
        co.seed(7)
        local x = co.randn(2, 4, 5, 8):to(device)
        x.requires_grad = true
        local y = co.grid_sample(x, (co.rand(2, 20, 25, 2) * 0.2):to(device), { padding = "border" })
        y:backward((co.randn(y.shape) * size):to(device))
        return x.grad:to "cpu"
      end
      local expected, found = gradient "cpu" / size, gradient "cuda" / size
      assert.is_true((expected - found):abs():max():item() <= 1e-5 * expected:abs():max():item())
    end
  end)

  it("what is no number in a gradient reaches its own pixels", function()
    local x = co.randn(1, 4, 4, 4, { device = "cuda" })
    x.requires_grad = true
    local y = co.grid_sample(x, co.tensor({ { { { -0.75, -0.75 }, { 0.75, 0.75 } } } }, { device = "cuda" }))
    local dy = co.ones(1, 1, 2, 4)
    dy[{ 1, 1, 1, 3 }] = 1 / 0
    y:backward(dy:to "cuda")
    local g = x.grad:to "cpu"
    local odd = g[{ 1, 1, 1, 3 }]
    assert.is_true(odd ~= odd)
    assert.equal(1, g[{ 1, 1, 1, 2 }])
    assert.same({ 1, 1, 1, 1 }, g[1][4][4]:totable())
  end)
end)
