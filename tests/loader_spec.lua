-- The training data's way: batches are a pure function of (seed, epoch, index) for any number of workers, epochs are
-- permutations, augmentation moves image, maps, labels and points together, damaged samples give one line.
local co = require "cohesiv"
local core = require "cohesiv.core"
local support = require "tests.support"

local W, H, CW, CH = 48, 40, 44, 36 -- size; content
local folder = support.temp()

-- Channel values that grow by `sx` a column and `sy` a row.
local function ramp(sx, sy)
  return (co.arange(W):reshape(1, W) * sx + co.arange(H):reshape(H, 1) * sy):to "uint8"
end

-- A sample whose image tells where each pixel comes from: red = 5 x, green = 6 y; two maps that are ramps, too.
local function position_sample(name)
  local path = ("%s/%s.npz"):format(folder, name)
  core.sample_write(path, {
    image = co.stack({ ramp(5, 0), ramp(0, 6), ramp(0, 0) }, 3),
    maps = co.stack({ ramp(4, 0), ramp(0, 5) }, 3),
    person = (co.lt(co.arange(W), 15):to "float32" * 255):reshape(1, W):expand(H, W):to "uint8",
    points = co.tensor { { 20, 12 }, { 30.5, 25.25 } }, content = { CW, CH },
  })
  return path
end

-- A sample that is told by its one grey value.
local function plain_sample(i)
  local path = ("%s/plain%d.npz"):format(folder, i)
  core.sample_write(path, {
    image = co.full(i, H, W, 3, { dtype = "uint8" }), maps = co.full(10 * i, H, W, 1, { dtype = "uint8" }),
    person = co.zeros(H, W, { dtype = "uint8" }), points = co.tensor { { i, i } }, content = { W, H },
  })
  return path
end

local paths = {}
for i = 1, 7 do paths[i] = plain_sample(i) end
local position = position_sample "position"

local function loader(changes)
  local o = { paths = paths, size = { W, H }, batch = 3, seed = 4, tau = 0.5, band = 0 }
  for k, v in pairs(changes or {}) do o[k] = v end
  return core.loader(o)
end

local GEOMETRY = { flip = 0.5, scale = { 0.7, 1.5 }, rotate = 25, shift = 0.2 }
local EVERYTHING = { colour = 0.3, blur = 0.5, noise = 0.05, paste = 0.3, join = 0.3 }
for k, v in pairs(GEOMETRY) do EVERYTHING[k] = v end

