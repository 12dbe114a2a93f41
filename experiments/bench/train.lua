--- Times one training step: forward, both losses, backward, AdamW. One hand in each image.
--
-- usage: train.lua [-n BATCH] [--height H] [--width W] [--encoder E] [--widths W,W,W,W,W] [--threads T]
local co = require "cohesiv"
local network = dofile((arg[0]:match "^(.*)/" or ".") .. "/network.lua")

local o = network.options(arg)
local model = network.model(o):train()
local optimiser = co.optim.AdamW(model:parameters(), { lr = 1e-3 })
local n, h, w = o.n, o.height, o.width
local x, R = co.randn(n, h, w, 3), co.rand(n, h, w)
local queries = co.rand(n, 2) * co.tensor { w - 1, h - 1 }
local labels = (co.rand(n, h, w) * 3):to "int32" + 1

network.serve(function()
  optimiser:zero_grad()
  local out = model:forward(x)
  local loss = co.losses.responsibility(out.Q, out.K, R, queries) * 10 + co.losses.embedding(out.Z, labels)
  loss:backward()
  optimiser:step()
end, 2)
