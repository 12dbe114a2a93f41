--- co.optim: optimisers, clipping of gradients, and learning-rate schedules (schedule.lua). An optimiser updates the
-- parameters that have a gradient, in place, one pass over memory each; its .lr may be written at any time.
local core = require "cohesiv.core"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"
local tensor = require "cohesiv.tensor"
local schedule = require "cohesiv.optim.schedule"

local M = lists.copy(schedule) -- Step, Cosine, Warmup, Plateau
local ops = core.ops

local Optimiser = {}

-- op: updates a parameter by its gradient and the optimiser's state; its parameters are settings(self, step).
-- kept: the names of the lists of tensors that are that state: out of every scope, a tensor for each parameter, zeros
-- at first.
local function class(op, kept, settings)
  local c = { op = op, kept = kept, settings = settings }
  c.__index = c
  return setmetatable(c, { __index = Optimiser, __name = "kind of optimiser" })
end

local function new(of, parameters, fields)
  local known = {}
  for i, p in ipairs(parameters) do
    if known[p] then
      core.refuse("optim: parameters: expected every tensor once, found one at %d and again at %d", known[p], i)
    end
    known[p] = i
  end
  local self = setmetatable(fields, of)
  self.parameters, self.steps = parameters, 0
  for _, name in ipairs(of.kept) do
    self[name] = {}
    for i, p in ipairs(parameters) do
      self[name][i] = core.keep(core.full(0, p.shape, { dtype = p.dtype, device = p.device }))
    end
  end
  local device = parameters[1] and parameters[1].device -- other devices read what a step comes to from their own memory
  self.numbers = device and device ~= "cpu" and core.keep(core.full(0, core.op_numbers, { device = device })) or nil
  return self
end

--- opt:zero_grad(): forgets the gradients of all parameters.
function Optimiser:zero_grad()
  for _, p in ipairs(self.parameters) do p.grad = nil end
end

-- The sum of the squares of some gradients, a number on their device; on a GPU of one launch.
local function squares(gradients)
  local total, totals = core.full(0, {}, { device = gradients[1].device }), {}
  for i = 1, #gradients do totals[i] = total end
  ops.sum_squares.each { gradients, totals }
  return total
end

-- Without reading on the host: what the coming update multiplies these gradients by, which clips them to a norm of max
-- together (nil: not) and frees them of the scale that their loss had (scaled: { scale, good }, numbers on the device,
-- which it moves on; see cohesiv.train.scaling).
local function condition(numbers, gradients, max, scaled)
  options.within("step", "max", max or math.huge, 0, math.huge)
  local there, kept = lists.map(gradients, function(g) return g end), scaled or {}
  if #there == 0 then return end
  ops.gradient_factor.call(squares(there), numbers, kept.scale, kept.good, max or math.huge)
end

-- Where a step is recorded to be replayed (cohesiv.tensor.captured), its two halves: the next step's numbers, from the
-- host, and the update, which reads them on the device.
function Optimiser:advance()
  if self.numbers then self.op.numbers(self.numbers, self:settings(self.steps + 1)) end
  self.steps = self.steps + 1
end

function Optimiser:update(max, scaled)
  if not self.numbers then
    if scaled then core.refuse "step: expected parameters on a GPU for a scaled loss, found some on the CPU" end
    if max then M.clip_norm(self.parameters, max) end
  end
  local gradients = {}
  local operands = { self.parameters, gradients }
  for k, name in ipairs(self.kept) do operands[k + 2] = self[name] end
  for i, p in ipairs(self.parameters) do -- what needs memory comes first
    gradients[i] = p.grad or false
    if gradients[i] then
      core.own(p)
      for _, name in ipairs(self.kept) do core.own(self[name][i]) end
    end
  end
  if self.numbers and (max or scaled) then tensor.tidy(condition, self.numbers, gradients, max, scaled) end
  self.op.each(operands, self.numbers, self:settings(self.steps))
  for _, g in ipairs(gradients) do if g then g:close() end end
end

--- opt:step(max?): one update of every parameter that has a gradient, all of them clipped to a norm of max together.
-- Short of memory, it raises with no parameter changed. scaled: see cohesiv.train.scaling.
function Optimiser:step(max, scaled)
  self:advance()
  local ok, message = pcall(self.update, self, max, scaled)
  if ok then return end
  self.steps = self.steps - 1
  core.error(message, 0)
end

