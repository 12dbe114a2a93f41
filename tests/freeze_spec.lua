-- module:freeze(): the same numbers as the module's own pass, for every encoder and size; what it keeps, what it lets
-- go of, and what it refuses. And weights of bfloat16, which are for inference as well.
local co = require "cohesiv"
local core = require "cohesiv.core"
local encoders = require "cohesiv.nn.encoders"
local support = require "tests.support"

local function tiny(encoder)
  local m = co.model { encoder = encoder or "resnet18", decoder_widths = { 16, 16, 8, 8, 8 }, embedding_dim = 8,
    attention_dim = 8 }
  for name, b in m:named_buffers() do -- statistics that are not those of a fresh network
    if name:match "running_mean$" then b[{ {} }] = co.randn(#b) * 0.1 else b[{ {} }] = co.rand(#b) + 0.5 end
  end
  return m:eval()
end

local function difference(a, b) return (a - b):abs():max():item() / b:abs():max():item() end

local function own(m, x) return co.no_grad(m.forward, m, x) end

describe("freeze", function()
  before_each(function() co.seed(1) end)

  for _, name in ipairs(encoders.names()) do
    it("computes what the network does: " .. name, function()
      local m, x = tiny(name), co.randn(2, 64, 96, 3)
      local want, frozen = own(m, x), m:freeze()
      for pass = 1, 2 do -- recorded, and run again
        local got = frozen:forward(x)
        for _, key in ipairs { "Z", "Q", "K" } do
          assert.is_true(difference(got[key], want[key]) < 1e-4, name .. " " .. key .. " " .. pass)
        end
      end
    end)
  end

  it("takes images of any size and kind", function()
    local m = tiny()
    local frozen = m:freeze()
    for _, shape in ipairs { { 33, 47, 3 }, { 1, 32, 32, 3 }, { 33, 47, 3 }, { 3, 1, 1, 3 } } do -- one comes twice
      local x = co.randn(shape)
      assert.is_true(difference(frozen:forward(x).K, own(m, x).K) < 1e-4)
      local bytes = (co.rand(shape) * 255):to "uint8"
      assert.is_true(difference(frozen:forward(bytes).Z, own(m, bytes).Z) < 1e-4)
    end
  end)

  it("keeps the weights of its moment", function()
    local m, x = tiny(), co.randn(1, 32, 32, 3)
    local frozen = m:freeze()
    local before = frozen:forward(x).Z:totable()
    for _, p in m:named_parameters() do p:fill(0) end
    assert.same(before, frozen:forward(x).Z:totable())
    assert.equal(0, own(m, x).Z:abs():max():item())
  end)

  it("gives the same bits on any number of threads", function()
    local frozen, x, first = tiny():freeze(), co.randn(2, 64, 64, 3), nil
    local threads = co.threads()
    for _, n in ipairs { 1, 2, 4 } do
      co.threads(n)
      local got = frozen:forward(x).Q:totable()
      first = first or got
      assert.same(first, got)
    end
    co.threads(threads)
  end)

  it("holds less memory than a pass with everything kept", function()
    local m, x = tiny(), co.randn(4, 128, 128, 3)
    local frozen = m:freeze()
    frozen:forward(x)
    collectgarbage()
    local function peak(f)
      local base = co.memory().live
      co.memory { reset_peak = true }
      co.tidy(f)
      return co.memory().peak - base
    end
    local plain = peak(function() own(m, x) end)
    local planned = peak(function() frozen:forward(x) end)
    assert.is_true(planned < 0.7 * plain, ("expected less than 70 %% of %d, found %d"):format(plain, planned))
  end)

  it("keeps nothing alive while a pass is recorded", function()
    local chain = co.nn.Module.new(function(_, x)
      for i = 1, 40 do
        local y = x + 1
        if i > 1 then x:close() end
        x = y
      end
      return x
    end):eval()
    local frozen = chain:freeze()
    frozen(co.zeros(1, 1)) -- another shape: what is made once is made
    local x = co.zeros(300, 300)
    local base = co.memory().live
    co.memory { reset_peak = true }
    assert.equal(40, frozen(x):max():item())
    assert.is_true(co.memory().peak - base < 5 * 300 * 300 * 4, co.memory().peak - base)
    assert.equal(42, frozen(co.full(2, 300, 300)):min():item())
  end)

  it("leaves nothing behind", function()
    local m, x = tiny(), co.randn(1, 32, 32, 3)
    collectgarbage()
    local base = co.memory().live
    do
      local frozen = m:freeze()
      for _ = 1, 3 do co.tidy(function() frozen:forward(x) end) end
    end
    m = nil -- the weights' packed forms go with them
    collectgarbage()
    collectgarbage()
    assert.is_true(co.memory().live <= base, ("expected at most %d, found %d"):format(base, co.memory().live))
    assert.is_nil(m)
  end)

  it("works on any module, with several results", function()
    local m = co.nn.Sequential { co.nn.Conv2d { 3, 8, 3, padding = 1 }, co.nn.ReLU() }:eval()
    local x = co.randn(1, 5, 6, 3)
    assert.same(own(m, x):totable(), m:freeze()(x):totable())
    local two = co.nn.Module.new(function(_, a, b) return a + b, a * b end):eval()
    local sum, product = two:freeze()(co.tensor { 1, 2 }, co.tensor { 3, 4 })
    assert.same({ { 4, 6 }, { 3, 8 } }, { sum:totable(), product:totable() })
  end)

  it("predicts like the model", function()
    local m = tiny()
    m.embeddings = { object = { 1, 0, 0, 0, 0, 0, 0, 0 }, person = { 0, 1, 0, 0, 0, 0, 0, 0 } }
    local thresholds = { object = { 0, 0.1 }, hand = { 0, 0.1 } }
    local image = (co.rand(40, 60, 3) * 255):to "uint8"
    local want = m:predict(image, { { 10, 20 } }, { thresholds = thresholds, size = { 64, 32 } })[1]
    local got = m:freeze():predict(image, { { 10, 20 } }, { thresholds = thresholds, size = { 64, 32 } })[1]
    assert.is_true((got.attention - want.attention):abs():max():item() < 1e-4)
  end)

  it("says what it refuses", function()
    local m = tiny()
    support.raises("freeze: expected a module in inference mode (m:eval()), found it in training mode", function()
      m:train():freeze()
    end)
    support.raises("freeze: input 1: expected a tensor, found number", function() m:eval():freeze():forward(1) end)
    support.raises("freeze: z: expected a tensor as the pass's result, found number", function()
      co.nn.Module.new(function() return { z = 1 } end):eval():freeze()(co.zeros(1))
    end)
    local mean = co.zeros(3)
    support.raises("plan: expected operations that make values, found lerp, which writes to its inputs", function()
      co.nn.Module.new(function(_, x) -- a pass that moves its state would do so once, when it is recorded
        core.ops.lerp.call(mean, x, 0.5)
        return x + mean
      end):eval():freeze()(co.ones(3))
    end)
    assert.same({ 2 }, (co.zeros(1) + 2):totable()) -- nothing is being recorded any more
  end)
end)

describe("bfloat16", function()
  before_each(function() co.seed(2) end)

  it("halves the weights and keeps the results near", function()
    local m, x = tiny "resnet50", co.randn(1, 64, 64, 3)
    local want = own(m, x)
    m:to "bfloat16"
    for name, p in m:named_parameters() do
      local large = #p.shape > 1 and p.shape[#p.shape] >= 16
      assert.equal(large and "bfloat16" or "float32", p.dtype, name)
      assert.is_false(p.requires_grad)
    end
    for _, got in ipairs { own(m, x), m:freeze():forward(x) } do
      for _, key in ipairs { "Z", "Q", "K" } do
        assert.equal("float32", got[key].dtype)
        local far = difference(got[key], want[key])
        assert.is_true(far > 0 and far < 0.05, key .. " " .. far)
      end
    end
  end)

  it("multiplies what was rounded, and nothing else", function()
    for _, s in ipairs { { 1, 8, 8, 64, 128, 1 }, { 2, 7, 9, 34, 50, 1 }, { 1, 16, 16, 1030, 70, 2 },
      { 3, 5, 5, 2048, 17, 1 }, { 1, 30, 1, 64, 256, 2 } } do
      local n, h, w, c, o, stride = table.unpack(s)
      local x, weight = co.randn(n, h, w, c):to "bfloat16", co.randn(o, 1, 1, c):to "bfloat16"
      local scale, shift = co.rand(o), co.rand(o)
      local function conv(a, b) return core.ops.conv2d_act.call(a, b, scale, shift, nil, stride, 0, 1, "relu") end
      local got = conv(x:to "float32", weight)
      local want = conv(x:to "float32", weight:to "float32")
      assert.is_true(difference(got, want) < 1e-5)
    end
  end)

  it("is for inference", function()
    local m = tiny():to "bfloat16"
    support.raises("train: expected weights of float32 or float64, found bfloat16, which is for inference", function()
      m:train()
    end)
    local x = co.randn(1, 4, 4, 2)
    x.requires_grad = true
    support.raises("conv2d: weight: expected float32 where gradients are wanted, found bfloat16", function()
      core.ops.conv2d.call(x, co.randn(2, 1, 1, 2):to "bfloat16")
    end)
    m:to "float32":train() -- and back
    assert.is_true(m:parameters()[1].requires_grad)
  end)
end)
