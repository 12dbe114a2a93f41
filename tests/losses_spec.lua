-- The two losses by their definition: values computed here in plain Lua, gradients against finite differences, what is
-- ignored, what is empty, and refusals. The reference files' values are compared in model_spec.
local co = require "cohesiv"
local support = require "tests.support"

local WIDE = { dtype = "float64" }

local function wide(t)
  t = co.is_tensor(t) and t:to "float64" or co.tensor(t, WIDE)
  t.requires_grad = true
  return t
end

local function near(found, expected, tolerance)
  local ok = math.abs(found - expected) <= (tolerance or 1e-9)
  assert.is_true(ok, ("expected %.12g, found %.12g"):format(expected, found))
end

describe("the responsibility loss", function()
  local N, H, W, A = 2, 3, 4, 5

  local function inputs(seed)
    co.seed(seed)
    return co.randn(N, H, W, A, WIDE) * 0.4, co.randn(N, H, W, A, WIDE) * 0.4, co.rand(3, H, W, WIDE),
      co.tensor { { 1, 2 }, { 3.4, 0.6 }, { -5, 9 } }, co.tensor({ 1, 2, 2 }, { dtype = "int32" })
  end

  -- Equations of the method, pixel by pixel; the query is rounded and clamped to the image.
  local function expected(Q, K, R, points, image)
    local total, places = 0, { { 1, 2 }, { 3, 1 }, { 0, 2 } }
    for m = 1, #R do
      local n = image and image[m] or m
      local q, sum, pixels = Q[n][{ places[m][2] + 1, places[m][1] + 1 }], 0, 0
      for y = 1, H do
        for x = 1, W do
          local a, r = 0, R[m][y][x]
          for c = 1, A do a = a + q[c] * K[n][{ y, x, c }] end
          local d = math.abs(math.max(0, math.min(1, a)) - r)
          if r >= 0 then
            sum, pixels = sum + (d < 0.5 and d * d or d - 0.25), pixels + 1
          end
        end
      end
      if pixels > 0 then total = total + sum / pixels end
    end
    return total / #points
  end

  it("is the mean over pixels, then hands, of Smooth-L1 with beta 0.5", function()
    local Q, K, R, points, image = inputs(1)
    near(co.losses.responsibility(Q, K, R, points, image):item(), expected(Q, K, R, points, image))
    local R2, points2 = R[{ { 1, 2 } }], points[{ { 1, 2 } }]
    near(co.losses.responsibility(Q, K, R2, points2):item(), expected(Q, K, R2, points2))
    assert.same({}, co.losses.responsibility(Q, K, R2, points2).shape)
  end)

  it("leaves pixels below 0 out", function()
    local Q, K, R, points, image = inputs(2)
    R[{ 1, {}, { 3, 4 } }] = -1
    R[{ 2, 1 }] = -1
    near(co.losses.responsibility(Q, K, R, points, image):item(), expected(Q, K, R, points, image))
    R:fill(-1)
    assert.equal(0, co.losses.responsibility(Q, K, R, points, image):item())
  end)

  it("has the gradient of its value", function()
    local Q, K, R, points, image = inputs(3)
    R[{ 2, { 1, 2 } }] = -1
    assert.is_true(co.gradcheck(function(q, k)
      return co.losses.responsibility(q, k, R, points, image)
    end, { wide(Q * 0.3 + 0.2), wide(K * 0.3 + 0.3) }, { eps = 1e-6 }))
  end)

  it("can let gradients through the clamp that lead back inside", function()
    local K, R, points = wide(co.full(-1, 1, 1, 2, 1)), co.full(0.5, 1, 1, 2, WIDE), co.tensor { { 0, 0 } }
    local Q = co.full(1, 1, 1, 2, 1, WIDE)
    local hard = co.losses.responsibility(Q, K, R, points)
    hard:backward()
    assert.same({ 0, 0 }, K.grad:reshape(-1):totable())
    K.grad = nil
    local through = co.losses.responsibility(Q, K, R, points, nil, { through = true })
    assert.equal(hard:item(), through:item())
    through:backward()
    assert.is_true(K.grad:max():item() < 0)
  end)

  it("refuses shapes that do not fit", function()
    local Q, K, R, points, image = inputs(4)
    local loss = co.losses.responsibility
    support.raises("K: expected", loss, Q, K[1], R, points, image)
    support.raises("R: expected", loss, Q, K, R[1], points, image)
    support.raises("queries: expected 3x2", loss, Q, K, R, points[1], image)
    support.raises("image: hand 3", loss, Q, K, R, points, co.tensor({ 1, 2, 3 }, { dtype = "int32" }))
    support.raises("expected", loss, Q, K, R, points)
    support.raises("tensor", loss, Q, K, nil, points)
  end)
end)

