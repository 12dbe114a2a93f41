--- A training step on a GPU as gpu.lua measures it: both losses on random maps, AdamW, call by call.
local co = require "cohesiv"

local GPU = { device = "cuda" }

--- of(maps, model, n, width, height) → a function that takes one step of the model, which is on the GPU, with n random
-- images; maps(model, images): what it gives.
return function(maps, model, n, width, height)
  model:train()
  local optimiser = co.optim.AdamW(model:parameters(), { lr = 1e-4 })
  local x = co.randn({ n, height, width, 3 }, GPU)
  local R, points = co.rand({ n, height, width }, GPU), co.rand({ n, 2 }, GPU) * 31
  local label = (co.rand(n, height, width):gt(0.5) + 1):to "cuda"
  return function()
    local out = maps(model, x)
    local loss = co.losses.responsibility(out.Q, out.K, R, points) * 10 + co.losses.embedding(out.Z, label)
    optimiser:zero_grad()
    loss:backward()
    optimiser:step()
    optimiser:zero_grad()
  end
end
