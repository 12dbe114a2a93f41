-- Maps sharpened by the frame, the least cut behind them, backgrounds of depth and by fit, and the score of a map.
local co = require "cohesiv"
local core = require "cohesiv.core"
local discs_of = require "tests.discs"
local support = require "tests.support"

local W, H, discs, flow_of, by_matrix = discs_of.W, discs_of.H, discs_of.discs, discs_of.flow_of, discs_of.by_matrix
local hand_at, owner, scene, sums_to_one = discs_of.hand_at, discs_of.owner, discs_of.scene, discs_of.sums_to_one

describe("sharpened maps", function()
  -- Two discs of speckled colours on a striped ground; the flow carries a halo of 5 pixels along.
  local function picture()
    local rows = {}
    co.seed(5)
    local noise = co.randn(H, W):totable()
    for y = 0, H - 1 do
      rows[y + 1] = {}
      for x = 0, W - 1 do
        local k, n = owner(x, y), 8 * noise[y + 1][x + 1]
        local colour = k == 1 and { 200, 140, 110 } or k == 2 and { 60, 90, 180 }
          or x // 6 % 2 == 0 and { 90, 110, 80 } or { 130, 130, 120 }
        for c = 1, 3 do colour[c] = math.max(0, math.min(255, math.floor(colour[c] + n + 0.5))) end
        rows[y + 1][x + 1] = colour
      end
    end
    return co.tensor(rows, { dtype = "uint8" })
  end
  local function haloed()
    return flow_of(W, H, function(x, y)
      for _, d in ipairs(discs) do
        if (x - d[1]) ^ 2 + (y - d[2]) ^ 2 < (d[3] + 5) ^ 2 then return by_matrix(d[4], x, y) end
      end
      return 0, 0
    end)
  end
  local function truth(k)
    return flow_of(W, H, function(x, y) return owner(x, y) == k and 1 or 0 end):reshape(H, W)
  end
  local function iou_of(map, real)
    local found = map:gt(0.5):to "float32"
    return (found * real):sum():item() / co.maximum(found, real):sum():item()
  end
  local function iou(map, k) return iou_of(map:select(3, k), truth(k)) end
  local function given(changes)
    local of = { flows = { haloed() }, hands = scene().hands }
    for key, value in pairs(changes or {}) do of[key] = value end
    return co.responsibility(of)
  end

  it("have their levels set where they agree best with the cut", function()
    local ramp = flow_of(W, H, function(x) return x / W, 0 end):select(3, 1)
    local other = (1 - ramp) * 0.5
    local map = co.stack({ ramp, other, other }, 3)
    local cut = co.stack({ ramp:gt(0.7):to "float32", co.zeros(H, W), ramp:le(0.7):to "float32" }, 3)
    local set = core.responsibility.level(map, cut)
    sums_to_one(set)
    assert.is_true(iou_of(set:select(3, 1), ramp:gt(0.7):to "float32") > 0.97)
    -- A hand without a cut keeps its odds.
    assert.is_true(support.difference(set:select(3, 2), set:select(3, 3)) < 1e-6)
    support.raises("cut: expected the shape of the map 64x96x3, found 64x96x2", core.responsibility.level, map,
      co.zeros(H, W, 2))
    local raw, levelled, sharp = given(), given { sharpen = "level", picture = picture() },
      given { sharpen = "cut", picture = picture() }
    sums_to_one(levelled.map)
    for k = 1, 2 do
      local own = sharp.map:select(3, k):gt(0.5):to "float32"
      assert.is_true(iou_of(levelled.map:select(3, k), own) >= iou_of(raw.map:select(3, k), own) - 0.01)
    end
    assert.equal(0, support.difference(raw.map, levelled:with { sharpen = false }.map))
  end)

  for _, how in ipairs { "cut", "walker" } do
    it(("lose the halo (%s)"):format(how), function()
      local raw, sharp = given(), given { sharpen = how, picture = picture() }
      for k = 1, 2 do
        assert.is_true(iou(raw.map, k) < 0.65, ("raw: %g"):format(iou(raw.map, k)))
        assert.is_true(iou(sharp.map, k) > 0.88, ("sharpened: %g"):format(iou(sharp.map, k)))
      end
      sums_to_one(sharp.map)
      local back = sharp:with { sharpen = false }
      assert.equal(0, support.difference(raw.map, back.map))
      assert.equal(0, support.difference(sharp.map, back:with { sharpen = how }.map))
    end)

    it(("are the same on any number of threads, background where there is no picture (%s)"):format(how), function()
      local before, found = co.threads(), {}
      finally(function() co.threads(before) end)
      for _, threads in ipairs { 1, 3 } do
        co.threads(threads)
        found[threads] = given({ sharpen = how, picture = picture(), content = { 90, 60 } }).map
      end
      assert.equal(0, support.difference(found[1], found[3]))
      assert.equal(0, found[1][{ {}, { 91, W }, { 1, 2 } }]:max():item())
      assert.equal(1, found[1][{ { 61, H }, {}, 3 }]:min():item())
    end)

    it(("share out a pixel that two hands claim (%s)"):format(how), function()
      local disc, hand = truth(1), scene().hands[1]
      local map = co.stack({ disc * 0.45, disc * 0.45, 1 - disc * 0.9 }, 3)
      local both = { flows = { co.zeros(H, W, 2) }, hands = { hand, hand } }
      local sharp = core.responsibility.sharpen(both, picture(), map, how)
      sums_to_one(sharp)
      assert.is_true(iou(sharp + 0.01, 1) > 0.88) -- each is as sure as it may be: a half
      assert.equal(0, support.difference(sharp:select(3, 1), sharp:select(3, 2)))
    end)
  end

  it("by the better way where true or the frame alone is given", function()
    local sharp = given { sharpen = "cut", picture = picture() }
    assert.equal(0, support.difference(sharp.map, given({ sharpen = picture() }).map))
    assert.equal(0, support.difference(sharp.map, given({ sharpen = true, picture = picture }).map))
    assert.equal("cut", given({ sharpen = picture() }).sharpen)
  end)

  it("leave the hand its flesh where there is nothing else to learn from", function()
    local map = co.responsibility({ flows = { co.zeros(H, W, 2) }, hands = scene().hands, sharpen = picture() }).map
    for k, hand in ipairs(scene().hands) do
      local mine = map:select(3, k)
      assert.is_true(mine:max():item() > 0.9)
      local x, y = hand[{ {}, 1 }]:mean():item() // 1 | 0, hand[{ {}, 2 }]:mean():item() // 1 | 0
      local near = mine[{ { y - 8, y + 10 }, { x - 8, x + 10 } }]
      assert.equal(mine:sum():item(), near:sum():item())
    end
    assert.equal(1, map[{ H, W, 3 }])
  end)

  it("refuse what is not the frame", function()
    support.raises("sharpen: expected an image, found true", given, { sharpen = true })
    local small = co.zeros(4, 4, 3, { dtype = "uint8" })
    support.raises(("image: expected %dx%dx3"):format(H, W), given, { sharpen = small })
  end)
end)

