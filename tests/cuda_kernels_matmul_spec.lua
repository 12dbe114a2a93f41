-- Products of matrices on the GPU, at the shapes that choose between its kernels.
local alike = require "tests.alike"
local co = require "cohesiv"
local large = require "tests.large"

local function compare(what, a, b, args)
  alike.same(large.results("matmul", { a, b }, args), large.results("matmul", alike.there { a, b }, args), what)
end

-- op(a): m x k, op(b): k x n
for _, case in ipairs {
  { "the widest tile", 1930, 1156, 8 },
  { "sizes that no four divides", 67, 70, 19 },
  { "a depth cut into parts", 12, 68, 3004 },
  { "a depth of which the last parts are empty", 4, 4, 257 },
  { "one number", 1, 1, 1 },
} do
  local what, m, n, k = table.unpack(case)
  it("multiplies like the CPU: " .. what, function()
    co.seed(3)
    for _, args in ipairs { {}, { ta = true }, { tb = true }, { ta = true, tb = true } } do
      local a = args.ta and co.randn(k, m) or co.randn(m, k)
      compare(what, a, args.tb and co.randn(n, k) or co.randn(k, n), args)
    end
  end)
end

it("multiplies stacks, and a stack with one matrix, like the CPU", function()
  co.seed(4)
  compare("stacks", co.randn(3, 8, 12), co.randn(3, 12, 16), {})
  compare("stacks of odd sizes", co.randn(3, 2, 5, 7), co.randn(3, 2, 7, 3), {})
  compare("one on the right", co.randn(3, 12, 8), co.randn(12, 20), { ta = true })
  compare("one on the right, not transposed", co.randn(3, 8, 12), co.randn(12, 20), {})
  compare("one on the left", co.randn(8, 12), co.randn(3, 20, 12), { tb = true })
  compare("a deep stack", co.randn(3, 700, 8), co.randn(700, 4), { ta = true })
end)

it("attends like the CPU where maps are large and channels odd", function()
  co.seed(5)
  for _, channels in ipairs { 16, 7 } do
    local inputs = { co.rand(9, channels) / channels, co.rand(33, 65, channels) + 0.1 }
    alike.same(large.results("attention", inputs, {}), large.results("attention", alike.there(inputs), {}),
      channels .. " channels")
  end
end)
