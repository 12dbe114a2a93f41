-- cohesiv prepare DATA [EXPERIMENT.lua] [key=value …]: flow, hands, people and maps of a data folder, made into the
-- cache ahead of training. Goes on where it stopped; any number of these may run at once, here and elsewhere.
local core = require "cohesiv.core"
local failure, lists, progress = require "cohesiv.base.failure", require "cohesiv.base.lists",
  require "cohesiv.base.progress"
local folders = require "cohesiv.data"
local prepare, recipes = require "cohesiv.train.prepare", require "cohesiv.train.recipe"
local cli, workers = require "cohesiv.tools.cli", require "cohesiv.tools.workers"

local DEFAULT = "quickstart_real" -- what `cohesiv quickstart --data DATA` trains with
local SHOWN = 10 -- clips that the last line names
local TEXT = 400 -- bytes of a message that a worker passes on

local function positive(text)
  local n = math.tointeger(tonumber(text))
  return n and n > 0 and n
end

local function shard(text)
  local i, n = text:match "^(%d+)/(%d+)$"
  i, n = math.tointeger(tonumber(i)), math.tointeger(tonumber(n))
  return i and n and i >= 1 and i <= n and { i, n }
end

-- The recipe of the words [EXPERIMENT.lua] [key=value …].
local function recipe_of(words, data)
  local changes, path = {}, nil
  for _, word in ipairs(words) do
    if word:find "^[%w_.]+=" then
      changes[#changes + 1] = word
    elseif path then
      cli.usage("prepare: expected one EXPERIMENT.lua and key=value, found %s", word)
    else
      path = word
    end
  end
  local recipe = recipes.load(path or recipes.experiment(DEFAULT), changes)
  recipe.data = data
  return recipe
end

-- What preparing a clip came to, for better or worse, as { state, … }; Ctrl-C passes.
local function outcome(data, recipe, task, beat)
  local ok, result = pcall(prepare.clip, data, task.name, recipe, { wait = task.wait, beat = beat })
  if ok then return result end
  if core.system.stopped() then core.error(result, 0) end
  local line = failure.line(result)
  return { state = "failed", why = #line > TEXT and line:sub(1, TEXT) .. "…" or line }
end

-- ---- what is told ----
local Account = {}
Account.__index = Account

local function account(total)
  return setmetatable({ total = total, seen = 0, states = {}, failed = {}, frames = 0, made = 0, bytes = 0,
    written = {}, started = core.system.time(), bar = progress.new("prepare", total) }, Account)
end

local WORDS = { bare = "no landmarks", still = "no moving hand", lost = "its process ended" }

function Account:line(name, result)
  local what = WORDS[result.state] or result.why
  if result.state == "done" then
    what = ("%d frames, %d made, %.1f s"):format(result.frames, result.made, result.seconds)
  end
  local left = (core.system.time() - self.started) / self.seen * (self.total - self.seen)
  io.stderr:write(self.bar.tty and "\r\27[K" or "", ("prepare: %d of %d, %s left: %s: %s\n"):format(self.seen,
    self.total, progress.clock(left), core.plain(name), core.plain(what)))
end

-- A clip is done with.
function Account:add(name, result)
  self.seen = self.seen + 1
  local state = (result.state == "lost") and "failed" or result.state
  self.states[state] = (self.states[state] or 0) + 1
  if state == "failed" then table.insert(self.failed, name) end
  self.frames, self.bytes = self.frames + (result.frames or 0), self.bytes + (result.bytes or 0)
  self.made = self.made + (result.made or 0)
  for kind, bytes in pairs(result.written or {}) do self.written[kind] = (self.written[kind] or 0) + bytes end
  if (result.made or 0) > 0 or state == "failed" then self:line(name, result) end
end

function Account:beat(name, done, total)
  if self.bar.tty then
    self.bar:update(self.seen, done and ("%s %d/%d"):format(core.plain(name), done, total) or core.plain(name))
  end
end

local function size(bytes)
  if bytes >= 1e9 then return ("%.1f GB"):format(bytes / 1e9) end
  if bytes >= 1e6 then return ("%.1f MB"):format(bytes / 1e6) end
  return ("%.1f kB"):format(bytes / 1e3)
end

-- What there is now, and what a frame of it takes.
function Account:summary(path)
  local parts = { ("%d clips of %s: %d frames to train on, %d of them made now in %s"):format(self.total, path,
    self.frames, self.made, progress.clock(core.system.time() - self.started)) }
  if self.frames > 0 then
    parts[#parts + 1] = ("samples of %s, %s a frame"):format(size(self.bytes), size(self.bytes / self.frames))
  end
  local kinds = {}
  for _, kind in ipairs(lists.keys(self.written)) do
    if kind ~= "samples" and self.made > 0 and self.written[kind] > 0 then
      kinds[#kinds + 1] = ("%s %s"):format(kind, size(self.written[kind] / self.made))
    end
  end
  if #kinds > 0 then parts[#parts + 1] = ("beside them, for each frame made, %s"):format(table.concat(kinds, ", ")) end
  for _, state in ipairs { "bare", "still" } do
    if self.states[state] then parts[#parts + 1] = ("%d with %s"):format(self.states[state], WORDS[state]) end
  end
  if self.bar.tty then io.stderr:write "\r\27[K" end
  print("prepare: " .. core.plain(table.concat(parts, "; ")))
end

-- ---- the work ----
-- The clips one after the other, then, waited for, those that others were at work on.
local function tasks(names)
  local at, held = 0, {}
  local function next_task()
    at = at + 1
    if names[at] then return { name = names[at] } end
    local name = table.remove(held)
    return name and { name = name, wait = true }
  end
  return next_task, function(name) held[#held + 1] = name end
end

local function here(data, recipe, names, told)
  local next_task, hold = tasks(names)
  for task in next_task do
    local result = outcome(data, recipe, task, function(...) told:beat(task.name, ...) end)
    if result.state == "held" then hold(task.name) else told:add(task.name, result) end
  end
end

local function in_workers(args, recipe, names, told)
  local words = { "prepare", args.data }
  table.move(args.recipe, 1, #args.recipe, #words + 1, words)
  words[#words + 1] = "--worker"
  local threads = math.max(1, (recipe.threads or core.threads()) // args.jobs)
  local pool <close> = workers.start { words = words, count = args.jobs,
    environment = { COHESIV_THREADS = math.tointeger(threads) } }
  local next_task, hold = tasks(names)
  pool:run(next_task, function(answer, task)
    if not answer.state then return told:beat(task.name, answer.done, answer.total) end
    if answer.state == "held" then hold(task.name) else told:add(task.name, answer) end
  end)
end

local function serve(args, recipe)
  progress.quiet = true
  local data = folders.data(args.data)
  local ok, problem = pcall(workers.serve, args.worker, function(task, answer)
    answer(outcome(data, recipe, task, function(done, total) answer { done = done, total = total } end))
  end)
  if not ok and not core.system.stopped() then core.error(problem, 0) end
  return ok and 0 or 1
end

-- The clips that are trained on, of all or of a part.
local function names_of(data, recipe, part)
  local aside = recipe.held_out and lists.set(data.annotated) or {}
  return lists.map(data.clips, function(name)
    return not aside[name] and (not part or prepare.in_shard(name, part[1], part[2])) and name
  end)
end

local function run(args)
  local recipe = recipe_of(args.recipe, args.data)
  if args.worker then return serve(args, recipe) end
  local data = folders.data(args.data)
  if #data.clips == 0 then core.refuse("prepare: expected clips in %s, found none in clips/", args.data) end
  local names = names_of(data, recipe, args.shard)
  local told, jobs = account(#names), math.min(args.jobs or 1, #names)
  if recipe.threads then core.threads(recipe.threads) end
  args.jobs = jobs
  if jobs > 1 then in_workers(args, recipe, names, told) else here(data, recipe, names, told) end
  told:summary(args.data)
  local failed, rest = told.failed, #names - told.seen
  if rest > 0 then
    core.refuse("prepare: expected all clips to be looked at, found %d left by processes that ended", rest)
  end
  if #failed == 0 then return end
  core.refuse("prepare: expected %d whole clips, found %d that could not be prepared: %s%s", #names, #failed,
    table.concat(failed, ", ", 1, math.min(#failed, SHOWN)), #failed > SHOWN and ", …" or "")
end

return {
  summary = "flow, hands, people and maps of a data folder, made ahead of training",
  configure = function(parser)
    parser:argument("data", "A data folder.")
    parser:argument("recipe", ("[EXPERIMENT.lua] [key=value …]: whose maps are made; experiments/%s.lua, that of "
      .. "quickstart --data."):format(DEFAULT)):args "*"
    parser:option("--jobs", "Processes that share the clips and the CPUs (1).")
      :convert(cli.as("--jobs: expected an integer of 1 or more", positive))
    parser:option("--shard", "i/n: the i-th of n parts, chosen by the clips' names, for many machines.")
      :convert(cli.as("--shard: expected i/n with i of 1 to n", shard))
    parser:option("--worker"):convert(math.tointeger):hidden(true)
  end,
  run = function(args)
    local ok, result = pcall(run, args)
    if ok then return result end
    if core.system.stopped() then
      core.refuse "interrupted: what was made so far is kept; the same command goes on with the rest"
    end
    error(result, 0)
  end,
}
