--- What training needs of a clip, made ahead of it: hands, flow, person masks, maps and samples, under the keys that
-- training asks for (labels.lua), so that it finds them. What is there and whole stays. Any number of processes on any
-- number of machines may prepare one folder into one cache: a clip has one that works at it, by a lock (which file
-- systems without locks do not give: then an entry may be made twice, but is never torn).
local core = require "cohesiv.core"
local tensor = require "cohesiv.tensor"
local cache = require "cohesiv.data.cache"
local labels = require "cohesiv.train.labels"
local lists = require "cohesiv.base.lists"
local M = {}

local PATIENCE = 0.5 -- seconds between two looks at a lock

--- in_shard(name, i, n): whether the clip of this name is in the i-th of n parts: by the name alone, on every machine.
function M.in_shard(name, i, n) return tonumber(core.io.digest(name):sub(1, 12), 16) % n == i - 1 end

-- The clip's lock, nil when another process works at it; waits for it when told so.
local function lock_of(clip, wait, beat)
  local folder = cache.folder() .. "/prepare"
  core.io.make_folder(folder)
  while true do
    local lock = core.io.lock(("%s/%s.lock"):format(folder, core.io.digest(clip:key())))
    if lock or not wait then return lock end
    beat()
    core.system.sleep(PATIENCE)
  end
end

local function prepare(clip, recipe, beat)
  if not clip:has_hands() then return { state = "bare" } end
  local before, started = lists.copy(cache.written), core.system.time()
  local frames = labels.frames(clip, recipe) -- finds the hands first where no file tells them
  local result = { state = #frames > 0 and "done" or "still", frames = #frames, made = 0, bytes = 0, written = {} }
  for i, n in ipairs(frames) do
    beat(i - 1, #frames)
    local path, _, made = labels.sample(clip, n, recipe)
    local _, size = core.io.status(path)
    result.made, result.bytes = result.made + (made and 1 or 0), result.bytes + (size or 0)
  end
  for kind, bytes in pairs(cache.written) do result.written[kind] = bytes - (before[kind] or 0) end
  result.seconds = core.system.time() - started
  return result
end

--- clip(data, name, recipe, { wait = false, beat }): prepares the clip of that name. → { state, … }: "done" with frames
-- (a count), made (those that were not there), bytes (of all their samples), written (bytes of what was made, by kind)
-- and seconds; "still": no hand moves; "bare": no landmarks; "held": another process works at it, unless told to wait.
-- beat(done, total) is called now and then.
function M.clip(data, name, recipe, o)
  local clip = data:clip(name)
  local beat = o.beat or function() end
  local lock = lock_of(clip, o.wait, beat)
  if not lock then return { state = "held" } end
  local ok, result = pcall(tensor.tidy, tensor.no_grad, prepare, clip, recipe, beat)
  clip:close()
  lock:close()
  if not ok then core.error(result, 0) end
  return result
end

return M
