--- Sample files in the cache: each made once, by one process, under a key that tells all that it depends on, and made
-- again where it is damaged. What a sample holds is said by those who write them (labels.lua, hand_boxes.lua).
local core = require "cohesiv.core"
local progress, warn = require "cohesiv.base.progress", require "cohesiv.base.warn"
local tensor = require "cohesiv.tensor"
local cache = require "cohesiv.data.cache"
local M = {}

local function make(key, write)
  cache.write("samples", key, "npz", function(path, folder) tensor.tidy(write, path, folder) end)
end

local function warn_damaged(path)
  warn.line("%s: expected an intact sample, found it damaged; it is made again", path)
end

--- get(key, write, wait = true): the path of the sample file of a key, made by write(path, folder) unless it is there
-- and whole, its digest, and whether it was made. wait = false: nil when another process is making it.
function M.get(key, write, wait)
  local path = cache.path("samples", key, "npz")
  local digest = cache.intact(core.sample_digest, path)
  if digest then return path, digest, false end
  local lock <close> = cache.lock("samples", key, wait)
  digest = cache.intact(core.sample_digest, path)
  if digest then return path, digest, false end
  if not lock then return nil end
  if core.io.status(path) then warn_damaged(path) end
  make(key, write)
  return path, core.sample_digest(path), true
end

--- is_made(key): whether its file is there.
function M.is_made(key) return core.io.status(cache.path("samples", key, "npz")) == "file" end

--- mend(entry, data, task): makes a prepared entry's sample again, apart from random numbers; raises if it changed.
-- task(clip, n) → key, write.
function M.mend(entry, data, task)
  warn_damaged(entry.path)
  local seed, stream = core.random_state()
  local clip = data:clip(entry.clip)
  local ok, message = pcall(function()
    local key, write = task(clip, entry.frame)
    if cache.path("samples", key, "npz") ~= entry.path then
      core.refuse("clip %s: expected the data of the training's start, found it changed", entry.clip)
    end
    make(key, write)
  end)
  clip:close()
  core.seed(seed, stream)
  if not ok then core.error(message, 0) end
  entry.digest = core.sample_digest(entry.path)
end

--- all(data, wanted, what, sample): the samples of a list of { name, frames } as a list of { clip, frame, path,
-- digest }, made or found; sample(clip, n, wait) as get. what: the job, for who watches.
function M.all(data, wanted, what, sample)
  local total = 0
  for _, entry in ipairs(wanted) do total = total + #entry.frames end
  local list, bar, done = {}, progress.new(what, total), 0
  -- First what nobody else is making, then the rest: processes that train on the same data share the work.
  for _, wait in ipairs { false, true } do
    local i = 0
    for _, entry in ipairs(wanted) do
      local clip
      for _, n in ipairs(entry.frames) do
        i = i + 1
        local path, digest
        if not list[i] then
          clip = clip or data:clip(entry.name)
          path, digest = sample(clip, n, wait)
        end
        if path then
          list[i], done = { clip = entry.name, frame = n, path = path, digest = digest }, done + 1
          bar:update(done, entry.name)
        end
        if core.system.stopped() then
          core.refuse "interrupted: the maps made so far are kept; the same command goes on with the rest"
        end
      end
      if clip then clip:close() end
    end
    if done == total then break end
  end
  bar:finish()
  return list
end

return M
