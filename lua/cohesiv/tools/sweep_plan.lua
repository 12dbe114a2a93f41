--- What is to be done next of a sweep: up to which share each run is to go (all of it, or by successive halving), which
-- it gives up, how long it takes, and what is told in the end. Knows the folder, not who does the work.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local evaluate = require "cohesiv.hands.evaluate"
local sweeps, tasks = require "cohesiv.train.sweep", require "cohesiv.train.tasks"
local predicted_query = require "cohesiv.train.tasks.predicted_query"
local M = {}
local Plan = {}
Plan.__index = Plan

--- new(folder, { only, halving }): the plan of a sweep's folder; only: the places of the entries that count.
function M.new(folder, o)
  local wanted = o.only and lists.set(o.only)
  local entries = lists.map(folder.entries, function(entry, i) return (not wanted or wanted[i]) and entry end)
  return setmetatable({ folder = folder, entries = entries, halving = o.halving, failed = {}, since = {},
    needed = {} }, Plan)
end

local function is_trained(entry) return tasks.of(entry.recipe) ~= nil end

-- Successive halving (Jamieson and Talwalkar, AISTATS 2016): of n runs each half that does best gets twice the
-- training, so that the last one has had all of it. → the share of the rung at which those that are left are, and how
-- many may pass it; 1 when one is left.
local function rung(all, left)
  local rungs = 0
  while 1 << rungs < all do rungs = rungs + 1 end
  for k = 0, rungs - 1 do
    local pass = math.ceil(all / (1 << (k + 1)))
    if left > pass then return 1 / (1 << (rungs - k)), pass end
  end
  return 1
end

-- Gives up those that do not pass a rung that all have reached. → the share that is wanted now.
function Plan:halve(rows)
  local all, left = 0, {}
  for i, entry in ipairs(self.entries) do
    if is_trained(entry) then
      all = all + 1
      if rows[i].state ~= "dropped" and rows[i].state ~= "failed" then left[#left + 1] = i end
    end
  end
  local share, pass = rung(all, #left)
  if share == 1 then return 1 end
  local merits, by_masks = {}, true
  for _, i in ipairs(left) do
    local row = rows[i]
    if not (row.state == "done" or row.state == "paused" and (row.share or 0) >= share) then return share end
  end
  for _, i in ipairs(left) do
    local merit, masks = self.folder:merit(self.entries[i])
    merits[i], by_masks = merit, by_masks and masks
  end
  table.sort(left, function(a, b)
    if merits[a] ~= merits[b] then return merits[a] > merits[b] end
    return a < b
  end)
  for k = pass + 1, #left do
    self.folder:drop(self.entries[left[k]])
    rows[left[k]].state = "dropped"
  end
  local said = lists.map({ table.unpack(left, pass + 1) }, function(i) return self.entries[i].name end)
  self.told = ("halving: %d of %d go on after %.3g of the training, by %s; given up: %s"):format(pass, #left, share,
    by_masks and "the IoU that thresholds reach" or "their loss", table.concat(said, ", "))
  return self:halve(rows)
end

-- Seconds that a running entry still takes, by how far it has come since it was first seen.
function Plan:left(entry, row, share)
  local since, now = self.since[entry.name], core.system.time()
  if row.state ~= "running" or not row.share then
    self.since[entry.name] = nil
    return nil
  end
  if not since then
    self.since[entry.name] = { share = row.share, time = now }
  elseif row.share > since.share then
    return (now - since.time) / (row.share - since.share) * math.max(share - row.share, 0)
  end
end

--- plan:look(): → rows, one for each entry, as folder:row has them, with left (seconds) and why (of a failed one); the
-- share up to which runs are to go now; and whether any is left to do.
function Plan:look()
  local rows = lists.map(self.entries, function(entry)
    local row = lists.copy(self.folder:row(entry))
    if row.state ~= "done" and row.state ~= "running" and self.failed[entry.name] then
      row.state, row.why = "failed", self.failed[entry.name]
    end
    if row.state == "dropped" and not self.halving then row.state = "stopped" end
    return row
  end)
  self.told = nil
  local share = self.halving and self:halve(rows) or 1
  local going = false
  for i, row in ipairs(rows) do
    row.left = self:left(self.entries[i], row, share)
    going = going or not (row.state == "done" or row.state == "failed" or row.state == "dropped")
  end
  return rows, share, going
end

-- Whether an entry waits for another one of the plan, which will be done.
function Plan:waits(entry)
  if self.needed[entry] == nil then
    self.needed[entry] = predicted_query.needed(self.folder.entries, entry) or false
  end
  local needed = self.needed[entry]
  local state = needed and lists.set(self.entries)[needed] and self.folder:row(needed).state
  return state and state ~= "done" and state ~= "dropped" and not self.failed[needed.name]
end

--- plan:wants(row, i, share): whether the i-th entry waits for somebody to work on it.
function Plan:wants(row, i, share)
  if self:waits(self.entries[i]) then return false end
  if row.state == "waiting" or row.state == "stopped" then return true end
  return row.state == "paused" and (not is_trained(self.entries[i]) or (row.share or 0) < share)
end

--- remaining(rows, jobs): seconds until all is done, as far as those that run tell; nil: not yet known.
function M.remaining(rows, jobs)
  local whole, known, count, open = 0, 0, 0, 0
  for _, row in ipairs(rows) do
    if row.left then
      known, count = known + row.left, count + 1
      whole = whole + row.left / math.max(1 - row.share, 1e-3) -- what all of such a run takes
    end
    if row.state == "waiting" or row.state == "stopped" or row.state == "paused" then
      open = open + 1 - (row.share or 0)
    end
  end
  if count == 0 then return nil end
  return (known + open * whole / count) / jobs
end

local function field(value)
  local text = value == nil and "" or type(value) == "number" and ("%.10g"):format(value) or tostring(value)
  return text:find '[,"\n]' and '"' .. text:gsub('"', '""') .. '"' or text
end

--- plan:results(rows): what was reached, in the folder's results.csv.
function Plan:results(rows)
  local lines = { "run,changes,state,step,seconds,loss,All,Pair,Hand,Obj" }
  for i, row in ipairs(rows) do
    local cells = { row.name, sweeps.changes_text(self.entries[i]), row.state, row.step, row.seconds, row.loss }
    for k, task in ipairs(evaluate.tasks) do cells[6 + k] = row.figures[task] end
    for k = 1, 10 do cells[k] = field(cells[k]) end
    lines[#lines + 1] = table.concat(cells, ",")
  end
  core.io.write_file(self.folder.path .. "/results.csv", table.concat(lines, "\n") .. "\n")
end

--- plan:finish(rows): results.csv, and an error where runs failed.
function Plan:finish(rows)
  if #self.entries == #self.folder.entries then self:results(rows) end
  local failed = lists.map(rows, function(row)
    return row.state == "failed" and ("%s (%s)"):format(row.name, row.why)
  end)
  if #failed > 0 then
    core.refuse("sweep: expected %d runs done, found %d that failed twice: %s", #rows, #failed,
      table.concat(failed, "; "))
  end
end

return M
