--- The optimiser of a run: AdamW, the encoder with a rate of its own or none. With two rates it is two optimisers that
-- stand for one: lists of tensors one behind the other, the encoder's rate always in the same proportion to the other.
local optim = require "cohesiv.optim"
local M = {}
local Rates = {}
Rates.__index = Rates

local ENCODER = "^encoder%."

-- Names and parameters of one child of the network alone; the others get no gradients.
local function alone(model, child)
  local names, list = {}, {}
  for name, t in model:named_parameters() do
    t.requires_grad = name:sub(1, #child + 1) == child .. "."
    if t.requires_grad then names[#names + 1], list[#list + 1] = name, t end
  end
  return names, list
end

-- Names and parameters of the encoder and of the rest.
local function parts_of(model)
  local encoder, rest = { names = {}, list = {} }, { names = {}, list = {} }
  for name, t in model:named_parameters() do
    local part = name:find(ENCODER) and encoder or rest
    part.names[#part.names + 1], part.list[#part.list + 1] = name, t
  end
  return encoder, rest
end

local function joined(parts, of)
  local list = {}
  for _, part in ipairs(parts) do
    local own = of(part)
    table.move(own, 1, #own, #list + 1, list)
  end
  return list
end

function Rates:zero_grad() for _, part in ipairs(self.parts) do part:zero_grad() end end

function Rates:advance()
  for i, part in ipairs(self.parts) do
    part.lr = self.lr * self.shares[i]
    part:advance()
  end
  self.steps = self.parts[1].steps
end

function Rates:update() for _, part in ipairs(self.parts) do part:update() end end

function Rates:step()
  for i, part in ipairs(self.parts) do
    part.lr = self.lr * self.shares[i]
    part:step()
  end
  self.steps = self.parts[1].steps
end

function Rates:tensors() return joined(self.parts, function(part) return part:tensors() end) end

function Rates:state()
  return { steps = self.steps, lr = self.lr, m = joined(self.parts, function(part) return part.m end),
    v = joined(self.parts, function(part) return part.v end) }
end

function Rates:restore(state)
  local at = 0
  for _, part in ipairs(self.parts) do
    local n = #part.parameters
    part:restore { steps = state.steps, lr = state.lr, m = table.move(state.m, at + 1, at + n, 1, {}),
      v = table.move(state.v, at + 1, at + n, 1, {}) }
    at = at + n
  end
  self.steps, self.lr = state.steps, state.lr
end

--- of(model, o, child?): the optimiser of a model by a recipe's `optim`, and the names of the parameters that it
-- trains, in its order. encoder_lr = 0: the encoder's get no gradients. child: nothing else of the network learns.
function M.of(model, o, child)
  local settings = { lr = o.lr, weight_decay = o.weight_decay }
  if child then
    local names, list = alone(model, child)
    return optim.AdamW(list, settings), names
  end
  local encoder, rest = parts_of(model)
  if not o.encoder_lr or #encoder.list == 0 then
    local names = {}
    for name in model:named_parameters() do names[#names + 1] = name end
    return optim.AdamW(model:parameters(), settings), names
  end
  if o.encoder_lr == 0 then
    for _, t in ipairs(encoder.list) do t.requires_grad = false end
    return optim.AdamW(rest.list, settings), rest.names
  end
  local parts = { optim.AdamW(encoder.list, settings), optim.AdamW(rest.list, settings) }
  return setmetatable({ parts = parts, shares = { o.encoder_lr / o.lr, 1 }, lr = o.lr, steps = 0,
    parameters = joined({ encoder, rest }, function(part) return part.list end) }, Rates),
    joined({ encoder, rest }, function(part) return part.names end)
end

--- train(model, o, child?): the model in training mode, what is frozen of it in that of inference.
function M.train(model, o, child)
  if child then
    model:eval()
    model.children[child]:train()
    return
  end
  model:train()
  if o.encoder_lr == 0 then model.children.encoder:eval() end
end

return M
