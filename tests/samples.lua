-- What the specs over the op table share: every op's random legal samples, and a call of one as plain numbers.
local co = require "cohesiv"
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"

local samples = {}

--- The names of all ops, sorted.
samples.names = {}
for name in pairs(core.ops) do table.insert(samples.names, name) end
table.sort(samples.names)

-- Halves are real on a GPU alone.
local function is_real(t)
  return t.dtype == "float32" or t.dtype == "float64" or t.device ~= "cpu" and t.dtype:find "float" ~= nil
end

-- Inputs that carry data, never a gradient.
local constants = {
  running_mean = true, running_var = true, cond = true, R = true, queries = true, image = true, label = true,
  points = true,
}

--- The places of an op's inputs that gradients are asked for.
function samples.wanted(name, inputs)
  local list, words = {}, {}
  for word in core.ops[name].args:gmatch "[%w_]+" do words[#words + 1] = word end
  for i, t in ipairs(inputs) do
    if t and is_real(t) and (core.ops[name].variadic or not constants[words[i]]) then list[#list + 1] = i end
  end
  return list
end

--- each(name, wide, f): f(inputs, args, variant) for every sample of an op, of float64 when wide;
-- returns how many there are.
function samples.each(name, wide, f)
  for variant = 0, 99 do
    local inputs, args = core.op_sample(name, variant, 7 + variant, wide)
    if not inputs then return variant end
    f(inputs, args, variant)
  end
end

--- The call with absent inputs as nil.
function samples.call(name, inputs, args)
  local op, list, n = core.ops[name], {}, #inputs
  for i = 1, n do list[i] = inputs[i] or nil end
  if op.variadic then return op.call(list, next(args) and args) end
  list[n + 1] = next(args) and args
  return op.call(table.unpack(list, 1, next(args) and n + 1 or n))
end

function samples.copies(inputs)
  local list = {}
  for i, t in ipairs(inputs) do list[i] = t and t:clone() end
  return list
end

--- { outputs..., inputs... } as numbers: ops that write to inputs (running statistics) are seen, too.
function samples.numbers(name, inputs, args)
  local own = samples.copies(inputs)
  local list = table.pack(samples.call(name, own, args))
  for i, t in ipairs(own) do list[list.n + i] = t end
  for i = 1, list.n + #own do
    local t = list[i]
    list[i] = t and { t.dtype, t.shape, t:reshape({ -1 }):totable() }
  end
  return list
end

--- Gradients of a weighted sum of the outputs, as numbers.
function samples.gradients(name, inputs, args)
  local own = samples.copies(inputs)
  for _, i in ipairs(samples.wanted(name, own)) do own[i].requires_grad = true end
  local total = co.tensor(0, { dtype = own[1] and own[1].dtype == "float64" and "float64" or "float32" })
  for k, y in ipairs { samples.call(name, own, args) } do
    if y.requires_grad then
      local n = y:reshape({ -1 }).shape[1]
      total = total + (y:reshape { -1 } * (co.arange(1, n + 1, { dtype = y.dtype, device = y.device }) / (n + k))):sum()
    end
  end
  if total.requires_grad then total:backward() end
  local list = {}
  for i, t in ipairs(own) do list[i] = t and t.grad and t.grad:reshape({ -1 }):totable() or false end
  return list
end

-- What stays float32 beside halves, by the names that ops have for it, unless all of it is halves.
local full = lists.set { "weight", "bias", "running_mean", "running_var", "w1", "b1", "w2", "b2", "scale", "shift", "R",
  "queries", "image", "label", "grid", "parameter", "gradient", "m", "v", "velocity", "total", "good", "step" }

--- halves(name, inputs, half): the inputs as halves on the GPU, and with the same numbers in float32 on the CPU.
function samples.halves(name, inputs, half)
  local here, there, words = {}, {}, {}
  for word in core.ops[name].args:gmatch "[%w_]+" do words[#words + 1] = word end
  for i, t in ipairs(inputs) do
    local narrow = t and t.dtype == "float32" and (core.ops[name].variadic or not full[words[i]])
    here[i] = narrow and t:to(half):to "float32" or t
    there[i] = t and (narrow and t:to(half) or t):to "cuda"
  end
  return here, there
end

return samples
