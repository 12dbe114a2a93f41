--- Indexes: the names of a data folder's clips, and where each lies, in one file of the cache, so that a set of
-- millions opens without walking its folders and takes the same memory as a small one. `cohesiv data PATH --index`
-- makes it.
--
--   "cohesiv index 1\n" | entries: name, place (strings with their length in front), sorted by name, list after list
--   | the stamp of the folder, for each list: count, offsets of every BLOCK-th entry, its end | offset of that | magic
--
-- Entries are read by blocks when asked for, of which few are kept. An index is known to be old by the times of the
-- folder and of its clips/; what changes in deeper folders is not seen.
local core = require "cohesiv.core"
local warn = require "cohesiv.base.warn"
local cache, frames = require "cohesiv.data.cache", require "cohesiv.data.frames"
local index = {}

local MAGIC, BLOCK, KEPT = "cohesiv index 1\n", 256, 32
local LISTS = { "clips", "annotated" }

-- The file of a folder's index.
local function place_of(path)
  return (cache.path("index", "index 1\n" .. frames.stamp(path):match "^[^\n]*", "index"))
end

-- What tells that a folder has changed.
local function stamp_of(path) return frames.stamp(path) .. "\n" .. frames.stamp(path .. "/clips") end

-- ---- a list whose entries lie in the file ----
local HELD = {} -- the key of what a list knows

-- Entries of block b (from 1): { names, places }.
local function block(self, b)
  local kept = self.kept[b]
  if kept then return kept end
  if self.held >= KEPT then self.kept, self.held = {}, 0 end
  local first, last = self.offsets[b], self.offsets[b + 1]
  self.file:seek("set", first)
  local bytes = self.file:read(last - first)
  if not bytes or #bytes ~= last - first then core.refuse("%s: expected a whole index, found its end", self.path) end
  local made, at = { names = {}, places = {} }, 1
  for i = 1, math.min(BLOCK, self.count - (b - 1) * BLOCK) do
    made.names[i], made.places[i], at = string.unpack("<s4s4", bytes, at)
  end
  self.kept[b], self.held = made, self.held + 1
  return made
end

local List = {
  __len = function(list) return rawget(list, HELD).count end,
  __index = function(list, i)
    local self = rawget(list, HELD)
    if math.type(i) ~= "integer" or i < 1 or i > self.count then return nil end
    return block(self, (i - 1) // BLOCK + 1).names[(i - 1) % BLOCK + 1]
  end,
}

-- The place of a name, nil where it is not in the list.
local function find(self, name)
  local low, high = 1, #self.offsets - 1
  while low < high do
    local middle = (low + high + 1) // 2
    if block(self, middle).names[1] <= name then low = middle else high = middle - 1 end
  end
  local there = high >= 1 and block(self, low) or { names = {} }
  for i, other in ipairs(there.names) do
    if other == name then return there.places[i] end
  end
end

-- ---- files ----

--- write(path, lists): the index of the folder at a path: lists.clips and lists.annotated are lists of names in order,
-- lists.places where clips lie, by name. → its file.
function index.write(path, lists)
  local file = place_of(path)
  local parts, at, foot = { MAGIC }, #MAGIC, { string.pack("<s4", stamp_of(path)) }
  for _, name in ipairs(LISTS) do
    local list, offsets = lists[name], {}
    for i, entry in ipairs(list) do
      if (i - 1) % BLOCK == 0 then offsets[#offsets + 1] = string.pack("<I8", at) end
      local bytes = string.pack("<s4s4", entry, lists.places and lists.places[entry] or "")
      parts[#parts + 1], at = bytes, at + #bytes
    end
    foot[#foot + 1] = string.pack("<I8", #list) .. table.concat(offsets) .. string.pack("<I8", at)
  end
  parts[#parts + 1] = table.concat(foot) .. string.pack("<I8", at) .. MAGIC
  core.io.make_folder((file:match "^(.*)/"))
  core.io.write_file(file, table.concat(parts))
  return file
end

local function read(path, file)
  local size = file:seek "end"
  file:seek("set", math.max(0, size - 8 - #MAGIC))
  local tail = file:read "a"
  if size < 8 + 2 * #MAGIC or tail:sub(9) ~= MAGIC then
    core.refuse("%s: expected an index, found another file", path)
  end
  local start = string.unpack("<I8", tail)
  if start >= size then core.refuse("%s: expected a whole index, found its foot beyond the end", path) end
  file:seek("set", start)
  local foot = file:read(size - start)
  local stamp, at = string.unpack("<s4", foot)
  local made = { stamp = stamp }
  for _, name in ipairs(LISTS) do
    local list = { path = path, file = file, offsets = {}, kept = {}, held = 0 }
    list.count, at = string.unpack("<I8", foot, at)
    for b = 1, (list.count + BLOCK - 1) // BLOCK + 1 do list.offsets[b], at = string.unpack("<I8", foot, at) end
    made[name] = setmetatable({ [HELD] = list }, List)
  end
  local clips = rawget(made.clips, HELD)
  made.places = setmetatable({}, { __index = function(_, name) return find(clips, name) end })
  return made
end

--- open(path): the index of the folder at a path: { clips, annotated (lists that take #, [i] and ipairs), places (by
-- name) }; nil where there is none, or with a warning where it is older than the folder, or damaged.
function index.open(path)
  local place = place_of(path)
  local file = core.io.status(place) == "file" and io.open(place, "rb")
  if not file then return nil end
  local ok, made = pcall(read, place, file)
  if ok and made.stamp == stamp_of(path) then return made end
  file:close()
  warn.once(place, "data %s: expected an index of the folder as it is, found %s: it is not used (cohesiv data "
    .. "%s --index makes it anew)", path, ok and "an older one" or "a damaged one", path)
end

-- ---- order ----

-- Numbers of 0 to n − 1 out of a seed (splitmix64).
local function numbers(seed)
  return function(n)
    seed = seed + 0x9E3779B97F4A7C15
    local z = (seed ~ seed >> 30) * 0xBF58476D1CE4E5B9
    z = (z ~ z >> 27) * 0x94D049BB133111EB
    return ((z ~ z >> 31) >> 1) % n
  end
end

local function shuffle(list, random)
  for i = #list, 2, -1 do
    local k = random(i) + 1
    list[i], list[k] = list[k], list[i]
  end
end

--- shuffled(list, seed, shard, mixed): an iterator over all entries of a list in an order out of the seed. Shards of so
-- many neighbours come in random order, and `mixed` of them at a time are read and shuffled among each other: memory is
-- that of mixed × shard entries, however long the list.
function index.shuffled(list, seed, shard, mixed)
  local random, order, buffer, at, next_shard = numbers(seed), {}, {}, 0, 1
  for s = 1, (#list + shard - 1) // shard do order[s] = s end
  shuffle(order, random)
  return function()
    if at == #buffer then
      buffer, at = {}, 0
      for s = next_shard, math.min(next_shard + mixed - 1, #order) do
        for i = (order[s] - 1) * shard + 1, math.min(order[s] * shard, #list) do buffer[#buffer + 1] = list[i] end
      end
      next_shard = next_shard + mixed
      shuffle(buffer, random)
    end
    at = at + 1
    return buffer[at]
  end
end

return index
