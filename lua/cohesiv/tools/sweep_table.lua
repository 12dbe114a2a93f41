--- How a sweep stands, for a terminal: a table that redraws itself, plain lines elsewhere: of every change of a state,
-- and now and then of those that run.
local core = require "cohesiv.core"
local columns, lists = require "cohesiv.base.columns", require "cohesiv.base.lists"
local progress = require "cohesiv.base.progress"
local evaluate = require "cohesiv.hands.evaluate"
local M = {}
local Table = {}
Table.__index = Table

local REDRAW, LINES = 0.5, 30 -- seconds between two tables, between two lines of a run
local MOST = 200 -- characters of a reason

local function left_of(row)
  return row.state == "running" and row.left and progress.clock(row.left) or ""
end

local function cells_of(row)
  local cells = { row.name, row.state, row.step and ("%d"):format(row.step) or "-",
    row.loss and ("%.4f"):format(row.loss) or "-" }
  for _, task in ipairs(evaluate.tasks) do
    cells[#cells + 1] = row.figures[task] and ("%.1f"):format(row.figures[task]) or "-"
  end
  cells[#cells + 1] = left_of(row)
  return cells
end

--- text(rows, most): the table of rows { name, state, step, loss, figures, left, why }; of more than `most` runs those
-- that wait and those that are done are the first to be left out.
function M.text(rows, most)
  local shown, left_out = rows, 0
  if most and #rows > most then
    local keep, room = {}, most
    for _, wanted in ipairs { "running", "failed", "paused", "stopped", "done", "dropped", "waiting" } do
      for i, row in ipairs(rows) do
        if row.state == wanted and room > 0 then keep[i], room = true, room - 1 end
      end
    end
    shown = lists.map(rows, function(row, i) return keep[i] and row end)
    left_out = #rows - #shown
  end
  local lines = lists.map(shown, cells_of)
  table.insert(lines, 1, { "run", "state", "step", "loss", evaluate.tasks[1], evaluate.tasks[2], evaluate.tasks[3],
    evaluate.tasks[4], "left" })
  return columns(lines, 2) .. (left_out > 0 and ("\n… and %d more"):format(left_out) or "")
end

--- counts(rows): "3 of 9 done, 2 running, 4 waiting".
function M.counts(rows)
  local count = {}
  for _, row in ipairs(rows) do count[row.state] = (count[row.state] or 0) + 1 end
  local parts = { ("%d of %d done"):format(count.done or 0, #rows) }
  for _, state in ipairs(lists.keys(count)) do
    if state ~= "done" then parts[#parts + 1] = ("%d %s"):format(count[state], state) end
  end
  return table.concat(parts, ", ")
end

--- new(name): a table on standard error; :update(rows, left) now and then, :say(line) between two, :finish(rows).
function M.new(name)
  return setmetatable({ name = name, tty = core.system.isatty "stderr", height = 0, drawn = -math.huge, states = {},
    told = {} }, Table)
end

-- Takes the last table away, so that what follows stands in its place.
function Table:clear()
  if self.height > 0 then io.stderr:write(("\r\27[%dA\27[J"):format(self.height)) end
  self.height = 0
end

--- table:say(format, …): a line that stays.
function Table:say(format, ...)
  self:clear()
  local line = core.plain(("sweep: " .. format):format(...))
  io.stderr:write(#line > MOST and line:sub(1, MOST):gsub("[\xC0-\xFF]?[\x80-\xBF]*$", "") .. "…" or line, "\n")
  self.drawn = -math.huge
end

local function line_of(row)
  local parts = { row.name .. ": " .. row.state }
  if row.step then parts[#parts + 1] = ("step %d"):format(row.step) end
  if row.loss then parts[#parts + 1] = ("loss %.4f"):format(row.loss) end
  for _, task in ipairs(evaluate.tasks) do
    if row.figures[task] then parts[#parts + 1] = ("%s %.1f"):format(task, row.figures[task]) end
  end
  if left_of(row) ~= "" then parts[#parts + 1] = left_of(row) .. " left" end
  return table.concat(parts, ", ")
end

--- table:update(rows, left): shows it, where it is time to; left: seconds until all is done, if known.
function Table:update(rows, left)
  local now = core.system.time()
  if self.tty then
    if now - self.drawn < REDRAW then return end
    self:clear()
    local width, height = core.system.terminal()
    width, height = width or 80, height or 24
    local text = ("%s: %s%s\n%s"):format(self.name, M.counts(rows),
      left and ", " .. progress.clock(left) .. " left" or "", M.text(rows, math.max(height - 6, 3)))
    for line in text:gmatch "[^\n]+" do
      io.stderr:write(line:sub(1, (utf8.offset(line, width) or #line + 1) - 1), "\n")
      self.height = self.height + 1
    end
    self.drawn = now
    return
  end
  for _, row in ipairs(rows) do
    local changed = row.state ~= (self.states[row.name] or "waiting")
    local due = row.state == "running" and now - (self.told[row.name] or now) > LINES
    self.told[row.name] = self.told[row.name] or now
    if changed or due then
      self:say("%s", line_of(row))
      self.states[row.name], self.told[row.name] = row.state, now
    end
  end
end

--- table:finish(rows): the last one, which stays.
function Table:finish(rows)
  self.drawn = -math.huge
  self:update(rows)
  self.height = 0
end

return M
