--- The Lua half of tensors: methods out of the op table, slices, arithmetic, printing, scopes, gradient checks.
--   t.shape (a table), t.dtype, t.device, t.requires_grad (read and write), t.grad; #t == t.shape[1]
--   t[i]: a number of a tensor of one dimension, else a tensor; t[{ i, {a, b}, {} }]: index, range, all; t[…] = v
--   t + u, t - u, t * u, t / u, t ^ u, -t, with broadcasting; co.eq, co.lt, … compare: Lua makes booleans of < and ==
-- Dimensions and indices count from 1, dimensions also from the end (-1). dtypes: float32, float64, float16, bfloat16,
-- uint8, int32, int64.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
require "cohesiv.base.warn" -- tells what there is to know about a device
local M = {}
local methods, meta = core.methods, core.meta

-- Every op is a function and a method.
for name, op in pairs(core.ops) do
  M[name] = op.call
  methods[name] = methods[name] or op.call
end

for _, name in ipairs { "add", "sub", "mul", "div", "pow" } do meta["__" .. name] = core.ops[name].call end
meta.__unm = function(t) return core.ops.neg.call(t) end -- Lua passes the operand twice

-- What is in C, told here since help finds comments in Lua files:
--
--- tensor(table | number, { dtype = "float32", device = "cpu", requires_grad = false }): a tensor of nested lists of
-- numbers, those of a level of equal length, or of a number.
--- is_tensor(x): whether x is a tensor.
--- full(value, 2, 3, { dtype, device, requires_grad }): a tensor filled with a number. Sizes may also be a list.
--- arange(start, stop, step = 1, { dtype, device }): start, start + step, … without stop; arange(stop): from 0.
--- eye(n, { dtype, device }): the identity matrix n×n.
--- rand(2, 3, { dtype, device }): random numbers, evenly in [0, 1); see co.seed.
--- randn(2, 3, { dtype, device }): random numbers, normal with mean 0 and variance 1; see co.seed.
--- threads(n?): how many threads compute, after setting it to n. Results are the same bits for any number.
--- memory{ limit, reset_peak, empty_cache }: bytes that tensors hold: { live, peak, cached, limit, graphs }, and of
-- GPUs that are in use the same under their names. limit: beyond it making a tensor is an error; empty_cache: frees
-- what is kept for the next tensors.
--- devices(): what there is to compute on, a list of { name, kind, index, memory }.
--- t:item(): the number of a tensor of one element.
--- t:totable(): nested lists of its numbers.
--- t:numel(): how many numbers it has.
--- t:detach(): the same values without history: no gradient flows through.
--- t:backward(gradient?, { retain_graph = false }): adds to .grad of every tensor that t came from and that requires a
-- gradient the gradient of t, which has one element, or of the sum of t times `gradient`.
--- t:is_leaf(): whether it was made, not computed from tensors that require gradients.
--- t:fill(v): all its numbers become v. → t
--- t:copy(v): its numbers become those of v: a tensor of its shape, one element or a number. → t
--- t:close(): frees its memory now instead of when it is collected; it cannot be used any more.
for _, name in ipairs { "tensor", "is_tensor", "full", "arange", "eye", "rand", "randn", "threads", "memory",
  "devices" } do
  M[name] = core[name]
end

--- zeros(2, 3, { dtype = "float32" }): a tensor of zeros.
function M.zeros(...) return core.full(0, ...) end

--- ones(2, 3, { dtype = "float32" }): a tensor of ones.
function M.ones(...) return core.full(1, ...) end

--- seed(n): restarts the random numbers of rand, randn and everything that draws from them.
function M.seed(n)
  if math.type(n) ~= "integer" then core.refuse("seed: expected an integer, found %s", core.found(n)) end
  core.seed(n)
end

local function check(name, t)
  if not core.is_tensor(t) then core.refuse("%s: expected a tensor, found %s", name, type(t)) end
end

--- t:clone(): a tensor of its own with the same values; gradients flow through.
function methods.clone(t)
  check("clone", t)
  return core.ops.reshape.call(t, t.shape)
end

--- t:contiguous(): t itself; tensors always are.
function methods.contiguous(t) return t end

local dtypes = {}
for name in core.ops.cast.args:gmatch "(%w+)=" do dtypes[name] = true end

--- t:to("float64") or t:to "cpu": the same values in another dtype, or on another device; gradients come back.
function methods.to(t, target)
  check("to", t)
  if t.dtype == target or t.device == target then return t end
  if dtypes[target] then return core.ops.cast.call(t, { [target] = true }) end -- an op: gradients and plans see it
  if target ~= "cpu" and target ~= "guard" and not (type(target) == "string" and target:find "^cuda") then
    return t:cast_data(target) -- raises, naming the dtypes that there are
  end
  local home, moved = t.device, t:move(target)
  if t.requires_grad and core.grad_enabled() then
    core.record("to", function(_, g) return g:move(home) end, { t, n = 1 }, { moved }, {})
  end
  return moved
end

--- t:keep(): takes t out of the surrounding co.tidy.
function methods.keep(t) return core.keep(t) end