describe("the embedding loss", function()
  local function normalised(v)
    local s = 0
    for _, x in ipairs(v) do s = s + x * x end
    local out = {}
    for i, x in ipairs(v) do out[i] = x / math.sqrt(s) end
    return out
  end

  local function dot(a, b)
    local s = 0
    for i, x in ipairs(a) do s = s + x * b[i] end
    return s
  end

  -- The method's definition for a list of pixel vectors and their labels.
  local function one_image(pixels, labels, o)
    local sums, counts, means, losses = {}, {}, {}, {}
    if o.normalise then
      for i, v in ipairs(pixels) do pixels[i] = normalised(v) end
    end
    for i, v in ipairs(pixels) do
      local c = labels[i]
      if c > 0 then
        sums[c], counts[c] = sums[c] or {}, (counts[c] or 0) + 1
        for d, x in ipairs(v) do sums[c][d] = (sums[c][d] or 0) + x end
      end
    end
    for c, s in pairs(sums) do
      means[c] = {}
      for d, x in ipairs(s) do means[c][d] = x / counts[c] end
      if o.normalise then means[c] = normalised(means[c]) end
    end
    for i, v in ipairs(pixels) do
      local c = labels[i]
      if c > 0 then
        local all = o.epsilon
        for _, m in pairs(means) do all = all + math.exp(o.scale * dot(m, v)) end
        local own = math.exp(o.scale * dot(means[c], v)) + o.epsilon
        losses[c] = (losses[c] or 0) - math.log(own / all)
      end
    end
    local total, classes = 0, 0
    for c, l in pairs(losses) do total, classes = total + l / counts[c], classes + 1 end
    return classes > 0 and total / classes or nil
  end

  local function pixels_of(Z, label)
    return Z:reshape(-1, Z.shape[#Z.shape]):totable(), label:reshape(-1):totable()
  end

  local function example(seed, n)
    co.seed(seed)
    return co.randn(n, 3, 4, 3, WIDE), (co.rand(n, 3, 4) * 4):to "int32"
  end

  for _, normalise in ipairs { true, false } do
    it(("follows its definition, normalise = %s"):format(normalise), function()
      local Z, label = example(1, 1)
      local o = { normalise = normalise, scale = normalise and 10 or 1, epsilon = 1e-3 }
      local z, l = pixels_of(Z, label)
      near(co.losses.embedding(Z, label, o):item(), one_image(z, l, o), 1e-8)
    end)
  end

  it("means per image, or over the batch", function()
    local Z, label = example(2, 2)
    local o, sum = { normalise = true, scale = 10, epsilon = 1e-3 }, 0
    for n = 1, 2 do
      local z, l = pixels_of(Z[n], label[n])
      sum = sum + one_image(z, l, o)
    end
    near(co.losses.embedding(Z, label):item(), sum / 2, 1e-8)
    local batch = co.losses.embedding(Z, label, { means = "batch" }):item()
    assert.is_true(math.abs(batch - sum / 2) > 1e-6)
    near(co.losses.embedding(Z[{ { 1, 1 } }], label[{ { 1, 1 } }], { means = "batch" }):item(),
      co.losses.embedding(Z[{ { 1, 1 } }], label[{ { 1, 1 } }]):item(), 1e-12)
  end)

  it("leaves ignored pixels and empty classes out, without NaN", function()
    local Z, label = example(3, 2)
    label[1] = co.where(co.eq(label[1], 2), co.full(3, 3, 4, { dtype = "int32" }), label[1])
    local z, l = pixels_of(Z[1], label[1])
    local o = { normalise = true, scale = 10, epsilon = 1e-3 }
    near(co.losses.embedding(Z[{ { 1, 1 } }], label[{ { 1, 1 } }]):item(), one_image(z, l, o), 1e-8)
    label[2] = 0
    for _, means in ipairs { "image", "batch" } do
      local x = wide(Z)
      local loss = co.losses.embedding(x, label, { means = means })
      loss:backward()
      assert.is_true(loss:item() == loss:item())
      assert.equal(0, x.grad[2]:abs():max():item())
      x.grad = nil
      local none = co.losses.embedding(x, co.zeros(2, 3, 4, { dtype = "int32" }), { means = means })
      assert.equal(0, none:item())
      none:backward()
      assert.equal(0, x.grad:abs():max():item())
    end
    local zeros = wide(co.zeros(1, 3, 4, 3))
    local loss = co.losses.embedding(zeros, label[{ { 1, 1 } }])
    loss:backward()
    assert.is_true(loss:item() == loss:item() and zeros.grad:sum():item() == zeros.grad:sum():item())
  end)

  it("does not overflow", function()
    local Z, label = example(4, 1)
    local loss = co.losses.embedding(Z * 1e4, label, { normalise = false, scale = 1 }):item()
    assert.is_true(loss == loss and loss < math.huge)
  end)

  it("has the gradient of its value, through the means", function()
    local Z, label = example(5, 2)
    for _, o in ipairs { {}, { normalise = false, scale = 1 }, { means = "batch" }, { scale = 3, epsilon = 0.1 } } do
      assert.is_true(co.gradcheck(function(z) return co.losses.embedding(z, label, o) end, { wide(Z) }))
    end
  end)

  it("refuses what does not fit", function()
    local Z, label = example(6, 1)
    local loss = co.losses.embedding
    support.raises("means: expected", loss, Z, label, { means = "all" })
    support.raises("found scal", loss, Z, label, { scal = 3 })
    support.raises("label", loss, Z, label[1])
    support.raises("label", loss, Z, nil)
    support.raises("Z", loss, Z[1], label)
  end)

  it("refuses queries that are no numbers, with their row", function()
    local Q, R = co.rand(1, 3, 4, 2), co.rand(3, 3, 4)
    for text, value in pairs { nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge } do
      support.raises(("losses.responsibility: queries: expected finite numbers, found %s in row 2"):format(text),
        co.losses.responsibility, Q, Q, R, co.tensor { { 0, 0 }, { 1, value }, { 0, 0 } },
        co.tensor({ 1, 1, 1 }, { dtype = "int32" }))
    end
  end)
end)
