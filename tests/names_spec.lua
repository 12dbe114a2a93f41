-- Names: what is a video, a picture, a numbered picture; that what a data folder lists opens, in every spelling; that
-- frame 0 is the first file; gaps, doubles and mixtures; what is passed over, and the files that belong to frames.
local core = require "cohesiv.core"
local co = require "cohesiv"
local given = require "cohesiv.data.given"
local frames = require "cohesiv.data.frames"
local json = require "cohesiv.base.json"
local labels = require "cohesiv.train.labels"
local names = require "cohesiv.data.names"
local warn = require "cohesiv.base.warn"
local support = require "tests.support"

support.without_weights()

local W, H = 24, 16
local function picture(level) return co.full(level, H, W, 3, { dtype = "uint8" }) end

-- Bytes of pictures of one grey each, as PNG and (by ffmpeg) JPEG; a video of three frames.
local made = support.temp()
local function ffmpeg(...)
  local result = support.run { "ffmpeg", "-v", "error", "-y", ... }
  assert(result.status == 0, result.stderr)
end
local PNG, JPG = {}, {}
for n = 0, 2 do
  local path = ("%s/%06d"):format(made, n)
  co.image.write(path .. ".png", picture(40 * (n + 1)))
  ffmpeg("-i", path .. ".png", "-q:v", "1", path .. ".jpg")
  PNG[n], JPG[n] = support.read(path .. ".png"), support.read(path .. ".jpg")
end
ffmpeg("-framerate", "5", "-i", made .. "/%06d.png", "-c:v", "libx264rgb", "-qp", "0", made .. "/v.mp4")
local MP4 = support.read(made .. "/v.mp4")

