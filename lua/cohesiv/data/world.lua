--- The generated world: clips of hands that hold things, with exact truth, as a data folder.
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"
local progress = require "cohesiv.base.progress"
local error = core.error -- a line, whatever it quotes

local M = {}

local VERSION = 1 -- of what a seed makes: raised whenever the same seed gives other clips
local PARTS = { "flow", "person", "vertices" }
local DEFAULTS = { seed = 1, clips = 10, frames = 10, size = { 448, 256 }, mask_every = 1, truth = PARTS,
  progress = true, out = "" }

local function fail(format, ...) error(("world: " .. format):format(...), 0) end

local function check_whole(name, value, low, high)
  if math.type(value) ~= "integer" or value < low or value > high then
    fail("%s: expected a whole number from %d to %d, found %s", name, low, high, core.text(value))
  end
  return value
end

-- true → all parts, false → none, a list of names → those.
local function check_truth(truth)
  if truth == true then truth = PARTS end
  if truth == false then truth = {} end
  if type(truth) ~= "table" then
    fail("truth: expected a list of flow, person, vertices, found %s", core.text(truth))
  end
  local want = { flow = false, person = false, vertices = false }
  for _, part in ipairs(truth) do
    if want[part] == nil then fail("truth: expected flow, person or vertices, found %s", core.text(part)) end
    want[part] = true
  end
  return want
end

local function check_options(given)
  if type(given) ~= "table" then fail("expected a table of options, found %s", type(given)) end
  for name in pairs(given) do
    if DEFAULTS[name] == nil then
      fail("expected the options clips, frames, mask_every, out, progress, seed, size, truth, found %s",
        core.text(name))
    end
  end
  local o = setmetatable({}, { __index = DEFAULTS })
  for name, value in pairs(given) do o[name] = value end
  if type(o.out) ~= "string" or o.out == "" then
    fail("out: expected the path of a folder, found %s", core.text(given.out))
  end
  local size = o.size
  if type(size) ~= "table" or #size ~= 2 then fail("size: expected { width, height }, found %s", core.text(size)) end
  return {
    out = o.out,
    seed = check_whole("seed", o.seed, 0, math.maxinteger),
    clips = check_whole("clips", o.clips, 0, 10 ^ 12 // 1 | 0),
    frames = check_whole("frames", o.frames, 1, 100000),
    width = check_whole("width", size[1], 16, 4096),
    height = check_whole("height", size[2], 16, 4096),
    mask_every = check_whole("mask_every", o.mask_every, 0, 100000),
    truth = check_truth(o.truth),
    progress = o.progress,
  }
end

-- What world.json keeps: all that decides the clips' bytes, except how many there are.
local function description(o)
  local truth = {}
  for _, part in ipairs(PARTS) do
    if o.truth[part] then truth[#truth + 1] = part end
  end
  return { version = VERSION, seed = o.seed, frames = o.frames, width = o.width, height = o.height,
    mask_every = o.mask_every, truth = table.concat(truth, " ") }
end

-- A world is continued only with the options that began it; other people's folders are left alone.
local function claim(o)
  local path, want = o.out .. "/world.json", description(o)
  local kind = core.io.status(o.out)
  if kind and kind ~= "folder" then fail("out: expected a folder, found the file %s", o.out) end
  if core.io.status(path) then
    local have = json.read(path)
    for name, value in pairs(want) do
      local found = type(have) == "table" and have[name] or nil
      if found ~= value then
        fail("%s: expected a world with %s = %s, found %s", o.out, name, core.text(value), core.text(found))
      end
    end
    return
  end
  if kind and #core.io.list(o.out) > 0 then
    fail("out: expected a new or empty folder or a world, found %s with other files", o.out)
  end
  core.io.make_folder(o.out)
  json.write(path, want) -- first: whatever fails later, the next call finds a world to go on with
end

--- world{ seed = 1, clips = 10, frames = 10, size = {448, 256}, out = "DIR" }: writes clips of hands that hold things
-- to the data folder DIR, with masks, noised landmarks, and below DIR/truth/ exact flow (gaps -3..3, 16-bit PNG),
-- person masks and landmarks. Clip i depends on (seed, i) alone: a longer world begins with the shorter one, clips
-- that are there already are kept, and an interrupted run is finished by the same call. mask_every = 4: masks of every
-- fourth frame (2, 6, …), 0: of none. truth = { "flow", "person",
-- "vertices" } or false leaves parts out; progress = false prints nothing. Returns DIR.
function M.world(given)
  local o = check_options(given)
  claim(o)
  core.io.make_folder(o.out .. "/clips")
  for _, part in ipairs { "", "/hands_json", "/truth/vertices" } do core.io.sweep(o.out .. part) end
  local options = { out = o.out, seed = o.seed, width = o.width, height = o.height, frames = o.frames,
    mask_every = o.mask_every, flow = o.truth.flow, person = o.truth.person, vertices = o.truth.vertices }
  local bar, batch = o.progress and progress.new("world", o.clips), 16
  for first = 0, o.clips - 1, batch do
    local count = math.min(batch, o.clips - first)
    core.world.clips(options, first, count)
    if bar then bar:update(first + count) end
  end
  if bar then bar:finish() end
  return o.out
end

return M
