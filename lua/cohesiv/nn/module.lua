--- co.nn.Module: a tree of named parameters, buffers and children, with a forward function.
--   Module ── params  { name → tensor that requires a gradient }     in the order in which they were added,
--     ├────── buffers { name → tensor }                              so that names and files are reproducible
--     └────── children { name → Module }
-- Names join with dots ("encoder.layer1.0.conv1.weight"), as in public checkpoints. Convolution weights lie in
-- memory as {O, kH, kW, I/groups} and in state dicts and files as {O, I/groups, kH, kW}.
local core = require "cohesiv.core"
local hooks = require "cohesiv.nn.hooks"
local options, warn = require "cohesiv.base.options", require "cohesiv.base.warn"
local freeze, plans = require("cohesiv.nn.freeze").freeze, require "cohesiv.nn.plans"
local Module = {}
Module.__index = Module

--- Module.new(forward?, kind?): an empty module; forward(self, ...) may also be set later. kind: what it prints as.
function Module.new(forward, kind)
  options.expect("module", "forward function?, kind string?", forward, kind)
  return setmetatable({ order = {}, params = {}, buffers = {}, children = {}, training = true, forward = forward,
    kind = kind or "Module" }, Module)
end

-- m(x, …) is m:forward(x, …), with hooks.
Module.__call = function(self, ...)
  if self.hooks then return hooks.call(self, ...) end
  return self:forward(...)
end

--- m:forward(x, …): what the module computes; modules of your own set it: m.forward = function(self, x) … end.
function Module.forward() core.refuse "module: expected a forward function, found none" end

for name, method in pairs(hooks.methods) do Module[name] = method end

local function register(self, kind, name, value)
  local there = self.params[name] or self.buffers[name] or self.children[name]
  if there then core.refuse("module: %s is there already", name) end
  self[kind][name] = value
  table.insert(self.order, { kind = kind, name = name })
  return value
end

--- m:parameter("weight", t): t, now trained with the module.
function Module:parameter(name, t)
  options.expect("module: parameter", "name string, value tensor", name, t)
  t.requires_grad = true
  return register(self, "params", name, t)
end

--- m:buffer("running_mean", t): t, now saved with the module but not trained.
function Module:buffer(name, t)
  options.expect("module: buffer", "name string, value tensor", name, t)
  return register(self, "buffers", name, t)
end

--- m:add("conv1", child): child, now a part of the module.
function Module:add(name, child)
  if math.type(name) == "integer" then name = tostring(name) end
  options.expect("module: add", "name string", name)
  if not Module.is_module(child) then core.refuse("module: %s: expected a module, found %s", name, type(child)) end
  child.name = name
  return register(self, "children", name, child)
end

--- m:replace("conv1", child): child, now in the place of the part of that name, which is gone. What has kept the old
-- one in a variable of its own still uses it.
function Module:replace(name, child)
  options.expect("module: replace", "name string", name)
  if not self.children[name] then
    core.refuse("module: replace: expected one of its parts, found %s", options.text(name))
  end
  if not Module.is_module(child) then
    core.refuse("module: replace: %s: expected a module, found %s", name, options.text(child))
  end
  child.name, self.children[name] = name, child
  return child
end

--- m:label(): the name under which the module was added, else its kind.
function Module:label() return self.name or self.kind end

-- Calls visit(full name, tensor, kind, module, own name) for everything below, in order.
local function walk(self, prefix, visit)
  for _, entry in ipairs(self.order) do
    local kind, name = entry.kind, entry.name
    local value, full = self[kind][name], prefix .. name
    if kind == "children" then walk(value, full .. ".", visit) else visit(full, value, kind, self, name) end
  end
end