describe("a background of depth", function()
  local F = 80
  -- What a camera that moves by (tx, ty, tz) sees of points at depth(x, y); the first disc moves otherwise.
  local function seen(depth, tx, ty, tz)
    co.seed(4)
    return flow_of(W, H, function(x, y)
      if owner(x, y) == 1 then return -3, 5 end
      local Z = depth(x, y)
      local X, Y = (x - W / 2) * Z / F, (y - H / 2) * Z / F
      return (X + tx) * F / (Z + tz) + W / 2 - x, (Y + ty) * F / (Z + tz) + H / 2 - y
    end) + co.randn(H, W, 2) * 0.1
  end
  local function blocks(x, y) return 4 + (x // 8 * 7 + y // 8 * 5) % 6 end
  local function slope(x) return 5 + x / 30 end
  local function given(flow, background)
    return co.responsibility { flows = { flow, flow * 1 }, hands = { hand_at(20, 22, 16, 2) }, temperature = 1,
      background = background, fit = { model = "translation" } }
  end

  it("is found by its fit, and told", function()
    for kind, flow in pairs { epipolar = seen(blocks, 0.4, 0.1, 0.3), homography = seen(slope, 0.4, 0.1, 0.3),
      static = seen(blocks, 0, 0, 0) } do
      local R = given(flow, "auto")
      assert.equal(kind, R.background)
      for other, cost in pairs(R.background_fit) do assert.is_true(other == kind or cost > R.background_fit[kind]) end
      assert.is_truthy(tostring(R):find(kind .. " background", 1, true))
      assert.equal(0, support.difference(R.map, given(flow, kind).map))
      assert.equal(0, support.difference(R.map, given(flow, "static"):with({ background = "auto" }).map))
    end
  end)

  it("has the Sampson distance to its epipolar geometry for residual", function()
    local flow = seen(blocks, 0.4, 0.1, 0.3)
    local R = given(flow, "epipolar")
    local f = R.fundamental[2]:totable()
    for _, at in ipairs { { 5, 6 }, { 80, 50 }, { 28, 30 } } do
      local x, y = at[1], at[2]
      local u, v = x + flow[{ y + 1, x + 1, 1 }], y + flow[{ y + 1, x + 1, 2 }]
      local a, b = {}, {}
      for i = 1, 3 do
        a[i] = f[i][1] * x + f[i][2] * y + f[i][3]
        b[i] = f[1][i] * u + f[2][i] * v + f[3][i]
      end
      local d = math.abs(a[1] * u + a[2] * v + a[3]) / math.sqrt(a[1] ^ 2 + a[2] ^ 2 + b[1] ^ 2 + b[2] ^ 2)
      assert.is_true(math.abs(d - R.residuals[{ 2, y + 1, x + 1, 2 }]) < 1e-4 * (1 + d))
    end
    assert.is_true(R.residuals[{ 1, 31, 29, 2 }] > 1.5) -- on the disc
    local still = R.residuals[{ 1, { 1, 8 }, { 1, W }, 2 }]
    assert.is_true(still:mean():item() < 0.2)
    sums_to_one(R.map)
    assert.is_true(R.quality.background_residual < 0.2)
    assert.is_nil(R.background_homographies)
    assert.equal(1, R.map[{ H, W, 2 }] > 0.5 and 1 or 0)
  end)

  it("is a static one where nothing determines it", function()
    local R = co.responsibility { flows = { co.ones(4, 4, 2) }, hands = {}, background = "epipolar" }
    assert.is_true(support.difference(R.residuals:select(4, 1), co.full(math.sqrt(2), 1, 4, 4)) < 1e-6)
  end)
end)

it("a score ranks clear maps over ambiguous ones", function()
  local good = co.responsibility { flows = { scene().flows[1] * 1 }, hands = scene().hands, temperature = 0.5 }
  local poor = co.responsibility { flows = { scene().flows[1] * 0.1 + co.randn(H, W, 2) }, hands = scene().hands,
    temperature = 0.5 }
  assert.is_true(good.quality.score > 0.8 and poor.quality.score < 0.5)
  for _, name in ipairs { "score", "hand_motion", "hand_residual", "background_residual", "contrast" } do
    assert.equal("number", type(good.quality[name]))
    assert.equal("number", type(good.quality[2][name]))
  end
  assert.is_true(good.quality.hand_motion > 2 * poor.quality.hand_motion)
  assert.is_true(good.quality.hand_residual < poor.quality.hand_residual)
end)

describe("the least cut", function()
  -- What a mask costs, as cut.h has it; edges as the colours give them.
  local function cost(colours, odds, smooth, mask)
    local h, w = #odds, #odds[1]
    local function difference(y, x, v, u)
      local d = 0
      for c = 1, 3 do d = d + (colours[y][x][c] - colours[v][u][c]) ^ 2 end
      return d
    end
    local function edges(visit)
      for y = 1, h do
        for x = 1, w do
          for _, way in ipairs { { 1, 0, 1 }, { 0, 1, 1 }, { 1, 1, math.sqrt(0.5) }, { -1, 1, math.sqrt(0.5) } } do
            local u, v = x + way[1], y + way[2]
            if u >= 1 and u <= w and v <= h then visit(y, x, v, u, difference(y, x, v, u), way[3]) end
          end
        end
      end
    end
    local sum, count, total = 0, 0, 0
    edges(function(_, _, _, _, d) sum, count = sum + d, count + 1 end)
    edges(function(y, x, v, u, d, near)
      if mask(y, x) ~= mask(v, u) then
        total = total + smooth * near * math.exp(-0.5 * d / (sum / count + 1))
      end
    end)
    for y = 1, h do
      for x = 1, w do
        if (odds[y][x] > 0) ~= mask(y, x) then total = total + math.abs(odds[y][x]) end
      end
    end
    return total
  end

  it("costs least of all masks of a small picture", function()
    for seed = 1, 6 do
      co.seed(seed)
      local h, w = 3, 4
      local colours, odds = co.rand(h, w, 3) * 255, co.randn(h, w) * 2
      if seed > 3 then -- pixels that are fixed, some beside each other
        odds[{ 1, 1 }], odds[{ 1, 2 }], odds[{ 2, seed - 2 }] = -math.huge, math.huge, math.huge
      end
      local found = core.responsibility.cut(colours, odds, 1.5):totable()
      local c, o, least = colours:totable(), odds:totable(), math.huge
      for bits = 0, (1 << h * w) - 1 do
        least = math.min(least, cost(c, o, 1.5, function(y, x) return bits >> (y - 1) * w + x - 1 & 1 == 1 end))
      end
      local mine = cost(c, o, 1.5, function(y, x) return found[y][x] == 1 end)
      assert.is_true(mine < least + 0.05, ("seed %d: %g, least %g"):format(seed, mine, least))
    end
  end)

  it("is what the odds say without edges, and one piece with strong ones", function()
    co.seed(3)
    local odds, grey = co.randn(20, 30) + 0.4, co.full(9, 20, 30, 3)
    assert.equal(0, support.difference(odds:gt(0):to "float32", core.responsibility.cut(grey, odds, 0)))
    assert.equal(20 * 30, core.responsibility.cut(grey, odds, 50):sum():item())
    assert.equal(1, core.responsibility.cut(co.zeros(1, 1, 3), co.ones(1, 1), 9):item())
  end)

  it("refuses other sizes", function()
    support.raises("colours: expected the size of the odds", core.responsibility.cut, co.zeros(2, 2, 3), co.zeros(2, 3),
      1)
    support.raises("smooth: expected nats of 0 to 1000", core.responsibility.cut, co.zeros(2, 3, 3), co.zeros(2, 3), -1)
  end)
end)
