-- Hands in pictures and clips: crops, palms, the squares that hands are looked at in, detection and tracking (by
-- networks
-- of tests/hand_networks.lua, whose answers are known), the cache of a clip's hands, and their corrections.
local co = require "cohesiv"
local core = require "cohesiv.core"
local finder = require "cohesiv.motion.hands"
local networks = require "tests.hand_networks"
local palms = require "cohesiv.motion.palms"
local regions = require "cohesiv.motion.hand_regions"
local support = require "tests.support"

local folder = support.temp()
local had = { weights = os.getenv "COHESIV_WEIGHTS", cache = os.getenv "COHESIV_CACHE" }

local function close(expected, actual, tolerance)
  assert.is_true(math.abs(expected - actual) <= (tolerance or 1e-3), ("expected %g, found %g"):format(expected, actual))
end

local function grey(h, w, value) return co.full(value, h, w, 3, { dtype = "uint8" }) end

describe("crops of turned rectangles", function()
  local image = (co.rand(6, 8, 3) * 255):to "uint8"
  local function at(t, y, x) return t[1][y][x]:totable() end

  it("are the picture where they are the whole of it, and turn by a quarter", function()
    local same = core.crop(image, { x = 4, y = 3, width = 8, height = 6, angle = 0 }, 8, 6, true)
    assert.same({ 1, 6, 8, 3 }, same.shape)
    assert.is_true(support.difference(same:reshape { 6, 8, 3 } * 255, image) < 1e-3)
    local turned = core.crop(image, { x = 3, y = 3, width = 4, height = 4, angle = math.pi / 2 }, 4, 4, true)
    local expected = image[2][6]:totable() -- its right end is below: (0, 0) of the crop at x = 5, y = 1
    for c = 1, 3 do close(expected[c] / 255, at(turned, 1, 1)[c]) end
    expected = image[4][5]:totable() -- a step right is a step down, a step down one to the left
    for c = 1, 3 do close(expected[c] / 255, at(turned, 2, 3)[c]) end
  end)

  it("show black or the nearest pixel beyond the border", function()
    local r = { x = 0, y = 0, width = 8, height = 8, angle = 0 }
    assert.same({ 0, 0, 0 }, at(core.crop(image, r, 8, 8, false), 1, 1))
    local first = image[1][1]:totable()
    for c = 1, 3 do close(first[c] / 255, at(core.crop(image, r, 8, 8, true), 1, 1)[c]) end
  end)

  it("sample to 1/32 of a pixel and to whole bytes", function()
    local step = co.tensor({ { { 0, 0, 0 }, { 255, 255, 255 } } }, { dtype = "uint8" })
    for place, byte in pairs { [0.51] = 128, [0.52] = 135, [0.016] = 8, [0.015] = 0 } do -- 16/32: 127.5; 17/32: 135.5
      local found = at(core.crop(step, { x = place + 1, y = 0.5, width = 2, height = 1, angle = 0 }, 2, 1, true), 1, 1)
      close(byte / 255, found[1], 1e-6)
    end
  end)

  it("refuse what is no rectangle or no picture", function()
    local function refuses(text, r, t) support.raises(text, core.crop, t or image, r, 4, 4, true) end
    refuses("expected a rectangle of a picture, found 0x4", { x = 1, y = 1, width = 0, height = 4, angle = 0 })
    refuses("expected a rectangle of a picture", { x = 0 / 0, y = 1, width = 4, height = 4, angle = 0 })
    refuses("expected a rectangle of a picture", { x = 1, y = 1, width = 4, height = 4, angle = math.huge })
    refuses("image: expected uint8", { x = 1, y = 1, width = 4, height = 4, angle = 0 }, co.zeros(4, 4, 3))
    refuses("expected an image HxWx3", { x = 1, y = 1, width = 4, height = 4, angle = 0 },
      co.zeros(4, 4, 1, { dtype = "uint8" }))
  end)
end)

