--- A training step on a GPU as gpu.lua measures it: both losses on random maps, AdamW.
local captured = require "cohesiv.tensor.captured"
local co = require "cohesiv"
local scaling = require "cohesiv.train.scaling"

local GPU = { device = "cuda" }

--- of(maps, model, n, width, height, graph) → a function that takes one step of the model, which is on the GPU, with n
-- random images: call by call or, `graph`, as it trains, as a CUDA graph from the third time on. maps(model, images):
-- what it gives.
return function(maps, model, n, width, height, graph)
  model:train()
  local optimiser = co.optim.AdamW(model:parameters(), { lr = 1e-4 })
  local scaled = model.precision == "fp16" and scaling.of "cuda" or nil
  local x = co.randn({ n, height, width, 3 }, GPU)
  local R, points = co.rand({ n, height, width }, GPU), co.rand({ n, 2 }, GPU) * 31
  local label = (co.rand(n, height, width):gt(0.5) + 1):to "cuda"
  local function work(image, map, at, classes)
    local out = maps(model, image)
    local loss = co.losses.responsibility(out.Q, out.K, map, at) * 10 + co.losses.embedding(out.Z, classes)
    optimiser:zero_grad()
    loss:backward(scaled and scaled.scale)
    optimiser:update(nil, scaled)
    optimiser:zero_grad()
    return loss:detach()
  end
  if graph then
    local state = optimiser:tensors()
    for _, b in model:named_buffers() do state[#state + 1] = b end
    if scaled then table.move(scaled:tensors(), 1, 2, #state + 1, state) end
    work = captured(work, state)
  end
  return function()
    optimiser:advance()
    work(x, R, points, label)
  end
end
