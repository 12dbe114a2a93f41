-- co.homography.fit: known motions, outliers, and points that determine nothing.
local co = require "cohesiv"
local support = require "tests.support"

local f64 = { dtype = "float64" }
local M = { { 1.05, 0.1, -12 }, { -0.08, 0.97, 30 }, { 2e-4, -1e-4, 1 } }

local function apply(m, p)
  local w = m[3][1] * p[1] + m[3][2] * p[2] + m[3][3]
  return { (m[1][1] * p[1] + m[1][2] * p[2] + m[1][3]) / w, (m[2][1] * p[1] + m[2][2] * p[2] + m[2][3]) / w }
end

-- n points in a 300×200 box, and where m takes them
local function pairs_of(m, n, seed)
  co.seed(seed or 7)
  local source, target = (co.rand(n, 2, f64) * 200):totable(), {}
  for i, p in ipairs(source) do target[i] = apply(m, p) end
  return source, target
end

local function close(expected, found, tolerance)
  for i = 1, 3 do
    for j = 1, 3 do
      local e = expected[i][j]
      local off = math.abs(found[i][j] - e)
      assert.is_true(off <= tolerance * math.max(1, math.abs(e)), ("entry %d, %d: expected %.9g, found %.9g"):format(
        i, j, e, found[i][j]))
    end
  end
end

local function fit(source, target, options)
  return co.homography.fit(co.tensor(source, f64), co.tensor(target, f64), options)
end

