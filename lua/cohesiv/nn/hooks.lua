--- Hooks of modules: functions that see, or change, what goes into one, what comes out, and the gradient that comes
-- back. They run when it is called (m(x)), not in m:forward(x), nor in the passes of a frozen network after its first.
local core = require "cohesiv.core"
local Function = require("cohesiv.tensor.function").Function
local M = {}

local pass_through = Function {
  name = "watch",
  forward = function(ctx, x, f)
    ctx.f = f
    return x
  end,
  backward = function(ctx, gradient)
    local changed = ctx.f(gradient)
    return changed == nil and gradient or changed
  end,
}

--- watch(x, f): x, unchanged; f(gradient) is called when a gradient comes back for it, and may return another one.
function M.watch(x, f)
  if not core.is_tensor(x) then core.refuse("watch: expected a tensor, found %s", type(x)) end
  if type(f) ~= "function" then core.refuse("watch: expected a function, found %s", type(f)) end
  return pass_through(x, f)
end

-- f(…)'s results, or the values so far when there are none.
local function replaced(values, ...) return (...) == nil and values or table.pack(...) end

local function each(list) return ipairs { table.unpack(list) } end -- of a copy: a hook may remove itself
local function all(values) return table.unpack(values, 1, values.n) end

--- call(m, ...): the forward pass of a module that has hooks, with them around it.
function M.call(m, ...)
  local inputs = table.pack(...)
  for _, f in each(m.hooks.before) do inputs = replaced(inputs, f(m, all(inputs))) end
  local outputs = table.pack(m:forward(all(inputs)))
  for _, f in each(m.hooks.gradient) do
    for i = 1, outputs.n do
      local y = outputs[i]
      if core.is_tensor(y) and y.requires_grad then
        outputs[i] = M.watch(y, function(gradient) return f(m, gradient) end)
      end
    end
  end
  for _, f in each(m.hooks.after) do outputs = replaced(outputs, f(m, inputs, all(outputs))) end
  return all(outputs)
end

--- around(class, entered, f, ...): f(...), during which entered(m) is called before every pass of a module m that is
-- called, and what it returns, if anything, after it, with the outputs. class: the modules'.
function M.around(class, entered, f, ...)
  local call = class.__call
  local _ <close> = setmetatable({}, { __close = function() class.__call = call end }) -- whatever fails
  local function leave(left, ...)
    if left then left(...) end
    return ...
  end
  class.__call = function(m, ...) return leave(entered(m), call(m, ...)) end
  return f(...)
end

local function add(m, kind, f)
  if type(f) ~= "function" then core.refuse("hook: expected a function, found %s", type(f)) end
  m.hooks = m.hooks or { before = {}, after = {}, gradient = {} }
  table.insert(m.hooks[kind], f)
  return m
end

-- What Module gets as its methods.
M.methods = {
  --- m:hook(f): f(module, inputs (a list), outputs...), called after every forward pass, may return other outputs. → m
  hook = function(self, f) return add(self, "after", f) end,
  --- m:hook_before(f): f(module, inputs...), called before every forward pass, may return other inputs. → m
  hook_before = function(self, f) return add(self, "before", f) end,
  --- m:hook_gradient(f): f(module, gradient), called in backward for each output, may return another gradient. → m
  hook_gradient = function(self, f) return add(self, "gradient", f) end,
  --- m:unhook(f): takes f away again, of whatever kind it was; without f, all hooks. Returns m.
  unhook = function(self, f)
    local found, left = f == nil, 0
    for _, list in pairs(self.hooks or {}) do
      for i = #list, 1, -1 do
        if f == nil or list[i] == f then found = table.remove(list, i) end
      end
      left = left + #list
    end
    if not found then core.refuse "unhook: expected a hook of this module, found another function" end
    if left == 0 then self.hooks = nil end
    return self
  end,
}

return M
