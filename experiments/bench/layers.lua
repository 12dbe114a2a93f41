--- The convolutions of a pass, one by one: which there are, and how fast each is alone.
local co = require "cohesiv"
local core = require "cohesiv.core"

local M = {}

local MEASURE = 0.03 -- seconds that a measurement takes at least

--- The kinds of layers, in the order of tables.
M.KINDS = { "stem", "1x1", "grouped, depthwise", "dense 3x3", "up-sampling 3x3",
  "batch norm, activation, gate", "pooling, rest", "losses", "optimiser" }

-- What a call of a convolution computes, from its tensors.
local function layer_of(name, x, weight, ...)
  local xs, ws = x.shape, weight.shape
  local layer = { n = xs[1], h = xs[2], w = xs[3], input = xs[4], output = ws[1], k = ws[2], stride = 1, groups = 1,
    count = 1 }
  if name:find "^upconv" then
    local skip = ...
    layer.up, layer.skip = true, skip and skip.shape[4] or 0
  else
    layer.stride, layer.padding, layer.groups = select(name == "conv2d" and 2 or 4, ...)
  end
  local rows = layer.up and 2 * layer.h or (layer.h + 2 * layer.padding - layer.k) // layer.stride + 1
  local columns = layer.up and 2 * layer.w or (layer.w + 2 * layer.padding - layer.k) // layer.stride + 1
  layer.flops = 2 * layer.n * rows * columns * layer.output * ws[2] * ws[3] * ws[4]
  layer.kind = M.kind(layer)
  layer.text = ("%dx%d%s %s > %d%s"):format(layer.k, layer.k, layer.stride > 1 and "/" .. layer.stride or "",
    layer.up and layer.skip > 0 and layer.input .. "+" .. layer.skip or layer.input, layer.output,
    layer.groups > 1 and (", %d groups"):format(layer.groups) or "")
  return layer
end

--- kind(layer): its kind's name.
function M.kind(layer)
  if layer.up then return "up-sampling 3x3" end
  if layer.input == 3 then return "stem" end
  if layer.groups > 1 then return "grouped, depthwise" end
  return layer.k == 1 and "1x1" or "dense 3x3"
end

--- noted(f, ...) → list of layers, one for each convolution that f(...) calls, in order.
function M.noted(f, ...)
  local list, calls = {}, {}
  for _, name in ipairs { "conv2d", "conv2d_act", "upconv2d", "upconv2d_act" } do
    local op = core.ops[name]
    calls[name] = op.call
    op.call = function(...)
      list[#list + 1] = layer_of(name, ...)
      return calls[name](...)
    end
  end
  local ok, message = pcall(f, ...)
  for name, call in pairs(calls) do core.ops[name].call = call end
  if not ok then error(message, 0) end
  return list
end

--- unique(list): each layer once, with its count.
function M.unique(list)
  local out, found = {}, {}
  for _, layer in ipairs(list) do
    local key = ("%s %d %d %d"):format(layer.text, layer.n, layer.h, layer.w)
    if found[key] then found[key].count = found[key].count + 1
    else
      layer.key, found[key], out[#out + 1] = key, layer, layer
    end
  end
  return out
end

-- The time of the processor where it is one, of the clock on the wall otherwise.
local function clock() return core.threads() == 1 and os.clock() or core.system.time() end

-- Seconds of one f(), the least of several.
local function seconds(f)
  local best, spent, rounds = math.huge, 0, 0
  co.tidy(f)
  while spent < MEASURE or rounds < 3 do
    local took = co.tidy(f)
    best, spent, rounds = math.min(best, took), spent + took, rounds + 1
  end
  return best
end

local function timed(f, ...)
  local start = clock()
  f(...)
  return clock() - start
end

-- The call alone: inputs of random numbers.
local function inputs(layer)
  local x = co.randn(layer.n, layer.h, layer.w, layer.input)
  local skip = layer.up and layer.skip > 0 and co.randn(layer.n, 2 * layer.h, 2 * layer.w, layer.skip) or nil
  local weight = co.randn(layer.output, layer.k, layer.k, (layer.input + (layer.skip or 0)) // layer.groups) * 0.05
  return x, weight, skip
end

-- As inference has it: batch norm in the weights and a shift, ReLU.
local function forward(layer, x, weight, skip, shift)
  if layer.up then return core.ops.upconv2d_act.call(x, weight, skip, nil, shift, "relu") end
  return core.ops.conv2d_act.call(x, weight, nil, shift, nil, layer.stride, layer.padding, layer.groups, "relu")
end

local function plain(layer, x, weight, skip)
  if layer.up then return core.ops.upconv2d.call(x, weight, skip) end
  return core.ops.conv2d.call(x, weight, nil, layer.stride, layer.padding, layer.groups)
end

-- Seconds of the gradients of the inputs or of the weights alone.
local function backward(layer, x, weight, skip, of_weights)
  local wanted = of_weights and { weight } or { x, skip }
  for _, t in ipairs { x, weight, skip } do t.requires_grad = false end
  for _, t in ipairs(wanted) do t.requires_grad = true end
  local dy = co.randn(co.no_grad(plain, layer, x, weight, skip).shape)
  return seconds(function()
    local y = plain(layer, x, weight, skip)
    local took = timed(y.backward, y, dy)
    for _, t in ipairs(wanted) do t.grad = nil end
    return took
  end)
end

--- measure(layer, with_backward): fills in layer.forward and, if wanted, layer.data and layer.weights: seconds of the
-- convolution alone, of the gradient of its inputs and of that of its weights. (No gradient of images is ever wanted.)
function M.measure(layer, with_backward)
  co.tidy(function()
    local x, weight, skip = inputs(layer)
    local shift = co.randn(layer.output)
    layer.forward = seconds(function() return timed(co.no_grad, forward, layer, x, weight, skip, shift) end)
    if not with_backward then return end
    if layer.kind ~= "stem" then layer.data = backward(layer, x, weight, skip, false) end
    layer.weights = backward(layer, x, weight, skip, true)
  end)
end

return M
