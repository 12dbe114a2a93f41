-- Pictures: known colours at known places, odd shapes, what is refused, and that nothing leaks.

local support = require "tests.support"
local co = require "cohesiv"
local show = require "cohesiv.tools.show"
local viz = co.viz

local function pixel(picture, y, x) return picture[y][x]:totable() end

local function full(value, height, width) return co.full(value, height, width, { dtype = "uint8" }) end

local function grey(value, height, width) return co.full(value, height, width, 3, { dtype = "uint8" }) end

describe("viz.viridis", function()
  it("runs from dark violet to yellow, clamps, and shows NaN in grey", function()
    local picture = viz.viridis(co.tensor { { 0, 1 }, { 0.5, 0 / 0 } }, { low = 0, high = 1 })
    assert.same({ 68, 1, 84 }, pixel(picture, 1, 1))
    assert.same({ 253, 231, 37 }, pixel(picture, 1, 2))
    assert.same({ 33, 144, 140 }, pixel(picture, 2, 1))
    assert.same({ 128, 128, 128 }, pixel(picture, 2, 2))
    assert.same(pixel(picture, 1, 1), pixel(viz.viridis(co.tensor { { -5 } }, { low = 0, high = 1 }), 1, 1))
  end)

  it("takes its range from a map that leaves 0 to 1, and float64", function()
    local picture = viz.viridis(co.tensor({ { -2, 6 } }, { dtype = "float64" }))
    assert.same({ 68, 1, 84 }, pixel(picture, 1, 1))
    assert.same({ 253, 231, 37 }, pixel(picture, 1, 2))
  end)

  it("takes constant and empty maps", function()
    assert.same({ 1, 1, 3 }, viz.viridis(co.tensor { { 7 } }).shape)
    assert.same({ 0, 4, 3 }, viz.viridis(co.zeros(0, 4)).shape)
  end)

  it("refuses other shapes", function()
    support.raises("expected a map HxW", viz.viridis, co.zeros(2, 3, 4))
    support.raises("expected a map HxW", viz.viridis, "text")
  end)
end)

describe("flow colours", function()
  it("are those of the Middlebury wheel", function()
    local directions = co.tensor { { { 1, 0 }, { -1, 0 }, { 0, 1 }, { 0, -1 }, { 0, 0 }, { 1e10, 0 } } }
    local picture = co.flow.color(directions, { full = 1 })
    local right, left, down, up = pixel(picture, 1, 1), pixel(picture, 1, 2), pixel(picture, 1, 3), pixel(picture, 1, 4)
    assert.is_true(right[1] == 255 and right[2] < 30 and right[3] < 30, "right is red")
    assert.is_true(left[1] == 0 and left[2] > 150 and left[3] > 150, "left is cyan")
    assert.is_true(down[1] > 200 and down[2] > 200 and down[3] < 60, "down is yellow")
    assert.is_true(up[3] > 200 and up[2] < 60, "up is blue to violet")
    assert.same({ 255, 255, 255 }, pixel(picture, 1, 5))
    assert.same({ 0, 0, 0 }, pixel(picture, 1, 6))
  end)

  it("are full at the largest magnitude, and white without motion", function()
    assert.same({ 255, 255, 255 }, pixel(co.flow.color(co.zeros(1, 1, 2)), 1, 1))
    assert.same(pixel(viz.flow_color(co.tensor { { { 3, 0 } } }), 1, 1),
      pixel(viz.flow_color(co.tensor { { { 8, 0 } } }), 1, 1))
    support.raises("expected a flow HxWx2", co.flow.color, co.zeros(2, 2, 3))
  end)
end)

describe("viz.overlay", function()
  local hand = co.tensor({ { 1, 1, 0, 0 } }, { dtype = "uint8" })
  local object = co.tensor({ { 0, 1, 1, 0 } }, { dtype = "uint8" })

  it("shows hand green, object blue, both cyan, the rest as it was", function()
    local picture = viz.overlay(grey(100, 1, 4), { hand = hand, object = object }, { alpha = 1 })
    assert.same(viz.colors.hand, pixel(picture, 1, 1))
    assert.same(viz.colors.overlap, pixel(picture, 1, 2))
    assert.same(viz.colors.object, pixel(picture, 1, 3))
    assert.same({ 100, 100, 100 }, pixel(picture, 1, 4))
  end)

  it("shows one mask in red, takes lists, and leaves the image alone", function()
    local image = grey(100, 1, 4)
    assert.same(viz.colors.all, pixel(viz.overlay(image, hand, { alpha = 1 }), 1, 1))
    assert.same(viz.colors.hand, pixel(viz.overlay(image, { { hand = hand } }, { alpha = 1 }), 1, 2))
    assert.same({ 100, 100, 100 }, pixel(image, 1, 1))
  end)

  it("refuses masks of another size and float images", function()
    support.raises("expected the picture's size 1x4x3, found 2x4", viz.overlay, grey(0, 1, 4), full(1, 2, 4))
    support.raises("expected a uint8 image", viz.overlay, co.zeros(1, 4, 3), hand)
  end)
end)

