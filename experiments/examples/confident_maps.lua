-- The responsibility loss, weighed by how sure the maps are: pixels at 1/2 count nothing, those at 0 and 1 most.
local base = require "experiments.cohesiv"
local co = require "cohesiv"
local function confident(out, batch)
  local total, image, points = 0, batch.image_index:totable(), batch.points:totable()
  local _, h, w = table.unpack(out.Q.shape)
  local function pixel(at, n) return math.max(1, math.min(n, math.floor(at + 1.5))) end
  for m, at in ipairs(points) do
    local q, R = out.Q[{ image[m], pixel(at[2], h), pixel(at[1], w) }], batch.maps[m]
    local score = (out.K[image[m]] * q):sum(3)
    local inside = score + (score:clamp(0, 1) - score):detach() -- gradients lead back into (0, 1)
    local d, sure = (inside - R):abs(), (R * 2 - 1):abs() * co.ge(R, 0) -- below 0: no picture there
    local small = d:clamp(0, 0.5) -- smooth L1 with β = 1/2
    total = total + (sure * small * (d - small * 0.5) * 2):sum() / (sure:sum() + 1e-6)
  end
  return total / #points
end
local terms = { confident = { weight = 10, confident } }
return base { name = "confident_maps", loss = { responsibility = 0, terms = terms } }
