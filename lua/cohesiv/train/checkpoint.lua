--- Checkpoints of training: model, optimiser, average and position in one safetensors file, written whole or not at
-- all. The model's tensors stand under their public names, so that the file is a model file too.
local core = require "cohesiv.core"
local json, kinds = require "cohesiv.base.json", require "cohesiv.base.kinds"
local tensor = require "cohesiv.tensor"
local M = {}

-- What a position must have; what else it has is the trainer's.
local POSITION = kinds.object({
  epoch = kinds.whole, batch = kinds.whole, sums = kinds.map(kinds.number), ended = kinds.flag, rate = kinds.number,
  schedule = kinds.map(kinds.any), random = kinds.list(kinds.whole, 2, 2), samples = kinds.whole,
  optimiser = kinds.object({ steps = kinds.whole, lr = kinds.number }, ".", true),
}, ": ", true)

-- Numbers survive exactly: floats are written in hexadecimal.
local function exact(v)
  if type(v) == "table" then
    local out = {}
    for k, x in pairs(v) do out[k] = exact(x) end
    return out
  end
  return math.type(v) == "float" and ("%a"):format(v) or v
end

local INFINITE = { inf = math.huge, ["-inf"] = -math.huge }

local function back(v)
  if type(v) == "table" then
    for k, x in pairs(v) do v[k] = back(x) end
    return v
  end
  if type(v) == "string" then return INFINITE[v] or v:find "^%-?0x" and tonumber(v) or v end
  return math.type(v) == "float" and math.tointeger(v) or v
end

-- The names of what the optimiser trains, in its order.
local function names_of(parts)
  if parts.names then return parts.names end
  local names = {}
  for name in parts.model:named_parameters() do names[#names + 1] = name end
  return names
end

local function write(path, parts, position)
  local model = parts.model
  local state = model:state_dict()
  local o = parts.optimiser:state()
  for i, name in ipairs(names_of(parts)) do
    state["optimiser.m." .. name], state["optimiser.v." .. name] = o.m[i], o.v[i]
  end
  for name, t in pairs(parts.average and parts.average:state() or {}) do state["average." .. name] = t end
  position.optimiser = { steps = o.steps, lr = o.lr }
  core.io.safetensors_write(path, state, { cohesiv = json.encode(model:extras()),
    training = json.encode(exact(position)) })
end

--- write(path, { model, optimiser, names?, average? }, position): position is a table of numbers and strings, kept
-- exactly. names: of the optimiser's parameters, where they are not the model's. Nothing shares its memory with the
-- weights afterwards: the next step would copy them, and work that is recorded would be recorded again.
function M.write(path, parts, position) tensor.tidy(write, path, parts, position) end

--- read(path, { model, optimiser, names?, average? }) → position.
function M.read(path, parts)
  local model = parts.model
  local state, metadata = core.io.safetensors_read(path)
  if not (metadata and metadata.training) then
    core.refuse("%s: expected a checkpoint of training, found no position in its metadata", path)
  end
  local position = POSITION(back(json.decode(metadata.training, path)), path)
  local m, v, weights, average = {}, {}, {}, {}
  for _, name in ipairs(names_of(parts)) do
    m[#m + 1], v[#v + 1] = state["optimiser.m." .. name], state["optimiser.v." .. name]
    if not v[#m] then core.refuse("%s: expected the optimiser's state of %s, found none", path, name) end
  end
  for name, t in pairs(state) do
    local averaged = name:match "^average%.(.*)$"
    if averaged then average[averaged] = t elseif not name:match "^optimiser%." then weights[name] = t end
  end
  model:load_state(weights)
  if parts.average then parts.average:restore(average) end
  parts.optimiser:restore { steps = position.optimiser.steps, lr = position.optimiser.lr, m = m, v = v }
  return position
end

return M
