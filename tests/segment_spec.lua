-- cohesiv segment VIDEO: masks of every frame of a generated clip against its truth, going on after an end in the
-- middle, hands that keep their numbers, and what is no video, shows no hand or has one frame.
local co = require "cohesiv"
local json = require "cohesiv.base.json"
local mask_folder, video_masks = require "cohesiv.hands.mask_folder", require "cohesiv.hands.video_masks"
local progress = require "cohesiv.base.progress"
local segment_video = require "cohesiv.tools.segment_video"
local support = require "tests.support"

local W, H, FRAMES = 128, 80, 5

describe("masks of every frame", function()
  local folder, quiet = support.temp(), progress.quiet
  co.world { out = folder .. "/world", clips = 1, frames = FRAMES, size = { W, H }, seed = 12, mask_every = 1,
    progress = false }
  local world = co.data(folder .. "/world")
  local name = world.clips[1]
  local video = world:clip(name).path
  progress.quiet = true
  teardown(function() progress.quiet = quiet end)

  local function at(path) return folder .. "/" .. path end
  local function files(path)
    local all = {}
    for _, file in ipairs(support.list(path)) do
      if file ~= ".lock" then all[file] = support.read(path .. "/" .. file) end
    end
    return all
  end
  local function landmarks(path, frames)
    support.write(at(path), json.encode { width = W, height = H, frames = json.list(frames) })
    return at(path)
  end

  segment_video(video, { out = at "whole" })

  it("are of the clip's size, apart, and mostly right", function()
    local sum, count = 0, 0
    for n = 0, FRAMES - 1 do
      local masks = world:masks(name, n)
      for k, truth in ipairs(masks.hand) do
        local best = 0
        for other = 1, #world:clip(name):hands(n) do
          local hand = co.image.mask(at("whole/%06d_hand%d.png"):format(n, other))
          local object = co.image.mask(at("whole/%06d_object%d.png"):format(n, other))
          assert.same({ H, W }, hand.shape)
          assert.equal(0, (co.metrics.overlap(hand, object)))
          local contact = co.image.mask(at("whole/%06d_contact%d.png"):format(n, other))
          assert.equal(0, support.difference(contact, co.metrics.contact(hand, object)))
          local pair = masks.object[k] and co.metrics.union { truth, masks.object[k] } or truth
          best = math.max(best, co.metrics.iou(co.metrics.union { hand, object }, pair))
        end
        sum, count = sum + best, count + 1
      end
    end
    assert.is_true(count >= FRAMES and sum / count > 0.4, ("IoU %g of %d"):format(sum / count, count))
  end)

  it("go on where they ended, and what is done is not done again", function()
    os.execute(("cp -r %s %s"):format(at "whole", at "part"))
    local lines = {}
    for line in support.read(at "part/segment.jsonl"):gmatch "[^\n]*\n" do lines[#lines + 1] = line end
    assert.equal(FRAMES + 1, #lines)
    support.write(at "part/segment.jsonl", table.concat(lines, "", 1, 3) .. lines[4]:sub(1, 9)) -- killed as it wrote
    for n = 2, FRAMES - 1 do os.remove(at("part/%06d_hand1.png"):format(n)) end
    support.write(at "part/000000_hand1.png", "kept")
    segment_video(video, { out = at "part" })
    local found, expected = files(at "part"), files(at "whole")
    assert.equal("kept", found["000000_hand1.png"])
    found["000000_hand1.png"] = expected["000000_hand1.png"]
    assert.same(expected, found)
  end)

  it("are not mixed with those of other settings, or written by two at once", function()
    local other = landmarks("other.json", { {}, {}, {}, {}, {} })
    support.raises("whole: expected masks made with hands", segment_video, video, { out = at "whole", hands = other })
    os.execute("mkdir " .. at "foreign")
    support.write(at "foreign/segment.jsonl", "no record\n")
    support.raises("foreign/segment.jsonl: line 1", segment_video, video, { out = at "foreign" })
    local held <close> = mask_folder.open(at "held", { clip = "a" })
    support.raises("held: expected a folder nobody writes", segment_video, video, { out = at "held" })
    assert.equal(0, held.done)
  end)

  it("are none where there is no hand, and the landmarks' flesh in a clip of one frame", function()
    segment_video(video, { out = at "none", hands = landmarks("none.json", { {}, {}, {}, {}, {} }) })
    assert.same({ ["segment.jsonl"] = true }, (function()
      local names = {}
      for file in pairs(files(at "none")) do names[file] = true end
      return names
    end)())
    local clip = world:clip(name)
    local hands = clip:hands(2)
    os.execute("mkdir " .. at "single")
    co.image.write(at "single/000000.png", clip:frame(2))
    support.write(at "single.json", json.encode { width = W, height = H, frames = { json.list { {
      vertices = hands[1].vertices:totable() } } } })
    segment_video(at "single", { out = at "one" })
    local hand, truth = co.image.mask(at "one/000000_hand1.png"), 0
    for _, mask in ipairs(world:masks(name, 2).hand) do truth = math.max(truth, co.metrics.iou(hand, mask)) end
    assert.is_true(truth > 0.3, ("IoU %g"):format(truth))
  end)

  it("are painted over the frames", function()
    segment_video(video, { out = at "whole", overlay = at "over.mp4" })
    local over = co.clip(at "over.mp4")
    assert.same({ FRAMES, W, H }, { over.frames, over.width, over.height })
    local mask = co.image.mask(at "whole/000001_hand1.png"):to "float32"
    local gain = (over:frame(1):to "float32" - world:clip(name):frame(1):to "float32"):select(3, 2) * mask
    assert.is_true(gain:sum():item() / mask:sum():item() > 10) -- greener
  end)

  it("keep the hands' numbers while places change in the list, and while one is not seen", function()
    local s = video_masks.new { width = W, height = H, frames = 9 }
    local function hand(x, side) return { vertices = co.tensor { { x, 10 }, { x + 20, 30 } }, side = side } end
    assert.same({ 1, 2 }, s:number { hand(10, "left"), hand(90, "right") })
    assert.same({ 2, 1 }, s:number { hand(85, "right"), hand(12, "left") })
    assert.same({ 2 }, s:number { hand(80, "right") })
    assert.same({ 1, 2 }, s:number { hand(14, "left"), hand(78, "right") })
    assert.same({ 1, 2, 3 }, s:number { hand(14, "left"), hand(78, "right"), hand(45) })
  end)

  it("are of videos: the line says what a picture needs", function()
    local function refused(expected, ...)
      local result = support.cohesiv { "segment", ... }
      assert.equal(2, result.status)
      assert.is_truthy(result.stderr:find(expected, 1, true), result.stderr)
    end
    refused("expected a video, or --at x,y and --model RUN for the image a.png", "a.png", "--out", at "x")
    refused("expected --at and --model together", "a.png", "--at", "1,2", "--out", at "x")
    refused("expected a .mp4 or .gif file", "a.mp4", "--out", at "x", "--overlay", "a.avi")
  end)
end)
