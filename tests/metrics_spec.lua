-- Measures against slow, straightforward Lua: overlaps, threshold tables, bootstrap, contact, resampling, discs.

local co = require "cohesiv"
local core = require "cohesiv.core".metrics
local metrics = require "cohesiv.hands.metrics"
local support = require "tests.support"

local function mask(height, width, share)
  return co.lt(co.rand(height, width), share):to "uint8"
end

-- Sum over all pixels of f(y, x).
local function count(height, width, f)
  local n = 0
  for y = 1, height do
    for x = 1, width do
      if f(y, x) then n = n + 1 end
    end
  end
  return n
end

describe("overlap of masks", function()
  it("counts by hand", function()
    local a = co.tensor({ { 1, 1, 0 }, { 0, 1, 0 } }, { dtype = "uint8" })
    local b = co.tensor({ { 0, 1, 1 }, { 0, 1, 0 } }, { dtype = "uint8" })
    local ignore = co.tensor({ { 0, 0, 0 }, { 0, 1, 0 } }, { dtype = "uint8" })
    assert.are.same({ 2, 4 }, { metrics.overlap(a, b) })
    assert.are.equal(0.5, metrics.iou(a, b))
    assert.are.equal(1 / 3, metrics.iou(a, b, ignore))
  end)

  it("calls two empty masks equal and an empty one against any other 0", function()
    local empty, full = co.zeros(2, 2, { dtype = "uint8" }), co.ones(2, 2, { dtype = "uint8" })
    assert.are.equal(1, metrics.iou(empty, empty))
    assert.are.equal(1, metrics.iou(full, empty, full))
    assert.are.equal(0, metrics.iou(empty, full))
  end)

  it("equals slow counting", function()
    co.seed(3)
    local a, b, ignore = mask(37, 53, 0.4), mask(37, 53, 0.5), mask(37, 53, 0.2)
    local ta, tb, ti = a:totable(), b:totable(), ignore:totable()
    local both = count(37, 53, function(y, x) return ta[y][x] + tb[y][x] == 2 and ti[y][x] == 0 end)
    local either = count(37, 53, function(y, x) return ta[y][x] + tb[y][x] > 0 and ti[y][x] == 0 end)
    assert.are.same({ both, either }, { metrics.overlap(a, b, ignore) })
  end)

  it("names what does not fit", function()
    local ok, message = pcall(metrics.iou, mask(2, 3, 1), mask(3, 2, 1))
    assert.is_false(ok)
    assert.is_truthy(message:find("truth: expected shape 2x3, found 3x2", 1, true))
  end)
end)

