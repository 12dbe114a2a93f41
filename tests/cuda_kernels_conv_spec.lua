-- Convolutions, and those of up-sampled maps, on the GPU at the shapes that choose between its kernels; bfloat16.
local alike = require "tests.alike"
local co = require "cohesiv"
local large = require "tests.large"
local samples = require "tests.samples"

-- images N,H,W,C; weights O,kH,kW,C/groups; arguments
local cases = {
  { "the widest tile", { 2, 92, 92, 8 }, { 68, 1, 1, 8 } },
  { "the widest tile, as a gradient", { 2, 92, 92, 68 }, { 8, 1, 1, 68 } },
  { "a tile for few channels", { 2, 7, 9, 8 }, { 20, 3, 3, 8 }, { padding = 1 } },
  { "many outputs", { 1, 5, 6, 12 }, { 132, 3, 2, 12 }, { padding = { 1, 0, 2, 1 } } },
  { "tall weights", { 2, 16, 20, 260 }, { 260, 1, 1, 260 } },
  { "few pixels of a great depth, in parts", { 1, 4, 5, 72 }, { 76, 3, 3, 72 }, { padding = 1, stride = 2 } },
  { "the same of odd channels", { 1, 4, 5, 71 }, { 75, 3, 3, 71 }, { padding = 1 } },
  { "odd channels", { 1, 9, 8, 7 }, { 67, 3, 3, 7 }, { stride = 2, padding = 1 } },
  { "wide channels, odd outputs", { 1, 9, 8, 8 }, { 5, 3, 3, 8 }, { padding = 1 } },
  { "strides beyond the image", { 2, 3, 4, 4 }, { 4, 2, 2, 4 }, { stride = { 7, 5 } } },
  { "a stride and a dilation with a common divisor", { 1, 17, 16, 4 }, { 8, 3, 3, 4 },
    { stride = { 4, 6 }, dilation = { 6, 4 }, padding = 7 } },
  { "taps that no pixel meets", { 1, 9, 9, 4 }, { 4, 1, 1, 4 }, { stride = 3 } },
  { "wide groups", { 1, 6, 5, 80 }, { 80, 3, 3, 40 }, { groups = 2, padding = 1 } },
  { "groups of 2", { 1, 6, 5, 12 }, { 18, 3, 3, 2 }, { groups = 6, padding = 1 } },
  { "groups of 4", { 2, 9, 10, 48 }, { 48, 3, 3, 4 }, { groups = 12, padding = 1 } },
  { "groups of 4, stride 2", { 1, 9, 10, 48 }, { 48, 3, 3, 4 }, { groups = 12, padding = 1, stride = 2 } },
  { "groups of 8", { 1, 7, 6, 24 }, { 24, 3, 3, 8 }, { groups = 3, padding = 2, dilation = 2 } },
  { "groups of 16", { 1, 7, 6, 48 }, { 48, 3, 3, 16 }, { groups = 3, stride = { 2, 1 }, padding = "same" } },
  { "groups of 32", { 1, 6, 7, 64 }, { 64, 3, 3, 32 }, { groups = 2, padding = 1 } },
  { "groups of 16 to 4", { 1, 6, 7, 48 }, { 12, 3, 3, 16 }, { groups = 3, padding = 1 } },
  { "groups of 4 to 32", { 1, 6, 7, 8 }, { 64, 3, 3, 4 }, { groups = 2, padding = 1 } },
  { "groups whose weights are too many for a block", { 1, 8, 8, 64 }, { 64, 7, 7, 32 }, { groups = 2, padding = 3 } },
  { "depthwise", { 2, 30, 31, 40 }, { 40, 3, 3, 1 }, { groups = 40, padding = 1 } },
  { "depthwise 5 x 5, stride 2", { 1, 13, 12, 36 }, { 36, 5, 5, 1 }, { groups = 36, padding = "same", stride = 2 } },
  { "so many pixels that a thread takes several", { 1, 4, 67600, 4 }, { 4, 1, 1, 1 }, { groups = 4 } },
  { "depthwise, odd channels", { 1, 5, 6, 7 }, { 7, 3, 3, 1 }, { groups = 7, padding = 1 } },
  { "depthwise, several outputs", { 1, 5, 6, 8 }, { 24, 3, 3, 1 }, { groups = 8, padding = 1 } },
}

for _, case in ipairs(cases) do
  local what, image, weight, args = table.unpack(case)
  it("convolves like the CPU: " .. what, function()
    co.seed(3)
    local inputs = { co.randn(image), co.randn(weight), co.randn(weight[1]) }
    alike.same(alike.expected("conv2d", inputs, args or {}), large.results("conv2d", alike.there(inputs), args or {}),
      what)
  end)
