--- Runs a sweep's entries as processes of this machine: as many at once as there are jobs, the CPUs shared among them,
-- a GPU for each that wants one. Every process is this program with the sweep's file and an entry's place: what is
-- known of its run stands in the run's folder, so that it may end at any moment, and this one, too (its processes then
-- write a checkpoint and end).
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local tensor = require "cohesiv.tensor"
local plans, workers = require "cohesiv.tools.sweep_plan", require "cohesiv.tools.workers"
local M = {}
local Jobs = {}
Jobs.__index = Jobs

local PAUSE, PATIENCE = 0.2, 60 -- seconds: between two looks; for processes to write their checkpoints
local AGAIN = 1 -- how often a run that failed is tried again

--- threads(cpus, jobs, slot): how many CPUs the job of a slot gets: all of them are shared, nobody has two more.
function M.threads(cpus, jobs, slot) return math.max(1, cpus // jobs + (slot <= cpus % jobs and 1 or 0)) end

--- gpus(): what a process may be told to use, as CUDA_VISIBLE_DEVICES has it.
function M.gpus()
  local visible, list = os.getenv "CUDA_VISIBLE_DEVICES", {}
  for name in (visible or ""):gmatch "[^,%s]+" do list[#list + 1] = name end
  if visible then return list end
  for _, device in ipairs(tensor.devices()) do
    if device.kind == "cuda" then list[#list + 1] = tostring(#list) end
  end
  return list
end

local function wants_gpu(entry) return entry.recipe.device == "cuda" end

--- reason(log, from, status): why a process failed: its last line that begins with "cohesiv: " behind the place `from`
-- of the log, else how it ended.
function M.reason(log, from, status)
  local file <close> = io.open(log, "rb")
  local text = file and file:seek("set", from) and file:read "a" or ""
  local line
  for found in text:gmatch "cohesiv: ([^\r\n]+)" do
    if not found:find "^warning: " then line = found end
  end
  if status > 128 then return ("killed by signal %d"):format(status - 128) end
  return line or ("ended with status %d, see %s"):format(status, log)
end

local function size_of(path) return select(2, core.io.status(path)) or 0 end

-- Starts the process of an entry in a slot.
function Jobs:start(slot, i, entry, share)
  local log = self.folder:log(entry)
  local words = { "env", ("COHESIV_THREADS=%d"):format(M.threads(self.cpus, self.count, slot)) }
  local gpu = wants_gpu(entry) and table.remove(self.gpus, 1) or nil
  if gpu then words[#words + 1] = "CUDA_VISIBLE_DEVICES=" .. gpu end
  table.move(workers.program(), 1, #workers.program(), #words + 1, words)
  for _, word in ipairs(self.words) do words[#words + 1] = word end
  for _, word in ipairs { "--worker", tostring(i), "--parent", tostring(core.system.pid()) } do
    words[#words + 1] = word
  end
  if share < 1 then words[#words + 1] = ("--pause=%.17g"):format(share) end
  self.slots[slot] = { entry = entry, gpu = gpu, log = log, from = size_of(log),
    step = self.folder:row(entry).step or 0, child = core.io.child(words, log) }
end

-- A process has ended: its run is done, goes on elsewhere, or has failed; a failed one is tried again, once. One that
-- was killed has failed only if it came no further.
function Jobs:ended(job, status)
  local entry, name = job.entry, job.entry.name
  if job.gpu then table.insert(self.gpus, 1, job.gpu) end
  self.folder:forget(entry)
  if status == 0 then return end
  local row = self.folder:row(entry)
  if row.state == "running" then return end -- another process has it: what it comes to is seen there
  local why, killed = M.reason(job.log, job.from, status), status > 128
  if not (killed and (row.step or 0) > job.step) then self.tries[name] = (self.tries[name] or 0) + 1 end
  if (self.tries[name] or 0) <= AGAIN then
    self.told:say("%s failed: %s; it is tried again", name, why)
  else
    self.told:say("%s failed again: %s", name, why)
    self.plan.failed[name] = why
  end
end

-- Looks after the processes that there are.
function Jobs:reap()
  for slot, job in pairs(self.slots) do
    local status = job.child:ended()
    if status then
      self.slots[slot] = nil
      self:ended(job, status)
    end
  end
end

local function busy(self, entry)
  for _, job in pairs(self.slots) do
    if job.entry == entry then return true end
  end
end

-- Gives every free slot an entry that waits.
function Jobs:fill(rows, share)
  for slot = 1, self.count do
    for i, entry in ipairs(self.slots[slot] and {} or self.plan.entries) do
      local has_room = not wants_gpu(entry) or #self.gpus > 0 or self.no_gpus
      if has_room and not busy(self, entry) and self.plan:wants(rows[i], i, share) then
        self:start(slot, self.places[entry], entry, share)
        break
      end
    end
  end
end

-- All processes are asked to write a checkpoint; those that do not in time are killed when their handles go.
function Jobs:stop()
  for _, job in pairs(self.slots) do job.child:signal "TERM" end
  local until_when = core.system.time() + PATIENCE
  while next(self.slots) and core.system.time() < until_when do
    for slot, job in pairs(self.slots) do
      if job.child:ended() then self.slots[slot] = nil end
    end
    core.system.sleep(PAUSE)
  end
  for _, job in pairs(self.slots) do job.child:close() end
  core.refuse "interrupted: the runs have checkpoints; the same command goes on with them"
end

-- How many at once: as many as are asked for; else one, or one a GPU where runs want them.
local function count_of(plan, jobs, gpus)
  local wanting = #lists.map(plan.entries, wants_gpu)
  jobs = jobs or (wanting > 0 and #gpus > 0 and #gpus or 1)
  return math.max(1, math.min(jobs, #plan.entries))
end

--- run(plan, told, { words, jobs }): works through a plan; told: a sweep_table. words: the command line of a process of
-- this sweep, to which the entry's place is added.
function M.run(plan, told, o)
  local gpus = M.gpus()
  local self = setmetatable({ plan = plan, folder = plan.folder, told = told, words = o.words, slots = {}, tries = {},
    gpus = gpus, no_gpus = #gpus == 0, count = count_of(plan, o.jobs, gpus), cpus = core.threads(),
    places = lists.set(plan.folder.entries) }, Jobs)
  local before = core.system.on_signal "flag"
  local _ <close> = setmetatable({}, { __close = function() core.system.on_signal(before) end })
  while true do
    self:reap()
    local rows, share, going = plan:look()
    if plan.told then told:say("%s", plan.told) end
    if core.system.stopped() then
      told:clear()
      self:stop()
    end
    if not going then
      told:finish(rows)
      return rows
    end
    self:fill(rows, share)
    told:update(rows, plans.remaining(rows, self.count))
    core.system.sleep(PAUSE)
  end
end

return M
