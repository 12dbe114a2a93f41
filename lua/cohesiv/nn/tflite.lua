--- co.nn.tflite(FILE): the network of a TensorFlow Lite file (float16 and float32 constants) as a module. Its constants
-- are parameters, under the file's names; m(x, …) takes the file's inputs, float32 and channels-last, and returns its
-- outputs, each a tensor. The first dimension, where the file says 1, may be any number of images. Operators are those
-- of tflite_operators.lua; another one, or a quantised network, is refused by name.
local core = require "cohesiv.core"
local tensor = require "cohesiv.tensor"
local Module, operators = require "cohesiv.nn.module", require "cohesiv.nn.tflite_operators"

-- ---- one operator while the network is built: see tflite_operators.lua ----
local Operator = {}
Operator.__index = Operator

function Operator:refuse(format, ...)
  core.refuse("%s: %s: " .. format, self.net.path, self.name, ...)
end

function Operator:option(name) return self.options[name] or 0 end

function Operator:place(i)
  local place = self.inputs[i]
  if not place then self:refuse("expected an input %d, found none", i) end
  return place
end

function Operator:constant(i) return self.inputs[i] and self.net.constants[self.inputs[i]] end

function Operator:shape(i) return self.net.graph.tensors[self:place(i)].shape end

function Operator:result() return self.net.graph.tensors[self.outputs[1]].shape end

local function constant(self, i)
  self:place(i)
  return self:constant(i) or self:refuse("expected a constant as input %d, found one that is computed", i)
end

function Operator:numbers(i)
  local list = {}
  for k, n in ipairs(constant(self, i):reshape(-1):totable()) do list[k] = math.tointeger(n) or n end
  return list
end

-- A free name for a parameter of the module.
local function name_for(net, place)
  local name = net.graph.tensors[place].name
  if name == "" or name:find "[%c]" then name = "tensor" end
  local free, k = name, 1
  while net.module.params[free] or net.module.buffers[free] or net.module.children[free] do
    k = k + 1
    free = name .. "_" .. k
  end
  return free
end

function Operator:weight(i, turn)
  local net, place = self.net, self:place(i)
  local value = constant(self, i)
  if value.dtype ~= "float32" then self:refuse("expected numbers of FLOAT32 or FLOAT16, found %s", value.dtype) end
  local key = ("%d %s"):format(place, turn and self.name or "")
  if not net.names[key] then
    net.names[key] = name_for(net, place)
    net.module:parameter(net.names[key], core.keep((turn and turn(value) or value):clone()))
  end
  local params, name = net.module.params, net.names[key]
  return function() return params[name] end
end

-- ---- the graph ----
-- Which constants there are; those that a DEQUANTIZE only widens are so once and for all.
local function constants_of(net)
  for place, t in ipairs(net.graph.tensors) do
    net.constants[place] = t.constant and (t.type == "FLOAT16" and t.constant:to "float32" or t.constant)
  end
  for _, o in ipairs(net.graph.operators) do
    local from = o.name == "DEQUANTIZE" and o.inputs[1]
    if from then
      if net.graph.tensors[from].type ~= "FLOAT16" or not net.constants[from] then
        core.refuse("%s: DEQUANTIZE: expected constants of FLOAT16, found %s (a quantised network)", net.path,
          net.graph.tensors[from].type)
      end
      local to = o.outputs[1]
      if to then
        net.constants[to] = net.constants[from]
        net.graph.tensors[to].name = net.graph.tensors[from].name
      end
    end
  end
end

local function check_types(net)
  local function check(place)
    local t = net.graph.tensors[place]
    if t.type ~= "FLOAT32" then
      core.refuse("%s: expected tensors of FLOAT32, found %s of %s%s", net.path, t.name, t.type,
        t.type:find "INT8" and " (a quantised network)" or "")
    end
  end
  for _, place in ipairs(net.graph.inputs) do check(place) end
  for _, step in ipairs(net.steps) do check(step.output) end
end

-- How often each tensor is read, by operators and as an output of the whole.
local function uses_of(net)
  local uses = {}
  local function use(place) uses[place] = (uses[place] or 0) + 1 end
  for _, o in ipairs(net.graph.operators) do
    for _, place in ipairs(o.inputs) do
      if place then use(place) end
    end
  end
  for _, place in ipairs(net.graph.outputs) do use(place) end
  return uses
end

