--- The moving average of a network's weights and running statistics (Polyak and Juditsky, 1992): a network of its own
-- that follows the trained one. It answers better than the weights of any single step, most of all after few steps.
local core = require "cohesiv.core"
local models = require "cohesiv.hands.model"
local tensor = require "cohesiv.tensor"
local M = {}
local Average = {}
Average.__index = Average

local function tensors(model)
  local list = {}
  for _, names in ipairs { model.named_parameters, model.named_buffers } do
    for _, t in names(model) do list[#list + 1] = t end
  end
  return list
end

--- average.of(model, decay, make): the average of `model`; no random numbers are drawn. make(options) gives a network
-- like it (co.model unless given). average.model is the averaged network, validated and saved in place of the other.
function M.of(model, decay, make)
  if type(decay) ~= "number" or not (decay > 0 and decay < 1) then
    core.refuse("average: expected a decay between 0 and 1, found %s", tostring(decay))
  end
  local seed, stream = core.random_state()
  local follower = (make or models.model)(model.options)
  core.seed(seed, stream)
  if model.device then follower:to(model.device()) end
  tensor.tidy(function() follower:load_state((model:state_dict())) end)
  return setmetatable({ model = follower, to = tensors(follower), from = tensors(model), decay = decay }, Average)
end

--- average:step(n): takes in the weights after the n-th step (0: none yet); at first, while 1 / n is more than its
-- share, as a mean.
function Average:step(n)
  local share = math.max(1 - self.decay, 1 / math.max(n, 1))
  for _, to in ipairs(self.to) do core.own(to) end
  core.ops.lerp.each({ self.to, self.from }, nil, share)
end

--- average:state(): the averaged network's tensors by name, for a checkpoint; average:restore(state) takes them back.
function Average:state() return (self.model:state_dict()) end
function Average:restore(state) self.model:load_state(state) end

return M
