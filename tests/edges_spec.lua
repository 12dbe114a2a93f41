-- Sizes and numbers at the edge: what ops give where there is nothing to compute with, and which arguments they refuse
-- rather than round, truncate or take twice.
local co = require "cohesiv"
local support = require "tests.support"

local HUGE = 1 << 40
local raises = support.raises

local function flat(t) return t:reshape({ -1 }):totable() end

local function filled(n, v)
  local list = {}
  for i = 1, n do list[i] = v end
  return list
end

describe("convolutions of nothing", function()
  for _, dtype in ipairs { "float32", "float64" } do
    local options = { dtype = dtype }

    it("are their bias without input channels, " .. dtype, function()
      local x, w = co.ones(2, 4, 3, 0, options), co.ones(3, 3, 3, 0, options)
      local bias = co.tensor({ 1, 2, 3 }, options)
      x.requires_grad, w.requires_grad, bias.requires_grad = true, true, true
      local y = co.conv2d(x, w, bias, { padding = 1 })
      assert.same({ 2, 4, 3, 3 }, y.shape)
      for i, v in ipairs(flat(y)) do assert.equal((i - 1) % 3 + 1, v) end
      y:sum():backward()
      assert.same({ 2, 4, 3, 0 }, x.grad.shape)
      assert.same({ 3, 3, 3, 0 }, w.grad.shape)
      assert.same({ 24, 24, 24 }, bias.grad:totable())
      assert.same(filled(72, 0), flat(co.conv2d(x, w, { padding = 1 })))
    end)

    it("are what follows them, " .. dtype, function()
      local x, w = co.ones(1, 2, 2, 0, options), co.ones(2, 1, 1, 0, options)
      local scale, shift = co.tensor({ 5, 5 }, options), co.tensor({ -1, 7 }, options)
      local y = co.conv2d_act(x, w, scale, shift, co.ones(1, 2, 2, 2, options), { act = "relu6" })
      assert.same({ 0, 6, 0, 6, 0, 6, 0, 6 }, flat(y))
      y = co.upconv2d_act(x, co.ones(1, 3, 3, 0, options), nil, nil, co.tensor({ 9 }, options), { act = "relu" })
      assert.same(filled(16, 9), flat(y))
      assert.same(filled(16, 0), flat(co.upconv2d(x, co.ones(1, 3, 3, 0, options))))
    end)

    it("have no results without output channels or images, " .. dtype, function()
      local x, w = co.ones(2, 4, 3, 5, options), co.ones(0, 3, 3, 5, options)
      x.requires_grad, w.requires_grad = true, true
      local y = co.conv2d(x, w, { padding = 1 })
      assert.same({ 2, 4, 3, 0 }, y.shape)
      y:backward(y:detach())
      assert.same(filled(120, 0), flat(x.grad))
      assert.same({ 0, 3, 3, 5 }, w.grad.shape)
      x, w = co.ones(0, 4, 3, 5, options), co.ones(2, 3, 3, 5, options)
      w.requires_grad = true
      y = co.conv2d(x, w)
      assert.same({ 0, 2, 1, 2 }, y.shape)
      y:backward(y:detach())
      assert.same(filled(90, 0), flat(w.grad))
    end)

    it("see their border alone in an image without pixels, " .. dtype, function()
      local x, w, bias = co.ones(1, 0, 2, 3, options), co.ones(2, 1, 1, 3, options), co.tensor({ 4, 5 }, options)
      w.requires_grad = true
      local y = co.conv2d(x, w, bias, { padding = 1 })
      assert.same({ 1, 2, 4, 2 }, y.shape)
      assert.same({ 4, 5, 4, 5 }, flat(y[{ 1, 1, { 1, 2 } }]))
      y:sum():backward()
      assert.same(filled(6, 0), flat(w.grad))
    end)

    it("join a map without channels with what skips it, " .. dtype, function()
      local x, skip = co.ones(1, 2, 2, 0, options), co.randn(1, 4, 4, 3, options)
      local w = co.randn(2, 3, 3, 3, options)
      skip.requires_grad, w.requires_grad = true, true
      local y, plain = co.upconv2d(x, w, skip), co.conv2d(skip, w, { padding = 1 })
      assert.is_true(support.difference(y:detach(), plain:detach()) < 1e-5)
      y:sum():backward()
      local dw, ds = w.grad:clone(), skip.grad:clone()
      w.grad, skip.grad = nil, nil
      plain:sum():backward()
      assert.is_true(support.difference(dw, w.grad) < 1e-4)
      assert.is_true(support.difference(ds, skip.grad) < 1e-5)
    end)
  end

  it("take windows that lie far apart", function()
    local x, w = co.ones(1, 4, 4, 2), co.ones(1, 1, 1, 2)
    w.requires_grad = true
    local y = co.conv2d(x, w, { stride = 4096, padding = 4096 })
    assert.same({ 0, 0, 0, 0, 2, 0, 0, 0, 0 }, flat(y))
    y:sum():backward()
    assert.same({ 1, 1 }, flat(w.grad))
    raises("conv2d: stride: expected 1 .. 4096, found 4097", co.conv2d, x, w, { stride = 4097 })
    raises("conv2d: padding: expected 0 .. 4096, found 1099511627776", co.conv2d, x, w, { padding = HUGE })
    raises("conv2d: stride: expected an integer within 2^53, found 2.3058430092137e+18",
      co.conv2d, x, w, { stride = 2.0 ^ 61 })
    raises("conv2d: stride: expected an integer, found 1.5", co.conv2d, x, w, { stride = 1.5 })
  end)
end)

