--- co.tune: which method computes a convolution fastest depends on the machine. Tuning measures those that there are in
-- the passes of a model, and the core remembers the fastest for each shape (csrc/backend/conv_algo.h) where otherwise
-- a rule chooses by shape. Of a model on a GPU cuDNN's suggestions are measured instead of its first one being taken,
-- and kept for other processes, too (plans.lua). Results differ between methods in their last bits.
local core = require "cohesiv.core"
local columns, options = require "cohesiv.base.columns", require "cohesiv.base.options"
local plans = require "cohesiv.nn.plans"
local tensor = require "cohesiv.tensor"

local M, Tuning = {}, {}

-- The method of what cuDNN could do in one pass, and does not, as its steps one by one are as fast.
local APART = "apart"

-- The CPU's choices to take(list); cuDNN's, whose method is "offer N, engine M", where it is there.
local function with(take, list)
  local own = {}
  for _, row in ipairs(type(list) == "table" and list or {}) do
    local offer, engine = tostring(type(row) == "table" and row.method):match "^offer (%d+), engine (%d+)$"
    if type(row) == "table" and row.task == "cudnn" and row.method == APART then offer, engine = -1, 0 end
    if not offer or row.task ~= "cudnn" then
      own[#own + 1] = row
    elseif core.plans.label() then
      core.plans.choose { key = row.shape, offer = tonumber(offer), engine = tonumber(engine) }
    end
  end
  take(type(list) == "table" and own or list)
end

--- use(list): from now on exactly these choices (on a GPU: these, too).
function M.use(list) with(core.algos.set, list) end

--- include(list): these choices, too.
function M.include(list) with(core.algos.add, list) end

local PASSES = 100 -- at most: a method inside another's trial has its turn in every fourth pass or so

-- Passes until every method of every shape was tried often enough; on a GPU one is enough, and the first of all.
local function try(trials, pass, gpu)
  if gpu then return tensor.tidy(pass) end
  for _ = 1, PASSES do
    tensor.tidy(pass)
    if core.algos.trials() >= trials then return end
  end
end

-- In inference mode, as a step in training mode would move running statistics; on a CPU the convolutions are the same.
-- On a GPU some add up what batch norm takes in training, which is measured, too; measure() puts statistics back.
local function passes(model, o)
  local parameter, frozen = model:parameters()[1], model:freeze()
  local device = parameter and parameter.device or "cpu"
  local gpu = device ~= "cpu"
  local x = tensor.randn(o.batch, o.size[2], o.size[1], 3):to(device)
  try(o.trials, function() frozen:forward(x) end, gpu)
  if not o.training then return end
  if gpu then model:train() end
  core.with_grad(try, o.trials, function()
    local out, total = model:forward(x), 0
    for _, y in pairs(core.is_tensor(out) and { out } or out) do total = total + y:sum() end
    total:backward()
    model:zero_grad()
  end, gpu)
end

-- The passes, measured; gradients, running statistics and random numbers are then what they were, whatever fails.
local function measure(model, o)
  local gradients, parameters, buffers = {}, model:parameters(), {}
  for _, b in model:named_buffers() do
    if o.gpu and o.training then buffers[b] = core.keep(b:clone()) end
  end
  for i, p in ipairs(parameters) do gradients[i] = p.grad or false end
  local seed, stream = core.random_state()
  local _ <close> = setmetatable({}, { __close = function()
    core.algos.autotune(false)
    if o.gpu then core.plans.measure(false) end
    core.seed(seed, stream)
    for i, p in ipairs(parameters) do p.grad = gradients[i] or nil end
    for b, before in pairs(buffers) do b:copy(before) end
  end })
  if o.gpu then core.plans.measure(true) else core.algos.autotune(true) end
  model:zero_grad()
  model:in_eval(tensor.tidy, passes, model, o)
end

local Plans = {}

-- What cuDNN was measured to do best, kept for other processes.
local function tune_plans(model, o)
  local label, why = core.plans.label()
  if not label then core.refuse("tune: expected cuDNN on a GPU, found none (%s)", why) end
  core.unbroken("tune", measure, model, o)
  plans.save()
  return setmetatable(core.plans.rows(), Plans)
end

--- co.tune(model, { size = {448, 256}, batch = 1, training = false, trials = 5 }): measures the methods of every
-- convolution in a pass over `batch` images of {width, height} (training: in a training step, too), on as many threads
-- as are set, and from then on uses the fastest of each that takes less than 95 % of the usual one's time → rows {
-- task, shape, method (chosen now), usual, times = { method = seconds } }, which print as a table. Leave the machine
-- idle otherwise. Of a model on a GPU: the first suggestions of cuDNN, timed by events, as rows { key, offer, engine,
-- seconds, usual, text }. A run folder records the choices, which going on or run:model() repeats; "reset" forgets them
-- all.
function M.tune(model, given)
  if model == "reset" then
    core.plans.reset()
    return M.use {}
  end
  if not (type(model) == "table" and model.freeze and model.parameters) then
    core.refuse("tune: expected a model or \"reset\", found %s", type(model) == "string" and model or type(model))
  end
  local o = options.read("tune", given,
    { size = { 448, 256 }, batch = options.integer(1), training = false, trials = options.integer(5) })
  for i, side in ipairs { "width", "height" } do options.whole("tune", side, o.size[i]) end
  if o.training and model.inference_only then
    core.refuse "tune: training: expected weights of float32, found bfloat16, which is for inference"
  end
  local device = model:parameters()[1]
  o.gpu = device and device.device:find "^cuda" and true
  if o.gpu then return tune_plans(model, o) end
  core.unbroken("tune", measure, model, o)
  local tuning = setmetatable({}, Tuning)
  for _, row in ipairs(core.algos.rows()) do
    if row.times and next(row.times) then tuning[#tuning + 1] = row end
  end
  return tuning
end

--- The table as text: a line per problem: cuDNN's numbers of it, the offer that is taken, milliseconds of it and of the
-- first one, or of the steps one by one.
function Plans:__tostring()
  local lines, saved = { { "problem", "offer", "engine", "ms", "usual ms" } }, 0
  for i, row in ipairs(self) do
    lines[i + 1] = { table.concat(row.key, " "), row.offer < 0 and APART or tostring(row.offer), tostring(row.engine),
      ("%.4f"):format(row.seconds * 1e3), ("%.4f"):format(row.usual * 1e3) }
    saved = saved + row.usual - row.seconds
  end
  return ("%s\n%d problems, each once: %.3f ms less by these choices"):format(columns(lines, 1), #self, saved * 1e3)
end

--- choices(): what is chosen now, as a list of { task, shape, method } that use() takes, and that JSON keeps.
function M.choices()
  local list = {}
  for i, row in ipairs(core.algos.rows()) do
    list[i] = { task = row.task, shape = row.shape, method = row.method }
  end
  for _, row in ipairs(core.plans.rows()) do
    list[#list + 1] = { task = "cudnn", shape = row.key,
      method = row.offer < 0 and APART or ("offer %d, engine %d"):format(row.offer, row.engine) }
  end
  return list
end

local METHODS = { "winograd6", "winograd4", "grouped", "direct", "taps", "joined" }

local function shape_text(row)
  local s = row.shape
  if row.task == "upconv2d" then return ("3x3 %d+%d > %d on %dx%dx%d"):format(s[4], s[5], s[6], s[1], s[2], s[3]) end
  local output = row.task == "convolution" and s[11] or s[10] // s[5]
  local input = row.task == "convolution" and s[4] or s[4] // s[5]
  return ("%dx%d%s %d > %d%s on %dx%dx%d"):format(s[6], s[7], s[8] > 1 and "/" .. s[8] or "", input, output,
    s[5] > 1 and (" x %d groups"):format(s[5]) or "", s[1], s[2], s[3])
end

-- The last number of the other shapes says whether weights were packed before.
local function task_text(row)
  if row.task == "weight_gradient" then return "gradient of weights" end
  return row.task .. (row.shape[#row.shape] == 0 and ", training" or "")
end

--- The table as text: a line per shape, milliseconds of every method, the usual one when another is chosen.
function Tuning:__tostring()
  local lines = { { "task", "shape", "chosen", "instead of", table.unpack(METHODS) } }
  local saved, usual = 0, 0
  for _, row in ipairs(self) do
    local line = { task_text(row), shape_text(row), row.method, row.method ~= row.usual and row.usual or "" }
    for i, method in ipairs(METHODS) do
      line[4 + i] = row.times[method] and ("%.3f"):format(row.times[method] * 1e3) or ""
    end
    lines[#lines + 1] = line
    usual = usual + row.times[row.usual]
    saved = saved + row.times[row.usual] - row.times[row.method]
  end
  return ("%s\nms; %d shapes, each once: %.2f ms by the rule, %.2f ms less by these choices"):format(columns(lines, 4),
    #self, usual * 1e3, saved * 1e3)
end

return M
