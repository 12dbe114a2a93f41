-- RAFT: its ops against their formulas, its networks against an independent computation and the public code's figures,
-- weights under public names and wrong ones, pictures of odd sizes, several gaps at once, threads.
local co = require "cohesiv"
local support = require "tests.support"

local raises = support.raises

local function near(a, b, tolerance, what)
  assert.same(b.shape, a.shape, what)
  local off = support.difference(a:reshape { -1 }, b:reshape { -1 })
  assert.is_true(off <= tolerance, ("%s: differs by %g"):format(what or "it", off))
end

describe("correlation", function()
  -- Product by product, in plain Lua.
  local function plain(first, points, levels, radius)
    local f, p, out = first:totable(), points:totable(), {}
    local function product(image, a, l, x, y)
      local other = levels[l].list[image][y + 1]
      if y < 0 or not other or x < 0 or not other[x + 1] then return 0 end
      local sum = 0
      for c, v in ipairs(a) do sum = sum + v * other[x + 1][c] end
      return sum / (#a) ^ 0.5
    end
    for _, l in ipairs(levels) do l.list = l.t:totable() end
    for image, rows in ipairs(p) do
      for row, line in ipairs(rows) do
        for column, xy in ipairs(line) do
          local a = f[#f == 1 and 1 or image][row][column]
          for l in ipairs(levels) do
            for i = -radius, radius do
              for j = -radius, radius do
                local x, y = xy[1] / 2 ^ (l - 1) + i, xy[2] / 2 ^ (l - 1) + j
                local u, v = math.floor(x), math.floor(y)
                local s, t = x - u, y - v
                out[#out + 1] = (1 - t) * ((1 - s) * product(image, a, l, u, v) + s * product(image, a, l, u + 1, v))
                  + t * ((1 - s) * product(image, a, l, u, v + 1) + s * product(image, a, l, u + 1, v + 1))
              end
            end
          end
        end
      end
    end
    local shape = points.shape
    shape[4] = #levels * (2 * radius + 1) * (2 * radius + 1)
    return co.tensor(out):reshape(shape)
  end

  it("is the products with the windows of a pyramid, interpolated", function()
    co.seed(3)
    for _, case in ipairs { { 1, 3, 4, 3, 1 }, { 2, 2, 3, 17, 3 }, { 1, 4, 3, 40, 4 }, { 3, 3, 2, 6, 2 } } do
      local n, h, w, c, radius = table.unpack(case)
      local points = co.rand(n, h, w, 2) * 14 - 3
      for _, images in ipairs { 1, n } do
        local first, levels = co.randn(images, h, w, c), {}
        for l = 1, 4 do levels[l] = { t = co.randn(n, math.max(1, 8 >> l), math.max(1, 12 >> l), c) } end
        for count = 1, 4 do
          local list, given = { table.unpack(levels, 1, count) }, {}
          for l, level in ipairs(list) do given[l] = level.t end
          given[#given + 1] = { radius = radius }
          near(co.correlation(first, points, table.unpack(given)), plain(first, points, list, radius), 1e-5,
            table.concat(case, " "))
        end
      end
    end
  end)

  it("is 0 far outside and where a point is no number", function()
    local f = co.ones(1, 1, 4, 2)
    local points = co.tensor { { { { 0 / 0, 0 }, { 1e30, 0 }, { -1 / 0, 1 }, { 0, 0 } } } }
    local y = co.correlation(f, points, f, { radius = 1 })
    assert.equal(0, y[{ {}, {}, { 1, 3 } }]:abs():max():item())
    assert.is_true(math.abs(y[{ 1, 1, 4, 5 }] - 2 / 2 ^ 0.5) < 1e-6)
  end)

  it("refuses what does not fit in one line", function()
    local f, p = co.zeros(2, 3, 4, 5), co.zeros(2, 3, 4, 2)
    raises("correlation: points: expected N x H x W x 2, found 2x3x4x3", co.correlation, f, co.zeros(2, 3, 4, 3), f)
    raises("correlation: first: expected features of 2x3x4x2", co.correlation, co.zeros(2, 3, 3, 5), p, f)
    raises("correlation: half: expected 2 x H x W x 5 with at least one pixel, found 2x1x1x4", co.correlation, f, p, f,
      co.zeros(2, 1, 1, 4))
    raises("correlation: half: expected it before quarter, found nothing", co.correlation, f, p, f, nil, f)
    raises("correlation: radius: expected 0 to 8, found 9", co.correlation, f, p, f, { radius = 9 })
  end)
end)

describe("gru_reset and gru_update", function()
  it("are the gates of a recurrent unit", function()
    co.seed(4)
    local gates, state, q = co.randn(2, 3, 5, 12), co.randn(2, 3, 5, 10), co.randn(2, 3, 5, 6)
    local z, r = gates:narrow(4, 1, 6):sigmoid(), gates:narrow(4, 7, 6):sigmoid()
    local h, x = state:narrow(4, 1, 6), state:narrow(4, 7, 4)
    near(co.gru_reset(gates, state), co.cat({ r * h, x }, 4), 1e-6)
    near(co.gru_update(gates, state, q), (1 - z) * h + z * q:tanh(), 1e-6)
  end)

  it("refuse what does not fit in one line", function()
    local state = co.zeros(2, 3, 5)
    raises("gru_reset: gates: expected an even number of channels, found 2x3x5", co.gru_reset, state, state)
    raises("gru_reset: state: expected the rows of 2x3x12 with at least 6 channels, found 2x3x5", co.gru_reset,
      co.zeros(2, 3, 12), state)
    raises("gru_update: candidate: expected the rows of 2x3x4 with 2 channels, found 2x3x5", co.gru_update,
      co.zeros(2, 3, 4), state, state)
  end)
end)

describe("convex_upsample", function()
  it("is a mean of neighbours under the softmax of the mask", function()
    co.seed(5)
    local x, mask = co.randn(2, 3, 4, 2), co.randn(2, 3, 4, 9 * 9)
    local weight = mask:reshape({ 2, 3, 4, 9, 9 }):permute(1, 2, 3, 5, 4):softmax() -- …, pixel of nine, neighbour
    local around = co.unfold(x, { 3, 3 }, { padding = { 1, 1 } }):reshape { 2, 3, 4, 1, 9, 2 }
    local fine = (around * weight:reshape { 2, 3, 4, 9, 9, 1 }):sum(5) -- 2, 3, 4, 9, 2
    local expected = fine:reshape({ 2, 3, 4, 3, 3, 2 }):permute(1, 2, 4, 3, 5, 6):reshape { 2, 9, 12, 2 }
    near(co.convex_upsample(x, mask, { factor = 3 }), expected, 1e-6)
  end)

  it("refuses what does not fit in one line", function()
    raises("convex_upsample: mask: expected the pixels of 1x2x2x2 with 576 channels, found 1x2x2x9", co.convex_upsample,
      co.zeros(1, 2, 2, 2), co.zeros(1, 2, 2, 9))
    raises("convex_upsample: factor: expected 1 to 16, found 0", co.convex_upsample, co.zeros(1, 2, 2, 2),
      co.zeros(1, 2, 2, 0), { factor = 0 })
  end)
end)