local cache_before = os.getenv "COHESIV_CACHE"
local write, lines = warn.write, {}
setup(function()
  core.system.setenv("COHESIV_CACHE", made .. "/cache")
  warn.write = function(line) lines[#lines + 1] = line end
end)
teardown(function()
  warn.write = write
  frames.forget()
  core.system.setenv("COHESIV_CACHE", cache_before)
end)
before_each(function() lines = {} end)

-- A folder with these files: { ["clips/a/00001.png"] = bytes, … }.
local function folder(files)
  local root = support.temp()
  for name, bytes in pairs(files) do
    local path = root .. "/" .. name
    core.io.make_folder((path:match "^(.*)/"))
    support.write(path, bytes)
  end
  return root
end

local function data_of(files)
  local path = folder(files)
  core.io.make_folder(path .. "/clips")
  return co.data(path)
end

-- The grey level of a frame.
local function level(clip, n) return clip:frame(n)[{ 8, 12, 2 }] end

-- Three pictures named by a format, beginning at a number.
local function three(format, first, bytes)
  local files = {}
  for n = 0, 2 do files[format:format(first + n)] = (bytes or PNG)[n] end
  return files
end

local function copy(into, files, prefix)
  for name, bytes in pairs(files) do into[(prefix or "") .. name] = bytes end
  return into
end

describe("a name", function()
  it("of a video is one in any case", function()
    for file, stem in pairs {
      ["a.mp4"] = "a", ["GX010042.MP4"] = "GX010042", ["c.MOV"] = "c", ["x.y.WebM"] = "x.y", ["d.mpg"] = "d",
      ["d.m2ts"] = "d", ["d.WMV"] = "d", ["d.3gp"] = "d",
    } do
      assert.equal(stem, (names.video(file)), file)
    end
    for _, file in ipairs { "a", "mp4", ".mp4", "a.mp4.txt", "a.png", "a.", "a.m3u8", "" } do
      assert.is_nil(names.video(file), file)
    end
  end)

  it("of a numbered picture has 5 to 10 digits", function()
    for file, parts in pairs {
      ["00000.png"] = { "", "00000", "png" }, ["frame_0000000001.jpg"] = { "frame_", "0000000001", "jpg" },
      ["img-2024_000017.JPEG"] = { "img-2024_", "000017", "JPEG" }, ["a1b00001.PNG"] = { "a1b", "00001", "PNG" },
    } do
      assert.same(parts, { names.numbered(file) }, file)
      assert.is_true(names.picture(file))
    end
    for _, file in ipairs {
      "0000.png", "00000000001.png", "00001x.png", "000004_hand1.png", "cover.png", "00001", "",
    } do
      assert.is_nil(names.numbered(file), file)
    end
  end)
end)

describe("a folder of pictures", function()
  it("is read in any spelling, from any number; frame 0 is the first file", function()
    for format, bytes in pairs {
      ["%05d.png"] = PNG, ["%06d.png"] = PNG, ["%010d.jpg"] = JPG, ["frame_%010d.jpg"] = JPG, ["%06d.JPG"] = JPG,
      ["img-%07d.PNG"] = PNG, ["%08d.jpeg"] = JPG, ["a b'%05d.Jpeg"] = JPG,
    } do
      for _, first in ipairs { 0, 1, 99998 } do
        local data = data_of(copy({}, three(format, first, bytes), "clips/a/"))
        assert.same({ "a" }, data.clips, format)
        for _, clip in ipairs { data:clip "a", co.clip(data.path .. "/clips/a") } do
          assert.same({ 3, W, H }, { clip.frames, clip.width, clip.height })
          for n = 0, 2 do assert.near(40 * (n + 1), level(clip, n), 2, format) end
          support.raises("0 to 2, found 3", clip.frame, clip, 3)
        end
      end
    end
    assert.same({}, lines)
  end)

  it("takes ten digits to the last", function()
    local clip = co.clip(folder { ["9999999998.png"] = PNG[0], ["9999999999.png"] = PNG[1] })
    assert.same({ 2, 40, 80 }, { clip.frames, level(clip, 0), level(clip, 1) })
  end)

  it("with gaps, doubles and mixtures is refused, the files named", function()
    local function refused(text, files)
      local path = folder(files)
      assert.is_truthy(support.raises(text, co.clip, path):find(path, 1, true))
    end
    refused("expected frame_0000000007.jpg, found none", { ["frame_0000000006.jpg"] = JPG[0],
      ["frame_0000000008.jpg"] = JPG[1], ["frame_0000000012.jpg"] = JPG[1] })
    refused("expected 00003.PNG, found none", copy(three("%05d.PNG", 0), { ["00004.PNG"] = PNG[0] }))
    refused("expected one picture of each number, found 000001.jpg and 000001.png",
      copy(three("%06d.png", 0), { ["000001.jpg"] = JPG[0] }))
    refused("expected one picture of each number, found 000001.jpg and 00001.jpg",
      { ["00001.jpg"] = JPG[0], ["000001.jpg"] = JPG[1] })
    refused("expected one series of pictures, found a_00000.png and b_00001.png",
      { ["a_00000.png"] = PNG[0], ["b_00001.png"] = PNG[1] })
    refused("5 to 10 digits (000000.png, frame_0000000001.jpg), found 0001.png", three("%04d.png", 1))
    refused("found cover.jpg", { ["cover.jpg"] = JPG[0] })
    refused("found 000000.bmp", three("%06d.bmp", 0))
    refused("found none", { ["notes.txt"] = "" })
    co.image.write(made .. "/small.png", co.zeros(3, 4, 3, { dtype = "uint8" }))
    local uneven = co.clip(folder(copy(three("%05d.png", 0), { ["00001.png"] = support.read(made .. "/small.png") })))
    support.raises("00001.png: expected a picture of 24x16 as the others, found 4x3", uneven.frame, uneven, 1)
  end)

  it("says once which pictures are passed over, and not what nobody misses", function()
    local path = folder(copy(three("%05d.png", 1), {
      ["cover.jpg"] = JPG[0], ["z.webp"] = "x", [".DS_Store"] = "x", ["Thumbs.db"] = "x", ["notes.txt"] = "x",
      [".00001.png"] = "x",
    }))
    for _ = 1, 2 do
      local clip = co.clip(path)
      assert.same({ 3, 40 }, { clip.frames, level(clip, 0) })
    end
    assert.same({ ("cohesiv: warning: %s: passed over cover.jpg and 1 more: not numbered as the others"):format(path) },
      lines)
  end)
end)

describe("listing", function()
  it("lists what opens, and says once what it passes over", function()
    local files = {
      ["clips/GX010042.MP4"] = MP4, ["clips/c.MOV"] = MP4, ["clips/odd.Mp4"] = MP4, ["clips/sub/d.mkv"] = MP4,
      ["clips/old.avi"] = MP4, ["clips/b.mp4"] = MP4, ["clips/b.MOV"] = MP4, ["clips/x.wmx"] = "x",
      ["clips/empty/readme.txt"] = "x", ["clips/photos/IMG_1.jpg"] = JPG[0], ["clips/readme.txt"] = "x",
      ["clips/Thumbs.db"] = "x", ["clips/.hidden.mp4"] = MP4, ["clips/000000.png"] = PNG[0],
    }
    copy(files, three("%06d.png", 1), "clips/from1/")
    copy(files, three("%06d.png", 0), "clips/b/")
    copy(files, three("frame_%010d.jpg", 7, JPG), "clips/sub/e/")
    local data = data_of(files)
    local expected = { "GX010042", "b", "c", "from1", "odd", "old", "sub/d", "sub/e" }
    assert.same(expected, data.clips)
    assert.same(expected, data.clips)
    local line = lines[1]
    assert.equal(1, #lines)
    for _, part in ipairs {
      "data " .. data.path .. ": passed over in clips/: ", "b/ (its name is that of b.mp4)",
      "b.MOV (its name is that of b.mp4)", "empty/ (no pictures or videos in it)",
      "photos/ (expected pictures numbered by 5 to 10 digits (000000.png, frame_0000000001.jpg), found IMG_1.jpg)",
      "x.wmx (no video by its name)", " and 1 more",
    } do
      assert.is_truthy(line:find(part, 1, true), ("expected %s in %s"):format(part, line))
    end
    for _, other in ipairs { data, co.data(data.path) } do -- as listed, and looked for
      for _, name in ipairs(expected) do
        local clip = other:clip(name)
        assert.equal(3, clip.frames, name)
        assert.near(40, level(clip, 0), 2, name)
        clip:close()
      end
    end
    assert.equal(data.path .. "/clips/b.mp4", co.data(data.path):clip("b").path)
    support.raises("expected clips/x.mp4 (or another video) or a folder clips/x of numbered pictures, found neither",
      data.clip, data, "x")
  end)

  it("keeps names with control bytes on one line", function()
    local data = data_of { ["clips/a\nb\27.wmx"] = "x", ["clips/c\nd/0001.png"] = PNG[0] }
    assert.same({}, data.clips)
    assert.is_truthy(lines[1]:find([[a\nb\x1b.wmx (no video]], 1, true), lines[1])
    assert.is_nil(lines[1]:find "%c")
    support.raises([[clips/a\nb.mp4]], data.clip, data, "a\nb")
    support.raises([[c\nd: expected pictures numbered]], co.clip, data.path .. "/clips/c\nd")
    support.raises([[\nnone: expected a video file]], co.clip, data.path .. "/\nnone")
  end)

  it("opening lists no folder for usual names", function()
    local data = data_of(copy({ ["clips/v.mp4"] = MP4, ["clips/w.MP4"] = MP4 }, three("%06d.png", 0), "clips/p/"))
    local list = core.io.list
    core.io.list = function(path) error("listed " .. path, 0) end
    local ok, why = pcall(function() for _, name in ipairs { "v", "w", "p" } do data:clip(name) end end)
    core.io.list = list
    assert.is_true(ok, why)
  end)
end)

describe("files of frames", function()
  local function files(...)
    local all = {}
    for _, name in ipairs { ... } do all[name] = name end
    return folder(all)
  end
  local anyone = {} -- a clip of two million frames
  local function found(path, n, kinds) return given.file(path, n, kinds or { "png" }, anyone, 2000000) end

  it("are found in the spelling %06d without listing, in others if one alone is meant", function()
    local path = files("000004.flo", "00005.FLO", "frame_0000000006.png", "000007.npy", "000007.png", "8.png",
      "00009.png", "0000009.png", "000010_hand1.png", "1000000.png")
    local kinds = { "flo", "npz", "npy", "png" }
    assert.equal(path .. "/000004.flo", (found(path, 4, kinds)))
    assert.equal(path .. "/00005.FLO", (found(path, 5, kinds)))
    assert.equal("flo", select(2, found(path, 5, kinds)))
    assert.equal(path .. "/frame_0000000006.png", (found(path, 6, kinds)))
    assert.equal(path .. "/000007.npy", (found(path, 7, kinds)))
    assert.equal(path .. "/1000000.png", (found(path, 1000000, kinds)))
    assert.is_nil(found(path, 8, kinds))
    assert.is_nil(found(path, 10, kinds))
    assert.is_nil(found(path, 4))
    assert.is_nil(found(path .. "/none", 4))
    support.raises("expected one file of frame 9, found 0000009.png and 00009.png", found, path, 9)
    local list = core.io.list
    core.io.list = function() error("listed", 0) end
    assert.equal(path .. "/000004.flo", (found(path, 4, kinds)))
    core.io.list = list
  end)

  it("are seen when they are added, and listed once while nothing changes", function()
    local path = files "00001.png"
    assert.equal(path .. "/00001.png", (found(path, 1)))
    support.write(path .. "/00002.png", "")
    assert.equal(path .. "/00002.png", (found(path, 2)))
    assert(os.execute("touch -d '1 minute ago' " .. support.quote(path)))
    local list, count = core.io.list, 0
    core.io.list = function(...)
      count = count + 1
      return list(...)
    end
    for n = 1, 9 do found(path, n) end
    core.io.list = list
    assert.equal(1, count)
    os.remove(path .. "/00002.png")
    assert.is_nil(found(path, 2))
  end)

  it("that count from 1 are refused", function()
    local all = copy({}, three("%06d.png", 0), "clips/a/")
    local mask = co.zeros(H, W, { dtype = "uint8" })
    mask[{ {}, { 1, 12 } }] = 255
    co.image.write(made .. "/mask.png", mask)
    for n = 1, 3 do
      all[("person/a/%06d.png"):format(n)] = support.read(made .. "/mask.png")
      all[("person/b/frame_%05d.PNG"):format(n)] = support.read(made .. "/mask.png")
    end
    copy(all, three("%05d.png", 1), "clips/b/")
    all["person/c/00001.PNG"] = support.read(made .. "/mask.png")
    copy(all, three("%06d.png", 0), "clips/c/")
    local data = data_of(all)
    for name, file in pairs { a = "000003.png", b = "frame_00003.PNG" } do
      local clip = data:clip(name)
      support.raises(("person/%s/%s: expected files of frames 0 to 2 at most, found one of frame 3 and none of frame 0"
        ):format(name, file), clip.person, clip, 1, { size = { W, H } })
    end
    assert.equal(12 * H, data:clip("c"):person(1, { size = { W, H } }):to("float32"):sum():item())
    core.io.make_folder(data.path .. "/flow/c/1")
    co.save(data.path .. "/flow/c/1/000002.npy", co.zeros(H, W, 2))
    co.save(data.path .. "/flow/c/1/000001.npy", co.zeros(H, W, 2))
    support.raises("frames 0 to 1 at most, found one of frame 2", data:clip("c").flow, data:clip "c", 1, 1)
  end)
end)

describe("clips to train on", function()
  local recipe = { size = { 64, 48 }, maps = {} }
  local function hands(moving)
    local list = {}
    for n = 0, 9 do
      local x = moving and 2 * n or 0
      list[n + 1] = { { vertices = { { x, 1 }, { x + 4, 1 }, { x, 6 } } } }
    end
    return json.encode { width = W, height = H, frames = list }
  end
  local function ten(into, name)
    for n = 0, 9 do into[("clips/%s/%05d.png"):format(name, n + 1)] = PNG[0] end
    return into
  end

  it("are told from those without landmarks and those without motion", function()
    local function why(files)
      return support.raises("labels: expected clips in", labels.survey, data_of(files), recipe)
    end
    assert.is_truthy(why({}):find("found no clips in clips/", 1, true))
    assert.is_truthy(why(ten({}, "a")):find("found 1 clip, none with landmarks (give hands_json/NAME.json)", 1, true))
    local files = ten(ten({}, "a"), "b")
    files["hands_json/b.json"] = hands(false)
    assert.is_truthy(why(files):find("found 2 clips, 1 with landmarks, none of a hand that moves", 1, true))
    files = ten(files, "c")
    files["hands_json/c.json"] = hands(true)
    lines = {}
    local data = data_of(files)
    local found = labels.survey(data, recipe)
    assert.same({ 3, 2, 4, { 3, 4, 5, 6 } }, { found.clips, found.hands, found.total, found.wanted[2].frames })
    local line = "cohesiv: warning: labels: 1 of the 3 clips in " .. data.path
    assert.same({ line .. " have no landmarks and are not trained on: a",
      line .. " show no moving hand and are not trained on: b" }, lines)
  end)

  it("are counted by a dry run with the same words", function()
    local data = data_of(ten({}, "a"))
    local words = { "train", support.root .. "/experiments/cohesiv.lua", "data=" .. data.path, "--dry-run" }
    local result = support.cohesiv(words, { dir = support.root })
    support.refuses(result, 1, "labels: expected clips in " .. data.path)
    core.io.make_folder(data.path .. "/hands_json")
    support.write(data.path .. "/hands_json/a.json", hands(true))
    result = support.cohesiv(words, { dir = support.root })
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stdout:find("1 clips, 1 with landmarks, 4 frames to train on", 1, true), result.stdout)
  end)
end)
