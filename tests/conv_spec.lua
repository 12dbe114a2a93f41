-- Convolutions on random shapes of every kind that has kernels of its own, with channels and borders that do not fit
-- them: float32 against the plain path that float64 takes, forward and backward, and any number of threads.
local co = require "cohesiv"
local core = require "cohesiv.core"
local support = require "tests.support"

local conv2d, conv2d_act = core.ops.conv2d.call, core.ops.conv2d_act.call
local ACTS = { "none", "relu", "relu6", "silu" }
local rounds = support.small and 8 or 40

local function one_of(list) return list[math.random(#list)] end

-- Sizes of one kind; ci and co are multiples of groups.
local kinds = {
  ["dense 3x3"] = function() return { k = 3, pad = 1, c = 16 * math.random(6), o = 16 * math.random(6) } end,
  ["1x1"] = function() return { k = 1, stride = one_of { 1, 1, 2 }, c = math.random(150), o = math.random(150) } end,
  ["groups of few channels"] = function()
    local c = one_of { 1, 2, 4, 8, 16 }
    return { k = 3, pad = 1, stride = one_of { 1, 2 }, groups = 32, c = c, o = c }
  end,
  ["the stem"] = function() return { k = 7, stride = 2, pad = 3, c = 3, o = math.random(70), bigger = 8 } end,
  ["anything"] = function()
    local k = math.random(5)
    return {
      k = k, kw = math.random(5), stride = math.random(3), pad = math.random(0, k), groups = one_of { 1, 1, 2, 3 },
      c = math.random(40), o = math.random(40), bigger = 5,
    }
  end,
}

-- Tensors and arguments of a call, float32.
local function draw(kind)
  local s = kinds[kind]()
  local groups, extra = s.groups or 1, s.bigger or 0
  local n, h, w = math.random(3), extra + math.random(24), extra + math.random(24)
  return {
    x = co.randn(n, h, w, s.c * groups), stride = s.stride or 1, pad = s.pad or 0, groups = groups,
    weight = co.randn(s.o * groups, s.k, s.kw or s.k, s.c) / math.sqrt(s.k * (s.kw or s.k) * s.c),
    bias = co.randn(s.o * groups), scale = co.randn(s.o * groups),
    text = ("%s: %dx%dx%dx%d, weight %dx%dx%dx%d, stride %d, padding %d, groups %d"):format(kind, n, h, w,
      s.c * groups, s.o * groups, s.k, s.kw or s.k, s.c, s.stride or 1, s.pad or 0, groups),
  }
end

-- Results and gradients in a dtype: y, dx, dw, db. dy is the same in both (dtypes differ only by rounding).
local function run(case, dtype, dy)
  local list = {}
  for i, name in ipairs { "x", "weight", "bias" } do
    list[i] = case[name]:to(dtype):clone()
    list[i].requires_grad = true
  end
  local y = conv2d(list[1], list[2], list[3], case.stride, case.pad, case.groups)
  y:backward((dy or co.ones(y.shape)):to(dtype))
  return { y = y:detach(), dx = list[1].grad, dw = list[2].grad, db = list[3].grad }
end

local function largest(t) return t:abs():max():item() end

local function close(a, b, what)
  local error_ = largest(a:to "float64" - b) / math.max(largest(b), 1e-30)
  assert.is_true(error_ < 1e-4, ("%s: differs by %.2g of the largest value"):format(what, error_))
end

describe("convolution", function()
  for _, kind in ipairs { "dense 3x3", "1x1", "groups of few channels", "the stem", "anything" } do
    it("of float32 agrees with float64, forward and backward: " .. kind, function()
      math.randomseed(11)
      co.seed(11)
      for _ = 1, rounds do
        co.tidy(function()
          local case = draw(kind)
          local dy = co.randn(co.no_grad(conv2d, case.x, case.weight, nil, case.stride, case.pad, case.groups).shape)
          local a, b = run(case, "float32", dy), run(case, "float64", dy)
          for name, t in pairs(a) do close(t, b[name], case.text .. ": " .. name) end
        end)
      end
    end)

    it("with everything after it in one op agrees with float64, weights packed once or anew: " .. kind, function()
      math.randomseed(12)
      co.seed(12)
      for round = 1, rounds do
        co.tidy(function()
          local case = draw(kind)
          local bare = co.no_grad(conv2d, case.x, case.weight, nil, case.stride, case.pad, case.groups)
          local residual, act = round % 3 > 0 and co.randn(bare.shape) or nil, ACTS[1 + round % 4]
          local function all(dtype)
            local function as(t) return t and t:to(dtype) end
            local weight = dtype == "float32" and case.weight or as(case.weight)
            return co.no_grad(conv2d_act, as(case.x), weight, round % 2 == 0 and as(case.scale) or nil, as(case.bias),
              as(residual), case.stride, case.pad, case.groups, act)
          end
          local b = all "float64"
          close(all "float32", b, case.text)
          close(all "float32", b, case.text .. ", again")
          case.weight:fill(0.01) -- what was kept of the old weights must not be used
          close(all "float32", all "float64", case.text .. ", other weights")
        end)
      end
    end)

    it("gives the same bits for any number of threads: " .. kind, function()
      local before = core.system.threads()
      math.randomseed(13)
      co.seed(13)
      for _ = 1, rounds // 4 do
        co.tidy(function()
          local case = draw(kind)
          co.threads(1)
          local one = run(case, "float32")
          for _, threads in ipairs { 2, 3, 4 } do
            co.threads(threads)
            for name, t in pairs(run(case, "float32")) do
              assert.are.equal(0, largest(t - one[name]), case.text .. ": " .. name)
            end
          end
        end)
      end
      co.threads(before)
    end)
  end

  -- A gradient that is zero but at few pixels has a way of its own; 1e-30 everywhere leads back to the other one.
  it("takes the same gradients from few pixels as from all", function()
    local way = 0
    for round = 1, rounds do
      local k, groups = math.random(4), one_of { 1, 1, 2, 3 }
      local stride, pad = 1 + round % 2, math.random(0, k)
      local n, h, w = math.random(2), 50 + math.random(30), 50 + math.random(30)
      local case = {
        x = co.randn(n, h, w, groups * math.random(9)), bias = co.randn(groups * 5), stride = stride, pad = pad,
        groups = groups,
      }
      case.weight = co.randn(groups * 5, k, k, case.x.shape[4] // groups)
      local shape = conv2d(case.x, case.weight, case.bias, stride, pad, groups).shape
      local few, pixels = co.zeros(shape), shape[1] * shape[2] * shape[3] // 2048
      for i = 1, pixels do -- corners first: the kernel hangs over there
        local y = i == 1 and one_of { 1, shape[2] } or math.random(shape[2])
        local x = i == 1 and one_of { 1, shape[3] } or math.random(shape[3])
        few[{ math.random(shape[1]), y, x }] = co.randn(shape[4])
      end
      if pixels > 0 then way = way + 1 end
      for _, dtype in ipairs(pixels > 0 and { "float32", "float64" } or {}) do
        local got, want = run(case, dtype, few), run(case, "float64", few:to "float64" + 1e-30)
        for _, name in ipairs { "dx", "dw", "db" } do
          local trace = largest(want[name]) < 1e-20 -- the pixels saw padding alone
          close(trace and got[name] + 1 or got[name], trace and want[name] + 1 or want[name],
            ("%s of round %d, %s"):format(name, round, dtype))
        end
      end
    end
    assert.is_true(way >= rounds // 3, ("%d of %d rounds had pixels"):format(way, rounds))
  end)

  it("adds gradients of few pixels to what is there, with the same bits for any number of threads", function()
    local threads, x, first = co.threads(), co.randn(1, 64, 64, 8), nil
    for _, n in ipairs { 1, 2, 3 } do
      co.threads(n)
      local input, weight = x:clone(), co.full(0.5, 6, 3, 3, 8)
      input.requires_grad, weight.requires_grad = true, true
      for _, at in ipairs { 9, 10 } do
        local dy = co.zeros(1, 64, 64, 6)
        dy[{ 1, at, at }] = co.tensor { 1, 2, 3, 4, 5, 6 }
        conv2d(input, weight, nil, 1, 1, 1):backward(dy)
      end
      assert.equal(2 * 9 * 8 * 21 * 0.5, input.grad:sum():item())
      local got = { input.grad:totable(), weight.grad:totable() }
      first = first or got
      assert.same(first, got)
    end
    co.threads(threads)
  end)
end)
