-- Videos made here with ffmpeg from pictures whose every pixel tells the frame number, losslessly: exact numbers in any
-- order of access, with reordered and irregularly timed frames, rotation, damage, and children that never outlive us.
local core = require "cohesiv.core"
local co = require "cohesiv"
local frames = require "cohesiv.data.frames"
local support = require "tests.support"

local folder = support.temp()
local function at(name) return folder .. "/" .. name end

local cache_before = os.getenv "COHESIV_CACHE"
setup(function() core.system.setenv("COHESIV_CACHE", at "cache") end)
teardown(function()
  frames.forget()
  core.system.setenv("COHESIV_CACHE", cache_before)
end)


local COUNT, W, H = 60, 48, 32

-- Frame n: a bright marker that moves and stripes that change, over a level that is the number itself.
local function picture(n)
  local t = co.full(40 + 3 * n, H, W, 3, { dtype = "uint8" })
  t[{ {}, { n % (W - 4) + 1, n % (W - 4) + 4 }, 1 }] = 255
  t[{ { 1, 4 }, {}, 2 }] = (n * 53) % 256
  t[{ { 1, 10 }, { 1, 10 }, 3 }] = 250 -- the top left corner is blue
  return t
end

local pictures = {}
for n = 0, COUNT - 1 do
  pictures[n] = picture(n)
  co.image.write(at(("%06d.png"):format(n)), pictures[n])
end

local function ffmpeg(...)
  local result = support.run { "ffmpeg", "-v", "error", "-y", ... }
  assert(result.status == 0, result.stderr)
end

local function encode(name, ...) ffmpeg("-framerate", "25", "-i", at "%06d.png", ...) return at(name) end