describe("viz.pca", function()
  it("puts the direction of largest variance in red", function()
    co.seed(1)
    local Z = co.randn(20, 30, 8) * co.tensor { 0.1, 5, 0.1, 0.1, 2, 0.1, 1, 0.1 }
    local colors = viz.pca(Z):to "float32"
    assert.same({ 20, 30, 3 }, colors.shape)
    local red = (colors:select(3, 1) - 127.5) / (255 / 4)
    local along = Z:select(3, 2)
    local z = (along - along:mean()) / along:var():sqrt()
    assert.is_true((red - z:clamp(-2, 2)):abs():mean():item() < 0.1)
  end)

  it("takes an embedding without variance, and refuses two channels", function()
    assert.same({ 128, 128, 128 }, pixel(viz.pca(co.ones(2, 2, 4)), 1, 1))
    support.raises("3 channels or more", viz.pca, co.ones(2, 2, 2))
  end)
end)

describe("viz.grid and viz.picture", function()
  it("lays pictures out in cells of the largest", function()
    local grid = viz.grid({ grey(1, 2, 3), grey(2, 4, 1), false, grey(3, 1, 1) }, 2, { gap = 1, ground = 9 })
    assert.same({ 9, 7, 3 }, grid.shape)
    assert.equal(1, pixel(grid, 1, 1)[1])
    assert.equal(9, pixel(grid, 3, 1)[1])
    assert.equal(2, pixel(grid, 1, 5)[1])
    assert.equal(9, pixel(grid, 6, 1)[1])
    assert.equal(3, pixel(grid, 6, 5)[1])
    support.raises("grid", viz.grid, {}, 1)
  end)

  it("knows what suits a value", function()
    for _, x in ipairs { grey(7, 2, 3), full(1, 2, 3), full(200, 2, 3), co.rand(2, 3), co.rand(2, 3, 1),
      co.rand(2, 3, 2), co.rand(2, 3, 3), co.rand(2, 3, 5), co.rand(2, 3, { dtype = "float64" }), co.rand(1, 1) } do
      local picture = viz.picture(x)
      assert.equal("uint8", picture.dtype)
      assert.same({ x.shape[1], x.shape[2], 3 }, picture.shape)
    end
    assert.same({ 200, 200, 200 }, pixel(viz.picture(full(200, 2, 3)), 1, 1))
    assert.same({ 255, 255, 255 }, pixel(viz.picture(full(1, 2, 3)), 1, 1))
    assert.same({ 2 * 5 + 4, 2 * 6 + 4, 3 }, viz.picture(co.rand(3, 5, 6, 2)).shape)
  end)

  it("refuses what is no picture", function()
    for _, x in ipairs { co.zeros(3), co.zeros(0, 3), full(1, 2, 3):to "int64", {}, "text", 3 } do
      if not (co.is_tensor(x) and x.dtype == "int64") then support.raises("expected an image", viz.picture, x) end
    end
  end)

  it("draws a responsibility and predictions", function()
    local R = co.responsibility { flows = { co.zeros(12, 16, 2) }, hands = { co.tensor { { 1, 1 }, { 9, 2 }, { 3, 9 },
      { 11, 10 } } } }
    assert.same({ 12, 16 * 2 + 4, 3 }, viz.picture(R).shape)
    local prediction = { attention = co.rand(4, 5), hand = full(1, 4, 5), object = full(0, 4, 5) }
    assert.same({ 4, 5 * 2 + 4, 3 }, viz.picture(prediction).shape)
    assert.same({ 12, 14, 3 }, viz.picture({ prediction, prediction }).shape)
  end)
end)

describe("pictures in files and in the terminal", function()
  it("are saved from tensors and responsibilities", function()
    local folder = support.temp()
    co.rand(4, 5):save(folder .. "/map.png")
    assert.same({ 4, 5, 3 }, co.image.read(folder .. "/map.png").shape)
    assert.equal("\137PNG", co.rand(4, 5):png():sub(1, 4))
    co.rand(4, 5):save(folder .. "/map.npy")
    assert.same({ 4, 5 }, co.load(folder .. "/map.npy").shape)
    support.raises("none", co.rand(4, 5).save, co.rand(4, 5), folder .. "/none/map.png")
    assert.same({ "map.npy", "map.png" }, support.list(folder))
  end)

  it("are half blocks of two pixels, at most as large as asked", function()
    local image = co.cat({ grey(10, 1, 2), grey(200, 1, 2) }, 1)
    assert.equal("\27[38;2;10;10;10;48;2;200;200;200m▀▀\27[0m\n", show.text(image, 2, 1))
    local text = show.text(co.rand(64, 100), 40, 10)
    local _, lines = text:gsub("\n", "")
    local _, blocks = text:gsub("▀", "")
    assert.is_true(lines <= 10 and blocks <= 400)
  end)

  it("are one line where stdout is no terminal", function()
    local result = support.cohesiv { "-e", "local co = require 'cohesiv' co.show(co.zeros(4, 5, 2))" }
    assert.equal("float32 4x5x2: a picture of 5x4\n", result.stdout)
  end)

  it("give their memory back", function()
    support.no_leak(function()
      local image = grey(100, 30, 40)
      local marked = viz.overlay(image, { hand = full(1, 30, 40) })
      viz.grid({ marked, co.rand(30, 40), co.rand(30, 40, 2), co.rand(30, 40, 6) }, 2)
      pcall(viz.overlay, image, full(1, 2, 2))
      show.text(image, 10, 10)
      viz.points(image, { { 3, 4 }, { -100, 1e6 } })
    end)
  end)
end)