-- One step: what it computes, from which places, to which.
local function step_of(net, o)
  local make = operators[o.name]
  if o.custom or not make then
    core.refuse("%s: expected operators that are known here, found %s%s", net.path, o.custom and "the custom one "
      or "",
      o.name)
  end
  if #o.outputs ~= 1 or #o.inputs == 0 then
    core.refuse("%s: %s: expected inputs and one output, found %d and %d", net.path, o.name, #o.inputs, #o.outputs)
  end
  local operator = setmetatable({ net = net, name = o.name, options = o.options, inputs = o.inputs, outputs = o.outputs,
    count = #o.inputs }, Operator)
  local step = { name = o.name, options = o.options, run = make(operator), output = o.outputs[1], inputs = {} }
  for _, place in ipairs(o.inputs) do
    if place and not net.constants[place] then table.insert(step.inputs, place) end
  end
  return step
end

-- An ADD whose one side is a convolution that nothing else reads is that convolution's last part.
local function join_additions(net)
  local uses, from, steps = uses_of(net), {}, {}
  for _, step in ipairs(net.steps) do
    local a, b = step.inputs[1], step.inputs[2]
    local plain = step.name == "ADD" and b and a ~= b and step.options.act == 0
    for _, pair in ipairs(plain and { { a, b }, { b, a } } or {}) do
      local conv, other = from[pair[1]], pair[2]
      local same = table.concat(net.graph.tensors[pair[1]].shape, "x") == table.concat(net.graph.tensors[other].shape,
        "x")
      if conv and conv.name:find "CONV_2D$" and conv.options.act == 0 and uses[pair[1]] == 1 and same then
        conv.gone = true
        step = { name = "CONV_2D+ADD", options = step.options, run = conv.run, inputs = { conv.inputs[1], other },
          output = step.output }
        break
      end
    end
    from[step.output] = step
    steps[#steps + 1] = step
  end
  net.steps = {}
  for _, step in ipairs(steps) do
    if not step.gone then table.insert(net.steps, step) end
  end
end

-- After which step each computed tensor is of no more use, and that all is computed before it is read.
local function schedule(net)
  local known, last, kept = {}, {}, {}
  for _, place in ipairs(net.graph.inputs) do known[place], kept[place] = true, true end
  for _, place in ipairs(net.graph.outputs) do kept[place] = true end
  for i, step in ipairs(net.steps) do
    for _, place in ipairs(step.inputs) do
      if not known[place] then
        core.refuse("%s: %s: expected inputs that are computed before, found %s", net.path, step.name,
          net.graph.tensors[place].name)
      end
      last[place] = i
    end
    if known[step.output] or net.constants[step.output] then
      core.refuse("%s: %s: expected a result of its own, found %s again", net.path, step.name,
        net.graph.tensors[step.output].name)
    end
    known[step.output] = true
    step.done = {}
  end
  for place, i in pairs(last) do
    if not kept[place] then table.insert(net.steps[i].done, place) end
  end
  for _, place in ipairs(net.graph.outputs) do
    if not known[place] then
      core.refuse("%s: expected outputs that are computed, found %s", net.path, net.graph.tensors[place].name)
    end
  end
end

-- ---- running ----
local function check_input(net, i, x)
  local t = net.graph.tensors[net.graph.inputs[i]]
  local fits = core.is_tensor(x) and x.dtype == "float32" and #x.shape == #t.shape
  for d, n in ipairs(t.shape) do fits = fits and (x.shape[d] == n or d == 1 and n == 1) end
  if not fits then
    core.refuse("%s: %s: expected float32 %s, found %s", net.path, t.name, table.concat(t.shape, "x"),
      core.is_tensor(x) and x.dtype .. " " .. table.concat(x.shape, "x") or core.found(x))
  end
end

local function run(net, ...)
  local given, values, outputs = { ... }, {}, {}
  if #given ~= #net.graph.inputs then
    core.refuse("%s: expected %d inputs, found %d", net.path, #net.graph.inputs, #given)
  end
  for i, place in ipairs(net.graph.inputs) do
    check_input(net, i, given[i])
    values[place] = given[i]
  end
  local closing = not core.grad_enabled()
  for _, step in ipairs(net.steps) do
    local a, b = step.inputs[1], step.inputs[2]
    if #step.inputs <= 2 then
      values[step.output] = step.run(values[a], values[b])
    else
      local all = {}
      for i, place in ipairs(step.inputs) do all[i] = values[place] end
      values[step.output] = step.run(table.unpack(all))
    end
    for _, place in ipairs(step.done) do
      if closing and values[place] ~= values[step.output] then values[place]:close() end
      values[place] = nil
    end
  end
  for i, place in ipairs(net.graph.outputs) do outputs[i] = values[place] end
  return table.unpack(outputs)
end

--- tflite(path): a module, in inference mode. m.inputs, m.outputs: of the file, lists of { name, shape }.
local function tflite(path)
  if type(path) ~= "string" then core.refuse("tflite: expected a path, found %s", core.found(path)) end
  local net = { path = path, graph = core.io.tflite_read(path), constants = {}, names = {}, steps = {} }
  net.module = Module.new(nil, "Tflite")
  tensor.tidy(function()
    constants_of(net)
    for _, o in ipairs(net.graph.operators) do
      if o.name ~= "DEQUANTIZE" then table.insert(net.steps, step_of(net, o)) end
    end
    check_types(net)
    join_additions(net)
    schedule(net)
  end)
  for _, t in ipairs(net.graph.tensors) do
    if t.constant then t.constant:close() end
    t.constant = nil
  end
  local function named(list)
    local out = {}
    for i, place in ipairs(list) do
      out[i] = { name = net.graph.tensors[place].name, shape = net.graph.tensors[place].shape }
    end
    return out
  end
  local m = net.module
  m.inputs, m.outputs = named(net.graph.inputs), named(net.graph.outputs)
  m.forward = function(_, ...) return run(net, ...) end
  return m:eval()
end

return { tflite = tflite }
