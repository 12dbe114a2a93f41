--- model:summary(): what every stage of a network costs, measured by running it: parameters, floating-point operations,
-- memory, time. Two kinds of passes, both in inference mode, so that no running statistic moves: one with gradients, in
-- which operations and bytes are counted, and timed ones without. Modules tell their operations by a method
-- `flops(input, output)` (layers.lua; your own may have one); what has none counts as nothing.
local columns = require "cohesiv.base.columns"
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local refuse = require "cohesiv.base.refuse"
local tensor = require "cohesiv.tensor"
local thousands = require "cohesiv.base.thousands"
local error = core.error -- a line, whatever it quotes

local M = {}
local Summary = {}
Summary.__index = Summary

local function positive(default)
  return options.rule(default, "a positive integer", function(x) return math.type(x) == "integer" and x >= 1 end)
end

local KNOWN = { size = { 448, 256 }, batch = positive(1), repeats = positive(3) }
local REPEATS = 1000 -- at most

local function checked(given)
  for key in pairs(options.table_of("summary", given)) do
    if KNOWN[key] == nil then refuse("summary: expected size, batch or repeats, found %s", options.text(key)) end
  end
  local o = options.read("summary", given, KNOWN)
  if #o.size ~= 2 then refuse "summary: size: expected {width, height}" end
  options.read("summary", { width = o.size[1], height = o.size[2] }, { width = positive(), height = positive() })
  if o.repeats > REPEATS then refuse("summary: repeats: expected at most %d, found %d", REPEATS, o.repeats) end
  return o
end

-- The rows: the stages of children that have some, else the child itself, in the order of the tree.
local function rows_of(model)
  local rows = {}
  local function add(name, module)
    rows[#rows + 1] = { name = name, module = module, parameters = module:count(), flops = 0, memory = 0, times = {} }
  end
  for _, entry in ipairs(model.order) do
    local child = model.children[entry.name]
    if child and child.stages then
      for _, stage in ipairs(child.stages) do add(entry.name .. "." .. stage.name, stage.module) end
    elseif child then
      add(entry.name, child)
    end
  end
  return rows
end

-- Runs f while the forward pass of every module in the list goes through around(pass, extra, self, ...). list:
-- { module, around, extra } each.
local function wrapped(list, f)
  local before = {}
  local ok, message = pcall(function()
    for i, w in ipairs(list) do
      local module, around, extra = table.unpack(w)
      local pass = module.forward
      before[i] = { module, rawget(module, "forward") }
      module.forward = function(...) return around(pass, extra, ...) end
    end
    f()
  end)
  for i = #before, 1, -1 do before[i][1].forward = before[i][2] end -- a module may stand in the list twice
  if not ok then error(message, 0) end
end

local function live()
  collectgarbage() -- only what something still needs shall count
  return core.memory().live
end

-- A module may give several results: f(results...) after pass(...), then those results.
local function after(f, ...)
  f(...)
  return ...
end

-- One pass with gradients: fills in operations, bytes and output shapes; returns the totals.
local function count(model, rows, x)
  local list, total, current = {}, { flops = 0 }, nil
  model:modules(function(module)
    if not module.flops then return end
    list[#list + 1] = { module, function(pass, _, self, input, ...)
      return after(function(output)
        local n = self:flops(input, output)
        total.flops = total.flops + n
        if current then current.flops = current.flops + n end
      end, pass(self, input, ...))
    end }
  end)
  for _, row in ipairs(rows) do
    list[#list + 1] = { row.module, function(pass, own, ...)
      local before = live()
      current = own
      return after(function(output)
        current = nil
        own.memory = own.memory + live() - before
        own.output = core.is_tensor(output) and output.shape or nil
      end, pass(...))
    end, row }
  end
  wrapped(list, function()
    local before = live()
    local out = model:forward(x)
    total.memory = live() - before
    total.output = out.Z.shape
  end)
  return total
end

-- One pass without gradients: adds a duration to every row and to the total.
local function time(model, rows, total, x)
  local list, clock = {}, core.system.time
  for _, row in ipairs(rows) do
    list[#list + 1] = { row.module, function(pass, own, ...)
      local start = clock()
      return after(function() table.insert(own.times, clock() - start) end, pass(...))
    end, row }
  end
  wrapped(list, function()
    local start = clock()
    model:forward(x)
    table.insert(total.times, clock() - start)
  end)
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2] or 0
end

local function measure(model, o)
  local rows = rows_of(model)
  local x = tensor.zeros(o.batch, o.size[2], o.size[1], 3, { dtype = model.dtype(), device = model.device() })
  local total = core.with_grad(tensor.tidy, count, model, rows, x)
  total.times, total.parameters = {}, model:count()
  tensor.no_grad(tensor.tidy, model.forward, model, x) -- the first pass packs weights
  for _ = 1, o.repeats do tensor.no_grad(tensor.tidy, time, model, rows, total, x) end
  local summary = setmetatable({ size = o.size, batch = o.batch, dtype = x.dtype, threads = core.threads(),
    total = total }, Summary)
  for i, row in ipairs(rows) do summary[i] = row end
  for _, row in ipairs { total, table.unpack(rows) } do
    row.time, row.times, row.module = median(row.times), nil, nil
  end
  return summary
end

--- model:summary{ size = {448, 256}, batch = 1, repeats = 3 }: what the network costs at this size, a row per stage:
-- { name, output, parameters, flops, memory, time }, and their .total. flops: of convolutions and linear layers, a
-- multiplication and its addition counting as two. memory: bytes of activations that a training step keeps for its
-- gradients. time: seconds of inference, the median of `repeats` passes. Prints as a table.
function M.summary(self, given)
  return self:in_eval(core.unbroken, "summary", measure, self, checked(given))
end

--- The table as text: a line per stage, columns aligned.
function Summary:__tostring()
  local lines = { { "stage", "output", "parameters", "GFLOP", "MiB", "ms" } }
  local function add(name, row)
    lines[#lines + 1] = { name, row.output and table.concat(row.output, "x") or "", thousands(row.parameters),
      ("%.3f"):format(row.flops / 1e9), ("%.1f"):format(row.memory / 2 ^ 20), ("%.1f"):format(row.time * 1e3) }
  end
  for _, row in ipairs(self) do add(row.name, row) end
  add("total", self.total)
  return ("%d image%s of %dx%d, %s, %d thread%s; MiB: kept for gradients; ms: inference\n"):format(
    self.batch, self.batch > 1 and "s" or "", self.size[1], self.size[2], self.dtype, self.threads,
    self.threads > 1 and "s" or "") .. columns(lines, 2)
end

return M
