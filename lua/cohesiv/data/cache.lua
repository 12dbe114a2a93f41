--- The cache of what is made from videos: flow, person masks, maps, counts of frames, samples; beside it, as folders of
-- their own, generated worlds (data/world.lua) and networks that learnt from them (train/pretrain.lua).
--
-- $COHESIV_CACHE or runs/cache / KIND / two digits / two digits / the other 28 of the key's hash .pack: no folder gets
-- more than a few thousand files at 10^8 entries, and nothing ever lists one. An entry holds its key and a checksum
-- (csrc/io/pack.c): what is damaged or foreign is made again. Keys must name everything that the value depends on.
-- While written an entry lies in KIND/tmp, where a process first removes what killed ones have left; beside it lies the
-- lock of who makes it: of any number of processes one makes an entry, and the others wait for it. The kernel frees the
-- lock of a process that ends, however it does.
local core = require "cohesiv.core"
local cache = {}

--- The folder of the cache.
function cache.folder()
  local folder = os.getenv "COHESIV_CACHE"
  return folder and folder ~= "" and folder or "runs/cache"
end

--- path(kind, key, extension = "pack"): the file of an entry, and its folder.
function cache.path(kind, key, extension)
  local hash = core.io.digest(key)
  local folder = ("%s/%s/%s/%s"):format(cache.folder(), kind, hash:sub(1, 2), hash:sub(3, 4))
  return ("%s/%s.%s"):format(folder, hash:sub(5), extension or "pack"), folder
end

-- A key as it is stored: long ones (names of 4000 bytes) by their hash.
local function stored(key) return #key <= 1000 and key or core.io.digest(key) end

--- intact(read, path, …): what read(path, …) returns, nil when that fails for another reason than Ctrl-C.
function cache.intact(read, path, ...)
  if not core.io.status(path) then return nil end
  local ok, value = pcall(read, path, ...)
  if ok then return value end
  if tostring(value):find("interrupted", 1, true) then core.error(value) end
end

--- find(kind, key): the stored tensor, or nil when there is none that is intact.
function cache.find(kind, key)
  local kept = cache.dry and cache.remembered[kind .. "\0" .. key]
  return kept and kept:detach() or cache.intact(core.io.pack_read, cache.path(kind, key), stored(key))
end

local swept = {} -- folders of what is not whole yet

--- written: bytes of what this process has stored, by kind.
cache.written = {}

--- dry: whether this process writes nothing here; what it would have stored it remembers.
cache.dry = false
cache.remembered = {} -- kind and key → tensor

--- write(kind, key, extension, write): an entry by write(path, folder), with a folder for what is not whole yet.
function cache.write(kind, key, extension, write)
  if cache.dry then return end
  local path, folder = cache.path(kind, key, extension)
  core.io.make_folder(folder)
  local found = core.io.status(path)
  if found and found ~= "file" and not os.remove(path) then
    core.refuse("%s: expected a file of the cache, found a %s; remove it", path, found)
  end
  local temporary = ("%s/%s/tmp"):format(cache.folder(), kind)
  core.io.make_folder(temporary)
  if not swept[temporary] then core.io.sweep(temporary) end
  swept[temporary] = true
  write(path, temporary)
  local _, size = core.io.status(path)
  cache.written[kind] = (cache.written[kind] or 0) + (size or 0)
end

local PAUSE = 0.02 -- seconds between two looks at a lock

--- lock(kind, key, wait = true): the right to make an entry, to be closed; who has waited for it looks for the entry
-- again. wait = false: nil when another process has it. Where the file system has no locks everybody gets it.
function cache.lock(kind, key, wait)
  if cache.dry then return nil end
  local folder = ("%s/%s/tmp"):format(cache.folder(), kind)
  core.io.make_folder(folder)
  local path = ("%s/%s.lock"):format(folder, core.io.digest(key))
  while true do
    local lock = core.io.lock(path)
    if lock or wait == false then return lock end
    core.system.sleep(PAUSE)
    if core.system.stopped() then
      core.refuse "interrupted: what was made so far is kept; the same command goes on with the rest"
    end
  end
end

--- store(kind, key, t, flow64): writes an entry whole or not at all. flow64: as int16 in 1/64 pixel, within ±512.
function cache.store(kind, key, t, flow64)
  if cache.dry then
    cache.remembered[kind .. "\0" .. key] = core.keep(t:detach())
    return
  end
  cache.write(kind, key, "pack", function(path, folder) core.io.pack_write(path, stored(key), t, flow64, folder) end)
end

--- get(kind, key, make, flow64): the stored tensor; if there is none, that of make(), stored. What is returned is what
-- the file holds, so that the first run and later ones see the same numbers. Processes that want it at one moment
-- make it once.
function cache.get(kind, key, make, flow64)
  local value = cache.find(kind, key)
  if value then return value end
  local _ <close> = cache.lock(kind, key)
  value = cache.find(kind, key)
  if value then return value end
  value = make()
  cache.store(kind, key, value, flow64)
  if not flow64 or cache.dry then return value end
  value:close()
  return core.io.pack_read(cache.path(kind, key), stored(key))
end

return cache