local function bytes_of(b)
  local out = { b.epoch, b.index }
  for _, name in ipairs { "image", "label", "maps", "points", "image_index" } do
    out[#out + 1] = b[name].shape
    out[#out + 1] = b[name]:sum():item()
    out[#out + 1] = b[name]:reshape(-1)[{ { 1, math.min(300, b[name]:reshape(-1).shape[1]) } }]:totable()
  end
  return out
end

local function ids(b)
  local out = {}
  for i = 1, b.image.shape[1] do out[i] = b.image[i]:reshape(-1)[1] end
  return out
end

describe("a loader", function()
  it("gives batches of the promised shapes and kinds", function()
    local l <close> = loader { paths = { position, paths[1] }, batch = 2, shuffle = false }
    local b = l:next()
    assert.same({ { 2, H, W, 3 }, "uint8" }, { b.image.shape, b.image.dtype })
    assert.same({ { 2, H, W }, "int32" }, { b.label.shape, b.label.dtype })
    assert.same({ { 3, H, W }, "float32" }, { b.maps.shape, b.maps.dtype })
    assert.same({ { 20, 12 }, { 30.5, 25.25 }, { 1, 1 } }, b.points:totable())
    assert.same({ { 1, 1, 2 }, "int32" }, { b.image_index:totable(), b.image_index.dtype })
    assert.same({ 1, 1, 1 }, { b.epoch, b.index, l:batches() })
  end)

  it("goes through every sample once an epoch, in another order each", function()
    local l <close> = loader()
    assert.equal(3, l:batches())
    local orders = {}
    for epoch = 1, 3 do
      local seen, order = {}, {}
      for index = 1, 3 do
        local b = l:next()
        assert.same({ epoch, index }, { b.epoch, b.index })
        assert.equal(index < 3 and 3 or 1, b.image.shape[1])
        for _, id in ipairs(ids(b)) do
          assert.is_nil(seen[id])
          seen[id] = true
          order[#order + 1] = id
        end
      end
      assert.equal(7, #order)
      orders[epoch] = table.concat(order, " ")
    end
    assert.is_true(orders[1] ~= orders[2] and orders[2] ~= orders[3])
    local plain <close> = loader { shuffle = false }
    assert.same({ 1, 2, 3 }, ids(plain:next()))
  end)

  it("shows samples as often as their weights tell, an epoch being as long as without", function()
    local weights, counts = { 1, 1, 1, 1, 1, 1, 8 }, {}
    local l <close> = loader { weights = weights }
    for i = 1, #paths do counts[i] = 0 end
    for _ = 1, 40 do
      local seen, all = {}, 0
      for index = 1, l:batches() do
        local b = l:next()
        assert.same(ids(b), l:samples(b.epoch, index))
        for _, id in ipairs(ids(b)) do seen[id] = (seen[id] or 0) + 1 end
      end
      for id = 1, #paths do
        local share, n = #paths * weights[id] / 14, seen[id] or 0
        assert.is_true(n == math.floor(share) or n == math.ceil(share))
        counts[id], all = counts[id] + n, all + n
      end
      assert.equal(#paths, all)
    end
    for i = 1, 6 do assert.is_true(counts[i] > 8 and counts[i] < 32, counts[i]) end -- 20 in the mean
    -- One sample twice in an epoch is augmented twice.
    local twice <close> = loader { weights = { 1, 1000 }, paths = { paths[1], position }, augment = GEOMETRY,
      batch = 2 }
    local images = twice:next().image
    assert.is_true(support.difference(images[1], images[2]) > 0)
    support.raises("loader: weights: expected 7, one for each path, found 2", loader, { weights = { 1, 1 } })
    support.raises("loader: weights: expected positive numbers, found 0", loader, { weights = { 1, 1, 1, 0, 1, 1, 1 } })
  end)

  it("gives the same bytes for any number of workers, and others for another seed", function()
    local runs = {}
    for k, o in ipairs { { workers = 1 }, { workers = 3 }, { workers = 8 }, { seed = 5 } } do
      o.augment = EVERYTHING
      local l <close> = loader(o)
      runs[k] = {}
      for i = 1, 8 do runs[k][i] = bytes_of(l:next()) end
    end
    assert.same(runs[1], runs[2])
    assert.same(runs[1], runs[3])
    assert.not_same(runs[1], runs[4])
  end)

  it("goes on at any place", function()
    local first <close> = loader { augment = EVERYTHING }
    local list = {}
    for i = 1, 9 do list[i] = bytes_of(first:next()) end
    for _, at in ipairs { { 1, 1, 1 }, { 3, 2, 8 }, { 2, 1, 4 }, { 1, 3, 3 }, { 1, 4, 4 } } do
      local l <close> = loader { augment = EVERYTHING, workers = 2 }
      l:next()
      l:seek(at[1], at[2])
      assert.same(list[at[3]], bytes_of(l:next()))
      for _ = 1, 5 do l:seek(2, 2) end
      assert.same(list[5], bytes_of(l:next()))
    end
    support.raises("positions from 1, found 0, 1", first.seek, first, 0, 1)
  end)

  it("without augmentation leaves everything as it is, and padding out", function()
    local l <close> = loader { paths = { position }, batch = 1 }
    local b = l:next()
    for _, p in ipairs { { 1, 1 }, { CW, CH }, { 20, 30 } } do
      local x, y = p[1], p[2]
      assert.same({ 5 * (x - 1), 6 * (y - 1), 0 }, b.image[{ 1, y, x }]:totable())
      assert.is_true(math.abs(b.maps[{ 1, y, x }] - 4 * (x - 1) / 255) < 1e-6)
      assert.is_true(math.abs(b.maps[{ 2, y, x }] - 5 * (y - 1) / 255) < 1e-6)
    end
    local label = b.label[1]
    assert.same({ 1, 3, 2 }, { label[1][15], label[1][16], label[1][40] }) -- person; background; object: 4 x > 127
    assert.equal(2, label[30][16])
    local padding = { { 1, W }, { H, 1 }, { CH + 1, CW }, { CH, CW + 1 } }
    for _, p in ipairs(padding) do
      assert.same({ 0, -1, -1 }, { label[p], b.maps[{ 1, p[1], p[2] }], b.maps[{ 2, p[1], p[2] }] })
    end
  end)

  it("leaves a band around tau out", function()
    local l <close> = loader { paths = { position }, batch = 1, tau = 0.4, band = 0.1 }
    local label = l:next().label[1]
    -- the first row: 4 x / 255, person left of 15
    assert.same({ 1, 3, 0, 0, 2 }, { label[1][15], label[1][19], label[1][22], label[1][31], label[1][34] })
  end)

  it("moves image, maps, labels and points by one geometry", function()
    local l <close> = loader { paths = { position }, batch = 1, augment = GEOMETRY, seed = 9 }
    local flips, checked, all = 0, 0, support.small and 6 or 20
    for _ = 1, all do
      local b = l:next()
      local image, label = b.image[1]:totable(), b.label[1]:totable()
      local maps = b.maps:totable()
      local slope = image[18][24][1] - image[18][20][1]
      flips = flips + (slope < 0 and 1 or 0)
      for y = 1, H do
        for x = 1, W do
          local sx, sy = image[y][x][1] / 5, image[y][x][2] / 6 -- where it comes from
          if sx > 1 and sx < CW - 2 and sy > 1 and sy < CH - 2 then
            checked = checked + 1
            assert.is_true(x <= CW and y <= CH)
            local first, second = 4 * sx / 255, 5 * sy / 255
            if #maps == 2 then
              assert.is_true(math.abs(maps[1][y][x] - first) < 0.5 * 4 / 5 / 255 + 1e-4)
              assert.is_true(math.abs(maps[2][y][x] - second) < 0.5 * 5 / 6 / 255 + 1e-4)
            end
            local largest = math.max(first, second)
            if sx < 14.3 then
              assert.equal(1, label[y][x])
            elseif sx > 14.7 and math.abs(largest - 0.5) > 0.01 then
              assert.equal(largest > 0.5 and 2 or 3, label[y][x])
            end
          end
        end
      end
      local want = { { 20, 12 }, { 30.5, 25.25 } }
      if #maps == 2 then
        for k, p in ipairs(b.points:totable()) do
          local x, y = math.floor(p[1]), math.floor(p[2])
          if x >= 1 and y >= 1 and x < CW - 1 and y < CH - 1 then
            local fx, fy = p[1] - x, p[2] - y
            local function at(c)
              local function v(dx, dy) return image[y + 1 + dy][x + 1 + dx][c] end
              return (v(0, 0) * (1 - fx) + v(1, 0) * fx) * (1 - fy) + (v(0, 1) * (1 - fx) + v(1, 1) * fx) * fy
            end
            assert.is_true(math.abs(at(1) / 5 - want[k][1]) < 0.15 and math.abs(at(2) / 6 - want[k][2]) < 0.15)
          end
        end
      end
    end
    assert.is_true(checked > 300 * all)
    assert.is_true(flips > 0 and flips < all)
  end)

  it("gives each of several ranks its part of every batch of one", function()
    local whole = {}
    for _, count in ipairs { 1, 2, 3, 5 } do
      local ranks = {}
      for rank = 1, count do
        ranks[rank] = loader { rank = rank, count = count, batch = 5, augment = EVERYTHING, workers = 2 }
        assert.equal(2, ranks[rank]:batches()) -- 5 samples and 2
      end
      for at = 1, 4 do
        local seen, points, sizes = {}, {}, {}
        for rank, l in ipairs(ranks) do
          local b = l:next()
          assert.same({ (at + 1) // 2, 2 - at % 2 }, { b.epoch, b.index })
          sizes[rank] = b.image.shape[1]
          if sizes[rank] > 0 then
            for i = 1, sizes[rank] do seen[#seen + 1] = b.image[i]:to("float64"):sum():item() end
            for _, p in ipairs(b.points:totable()) do points[#points + 1] = p end
          end
        end
        whole[at] = whole[at] or { seen, points }
        assert.same(whole[at], { seen, points })
        assert.is_true(math.max(table.unpack(sizes)) - math.min(table.unpack(sizes)) <= 1)
      end
      for _, l in ipairs(ranks) do -- resumed anywhere, it goes on alike
        l:seek(2, 1)
        local b = l:next()
        assert.same({ 2, 1 }, { b.epoch, b.index })
        l:close()
      end
    end
    support.raises("rank of 1 to 2, found 3", loader, { rank = 3, count = 2 })
    support.raises("rank of 1 to 2, found 0", loader, { rank = 0, count = 2 })
    support.raises("rank of 1 to 0", loader, { count = 0 })
  end)

  it("takes arrays of any meaning, stacked or one behind the other", function()
    local made = {}
    for i = 1, 3 do
      made[i] = ("%s/arrays%d.npz"):format(folder, i)
      co.save(made[i], { image = co.full(i, 2, 3, { dtype = "uint8" }), boxes = co.full(i, i - 1, 4),
        weight = co.tensor(i / 2) })
    end
    local function arrays(collate, changes)
      local o = { paths = made, batch = 3, shuffle = false, collate = collate }
      for k, v in pairs(changes or {}) do o[k] = v end
      return core.loader(o)
    end
    local l <close> = arrays { image = "stack", boxes = "concat", weight = "stack" }
    local b = l:next()
    assert.same({ { 3, 2, 3 }, "uint8" }, { b.image.shape, b.image.dtype })
    assert.same({ 1, 2, 3 }, b.image:select(2, 1):select(2, 1):totable())
    assert.same({ { 2, 2, 2, 2 }, { 3, 3, 3, 3 }, { 3, 3, 3, 3 } }, b.boxes:totable())
    assert.same({ { 2, 3, 3 }, "int32" }, { b.boxes_index:totable(), b.boxes_index.dtype })
    assert.same({ 0.5, 1, 1.5 }, b.weight:totable())
    local one <close> = arrays({ weight = "stack" }, { rank = 2, count = 2 })
    assert.same({ 1, 1.5 }, one:next().weight:totable())
    local unequal <close> = arrays { boxes = "stack" }
    support.raises("boxes: expected float32 of 0x4 in all samples of a batch, found float32 of 1x4", unequal.next,
      unequal)
    local missing <close> = arrays { flow = "stack" }
    support.raises("arrays1.npz: expected an array flow, found none", missing.next, missing)
    local scalar <close> = arrays { weight = "concat" }
    support.raises("weight: expected rows to concatenate, found a scalar", scalar.next, scalar)
    support.raises('collate: expected NAME = "stack" or "concat", found image', arrays, { image = "sum" })
    support.raises("collate: expected fields, found none", arrays, {})
    support.raises("collate: expected a table", arrays, "stack")
    local long, many = {}, {}
    long[("x"):rep(40)] = "stack"
    for i = 1, 20 do many["f" .. i] = "stack" end
    support.raises("at most 16 fields of short names", arrays, long)
    support.raises("at most 16 fields of short names", arrays, many)
  end)

  -- A sample of one grey with a rectangle of another, which is what its one hand's map holds; the point is in it.
  local function rectangle(name, grey, left, top, right, bottom)
    local path, map = ("%s/%s.npz"):format(folder, name), co.zeros(H, W, 1)
    local image, inside = co.full(grey, H, W, 3, { dtype = "uint8" }), { { top, bottom }, { left, right } }
    map[inside] = co.full(255, bottom - top + 1, right - left + 1, 1)
    image[inside] = co.full(grey + 50, bottom - top + 1, right - left + 1, 3, { dtype = "uint8" })
    core.sample_write(path, { image = image, maps = map:to "uint8", person = co.zeros(H, W, { dtype = "uint8" }),
      points = co.tensor { { (left + right) / 2 - 1, (top + bottom) / 2 - 1 } }, content = { W, H } })
    return path
  end

  -- Batches of one sample, of two that may be mixed, each `times` times: image, label, maps, points.
  local function mixed(paths_of, augment, times, f)
    local l <close> = loader { paths = paths_of, batch = 1, shuffle = false, augment = augment, stride = 2 }
    for _ = 1, times do
      for i = 1, #paths_of do
        local b = l:next()
        f(i, b.image[1]:select(3, 1), b.label[1], b.maps, b.points:totable())
      end
    end
  end

  it("lays one sample's hands and objects upon another's picture", function()
    local there = { { 5, 5, 16, 16 }, { 27, 21, 40, 34 }, { 3, 3, 20, 20 } } -- the third hides the first
    local files = {}
    for i, at in ipairs(there) do files[i] = rectangle("paste" .. i, 40 * i, table.unpack(at)) end
    local seen = {}
    mixed(files, { paste = 1 }, 40, function(i, image, label, maps, points)
      local of = {} -- whose the hands are, by their points
      for k, p in ipairs(points) do
        for j, at in ipairs(there) do
          if math.abs((at[1] + at[3]) / 2 - 1 - (2 * p[1] + 0.5)) < 0.3 then of[k] = j end
        end
        local x, y = math.floor(2 * p[1] + 1.5), math.floor(2 * p[2] + 1.5)
        assert.equal(40 * of[k] + 50, image[{ y, x }])
        assert.equal(2, label[{ y // 2 + 1, x // 2 + 1 }])
        for other = 1, #points do
          assert.equal(other == k and 1 or 0, maps[{ other, y // 2 + 1, x // 2 + 1 }])
        end
      end
      seen[i .. ":" .. table.concat(of, "+")] = true
      assert.equal(40 * i, image[{ H, 1 }]) -- the picture is the first one's
      assert.equal(3, label[{ H // 2, 1 }])
    end)
    -- With itself (which hides its own hand), upon others, and where one hides the other.
    assert.same({ ["1:1"] = true, ["1:1+2"] = true, ["1:3"] = true, ["2:2"] = true, ["2:2+1"] = true,
      ["2:2+3"] = true, ["3:1"] = true, ["3:3+2"] = true, ["3:3"] = true }, seen)
  end)

  it("puts two samples side by side, each around one of its hands", function()
    local files = { rectangle("join1", 40, 5, 5, 16, 16), rectangle("join2", 120, 27, 21, 40, 34) }
    local seen = {}
    mixed(files, { join = 1 }, 20, function(i, image, label, maps, points)
      assert.same({ 2, H // 2, W // 2 }, maps.shape)
      local row = image[H]:totable() -- below both rectangles: where one picture ends
      local left = 1
      while left < W and row[left + 1] == row[1] do left = left + 1 end
      local own, alone = row[1] == 40 * (2 * i - 1), row[1] == row[W] -- on the left; of itself
      for k, p in ipairs(points) do
        local x, y = math.floor(2 * p[1] + 1.5), math.floor(2 * p[2] + 1.5)
        assert.equal(row[x] + 50, image[{ y, x }])
        assert.equal(2, label[{ y // 2 + 1, x // 2 + 1 }])
        assert.equal(1, maps[{ k, y // 2 + 1, x // 2 + 1 }])
        assert.equal(not alone and k == 2 and 40 * (5 - 2 * i) or 40 * (2 * i - 1), row[x])
      end
      if alone then return end
      seen[own and "left" or "right"] = true
      assert.is_true(left % 2 == 0 and left >= 0.38 * W and left <= 0.62 * W)
      assert.is_true((points[1][1] < points[2][1]) == own)
      for k = 1, 2 do -- nothing of a hand in the other's half
        local of_left = maps[k]:narrow(2, 1, left // 2):max():item() == 1
        assert.equal((k == 1) == own, of_left)
        assert.equal(not of_left, maps[k]:narrow(2, left // 2 + 1, (W - left) // 2):max():item() == 1)
      end
    end)
    assert.same({ left = true, right = true }, seen)
  end)

  it("drops hands that leave the picture, never all of them", function()
    local l <close> = loader { paths = { position }, batch = 1, augment = { shift = 0.9 }, seed = 2 }
    local counts = {}
    for _ = 1, 40 do
      local b = l:next()
      local n = b.points.shape[1]
      counts[n] = (counts[n] or 0) + 1
      assert.same({ { n, H, W }, n }, { b.maps.shape, #b.image_index })
      for _, p in ipairs(b.points:totable()) do
        assert.is_true(p[1] >= -0.5 and p[2] >= -0.5 and p[1] < CW - 0.5 and p[2] < CH - 0.5)
      end
    end
    assert.is_true((counts[1] or 0) > 0 and (counts[2] or 0) > 0 and not counts[0])
  end)

  it("says which sample is damaged, and goes on elsewhere", function()
    local good = support.read(paths[1])
    local cases = {
      { "missing", nil, "missing.npz" }, { "empty", "", "empty.npz" }, { "garbage", ("x"):rep(500), "garbage.npz" },
      { "short", good:sub(1, #good // 2), "short.npz" },
    }
    for _, case in ipairs(cases) do
      local path = ("%s/%s.npz"):format(folder, case[1])
      if case[2] then support.write(path, case[2]) end
      local l <close> = loader { paths = { paths[2], path }, batch = 1, shuffle = false, workers = 2 }
      assert.same({ 2 }, ids(l:next()))
      assert.is_nil(l:damaged())
      support.raises(case[3], l.next, l)
      assert.equal(2, l:damaged())
      support.raises(case[3], l.next, l)
      support.write(path, good) -- mended: the batch comes after all
      local b = l:next()
      assert.same({ 1, 2 }, { b.epoch, b.index })
      assert.is_nil(l:damaged())
      assert.same({ 1 }, ids(b))
      l:seek(5, 1)
      assert.same({ 2 }, ids(l:next()))
    end
  end)

  it("scales samples to the network's size, one scale for both axes", function()
    local l <close> = loader { paths = { position }, batch = 1, size = { W // 2, H }, shuffle = false }
    local b = l:next()
    assert.same({ 1, H, W // 2, 3 }, b.image.shape)
    assert.same({ 2, H, W // 2 }, b.maps.shape)
    for _, at in ipairs { { 3, 2 }, { 20, 17 } } do -- x, y from 0: of the sample the mean of four pixels
      local pixel = b.image[{ 1, at[2] + 1, at[1] + 1 }]:totable()
      assert.is_true(math.abs(pixel[1] - 5 * (2 * at[1] + 0.5)) <= 1, pixel[1])
      assert.is_true(math.abs(pixel[2] - 6 * (2 * at[2] + 0.5)) <= 1, pixel[2])
      local map = b.maps[{ 1, at[2] + 1, at[1] + 1 }]
      assert.is_true(math.abs(255 * map - 4 * (2 * at[1] + 0.5)) <= 1, map)
    end
    local points = b.points:totable()
    assert.is_true(math.abs(points[1][1] - 9.75) < 1e-5 and math.abs(points[1][2] - 5.75) < 1e-5)
    -- The content is half as large, too: nothing is learnt beyond it.
    assert.equal(0, b.label[{ 1, 1, CW // 2 + 1 }])
    assert.is_true(b.label[{ 1, 1, CW // 2 }] ~= 0)
    assert.is_true(b.maps[{ 1, CH // 2 + 1, 1 }] < 0)
  end)

  it("gives labels, maps and points as a network of that stride answers", function()
    local l <close> = loader { paths = { position }, batch = 1, stride = 2, shuffle = false }
    local b = l:next()
    assert.same({ 1, H, W, 3 }, b.image.shape)
    assert.same({ 1, H // 2, W // 2 }, b.label.shape)
    assert.same({ 2, H // 2, W // 2 }, b.maps.shape)
    local plain <close> = loader { paths = { position }, batch = 1, shuffle = false }
    local full = plain:next()
    assert.equal(0, support.difference(full.image, b.image))
    local content = { {}, { 1, CH // 2 }, { 1, CW // 2 } }
    local averaged = full.maps:reshape(2, H // 2, 2, W // 2, 2):mean(5):mean(3)
    assert.is_true(support.difference(averaged[content]:contiguous(), b.maps[content]:contiguous()) < 1e-5)
    local points, of = full.points:totable(), b.points:totable()
    for k = 1, 2 do
      for i = 1, 2 do assert.is_true(math.abs((points[k][i] - 0.5) / 2 - of[k][i]) < 1e-5) end
    end
    support.raises("loader: stride: expected 1 to 32, found 0", loader, { stride = 0 })
  end)

  it("looks at windows around hands", function()
    local how = { crop = 1, zoom = { 2, 2 } }
    local l <close> = loader { paths = { position }, batch = 1, augment = how }
    local seen = {}
    for _ = 1, 40 do
      local b = l:next()
      assert.is_true(b.maps.shape[1] >= 1)
      for _, p in ipairs(b.points:totable()) do
        local x, y = math.floor(p[1] + 0.5), math.floor(p[2] + 0.5)
        if p[1] > 1 and p[2] > 1 and p[1] < CW - 2 and p[2] < CH - 2 then
          local pixel = b.image[{ 1, y + 1, x + 1 }]:totable() -- tells which of the two points it is
          local first = math.abs(pixel[1] - 5 * 20) <= 4 and math.abs(pixel[2] - 6 * 12) <= 4
          assert.is_true(first or math.abs(pixel[1] - 5 * 30.5) <= 4 and math.abs(pixel[2] - 6 * 25.25) <= 4)
          seen[first] = true
          -- Twice as large: the next pixel is half a pixel of the sample on.
          local next_one = b.image[{ 1, y + 1, x + 2 }]:totable()
          assert.is_true(math.abs(next_one[1] - pixel[1] - 2.5) <= 1)
        end
      end
    end
    assert.is_true(seen[true] and seen[false])
  end)

  it("tells which samples a batch is of", function()
    local l <close> = loader { batch = 2, shuffle = true, seed = 7 }
    for _ = 1, 2 * l:batches() do
      local b = l:next()
      assert.same(ids(b), l:samples(b.epoch, b.index))
    end
    support.raises("samples: index: expected an integer of 1 to", l.samples, l, 1, l:batches() + 1)
    support.raises("samples: epoch: expected an integer of at least 1, found 0", l.samples, l, 0, 1)
  end)

  it("refuses bad options in one line", function()
    support.raises("expected samples", loader, { paths = {} })
    support.raises("batch", loader, { batch = 0 })
    support.raises("workers", loader, { workers = 0 })
    support.raises("workers", loader, { workers = 1000 })
    support.raises("batch", loader, { batch = 1e30 })
    support.raises("seed", loader, { seed = 1.5 })
    support.raises("scale", loader, { augment = { scale = { 0, 1 } } })
    local l <close> = loader { seed = -3 }
    assert.same(3, #ids(l:next()))
  end)

  it("closes at any moment, twice, and leaves no bytes", function()
    support.no_leak(function()
      for i = 1, 6 do
        local l = loader { workers = 3, augment = EVERYTHING }
        if i % 2 == 0 then co.tidy(function() l:next() end) end
        if i % 3 == 0 then l:seek(3, 1) end
        l:close()
        l:close()
        support.raises("closed", l.next, l)
      end
      loader() -- left to the collector
    end)
  end)

  it("lets Ctrl-C through", function()
    local script = support.write(folder .. "/endless.lua", ([[
      local core = require "cohesiv.core"
      local l = core.loader { paths = { %q }, size = { %d, %d }, batch = 1 }
      while true do require("cohesiv").tidy(function() l:next() end) end]]):format(paths[1], W, H))
    local run = support.cohesiv({ script }, { signal = "INT", timeout = 3 })
    assert.equal(130, run.status)
    assert.equal("cohesiv: interrupted\n", run.stderr)
  end)
end)

describe("a sample", function()
  it("is refused when its parts do not fit", function()
    local path = folder .. "/never.npz"
    local parts = {
      image = co.zeros(4, 4, 3, { dtype = "uint8" }), maps = co.zeros(4, 4, 1, { dtype = "uint8" }),
      person = co.zeros(4, 4, { dtype = "uint8" }), points = co.zeros(1, 2), content = { 4, 4 },
    }
    local function with(name, value)
      local t = {}
      for k, v in pairs(parts) do t[k] = v end
      t[name] = value
      return t
    end
    support.raises("sample: image: expected uint8", core.sample_write, path, with("image", co.zeros(4, 4, 3)))
    support.raises("sample: maps: expected 3 dimensions", core.sample_write, path,
      with("maps", co.zeros(4, 4, { dtype = "uint8" })))
    support.raises("sample: points: expected a tensor, found nil", core.sample_write, path, with("points", nil))
    assert.is_nil(core.io.status(path))
    core.sample_write(path, with("points", co.zeros(2, 2)))
    local l <close> = core.loader { paths = { path }, size = { 4, 4 }, batch = 1 }
    support.raises("arrays of one size", l.next, l)
  end)
end)
