-- The generated world: the same bytes from the same seed, whole and readable folders, truth that is true, and clips
-- that neither colour nor motion alone can solve.
local co = require "cohesiv"
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"
local support = require "tests.support"

local W, H, FRAMES = 160, 96, 5
local CLIPS = support.small and 2 or 6

-- All files below a folder as { [path] = bytes }.
local function tree(path, prefix, into)
  into = into or {}
  for _, name in ipairs(core.io.list(path)) do
    local full, inner = path .. "/" .. name, (prefix or "") .. name
    if core.io.status(full) == "folder" then
      tree(full, inner .. "/", into)
    else
      into[inner] = support.read(full)
    end
  end
  return into
end

local function world(options)
  options.out = options.out or support.temp() .. "/world"
  options.progress = false
  return co.world(options)
end

-- A mask or person picture as a flat list of 0 and 1, rows first; nil where there is none.
local function mask(path)
  if not core.io.status(path) then return nil end
  local list = {}
  for _, row in ipairs(co.image.read(path):select(3, 1):totable()) do
    for _, value in ipairs(row) do list[#list + 1] = value > 0 and 1 or 0 end
  end
  return list
end

local function flow_of(out, name, frame, gap)
  local path = ("%s/truth/flow/%s/%d/%06d.png"):format(out, name, gap, frame)
  return core.io.flow_png_read(path):totable()
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local function count(list)
  local n = 0
  for _, v in ipairs(list) do n = n + v end
  return n
end

-- Bilinear sample of rows[y][x][c]; nil outside.
local function sample(rows, x, y, c)
  local x0, y0 = math.floor(x), math.floor(y)
  if x0 < 0 or y0 < 0 or x0 + 1 >= W or y0 + 1 >= H then return nil end
  local u, v = x - x0, y - y0
  local top, low = rows[y0 + 1], rows[y0 + 2]
  return (top[x0 + 1][c] * (1 - u) + top[x0 + 2][c] * u) * (1 - v)
    + (low[x0 + 1][c] * (1 - u) + low[x0 + 2][c] * u) * v
end

describe("the generated world", function()
  local out, names, data

  setup(function()
    out = world { seed = 11, clips = CLIPS, frames = FRAMES, size = { W, H } }
    names = core.io.list(out .. "/clips")
    data = co.data(out)
  end)

  it("writes a data folder that co.data reads", function()
    assert.equal(CLIPS, #names)
    assert.same(names, data.clips)
    for _, name in ipairs(names) do
      local clip = data:clip(name)
      assert.same({ FRAMES, W, H }, { clip.frames, clip.width, clip.height })
      assert.same({ H, W, 3 }, clip:frame(FRAMES - 1).shape)
      for n = 0, FRAMES - 1 do
        for _, hand in ipairs(clip:hands(n)) do assert.same({ 21, 2 }, hand.vertices.shape) end
      end
      local truth = json.read(("%s/truth/vertices/%s.json"):format(out, name))
      assert.equal(FRAMES, #truth.frames)
      for n = 0, FRAMES - 1 do
        local person = co.image.read(("%s/truth/person/%s/%06d.png"):format(out, name, n))
        assert.same({ H, W, 3 }, person.shape)
        for gap = -3, 3 do
          local there = core.io.status(("%s/truth/flow/%s/%d/%06d.png"):format(out, name, gap, n))
          assert.equal(gap ~= 0 and n + gap >= 0 and n + gap < FRAMES, there == "file")
        end
      end
    end
  end)

  it("is the same from the same seed, on any number of threads, and another from another", function()
    local size, before = { 64, 48 }, co.threads()
    co.threads(1)
    local a = tree(world { seed = 5, clips = 3, frames = 2, size = size })
    co.threads(2)
    local b = tree(world { seed = 5, clips = 3, frames = 2, size = size })
    co.threads(before)
    assert.same(a, b)
    local c = tree(world { seed = 6, clips = 1, frames = 2, size = size })
    assert.not_equal(a["clips/s5_0000000/000000.png"], c["clips/s6_0000000/000000.png"])
    assert.not_equal(a["clips/s5_0000000/000000.png"], a["clips/s5_0000001/000000.png"])
  end)

  it("grows and resumes: clips that are there stay, missing and broken ones come back", function()
    local path = support.temp() .. "/world"
    local options = { seed = 5, clips = 2, frames = 2, size = { 64, 48 }, out = path }
    world(options)
    local whole = tree(path)
    os.execute("rm -r " .. support.quote(path .. "/clips/s5_0000001"))
    os.execute("mkdir " .. support.quote(path .. "/clips/.s5_0000001.part"))
    support.write(path .. "/clips/.s5_0000001.part/000000.png", "half")
    world(options)
    assert.same(whole, tree(path))
    options.clips = 3
    world(options)
    local longer = tree(path)
    for name, bytes in pairs(whole) do assert.equal(bytes, longer[name]) end
    assert.is_truthy(longer["clips/s5_0000002/000001.png"])
  end)

  it("has masks of those frames that are asked for, and else the same bytes", function()
    local options = { seed = 5, clips = 1, frames = 5, size = { 64, 48 } }
    local all = tree(world(options))
    for every, frames in pairs { [0] = {}, [2] = { "1", "3" }, [4] = { "2" } } do
      options.out, options.mask_every = nil, every
      local path = world(options)
      assert.same(#frames > 0 and { "s5_0000000" } or {}, co.data(path).annotated)
      local some = tree(path)
      for name, bytes in pairs(some) do
        if not name:find "json$" then assert.equal(all[name], bytes, name) end
      end
      local found = {}
      for n in (some["masks/s5_0000000/queries.json"] or ""):gmatch '"(%d+)":%[' do found[#found + 1] = n end
      assert.same(frames, found)
      for name in pairs(all) do
        local n = name:match "^masks/.*/(%d+)_"
        local wanted = not n or n + 0 == tonumber(frames[1]) or n + 0 == tonumber(frames[2])
        assert.equal(wanted and (#frames > 0 or not name:find "^masks/"), some[name] ~= nil, name)
      end
    end
    support.raises("mask_every: expected an integer", world, { mask_every = 0.5 })
  end)

  it("has masks that exclude each other, and queries on their hands", function()
    local hands, held = 0, 0
    for _, name in ipairs(names) do
      local doc = json.read(("%s/masks/%s/queries.json"):format(out, name))
      assert.same({ W, H }, { doc.width, doc.height })
      for n = 0, FRAMES - 1 do
        local owner = {}
        local person = mask(("%s/truth/person/%s/%06d.png"):format(out, name, n))
        for k, q in ipairs(doc.frames[tostring(n)]) do
          local base = ("%s/masks/%s/%06d_"):format(out, name, n)
          local hand, arm = mask(base .. "hand" .. k .. ".png"), mask(base .. "arm" .. k .. ".png")
          local object = mask(base .. "object" .. k .. ".png")
          hands, held = hands + 1, held + (object and 1 or 0)
          assert.equal(q.hand_pixels, count(hand))
          assert.equal(q.object_pixels, object and count(object) or 0)
          assert.equal(object == nil, q.object == json.null)
          assert.equal(1, hand[q.query[2] * W + q.query[1] + 1])
          for i = 1, W * H do
            assert.is_true(hand[i] + arm[i] + (object and object[i] or 0) <= 1)
            assert.is_true(hand[i] + arm[i] <= person[i])
            if hand[i] + arm[i] == 1 then
              assert.is_nil(owner[i])
              owner[i] = k
            end
          end
        end
      end
    end
    assert.is_true(hands >= CLIPS * FRAMES // 2)
    assert.is_true(held >= hands // 3)
  end)

  it("has flow that leads back, that moves landmarks, and that carries the picture", function()
    local back, carried, along = {}, {}, {}
    for _, name in ipairs(names) do
      local forth, home = flow_of(out, name, 2, 1), flow_of(out, name, 3, -1)
      local now = data:clip(name):frame(2):to("float32"):totable()
      local later = data:clip(name):frame(3):to("float32"):totable()
      for y = 2, H - 3, 3 do
        for x = 2, W - 3, 3 do
          local u, v = table.unpack(forth[y + 1][x + 1])
          local ru, rv = sample(home, x + u, y + v, 1), sample(home, x + u, y + v, 2)
          if ru then
            local miss = math.sqrt((u + ru) ^ 2 + (v + rv) ^ 2)
            back[#back + 1] = miss
            if miss < 0.5 then
              carried[#carried + 1] = math.abs(now[y + 1][x + 1][2] - sample(later, x + u, y + v, 2))
            end
          end
        end
      end
      local truth = json.read(("%s/truth/vertices/%s.json"):format(out, name))
      for k, hand in ipairs(truth.frames[3]) do
        local hands, own = truth.frames[4], mask(("%s/masks/%s/%06d_hand%d.png"):format(out, name, 2, k))
        for i, p in ipairs(#hands == #truth.frames[3] and hand.vertices or {}) do
          local x, y, q = math.floor(p[1] + 0.5), math.floor(p[2] + 0.5), hands[k].vertices[i]
          if x >= 0 and y >= 0 and x < W and y < H and own[y * W + x + 1] == 1 then
            local f = forth[y + 1][x + 1]
            along[#along + 1] = math.sqrt((q[1] - p[1] - f[1]) ^ 2 + (q[2] - p[2] - f[2]) ^ 2)
          end
        end
      end
    end
    assert.is_true(median(back) < 0.03, "flow there and back: " .. median(back))
    assert.is_true(median(carried) < 6, "picture carried by the flow: " .. median(carried))
    assert.is_true(median(along) < 0.4, "landmarks against flow: " .. median(along))
  end)

  it("noises its landmarks: near the truth, but not the truth, and some hands are missed", function()
    local clips = support.small and 3 or 20
    local path = world { seed = 3, clips = clips, frames = 3, size = { 96, 64 }, truth = { "vertices" } }
    local hands, found, errors = 0, 0, {}
    for _, name in ipairs(core.io.list(path .. "/clips")) do
      local exact = json.read(("%s/truth/vertices/%s.json"):format(path, name))
      local given = json.read(("%s/hands_json/%s.json"):format(path, name))
      for n = 1, 3 do
        hands, found = hands + #exact.frames[n], found + #given.frames[n]
        for _, e in ipairs(exact.frames[n]) do
          local size, best = math.sqrt((e.box[3] - e.box[1]) * (e.box[4] - e.box[2])), math.huge
          for _, g in ipairs(given.frames[n]) do
            local sum = 0
            for i = 1, 21 do
              local a, b = e.vertices[i], g.vertices[i]
              sum = sum + math.sqrt((a[1] - b[1]) ^ 2 + (a[2] - b[2]) ^ 2)
            end
            best = math.min(best, sum / 21 / size)
          end
          if best < 0.5 then errors[#errors + 1] = best end
        end
      end
    end
    local typical = median(errors)
    assert.is_true(typical > 0.01 and typical < 0.12, "error in hand sizes: " .. typical)
    if not support.small then
      assert.is_true(found > 0.6 * hands and found < hands, ("%d of %d found"):format(found, hands))
    end
    assert.is_nil(core.io.status(path .. "/truth/flow"))
    assert.is_nil(core.io.status(path .. "/truth/person"))
  end)

  -- The best threshold on one number per pixel, over all clips at once: mean IoU with hand and held object.
  local function best_iou(score_of, thresholds)
    local best = 0
    local clips = {}
    for _, name in ipairs(names) do
      local doc, score = json.read(("%s/masks/%s/queries.json"):format(out, name)), score_of(name)
      local want = {}
      for k in ipairs(doc.frames["2"]) do
        for _, what in ipairs { "hand", "object" } do
          local m = mask(("%s/masks/%s/000002_%s%d.png"):format(out, name, what, k))
          for i = 1, m and W * H or 0 do want[i] = (m[i] == 1 or want[i]) or nil end
        end
      end
      clips[#clips + 1] = { score = score, want = want }
    end
    for _, threshold in ipairs(thresholds) do
      local sum = 0
      for _, clip in ipairs(clips) do
        local both, either = 0, 0
        for i = 1, W * H do
          local a, b = clip.score[i] > threshold, clip.want[i] or false
          if a and b then both = both + 1 end
          if a or b then either = either + 1 end
        end
        sum = sum + (either > 0 and both / either or 1)
      end
      best = math.max(best, sum / #clips)
    end
    return best
  end

  local several = support.small and pending or it -- two clips say nothing

  several("is not solved by the colour of skin, nor by motion alone", function()
    local function redness(name)
      local list = {}
      for _, row in ipairs(data:clip(name):frame(2):to("float32"):totable()) do
        for _, p in ipairs(row) do list[#list + 1] = 100 * (p[1] - (p[2] + p[3]) / 2) / (p[1] + p[2] + p[3] + 1) end
      end
      return list
    end
    local function speed(name)
      local list = {}
      for _, row in ipairs(flow_of(out, name, 2, 1)) do
        for _, f in ipairs(row) do list[#list + 1] = math.sqrt(f[1] ^ 2 + f[2] ^ 2) end
      end
      return list
    end
    local colour = best_iou(redness, { 2, 5, 8, 11, 14, 17, 20, 25, 30 })
    local motion = best_iou(speed, { 0.05, 0.15, 0.3, 0.5, 0.8, 1.2, 1.8, 2.5 })
    assert.is_true(colour < 0.45, "colour alone: " .. colour)
    assert.is_true(motion < 0.55, "motion alone: " .. motion)
  end)

  it("comes in any size and length", function()
    for _, size in ipairs { { 96, 64 }, { 97, 61 }, { 48, 120 }, { 16, 16 } } do
      local path = world { seed = 2, clips = 1, frames = 1, size = size }
      local clip = co.data(path):clip "s2_0000000"
      assert.same({ 1, size[1], size[2] }, { clip.frames, clip.width, clip.height })
      assert.same({ size[2], size[1], 3 }, clip:frame(0).shape)
    end
    assert.same({}, co.data(world { clips = 0 }).clips)
  end)

  it("refuses what it cannot do in one line, and leaves nothing behind", function()
    local fresh = support.temp() .. "/new"
    support.raises("expected a table of options, found nil", co.world)
    support.raises("found sizes", co.world, { sizes = { 1, 2 }, out = fresh })
    support.raises("out: expected the path of a folder, found nil", co.world, {})
    support.raises("seed: expected an integer", co.world, { seed = 1.5, out = fresh })
    support.raises("seed: expected an integer", co.world, { seed = -1, out = fresh })
    support.raises("clips: expected a number, found string", co.world, { clips = "many", out = fresh })
    support.raises("frames: expected an integer of 1 to 100000", co.world, { frames = 0, out = fresh })
    support.raises("height: expected an integer of 16 to 4096", co.world, { size = { 64, 8 }, out = fresh })
    support.raises("size: expected { width, height }", co.world, { size = 64, out = fresh })
    support.raises("truth: expected flow, person or vertices, found depth", co.world,
      { truth = { "depth" }, out = fresh })
    assert.is_nil(core.io.status(fresh))
    local file = support.write(support.temp() .. "/file", "x")
    support.raises("found the file", co.world, { out = file })
    support.raises("file/world", co.world, { out = file .. "/world" })
    local busy = support.temp()
    support.write(busy .. "/something", "x")
    support.raises("with other files", co.world, { out = busy })
    assert.same({ "something" }, core.io.list(busy))
    support.raises("expected a world with seed = 12", world, { seed = 12, out = out, frames = FRAMES, size = { W, H } })
  end)

  it("gives all memory back", function()
    support.no_leak(function() world { seed = 9, clips = 1, frames = 1, size = { 64, 48 } } end)
  end)
end)
