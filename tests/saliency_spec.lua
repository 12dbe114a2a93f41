-- The classical saliency detector: what stands out gets high values, what touches the border or fills it low ones.

local co = require "cohesiv"
local metrics = require "cohesiv.hands.metrics"

-- An image of one colour with a square of another.
local function scene(height, width, ground, figure, x0, y0, side)
  local image = co.zeros(height, width, 3, { dtype = "uint8" })
  for c = 1, 3 do
    image[{ {}, {}, c }] = ground[c]
    if figure then image[{ { y0, y0 + side - 1 }, { x0, x0 + side - 1 }, c }] = figure[c] end
  end
  return image
end

local grey, red, green = { 120, 120, 120 }, { 200, 40, 40 }, { 30, 140, 40 }

local function mean_in(map, x0, y0, side)
  return map[{ { y0, y0 + side - 1 }, { x0, x0 + side - 1 } }]:mean():item()
end

describe("saliency", function()
  it("finds a coloured square in every place, and its IoU at the best threshold is high", function()
    for _, at in ipairs { { 40, 30 }, { 100, 60 }, { 70, 50 } } do
      local map = metrics.saliency(scene(120, 160, grey, red, at[1], at[2], 24))
      assert.is_true(mean_in(map, at[1], at[2], 24) > 5 * map:mean():item())
      local truth = co.zeros(120, 160, { dtype = "uint8" })
      truth[{ { at[2], at[2] + 23 }, { at[1], at[1] + 23 } }] = 1
      assert.is_true(metrics.table(map, nil, truth, nil, metrics.grid(0, 1, 50)):max():item() > 0.8)
    end
  end)

  it("is 0 … 1, and 0 where nothing differs", function()
    co.seed(1)
    local map = metrics.saliency((co.rand(40, 50, 3) * 255):to "uint8")
    assert.are.same({ 0, 1 }, { map:min():item(), map:max():item() })
    assert.are.equal(0, metrics.saliency(scene(40, 50, grey)):max():item())
  end)

  it("takes what reaches along the border for background", function()
    -- A green half-plane is as large and as coloured as grey is not; the red square inside grey stands out more.
    local image = scene(120, 160, grey, red, 30, 50, 20)
    for c = 1, 3 do image[{ {}, { 100, 160 }, c }] = green[c] end
    local map = metrics.saliency(image)
    assert.is_true(mean_in(map, 30, 50, 20) > 2 * mean_in(map, 130, 50, 20))
  end)

  it("changes little with the image's size", function()
    local small = metrics.saliency(scene(60, 80, grey, red, 20, 15, 12))
    local large = metrics.saliency(scene(240, 320, grey, red, 77, 57, 48))
    local shrunk = metrics.resize(large, 80, 60)
    assert.is_true((small - shrunk):abs():mean():item() < 0.05)
  end)

  it("takes any size, also one pixel, and names what it cannot take", function()
    for _, size in ipairs { { 1, 1 }, { 1, 40 }, { 40, 1 }, { 2, 3 } } do
      local map = metrics.saliency(scene(size[1], size[2], red))
      assert.are.same({ size[1], size[2] }, map.shape)
      assert.are.equal(0, map:max():item())
    end
    local ok, message = pcall(metrics.saliency, co.zeros(4, 4, 2, { dtype = "uint8" }))
    assert.is_false(ok)
    assert.is_truthy(message:find("expected HxWx3", 1, true))
    assert.is_false(pcall(metrics.saliency, co.zeros(0, 4, 3, { dtype = "uint8" })))
    assert.is_false(pcall(metrics.saliency, co.zeros(4, 4, 3)))
  end)

  it("gives back all memory", function()
    local image = scene(60, 80, grey, red, 20, 15, 12)
    collectgarbage() collectgarbage()
    local before = co.memory().live
    for _ = 1, 5 do metrics.saliency(image):close() end
    assert.are.equal(before, co.memory().live)
  end)
end)