describe("palms", function()
  -- Answers { index, score, x, y, size }: of cells of 24, two each.
  local function network(answers)
    local numbers, scores = co.zeros(1, 2016, 18), co.full(-100, 1, 2016, 1)
    for _, a in ipairs(answers) do
      local cell = (a[1] - 1) // 2
      local ax, ay = (cell % 24 + 0.5) / 24, (cell // 24 + 0.5) / 24
      local row = { (a[3] - ax) * 192, (a[4] - ay) * 192, a[5] * 192, a[5] * 192 }
      for k = 0, 6 do row[5 + 2 * k], row[6 + 2 * k] = row[1] + k, row[2] end
      numbers[{ 1, a[1] }] = co.tensor(row)
      scores[{ 1, a[1], 1 }] = math.log(a[2] / (1 - a[2]))
    end
    return function(crop)
      assert.same({ 1, 192, 192, 3 }, crop.shape)
      return numbers, scores
    end
  end

  it("lie in the picture's pixels, the best first, and those below the threshold are none", function()
    local found = palms.detect(network { { 3, 0.6, 0.25, 0.5, 0.1 }, { 600, 0.9, 0.5, 0.5, 0.1 }, { 9, 0.2, 0.9, 0.9,
      0.1 } },
      grey(50, 100, 9), 0.3)
    assert.equal(2, #found)
    close(0.9, found[1].score)
    close(45, found[1].x0) -- the square of 100 around 100×50: 25 rows of black above
    close(20, found[1].y0)
    close(55, found[1].x1)
    close(25, found[2].points[1])
    close(25 + 100 / 192, found[2].points[3])
    close(25, found[2].points[2])
  end)

  it("that overlap are one, at their mean by scores", function()
    local found = palms.detect(network { { 1, 0.8, 0.50, 0.5, 0.2 }, { 2, 0.4, 0.53, 0.5, 0.2 } }, grey(100, 100, 9),
      0.3)
    assert.equal(1, #found)
    close(0.8, found[1].score)
    close((0.8 * 40 + 0.4 * 43) / 1.2, found[1].x0)
  end)
end)

describe("squares around hands", function()
  it("of palms point up along the hand, moved to the fingers", function()
    -- A hand that points right: wrist left of the middle finger.
    local r = regions.of_palm { x0 = 40, y0 = 40, x1 = 60, y1 = 60, points = { 45, 50, 0, 0, 55, 50 } }
    close(math.pi / 2, r.angle)
    close(60, r.x) -- half the height towards the fingers
    close(50, r.y)
    close(52, r.width)
    local x, y = regions.point(r, 0.5, 0) -- the middle of its upper side
    close(86, x)
    close(50, y)
  end)

  it("of landmarks stay where they were found for a hand that does not move", function()
    for _, angle in ipairs { 0, 1, -2.5 } do
      local r, points = { x = 90, y = 70, width = 50, height = 50, angle = angle }, {}
      for k, p in ipairs(networks.POINTS) do points[k] = { regions.point(r, p[1] / 224, p[2] / 224) } end
      local next = regions.of_landmarks(points)
      for _, key in ipairs { "x", "y", "width", "height", "angle" } do close(r[key], next[key]) end
    end
  end)
end)

describe("hands", function()
  setup(function()
    networks.write(folder .. "/weights")
    core.system.setenv("COHESIV_WEIGHTS", folder .. "/weights")
    core.system.setenv("COHESIV_CACHE", folder .. "/cache")
    finder.forget()
  end)
  teardown(function()
    core.system.setenv("COHESIV_WEIGHTS", had.weights)
    core.system.setenv("COHESIV_CACHE", had.cache)
    finder.forget()
  end)

  -- The hand of a bright picture of 80×100, so far to the right.
  local function hand_at(right)
    local points = finder.tracker({}):next(grey(80, 100, 200))[1].points
    for _, p in ipairs(points) do p[1] = p[1] + right end
    return { points = points }
  end

  it("are detected in a picture, in its pixels, and not in a dark one", function()
    local hands = co.hands.detect(grey(80, 100, 200))
    assert.equal(1, #hands)
    local hand = hands[1]
    assert.same({ "right", { 21, 2 } }, { hand.side, hand.vertices.shape })
    assert.is_true(hand.score > 0.99)
    -- The palm: 20 wide around (50, 40); the square: 52 wide around (50, 30).
    local wrist = hand.vertices[1]:totable()
    close(50 - 0.5, wrist[1])
    close(30 + (179.2 / 224 - 0.5) * 52 - 0.5, wrist[2])
    close(30 + (67.2 / 224 - 0.5) * 52 - 0.5, hand.box[2])
    assert.same({}, co.hands.detect(grey(80, 100, 5)))
    support.raises("hands.detect: expected an image uint8 HxWx3, found", co.hands.detect, co.zeros(4, 4, 3))
    support.raises("hands.detect: max: expected an integer of 1 to 32", co.hands.detect, grey(9, 9, 0), { max = 0 })
    support.raises("hands.detect: expected max or threshold", co.hands.detect, grey(9, 9, 0), { min = 1 })
  end)

  it("are followed from frame to frame, and looked for again when they are lost", function()
    local tracker, counts = finder.tracker {}, {}
    for n, value in ipairs { 5, 200, 200, 5, 5, 200 } do counts[n] = #tracker:next(grey(80, 100, value)) end
    assert.same({ 0, 1, 1, 0, 0, 1 }, counts)
  end)

  it("that two squares settled on are both followed, and given once", function()
    local tracker = finder.tracker {}
    local one = tracker:next(grey(80, 100, 200))
    local twice = finder.tracker({}, { one[1], one[1] })
    assert.equal(2, #twice.known)
    assert.equal(1, #finder.distinct { one[1], one[1] })
    assert.equal(1, #finder.distinct(twice:next(grey(80, 100, 200))))
  end)

  -- At 75 the palm's score is 0.36, and the hand network gives 0.85.
  it("of a weak palm count where the other network is certain, in a video for a second hand alone", function()
    assert.equal(1, #co.hands.detect(grey(80, 100, 75)))
    assert.equal(0, #co.hands.detect(grey(80, 100, 75), { threshold = 0.4 }))
    local dim = co.cat({ grey(60, 100, 70), grey(20, 100, 90) }, 1) -- the same palm, and 0.73
    assert.equal(0, #co.hands.detect(dim))
    assert.equal(0, #finder.tracker({}):next(grey(80, 100, 75)))
    assert.equal(2, #finder.tracker({}, { hand_at(30) }):next(grey(80, 100, 75)))
  end)

  it("of two squares on one hand the older is followed; palms wait for a frame where two are known", function()
    local next = finder.tracker({}, { hand_at(3), hand_at(0) }):next(grey(80, 100, 200))
    assert.equal(1, #next)
    close(hand_at(0).points[1][1], next[1].points[1][1])
    local tracker = finder.tracker({}, { hand_at(30), hand_at(0) })
    local calls, detect = 0, palms.detect
    finally(function() palms.detect = detect end)
    palms.detect = function(...)
      calls = calls + 1
      return detect(...)
    end
    for _ = 1, 4 do assert.equal(2, #tracker:next(grey(80, 100, 200))) end
    assert.equal(2, calls)
  end)

  -- A clip of pictures: bright but for frames 40 to 42.
  local function pictures(name, count)
    local path = ("%s/%s"):format(folder, name)
    core.io.make_folder(path)
    for n = 0, count - 1 do
      co.image.write(("%s/%06d.png"):format(path, n), grey(80, 100, n >= 40 and n <= 42 and 5 or 200))
    end
    return path
  end

  it("of a clip without a file are found once, in pieces that give the same however they are asked for", function()
    local path = pictures("bare", 70)
    local clip = co.clip(path)
    assert.equal("detected", clip:hands_source())
    assert.is_true(clip:has_hands())
    local last = clip:hands(69)
    assert.equal(1, #last)
    assert.equal(0, #clip:hands(41))
    assert.equal(1, #clip:hands(43))
    local calls, next = 0, finder.tracker
    finder.tracker = function(...)
      calls = calls + 1
      return next(...)
    end
    local again = co.clip(path)
    assert.same(last[1].vertices:totable(), again:hands(69)[1].vertices:totable())
    assert.equal(0, calls) -- all of it is in the cache
    os.execute("rm -r " .. support.quote(folder .. "/cache/hands"))
    local parts = co.clip(path)
    parts:hands(3)
    assert.equal(1, calls)
    assert.same(last[1].vertices:totable(), co.clip(path):hands(69)[1].vertices:totable())
    assert.equal(3, calls) -- the first piece was there
    finder.tracker = next
    assert.equal(clip:hands():key(69), parts:hands():key(69))
    assert.not_equal(clip:hands():key(69), clip:hands():key(68))
  end)

  it("of a clip of one frame, and at another size", function()
    local clip = co.clip(pictures("one", 1))
    assert.equal(1, #clip:hands(0))
    local small = clip:hands(0, { size = { 50, 40 } })[1]
    close((49.5 + 0.5) / 2 - 0.5, small.vertices[1]:totable()[1])
    support.raises("expected a frame of 0 to 0, found 1", clip.hands, clip, 1)
    support.raises("expected one within the clip's 1 frames, found none", clip.responsibility, clip, 0)
  end)

  it("that nothing tells of and nothing finds are asked for in one line", function()
    local clip = co.clip(pictures("none", 1))
    core.system.setenv("COHESIV_WEIGHTS", folder .. "/empty")
    local line = support.raises("clip none: expected landmarks of its hands in ", clip.hands, clip, 0)
    assert.is_truthy(line:find("found none; to detect them run cohesiv fetch hands (36 MB, once)", 1, true))
    assert.is_false(clip:has_hands())
    core.system.setenv("COHESIV_WEIGHTS", folder .. "/weights")
    local named = co.clip(folder .. "/none", { hands = folder .. "/no.json" })
    assert.equal("file", named:hands_source())
    support.raises("expected landmarks of its hands in " .. folder .. "/no.json", named.hands, named, 0)
  end)

  describe("corrected", function()
    local path
    local function hand(x) return { side = "left", score = 0.5, vertices = { { x, 10 }, { x + 10, 30 } } } end
    before_each(function()
      path = pictures("corrected", 5)
      local json = require "cohesiv.base.json"
      json.write(folder .. "/hands.json", { width = 100, height = 80, frames = { { hand(10), hand(60) }, { hand(99) },
        json.list {}, { hand(16), hand(60) }, { hand(18) } } })
    end)
    local function clip_of() return co.clip(path, { hands = folder .. "/hands.json" }) end
    local function first(clip, n, k) return clip:hands(n)[k].vertices[1]:totable() end

    it("are dropped and interpolated, in a chain, and saved as a file that reads as the same", function()
      local clip = clip_of()
      local before = clip:hands():key(1)
      clip:hands():drop(1, 1):interpolate(1, 1):interpolate(1, 2):interpolate(2, 1)
      assert.not_equal(before, clip:hands():key(1))
      assert.equal(2, #clip:hands(1))
      assert.same({ 12, 10 }, first(clip, 1, 1))
      assert.same({ 60, 10 }, first(clip, 1, 2))
      assert.same({ 14, 10 }, first(clip, 2, 1))
      local box = clip:hands(2)[1].box
      assert.same({ 14, 10, 24, 30 }, box)
      clip:hands():save(folder .. "/saved.json")
      local saved = co.clip(path, { hands = folder .. "/saved.json" })
      for n = 0, 4 do
        assert.equal(#clip:hands(n), #saved:hands(n))
        for k, h in ipairs(clip:hands(n)) do
          assert.same(h.vertices:totable(), saved:hands(n)[k].vertices:totable())
          assert.same({ h.side, h.score, h.box }, { saved:hands(n)[k].side, saved:hands(n)[k].score,
            saved:hands(n)[k].box })
        end
      end
      assert.equal(2, #clip_of():hands(0)) -- the file itself stays as it was
    end)

    it("change what caches of maps go by", function()
      local clip = clip_of()
      local key = clip:hands_key()
      clip:hands():drop(0, 1)
      assert.not_equal(key, clip:hands_key())
      assert.equal(1, #clip:hands(0))
    end)

    it("refuse in one line what cannot be", function()
      local hands = clip_of():hands()
      support.raises("clip corrected: hands: drop: frame 0: expected a hand of 1 to 2, found 3", hands.drop, hands, 0,
        3)
      support.raises("drop: expected a frame of 0 to 4, found 5", hands.drop, hands, 5, 1)
      support.raises("frame 2: expected a hand of 1 to 0, found 1 (there are no hands)", hands.drop, hands, 2, 1)
      support.raises("interpolate: frame 4: expected the hand within 12 frames before and after, found none after",
        hands.interpolate, hands, 4, 1)
      support.raises("interpolate: frame 1: expected the hand within 12 frames before and after, found none before",
        hands.interpolate, hands, 1, 1)
      support.raises("hands: save: file: expected a path", hands.save, hands, 3)
      support.raises("expected a hands of a clip before the colon (x:drop())", hands.drop)
    end)
  end)
end)

describe("cohesiv hands", function()
  it("writes landmarks of every frame and a video of them, and says what it found", function()
    local folder_of = support.temp()
    networks.write(folder_of .. "/weights")
    core.io.make_folder(folder_of .. "/frames")
    for n = 0, 4 do
      co.image.write(("%s/frames/%06d.png"):format(folder_of, n), grey(80, 100, n == 2 and 5 or 200))
    end
    local env = { COHESIV_WEIGHTS = folder_of .. "/weights", COHESIV_CACHE = folder_of .. "/cache" }
    local out, film = folder_of .. "/out.json", folder_of .. "/out.mp4"
    local run = support.cohesiv({ "hands", folder_of .. "/frames", "--out", out, "--overlay", film }, { env = env })
    assert.equal(0, run.status, run.stderr)
    assert.equal(out .. "\n" .. film .. "\n", run.stdout)
    assert.is_truthy(run.stderr:find("4 hands in 4 of 5 frames", 1, true))
    local clip = co.clip(folder_of .. "/frames", { hands = out })
    assert.equal("file", clip:hands_source())
    assert.same({ 1, 0 }, { #clip:hands(1), #clip:hands(2) })
    assert.same({ 5, 100, 80 }, { co.clip(film).frames, co.clip(film).width, co.clip(film).height })
    local function refuses(status, text, ...)
      support.refuses(support.cohesiv({ "hands", ... }, { env = env }), status, text)
    end
    refuses(2, "expected a .json file", folder_of .. "/frames", "--out", folder_of .. "/x.txt")
    refuses(1, "expected a video file or a folder of pictures, found a picture", folder_of .. "/frames/000000.png",
      "--out",
      out)
  end)
end)

describe("strokes", function()
  it("are drawn within the picture alone", function()
    local drawn = core.strokes(grey(4, 6, 0), { 1, 1, 4, 1, 100, 100, 200, 300 }, 0.5, 10, 20, 30)
    assert.same({ 10, 20, 30 }, drawn[2][2]:totable())
    assert.same({ 10, 20, 30 }, drawn[2][5]:totable())
    assert.equal(4 * 60, drawn:to("float32"):sum():item())
    support.raises("expected an image HxWx3", core.strokes, co.zeros(4, 4, 1, { dtype = "uint8" }), {}, 1, 0, 0, 0)
    support.raises("colour: expected an integer of 0 to 255, found 300", core.strokes, grey(2, 2, 0), {}, 1, 300, 0, 0)
  end)
end)
