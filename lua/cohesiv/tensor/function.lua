--- co.Function: new differentiable operations written in Lua, forward and backward side by side.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local tensor = require "cohesiv.tensor"
local M = {}

-- What forward and backward of one call share: ctx. Fields of the user's own stay as they are; tensors for backward go
-- through save, so that the tape owns them, whatever scope or assignment comes in between.
local Context = {}
Context.__index = Context

--- ctx:save(t, ...): in forward; keeps the tensors, as they are now, for backward.
function Context:save(...)
  for i = 1, select("#", ...) do
    local t = select(i, ...)
    if not core.is_tensor(t) then core.refuse("%s: save: expected a tensor, found %s", self.name, type(t)) end
    if self.kept then table.insert(self.kept, t:detach()) end
  end
end

--- ctx:saved(): in backward; the tensors that forward saved, in that order.
function Context:saved() return table.unpack(self.kept or {}) end

-- The i-th result as a tensor of its own, where it is to get a node, has one, or is an argument.
local function apart(name, i, t, wanted, arguments)
  if not core.is_tensor(t) then core.refuse("%s: forward: result %d: expected a tensor, found %s", name, i, type(t)) end
  local shared = wanted or t.requires_grad
  for k = 1, arguments.n do shared = shared or rawequal(t, arguments[k]) end
  return shared and t:detach() or t
end

local function call(name, forward, backward, ...)
  local arguments, needs, wanted = table.pack(...), {}, false
  for i = 1, arguments.n do
    needs[i] = core.is_tensor(arguments[i]) and arguments[i].requires_grad
    wanted = wanted or needs[i]
  end
  wanted = wanted and core.grad_enabled()
  local ctx = setmetatable({ name = name, needs = needs, kept = wanted and {} or nil }, Context)
  local results = table.pack(tensor.no_grad(forward, ctx, ...))
  if results.n == 0 then core.refuse("%s: forward: expected a tensor, found no result", name) end
  for i = 1, results.n do results[i] = apart(name, i, results[i], wanted, arguments) end
  if wanted then
    local function walk(saved, ...)
      ctx.kept = saved
      return backward(ctx, ...)
    end
    core.record(name, walk, arguments, results, ctx.kept)
    ctx.kept = nil
  end
  return table.unpack(results, 1, results.n)
end

local CODE = options.rule(nil, "a function", function(f) return type(f) == "function" end)

--- Function{ forward = function(ctx, ...) end, backward = function(ctx, gradient, ...) end, name = "…" }: a function of
-- your own that gradients flow through. forward runs without the tape and returns up to 4 tensors; ctx:save(t, ...)
-- keeps tensors for backward, ctx.needs[i] says whether argument i wants a gradient, other fields are yours. backward
-- gets a gradient for each result and returns one for each argument, of its shape and dtype; nil: none.
function M.Function(o)
  if type(o) ~= "table" then core.refuse("Function: expected { forward, backward }, found %s", type(o)) end
  local f = options.read("Function", o, { forward = CODE, backward = CODE, name = "Function" })
  return function(...) return call(f.name, f.forward, f.backward, ...) end
end

return M
