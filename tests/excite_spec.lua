-- Squeeze and excitation in one op (nn/squeeze_excite.lua, batch_norm_se) against the modules that it stands for, which
-- run one by one where one of them has a hook; and batch norm with SiLU against the two ops.
local co = require "cohesiv"
local core = require "cohesiv.core"
local encoders = require "cohesiv.nn.encoders"
local excite = require "cohesiv.nn.squeeze_excite"
local support = require "tests.support"

local function noisy(module, dtype)
  module:to(dtype)
  for _, p in module:named_parameters() do p[{ {} }] = co.randn(p.shape, { dtype = dtype }) * 0.5 end
  for name, b in module:named_buffers() do
    b[{ {} }] = name:find "var" and co.rand(#b, { dtype = dtype }) + 0.5 or co.randn(#b, { dtype = dtype })
  end
  return module
end

-- A block's end as a module: m(x, residual?).
local function block_end(act, channels, squeezed)
  local m = co.nn.Module.new()
  local bn = m:add("bn", co.nn.BatchNorm2d(channels, { act = act == "silu" and "silu" or "none" }))
  local reduce = m:add("reduce", co.nn.Conv2d { channels, squeezed, 1 })
  local gate = excite.gate(reduce, m:add("expand", co.nn.Conv2d { squeezed, channels, 1 }), act)
  m.forward = function(_, x, residual) return excite.after(bn, gate, x, residual) end
  return m
end

-- Values, gradients and statistics of a pass, by name.
local function numbers(m, x, residual, g)
  local own = { x = x:clone(), residual = residual and residual:clone() }
  for _, t in pairs(own) do t.requires_grad = true end
  m:zero_grad()
  local state = m:state_dict()
  local before = {}
  for name, t in pairs(state) do before[name] = t:clone() end
  local y = m(own.x, own.residual)
  y:backward(g)
  local out = { y = y:detach() }
  for name, t in pairs(own) do out["d " .. name] = t.grad end
  for name, p in m:named_parameters() do out["d " .. name] = p.grad end
  for name, b in m:named_buffers() do out[name] = b:clone() end
  m:load_state(before)
  return out
end

local function all_close(want, got, tolerance)
  local count = 0
  for name, t in pairs(want) do
    local far = (got[name] - t):abs():max():item() / math.max(1, t:abs():max():item())
    assert.is_true(far < tolerance, ("%s: expected at most %g, found %g"):format(name, tolerance, far))
    count = count + 1
  end
  assert.is_true(count >= 9)
end

describe("squeeze and excitation as one op", function()
  before_each(function() co.seed(4) end)

  for _, act in ipairs { "relu", "silu" } do
    for _, training in ipairs { true, false } do
      it(("is what its modules are: %s, %s mode"):format(act, training and "training" or "inference"), function()
        for _, dtype in ipairs { "float64", "float32" } do
          local d = { dtype = dtype }
          for _, s in ipairs { { 2, 61, 70, 24 }, { 3, 5, 7, 300 }, { 1, 1, 1, 3 } } do -- several chunks, and one
            local m = noisy(block_end(act, s[4], 6), dtype):train(training)
            local x, g = co.randn(s, d), co.randn(s, d)
            local residual = act == "relu" and co.randn(s, d) or nil
            local fused, calls = numbers(m, x, residual, g), 0
            m.children.reduce:hook(function() calls = calls + 1 end)
            all_close(numbers(m, x, residual, g), fused, dtype == "float64" and 1e-10 or 2e-4)
            assert.equal(1, calls)
          end
        end
      end)
    end
  end

  it("is made again for backward, bit for bit, with SiLU", function()
    local m, size = block_end("silu", 40, 6), { 2, 90, 91, 40 } -- 2.6 MB
    local x = co.randn(size)
    x.requires_grad = true
    local y = m(x)
    local values = co.tidy(function() return y:detach() * 1 end) -- a clone would share its memory
    local conv = co.nn.Conv2d { 40, 4, 1 }
    collectgarbage()
    local before = co.memory().live
    local loss = conv(y):square():mean()
    y:close()
    collectgarbage()
    assert.is_true(before - co.memory().live > 2e6) -- it is not kept
    loss:backward()
    local got = conv.params.weight.grad:totable()
    conv:zero_grad()
    conv(values):square():mean():backward()
    assert.same(conv.params.weight.grad:totable(), got)
  end)

  it("counts the operations of its layers once", function()
    local m, x = block_end("relu", 8, 2), co.zeros(3, 4, 4, 8)
    local function operations()
      local n = 0
      for _, row in ipairs((co.profile(m, x))) do n = n + row.flops end
      return n
    end
    assert.equal(2 * 3 * 2 * 8 * 2, operations())
    m.children.expand:hook(function() end)
    assert.equal(2 * 3 * 2 * 8 * 2, operations())
  end)

  it("lets the hooks of an encoder's parts run", function()
    co.tidy(function()
      local names = {}
      for name, parts in pairs {
        se_resnet50 = { "layer1.0.conv3", "layer1.0.bn3", "layer1.0.se_module", "layer1.0.se_module.fc1" },
        efficientnet_b0 = { "_blocks.0._depthwise_conv", "_blocks.0._bn1", "_blocks.0._se_expand" },
      } do
        local encoder = encoders.encoder(name):eval()
        local x = co.randn(1, 32, 32, 3)
        local want = co.no_grad(encoder, x)
        encoder:modules(function(m, path)
          for _, part in ipairs(parts) do
            if path == part then m:hook(function() names[#names + 1] = part end) end
          end
        end)
        local got = co.no_grad(encoder, x)
        for i = 1, 5 do assert.is_true(support.difference(want[i], got[i]) < 1e-4) end
      end
      assert.equal(7, #names)
    end)
  end)

  it("refuses what does not fit", function()
    local function run(change)
      local C, S = 4, 2
      local a = { co.zeros(1, 2, 2, C), co.ones(C), co.zeros(C), co.zeros(C), co.ones(C), co.zeros(S, 1, 1, C),
        co.zeros(S), co.zeros(C, 1, 1, S), co.zeros(C), nil, false, 0.1, 1e-5, "relu" }
      for i, v in pairs(change) do a[i] = v end
      return core.ops.batch_norm_se.call(table.unpack(a, 1, 14))
    end
    assert.same({ 1, 2, 2, 4 }, run({}).shape)
    for message, change in pairs {
      ["input: expected at least one pixel, found 1x0x2x4"] = { co.zeros(1, 0, 2, 4) },
      ["weight: expected 4 numbers, found 3"] = { [2] = co.ones(3) },
      ["w1: expected 2x1x1x4, found 2x1x1x5"] = { [6] = co.zeros(2, 1, 1, 5) },
      ["b1: expected 2, found 3"] = { [7] = co.zeros(3) },
      ["w2: expected 4x1x1x2, found 4x1x1x3"] = { [8] = co.zeros(4, 1, 1, 3) },
      ["b2: expected 4, found 2"] = { [9] = co.zeros(2) },
      ["residual: expected 1x2x2x4, found 1x2x2x5"] = { [10] = co.zeros(1, 2, 2, 5) },
      ["act: expected relu or silu, found \"relu6\""] = { [14] = "relu6" },
      ["residual: expected none with act = silu, found 1x2x2x4"] = { [10] = co.zeros(1, 2, 2, 4), [14] = "silu" },
    } do
      support.raises("batch_norm_se: " .. message, run, change)
    end
  end)
end)

describe("batch norm with SiLU", function()
  it("is batch norm and then SiLU", function()
    co.seed(5)
    for _, training in ipairs { true, false } do
      for _, residual in ipairs { false, co.randn(2, 40, 50, 33, { dtype = "float64" }) } do
        local x, g = co.randn(2, 40, 50, 33, { dtype = "float64" }), co.randn(2, 40, 50, 33, { dtype = "float64" })
        local one = noisy(co.nn.BatchNorm2d(33, { act = "silu" }), "float64"):train(training)
        local two = co.nn.BatchNorm2d(33):to "float64":train(training)
        two:load_state((one:state_dict()))
        local want = {}
        for i, run in ipairs { one, function(...) return two(...):silu() end } do
          local own, r = x:clone(), residual and residual:clone() or nil
          own.requires_grad = true
          if r then r.requires_grad = true end
          local m = i == 1 and one or two
          local y = run(own, r)
          y:backward(g)
          for k, t in ipairs { y:detach(), own.grad, m.params.weight.grad, m.params.bias.grad, r and r.grad } do
            want[k] = want[k] or t
            assert.is_true(support.difference(want[k], t) < 1e-11 * (1 + want[k]:abs():max():item()))
          end
        end
      end
    end
  end)
end)
