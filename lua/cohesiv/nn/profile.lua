--- co.profile: which ops a piece of code spends its time in. The core records every op, every backward and every
-- module while it runs (csrc/core/profile.h); here the record becomes a table, and a trace file.
local core = require "cohesiv.core"
local columns, json, lists = require "cohesiv.base.columns", require "cohesiv.base.json", require "cohesiv.base.lists"
local options, thousands = require "cohesiv.base.options", require "cohesiv.base.thousands"
local hooks, Module = require "cohesiv.nn.hooks", require "cohesiv.nn.module"
local M = {}
local Profile = {}
Profile.__index = Profile

local function row_of(name, pass)
  return { name = name, pass = pass, calls = 0, seconds = 0, read = 0, written = 0, flops = 0, launches = 0,
    fallbacks = 0 }
end

-- Rows by op and pass, the slowest first. An event's own time is what nothing inside it took.
local function rows_of(events)
  local own, launches, rows, found = {}, {}, {}, {}
  for i, e in ipairs(events) do
    own[i], launches[i] = e.seconds, e.launches
    if e.parent then
      own[e.parent], launches[e.parent] = own[e.parent] - e.seconds, launches[e.parent] - e.launches
    end
  end
  for i, e in ipairs(events) do
    if e.kind ~= "scope" then
      local key = e.kind .. " " .. e.name
      local row = found[key]
      if not row then
        row = row_of(e.name, e.kind)
        found[key], rows[#rows + 1] = row, row
      end
      if e.fallback then row.fallbacks = row.fallbacks + 1 end
      row.calls, row.seconds, row.launches = row.calls + 1, row.seconds + own[i], row.launches + launches[i]
      row.read, row.written, row.flops = row.read + e.read, row.written + e.written, row.flops + e.flops
    end
  end
  table.sort(rows, function(a, b)
    if a.seconds ~= b.seconds then return a.seconds > b.seconds end
    return a.pass .. a.name < b.pass .. b.name
  end)
  return rows
end

local function sum_of(rows, name)
  local total = row_of(name, "")
  for _, row in ipairs(rows) do
    for key, value in pairs(row) do
      if type(value) == "number" then total[key] = (total[key] or 0) + value end
    end
  end
  return total
end

-- The end of a record, whatever f did.
local function stopped(ok, ...)
  local events, seconds, lost = core.profile_stop()
  if not ok then core.error((...), 0) end
  local self = rows_of(events)
  for _, row in ipairs(self) do row.share = row.seconds / seconds end
  local sum = sum_of(self)
  self.events, self.seconds, self.lost, self.threads = events, seconds, lost, core.threads()
  self.calls, self.fallbacks, self.outside = sum.calls, sum.fallbacks, seconds - sum.seconds
  return setmetatable(self, Profile), ...
end

--- profile(f, ...): runs f(...) and returns what it spent its time in, then f's results. Prints as a table. [i] is a
-- row { name, pass = "forward" or "backward", calls, seconds, share, read, written (bytes of tensors), flops (0:
-- unknown), launches (kernels that a GPU started), fallbacks (calls that the CPU computed in place of their device) },
-- the slowest first; .seconds is the whole, .outside what passed outside ops, .events every call in order, .lost how
-- many calls beyond the first 2^18 were not kept. :top(n) keeps n rows, :save "trace.json" writes all calls.
function M.profile(f, ...)
  if not options.is_callable(f) then core.refuse("profile: expected a function, found %s", options.show(f)) end
  local function entered(m) -- modules show as scopes
    local event = core.profile_enter(m:label())
    return function() core.profile_leave(event) end
  end
  core.profile_start() -- nothing from here to the stop may fail
  return stopped(pcall(core.unbroken, "profile", hooks.around, Module, entered, f, ...))
end

--- profile:top(n): the n slowest rows; the others become one row.
function Profile:top(n)
  n = options.whole("profile", "top", n)
  local top = setmetatable(lists.copy(self), Profile)
  if n >= #self - 1 then return top end
  top[n + 1] = sum_of({ table.unpack(self, n + 1) }, ("%d others"):format(#self - n))
  for i = n + 2, #self do top[i] = nil end
  return top
end

local function rate(amount, seconds) return seconds > 0 and amount > 0 and ("%.1f"):format(amount / seconds) or "" end

local function line_of(row)
  local bytes = row.read + row.written
  return { row.name, row.pass, row.calls and thousands(row.calls) or "", ("%.2f"):format(row.seconds * 1e3),
    ("%.1f %%"):format(100 * row.share), bytes > 0 and ("%.1f"):format(bytes / 2 ^ 20) or "",
    rate(bytes / 2 ^ 30, row.seconds), rate(row.flops / 1e9, row.seconds) }
end

--- The table as text: a line per op and pass, columns aligned.
function Profile:__tostring()
  local lines = { { "op", "pass", "calls", "ms", "share", "MiB", "GiB/s", "GFLOP/s" } }
  for _, row in ipairs(self) do lines[#lines + 1] = line_of(row) end
  local outside, total = row_of("outside ops", ""), sum_of(self, "total")
  outside.calls, outside.seconds, outside.share = nil, self.outside, self.outside / self.seconds
  lines[#lines + 1] = line_of(outside)
  total.seconds, total.share = self.seconds, 1
  lines[#lines + 1] = line_of(total)
  local function told(n, what) return n > 0 and ("; %s calls %s"):format(thousands(n), what) or "" end
  return ("%s\n%d thread%s; MiB: of the tensors read and written%s%s"):format(columns(lines, 2), self.threads,
    self.threads > 1 and "s" or "", told(self.lost, "more were not kept"),
    told(self.fallbacks, "went to the CPU and back"))
end

local function microseconds(seconds) return math.floor(seconds * 1e9 + 0.5) / 1e3 end

local function trace_event(e)
  local arguments = { shape = e.shape }
  if e.read + e.written > 0 then arguments.read, arguments.written = e.read, e.written end
  if e.flops > 0 then arguments.flops = e.flops end
  if e.fallback then arguments.fallback = true end
  return { name = e.kind == "backward" and e.name .. " backward" or e.name, cat = e.kind, ph = "X", pid = 1, tid = 1,
    ts = microseconds(e.start), dur = microseconds(e.seconds), args = arguments }
end

--- profile:save "trace.json": every call in the trace event format, for chrome://tracing and ui.perfetto.dev: modules,
-- ops and backward passes nested as they ran, with shapes and bytes. Written whole or not at all.
function Profile:save(path)
  if type(path) ~= "string" then core.refuse("profile: save: expected a path, found %s", type(path)) end
  local list = { { name = "process_name", ph = "M", pid = 1, tid = 1, args = { name = "cohesiv" } } }
  for i, e in ipairs(self.events) do list[i + 1] = trace_event(e) end
  json.write(path, { displayTimeUnit = "ms", traceEvents = list })
end

options.guard("profile", Profile, function(x) return getmetatable(x) == Profile end)

return M
