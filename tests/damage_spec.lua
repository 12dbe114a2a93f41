-- Damaged and cut videos, made here in many containers: none looks like a shorter one. What the decoder says of frames
-- is heard, however much it says and wherever it says it; what it says of sound is not. A program that speaks like
-- ffmpeg stands in for it where its words matter.
local core = require "cohesiv.core"
local co = require "cohesiv"
local cache = require "cohesiv.data.cache"
local frames = require "cohesiv.data.frames"
local support = require "tests.support"

local folder = support.temp()
local function at(name) return folder .. "/" .. name end

local before, path_before = os.getenv "COHESIV_CACHE", os.getenv "PATH"
setup(function() core.system.setenv("COHESIV_CACHE", at "cache") end)
teardown(function()
  frames.forget()
  core.system.setenv("COHESIV_CACHE", before)
end)

local COUNT = 24
local function ffmpeg(...)
  local result = support.run { "ffmpeg", "-v", "error", "-y", ... }
  assert(result.status == 0, result.stderr)
end
local picture = { "-f", "lavfi", "-i", "testsrc2=s=64x48:r=24:d=1" }
local sound = { "-f", "lavfi", "-i", "sine=d=1" }
local function flat(words, into)
  for _, word in ipairs(words) do
    if type(word) == "table" then flat(word, into) else into[#into + 1] = word end
  end
  return into
end
local function make(name, ...)
  ffmpeg(table.unpack(flat({ picture, { ... }, at(name) }, {})))
  return at(name)
end
local x264 = { "-c:v", "libx264", "-g", "12", "-bf", "2" }

local function write(name, bytes) return support.write(at(name), bytes) end

-- Counts, and asserts that a refusal is one line that names the file: the count, or nil and the message.
local function count(path)
  local ok, result = pcall(core.io.video_count, path)
  if ok then return result end
  assert.is_nil(result:find "\n", result)
  assert.equal(path .. ": expected ", result:sub(1, #path + 11))
  return nil, result
end

describe("a video cut short", function()
  -- In these every cut is known, because they tell their size or mark their end.
  local sized = {
    ["a.avi"] = { "-c:v", "mjpeg" }, ["a.mkv"] = x264, ["a.webm"] = { "-c:v", "libvpx", "-deadline", "realtime" },
    ["a.wmv"] = { "-c:v", "wmv2" }, ["a.flv"] = { "-c:v", "flv" }, ["a.ogv"] = { "-c:v", "libtheora" },
    ["a.gif"] = {}, ["a.mp4"] = x264, ["front.mp4"] = { x264, "-movflags", "+faststart" },
    ["fragments.mp4"] = { x264, "-movflags", "+frag_keyframe+empty_moov" }, ["a.mov"] = { "-c:v", "mjpeg" },
    ["a.ts"] = { "-c:v", "mpeg2video", "-f", "mpegts" },
    ["a.m2ts"] = { x264, "-f", "mpegts", "-mpegts_m2ts_mode", "1" },
  }

  it("is refused, wherever it is cut", function()
    for name, words in pairs(sized) do
      local whole = support.read(make(name, words))
      local all = count(at(name)) -- Theora leaves out frames that are as the one before
      assert.is_true(all == COUNT or (name == "a.ogv" and all > 10), name)
      for _, share in ipairs(support.small and { 0.6 } or { 0, 0.1, 0.6, 0.9 }) do
        local found, why = count(write("cut-" .. name, whole:sub(1, math.floor(#whole * share) // 188 * 188 + 100)))
        assert.is_nil(found, ("%s at %g"):format(name, share))
        assert.is_truthy(why)
      end
    end
  end)

  it("tells the bytes that are missing", function()
    for _, name in ipairs { "a.mkv", "a.wmv", "a.flv", "front.mp4" } do
      local whole = support.read(at(name))
      local _, why = count(write("cut-" .. name, whole:sub(1, -2)))
      local text = ("whole video file of at least %d bytes, found %d"):format(#whole, #whole - 1)
      assert.is_truthy(why:find(text, 1, true), why)
    end
    local _, why = count(write("cut.ts", support.read(at "a.ts"):sub(1, -8)))
    assert.is_truthy(why:find("of packets of 188 bytes, found 181 bytes of one at its end", 1, true), why)
    _, why = count(write("cut.ogv", support.read(at "a.ogv"):sub(1, -2)))
    assert.is_truthy(why:find("found no end of its Ogg stream", 1, true), why)
    _, why = count(write("cut.gif", support.read(at "a.gif"):sub(1, -2)))
    assert.is_truthy(why:find("found no end of its GIF", 1, true), why)
  end)

  it("of an unknown size is read as far as it is whole", function() -- docs/data.md: what cannot be known
    local properties = "\xA1\xDC\xAB\x8C\x47\xA9\xCF\x11"
    local untold = support.read(at "a.wmv"):gsub(properties, ("\0"):rep(8))
    local _, words = count(write("untold.wmv", untold)) -- by ffmpeg: our own look at it has nothing to say
    assert.is_truthy(words and words:find "untold.wmv: expected a video file, found: ", words)
    local whole = support.read(at "a.ts")
    local found = count(write("cut.ts", whole:sub(1, #whole // 2 // 188 * 188)))
    assert.is_true(found == nil or found < COUNT)
    local head = "\24\83\128\103"
    local live = support.read(at "a.mkv"):gsub(head .. ("."):rep(8), head .. "\1" .. ("\255"):rep(7), 1)
    assert.equal(COUNT, count(write("live.mkv", live)))
  end)
end)

describe("a damaged video", function()
  -- 60 bytes inverted in the middle of the frames, as in a file that a disk has spoilt.
  local function spoilt()
    local bytes = support.read(at "a.mp4")
    local _, first = bytes:find("mdat", 1, true)
    local place = first + (#bytes - first) // 2
    return write("spoilt.mp4", bytes:sub(1, place) .. bytes:sub(place + 1, place + 60):gsub(".", function(c)
      return string.char(c:byte() ~ 0x5A)
    end) .. bytes:sub(place + 61))
  end

  it("is refused with the frame and the decoder's words, however it is opened", function()
    local path = spoilt()
    local _, why = count(path)
    local near = tonumber(why:match "^[^:]+: expected a whole video file, found damage near frame (%d+): %S")
    assert.is_true(near ~= nil and near > 2 and near < 20, why)
    assert.equal(why, support.raises("damage near frame", co.clip, path))
    core.io.make_folder(at "d/clips")
    support.write(at "d/clips/a.mp4", support.read(path))
    local clip = co.data(at "d"):clip "a"
    support.raises("damage near frame", clip.frame, clip, 0)
  end)

  it("gives no frame from the damage on to those who read in order", function()
    local good = core.io.video_open(at "a.mp4")
    local given = 0
    local why = support.raises("spoilt.mp4: expected a whole video file, found damage near frame", function()
      local bad <close> = core.io.video_open(spoilt()) -- a slow reader hears of the damage here already
      while true do
        local frame = assert.is_truthy(bad:read(), "the end came without a word")
        assert.equal(0, support.difference(good:read(), frame), "frame " .. given)
        given = given + 1
      end
    end)
    assert.is_true(given < 20, why)
    good:close()
  end)

  it("is not one whose sound alone is broken", function()
    for name, words in pairs {
      ["s.mp4"] = { x264, "-c:a", "aac" },
      ["s.webm"] = { "-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libvorbis" },
      ["s.avi"] = { "-c:v", "mpeg4", "-c:a", "mp3" },
    } do
      local path = make(name, sound, words)
      local bytes = support.read(path)
      local probe = support.run { "ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries",
        "packet=pos,size", "-of", "csv=p=0", path }
      local parts, last, broken = {}, 0, 0
      for size, pos in probe.stdout:gmatch "(%d+),(%d+)" do
        size, pos = tonumber(size), tonumber(pos)
        if size > 20 and pos + 4 > last then
          parts[#parts + 1] = bytes:sub(last + 1, pos + 4) .. ("\x5A\xE1\x3C"):rep(size):sub(1, size - 10)
          last, broken = pos + size - 6, broken + 1
        end
      end
      assert.is_true(broken > 5, probe.stdout .. probe.stderr)
      local found, why = count(write(name, table.concat(parts) .. bytes:sub(last + 1)))
      assert.equal(COUNT, found, why)
    end
  end)

  it("is told from what is no video", function()
    for bytes, text in pairs {
      [""] = "found an empty file", ["<!DOCTYPE html><html>x</html>"] = "found an HTML page",
      ["version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"] = "found a Git LFS pointer",
    } do
      local _, why = count(write("other.mp4", bytes))
      assert.is_truthy(why:find("expected a video file, " .. text, 1, true), why)
    end
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", at "sound.m4a")
    local _, why = count(at "sound.m4a")
    assert.is_truthy(why:find("found no moving pictures in it", 1, true), why)
  end)

  it("is counted anew after an older release counted it", function()
    local path = make("old.mp4", x264)
    cache.store("video", frames.stamp(path), co.tensor({ 7, 64, 48 }, { dtype = "int64" }))
    assert.equal(COUNT, co.clip(path).frames)
    assert.equal(COUNT, co.clip(path).frames)
  end)
end)

describe("the decoder's words", function()
  -- Runs f with a shell script for ffmpeg: frame N gives a picture of 2x1, say LEVEL PART TEXT a line on stderr.
  local function with(script, f)
    core.io.make_folder(at "bin")
    write("bin/ffmpeg", [[#!/bin/sh
frame() { printf 'P6\n2 1\n255\n%s%s%s%s%s%s' $1 $1 $1 $1 $1 $1; }
say() { echo "[$2 @ 0x55d0] [$1] $3" >&2; }
]] .. script)
    assert(os.execute("chmod +x " .. support.quote(at "bin/ffmpeg")))
    core.system.setenv("PATH", at "bin" .. ":" .. path_before)
    local ok, why = pcall(f)
    core.system.setenv("PATH", path_before)
    assert(ok, why)
  end
  local path = write("any.mp4", "\1any")

  local function read(n)
    local v <close> = core.io.video_open(path)
    for i = 1, n do assert.equal(48 + i, v:read()[{ 1, 1, 1 }]) end
    return v:read()
  end

  it("of damage end reading at the frame that follows", function()
    for _, words in ipairs {
      "error h264 'no frame!'", "error NULL 'Invalid NAL unit size'", "fatal 'mov,mp4' 'x'",
      "warning x 'file:any: corrupt decoded frame in stream 0'",
    } do
      with("frame 1; frame 2; say " .. words .. "; frame 3; sleep 1; frame 4", function()
        local ok, why = pcall(read, 2) -- said while two frames stood in the pipe, perhaps
        assert.is_false(ok)
        assert.is_truthy(why:find("any.mp4: expected a", 1, true), why)
      end)
      with("frame 1; frame 2; sleep 0.5; say " .. words, function()
        local ok, why = pcall(read, 2)
        assert.is_false(ok)
        assert.is_truthy(why:find("damage near frame 2: ", 1, true), why)
      end)
    end
  end)

  it("of sound, and of what does no harm, do not", function()
    with([[say error aac 'Number of bands (6) exceeds limit (4).'; say error mp3float x; frame 1
say warning swscaler 'deprecated pixel format used'; say error h264 'SEI type 5 size 64 truncated at 40'
echo 'Svt[info]: something [error] else' >&2; say info h264 'concealing'; frame 2]], function()
      assert.is_nil(read(2))
    end)
  end)

  it("may be many: nothing waits for ever, and the first complaint counts", function()
    with([[i=0; while [ $i -lt 3000 ]; do
say warning swscaler 'deprecated pixel format used, and much more is said of it than anybody would like to read here'
i=$((i+1)); done; frame 1; frame 2]], function() assert.is_nil(read(2)) end)
    with([[i=0; while [ $i -lt 3000 ]; do say warning swscaler 'a harmless line of some length, again and again'
i=$((i+1)); done; printf '%s' "[x @ 0x1] [error] the first of all" >&2; frame 1]], function()
      local ok, why = pcall(read, 1)
      assert.is_false(ok)
      assert.is_truthy(why:find("the first of all", 1, true), why)
    end)
    with([[head -c 300000 /dev/zero | tr '\0' x >&2; frame 1]], function() assert.is_nil(read(1)) end)
  end)

  it("of control bytes stay one line", function()
    with([[printf '[x @ 0x1] [error] a\033[31mb\007\n' >&2; exit 1]], function()
      local ok, why = pcall(read, 0)
      assert.is_false(ok)
      assert.is_nil(why:find "%c")
    end)
  end)

  it("are not needed: an exit status and broken frames are told too", function()
    for script, text in pairs {
      ["frame 1; exit 3"] = "expected a whole video file, found damage near frame 1",
      ["exit 1"] = "expected a video file", ["exit 0"] = "expected a video file, found no frames",
      ["frame 1; printf 'P6\\n2 1\\n255\\nab'"] = "expected whole frames from ffmpeg, found the end",
      ["frame 1; printf 'P6\\n2 2\\n255\\nabcdef'"] = "expected frames of 2x1, found 2x2 from frame 1 on",
      ["frame 1; printf 'P5\\n2 2\\n255\\nabcdef'"] = "expected a frame from ffmpeg, found something else",
      ["printf 'P6\\n99999999999999999999 2\\n255\\nabcdef'"] = "expected a frame from ffmpeg, found something else",
      ["printf 'P6\\n2 -1\\n255\\nabcdef'"] = "something else",
      ["printf 'P6\\n2 1\\n65535\\nabcdef'"] = "something else",
    } do
      with(script, function() support.raises(text, read, script:find "^frame" and 1 or 0) end)
    end
  end)
end)

support.data_it("real clips are read without a word", function()
  local files = support.list(support.data .. "/clips")
  for i = 1, #files, support.small and 20 or 8 do
    local clip = co.clip(("%s/clips/%s"):format(support.data, files[i]))
    assert.is_true(clip.frames > 0)
    clip:close()
  end
end)
