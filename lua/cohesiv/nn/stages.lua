--- What all encoders have in common: five stages, modules that are called in turn, each at half the size of the one
-- before. What a stage gives is a feature. A stage may be a module of the encoder's tree, or a view: a module outside
-- the tree that holds some of its modules, where public names do not follow the stages.
local Module = require "cohesiv.nn.module"

local M = {}

--- view(list, forward?): a stage made of { own name, module } pairs that the tree holds; called in turn, unless
-- forward says otherwise.
function M.view(list, forward)
  local view = Module.new(forward or function(_, x)
    for _, pair in ipairs(list) do x = pair[2](x) end
    return x
  end)
  for _, pair in ipairs(list) do view:add(pair[1], pair[2]) end
  return view
end

--- encoder(m, stages, widths): m, now with a forward pass that returns the stages' features. stages: a list of
-- { name, module }; widths: their channels, at strides 2, 4, 8, 16, 32. Both stay in m for others to read.
function M.encoder(m, stages, widths)
  m.stages, m.widths = stages, widths
  m.forward = function(_, x)
    local features = {}
    for i, stage in ipairs(stages) do
      x = stage.module(x)
      features[i] = x
    end
    return features
  end
  return m
end

return M