-- call, which takes eight tensors at once, of a list of any length.
local function fold(call, list, dim)
  if #list <= 8 then return call(list, dim) end
  local parts = {}
  for i = 1, #list, 8 do parts[#parts + 1] = call(table.move(list, i, math.min(i + 7, #list), 1, {}), dim) end
  return fold(core.ops.cat.call, parts, dim) -- what is stacked already is joined
end

--- cat(list, dim = 1): the tensors of a list, of any length, joined along a dimension; also cat(a, b, c, dim = …).
--- stack(list, dim = 1): the tensors of a list, of one shape, along a new dimension.
for _, name in ipairs { "cat", "stack" } do
  local call = core.ops[name].call
  M[name] = function(list, dim, ...) -- also cat(a, b, c)
    return type(list) == "table" and fold(call, list, dim or 1) or call(list, dim, ...)
  end
end

local function row(t, n)
  local cells = {}
  for i = 1, math.min(n, 8) do cells[i] = (math.type(t[i]) == "integer" and "%d" or "%.4g"):format(t[i]) end
  if n > 8 then cells[#cells + 1] = "..." end
  return table.concat(cells, "  ")
end

--- "float32 2x3" and, of small tensors, their values.
function meta.__tostring(t)
  local shape = t.shape
  local head = ("%s %s"):format(t.dtype, #shape == 0 and "scalar" or table.concat(shape, "x"))
  if t.requires_grad then head = head .. " requires_grad" end
  local data = t:detach()
  if #shape == 0 then return ("%s: %s"):format(head, tostring(data:item())) end
  if #shape == 1 then return ("%s: [%s]"):format(head, row(data, shape[1])) end
  if #shape ~= 2 then return head end
  local lines = { head }
  for i = 1, math.min(shape[1], 8) do lines[#lines + 1] = "  " .. row(data[i], shape[2]) end
  if shape[1] > 8 then lines[#lines + 1] = "  ..." end
  return table.concat(lines, "\n")
end
meta.__name = "tensor"

--- tidy(f, ...): what f returns; every other tensor made inside is closed at once, unless :keep()-ed.
function M.tidy(f, ...) return core.tidy(f, ...) end

--- no_grad(f, ...): what f returns; nothing inside is recorded for backward.
function M.no_grad(f, ...) return core.no_grad(f, ...) end

local function differentiable(x) return core.is_tensor(x) and x.requires_grad end

-- (f(x + eps) - f(x - eps)) / 2 eps for every element x of the k-th of n inputs.
local function slopes_of(f, inputs, k, n, eps)
  local flat, slopes = inputs[k]:detach():reshape { -1 }, {}
  local probe = table.move(inputs, 1, n, 1, {})
  local function at(i, v)
    flat[i] = v
    probe[k] = flat:reshape(inputs[k].shape)
    return M.no_grad(f, probe):item()
  end
  for i, v in ipairs(flat:totable()) do
    slopes[i] = (at(i, v + eps) - at(i, v - eps)) / (2 * eps)
    flat[i] = v
  end
  return slopes
end

--- gradcheck(f, inputs, { eps = 1e-6, atol = 1e-6, rtol = 1e-4 }): compares backward with central differences in
-- every element of every input that requires a gradient (float64). Returns true, or raises with the first mismatch.
function M.gradcheck(f, inputs, given)
  local o = options.read("gradcheck", given, { eps = 1e-6, atol = 1e-6, rtol = 1e-4 })
  options.expect("gradcheck", "f function", f)
  if type(inputs) ~= "table" then core.refuse("gradcheck: expected a list of inputs, found %s", core.found(inputs)) end
  local n = options.whole("gradcheck", "inputs.n", rawget(inputs, "n") or rawlen(inputs), 0, 1000)
  for i = 1, n do
    local x = inputs[i]
    if differentiable(x) then
      if x.dtype ~= "float64" then core.refuse("gradcheck: input %d: expected float64, found %s", i, x.dtype) end
      x.grad = nil
    end
  end
  local weights = {} -- fixed random numbers; false for an output without a gradient
  local function weighted_sum(list)
    local total
    for i, y in ipairs { f(table.unpack(list, 1, n)) } do
      if weights[i] == nil then
        weights[i] = differentiable(y) and core.rand(y.shape, { dtype = "float64" }) + 0.5
      end
      if weights[i] then
        local s = (y * weights[i]):sum()
        total = total and total + s or s
      end
    end
    return total
  end
  local total = weighted_sum(inputs)
  if not total then core.refuse "gradcheck: expected an output that requires a gradient, found none" end
  total:backward()
  for k = 1, n do
    local x = inputs[k]
    if differentiable(x) then
      local exact = x.grad and x.grad:reshape({ -1 }):totable() or {}
      for i, slope in ipairs(M.tidy(slopes_of, weighted_sum, inputs, k, n, o.eps)) do
        local found = exact[i] or 0
        local close = math.abs(found - slope) <= o.atol + o.rtol * math.abs(slope) -- false for NaN, too
        if not close then
          core.refuse("gradcheck: input %d, element %d: expected %.8g (central difference), found %.8g (backward)", k,
            i, slope, found)
        end
      end
    end
  end
  return true
end

return M
