--- Squeeze and excitation (Hu et al., CVPR 2018): every channel of a map times a number in 0 .. 1 that follows from the
-- means of all channels. With the batch norm before it, and what follows it, it is one op, forward and backward.
local core = require "cohesiv.core"
local Module = require "cohesiv.nn.module"

local ops = core.ops
local M = {}

--- gate(reduce, expand, act): the module m with m(u, residual?) = relu(u g + residual) where act is "relu", and u g
-- where it is "silu", with g = sigmoid(expand(act(reduce(mean of u)))), both 1×1 convolutions.
function M.gate(reduce, expand, act)
  local m = Module.new()
  m.reduce, m.expand = reduce, expand
  m.forward = function(_, u, residual)
    local y = u * expand(ops[act].call(reduce(ops.global_pool.call(u)))):sigmoid()
    if act == "silu" then return y end
    return ops.relu.call(residual and y + residual or y)
  end
  return m
end

-- A weight in the dtype of activations: those of bfloat16 serve products of whole maps.
local function full(weight) return weight.dtype == "bfloat16" and weight:to "float32" or weight end

--- after(bn, gate, x, residual?): gate(bn(x), residual), one op without hooks; bn's act is the gate's "silu" or "none".
function M.after(bn, gate, x, residual)
  if bn.hooks or gate.hooks or gate.reduce.hooks or gate.expand.hooks then return gate(bn(x), residual) end
  local reduce, expand = gate.reduce.params, gate.expand.params
  return ops.batch_norm_se.call(x, bn.params.weight, bn.params.bias, bn.buffers.running_mean, bn.buffers.running_var,
    full(reduce.weight), reduce.bias, full(expand.weight), expand.bias, residual, bn.training, bn.momentum, bn.eps,
    bn.act == "silu" and "silu" or "relu")
end

return M
