--- Batch norm in inference is a scale and a shift for each channel: of a convolution's results, in its epilogue, or,
-- once and for all, of its weights, which who computes a pass many times keeps (with).
local core = require "cohesiv.core"

local M = {}
local kept -- batch norm → { weight, shift }, while `with` is running

local function scale_and_shift(bn)
  local scale = bn.params.weight / (bn.buffers.running_var + bn.eps):sqrt()
  return scale, bn.params.bias - bn.buffers.running_mean * scale
end

--- with(table, f, ...): f(...), during which folded weights are put into the table, and found there.
function M.with(folded, f, ...)
  local before = kept
  local _ <close> = setmetatable({}, { __close = function() kept = before end }) -- whatever fails
  kept = folded
  return f(...)
end

--- of(conv, bn) → weight, scale or nil, shift: what the convolution computes with so that bn needs no pass of its own.
function M.of(conv, bn)
  local weight = conv.params.weight
  if not kept then return weight, scale_and_shift(bn) end
  if not kept[bn] then
    local scale, shift = scale_and_shift(bn)
    local folded = weight:detach() * scale:reshape { scale.shape[1], 1, 1, 1 }
    kept[bn] = { weight = core.keep(folded:to(weight.dtype)), shift = core.keep(shift) }
  end
  return kept[bn].weight, nil, kept[bn].shift
end

return M
