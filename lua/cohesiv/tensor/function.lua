--- co.Function: new differentiable operations written in Lua, forward and backward side by side.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local tensor = require "cohesiv.tensor"
local error = core.error -- a line, whatever it quotes

local M = {}

-- What forward and backward of one call share: ctx. Fields of the user's own stay as they are; tensors for backward go
-- through save, so that the tape owns them, whatever scope or assignment comes in between.
local Context = {}
Context.__index = Context

--- ctx:save(t, ...): in forward; keeps the tensors, as they are now, for backward.
function Context:save(...)
  for i = 1, select("#", ...) do
    local t = select(i, ...)
    if not core.is_tensor(t) then
      error(("%s: save: expected a tensor, found %s"):format(self.name, type(t)), 0)
    end
    if self.kept then table.insert(self.kept, t:detach()) end
  end
end

--- ctx:saved(): in backward; the tensors that forward saved, in that order.
function Context:saved() return table.unpack(self.kept or {}) end

local function check_results(name, results)
  if results.n == 0 then error(("%s: forward: expected a tensor, found no result"):format(name), 0) end
  for i = 1, results.n do
    if not core.is_tensor(results[i]) then
      error(("%s: forward: result %d: expected a tensor, found %s"):format(name, i, type(results[i])), 0)
    end
  end
end

-- A result as a tensor of its own, where it is to get a node, has one, or is an argument.
local function apart(t, wanted, arguments)
  if wanted or t.requires_grad then return t:detach() end
  for i = 1, arguments.n do
    if rawequal(t, arguments[i]) then return t:detach() end
  end
  return t
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
  check_results(name, results)
  for i = 1, results.n do results[i] = apart(results[i], wanted, arguments) end
  if wanted then
    local kept = ctx.kept
    ctx.kept = nil
    core.record(name, function(saved, ...)
      ctx.kept = saved
      return backward(ctx, ...)
    end, arguments, results, kept)
  end
  return table.unpack(results, 1, results.n)
end

--- Function{ forward = function(ctx, ...) end, backward = function(ctx, gradient, ...) end, name = "…" }: a function of
-- your own that gradients flow through. forward runs without the tape and returns up to 4 tensors; ctx:save(t, ...)
-- keeps tensors for backward, ctx.needs[i] says whether argument i wants a gradient, other fields are yours. backward
-- gets a gradient for each result and returns one for each argument, of its shape and dtype; nil: none.
function M.Function(o)
  if type(o) ~= "table" then error("Function: expected { forward, backward }, found " .. type(o), 0) end
  for key in pairs(o) do
    if key ~= "forward" and key ~= "backward" and key ~= "name" then
      error(("Function: expected forward, backward or name, found %s"):format(options.text(key)), 0)
    end
  end
  for _, key in ipairs { "forward", "backward" } do
    if type(o[key]) ~= "function" then
      error(("Function: %s: expected a function, found %s"):format(key, type(o[key])), 0)
    end
  end
  local name, forward, backward = o.name or "Function", o.forward, o.backward
  if type(name) ~= "string" then error("Function: name: expected a string, found " .. type(name), 0) end
  return function(...) return call(name, forward, backward, ...) end
end

return M
