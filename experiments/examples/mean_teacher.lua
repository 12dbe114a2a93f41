-- Frames without maps teach, too: what the average of the network (optim.average) answers for any frame of a clip, the
-- network is to answer for that frame in other colours (a mean teacher: Tarvainen and Valpola, 2017).
local base = require "experiments.cohesiv"
local co = require "cohesiv"
local teacher
local function agreement(_, batch, model)
  local _, h, w = table.unpack(batch.image.shape)
  local clip, size = batch.data:clip(batch.samples[1].clip), { w, h }
  local n = math.floor(co.rand(1)[1] * clip.frames)
  local image = clip:scaled(n, { size = size }):to(batch.image.device):reshape(1, h, w, 3)
  clip:close()
  local colours = co.rand(1, 1, 1, 3):to(image.device) * 0.6 + 0.7
  local changed = (image:to "float32" * colours):clamp(0, 255):to "uint8"
  local wanted = co.no_grad(teacher.forward, teacher, image).Z
  return 1 - (co.normalise(model:forward(changed).Z) * co.normalise(wanted)):sum(4):mean()
end
return base { name = "mean_teacher", optim = { average = 0.99 },
  loss = { terms = { teacher = { weight = 0.5, agreement } } },
  on = { step = function(training) teacher = training.average.model end } }
