-- co.nn: what every layer computes, refuses and prints; initial values; hooks; dropout's random numbers; the cross
-- entropy; against PyTorch where there is one. The network's own use of the layers is in model_spec and encoders_spec.
local co = require "cohesiv"
local json = require "cohesiv.base.json"
local support = require "tests.support"

local nn = co.nn
local WIDE = { dtype = "float64" }

local function near(a, b, tolerance)
  assert.is_true(support.difference(a, b) <= (tolerance or 1e-6))
end

local function wide(...)
  local t = co.randn(..., WIDE)
  t.requires_grad = true
  return t
end

describe("layers", function()
  before_each(function() co.seed(3) end)

  it("Linear is x Wᵀ + b, of vectors, rows and images", function()
    local m = nn.Linear { 3, 2 }
    local W, b = m.params.weight, m.params.bias
    for _, shape in ipairs { { 3 }, { 4, 3 }, { 2, 5, 4, 3 } } do
      local x = co.randn(shape)
      local y = m(x)
      shape[#shape] = 2
      assert.same(shape, y.shape)
      near(y:reshape(-1, 2), x:reshape(-1, 3):matmul(W:transpose(1, 2)) + b)
    end
    assert.equal(1, #nn.Linear({ 3, 2, bias = false }):parameters())
    m:to "float64"
    assert.is_true(co.gradcheck(function(x) return m(x) end, { wide { 4, 3 } }))
  end)

  it("tied weights are one parameter, under their first name", function()
    local first, second = nn.Linear { 3, 3, bias = false }, nn.Linear { 3, 3, bias = false }
    second.params.weight = first.params.weight
    local m = nn.Sequential { first, second }
    local names = {}
    for name in m:named_parameters() do names[#names + 1] = name end
    assert.same({ { "0.weight" }, 1, 9 }, { names, #m:parameters(), m:count() })
    local x = wide { 4, 3 }
    m(x:to "float32"):sum():backward()
    local g, before = first.params.weight.grad:clone(), first.params.weight:detach():clone()
    co.optim.SGD(m:parameters(), { lr = 0.5 }):step()
    near(second.params.weight:detach(), before - g * 0.5)
  end)

  it("Conv2d keeps the size with padding same, and takes groups", function()
    assert.same({ 2, 7, 5, 8 }, nn.Conv2d { 4, 8, 3, padding = "same" }(co.randn(2, 7, 5, 4)).shape)
    assert.same({ 1, 4, 3, 6 }, nn.Conv2d { 4, 6, 5, padding = "same", stride = 2 }(co.randn(1, 7, 5, 4)).shape)
    assert.same({ 6, 1, 1, 2 }, nn.Conv2d({ 4, 6, groups = 2 }).params.weight.shape)
    assert.same({ 1, 4, 3, 6 }, nn.Conv2d { 4, 6, 2, padding = "same", stride = 2 }(co.randn(1, 7, 5, 4)).shape)
  end)

  it("Conv2d has a kernel, stride, padding and dilation for each axis", function()
    local x = co.randn(2, 9, 8, 4)
    local m = nn.Conv2d { 4, 6, { 1, 5 }, padding = { 0, 2 }, bias = false } -- RAFT's
    assert.same({ 6, 1, 5, 4 }, m.params.weight.shape)
    near(m(x), co.conv2d(x, m.params.weight, { padding = { 0, 2 } }))
    local o = { 4, 6, { 3, 2 }, stride = { 2, 1 }, padding = { 0, 1, 2, 0 }, dilation = { 1, 3 }, act = "relu" }
    local fused = nn.ConvBN(o):eval()
    local y = co.no_grad(fused, x)
    near(y, co.conv2d(x, fused.children["0"].params.weight, { stride = { 2, 1 }, padding = { 0, 1, 2, 0 },
      dilation = { 1, 3 } }):relu(), 1e-4)
  end)

  it("LayerNorm has mean 0 and variance 1, and its gradient", function()
    local m = nn.LayerNorm(8)
    local y = m(co.randn(5, 8) * 3 + 2)
    near(y:mean(2), co.zeros(5), 1e-5)
    near(y:var(2, false, false), co.ones(5), 1e-3)
    m:to "float64"
    assert.is_true(co.gradcheck(function(x) return m(x) end, { wide { 2, 8 } }))
  end)

  it("activations are their formulas", function()
    local x = co.randn(50) * 3
    local z = co.zeros(50)
    near(nn.ReLU()(x), co.maximum(x, z))
    near(nn.ReLU6()(x), x:clamp(0, 6))
    near(nn.SiLU()(x), x / (1 + (-x):exp()), 1e-5)
    near(nn.Sigmoid()(x), 1 / (1 + (-x):exp()))
    near(nn.Tanh()(x), x:tanh())
    near(nn.LeakyReLU(0.1)(x), co.where(co.gt(x, 0), x, x * 0.1))
    near(nn.Softmax()(x), x:exp() / x:exp():sum())
    near(nn.LogSoftmax()(x), x - x:exp():sum():log(), 1e-5)
    assert.is_true(rawequal(x, nn.Identity()(x)))
  end)

  it("pooling, resampling and Flatten", function()
    local x = co.randn(2, 6, 4, 3)
    near(nn.MaxPool2d(2)(x), (x:reshape(2, 3, 2, 2, 2, 3):max(3):max(4)))
    near(nn.AvgPool2d(2)(x), x:reshape(2, 3, 2, 2, 2, 3):mean(3):mean(4))
    assert.same({ 2, 3, 2, 3 }, nn.AvgPool2d({ 3, stride = 2, padding = 1 })(x).shape)
    near(nn.AvgPool2d({ 3, stride = 2, padding = 1 })(co.ones(1, 4, 4, 1))[1][1]:reshape(2),
      co.tensor { 4 / 9, 6 / 9 })
    near(nn.GlobalAvgPool()(x), x:mean(2):mean(2))
    near(nn.Upsample()(x):reshape(2, 6, 2, 4, 2, 3):mean(3):mean(4), x)
    assert.same({ 2, 24, 16, 3 }, nn.Upsample(4)(x).shape)
    near(nn.Flatten()(x), x:reshape(2, 72))
    assert.is_true(co.gradcheck(function(t) return nn.AvgPool2d(2)(t) end, { wide { 1, 4, 4, 2 } }))
  end)

  it("Dropout keeps the mean, follows the seed, and rests in eval mode", function()
    local m, x = nn.Dropout(0.25), co.ones(20000)
    co.seed(5)
    local y = m(x)
    local zeros = co.eq(y, 0):to("float32"):mean():item()
    assert.is_true(math.abs(zeros - 0.25) < 0.02)
    assert.is_true(math.abs(y:mean():item() - 1) < 0.02)
    co.seed(5)
    assert.equal(0, support.difference(y, m(x)))
    assert.is_true(support.difference(y, m(x)) > 0)
    assert.is_true(rawequal(x, m:eval()(x)))
    local w = co.ones(100, { requires_grad = true })
    local z = m:train()(w)
    z:sum():backward()
    assert.equal(0, support.difference(z:detach(), w.grad))
    assert.equal(0, nn.Dropout(1)(x):sum():item())
  end)

  it("Sequential is a list of its modules", function()
    local a, b = nn.Linear { 2, 3 }, nn.ReLU()
    local seq = nn.Sequential { a, b }
    assert.equal(2, #seq)
    assert.is_true(rawequal(a, seq[1]) and rawequal(b, seq[2]))
    local x = co.randn(4, 2)
    near(seq(x), b(a(x)))
    assert.same({ "0.weight", "0.bias" }, select(2, seq:state_dict()))
    assert.equal("Sequential\n  0: Linear  weight 3x2  bias 3\n  1: ReLU", tostring(seq))
  end)

  it("refuse with one line that names the layer and the option", function()
    local refusals = {
      { "Conv2d: in channels: expected an integer of at least 1, found nil", nn.Conv2d, {} },
      { "Conv2d: expected { in, out, kernel, … }, found number", nn.Conv2d, 3 },
      { "Conv2d: kernel: expected an integer of at least 1, found 0", nn.Conv2d, { 1, 2, 0 } },
      { "Conv2d: padding: expected an integer of at least 0, found -1", nn.Conv2d, { 1, 2, 3, padding = -1 } },
      { "Conv2d: padding: expected a number or a table, found string", nn.Conv2d, { 1, 2, 3, padding = "valid" } },
      { "Conv2d: padding: expected a number, { height, width } or { top, bottom, left, right }, found 3 numbers",
        nn.Conv2d, { 1, 2, 2, padding = { 1, 1, 1 } } },
      { "Conv2d: stride: expected an integer of at least 1, found 0", nn.Conv2d, { 1, 2, 2, stride = { 1, 0 } } },
      { "Conv2d: kernel: expected a number, { height, width }, found 1 numbers", nn.Conv2d, { 1, 2, { 3 } } },
      { "groups: expected a divisor of the channels 4 and 6, found 4", nn.Conv2d, { 4, 6, 1, groups = 4 } },
      { "Conv2d: expected bias, dilation, groups, init, padding or stride, found strides", nn.Conv2d,
        { 1, 2, strides = 2 } },
      { "Conv2d: init: expected a function, found string", nn.Conv2d, { 1, 2, init = "zeros" } },
      { "Linear: out: expected an integer of at least 1, found 2.5", nn.Linear, { 3, 2.5 } },
      { "Linear: expected 3 numbers in the last dimension, found 2x4", nn.Linear { 3, 2 }, co.ones(2, 4) },
      { "Linear: expected a tensor, found nil", nn.Linear { 3, 2 } },
      { "BatchNorm2d: act: expected none, relu, relu6 or silu, found gelu", nn.BatchNorm2d, 4, { act = "gelu" } },
      { "LayerNorm: expected eps, found epsilon", nn.LayerNorm, 4, { epsilon = 1 } },
      { "LayerNorm: expected 4 numbers", nn.LayerNorm(4), co.ones(2, 3) },
      { "MaxPool2d: kernel: expected an integer", nn.MaxPool2d },
      { "AvgPool2d: expected N×H×W×C, found 2 dimensions", nn.AvgPool2d(2), co.ones(2, 2) },
      { "Upsample: factor: expected a power of 2, found 3", nn.Upsample, 3 },
      { "Dropout: p: expected a number of 0 to 1, found 1.5", nn.Dropout, 1.5 },
      { "Sequential: expected a list of modules, found a module", nn.Sequential, nn.ReLU() },
      { "module: 0: expected a module, found function", nn.Sequential, { print } },
    }
    for _, r in ipairs(refusals) do support.raises(table.unpack(r)) end
  end)

  it("are all called with one table", function()
    for _, m in ipairs {
      nn.Conv2d { 3, 4 }, nn.Linear { 3, 4 }, nn.BatchNorm2d { 4, act = "relu" }, nn.LayerNorm { 4, eps = 1e-3 },
      nn.ReLU {}, nn.ReLU6 {}, nn.SiLU {}, nn.Sigmoid {}, nn.Tanh {}, nn.LeakyReLU { 0.2 }, nn.Softmax {},
      nn.LogSoftmax {}, nn.MaxPool2d { 2 }, nn.AvgPool2d { 2, stride = 1 }, nn.GlobalAvgPool {}, nn.Upsample { 4 },
      nn.Flatten {}, nn.Identity {}, nn.Dropout { 0.1 }, nn.Sequential {},
    } do assert.is_true(nn.Module.is_module(m)) end
    local x = co.randn(2, 4, 4, 4)
    near(nn.BatchNorm2d { 4, act = "relu" }(x), nn.BatchNorm2d(4, { act = "relu" })(x))
    near(nn.LeakyReLU { 0.2 }(x), nn.LeakyReLU(0.2)(x))
    near(nn.AvgPool2d { 2, stride = 1 }(x), nn.AvgPool2d(2, { stride = 1 })(x))
    support.raises("BatchNorm2d: expected act, eps or momentum, found acts", nn.BatchNorm2d, { 4, acts = "relu" })
    support.raises("BatchNorm2d: channels: expected an integer of at least 1, found nil", nn.BatchNorm2d, {})
    support.raises("BatchNorm2d: expected act, eps or momentum, found 2", nn.BatchNorm2d, { 4, 5 })
    support.raises("ReLU: expected {}, found 3", nn.ReLU, 3)
    support.raises("ReLU: expected no options, found inplace", nn.ReLU, { inplace = true })
    support.raises("LayerNorm: expected a table of options, found number", nn.LayerNorm, 4, 5)
  end)
end)

describe("initial values", function()
  local init = nn.init
  before_each(function() co.seed(7) end)

  local function moments(t)
    local x = t:detach():reshape(-1)
    return x:mean():item(), math.sqrt(x:var(1, false, false):item()), x:min():item(), x:max():item()
  end

  it("have the spread of their formulas", function()
    local t = co.zeros(64, 3, 3, 32) -- fan_in 288, fan_out 576
    local fan_in, fan_out = init.fans(t)
    assert.same({ 288, 576 }, { fan_in, fan_out })
    for _, case in ipairs {
      { init.kaiming_normal, {}, math.sqrt(2 / 288) },
      { init.kaiming_normal, { mode = "fan_out", nonlinearity = "relu" }, math.sqrt(2 / 576) },
      { init.kaiming_uniform, { a = 1 }, math.sqrt(1 / 288) },
      { init.kaiming_uniform, { nonlinearity = "tanh" }, 5 / 3 / math.sqrt(288) },
      { init.xavier_normal, 2, 2 * math.sqrt(2 / 864) },
      { init.xavier_uniform, nil, math.sqrt(2 / 864) },
      { init.fan_uniform, nil, math.sqrt(1 / 288 / 3) },
    } do
      assert.is_true(rawequal(t, case[1](t, case[2])))
      local mean, std, low, high = moments(t)
      assert.is_true(math.abs(mean) < 0.05 * case[3])
      assert.is_true(math.abs(std / case[3] - 1) < 0.03)
      if case[1] == init.kaiming_uniform or case[1] == init.xavier_uniform or case[1] == init.fan_uniform then
        local bound = case[3] * math.sqrt(3)
        assert.is_true(-bound <= low and high <= bound and high > 0.99 * bound)
      end
    end
  end)

  it("plain ones are what they say", function()
    local t = co.zeros(4000)
    local _, _, low, high = moments(init.uniform(t, 2, 5))
    assert.is_true(low >= 2 and high <= 5 and high - low > 2.9)
    local mean, std = moments(init.normal(t, 3, 0.5))
    assert.is_true(math.abs(mean - 3) < 0.05 and math.abs(std - 0.5) < 0.03)
    assert.equal(4000 * 1.5, init.constant(t, 1.5):sum():item())
    assert.equal(4000, init.ones(t):sum():item())
    assert.equal(0, init.zeros(t):abs():max():item())
    assert.equal(2, init.constant(co.tensor(1), 2):item())
    assert.is_true(math.abs(init.normal(co.tensor(1)):item()) < 6)
    assert.equal("float64", init.normal(co.zeros(3, WIDE)).dtype)
  end)

  it("are written into parameters, and taken by layers", function()
    local m = nn.Linear { 4, 3 }
    init.zeros(m.params.weight)
    assert.is_true(m.params.weight.requires_grad)
    assert.equal(0, m.params.weight:abs():sum():item())
    assert.equal(12, nn.Conv2d({ 4, 3, init = init.ones }).params.weight:sum():item())
    local bound = 0.5
    local w = nn.Linear({ 4, 5000 }).params.weight:detach()
    assert.is_true(w:abs():max():item() <= bound and w:abs():max():item() > 0.49)
  end)

  it("refuse what they do not know", function()
    local t = co.zeros(2, 2)
    support.raises("kaiming_normal: mode: expected fan_in or fan_out, found fan", init.kaiming_normal, t,
      { mode = "fan" })
    support.raises("gain: expected linear, sigmoid, tanh, relu or leaky_relu, found elu", init.kaiming_normal, t,
      { nonlinearity = "elu" })
    support.raises("fans: expected at least 2 dimensions, found 1", init.xavier_normal, co.zeros(2))
    support.raises("uniform: expected a tensor, found nil", init.uniform)
    support.raises("ones: expected float32 or float64, found int32", init.ones, co.zeros(2, { dtype = "int32" }))
  end)
end)

describe("hooks", function()
  it("see and change what goes in and out, in order, and go away", function()
    local m, seen = nn.ReLU(), {}
    local function before(_, x)
      seen[#seen + 1] = "before"
      return x * 2
    end
    local function after(module, inputs, y)
      seen[#seen + 1] = "after"
      assert.is_true(rawequal(m, module))
      assert.same({ 2, -4 }, inputs[1]:totable())
      return y + 1
    end
    local function watch() seen[#seen + 1] = "watch" end
    assert.is_true(rawequal(m, m:hook_before(before):hook(after):hook(watch)))
    local x = co.tensor { 1, -2 }
    assert.same({ 3, 1 }, m(x):totable())
    assert.same({ "before", "after", "watch" }, seen)
    assert.same({ 1, 0 }, m:forward(x):totable())
    m:unhook(before)
    m:unhook(after)
    assert.same({ 1, 0 }, m(x):totable())
    m:unhook()
    assert.is_nil(m.hooks)
    support.raises("unhook: expected a hook of this module", m.unhook, m, watch)
    support.raises("hook: expected a function, found nil", m.hook, m)
  end)

  it("may remove themselves", function()
    local m, count = nn.Identity(), 0
    local function once()
      count = count + 1
      m:unhook(once)
    end
    m:hook(once):hook(function() count = count + 10 end)
    m(1)
    m(1)
    assert.equal(21, count)
  end)

  it("see and change gradients", function()
    local m, seen = nn.Linear { 2, 1, bias = false }, nil
    m:hook_gradient(function(module, g)
      assert.is_true(rawequal(m, module))
      seen = g
    end)
    local x = co.ones(1, 2, { requires_grad = true });
    (m(x) * 3):sum():backward()
    assert.equal(3, seen:item()) -- stays open outside of scopes
    m:hook_gradient(function(_, g) return g * 10 end)
    x.grad = nil;
    (m(x) * 3):sum():backward()
    near(x.grad, m.params.weight:detach() * 30, 1e-5)
    local y = co.ones(2, { requires_grad = true })
    nn.watch(y, function(g) return g * -1 end):sum():backward()
    assert.same({ -1, -1 }, y.grad:totable())
    support.raises("watch: expected a tensor", nn.watch, 3, print)
    support.raises("watch: expected a function", nn.watch, y, 3)
  end)

  it("are called in a decoder's block, where up-sampling and convolution are one op", function()
    local m = nn.UpConvBN { 3, 2, 4 }
    local x, skip, seen = co.randn(1, 4, 4, 3), co.randn(1, 8, 8, 2), {}
    for _, pass in ipairs { function(f) return f(x, skip) end, function(f) return co.no_grad(f:eval(), x, skip) end } do
      local plain = pass(m)
      m.children["0"]:hook(function(_, inputs) seen[#seen + 1] = inputs[1].shape end)
      near(pass(m), plain, 1e-5)
      m.children["0"]:unhook()
      m.children["1"]:hook(function(_, _, y) seen[#seen + 1] = y.shape end)
      near(pass(m), plain, 1e-5)
      m.children["1"]:unhook()
    end
    assert.same({ { 1, 8, 8, 5 }, { 1, 8, 8, 4 }, { 1, 8, 8, 5 }, { 1, 8, 8, 4 } }, seen)
  end)

  it("are called in inference too, where convolution and batch norm are one op", function()
    local m = nn.ConvBN { 2, 3, 3, padding = 1 }:eval()
    local shapes = {}
    local x = co.randn(1, 4, 4, 2)
    local plain = co.no_grad(m, x)
    m.children["0"]:hook(function(_, _, y) shapes[#shapes + 1] = y.shape end)
    near(co.no_grad(m, x), plain, 1e-5)
    assert.same({ { 1, 4, 4, 3 } }, shapes)
  end)

  it("may keep what they see, wherever they sit in a network", function()
    for _, encoder in ipairs { "resnet18", "mobilenet_v2", "se_resnet50", "efficientnet_b0" } do
      local m = co.model { encoder = encoder, decoder_widths = { 4, 4, 4, 4, 4 }, embedding_dim = 4, attention_dim = 4 }
      local modules = {}
      m:modules(function(child) modules[#modules + 1] = child end)
      for i, child in ipairs(modules) do
        local kept = {}
        child:hook(function(_, inputs, ...)
          for _, x in ipairs { ... } do kept[#kept + 1] = x end
          for _, x in ipairs(inputs) do kept[#kept + 1] = x end
        end)
        if #modules < 100 and not support.small or i % 5 == 0 then
          m(co.randn(1, 32, 32, 3))
          for _, x in ipairs(kept) do assert.is_true(not co.is_tensor(x) or #x.shape > 0) end
        end
        child:unhook()
      end
    end
  end)
end)

describe("the cross entropy", function()
  it("is the mean of -log softmax at the label, over those that have one", function()
    co.seed(2)
    local x, label = co.randn(6, 5, WIDE), co.tensor({ 1, 5, 0, 3, 2, 0 }, { dtype = "int32" })
    local sum, log = 0, co.log_softmax(x)
    for i = 1, 6 do
      if label[i] > 0 then sum = sum - log[i][label[i]] end
    end
    assert.is_true(math.abs(co.losses.cross_entropy(x, label):item() - sum / 4) < 1e-12)
    assert.equal(0, co.losses.cross_entropy(x, label * 0):item())
    local images, labels = co.randn(2, 3, 4, 5), (co.rand(2, 3, 4) * 5):to "int32"
    near(co.losses.cross_entropy(images, labels), co.losses.cross_entropy(images:reshape(24, 5), labels:reshape(24)))
  end)

  it("neither overflows nor vanishes", function()
    local label = co.tensor({ 1, 2 }, { dtype = "int32" })
    local x = co.tensor({ { 1e4, -1e4 }, { 1e30, -1e30 } }, { requires_grad = true })
    local loss = co.losses.cross_entropy(x, label)
    assert.is_true(loss:item() > 1e29 and loss:item() < math.huge)
    loss:backward()
    assert.same({ { 0, 0 }, { 0.5, -0.5 } }, x.grad:totable())
  end)

  it("refuses labels that do not fit", function()
    local x = co.randn(3, 4)
    local function loss(list) return co.losses.cross_entropy(x, co.tensor(list, { dtype = "int32" })) end
    support.raises("label: expected a class from 1 to 4, or 0 (ignored), found 5", loss, { 1, 2, 5 })
    support.raises("found -1", loss, { -1, 2, 3 })
    support.raises("label: expected 3 like the logits without their last dimension, found 2", loss, { 1, 2 })
    support.raises("found 1.5", co.losses.cross_entropy, x, co.tensor { 1, 1.5, 2 })
  end)
end)

describe("networks of layers", function()
  it("can be frozen, with a function of one's own inside", function()
    local double = co.Function { forward = function(_, x) return x * 2 end, backward = function(_, g) return g * 2 end }
    local net = nn.Sequential { nn.Conv2d { 1, 4, 3, padding = "same" }, nn.BatchNorm2d(4, { act = "relu" }),
      nn.Module.new(function(_, x) return double(x) end), nn.AvgPool2d(2), nn.Dropout(), nn.Upsample(),
      nn.GlobalAvgPool(), nn.LayerNorm(4), nn.Linear { 4, 3 }, nn.LogSoftmax() }
    net(co.randn(4, 8, 8, 1))
    local frozen = net:eval():freeze()
    for _ = 1, 3 do
      local x = co.randn(2, 8, 8, 1)
      near(frozen(x), co.no_grad(net, x), 1e-5)
    end
  end)

  it("leave no bytes in use after a step", function()
    local net = nn.Sequential { nn.Conv2d { 1, 4, 3, padding = "same" }, nn.BatchNorm2d(4), nn.SiLU(), nn.MaxPool2d(2),
      nn.Dropout(), nn.GlobalAvgPool(), nn.LayerNorm(4), nn.Linear { 4, 3 } }
    net:hook_gradient(function(_, g) return g * 2 end)
    support.no_leak(function()
      co.tidy(function()
        co.losses.cross_entropy(net(co.randn(2, 8, 8, 1)), co.tensor({ 1, 3 }, { dtype = "int32" })):backward()
        net:zero_grad()
      end)
    end)
  end)

  support.python_it("equal PyTorch's", function()
    local folder = support.temp()
    local program = support.root .. "/tests/reference/layers.py"
    local result = support.run({ support.python, program, folder }, { timeout = 120 })
    assert.equal(0, result.status, result.stderr)
    local cases = json.read(folder .. "/cases.json")
    assert.is_true(#cases >= 10)
    for _, case in ipairs(cases) do
      local own = load("local nn = ... return " .. case.lua)(nn)
      local data = co.load(folder .. "/" .. case.name .. ".npz")
      local state = {}
      for name in own:named_parameters() do state[name] = data["state." .. name] end
      own:load_state(state, { strict = false })
      local x = data.x
      x.requires_grad = true
      local y = own(x);
      (y * data.weights):sum():backward()
      near(y, data.y, 1e-5)
      near(x.grad, data.dx, 1e-5)
    end
  end)
end)
