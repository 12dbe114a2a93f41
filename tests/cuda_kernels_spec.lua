-- The CUDA half on the CPU: every thread of every kernel runs (tests/cuda), in the sanitized build with its checks, and
-- gives what the CPU's own kernels give, to 1e-5 of the largest number. COHESIV_CUDA_MODULE names its shared object.
local alike = require "tests.alike"
local co = require "cohesiv"
local large = require "tests.large"
local samples = require "tests.samples"
local support = require "tests.support"

local same, there = alike.same, alike.there

for _, name in ipairs(samples.names) do
  it("op " .. name .. " computes on the GPU what it does on the CPU", function()
    local count = samples.each(name, false, function(inputs, args, variant)
      local plain = large.rounding(name, inputs)
      same(alike.expected(name, inputs, args, plain), large.results(name, there(inputs), args, plain),
        "sample " .. variant)
    end)
    assert.is_true(count > 0)
    local inputs, args = large.case(name)
    assert.is_truthy(inputs, "expected a large case of " .. name .. " in tests/large.lua")
    same(alike.expected(name, inputs, args or {}), large.results(name, there(inputs), args or {}), "the large case")
  end)
end

if os.getenv "COHESIV_CUDA_BACKWARDS" then return end -- what follows has nothing to do with the order of threads

describe("a tensor on a GPU", function()
  it("has the numbers that the CPU's would have", function()
    local t = co.tensor({ { 1, 2 }, { 3, 4 } }, { device = "cuda" })
    assert.equal("cuda", t.device)
    assert.same({ { 1, 2 }, { 3, 4 } }, t:totable())
    assert.equal(4, t[2][2])
    t[1] = 5
    assert.same({ { 5, 5 }, { 3, 4 } }, t:totable())
    assert.same({ 7, 7 }, co.full(7, 2, { device = "cuda", dtype = "uint8" }):totable())
    assert.same({ 0, 0, 0 }, co.zeros(3, { device = "cuda" }):totable())
  end)

  it("is converted as on the CPU", function()
    local values = { 0, -0.0, 1, -1.5, 2.5, 3.5, 255.9, 256, -3, 1e-8, 6e-5, 5.9e-8, 65519, 65520, 1e10, -1e20,
      2147483647, 0 / 0, 1 / 0, -1 / 0, 0.1, 1 / 3, 1.0009765625, 1.00048828125 }
    for _, from in ipairs { "float64", "float32", "float16", "bfloat16", "uint8", "int32", "int64" } do
      local x = co.tensor(values, { dtype = "float64" }):to(from)
      for _, to in ipairs { "float64", "float32", "float16", "bfloat16", "uint8", "int32", "int64" } do
        local a, b = x:to(to), x:to("cuda"):to(to)
        assert.equal(to, b.dtype)
        a, b = a:to "float64", b:to("cpu"):to "float64"
        for i = 1, #values do
          local p, q = a[i], b[i]
          assert.is_true(p == q or p ~= p and q ~= q,
            ("%s to %s: %g: expected %g, found %g"):format(from, to, values[i], p, q))
        end
      end
    end
  end)
end)

