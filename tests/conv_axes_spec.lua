-- Convolutions whose axes differ: stride, padding and dilation per axis, padding per side, "same" — against a naive sum
-- in Lua, forward and backward, float32 and float64, with groups and with everything that conv2d_act does after it.
local co = require "cohesiv"
local core = require "cohesiv.core"
local support = require "tests.support"

local rounds = support.small and 12 or 60
local function one_of(list) return list[math.random(#list)] end

local function flat(t) return t:reshape({ -1 }):totable() end

-- { top, bottom, left, right } of what padding may be, by the rule of each.
local function sides(padding, size, kernel, stride, dilation)
  if type(padding) == "number" then return { padding, padding, padding, padding } end
  if padding ~= "same" then
    return #padding == 2 and { padding[1], padding[1], padding[2], padding[2] } or padding
  end
  local list = {}
  for i = 1, 2 do
    local outputs = math.ceil(size[i] / stride[i])
    local total = math.max(0, (outputs - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1 - size[i])
    list[2 * i - 1], list[2 * i] = total // 2, total - total // 2
  end
  return list
end

-- The sum as the textbooks write it: calls f(y, x, w) for every product, with places (from 1) in the flat tensors.
local function products(s, f)
  local ci, co_ = s.c // s.groups, s.o // s.groups
  for n = 0, s.n - 1 do
    for i = 0, s.ho - 1 do
      for j = 0, s.wo - 1 do
        for o = 0, s.o - 1 do
          local y = ((n * s.ho + i) * s.wo + j) * s.o + o + 1
          for a = 0, s.kernel[1] - 1 do
            for b = 0, s.kernel[2] - 1 do
              local row = i * s.stride[1] - s.sides[1] + a * s.dilation[1]
              local column = j * s.stride[2] - s.sides[3] + b * s.dilation[2]
              if row >= 0 and row < s.h and column >= 0 and column < s.w then
                for k = 0, ci - 1 do
                  f(y, ((n * s.h + row) * s.w + column) * s.c + o // co_ * ci + k + 1,
                    ((o * s.kernel[1] + a) * s.kernel[2] + b) * ci + k + 1)
                end
              end
            end
          end
        end
      end
    end
  end
end

local function naive(s, x, w, dy)
  local y, dx, dw = {}, {}, {}
  for i = 1, s.n * s.ho * s.wo * s.o do y[i] = 0 end
  for i = 1, #x do dx[i] = 0 end
  for i = 1, #w do dw[i] = 0 end
  products(s, function(at, from, weight)
    y[at] = y[at] + x[from] * w[weight]
    dx[from] = dx[from] + dy[at] * w[weight]
    dw[weight] = dw[weight] + dy[at] * x[from]
  end)
  return y, dx, dw
end

local function close(got, want, tolerance, text)
  assert.equal(#want, #got, text)
  local largest = 1
  for _, v in ipairs(want) do largest = math.max(largest, math.abs(v)) end
  for i, v in ipairs(want) do
    if math.abs(got[i] - v) > tolerance * largest then
      error(("%s: place %d: expected %.9g, found %.9g"):format(text, i, v, got[i]), 0)
    end
  end
end

-- As co.conv2d takes them: one number where both axes are alike, now and then.
local function given(pair) return pair[1] == pair[2] and math.random(2) == 1 and pair[1] or pair end

local function draw()
  local s = { n = math.random(2), h = math.random(4, 11), w = math.random(4, 11) }
  s.kernel = one_of { { 1, 5 }, { 5, 1 }, { 3, 3 }, { 2, 3 }, { 1, 1 }, { 3, 2 }, { 4, 4 } }
  s.stride = { math.random(3), math.random(3) }
  s.dilation = one_of { { 1, 1 }, { 1, 1 }, { 2, 2 }, { 1, 3 }, { 3, 2 }, { 4, 6 } }
  s.groups = one_of { 1, 1, 2, 16 }
  local each = s.groups == 16 and 1 or math.random(6)
  s.c, s.o = s.groups * each, s.groups * (s.groups == 16 and 1 or math.random(6))
  s.padding = one_of { 0, 1, 2, "same", { 0, 2 }, { 2, 0 }, { 0, 1, 0, 1 }, { 1, 0, 2, 3 }, { 4, 4, 4, 4 } }
  s.sides = sides(s.padding, { s.h, s.w }, s.kernel, s.stride, s.dilation)
  local function count(size, i)
    local room = size + s.sides[2 * i - 1] + s.sides[2 * i] - (s.kernel[i] - 1) * s.dilation[i] - 1
    return room >= 0 and room // s.stride[i] + 1 or 0
  end
  s.ho, s.wo = count(s.h, 1), count(s.w, 2)
  if s.ho < 1 or s.wo < 1 then return draw() end
  local function list(t) return table.concat(t, ",") end
  s.text = ("%dx%dx%dx%d, kernel %s, stride %s, padding %s, dilation %s, %d groups, %d out"):format(s.n, s.h, s.w, s.c,
    list(s.kernel), list(s.stride), s.padding == "same" and "same" or list(s.sides), list(s.dilation), s.groups, s.o)
  s.options = { stride = given(s.stride), padding = s.padding, dilation = given(s.dilation), groups = s.groups }
  return s
end

describe("convolution with axes that differ", function()
  for dtype, tolerance in pairs { float32 = 1e-5, float64 = 1e-12 } do
    it("is the sum that it stands for, forward and backward, " .. dtype, function()
      math.randomseed(21)
      co.seed(21)
      for _ = 1, rounds do
        co.tidy(function()
          local s = draw()
          local x = co.randn(s.n, s.h, s.w, s.c, { dtype = dtype })
          local w = co.randn(s.o, s.kernel[1], s.kernel[2], s.c // s.groups, { dtype = dtype })
          local dy = co.randn(s.n, s.ho, s.wo, s.o, { dtype = dtype })
          x.requires_grad, w.requires_grad = true, true
          local y = co.conv2d(x, w, s.options)
          assert.same({ s.n, s.ho, s.wo, s.o }, y.shape, s.text)
          y:backward(dy)
          local want, dx, dw = naive(s, flat(x), flat(w), flat(dy))
          close(flat(y), want, tolerance, s.text)
          close(flat(x.grad), dx, tolerance, s.text .. ": gradient of the input")
          close(flat(w.grad), dw, tolerance, s.text .. ": gradient of the weight")
        end)
      end
    end)

    it("is followed by scale, shift, residual and activation in one op, " .. dtype, function()
      math.randomseed(22)
      co.seed(22)
      for round = 1, rounds // 2 do
        co.tidy(function()
          local s = draw()
          local x = co.randn(s.n, s.h, s.w, s.c, { dtype = dtype })
          local w = co.randn(s.o, s.kernel[1], s.kernel[2], s.c // s.groups, { dtype = dtype })
          local scale, shift = co.randn(s.o, { dtype = dtype }), co.randn(s.o, { dtype = dtype })
          local bare = co.conv2d(x, w, s.options)
          local residual = co.randn(bare.shape, { dtype = dtype })
          s.options.act = one_of { "none", "relu", "relu6", "silu" }
          local want = bare * scale + shift + residual
          if s.options.act ~= "none" then want = want[s.options.act](want) end
          for pass = 1, 2 do -- weights packed anew, and kept
            close(flat(co.no_grad(co.conv2d_act, x, w, scale, shift, residual, s.options)), flat(want), 10 * tolerance,
              ("%s, %s, round %d, pass %d"):format(s.text, s.options.act, round, pass))
          end
        end)
      end
    end)
  end

  it("takes the same gradients from few pixels as from all", function()
    for _, o in ipairs { { stride = { 1, 2 }, dilation = { 3, 1 }, padding = { 0, 2, 3, 1 } },
      { stride = 2, dilation = 2, padding = "same" }, { padding = { 0, 2 }, dilation = { 1, 2 } } } do
      local x, w = co.randn(1, 70, 80, 4), co.randn(5, 3, 4, 4)
      local shape = co.conv2d(x, w, o).shape
      local few = co.zeros(shape)
      few[{ 1, 1, 1 }], few[{ 1, shape[2], shape[3] }] = co.randn(5), co.randn(5)
      local results = {}
      for i, dy in ipairs { few, few:to "float64" + 1e-30 } do
        local own, weight = x:to(dy.dtype):clone(), w:to(dy.dtype):clone()
        own.requires_grad, weight.requires_grad = true, true
        co.conv2d(own, weight, o):backward(dy)
        results[i] = { flat(own.grad), flat(weight.grad) }
      end
      for k = 1, 2 do close(results[1][k], results[2][k], 1e-5, "gradient " .. k) end
    end
  end)

  it("takes dilations and kernels beyond all use", function()
    local x = co.randn(1, 3, 700, 2, { dtype = "float64" })
    for _, o in ipairs { { 1, 3, { dilation = { 1, 300 } } }, { 3, 3, { dilation = { 4096, 4096 }, padding = 4096 } },
      { 1, 90, { dilation = { 1, 2 } } }, { 1, 2, { dilation = 600, stride = 3 } } } do
      local w = co.randn(3, o[1], o[2], 2, { dtype = "float64" })
      local lists = {}
      for i, dtype in ipairs { "float64", "float32" } do
        local own, weight = x:to(dtype):clone(), w:to(dtype):clone()
        own.requires_grad, weight.requires_grad = true, true
        local y = co.conv2d(own, weight, o[3])
        y:backward(co.ones(y.shape, { dtype = dtype }))
        lists[i] = { flat(y), flat(own.grad), flat(weight.grad) }
      end
      for k = 1, 3 do close(lists[2][k], lists[1][k], 1e-4, ("kernel %dx%d, result %d"):format(o[1], o[2], k)) end
    end
  end)

  it("gives the same bits for any number of threads", function()
    local threads = co.threads()
    local x, w = co.randn(2, 40, 50, 32), co.randn(32, 3, 3, 32)
    for _, o in ipairs { { dilation = 2, padding = 2 }, { stride = { 2, 1 }, padding = { 0, 1, 2, 0 } },
      { stride = 2, padding = "same", dilation = { 3, 2 } } } do
      local first
      for _, n in ipairs { 1, 2, 4 } do
        co.threads(n)
        local own, weight = x:clone(), w:clone()
        own.requires_grad, weight.requires_grad = true, true
        local y = co.conv2d(own, weight, o)
        y:sum():backward()
        local all = { flat(y), flat(own.grad), flat(weight.grad) }
        first = first or all
        assert.same(first, all)
      end
    end
    co.threads(threads)
  end)

  it("refuses what fits no axis", function()
    local x, w = co.ones(1, 4, 4, 1), co.ones(1, 3, 3, 1)
    for message, options in pairs {
      ["stride: expected a number or {height, width}, found 3 numbers"] = { stride = { 1, 2, 3 } },
      ["stride: expected a number or {height, width}, found 0 numbers"] = { stride = {} },
      ["stride: expected 1 .. 4096, found 0"] = { stride = { 1, 0 } },
      ["stride[2]: expected an integer, found 1.5"] = { stride = { 1, 1.5 } },
      ["dilation: expected 1 .. 4096, found -1"] = { dilation = { -1, 1 } },
      ["dilation: expected a number or {height, width}, found 4 numbers"] = { dilation = { 1, 1, 1, 1 } },
      ["padding: expected a number, {height, width} or {top, bottom, left, right}, found 3 numbers"] =
        { padding = { 1, 1, 1 } },
      ["padding: expected 0 .. 4096, found -1"] = { padding = { 0, 0, 0, -1 } },
      ['padding: expected integers or same, found "valid"'] = { padding = "valid" },
      ["weight: expected a kernel that fits the padded image, found 1x3x3x1 on 1x4x4x1 with padding {0, 0, 1, 0}"] =
        { dilation = 2, padding = { 0, 0, 1, 0 } },
    } do
      support.raises("conv2d: " .. message, co.conv2d, x, w, options)
    end
    assert.same({ 1, 2, 2, 1 }, co.conv2d(x, w, { stride = 2, padding = "same" }).shape)
    assert.is_truthy(core.ops.conv2d.args:find("dilation", 1, true))
  end)
end)
