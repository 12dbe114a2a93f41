--- Learning-rate schedules: schedule:step(value?) moves on and sets the rate of its target: an optimiser, anything with
-- a number `lr`, or another schedule, which hands it on with its own factor: a warm-up under a cosine is
-- Cosine(Warmup(optimiser, …), …), each stepped at its own pace. state() and restore(state) are for checkpoints.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local M = {}

local function check_target(name, target)
  local lr = type(target) == "table" and target.lr
  if type(lr) ~= "number" then core.refuse("%s: expected an optimiser or a schedule, found %s", name, type(target)) end
  return lr
end

-- A schedule under another one hands on what it was given.
local function set(target, lr)
  target.lr = lr
  if target.apply then target:apply() end
end

-- Schedules that are a factor of where they are: at(count or share).
local Factor = {}
Factor.__index = Factor

local function factor(name, target, at)
  local self = setmetatable({ lr = check_target(name, target), target = target, count = 0, at = at }, Factor)
  self:apply()
  return self
end

--- schedule:apply(): sets the target's rate to .lr, the schedule's own, times the factor of this moment.
function Factor:apply() set(self.target, self.lr * self.at(self.count)) end

--- schedule:step(count?): one further, or to a place of your choice (steps from 0; fractions are allowed).
function Factor:step(count)
  options.expect("schedule: step", "count number?", count)
  self.count = count or self.count + 1
  self:apply()
end

--- schedule:state(): { lr, count }; schedule:restore(state) takes it back.
function Factor:state() return { lr = self.lr, count = self.count } end

function Factor:restore(state)
  options.expect("schedule: restore", "state table", state)
  options.expect("schedule: restore", "lr number, count number", state.lr, state.count)
  self.lr, self.count = state.lr, state.count
  self:apply()
end

--- Step(target, { every, factor = 0.1 }): the rate times factor after every `every` steps.
function M.Step(target, o)
  o = options.read("Step", o, { every = options.integer(), factor = 0.1 })
  return factor("Step", target, function(n) return o.factor ^ (n // o.every) end)
end

--- Cosine(target, { steps, floor = 0 }): from the rate down to floor times the rate in `steps` steps along half a
-- cosine (Loshchilov and Hutter, ICLR 2017), and there it stays.
function M.Cosine(target, o)
  o = options.read("Cosine", o, { steps = options.integer(), floor = options.between(0, 0, 1) })
  return factor("Cosine", target, function(n)
    return o.floor + (1 - o.floor) * 0.5 * (1 + math.cos(math.pi * math.min(n / o.steps, 1)))
  end)
end

--- Warmup(target, { steps }): in the first `steps` steps 1/steps, 2/steps, … of the rate, then all of it.
function M.Warmup(target, o)
  o = options.read("Warmup", o, { steps = options.integer() })
  return factor("Warmup", target, function(n) return math.min(1, (n + 1) / o.steps) end)
end

-- The schedule that looks at a score.
local Plateau = {}
Plateau.__index = Plateau

--- Plateau(target, { factor = 0.5, patience = 5, stop = 10 }): multiplies the rate by factor after `patience` epochs
-- without a lower value; schedule:step(value) → "better", "same" or "stop" (after `stop` such epochs).
function M.Plateau(target, o)
  check_target("Plateau", target)
  o = options.read("Plateau", o, { factor = 0.5, patience = 5, stop = 10 })
  o.target, o.best, o.bad = target, math.huge, 0
  return setmetatable(o, Plateau)
end

--- schedule:step(value): the epoch's value, lower is better → "better", "same" or "stop".
function Plateau:step(value)
  if type(value) ~= "number" then core.refuse("schedule: step: expected a number, found %s", options.show(value)) end
  if value < self.best then
    self.best, self.bad = value, 0
    return "better"
  end
  self.bad = self.bad + 1
  if self.bad >= self.stop then return "stop" end
  if self.bad % self.patience == 0 then set(self.target, self.target.lr * self.factor) end
  return "same"
end

--- schedule:state(): { best, bad }, the rate being the target's; schedule:restore(state) takes it back.
function Plateau:state() return { best = self.best, bad = self.bad } end

function Plateau:restore(state)
  options.expect("schedule: restore", "state table", state)
  if type(state.best) ~= "number" then
    core.refuse("schedule: restore: best: expected a number, found %s", options.show(state.best))
  end
  self.best, self.bad = state.best, options.whole("schedule: restore", "bad", state.bad, 0)
end

for _, class in ipairs { Factor, Plateau } do
  options.guard("schedule", class, function(x) return getmetatable(x) == class end)
end

return M
