--- model:summary(): what every stage of a network costs, measured in inference mode, which moves no running statistics.
-- A pass with gradients counts bytes, and operations as the core's profile knows them; passes without are timed.
local core = require "cohesiv.core"
local thousands = require "cohesiv.base.thousands"
local tensor = require "cohesiv.tensor"
local columns, options = require "cohesiv.base.columns", require "cohesiv.base.options"
local hooks, Module = require "cohesiv.nn.hooks", require "cohesiv.nn.module"
local M = {}
local Summary = {}

local SCHEMA = { size = { 448, 256 }, batch = options.integer(1), repeats = options.integer(3, 1, 1000) }

local function row_of(name, module)
  return { name = name, module = module, parameters = module:count(), flops = 0, memory = 0, times = {} }
end

-- The rows: the stages of children that have some, else the child itself, in the order of the tree.
local function rows_of(model)
  local rows = {}
  for _, entry in ipairs(model.order) do
    local name, child = entry.name, model.children[entry.name]
    for _, stage in ipairs(child and child.stages or {}) do
      rows[#rows + 1] = row_of(name .. "." .. stage.name, stage.module)
    end
    if child and not child.stages then rows[#rows + 1] = row_of(name, child) end
  end
  return rows
end

-- A pass of the model. Around it and the pass of every row's module: left = entered(row), then left(output).
local function pass(x, total, rows, entered)
  local known = {}
  for _, row in ipairs(rows) do known[row.module] = row end
  local left = entered(total)
  local out = hooks.around(Module, function(m) return known[m] and entered(known[m]) end, total.module.forward,
    total.module, x) -- all of it is kept while `left` looks
  left(out.Z)
end

local function live()
  collectgarbage() -- only what something still needs shall count
  return core.memory().live
end

-- One pass with gradients: fills in operations, bytes and output shapes.
local function count(x, total, rows)
  local owner = {} -- event → row
  core.profile_start()
  local ok, message = pcall(pass, x, total, rows, function(row)
    local event, before = core.profile_enter(row.name), live()
    owner[event + 1] = row
    return function(output)
      core.profile_leave(event)
      row.memory = row.memory + live() - before
      row.output = core.is_tensor(output) and output.shape or nil
    end
  end)
  local events = core.profile_stop()
  if not ok then core.error(message, 0) end
  for i, e in ipairs(events) do
    local row = owner[i] or owner[e.parent]
    owner[i], row.flops = row, row.flops + math.tointeger(e.flops)
  end
  for _, row in ipairs(rows) do total.flops = total.flops + row.flops end
end

-- One pass without gradients: adds a duration to every row and to the total.
local function time(x, total, rows)
  local clock = core.system.time
  pass(x, total, rows, function(row)
    local start = clock()
    return function() table.insert(row.times, clock() - start) end
  end)
end

local function measure(model, o)
  local total, rows = row_of("total", model), rows_of(model)
  local x = tensor.zeros(o.batch, o.size[2], o.size[1], 3, { dtype = model.dtype(), device = model.device() })
  core.with_grad(tensor.tidy, count, x, total, rows)
  tensor.no_grad(tensor.tidy, model.forward, model, x) -- the first pass packs weights
  for _ = 1, o.repeats do tensor.no_grad(tensor.tidy, time, x, total, rows) end
  for _, row in ipairs { total, table.unpack(rows) } do
    table.sort(row.times)
    row.time, row.times, row.module = row.times[(#row.times + 1) // 2] or 0, nil, nil -- the median
  end
  rows.size, rows.batch, rows.dtype, rows.threads, rows.total = o.size, o.batch, x.dtype, core.threads(), total
  return setmetatable(rows, Summary)
end

--- model:summary{ size = {448, 256}, batch = 1, repeats = 3 }: what the network costs at this size, a row per stage:
-- { name, output, parameters, flops, memory, time }, and their .total. flops: of convolutions and linear layers, a
-- multiplication and its addition counting as two. memory: bytes of activations that a training step keeps for its
-- gradients. time: seconds of inference, the median of `repeats` passes. Prints as a table.
function M.summary(self, given)
  local o = options.read("summary", given, SCHEMA)
  for i, side in ipairs { "width", "height" } do options.whole("summary", side, o.size[i]) end
  return self:in_eval(core.unbroken, "summary", measure, self, o)
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