describe("values that a kernel on a GPU refuses", function()
  local gpu = { device = "cuda" }

  local function zeros(t) return t:to("cpu"):abs():sum():item() == 0 end

  local function hands(queries, images)
    local Q, K = co.ones(2, 3, 3, 4, gpu), co.ones(2, 3, 3, 4, gpu)
    Q.requires_grad, K.requires_grad = true, true
    local R = co.zeros(#images, 3, 3, gpu)
    return co.responsibility_loss(Q, K, R, co.tensor(queries, gpu), co.tensor(images, gpu)), Q, K
  end

  it("are said at the next wait, once; the loss is no number and gives no gradient", function()
    local loss, Q, K = hands({ { 0, 0 }, { 1, 1 } }, { 2, 3 })
    loss:backward()
    support.raises("responsibility_loss: image: hand 2: expected an image of 1 .. 2, found 3",
      function() return loss:item() end)
    local value = loss:item()
    assert.is_true(value ~= value)
    assert.is_true(zeros(Q.grad) and zeros(K.grad))
  end)

  it("are all that can be wrong with a hand", function()
    for _, case in ipairs {
      { { 0, 0 }, 0, "image: hand 1: expected an image of 1 .. 2, found 0" },
      { { 0, 0 }, 1.5, "image: hand 1: expected an image of 1 .. 2, found 1.5" },
      { { 0, 0 }, 0 / 0, "image: hand 1: expected an image of 1 .. 2, found %-?nan" },
      { { 2, 0 / 0 }, 1, "queries: hand 1: expected x, y, found 2, %-?nan" } } do
      local ok, message = pcall(function() return hands({ case[1] }, { case[2] }):item() end)
      assert.is_false(ok)
      assert.is_truthy(message:match("^responsibility_loss: " .. case[3] .. "$"), message)
    end
  end)

  it("are labels of the embedding loss", function()
    local Z = co.randn(1, 2, 40, 3, gpu)
    Z.requires_grad = true
    local loss = co.embedding_loss(Z, co.full(7, 1, 2, 40, gpu))
    loss:backward()
    support.raises("embedding_loss: label: expected 0 .. 3, found 7", function() return loss:item() end)
    local value = loss:item()
    assert.is_true(value ~= value)
    assert.is_true(zeros(Z.grad))
  end)

  it("leave what is computed before and behind them as it is", function()
    local bad = hands({ { 0, 0 } }, { 7 })
    local good = hands({ { 0, 0 } }, { 2 })
    support.raises("responsibility_loss: image: hand 1: expected an image of 1 .. 2, found 7",
      function() return bad:item() end)
    assert.equal(0.75, good:item())
  end)
end)

describe("a GPU", function()
  -- A process with this build and its module: words of `cohesiv`, or a program that has `co`.
  local function run(words, environment)
    for name, value in pairs(support.same_build) do environment[name] = value end
    environment.COHESIV_CUDA_MODULE = os.getenv "COHESIV_CUDA_MODULE"
    if type(words) == "string" then
      words = { support.write(support.temp() .. "/a.lua", 'local co = require "cohesiv"\n' .. words) }
    end
    return support.cohesiv(words, { env = environment })
  end

  it("is found by number, and refused by name where there is none of it", function()
    local result = run([[
      print(co.zeros(2, { device = "cuda:1" }).device, co.zeros(2, { device = "cuda:0" }).device)
      print(select(2, pcall(co.zeros, 2, { device = "cuda:2" })))
      print(select(2, pcall(co.zeros, 2, { device = "cuda:x" })))
      for _, d in ipairs(co.devices()) do io.write(d.name, " ", d.kind, " ", d.index, "; ") end ]],
      { COHESIV_CUDA_DEVICES = "2" })
    assert.equal(table.concat({ "cuda:1\tcuda", "device: expected cpu or one of cuda:0 to cuda:1, found cuda:2",
      "device: expected cpu or cuda, found cuda:x", "cpu cpu 0; cuda cuda 0; cuda:1 cuda 1; " }, "\n"), result.stdout)
  end)

  it("that nobody has asked for is listed, and not opened", function()
    local result = run([[
      co.memory { reset_peak = true }
      for _, d in ipairs(co.devices()) do io.write(d.name, " ", d.memory.limit, "; ") end
      local memory = co.memory()
      io.write(tostring(memory.cuda), " ", tostring(memory["cuda:1"])) ]],
      { COHESIV_CUDA_DEVICES = "2", COHESIV_CUDA_MEMORY = "5000000" })
    assert.is_truthy(result.stdout:find("; cuda 5000000; cuda:1 5000000; nil nil$"), result.stdout .. result.stderr)
  end)

  it("is named by `cohesiv info`, or why there is none", function()
    local function info(environment) return run({ "info" }, environment).stdout end
    assert.is_truthy(info({}):find("GPU       cuda: CPU in place of a GPU, 4.3 GB, compute capability 9.0; CUDA 13.0, "
      .. "driver for 13.1\n", 1, true))
    assert.is_truthy(info({ COHESIV_CUDA_DEVICES = "0" }):find("GPU       none used: CUDA 13.0, driver for 13.1: no "
      .. "device\n", 1, true))
  end)

  it("that is not there is said once, and the CPU computes", function()
    local result = run([[
      local a, b = co.ones(2, { device = "cuda" }), co.ones(2):to "cuda"
      print(a.device, b.device, (a + b):sum():item()) ]], { COHESIV_CUDA_DEVICES = "0" })
    assert.equal("cpu\tcpu\t4.0\n", result.stdout)
    assert.equal("cohesiv: warning: cuda: no GPU (no device): computing on the CPU\n", result.stderr)
  end)

  it("shows a profiler what is computed, by name", function()
    local path = support.temp() .. "/ranges"
    run([[
      local core = require "cohesiv.core"
      local x = co.ones(3, { device = "cuda", requires_grad = true })
      print(core.range("step", function(a, b) (a * a):sum():backward(); return b end, x, 7)) ]],
      { COHESIV_CUDA_RANGES = path })
    local text = support.read(path)
    assert.is_truthy(text:find("step\n  mul\n  sum\n  sum\n  mul\n", 1, true), text)
  end)

  it("that is full says what holds its memory", function()
    local result = run([[
      local t = co.zeros(1 << 20, { device = "cuda" })
      print(select(2, pcall(co.zeros, 1 << 20, { device = "cuda" })))
      t:close()
      print(co.zeros(1 << 20, { device = "cuda" }):sum():item(), co.devices()[2].memory.live) ]],
      { COHESIV_CUDA_MEMORY = tostring(6 << 20) })
    assert.equal("out of memory: 4194304 bytes of cuda asked for, 4194304 of 6291456 in use; the largest: float32 "
      .. "1048576 (4.2 MB)\n0.0\t4194308\n", result.stdout)
  end)
end)