describe("the threshold table", function()
  local function slow(first, second, truth, ignore, t1, t2)
    local table_of_iou = {}
    for i, a in ipairs(t1) do
      table_of_iou[i] = {}
      for j, b in ipairs(t2 or { -math.huge }) do
        local predicted = metrics.over(first, a, second, second and b or nil)
        table_of_iou[i][j] = metrics.iou(predicted, truth, ignore)
      end
    end
    return table_of_iou
  end

  local function check(first, second, truth, ignore, t1, t2)
    local fast = metrics.table(first, second, truth, ignore, t1, t2):totable()
    for i, row in ipairs(slow(first, second, truth, ignore, t1, t2)) do
      for j, iou in ipairs(row) do assert.is_true(math.abs(iou - fast[i][j]) < 1e-6) end
    end
  end

  it("equals thresholding again and again", function()
    co.seed(5)
    local grid, other = metrics.grid(-1, 1, 21), metrics.ratios(0.01, 1, 13)
    for _, size in ipairs { { 31, 47 }, { 1, 1 }, { 1, 90 }, support.small and { 20, 20 } or { 400, 500 } } do
      local h, w = size[1], size[2]
      local first, second = co.rand(h, w) * 2 - 1, co.rand(h, w)
      local truth, ignore = mask(h, w, 0.3), mask(h, w, 0.1)
      check(first, second, truth, ignore, grid, other)
      check(first, nil, truth, nil, grid)
    end
  end)

  it("is exact where values sit on thresholds", function()
    local grid = metrics.grid(0, 1, 10)
    local values = {}
    for i, t in ipairs(grid) do values[i] = { t, t + 1e-7, t - 1e-7, -5, 5 } end
    check(co.tensor(values), nil, mask(10, 5, 0.5), nil, grid)
    check(co.tensor(values), co.tensor(values), mask(10, 5, 0.5), nil, grid, { 0.3 })
  end)

  it("puts NaN nowhere", function()
    local map = co.tensor { { 0 / 0, 1 } }
    local truth = co.tensor({ { 1, 1 } }, { dtype = "uint8" })
    assert.are.equal(0.5, metrics.table(map, nil, truth, nil, { 0 })[1][1])
  end)

  it("is the same on any number of threads", function()
    co.seed(8)
    local first, second, truth = co.rand(300, 400), co.rand(300, 400), mask(300, 400, 0.4)
    local grid, results = metrics.grid(0, 1, 50), {}
    local before = co.threads()
    for _, threads in ipairs { 1, 2, 4 } do
      co.threads(threads)
      results[#results + 1] = metrics.table(first, second, truth, nil, grid, grid):totable()
    end
    co.threads(before)
    assert.are.same(results[1], results[2])
    assert.are.same(results[1], results[3])
  end)

  it("refuses thresholds that do not rise", function()
    local ok, message = pcall(metrics.table, co.rand(2, 2), nil, mask(2, 2, 1), nil, { 0.2, 0.1 })
    assert.is_false(ok)
    assert.is_truthy(message:find("expected ascending thresholds", 1, true))
  end)
end)

describe("bootstrap intervals", function()
  it("are the same every time, and change with the seed", function()
    local sums, counts = { 3.1, 1.7, 4.2, 1.5, 9.3, 0.4, 2.9 }, { 4, 2, 5, 3, 12, 1, 7 }
    local low, high = metrics.interval(sums, counts)
    assert.are.same({ low, high }, { metrics.interval(sums, counts) })
    assert.are_not.same({ low, high }, { metrics.interval(sums, counts, { seed = 1 }) })
    assert.is_true(low < 23.1 / 34 and 23.1 / 34 < high)
  end)

  it("shrink to a point where all clips agree, and for one clip", function()
    assert.are.same({ 0.5, 0.5 }, { metrics.interval({ 1, 2, 3 }, { 2, 4, 6 }) })
    assert.are.same({ 0.25, 0.25 }, { metrics.interval({ 1 }, { 4 }) })
  end)

  it("pool the values of the drawn clips", function()
    -- Two clips, values 0 (once) and 1 (nine times): draws give 0, 9/10 or 1 with chances 1/4, 1/2, 1/4.
    local low, high = metrics.interval({ 0, 9 }, { 1, 9 })
    assert.are.same({ 0, 1 }, { low, high })
    assert.are.same({ 0.5, 0.5 }, { metrics.interval({ 0, 5 }, { 0, 10 }) }) -- an empty clip adds nothing
  end)

  it("refuse to come from nothing", function()
    assert.is_false(pcall(metrics.interval, { 0 }, { 0 }))
    assert.is_false(pcall(metrics.interval, { 0 }, { 0, 1 }))
  end)
end)

describe("contact", function()
  local function slow(hand, object, reach)
    local h, o = hand:totable(), object:totable()
    local height, width = #h, #h[1]
    local x0, x1, y0, y1 = math.huge, -math.huge, math.huge, -math.huge
    count(height, width, function(y, x)
      if h[y][x] == 1 then x0, x1, y0, y1 = math.min(x0, x), math.max(x1, x), math.min(y0, y), math.max(y1, y) end
    end)
    local limit = reach ^ 2 * ((x1 - x0 + 1) ^ 2 + (y1 - y0 + 1) ^ 2)
    local function near(y, x, other)
      return count(height, width, function(v, u)
        return other[v][u] == 1 and (u - x) ^ 2 + (v - y) ^ 2 <= limit + 1e-9
      end) > 0
    end
    local out = {}
    for y = 1, height do
      out[y] = {}
      for x = 1, width do
        local touches = h[y][x] == 1 and near(y, x, o) or o[y][x] == 1 and near(y, x, h)
        out[y][x] = touches and 1 or 0
      end
    end
    return out
  end

  it("equals slow search", function()
    co.seed(11)
    for _, reach in ipairs { 0.02, 0.1, 0.3 } do
      local hand, object = mask(24, 30, 0.03), mask(24, 30, 0.03)
      assert.are.same(slow(hand, object, reach), metrics.contact(hand, object, reach):totable())
    end
  end)

  it("is empty without hand or object", function()
    local empty, full = co.zeros(4, 5, { dtype = "uint8" }), co.ones(4, 5, { dtype = "uint8" })
    assert.are.equal(0, metrics.contact(empty, full):sum():item())
    assert.are.equal(0, metrics.contact(full, empty):sum():item())
  end)
end)

describe("maps", function()
  it("are resampled between pixel centres, within the part that the image covers", function()
    local ramp = co.arange(8, { dtype = "float32" }):reshape { 1, 8 }
    local wide = core.resize(ramp, 16, 2, 0.5, 8, 1):totable()
    assert.are.same({ 0, 0.25, 0.75, 1.25 }, { table.unpack(wide[1], 1, 4) })
    assert.are.equal(7, wide[2][16])
    -- The image covers the first four columns: the fifth is padding and must not leak in.
    local padded = co.tensor { { 1, 1, 1, 1, 100, 100, 100, 100 } }
    assert.are.equal(1, core.resize(padded, 8, 2, 0.5, 4, 1):max():item())
  end)

  it("stay as they are at scale 1", function()
    local map = co.rand(13, 17)
    assert.are.same(map:totable(), core.resize(map, 17, 13, 1, 17, 13):totable())
  end)

  it("of cosines and inner products equal slow sums", function()
    co.seed(2)
    local map, vector = co.randn(5, 6, 7), co.randn(7)
    local dot, cosine = core.project(map, vector), core.project(map, vector, true)
    for y = 1, 5 do
      for x = 1, 6 do
        local z = map[y][x]
        local inner = (z * vector):sum():item()
        local length = math.sqrt((z * z):sum():item() * (vector * vector):sum():item())
        assert.is_true(math.abs(inner - dot[y][x]) < 1e-5)
        assert.is_true(math.abs(inner / length - cosine[y][x]) < 1e-5)
      end
    end
    assert.are.equal(0, core.project(co.zeros(1, 1, 7), vector, true):item())
  end)

  it("of discs hold the points within radius times width", function()
    local disc = metrics.over(metrics.disc(3, 2, 10, 6), -0.25) -- radius 2.5 pixels, not included
    assert.are.equal(21, disc:sum():item())
    assert.are.equal(1, disc[3][4])
    assert.are.equal(1, disc[1][5])
    assert.are.equal(0, disc[1][7])
  end)

  it("give embeddings of the wanted class alone, each pixel once", function()
    local Z, label = co.zeros(4, 4, 3), co.zeros(4, 4, { dtype = "int32" })
    for i = 1, 4 do
      Z[{ i, i, 1 }] = 2
      label[{ i, i }] = 2
    end
    local sum, n = core.sample(Z, label, 2, 3, 0, 0, false)
    assert.are.same({ 6, 0, 0 }, sum:totable())
    assert.are.equal(3, n)
    sum, n = core.sample(Z, label, 2, 100, 0, 0, true)
    assert.are.same({ 4, 0, 0, 4 }, { sum[1], sum[2], sum[3], n })
    assert.are.equal(0, select(2, core.sample(Z, label, 1, 5, 0, 0, true)))
  end)
end)