describe("what is known", function()
  -- Labels, masks and statistics get no gradient: they may ask for one, alone or beside the others.
  local function known(make, at)
    local inputs = make()
    inputs[at].requires_grad = true
    local y = inputs.call(table.unpack(inputs))
    assert.is_false(y.requires_grad)
    raises("backward: expected a tensor that requires a gradient", y.backward, y)
    inputs[inputs.learnt].requires_grad = true
    y = inputs.call(table.unpack(inputs))
    y:sum():backward()
    assert.is_nil(inputs[at].grad)
    assert.same(inputs[inputs.learnt].shape, inputs[inputs.learnt].grad.shape)
  end

  it("gets no gradient: labels, masks, statistics, points, maps, queries, images", function()
    known(function() return { co.randn(4, 3), co.ones(4), learnt = 1, call = co.losses.cross_entropy } end, 2)
    known(function() return { co.randn(1, 2, 2, 3), co.ones(1, 2, 2), learnt = 1, call = co.losses.embedding } end, 2)
    known(function() return { co.ones(2), co.randn(2), co.randn(2), learnt = 2, call = co.where } end, 1)
    known(function()
      return { co.randn(1, 2, 2, 3), co.ones(1, 2, 2, 2), co.randn(1, 4, 4, 3), learnt = 3, call = co.correlation }
    end, 2)
    for at = 4, 5 do
      known(function()
        return { co.randn(2, 3), co.ones(3), co.ones(3), co.zeros(3), co.ones(3), learnt = 1, call = co.batch_norm }
      end, at)
    end
    for at = 3, 5 do
      known(function()
        return { co.rand(1, 2, 2, 3), co.rand(1, 2, 2, 3), co.rand(1, 2, 2), co.ones(1, 2), co.ones(1), learnt = 2,
          call = co.losses.responsibility }
      end, at)
    end
  end)
end)

