--- module:freeze(): a network for inference alone, with the weights of the moment; the module itself stays as it is.
-- Batch norm goes into the weights before it (unless SiLU or a gate follows: one op is both), what follows from weights
-- alone is computed once, and a pass is a plan of ops without Lua between them that reuses buffers once they are free.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local tensor = require "cohesiv.tensor"

local PLANS = 16 -- kept: one for each shape of input

local M, Frozen = {}, {}
local folded -- batch norm → { weight, shift }, while a frozen network's pass is recorded

--- fold(conv, bn) → weight, scale or nil, shift: what the convolution computes with in inference so that bn needs no
-- pass of its own: in its epilogue or, in a frozen network, once and for all in its weights.
function M.fold(conv, bn)
  if folded and folded[bn] then return folded[bn].weight, nil, folded[bn].shift end
  local weight, scale = conv.params.weight, bn.params.weight / (bn.buffers.running_var + bn.eps):sqrt()
  local shift = bn.params.bias - bn.buffers.running_mean * scale
  if not folded then return weight, scale, shift end
  local product = weight:detach() * scale:reshape { scale.shape[1], 1, 1, 1 }
  folded[bn] = { weight = core.keep(product:to(weight.dtype)), shift = core.keep(shift) }
  return folded[bn].weight, nil, shift
end

-- What a module without a pass of its own would be asked for: dtype, thresholds, predict, …
function Frozen.__index(self, key) return rawget(Frozen, key) or self.module[key] end

function Frozen.__call(self, ...) return self:forward(...) end

-- A pass's results as a list of tensors, and how to put them together again.
local function taken_apart(...)
  local first = ...
  if core.is_tensor(first) then return { ... }, function(...) return ... end end
  local names, list = lists.keys(first), {}
  for i, name in ipairs(names) do
    if not core.is_tensor(first[name]) then
      core.refuse("freeze: %s: expected a tensor as the pass's result, found %s", name, type(first[name]))
    end
    list[i] = first[name]
  end
  return list, function(...)
    local out = {}
    for i, name in ipairs(names) do out[name] = (select(i, ...)) end
    return out
  end
end

local function record(self, inputs)
  local plan, together
  local function pass()
    local outputs
    outputs, together = taken_apart(self.pass(self.module, table.unpack(inputs)))
    plan:finish(outputs)
  end
  plan = core.plan(inputs)
  -- Nothing between these lines may fail.
  local before = folded
  folded = self.folded
  local ok, message = pcall(core.unbroken, "freeze", tensor.no_grad, tensor.tidy, pass)
  folded = before
  if not ok then
    plan:cancel()
    core.error(message, 0)
  end
  return { run = plan, together = together }
end

--- frozen:forward(x): the module's pass, without gradients. The first pass of a new shape is recorded.
function Frozen:forward(...)
  local inputs = { ... }
  local key = core.signature("freeze", inputs)
  if not self.plans[key] then
    if #self.order == PLANS then self.plans[table.remove(self.order, 1)] = nil end
    self.plans[key] = record(self, inputs)
    table.insert(self.order, key)
  end
  return self.plans[key].together(self.plans[key].run(...))
end

--- freeze(module), which must be in inference mode.
function M.freeze(module)
  module:modules(function(m, path)
    if m.training then
      core.refuse("freeze: expected a module in inference mode (m:eval()), found %s in training mode",
        path == "" and "it" or path)
    end
  end)
  return setmetatable({ module = module, pass = module.forward, folded = {}, plans = {}, order = {} }, Frozen)
end

return M
