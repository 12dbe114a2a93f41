--- Steps with a scaled loss, for float16: gradients of activations are smaller than its smallest numbers. The scale
-- halves where a gradient is no number, and that step is left out; after many good ones it doubles (Micikevicius et
-- al., ICLR 2018). A power of two, it changes no bits of the gradients in float32.
local options = require "cohesiv.base.options"
local optim = require "cohesiv.optim"

local FIRST, MOST, GOOD = 2.0 ^ 16, 2.0 ^ 24, 2000 -- GOOD: steps until it doubles

local Scaling = {}
Scaling.__index = Scaling

--- scaling:backward(loss): adds the scaled gradients of a loss.
function Scaling:backward(loss) (loss * self.scale):backward() end

--- scaling:update(max): the optimiser's step with the gradients, clipped to a norm of max if given, where they are
-- numbers.
function Scaling:update(max)
  local optimiser = self.optimiser
  if optim.clip_norm(optimiser.parameters, math.huge) < math.huge then -- of NaN neither
    optim.scale_gradients(optimiser.parameters, 1 / self.scale)
    if max then optim.clip_norm(optimiser.parameters, max) end
    optimiser:step()
    self.good = self.good + 1
    if self.good % GOOD == 0 then self.scale = math.min(self.scale * 2, MOST) end
  else
    self.scale, self.good = math.max(self.scale / 2, 1.0), 0
  end
end

--- scaling:step(loss): both.
function Scaling:step(loss)
  self:backward(loss)
  self:update()
end

--- scaling:restore(scale, good): goes on from there.
function Scaling:restore(scale, good)
  options.expect("train: checkpoint", "scale number, good integer", scale, good)
  self.scale, self.good = scale, good
end

--- of(optimiser): .scale and .good are its state.
return { of = function(optimiser) return setmetatable({ optimiser = optimiser, scale = FIRST, good = 0 }, Scaling) end }