describe("integers", function()
  local t = co.ones(2, 3)

  it("are not rounded", function()
    raises("sum: dim: expected an integer, found 1.9", t.sum, t, 1.9)
    raises("sum: dim: expected an integer, found 1e+300", t.sum, t, 1e300)
    raises("sum: dim: expected an integer, found inf", t.sum, t, math.huge)
    raises("nan", t.sum, t, 0 / 0)
    raises("max_pool2d: kernel: expected an integer, found 2.5", co.max_pool2d, co.ones(1, 4, 4, 1), 2.5)
    raises("narrow: length: expected an integer within 2^53, found 9223372036854775807",
      t.narrow, t, 1, 1, math.maxinteger)
    raises("narrow: start, length: expected a range within 1 .. 2, found 1, 4503599627370496",
      t.narrow, t, 1, 1, 1 << 52)
    raises("reshape: sizes[2]: expected an integer, found 1.5", t.reshape, t, 2, 1.5)
    raises("reshape: sizes[1]: expected an integer, found a tensor of 2x3", t.reshape, t, { t })
    raises("expand: sizes[1]: expected an integer, found nan", t.expand, t, { -(0 / 0), 2, 3 })
    raises("permute: dims[1]: expected an integer, found string", t.permute, t, { "2", 1 })
    raises("select: index: expected an integer, found 0.5", t.select, t, 1, 0.5)
    raises("cat: dim: expected an integer, found 1.5", co.cat, { t, t }, 1.5)
    raises("adamw: step: expected an integer, found 1.5", co.adamw, t, t:clone(), t:clone(), t:clone(), { step = 1.5 })
    raises("index: dimension 1: expected 1 to 2, found 1.5", function() return t[{ 1.5 }] end)
    raises("index: expected an integer, found 1.5", function() return t[1.5] end)
    assert.same({ 3, 3 }, t:sum(2.0):totable())
    assert.same({ 3, 2 }, t:reshape(3.0, 2.0).shape)
  end)

  it("are sizes of new tensors", function()
    for _, make in ipairs { co.zeros, co.ones, co.rand, co.randn } do
      for _, size in ipairs { 1.5, -1, math.huge, 2.0 ^ 63, "2", true } do
        raises("shape: expected sizes of 0 or more, found ", make, 2, size)
      end
      raises("expected a shape that memory can hold, found 1099511627776x0x1099511627776", make, HUGE, 0, HUGE)
    end
    raises("full: value: expected a number, found a tensor of 2x3", co.full, t, 2)
    raises("eye: rows: expected an integer of at least 0, found 1.5", co.eye, 1.5)
    raises("eye: rows: expected an integer of at least 0, found no value", co.eye)
    raises("eye: columns: expected an integer of at least 0, found -1", co.eye, 2, -1)
    raises("arange: end: expected a finite number, found inf", co.arange, math.huge)
    raises("arange: start: expected a finite number, found string", co.arange, "x", 2)
    raises("arange: expected a range of fewer than 10^12 numbers", co.arange, 0, 1, 1e-300)
    raises("threads: expected an integer, found 1.5", co.threads, 1.5)
    raises("fill: expected a number, found a tensor of 2x3", t.fill, t, t)
    assert.same({ 2, 3 }, co.zeros(2.0, 3).shape)
  end)

  it("are not what numbers, lists, true and false are", function()
    raises("sum: dim: expected an integer, found a tensor of 2x3", t.sum, t, t)
    raises("sum: dim: expected an integer, found boolean", t.sum, t, true)
    raises("sum: keepdim: expected true or false, found number", t.sum, t, 1, 1)
    raises("clamp: min: expected a number, found a tensor of 2x3", t.clamp, t, { min = t })
    raises("lerp: share: expected a number, found boolean", co.lerp, t, t:clone(), true)
    raises("permute: dims: expected a list of integers, found string", t.permute, t, "x")
    raises("expected one of its parameters (input dim:int=none keepdim=false), found \"a\\nb\"",
      t.sum, t, { ["a\nb"] = 1 })
  end)
end)

