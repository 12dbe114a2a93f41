-- The guard device: the CPU's kernels on memory that the host may not touch. Every op's samples, a short training,
-- checkpoints, files, prediction and evaluation run on it and give the CPU's bits; what would read a tensor behind
-- its device's back faults here. Beside that what any device must do: refuse mixtures, say what went wrong later, do
-- without a kernel.
local co = require "cohesiv"
local core = require "cohesiv.core"
local samples = require "tests.samples"
local support = require "tests.support"

local function there(t) return t and t:to "guard" end

local function all_there(inputs)
  local list = {}
  for i, t in ipairs(inputs) do list[i] = there(t) end
  return list
end

describe("a tensor on the guard device", function()
  it("says so, and has the numbers that the CPU's would have", function()
    local t = co.tensor({ { 1, 2 }, { 3, 4 } }, { device = "guard", dtype = "float64" })
    assert.same({ "guard", "float64", 2 }, { t.device, t.dtype, #t })
    assert.same({ { 1, 2 }, { 3, 4 } }, t:totable())
    assert.equal(4, t[2][2])
    assert.equal("guard", t[2].device)
    assert.equal(10, t:sum():item())
    assert.equal(tostring(t:to "cpu"), tostring(t))
    for _, make in ipairs { co.zeros, co.ones, co.eye, co.rand, co.randn } do
      co.seed(3)
      local a = make(3, 4, { dtype = "float32" })
      co.seed(3)
      local b = make(3, 4, { device = "guard" })
      assert.equal("guard", b.device)
      assert.same(a:totable(), b:totable())
    end
    assert.same({ 7, 7 }, co.full(7, 2, { device = "guard", dtype = "uint8" }):totable())
    assert.same({ 0, 2 }, co.arange(0, 4, 2, { device = "guard", dtype = "int64" }):totable())
    assert.same({ 0.5, -2 }, co.tensor({ 0.5, -2 }, { device = "guard", dtype = "bfloat16" }):totable())
  end)

  it("is written to in parts and as a whole", function()
    local t = co.zeros(2, 3, { device = "guard" })
    local before = t:detach()
    t[1] = 5
    t[{ 2, { 2, 3 } }] = co.tensor { 8, 9 }
    assert.same({ { 5, 5, 5 }, { 0, 8, 9 } }, t:totable())
    t[{ {}, 1 }] = co.tensor({ 1, 2 }, { device = "guard" })
    assert.same({ { 1, 5, 5 }, { 2, 8, 9 } }, t:totable())
    assert.same({ { 0, 0, 0 }, { 0, 0, 0 } }, before:totable())
    t:fill(4)
    assert.same({ { 4, 4, 4 }, { 4, 4, 4 } }, t:totable())
    t[{ {}, {} }] = co.ones(2, 3)
    assert.same({ { 1, 1, 1 }, { 1, 1, 1 } }, t:totable())
    local host = co.zeros(3)
    host[{ { 1, 2 } }] = co.tensor({ 6, 7 }, { device = "guard" })
    assert.same({ 6, 7, 0 }, host:totable())
  end)

  it("moves with its gradient", function()
    local x = co.tensor({ 1, 2, 3 }, { requires_grad = true })
    local y = x:to "guard"
    assert.is_true(y.requires_grad)
    local sum = (y * y):sum()
    assert.equal("guard", sum.device)
    sum:backward()
    assert.same({ "cpu", { 2, 4, 6 } }, { x.grad.device, x.grad:totable() })
    local leaf = co.tensor({ 1, 2 }, { device = "guard", requires_grad = true });
    (leaf * 3):sum():backward();
    (leaf * 2):to("cpu"):sum():backward()
    assert.same({ "guard", { 5, 5 } }, { leaf.grad.device, leaf.grad:totable() })
    leaf.grad = nil
    support.raises("grad: expected a tensor on guard, found one on cpu", function() leaf.grad = co.ones(2) end)
    support.raises("backward: gradient: expected a tensor on guard, found one on cpu",
      function() (leaf * 3):backward(co.ones(2)) end)
  end)

  it("is written to files", function()
    local path = support.temp() .. "/a"
    local t = co.randn(3, 5)
    co.save(path .. ".npy", t:to "guard")
    assert.same(t:totable(), co.load(path .. ".npy"):totable())
    co.save(path .. ".npz", { a = t:to "guard", b = t })
    assert.same(t:totable(), co.load(path .. ".npz").a:totable())
    core.io.safetensors_write(path .. ".safetensors", { x = t:to "guard" })
    assert.same(t:totable(), core.io.safetensors_read(path .. ".safetensors").x:totable())
    co.image.write(path .. ".png", co.full(9, 4, 4, 3, { dtype = "uint8", device = "guard" }))
    assert.same({ 9, 9, 9 }, co.image.read(path .. ".png")[1][1]:totable())
  end)

  it("is refused by what reads pixels on the host", function()
    support.raises("expected a tensor on cpu, found one on guard",
      function() core.metrics.resize(co.zeros(4, 4, { device = "guard" }), 8, 8) end)
  end)

  it("has addresses that nobody may read", function()
    local t = co.ones(1 << 16, { device = "guard" })
    t = t + 1
    local reserved = 1 << 36
    local closed = 0
    for line in io.lines "/proc/self/maps" do
      local first, last, rights = line:match "^(%x+)%-(%x+) (%S+)"
      first, last = tonumber(first, 16), tonumber(last, 16)
      if rights:match "^%-%-%-" then closed = math.max(closed, last - first) end
    end
    assert.is_true(closed >= reserved, ("the largest closed range has %d bytes"):format(closed))
    assert.equal(2, t[5])
  end)

  it("is listed, with its memory, once there is one", function()
    for _ = 1, 2 do collectgarbage() end -- what earlier tests have left
    local t = co.zeros(1024, { device = "guard" })
    local list = co.devices()
    assert.same({ "cpu", "cpu", 0 }, { list[1].name, list[1].kind, list[1].index })
    assert.same({ "guard", "guard", 0 }, { list[2].name, list[2].kind, list[2].index })
    assert.is_true(list[2].memory.live >= 4096 and list[1].memory.limit > 0)
    local before = list[2].memory.live
    local more = co.zeros(1 << 20, { device = "guard" })
    assert.equal(before + (4 << 20), co.devices()[2].memory.live)
    more:close()
    assert.equal(before, co.devices()[2].memory.live)
    t:close()
  end)
end)

describe("ops on several devices", function()
  it("refuse tensors of two devices, and take numbers", function()
    local a, b = co.ones(2, { device = "guard" }), co.ones(2)
    support.raises("add: b: expected a tensor on guard like a, found one on cpu", function() return a + b end)
    support.raises("mul: a: expected a tensor on guard like b, found one on cpu", function() return b * a end)
    support.raises("cat: inputs: expected a tensor on guard like inputs, found one on cpu",
      function() return co.cat { b, a } end)
    assert.same({ 3, 3 }, (2 * a + 1):totable())
    assert.same({ 1.5, 1.5 }, (a + co.tensor(0.5)):totable())
    support.raises("lerp: to: expected a tensor on guard like from, found one on cpu",
      function() core.ops.lerp.call(co.tensor(1), co.tensor(2, { device = "guard" }), 0.5) end)
  end)

  it("refuse devices that there are not", function()
    for _, name in ipairs { "cuda", "cuda:1" } do
      local message = ("device: expected cpu, found %s (this build has no CUDA)"):format(name)
      support.raises(message, function() return co.zeros(2, { device = name }) end)
      support.raises(message, function() return co.zeros(2):to(name) end)
    end
    support.raises("device: expected cpu or cuda, found 1", function() return co.zeros(2, { device = 1 }) end)
  end)

  it("say later what was wrong with values, once, where nobody waits for them", function()
    local Z = co.randn(1, 2, 2, 3, { device = "guard", requires_grad = true })
    local message = "embedding_loss: label: expected 0 .. 3, found 7"
    support.raises(message, function() return co.embedding_loss(Z:to "cpu", co.full(7, 1, 2, 2)) end)
    local loss = co.embedding_loss(Z, co.full(7, 1, 2, 2, { device = "guard" }))
    loss:backward()
    support.raises(message, function() return loss:item() end)
    local value = loss:item()
    assert.is_true(value ~= value)
    assert.same({ 0, 0, 0 }, Z.grad[1][1][1]:totable())
    support.raises("cross_entropy: label: expected a class from 1 to 3, or 0 (ignored), found 9", function()
      return co.cross_entropy(Z:detach(), co.full(9, 1, 2, 2, { device = "guard" })):item()
    end)
    support.raises("responsibility_loss: image: hand 1: expected an image of 1 .. 1, found 2", function()
      local options = { device = "guard" }
      return co.responsibility_loss(Z:detach(), Z:detach(), co.zeros(1, 2, 2, options), co.zeros(1, 2, options),
        co.tensor({ 2 }, options)):item()
    end)
  end)

  local function run(code, environment)
    return support.run({ "lua5.4", "-e", ([[
      package.path = %q .. "/lua/?.lua;" .. %q .. "/lua/?/init.lua;" .. package.path
      package.cpath = %q .. "/build/?.so;" .. package.cpath
      local co = require "cohesiv"]]):format(support.root, support.root, support.root) .. code }, { env = environment })
  end

  it("name op and device where there is no kernel", function()
    local result = run([[ print(select(2, pcall(co.exp, co.zeros(2, { device = "guard" })))) ]],
      { COHESIV_GUARD_LACKS = "exp" })
    assert.equal(0, result.status, result.stderr)
    assert.equal("exp: expected a kernel for float32 on guard, found none (COHESIV_FALLBACK=cpu computes it there)\n",
      result.stdout)
  end)

  it("are computed on the CPU instead where that is asked for, which the profile counts", function()
    local result = run([[
      local x = co.tensor({ 1, 2 }, { device = "guard", requires_grad = true })
      local mean, var = co.zeros(2, { device = "guard" }), co.ones(2, { device = "guard" })
      local profile = co.profile(function()
        local y = (x:exp() * 2):reshape { 1, 2 }
        assert(y.device == "guard")
        y = co.batch_norm(co.cat { y, y * 2 }, x:detach(), x:detach(), mean, var, { training = true });
        (y * y):sum():backward()
      end)
      assert(x.grad.device == "guard" and mean.device == "guard")
      local h = co.tensor({ 1, 2 }, { requires_grad = true })
      local hm, hv = co.zeros(2), co.ones(2)
      local y = (h:exp() * 2):reshape { 1, 2 }
      y = co.batch_norm(co.cat { y, y * 2 }, h:detach(), h:detach(), hm, hv, { training = true });
      (y * y):sum():backward()
      for i = 1, 2 do assert(h.grad[i] == x.grad[i] and hm[i] == mean[i] and hv[i] == var[i]) end
      local counts = {}
      for _, row in ipairs(profile) do counts[row.name .. " " .. row.pass] = row.fallbacks end
      print(profile.fallbacks, counts["exp forward"], counts["exp backward"], counts["batch_norm forward"],
        counts["batch_norm backward"], counts["sum forward"])
      print(tostring(profile):match "%d+ calls went to the CPU and back") ]],
      { COHESIV_GUARD_LACKS = "exp batch_norm", COHESIV_FALLBACK = "cpu" })
    assert.equal(0, result.status, result.stderr)
    assert.equal("4\t1\t1\t1\t1\t0\n4 calls went to the CPU and back\n", result.stdout)
  end)
end)

for _, name in ipairs(samples.names) do
  it("op " .. name .. " gives the CPU's bits on the guard device", function()
    samples.each(name, false, function(inputs, args, variant)
      assert.same(samples.numbers(name, inputs, args), samples.numbers(name, all_there(inputs), args),
        "sample " .. variant)
      if core.ops[name].differentiable then
        assert.same(samples.gradients(name, inputs, args), samples.gradients(name, all_there(inputs), args),
          "gradients of sample " .. variant)
      end
    end)
  end)
end

describe("on the guard device", function()
  local tiny = require("tests.tiny").new()
  local here, guarded

  setup(function()
    tiny:make_world()
    here, guarded = tiny:new_folder "here", tiny:new_folder "guarded"
  end)

  it("a training runs, is calibrated and evaluated, and ends in the CPU's bits", function()
    local result = tiny:train(here)
    assert.equal(0, result.status, result.stderr)
    result = tiny:train(guarded, { "device=guard" })
    assert.equal(0, result.status, result.stderr)
    for _, name in ipairs { "last", "best" } do
      local a = core.io.safetensors_read(here .. "/runs/tiny/" .. name .. ".safetensors")
      local b = core.io.safetensors_read(guarded .. "/runs/tiny/" .. name .. ".safetensors")
      for key, t in pairs(a) do assert.equal(0, support.difference(t, b[key]), name .. ": " .. key) end
      for key in pairs(b) do assert.is_truthy(a[key], key) end
    end
    local one, two = co.run(here .. "/runs/tiny"), co.run(guarded .. "/runs/tiny")
    assert.same(one:calibration(), two:calibration())
    assert.equal("guard", two.recipe.device)
    local data = co.data(tiny.world)
    assert.same(co.evaluate(one, data), co.evaluate(two, data))
  end)

  it("a model is saved, loaded, frozen and asked", function()
    co.seed(4)
    local model = co.model { encoder = "mobilenet_v2", decoder_widths = { 8, 8, 8, 8, 8 }, embedding_dim = 4,
      attention_dim = 4 }
    model:eval()
    model.embeddings = { object = { 1, 0, 0, 0 }, person = { 0, 1, 0, 0 } }
    model.thresholds = { object = { 0, 0 }, hand = { 0, 0 } }
    model.calibration = { size = { 64, 32 } }
    local image = (co.rand(32, 64, 3) * 255):to "uint8"
    local expected = model:predict(image, { { 10, 10 }, { 40, 20 } })
    local path = support.temp() .. "/m.safetensors"
    model:to "guard"
    assert.equal("guard", model.device())
    model:save(path)
    local again = co.model { encoder = "mobilenet_v2", decoder_widths = { 8, 8, 8, 8, 8 }, embedding_dim = 4,
      attention_dim = 4 }:to "guard"
    again:load(path)
    again:eval()
    for _, m in ipairs { model, again } do
      local found = m:predict(image, { { 10, 10 }, { 40, 20 } })
      for k = 1, 2 do
        for _, key in ipairs { "attention", "objectness", "hand", "object", "contact" } do
          assert.equal("cpu", found[k][key].device)
          assert.same(expected[k][key]:totable(), found[k][key]:totable(), key)
        end
      end
    end
    local x = co.rand(32, 64, 3)
    local plain, frozen = model:forward(x:to "guard"), again:freeze()
    for _ = 1, 2 do -- recorded, then run
      local out = frozen:forward(x:to "guard")
      for key, t in pairs(plain) do
        assert.equal("guard", out[key].device)
        assert.is_true(support.difference(t:to "cpu", out[key]:to "cpu") < 1e-3, key)
      end
    end
  end)

  it("gradients are clipped and plain optimisers step as on the CPU", function()
    local results = {}
    for i, device in ipairs { "cpu", "guard" } do
      co.seed(1)
      local p = co.randn(4, 3):to(device)
      local q = co.randn(5):to(device)
      p.requires_grad, q.requires_grad = true, true
      local opt = co.optim.SGD({ p, q }, { lr = 0.1, momentum = 0.9 })
      local norms = {}
      for step = 1, 3 do
        opt:zero_grad();
        ((p * p):sum() + (q * 3):sum()):backward()
        norms[step] = co.optim.clip_norm({ p, q }, 1)
        opt:step()
      end
      results[i] = { p:totable(), q:totable(), norms }
    end
    assert.same(results[1], results[2])
  end)
end)
