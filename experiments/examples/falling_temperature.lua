-- The softmax behind the maps cools while training goes on, from maps.temperature down to a quarter of it.
local co = require "cohesiv"
local base = require "experiments.cohesiv"

-- Softmax maps M×H×W at the p-th part of their temperature: each hand's R^p over the sum of all R^p of its picture.
local function cooled(maps, picture, p)
  local M, h, w = table.unpack(maps.shape)
  local known, R = co.ge(maps, 0):to "float32", maps:clamp(0, 1):reshape(M, h * w)
  local same = co.eq(picture:reshape(M, 1), picture:reshape(1, M)):to "float32"
  local ground, cold = (1 - co.matmul(same, R)):clamp(0, 1), R ^ p
  return (cold / (co.matmul(same, cold) + ground ^ p)):reshape(M, h, w) * known + (known - 1)
end

return base { name = "falling_temperature", on = { step = function(training, batch)
  batch.maps = cooled(batch.maps, batch.image_index, 1 + 3 * training:share())
end } }