describe("co.homography.fit", function()
  it("finds a homography from four points and from many", function()
    for _, n in ipairs { 4, 5, 21, 600 } do
      local m = fit(pairs_of(M, n))
      assert.same({ 3, 3 }, m.shape)
      assert.equal("float64", m.dtype)
      assert.equal(1, m[3][3])
      close(M, m, 1e-6)
    end
  end)

  it("does not mind where the origin is, or the unit", function()
    local m = { { 1e-3, 2e-4, 5 }, { -1e-4, 2e-3, -7 }, { 1e-7, 2e-7, 1 } }
    local source, target = pairs_of(m, 30)
    for _, p in ipairs(source) do p[1], p[2] = p[1] + 1e4, p[2] - 3e4 end
    for i, p in ipairs(source) do target[i] = apply(m, p) end
    local found = fit(source, target)
    for i, p in ipairs(source) do
      local q = apply(found:totable(), p)
      assert.near(target[i][1], q[1], 1e-7)
      assert.near(target[i][2], q[2], 1e-7)
    end
  end)

  it("takes float32 tensors and tables", function()
    local source, target = pairs_of(M, 21)
    close(M, co.homography.fit(co.tensor(source), co.tensor(target)), 1e-3)
    close(M, co.homography.fit(source, target), 1e-6)
  end)

  it("finds affine, similarity and translation from the least number of points and from many", function()
    local models = {
      affine = { 3, { { 1.2, 0.3, 4 }, { -0.1, 0.8, -9 }, { 0, 0, 1 } } },
      similarity = { 2, { { 0.9, -0.4, 11 }, { 0.4, 0.9, 3 }, { 0, 0, 1 } } },
      translation = { 1, { { 1, 0, -3.5 }, { 0, 1, 8.25 }, { 0, 0, 1 } } },
    }
    for name, model in pairs(models) do
      for _, n in ipairs { model[1], 40 } do
        local source, target = pairs_of(model[2], n)
        close(model[2], fit(source, target, { model = name }), 1e-9)
      end
    end
  end)

  it("is the least-squares translation", function()
    local m = fit({ { 0, 0 }, { 10, 0 }, { 0, 10 } }, { { 1, 0 }, { 13, 0 }, { 2, 13 } }, { model = "translation" })
    close({ { 1, 0, 2 }, { 0, 1, 1 }, { 0, 0, 1 } }, m, 1e-12)
  end)

  it("sees past outliers, the same every time", function()
    for _, model in ipairs { "homography", "affine", "similarity", "translation" } do
      local truth = model == "homography" and M or { { 1, 0, 5 }, { 0, 1, -6 }, { 0, 0, 1 } }
      local source, target = pairs_of(truth, 100)
      for i = 1, 40 do target[i] = { target[i][1] + 20 + i, target[i][2] - 3 * i } end
      for _, robust in ipairs { true, 1.5 } do
        local m, inliers = fit(source, target, { model = model, robust = robust })
        close(truth, m, 1e-4)
        assert.near(0.6, inliers, 0.01)
        assert.same(m:totable(), fit(source, target, { model = model, robust = robust }):totable())
      end
      local plain = fit(source, target, { model = model })
      assert.is_true(math.abs(plain[1][3] - truth[1][3]) > 0.5)
    end
  end)

  it("refuses points that do not determine the motion", function()
    local line, moved, bent = {}, {}, {}
    for i = 1, 12 do
      line[i] = { i * 7, i * 2.6 + 3 }
      moved[i], bent[i] = { i * 7 + 2, i * 2.6 }, { i * 7, i * i }
    end
    local three_on_a_line = { { 0, 0 }, { 10, 10 }, { 20, 20 }, { 5, 30 } }
    local square = { { 0, 0 }, { 10, 0 }, { 10, 10 }, { 0, 10 } }
    local one_place = { { 4, 4 }, { 4, 4 }, { 4, 4 }, { 4, 4 } }
    local text = "homography: expected four points of which no three are on a line"
    for _, robust in ipairs { false, true } do
      local function refuses(words, source, target, model)
        support.raises(words, fit, source, target, { model = model, robust = robust })
      end
      refuses(text, line, moved)
      refuses(text, line, bent)
      refuses(text, three_on_a_line, three_on_a_line)
      refuses(text, three_on_a_line, square)
      refuses(text, one_place, square)
      refuses(text, square, one_place)
      refuses(text .. ", found 3", { { 0, 0 }, { 1, 0 }, { 0, 1 } }, { { 0, 0 }, { 1, 0 }, { 0, 1 } })
      refuses("expected three points that are not on a line", line, moved, "affine")
      refuses("expected three points that are not on a line", { { 0, 0 }, { 1, 0 } }, { { 0, 0 }, { 1, 0 } }, "affine")
      refuses("expected two points apart", one_place, square, "similarity")
      refuses("finite points", { { 0, 0 }, { 1, 0 }, { 0, 0 / 0 }, { 1, 1 }, { 3, 1 } },
        { { 0, 0 }, { 1, 0 }, { 0, 1 }, { 1, 1 }, { 3, 1 } })
    end
    support.raises("expected one point", co.homography.fit, co.zeros(0, 2), co.zeros(0, 2), { model = "translation" })
  end)

  it("refuses points on a line that float32 has rounded", function()
    local line = {}
    for i = 1, 21 do line[i] = { 100 + i * 3.3, 50 + i * 1.7 } end
    support.raises("no three are on a line", co.homography.fit, co.tensor(line), co.tensor(line))
  end)

  it("says what is wrong with the arguments", function()
    local square = co.tensor { { 0, 0 }, { 10, 0 }, { 10, 10 }, { 0, 10 } }
    support.raises("source: expected shape Nx2, found 4x3", co.homography.fit, co.zeros(4, 3), square)
    support.raises("target: expected shape 4x2, found 5x2", co.homography.fit, square, co.zeros(5, 2))
    support.raises("source: expected a tensor, found nil", co.homography.fit, nil, square)
    support.raises("model: expected homography, affine, similarity or translation, found perspective",
      co.homography.fit, square, square, { model = "perspective" })
    support.raises("options model and robust, found rubust", co.homography.fit, square, square, { rubust = true })
    support.raises("robust: expected true, false or pixels above 0", co.homography.fit, square, square, { robust = -1 })
  end)

  it("gives back all memory", function()
    support.no_leak(function() fit(pairs_of(M, 50)) end)
  end)

  it("gives a homography whose last entry is 0, up to scale, by every way of fitting", function()
    local p = { { 1, 2 }, { 4, 1 }, { -3, 2 }, { 2, 5 }, { 7, 3 }, { -2, 4 }, { 3, 3 } }
    for name, take in pairs { -- H = {a, b, c}, {d, e, f}, {g, h, 0}: the origin goes to infinity
      shear = function(x, y) return (x + y) / y, (x + 1) / y end,
      turned = function(x, y) return (2 * y + 3) / (x + 10 * y), (x - y - 1) / (x + 10 * y) end,
    } do
      local q = {}
      for i, v in ipairs(p) do q[i] = { take(v[1], v[2]) } end
      for _, robust in ipairs { false, true, 1e-3 } do
        local h = co.homography.fit(p, q, { robust = robust }):totable()
        local norm, largest = 0, 0
        for r = 1, 3 do
          for c = 1, 3 do
            norm = norm + h[r][c] ^ 2
            if math.abs(h[r][c]) > math.abs(largest) then largest = h[r][c] end
          end
        end
        assert.is_true(math.abs(norm - 1) < 1e-12 and largest > 0, name)
        assert.is_true(math.abs(h[3][3]) < 1e-12, name)
        for i, v in ipairs(p) do
          local w = h[3][1] * v[1] + h[3][2] * v[2] + h[3][3]
          assert.is_true(math.abs((h[1][1] * v[1] + h[1][2] * v[2] + h[1][3]) / w - q[i][1]) < 1e-9, name)
          assert.is_true(math.abs((h[2][1] * v[1] + h[2][2] * v[2] + h[2][3]) / w - q[i][2]) < 1e-9, name)
        end
      end
    end
  end)

  it("tells a motion that flattens the plane as that", function()
    local p, q = { { 1, 2 }, { 4, 1 }, { -3, 2 }, { 2, 5 }, { 7, 3 }, { -2, 4 } }, {}
    for i, v in ipairs(p) do q[i] = { (v[1] + v[2]) / v[2], v[1] / v[2] } end -- x = y + 1
    local line = support.raises("found points that only a motion that flattens the plane fits",
      co.homography.fit, p, q)
    assert.is_truthy(line:find("last entry 0", 1, true), line)
    assert.is_nil(line:find("8th singular value", 1, true), line)
  end)

  it("refuses numbers that are none, with their row", function()
    local good = { { 0, 0 }, { 1, 0 }, { 1, 1 }, { 0, 1 }, { 2, 3 } }
    for text, value in pairs { nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge } do
      for _, robust in ipairs { false, true, 2 } do
        local bad = { { 0, 0 }, { 1, 0 }, { 1, value }, { 0, 1 }, { 2, 3 } }
        support.raises(("homography.fit: source: expected finite points, found %s in row 3"):format(text),
          co.homography.fit, bad, good, { robust = robust })
        support.raises(("homography.fit: target: expected finite points, found %s in row 3"):format(text),
          co.homography.fit, co.tensor(good), co.tensor(bad), { robust = robust })
      end
    end
  end)
end)
