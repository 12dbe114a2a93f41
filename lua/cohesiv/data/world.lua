--- The generated world: clips of hands that hold things, with exact truth, as a data folder.
local core = require "cohesiv.core"
local progress = require "cohesiv.base.progress"
local cache = require "cohesiv.data.cache"
local json, lists, options = require "cohesiv.base.json", require "cohesiv.base.lists", require "cohesiv.base.options"
local M = {}

local VERSION = 1 -- of what a seed makes: raised whenever the same seed gives other clips
local PARTS = { "flow", "person", "vertices" }

local KNOWN = {
  seed = options.integer(1, 0), clips = options.integer(10, 0, 1000000000000), frames = options.integer(10, 1, 100000),
  mask_every = options.integer(1, 0, 100000), progress = true, truth = options.optional "any",
  size = options.rule({ 448, 256 }, "{ width, height }", function(x) return type(x) == "table" and #x == 2 end),
  out = options.rule(nil, "the path of a folder", function(x) return type(x) == "string" and x ~= "" end),
}

local function fail(format, ...) core.refuse("world: " .. format, ...) end

--- check(options): the options of world{…}, with width, height, and a flag for each part of the truth: of all for true
-- and nil, of none for false.
function M.check(given)
  if given == nil then fail "expected a table of options, found nil" end
  local o = options.read("world", given, KNOWN, ", ")
  for i, side in ipairs { "width", "height" } do o[side] = options.whole("world", side, o.size[i], 16, 4096) end
  local truth = (o.truth == nil or o.truth == true) and PARTS or o.truth or {}
  if type(truth) ~= "table" then
    fail("truth: expected a list of flow, person, vertices, found %s", core.text(truth))
  end
  for _, part in ipairs(truth) do
    if not lists.set(PARTS)[part] then fail("truth: expected flow, person or vertices, found %s", core.text(part)) end
    o[part] = true
  end
  return o
end

-- Only the options that began a world go on with it: world.json keeps all that decides bytes. Other folders stay.
local function claim(o)
  local path, kind = o.out .. "/world.json", core.io.status(o.out)
  local truth = lists.map(PARTS, function(part) return o[part] and part end)
  local want = { version = VERSION, seed = o.seed, frames = o.frames, width = o.width, height = o.height,
    mask_every = o.mask_every, truth = table.concat(truth, " ") }
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
-- that are there already are kept, and the same call finishes an interrupted run. mask_every = 4: masks of every fourth
-- frame (2, 6, …), 0: none. truth = { "flow", "person", "vertices" }: these parts alone. progress = false: quiet.
-- → DIR
function M.world(given)
  local o = M.check(given)
  claim(o)
  core.io.make_folder(o.out .. "/clips")
  for _, part in ipairs { "", "/hands_json", "/truth/vertices" } do core.io.sweep(o.out .. part) end
  local bar, batch = o.progress and progress.new("world", o.clips), 16
  for first = 0, o.clips - 1, batch do
    if core.system.stopped() then
      core.refuse "interrupted: the clips made so far are kept; the same call goes on with the rest"
    end
    local count = math.min(batch, o.clips - first)
    core.world.clips(o, first, count)
    if bar then bar:update(first + count) end
  end
  if bar then bar:finish() end
  return o.out
end

--- in_cache(options): the options of a world whose folder (out) is in the cache, named by them all.
function M.in_cache(o)
  o.out = ("%s/world/%d-%dx%d-seed%d-%dx%d-masks%d-%s"):format(cache.folder(), VERSION, o.size[1], o.size[2], o.seed,
    o.clips, o.frames, o.mask_every, table.concat(o.truth, "-"))
  return o
end

--- make(options): the same world, made where it is not there. Of several processes one makes it, the others wait.
function M.make(o)
  local _ <close> = cache.lock("world", o.out)
  return M.world(o)
end

return M
