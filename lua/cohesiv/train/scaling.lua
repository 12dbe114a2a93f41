--- The scale of losses, for float16: gradients of activations are smaller than its smallest numbers. It halves where a
-- gradient is no number, and that step changes no weight; after 2000 good ones it doubles (Micikevicius et al., ICLR
-- 2018). A power of two, it changes no bits of the gradients in float32. It lies on the device, where the op
-- gradient_factor moves it on: nothing of a step is read on the host.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"

local FIRST = 2.0 ^ 16

local Scaling = {}
Scaling.__index = Scaling

--- scaling:tensors(): what a step reads and writes: .scale, and .good, how many good steps there were since it halved.
function Scaling:tensors() return { self.scale, self.good } end

--- scaling:state(): { scale, good } as numbers, for a checkpoint; scaling:restore(state) goes on from there.
function Scaling:state() return { scale = self.scale:item(), good = math.tointeger(self.good:item()) } end

function Scaling:restore(state)
  options.expect("train: checkpoint", "scale number, good integer", state.scale, state.good)
  self.scale:fill(state.scale)
  self.good:fill(state.good)
end

--- of(device): a step is loss:backward(scaling.scale), then optimiser:step(max, scaling).
return { of = function(device)
  local function number(value) return core.keep(core.full(value, {}, { device = device })) end
  return setmetatable({ scale = number(FIRST), good = number(0) }, Scaling)
end }