-- A tensor that stands in several places (tied weights) is there once, under its first name.
local function collect(self, wanted)
  local names, tensors, known, i = {}, {}, {}, 0
  walk(self, "", function(full, t, kind)
    if kind ~= wanted or known[t] then return end
    known[t] = true
    names[#names + 1], tensors[#names + 1] = full, t
  end)
  return function()
    i = i + 1
    return names[i], tensors[i]
  end
end

--- for name, t in m:named_parameters() do: all parameters, with their public names.
function Module:named_parameters() return collect(self, "params") end

--- for name, t in m:named_buffers() do: running statistics and other state that is not trained.
function Module:named_buffers() return collect(self, "buffers") end

--- m:count(): how many numbers the parameters hold.
function Module:count()
  local n = 0
  for _, t in self:named_parameters() do n = n + t:numel() end
  return n
end

--- m:parameters(): the list of all parameters, for an optimiser.
function Module:parameters()
  local list = {}
  for _, t in self:named_parameters() do list[#list + 1] = t end
  return list
end

local function each_module(self, f, path)
  f(self, path)
  for _, entry in ipairs(self.order) do
    if entry.kind == "children" then
      each_module(self.children[entry.name], f, path == "" and entry.name or path .. "." .. entry.name)
    end
  end
end

--- m:modules(f): f(module, path) for the module and everything below it.
function Module:modules(f, path)
  options.expect("module: modules", "f function, path string?", f, path)
  each_module(self, f, path or "")
end

--- m:train(on?): training mode (batch statistics), here and below.
function Module:train(on)
  if on ~= false and self.inference_only then
    core.refuse "train: expected weights of float32 or float64, found bfloat16, which is for inference"
  end
  self:modules(function(m) m.training = on ~= false end)
  return self
end

--- m:eval(): inference mode (running statistics), here and below.
function Module:eval() return self:train(false) end

--- m:in_eval(f, …): f(…) in inference mode, after which every module is in the mode that it was in, whatever fails.
function Module:in_eval(f, ...)
  local modes = {}
  self:modules(function(m) modes[m] = m.training end)
  local _ <close> = setmetatable({}, { __close = function()
    for m, training in pairs(modes) do m.training = training end
  end })
  self:eval()
  return f(...)
end

--- m:freeze(): the network for inference alone: faster, with the weights of this moment; called as m is.
function Module:freeze() return freeze(self) end

-- Rounding kernels of few channels would save nothing, and costs accuracy.
local function worth_halving(shape) return #shape > 1 and shape[#shape] >= 16 end

--- m:to("float64") or m:to "cpu": converts parameters and buffers, or moves them to a device. m:to "bfloat16" is for
-- inference, without gradients: weights in half the memory, products of it on CPUs that multiply it fast. Vectors,
-- kernels of few input channels (the first, depthwise ones), activations and sums stay float32.
function Module:to(target)
  if type(target) == "string" and target:find "^cuda" then plans.restore() end
  local half = target == "bfloat16"
  local dtype = half or type(target) == "string" and target:match "^float" -- not a device
  if half and not core.system.cpu().bfloat16 then
    warn.once("bfloat16", "bfloat16: slower on this CPU, which does not multiply it: weights are converted first")
  end
  walk(self, "", function(_, t, kind, owner, name)
    local converted = t:detach():to((half and not worth_halving(t.shape)) and "float32" or target)
    local graded = t.requires_grad
    if dtype then graded = not half end
    if kind == "params" then converted.requires_grad = graded end
    owner[kind][name] = converted
  end)
  if dtype then
    self:modules(function(m) m.inference_only = half end)
    if half then self:eval() end
  end
  return self
end

--- m:zero_grad(): forgets all gradients.
function Module:zero_grad()
  for _, t in self:named_parameters() do t.grad = nil end
end

local function to_file(t) return #t.shape == 4 and t:permute { 1, 4, 2, 3 } or t end -- O,kH,kW,I → O,I,kH,kW
local function to_memory(t) return #t.shape == 4 and t:permute { 1, 3, 4, 2 } or t end

--- m:state_dict(): public name → tensor in the layout of files; and the list of names in order.
function Module:state_dict()
  local state, names = {}, {}
  walk(self, "", function(full, t) state[full], names[#names + 1] = to_file(t:detach()), full end)
  return state, names
end

local function text(shape) return #shape == 0 and "scalar" or table.concat(shape, "x") end

--- m:load_state(state, { strict, ignore }): copies values in by name (any float dtype). Returns
-- { missing, unexpected, misshaped }: lists of names. strict: raises when any is not empty, and changes nothing.
-- `num_batches_tracked` never counts, nor does a name that ignore(name) accepts.
function Module:load_state(state, o)
  options.expect("module: load_state", "state table", state)
  o = options.read("module: load_state", o, { strict = options.optional "any", ignore = options.optional "function" },
    " and ")
  for name, value in next, state do
    if type(name) ~= "string" or not core.is_tensor(value) then
      core.refuse("load: expected tensors by name, found %s = %s", options.text(name), options.show(value))
    end
  end
  local report, known, found = { missing = {}, unexpected = {}, misshaped = {} }, {}, {}
  walk(self, "", function(full, own)
    local value = state[full]
    local moved = value and to_memory(value)
    known[full] = true
    if not value then
      table.insert(report.missing, full)
    elseif text(moved.shape) == text(own.shape) then
      found[#found + 1] = { own, moved }
    else
      table.insert(report.misshaped, ("%s (expected %s, found %s)"):format(
        full, text(to_file(own:detach()).shape), text(value.shape)))
    end
  end)
  for name in pairs(state) do
    local counts = not known[name] and not name:match "num_batches_tracked$"
    if counts and not (o.ignore and o.ignore(name)) then table.insert(report.unexpected, name) end
  end
  table.sort(report.unexpected)
  if o.strict ~= false then
    for _, kind in ipairs { "missing", "unexpected", "misshaped" } do
      if #report[kind] > 0 then core.refuse("load: %d %s, the first: %s", #report[kind], kind, report[kind][1]) end
    end
  end
  for _, pair in ipairs(found) do pair[1]:copy(pair[2]) end
  return report
end

local function tree(m, indent)
  local words, below = { indent .. (m.name and m.name .. ": " or "") .. m.kind }, {}
  for _, entry in ipairs(m.order) do
    local name, child = entry.name, m.children[entry.name]
    if entry.kind == "params" then words[#words + 1] = name .. " " .. text(m.params[name].shape) end
    if child then below[#below + 1] = "\n" .. tree(child, indent .. "  ") end
  end
  return table.concat(words, "  ") .. table.concat(below)
end

--- The tree of modules as text, a line for each, with its parameters as they lie in memory.
function Module:__tostring() return tree(self, "") end

--- Module.is_module(x): whether x is a module.
Module.is_module = function(x) return type(x) == "table" and getmetatable(x) == Module end

--- Module.stands(x): whether x is a module, or stands for one as a frozen network does: it has its methods.
function Module.stands(x)
  return Module.is_module(x) or (type(x) == "table" and Module.is_module(rawget(x, "module")))
end

return options.guard("module", Module, Module.stands)