-- All tensors that a step reads and writes, but gradients.
function Optimiser:tensors()
  local list = table.move(self.parameters, 1, #self.parameters, 1, {})
  list[#list + 1] = self.numbers
  for _, name in ipairs(self.kept) do table.move(self[name], 1, #self[name], #list + 1, list) end
  return list
end

--- opt:state(): { steps, lr } and the lists of tensors (AdamW: m, v; SGD: velocity), for a checkpoint.
function Optimiser:state()
  local state = { steps = self.steps, lr = self.lr }
  for _, name in ipairs(self.kept) do state[name] = self[name] end
  return state
end

--- opt:restore(state): goes on from there.
function Optimiser:restore(state)
  options.expect("restore", "state table", state)
  options.expect("restore: state", "steps integer, lr number", state.steps, state.lr)
  for _, name in ipairs(self.kept) do
    options.expect("restore: state", name .. " tensors", state[name])
    if #state[name] ~= #self[name] then
      core.refuse("restore: state: %s: expected %d tensors, found %d", name, #self[name], #state[name])
    end
  end
  self.steps, self.lr = state.steps, state.lr
  for _, name in ipairs(self.kept) do
    for i, t in ipairs(self[name]) do t:copy(state[name][i]) end
  end
end

options.guard("optimiser", Optimiser, options.having "kept")

local AdamW = class(ops.adamw, { "m", "v" }, function(self, step)
  return self.lr, self.beta1, self.beta2, self.eps, self.weight_decay, step
end)

--- AdamW(parameters, { lr = 1e-2, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 1e-2 }): Adam with decoupled weight
-- decay (Loshchilov and Hutter, ICLR 2019).
function M.AdamW(parameters, o)
  options.expect("AdamW", "parameters tensors", parameters)
  o = options.read("AdamW", o, { lr = 1e-2, betas = { 0.9, 0.999 }, eps = 1e-8, weight_decay = 1e-2 })
  local first, second = table.unpack(o.betas)
  options.expect("AdamW: betas", "first number, second number", first, second)
  o.betas, o.beta1, o.beta2 = nil, first, second
  return new(AdamW, parameters, o)
end

local SGD = class(ops.sgd, { "velocity" }, function(self)
  return self.lr, self.momentum, self.weight_decay, self.nesterov
end)
local PlainSGD = class(ops.sgd, {}, SGD.settings)

--- SGD(parameters, { lr = 1e-2, momentum = 0, nesterov = false, weight_decay = 0 }): stochastic gradient descent,
-- v = momentum v + d, p -= lr v, where d = g + weight_decay p; with nesterov p -= lr (d + momentum v).
function M.SGD(parameters, o)
  options.expect("SGD", "parameters tensors", parameters)
  o = options.read("SGD", o, { lr = 1e-2, momentum = options.between(0, 0, 1), nesterov = false, weight_decay = 0 })
  if o.nesterov and o.momentum == 0 then core.refuse "SGD: nesterov: expected a momentum above 0, found 0" end
  return new(o.momentum > 0 and SGD or PlainSGD, parameters, o)
end

local function norm(parameters)
  local gradients = lists.map(parameters, function(p) return p.grad end)
  return #gradients > 0 and math.sqrt(squares(gradients):item()) or 0.0
end

local function scale(parameters, by)
  local gradients, whose = {}, {}
  for _, p in ipairs(parameters) do
    local g = p.grad
    if g then
      gradients[#gradients + 1], whose[#whose + 1] = g, p
      p.grad = nil -- nobody else's, where it was
    end
  end
  local ok, message = pcall(function()
    for _, g in ipairs(gradients) do core.own(g) end -- what needs memory comes first
    ops.scale.each({ gradients }, nil, by)
  end)
  for i, p in ipairs(whose) do p.grad = gradients[i] end
  if not ok then core.error(message, 0) end
end

--- scale_gradients(parameters, by): multiplies all gradients by a number.
function M.scale_gradients(parameters, by)
  options.expect("scale_gradients", "parameters tensors, by number", parameters, by)
  tensor.tidy(scale, parameters, by)
end

--- clip_norm(parameters, max): scales all gradients by one factor to a common Euclidean norm <= max → the norm before.
function M.clip_norm(parameters, max)
  options.expect("clip_norm", "parameters tensors", parameters)
  options.within("clip_norm", "max", max, 0, math.huge)
  local before = tensor.tidy(norm, parameters)
  if before > max then M.scale_gradients(parameters, max / before) end
  return before
end

--- clip_value(parameters, limit): clamps every number of the gradients to ± limit.
function M.clip_value(parameters, limit)
  options.expect("clip_value", "parameters tensors", parameters)
  options.within("clip_value", "limit", limit, 0, math.huge)
  for _, p in ipairs(parameters) do
    if p.grad then p.grad = p.grad:clamp(-limit, limit) end
  end
end

return M
