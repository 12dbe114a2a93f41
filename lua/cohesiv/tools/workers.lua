--- A pool of processes: the same command some times, tasks dealt out one by one to whoever is free. A worker gets a
-- task as a line of JSON on its stdin and answers with lines of JSON on a pipe that all share; a line goes through as
-- one where it has at most 4096 bytes. What a worker writes to stderr goes where the pool's own does.
local core = require "cohesiv.core"
local json, lists = require "cohesiv.base.json", require "cohesiv.base.lists"
local M = {}

local function quoted(word) return "'" .. word:gsub("'", [['\'']]) .. "'" end

--- program(): how this program was started, a list of words: interpreter and script, or the program alone.
function M.program()
  local first = 0
  while arg[first - 1] do first = first - 1 end
  return table.move(arg, first, 0, 1, {})
end

--- line(words): words as a line of the shell.
function M.line(words) return table.concat(lists.map(words, quoted), " ") end

local Pool = {}
Pool.__index = Pool

-- A pipe with a name, for all answers.
local function make_pipe()
  local path = os.tmpname()
  os.remove(path)
  if not os.execute("mkfifo -m 600 " .. quoted(path)) then
    core.refuse("workers: expected room for a pipe at %s, found none", path)
  end
  return path
end

--- start{ words, count, environment }: a pool of `count` processes of this program with these words, and the number of
-- each as the last one; environment: variables by name.
function M.start(o)
  local line, pipe = { "exec", "env" }, make_pipe()
  for name, value in pairs(o.environment or {}) do line[#line + 1] = quoted(name .. "=" .. value) end
  line[#line + 1] = M.line(M.program())
  for _, word in ipairs(o.words) do line[#line + 1] = quoted(word) end
  local command, self = table.concat(line, " "), setmetatable({ pipe = pipe, tasks = {}, to = {}, pids = {} }, Pool)
  for i = 1, o.count do self.to[i] = io.popen(("%s %d >%s"):format(command, i, quoted(pipe)), "w") end
  self.from = io.open(pipe, "r")
  return self
end

-- A worker gets the next task, or ends: so that the answers end where those who are left have died.
function Pool:deal(worker, task)
  self.tasks[worker] = task
  local to = self.to[worker]
  if task then to:write(json.encode(task), "\n"):flush() else to:close() end
  if not task then self.to[worker] = nil end
end

--- run(give, heard): deals out what give() gives until it gives nil. heard(answer, task): what came; an answer that has
-- `state` ends the task. A task whose worker is gone is heard, in the end, as { state = "lost" }.
function Pool:run(give, heard)
  for worker = 1, #self.to do self:deal(worker, give()) end
  while next(self.tasks) do
    local line = self.from:read "l"
    if not line then break end
    local answer = json.decode(line, "a worker's answer")
    local worker = answer.worker
    if answer.pid then self.pids[worker] = answer.pid else heard(answer, self.tasks[worker]) end
    if answer.state then self:deal(worker, give()) end
  end
  if core.system.stopped() then core.refuse "interrupted" end
  local lost = self.tasks
  self.tasks = {}
  for _, task in pairs(lost) do heard({ state = "lost" }, task) end
end

--- close(): ends the workers, also those that are at work: they get a SIGTERM.
function Pool:close()
  for worker in pairs(self.tasks) do
    if self.pids[worker] then os.execute(("kill %d 2>/dev/null"):format(self.pids[worker])) end
  end
  if self.from then self.from:close() end
  for _, to in pairs(self.to) do to:close() end
  os.remove(self.pipe)
  self.from, self.to, self.tasks = nil, {}, {}
end
Pool.__close = Pool.close

--- serve(worker, work): the worker's side: work(task, answer) for every task until there are no more; answer(t) sends a
-- table, and the last of a task has `state`.
function M.serve(worker, work)
  local function answer(t)
    t.worker = worker
    if not io.stdout:write(json.encode(t), "\n"):flush() then os.exit(1) end
  end
  answer { pid = core.system.pid() }
  for line in io.lines() do work(json.decode(line, "a task"), answer) end
end

return M
