--- co.optim: optimisers and learning-rate schedules.
local core = require "cohesiv.core"

local M = {}

local AdamW = {}
AdamW.__index = AdamW

local function number(o, key, default)
  local v = o[key]
  if v == nil then return default end
  if type(v) ~= "number" then error(("AdamW: %s: expected a number, found %s"):format(key, type(v)), 0) end
  return v
end

--- AdamW(parameters, { lr = 1e-2, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 1e-2 }): Adam with decoupled weight
-- decay (Loshchilov and Hutter, ICLR 2019), one pass over memory per parameter.
function M.AdamW(parameters, o)
  o = o or {}
  if type(parameters) ~= "table" or core.is_tensor(parameters) then
    local found = core.is_tensor(parameters) and "a tensor" or type(parameters)
    error("AdamW: expected a list of parameters, found " .. found, 0)
  end
  for key in pairs(o) do
    if key ~= "lr" and key ~= "betas" and key ~= "eps" and key ~= "weight_decay" then
      error(("AdamW: expected lr, betas, eps or weight_decay, found %s"):format(tostring(key)), 0)
    end
  end
  local betas = o.betas or { 0.9, 0.999 }
  if type(betas) ~= "table" or type(betas[1]) ~= "number" or type(betas[2]) ~= "number" then
    error("AdamW: betas: expected two numbers, found " .. type(betas), 0)
  end
  local self = setmetatable({
    parameters = parameters, lr = number(o, "lr", 1e-2), beta1 = betas[1], beta2 = betas[2],
    eps = number(o, "eps", 1e-8), weight_decay = number(o, "weight_decay", 1e-2), steps = 0, m = {}, v = {},
  }, AdamW)
  for i, p in ipairs(parameters) do
    if not core.is_tensor(p) then error(("AdamW: parameter %d: expected a tensor, found %s"):format(i, type(p)), 0) end
    self.m[i] = core.keep(core.full(0, p.shape, { dtype = p.dtype }))
    self.v[i] = core.keep(core.full(0, p.shape, { dtype = p.dtype }))
  end
  return self
end

--- opt:zero_grad(): forgets the gradients of all parameters.
function AdamW:zero_grad()
  for _, p in ipairs(self.parameters) do p.grad = nil end
end

--- opt:step(): one update of every parameter that has a gradient.
function AdamW:step()
  self.steps = self.steps + 1
  for i, p in ipairs(self.parameters) do
    local g = p.grad
    if g then
      core.ops.adamw.call(p, g, self.m[i], self.v[i], self.lr, self.beta1, self.beta2, self.eps, self.weight_decay,
        self.steps)
      g:close()
    end
  end
end

--- opt:state(): { steps, lr, m, v } for a checkpoint; opt:restore(state) takes it back.
function AdamW:state() return { steps = self.steps, lr = self.lr, m = self.m, v = self.v } end

function AdamW:restore(state)
  self.steps, self.lr = state.steps, state.lr
  for i, m in ipairs(self.m) do
    local all = {}
    for d = 1, #m.shape do all[d] = {} end
    m[all], self.v[i][all] = state.m[i], state.v[i]
  end
end

local Plateau = {}
Plateau.__index = Plateau

--- Plateau(opt, { factor = 0.5, patience = 5, stop = 10 }): multiplies opt.lr by factor after `patience` epochs without
-- a lower value; schedule:step(value) → "better", "same" or "stop" (after `stop` such epochs).
function M.Plateau(opt, o)
  o = o or {}
  return setmetatable({ opt = opt, factor = o.factor or 0.5, patience = o.patience or 5, stop = o.stop or 10,
    best = math.huge, bad = 0 }, Plateau)
end

function Plateau:step(value)
  if value < self.best then
    self.best, self.bad = value, 0
    return "better"
  end
  self.bad = self.bad + 1
  if self.bad >= self.stop then return "stop" end
  if self.bad % self.patience == 0 then self.opt.lr = self.opt.lr * self.factor end
  return "same"
end

function Plateau:state() return { best = self.best, bad = self.bad } end
function Plateau:restore(state) self.best, self.bad = state.best, state.bad end

return M
