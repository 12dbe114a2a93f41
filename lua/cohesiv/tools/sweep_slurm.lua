--- Runs a sweep's entries as a job array of Slurm: submits what waits, follows it, collects what was reached. A task is
-- this program with the sweep's file and an entry's place; ahead of its limit Slurm sends it SIGUSR1: it writes a
-- checkpoint and puts itself back into the queue. This program only follows: it may be ended and started again at any
-- moment, on any machine that sees the folder. Slurm is known by its programs alone.
local core = require "cohesiv.core"
local first_line, lists = require "cohesiv.base.first_line", require "cohesiv.base.lists"
local jobs, plans = require "cohesiv.tools.sweep_jobs", require "cohesiv.tools.sweep_plan"
local workers = require "cohesiv.tools.workers"
local lfs = require "lfs"
local M = {}

local PAUSE = tonumber(os.getenv "COHESIV_SLURM_SECONDS") or 5 -- between two looks at the queue
local AHEAD = 120 -- seconds before its limit at which a task is told
local SIGUSR1 = 10

-- What a command prints, and whether it succeeded; its complaints come with it.
local function output_of(words)
  local pipe = io.popen(workers.line(words) .. " 2>&1 </dev/null")
  local text = pipe:read "a"
  return text, pipe:close() == true
end

--- within(): whether this process is a task of an array.
function M.within() return os.getenv "SLURM_ARRAY_JOB_ID" ~= nil end

--- requeue(problem): what a task does that was stopped: one that was told ahead of its limit goes back into the queue.
function M.requeue(problem)
  if core.system.stopped() ~= SIGUSR1 then core.error(problem, 0) end
  core.system.resume()
  local id = ("%s_%s"):format(os.getenv "SLURM_ARRAY_JOB_ID", os.getenv "SLURM_ARRAY_TASK_ID")
  io.stderr:write(("%s; back into the queue as %s\n"):format(tostring(problem), id))
  io.stderr:flush()
  local text, ok = output_of { "scontrol", "requeue", id }
  if not ok then core.refuse("scontrol requeue %s: expected the task back in the queue, found: %s", id, text) end
  return 0
end

-- "1,3-5" of a list of places, ascending.
local function ranges(list)
  local parts, i = {}, 1
  while i <= #list do
    local j = i
    while list[j + 1] == list[j] + 1 do j = j + 1 end
    parts[#parts + 1] = j > i and ("%d-%d"):format(list[i], list[j]) or tostring(list[i])
    i = j + 1
  end
  return table.concat(parts, ",")
end

local Array = {}
Array.__index = Array

function Array:log(place) return ("%s/logs/slurm-%d.log"):format(self.folder.path, place) end

-- Submits entries, by their places.
function Array:submit(list, share)
  local line = workers.line(workers.program()) .. " " .. workers.line(self.words)
  local pause = share < 1 and (" --pause=%.17g"):format(share) or ""
  local script = self.folder.path .. "/slurm.sh"
  core.io.write_file(script, ("#!/bin/sh\n# A task of the sweep; cohesiv sweep --slurm writes and submits this.\n"
    .. "export COHESIV_THREADS=${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}\n"
    .. "exec %s --worker \"$SLURM_ARRAY_TASK_ID\"%s\n"):format(line, pause))
  local words = { "sbatch", "--parsable", "--job-name=" .. self.name, "--requeue", "--open-mode=append",
    "--output=" .. self.folder.path .. "/logs/slurm-%a.log", ("--signal=B:USR1@%d"):format(AHEAD),
    "--array=" .. ranges(list) .. (self.jobs and "%" .. self.jobs or "") }
  local own = table.concat(self.sbatch, " ")
  local wants_gpu = #lists.map(self.plan.entries, function(entry) return entry.recipe.device == "cuda" end) > 0
  if wants_gpu and not own:find "%-%-g" then words[#words + 1] = "--gres=gpu:1" end
  for _, word in ipairs(self.sbatch) do words[#words + 1] = word end
  words[#words + 1] = script
  for _, place in ipairs(list) do
    self.from[place] = select(2, core.io.status(self:log(place))) or 0
    self.submitted[place], self.missed[place] = true, nil
  end
  local text, ok = output_of(words)
  if not ok then core.refuse("sbatch: expected the array submitted, found: %s", text) end
  self.told:say("submitted as job %s: %d runs", text:match "%d+" or "?", #list)
end

-- place → state of the tasks of this sweep that are in the queue; nil when Slurm does not answer.
function Array:queue()
  local text, ok = output_of { "squeue", "--noheader", "--array", "--name=" .. self.name, "--format=%K %T %Z" }
  if not ok then return nil end
  local queue, here = {}, lfs.currentdir()
  for place, state, folder in text:gmatch "(%d+) (%S+) ([^\n]*)" do
    if folder == here then queue[math.tointeger(tonumber(place))] = state end
  end
  return queue
end

-- What to do about an entry that is not in the queue although it waits: nothing at the first look, which may have come
-- in between; then it is submitted, or has failed: once more, and no more.
function Array:missing(entry, place)
  if not self.submitted[place] then return true end
  self.missed[place] = (self.missed[place] or 0) + 1
  if self.missed[place] < 2 then return false end
  local why = jobs.reason(self:log(place), self.from[place], 1)
  self.tries[place] = (self.tries[place] or 0) + 1
  if self.tries[place] == 1 then
    self.told:say("%s failed: %s; it is submitted again", entry.name, why)
    return true
  end
  self.told:say("%s failed again: %s", entry.name, why)
  self.plan.failed[entry.name] = why
end

-- Looks at the queue and submits what is to be: rows get the state "queued" where they only wait.
function Array:follow(rows, share)
  local queue, list = self:queue(), {}
  for i, entry in ipairs(queue and self.plan.entries or {}) do
    local place = self.places[entry]
    if queue[place] then
      self.submitted[place], self.missed[place] = true, nil
      if queue[place] == "PENDING" and rows[i].state ~= "running" then rows[i].state = "queued" end
    elseif self.plan:wants(rows[i], i, share) then
      if rows[i].state == "paused" then self.submitted[place] = nil end
      if self:missing(entry, place) then list[#list + 1] = place end
    end
  end
  if #list > 0 then self:submit(list, share) end
end

--- run(plan, told, { words, jobs, sbatch }): works through a plan as sweep_jobs.run does, jobs being how many run at
-- once; sbatch: a list of options of its own for it.
function M.run(plan, told, o)
  if not first_line "command -v sbatch" then
    core.refuse "sweep: expected sbatch on the PATH, found none (of Debian's package slurm-client)"
  end
  local self = setmetatable({ plan = plan, folder = plan.folder, told = told, words = o.words, jobs = o.jobs,
    sbatch = o.sbatch, name = "cohesiv-" .. plan.folder.path:match "[^/]+$", places = lists.set(plan.folder.entries),
    submitted = {}, missed = {}, from = {}, tries = {} }, Array)
  local before = core.system.on_signal "flag"
  local _ <close> = setmetatable({}, { __close = function() core.system.on_signal(before) end })
  while true do
    local rows, share, going = plan:look()
    if plan.told then told:say("%s", plan.told) end
    if core.system.stopped() then
      told:clear()
      core.refuse("interrupted: the jobs go on (scancel --name=%s ends them); the same command follows them", self.name)
    end
    if not going then
      told:finish(rows)
      return rows
    end
    self:follow(rows, share)
    told:update(rows, plans.remaining(rows, math.max(1, #lists.map(rows, function(row)
      return row.state == "running"
    end))))
    core.system.sleep(PAUSE)
  end
end

return M
