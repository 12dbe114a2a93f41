-- The responsibility loss, focal: pixels that are nearly right count less (Lin et al., ICCV 2017). A score of 1/2 is
-- the middle of a sigmoid, so that thresholds mean what they meant.
local base = require "experiments.cohesiv"
local co = require "cohesiv"
local function focal(out, batch)
  local total, image, points = 0, batch.image_index:totable(), batch.points:totable()
  local _, h, w = table.unpack(out.Q.shape)
  local function pixel(at, n) return math.max(1, math.min(n, math.floor(at + 1.5))) end
  for m, at in ipairs(points) do
    local q, R = out.Q[{ image[m], pixel(at[2], h), pixel(at[1], w) }], batch.maps[m]
    local p = (((out.K[image[m]] * q):sum(3) - 0.5) * 8):sigmoid():clamp(1e-4, 1 - 1e-4)
    local entropy = -(R * p:log() + (1 - R) * (1 - p):log())
    total = total + ((R - p):square() * entropy * co.ge(R, 0)):mean() -- below 0: no picture there
  end
  return total / #points
end
return base { name = "focal_loss", loss = { responsibility = 0, terms = { focal = { weight = 10, focal } } } }
