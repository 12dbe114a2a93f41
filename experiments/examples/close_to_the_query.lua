-- Of what attention finds, what is close to the query counts more: less with the square of the distance, half of it a
-- quarter of the image's width away.
local base = require "experiments.cohesiv"
local co = require "cohesiv"
return base { name = "close_to_the_query", predict = { edit = function(maps, _, queries)
  for q, at in ipairs(queries) do
    local h, w = table.unpack(maps.attention[q].shape)
    local dx = (co.arange(w) + 0.5):reshape(1, w) - (at[1] + 0.5) * maps.scale
    local dy = (co.arange(h) + 0.5):reshape(h, 1) - (at[2] + 0.5) * maps.scale
    local distance = (dx:square() + dy:square()) / (w / 4) ^ 2
    maps.attention[q] = maps.attention[q] * (distance * -math.log(2)):exp()
  end
  return maps
end } }