-- Lossless with frames out of order in the file.
local lossless = { "-c:v", "libx264rgb", "-qp", "0", "-bf", "3", "-g", "12" }
local function h264(name, ...)
  local words = { table.unpack(lossless) }
  for _, word in ipairs { ... } do words[#words + 1] = word end
  words[#words + 1] = at(name)
  return encode(name, table.unpack(words))
end

local movie = h264 "movie.mp4"

local function assert_frame(n, t) assert.equal(0, support.difference(t, pictures[n]), "frame " .. n) end

describe("video", function()
  after_each(frames.forget)

  it("gives every frame once, in order, by its number", function()
    local clip = co.clip(movie)
    assert.same({ COUNT, W, H }, { clip.frames, clip.width, clip.height })
    for n = 0, COUNT - 1 do assert_frame(n, clip:frame(n)) end
    clip:close()
  end)

  it("gives the same frames in any order", function()
    local clip = co.clip(movie)
    for _, n in ipairs { 59, 0, 30, 29, 28, 31, 58, 59, 1, 45, 45, 0 } do
      assert_frame(n, clip:frame(n))
      if n % 2 == 0 then frames.forget() end
    end
  end)

  it("serves steps back from what it has seen", function()
    local clip, opened = co.clip(movie), 0
    local open = core.io.video_open
    core.io.video_open = function(...)
      opened = opened + 1
      return open(...)
    end
    for n = 12, 40 do
      for gap = -3, 3 do assert_frame(n + gap, clip:frame(n + gap)) end
    end
    core.io.video_open = open
    assert.equal(1, opened)
  end)

  it("keeps frames that the caller closes or writes to", function()
    local clip = co.clip(movie)
    co.tidy(function() clip:frame(5) end)
    clip:frame(5):close()
    local t = clip:frame(5)
    t[{ {}, {}, {} }] = 0
    assert_frame(5, clip:frame(5))
  end)

  it("neither drops nor doubles frames of irregular timing", function()
    for _, expression in ipairs { "N*N/10/TB", "(N+3*mod(N\\,2))/25/TB", "0.001*N/TB" } do
      local path = encode("vfr.mkv", "-vf", "setpts=" .. expression, "-fps_mode", "passthrough", "-c:v", "ffv1",
        "-pix_fmt", "bgr0", at "vfr.mkv")
      local clip = co.clip(path)
      assert.equal(COUNT, clip.frames)
      local sorted = not expression:find "mod"
      for n = 0, sorted and COUNT - 1 or -1 do assert_frame(n, clip:frame(n)) end
      clip:close()
    end
  end)

  it("turns frames as the rotation says", function()
    local bytes = support.read(movie)
    local place = assert(bytes:find("tkhd", 1, true))
    local one, none = string.pack(">i4", 65536), string.pack(">i4", 0)
    local minus, w = string.pack(">i4", -65536), string.pack(">i4", 1 << 30)
    -- the matrix {a, b, u, c, d, v, x, y, w} stands 40 bytes into the box's content
    local function turned(a, b, c, d)
      local matrix = a .. b .. none .. c .. d .. none .. none .. none .. w
      return support.write(at "turned.mp4", bytes:sub(1, place + 43) .. matrix .. bytes:sub(place + 80))
    end
    local cases = {
      { one, none, none, one, W, H, "left", "top" }, { none, one, minus, none, H, W, "right", "top" },
      { minus, none, none, minus, W, H, "right", "bottom" }, { none, minus, one, none, H, W, "left", "bottom" },
    }
    for i, case in ipairs(cases) do
      local clip = co.clip(turned(table.unpack(case, 1, 4)))
      assert.same({ case[5], case[6] }, { clip.width, clip.height }, "case " .. i)
      local frame = clip:frame(0)
      assert.same({ case[6], case[5], 3 }, frame.shape)
      local y, x = case[8] == "top" and 5 or case[6] - 4, case[7] == "left" and 5 or case[5] - 4
      assert.equal(250, frame[{ y, x, 3 }], "case " .. i)
      clip:close()
    end
  end)

  it("reads odd sizes, many containers, single frames", function()
    local odd = co.full(9, 7, 13, 3, { dtype = "uint8" })
    co.image.write(at "odd.png", odd)
    for _, words in ipairs {
      { "-c:v", "ffv1", "-pix_fmt", "bgr0", at "o.mkv" }, { "-c:v", "rawvideo", "-pix_fmt", "bgr24", at "o.avi" },
      { "-c:v", "libx264rgb", "-qp", "0", at "o.mov" }, { "-c:v", "png", at "o.mp4" },
    } do
      ffmpeg("-i", at "odd.png", table.unpack(words))
      local clip = co.clip(words[#words])
      assert.equal(1, clip.frames)
      assert.equal(0, support.difference(clip:frame(0), odd))
      clip:close()
    end
  end)

  it("reads names that look like options, patterns and addresses", function()
    for _, name in ipairs { "-i.mp4", "a %03d b'.mp4", "http:x.mp4", "concat:a|b.mp4" } do
      support.write(at(name), support.read(movie))
      local clip = co.clip(at(name))
      assert.equal(COUNT, clip.frames)
      assert_frame(3, clip:frame(3))
      clip:close()
    end
  end)

  it("refuses frames outside, in one line", function()
    local clip = co.clip(movie)
    support.raises("0 to 59, found 60", clip.frame, clip, 60)
    support.raises("0 or more, found -1", clip.frame, clip, -1)
    support.raises("0 or more, found 1.5", clip.frame, clip, 1.5)
    support.raises("0 or more, found nil", clip.frame, clip)
    assert_frame(59, clip:frame(59))
  end)

  it("reads folders of pictures like videos", function()
    local clip = co.clip(folder)
    assert.same({ COUNT, W, H }, { clip.frames, clip.width, clip.height })
    assert_frame(17, clip:frame(17))
    support.raises("0 to 59, found 60", clip.frame, clip, 60)
    local gap = support.temp()
    co.image.write(gap .. "/000000.png", pictures[0])
    co.image.write(gap .. "/000002.png", pictures[2])
    support.raises("expected 000001.png, found none", co.clip, gap)
    co.image.write(gap .. "/000001.png", co.zeros(3, 3, 3, { dtype = "uint8" }))
    local uneven = co.clip(gap)
    support.raises("48x32", uneven.frame, uneven, 1)
    support.raises("found none", co.clip, support.temp())
  end)
end)

describe("damaged video", function()
  local bytes = support.read(movie)

  local function refused(path, ...)
    local ok, message = pcall(function(...)
      local clip = co.clip(...)
      for n = 0, clip.frames - 1 do clip:frame(n) end
    end, path, ...)
    frames.forget()
    if not ok then
      assert.is_nil(tostring(message):find "\n", message)
      assert.is_truthy(tostring(message):find(path, 1, true), message)
    end
    return not ok
  end

  it("cut short is refused, wherever its index stands", function()
    h264("front.mp4", "-movflags", "+faststart")
    for _, name in ipairs { "movie.mp4", "front.mp4" } do
      local whole = support.read(at(name))
      for _, share in ipairs(support.small and { 0.01, 0.9 } or { 0, 0.001, 0.01, 0.2, 0.5, 0.9, 0.98 }) do
        support.write(at "cut.mp4", whole:sub(1, math.floor(#whole * share)))
        assert.is_true(refused(at "cut.mp4"), ("%s: %g"):format(name, share))
      end
    end
  end)

  it("flipped bytes give frames or one line", function()
    local random = require("tests.files").random(3)
    for _ = 1, support.small and 4 or 10 do
      local damaged = bytes
      for _ = 1, 4 do
        local i = random(#bytes)
        damaged = damaged:sub(1, i - 1) .. string.char(random(256) - 1) .. damaged:sub(i + 1)
      end
      refused(support.write(at "flip.mp4", damaged))
    end
  end)

  it("what is no video is refused", function()
    assert.is_true(refused(support.write(at "text.mp4", ("no video\n"):rep(1000))))
    assert.is_true(refused(support.write(at "text.txt", ("no video\n"):rep(1000))))
    assert.is_true(refused(support.write(at "empty.mp4", "")))
    assert.is_true(refused(support.write(at "list.m3u8", "#EXTM3U\n#EXTINF:1,\n" .. movie .. "\n#EXT-X-ENDLIST\n")))
    assert.is_true(refused(support.write(at "list.ffconcat", "ffconcat version 1.0\nfile movie.mp4\n")))
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", at "sound.mp4")
    assert.is_true(refused(at "sound.mp4"))
    assert.is_true(refused(at "missing.mp4"))
    assert.is_true(refused(at "000000.png"))
  end)

  it("a missing ffmpeg is named", function()
    local path = os.getenv "PATH"
    core.system.setenv("PATH", at "nowhere")
    local ok, message = pcall(core.io.video_open, movie)
    core.system.setenv("PATH", path)
    assert.is_false(ok)
    assert.is_truthy(message:find("ffmpeg: expected the program on the PATH", 1, true), message)
  end)
end)

describe("decoders", function()
  local function children()
    local mine, count = support.read("/proc/self/stat"):match "^(%d+)", 0
    for name in require("lfs").dir "/proc" do
      local file = name:match "^%d+$" and io.open("/proc/" .. name .. "/stat")
      if file then
        local _, parent = (file:read "a" or ""):match "%) (%S) (%d+)"
        if parent == mine then count = count + 1 end
        file:close()
      end
    end
    return count
  end

  it("end with their handles, and are few at a time", function()
    frames.forget()
    local before = children()
    do
      local v <close> = core.io.video_open(movie)
      assert.equal(before + 1, children())
      assert_frame(0, v:read())
      v:close()
      v:close()
      assert.equal(before, children())
      support.raises("closed", v.read, v)
    end
    local clips = {}
    for i = 1, 6 do
      clips[i] = co.clip(movie)
      assert_frame(i, clips[i]:frame(i))
    end
    assert.is_true(children() <= before + 3)
    for i = 6, 1, -1 do
      assert_frame(20, clips[i]:frame(20))
      clips[i]:close()
    end
    assert.equal(before, children())
    core.io.video_open(movie)
    collectgarbage()
    collectgarbage()
    assert.equal(before, children())
  end)

  it("skip counts what was there", function()
    local v <close> = core.io.video_open(movie)
    assert.equal(10, v:skip(10))
    assert_frame(10, v:read())
    assert.equal(11, v.next)
    assert.equal(COUNT - 11, v:skip(1000))
    assert.is_nil(v:read())
    assert.is_nil(v:read())
    assert.equal(0, v:skip(1))
  end)

  it("give their memory back", function()
    frames.forget()
    support.no_leak(function()
      local clip = co.clip(movie)
      for n = 0, 20 do clip:frame(n) end
      clip:close()
      frames.forget()
    end)
  end)
end)

support.data_it("counts frames of real clips as their landmark files do", function()
  local data = co.data(support.data)
  for _, name in ipairs { "cotracker_teddy", "epic_r0c0", "hrt1_lid", "lightbulb" } do
    local clip = data:clip(name)
    local doc = require("cohesiv.base.json").read(("%s/hands_json/%s.json"):format(support.data, name))
    assert.same({ #doc.frames, doc.width, doc.height }, { clip.frames, clip.width, clip.height }, name)
    clip:close()
  end
end)

describe("a written video", function()
  local function write(path, list, rate)
    local writer <close> = core.io.video_writer(path, rate or 25)
    for _, frame in ipairs(list) do writer:add(frame) end
    writer:commit()
  end
  after_each(frames.forget)
  local function kept(name) return (core.io.status(at(name))) end
  -- smooth, so that nothing is lost but by rounding
  local function smooth(n, h, w) return (co.ones(h, w, 3) * (20 * n + 30)):to "uint8" end

  it("holds its frames, in order, at its rate", function()
    local list = {}
    for n = 0, 9 do list[n + 1] = smooth(n, 34, 50) end
    for name, rate in pairs { ["w.mp4"] = 30, ["w.gif"] = 10 } do
      write(at(name), list, rate)
      local clip = co.clip(at(name))
      assert.same({ 10, 50, 34 }, { clip.frames, clip.width, clip.height })
      assert.equal(rate, clip:rate())
      for n = 0, 9 do assert.is_true(support.difference(clip:frame(n), list[n + 1]) <= 3, name .. n) end
    end
  end)

  it("of odd sizes gets a row and a column more", function()
    write(at "odd.mp4", { smooth(1, 33, 47) })
    local clip = co.clip(at "odd.mp4")
    assert.same({ 48, 34 }, { clip.width, clip.height })
  end)

  it("tells its rate; a folder of pictures does not", function()
    assert.equal(25, core.io.video_rate(movie))
    ffmpeg("-framerate", "30000/1001", "-i", at "%06d.png", "-frames:v", "3", at "ntsc.mkv")
    assert.equal(29.97, core.io.video_rate(at "ntsc.mkv"))
    assert.equal(25, co.clip(folder):rate())
    support.raises("expected a video file, found a PNG", core.io.video_rate, at "000000.png")
  end)

  it("is there whole or not at all", function()
    local writer = core.io.video_writer(at "left.mp4", 25)
    writer:add(pictures[0])
    writer:close()
    writer:close()
    assert.is_nil(kept "left.mp4")
    support.raises("expected an open writer", writer.add, writer, pictures[0])
    support.write(at "old.mp4", "as before")
    support.raises("expected frames of 48x32 as the first, found 47x32", write, at "old.mp4",
      { pictures[0], smooth(0, 32, 47) })
    assert.equal("as before", support.read(at "old.mp4"))
    support.raises("expected frames to write, found none", write, at "none.mp4", {})
    support.raises("expected a .mp4 or .gif file to write", write, at "a.avi", {})
    support.raises("expected 0.01 to 1000 frames a second, found 0", write, at "a.mp4", {}, 0)
    support.raises("expected a folder to write in", write, at "nowhere/a.mp4", {})
    support.raises("expected frames of uint8 HxWx3", write, at "a.mp4", { co.zeros(4, 4, 3) })
    for _, name in ipairs(core.io.list(folder)) do assert.is_nil(name:find "^%.cohesiv") end
  end)

  it("that ffmpeg cannot make is refused in its words", function()
    local path = os.getenv "PATH"
    finally(function() core.system.setenv("PATH", path) end)
    core.io.make_folder(at "bin")
    support.write(at "bin/ffmpeg", "#!/bin/sh\necho '[error] no room left' >&2\nexit 3\n")
    assert(os.execute(("chmod +x '%s'"):format(at "bin/ffmpeg")))
    core.system.setenv("PATH", at "bin" .. ":" .. path)
    local big = co.zeros(1000, 1000, 3, { dtype = "uint8" })
    support.raises("expected a video from ffmpeg, found: no room left", write, at "x.mp4", { big, big })
    assert.is_nil(kept "x.mp4")
    core.system.setenv("PATH", at "nothing")
    support.raises("ffmpeg: expected the program on the PATH", write, at "x.mp4", { big })
  end)
end)
