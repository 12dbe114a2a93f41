-- What flows from a frame to the next keeps its embedding: 1 − cosine of Z there and where the flow leads, of one
-- sample of every batch.
local base = require "experiments.cohesiv"
local co = require "cohesiv"
local function consistency(_, batch, model)
  local _, h, w = table.unpack(batch.image.shape)
  local sample, size, device = batch.samples[1], { w, h }, { device = batch.image.device }
  local clip = batch.data:clip(sample.clip)
  local n = math.min(sample.frame, clip.frames - 2)
  local function Z(k) return model:forward(clip:scaled(k, { size = size }):to(device.device):reshape(1, h, w, 3)).Z end
  local here, after = Z(n), Z(n + 1)
  _, h, w = table.unpack(here.shape) -- a network may answer for every second pixel
  local flow = clip:flow(n, 1, { size = { w, h } }):to(device.device)
  local x, y = co.arange(w, device):reshape(1, w), co.arange(h, device):reshape(h, 1)
  local to_x, to_y = (flow:select(3, 1) + x) * (2 / w) + (1 / w - 1), (flow:select(3, 2) + y) * (2 / h) + (1 / h - 1)
  local there = co.grid_sample(after, co.stack({ to_x, to_y }, 3):reshape(1, h, w, 2), { padding = "border" })
  clip:close()
  return 1 - (co.normalise(here) * co.normalise(there)):sum(4):mean()
end
return base { name = "flow_consistency", loss = { terms = { consistency = { weight = 0.5, consistency } } } }
