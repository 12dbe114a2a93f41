-- Hands of one picture contend for its pixels: where the map of one is above the other's, its query's score is to be.
local base = require "experiments.cohesiv"
local co = require "cohesiv"
local function contrast(out, batch)
  local image, points, _, h, w = batch.image_index:totable(), batch.points:totable(), table.unpack(out.Q.shape)
  local total, count = co.zeros({}, { device = out.Q.device }), 0
  local function pixel(at, n) return math.max(1, math.min(n, math.floor(at + 1.5))) end
  local function query(m) return out.Q[{ image[m], pixel(points[m][2], h), pixel(points[m][1], w) }] end
  for n = 2, #points do
    for m = n - 1, 1, -1 do
      if image[m] ~= image[n] then break end -- hands of a picture follow one another
      local p = ((out.K[image[m]] * (query(m) - query(n))):sum(3):to "float32" * 8):sigmoid():clamp(1e-4, 1 - 1e-4)
      local more, seen = batch.maps[m] - batch.maps[n], co.ge(batch.maps[n], 0) -- below 0: no picture there
      local right = co.gt(more, 0) * p + co.le(more, 0) * (1 - p)
      total, count = total - (seen * more:abs() * right:log()):mean(), count + 1
    end
  end
  return total / math.max(count, 1)
end
return base { name = "contrast_queries", loss = { terms = { contrast = { weight = 2, contrast } } } }