end

it("convolves views whose first number is not aligned", function()
  co.seed(4)
  local function view(...)
    local sizes, n = { ... }, 1
    for _, size in ipairs(sizes) do n = n * size end
    return function(t) return t:narrow(1, 2, n):reshape(sizes) end, co.randn(n + 1)
  end
  for _, args in ipairs { { padding = 1 }, { padding = 1, groups = 2 }, { padding = 1, groups = 8 } } do
    local cut_x, x = view(1, 6, 5, 8)
    local cut_w, w = view(8, 3, 3, 8 // (args.groups or 1))
    local list = {}
    for i, device in ipairs { "cpu", "cuda" } do
      local own = { x:to(device):clone(), w:to(device):clone() }
      for _, t in ipairs(own) do t.requires_grad = true end
      local y = co.conv2d(cut_x(own[1]), cut_w(own[2]), args)
      y:backward(y:detach())
      list[i] = { y:detach(), own[1].grad, own[2].grad }
    end
    alike.same(list[1], list[2], "a view")
  end
end)

it("adds to gradients that are there", function()
  co.seed(5)
  for _, groups in ipairs { 1, 2, 16, 64 } do
    local inputs, list = { co.randn(1, 6, 5, 64), co.randn(64, 3, 3, 64 // groups), co.randn(64) }, {}
    for i, device in ipairs { "cpu", "cuda" } do
      list[i] = {}
      for k, t in ipairs(inputs) do
        list[i][k] = t:to(device):clone()
        list[i][k].requires_grad = true
      end
      for _ = 1, 2 do
        local x, w, b = table.unpack(list[i])
        co.conv2d(x, w, b, { padding = 1, groups = groups }):sum():backward()
      end
      for k, t in ipairs(list[i]) do list[i][k] = t.grad end
    end
    alike.same(list[1], list[2], "groups " .. groups)
  end
end)

-- a map N,H,W,C; weights O,3,3,C+S; skip
local up_cases = {
  { { 2, 5, 3, 40 }, { 36, 3, 3, 48 }, { 2, 10, 6, 8 } },
  { { 1, 4, 5, 33 }, { 70, 3, 3, 33 } },
  { { 1, 3, 3, 5 }, { 3, 3, 3, 12 }, { 1, 6, 6, 7 } },
}

it("convolves up-sampled maps like the CPU, and adds to gradients that are there", function()
  co.seed(7)
  for k, case in ipairs(up_cases) do
    local inputs = { co.randn(case[1]), co.randn(case[2]), case[3] and co.randn(case[3]) }
    alike.same(alike.expected("upconv2d", inputs, {}), large.results("upconv2d", alike.there(inputs), {}), "map " .. k)
    local list = {}
    for i, device in ipairs { "cpu", "cuda" } do
      list[i] = {}
      for n, t in ipairs(inputs) do
        list[i][n] = t:to(device):clone()
        list[i][n].requires_grad = true
      end
      for _ = 1, 2 do samples.call("upconv2d", list[i], {}):sum():backward() end
      for n, t in ipairs(list[i]) do list[i][n] = t.grad end
    end
    alike.same(list[1], list[2], "map " .. k .. ": gradients of two calls")
  end
end)

-- Weights in bfloat16: results come near the CPU's.
local function near(name, inputs, args)
  inputs[2] = inputs[2]:to "bfloat16"
  local a, b = samples.call(name, inputs, args), samples.call(name, alike.there(inputs), args):to "cpu"
  assert.same({ a.dtype, a.shape }, { b.dtype, b.shape })
  local difference = (a - b):abs():max():item()
  assert.is_true(difference <= 2e-2 * a:abs():max():item(), ("%s: differs by %g"):format(name, difference))
end

it("computes in bfloat16 where weights are", function()
  co.seed(6)
  for _, case in ipairs(cases) do
    local _, image, weight, args = table.unpack(case)
    near("conv2d", { co.randn(image), co.randn(weight), co.randn(weight[1]) }, args or {})
    local act = { act = "silu" }
    for key, value in pairs(args or {}) do act[key] = value end
    near("conv2d_act", { co.randn(image), co.randn(weight), co.rand(weight[1]), co.randn(weight[1]) }, act)
  end
  for _, case in ipairs(up_cases) do
    local inputs = { co.randn(case[1]), co.randn(case[2]), case[3] and co.randn(case[3]) or false }
    near("upconv2d", { table.unpack(inputs) }, {})
    inputs[4], inputs[5] = false, co.randn(case[2][1])
    near("upconv2d_act", inputs, { act = "relu" })
  end
end)