describe("rows of nothing", function()
  local rows = co.zeros(HUGE, 0)

  it("end at once", function()
    assert.same({ 2 * HUGE, 0 }, co.cat({ rows, rows }).shape)
    assert.same({ HUGE, 0 }, co.cat({ rows, rows }, 2).shape)
    assert.same({ 2, HUGE, 0 }, co.stack({ rows, rows }).shape)
    assert.same({ HUGE, 2, 0 }, co.stack({ rows, rows }, 2).shape)
    assert.same({ HUGE, 5, 2, 0 }, co.zeros(HUGE, 3, 4, 0):pad_crop(5, 2).shape)
    assert.same({ HUGE, 4, 4, 0 }, co.zeros(HUGE, 2, 2, 0):upsample2().shape)
    assert.same({ HUGE, 1, 1, 0 }, co.zeros(HUGE, 2, 2, 0):global_pool().shape)
    assert.same({ HUGE, 1, 1, 0 }, co.zeros(HUGE, 2, 2, 0):max_pool2d(2, 2, 0).shape)
    assert.same({ HUGE, 0 }, rows:softmax().shape)
    assert.same({ 0 }, rows:sum(1).shape)
    assert.same({ 0 }, rows:max(1).shape)
    assert.same({ 0 }, rows:argmax(1).shape)
    assert.equal(0, rows:sum():item())
    assert.same({ 3, HUGE, 0 }, rows:expand(3, -1, -1).shape)
    assert.same({ 0, HUGE }, rows:permute(2, 1).shape)
    assert.same({ HUGE, 0 }, co.matmul(rows, co.zeros(0, 0)).shape)
    assert.same({ HUGE, 0 }, (rows + 1).shape)
    assert.same({}, co.zeros(0, HUGE):totable())
    assert.same({ {}, {} }, co.zeros(2, 0):totable())
  end)

  it("are refused where each would cost something", function()
    raises("totable: expected at most 1048576 rows of nothing, found 1099511627776x0", rows.totable, rows)
    raises("max: input: expected at least one number to choose from, found 1099511627776x0", rows.max, rows, 2)
    raises("argmax: input: expected at least one number", rows.argmax, rows)
    local wide = co.zeros(HUGE, 0, 200)
    raises("cat: tensor: expected a shape that memory can hold", co.cat, { wide, wide })
    raises("pad_crop: tensor: expected a shape that memory can hold, found 1099511627776x1099511627776x2x1",
      co.pad_crop, co.zeros(HUGE, 0, 2, 1), HUGE)
    raises("out of memory", rows.sum, rows, 2)
  end)

  it("give zeros as gradients", function()
    local x = co.ones(2, 3)
    x.requires_grad = true
    local y = x:narrow(1, 1, 0)
    y:backward(y:detach())
    assert.same({ { 0, 0, 0 }, { 0, 0, 0 } }, x.grad:totable())
    local empty = co.zeros(HUGE, 0, 3, 2)
    empty.requires_grad = true
    local cropped = empty:select(1, 1):pad_crop(1, 1)
    cropped:sum():backward()
    assert.same({ HUGE, 0, 3, 2 }, empty.grad.shape)
  end)
end)

describe("ops that write", function()
  it("write to tensors of their own", function()
    local p, g = co.ones(3), co.ones(3)
    raises("lerp: to: expected a tensor of its own, since it is written to, found from again", co.lerp, p, p)
    raises("adamw: parameter: expected a tensor of its own, since it is written to, found m again",
      co.adamw, p, g, p, g:clone())
    raises("sgd: velocity: expected a tensor of its own, since it is written to, found gradient again",
      co.sgd, p, g, g, { momentum = 0.9 })
    raises("batch_norm: running_mean: expected a tensor of its own, since it is written to, found running_var again",
      co.batch_norm, co.ones(2, 3), p, p, g, g, { training = true })
    assert.same({ 1, 1, 1 }, p:totable())
  end)

  it("do not write to converted copies", function()
    local wide = co.ones(3, { dtype = "float64" })
    raises("lerp: to: expected float64 like the other inputs, since it is written to", co.lerp, co.ones(3), wide)
    raises("lerp: to: expected float32 like the other inputs, since it is written to",
      co.lerp, co.ones(3, { dtype = "int32" }), co.ones(3))
    raises("batch_norm: running_mean: expected float64 like the other inputs, since it is written to",
      co.batch_norm, co.ones(2, 3, { dtype = "float64" }), wide, wide, co.zeros(3), co.ones(3), { training = true })
    local y = co.batch_norm(co.ones(2, 3, { dtype = "float64" }), wide, wide, co.zeros(3), co.ones(3))
    assert.equal("float64", y.dtype)
  end)
end)

describe("the responsibility loss", function()
  it("takes whole numbers of images and points that are numbers", function()
    local Q, R = co.rand(2, 3, 3, 4), co.rand(1, 3, 3)
    local function loss(point, image)
      return co.responsibility_loss(Q, Q, R, co.tensor { point }, co.tensor { image })
    end
    raises("responsibility_loss: queries: hand 1: expected x, y, found", loss, { 1, 0 / 0 }, 1)
    for _, image in ipairs { 0, 3, 1.5, 0 / 0, math.huge, -math.huge, 1e30 } do
      raises("responsibility_loss: image: hand 1: expected an image of 1 .. 2, found", loss, { 1, 1 }, image)
    end
    assert.is_number(loss({ 1e30, -math.huge }, 2):item())
  end)
end)
