-- Scores that also depend on where a pixel lies relative to the query: q·k + v·(pixel − query), v made of q.
local co, base = require "cohesiv", require "experiments.cohesiv"
local function places(z) -- N×H×W×F → x, y in widths of the picture, N×H×W×2; ones, N×H×W×1
  local n, h, w = table.unpack(z.shape)
  local x, y = co.arange(w, { device = z.device }) / w, co.arange(h, { device = z.device }) / w
  x, y = x:reshape(1, 1, w, 1):expand(n, h, w, 1), y:reshape(1, h, 1, 1):expand(n, h, w, 1)
  return co.cat({ x, y }, 4), co.ones(n, h, w, 1, { device = z.device })
end
return base { name = "relative_coordinates", model = { build = function(model)
  local hand, object = model.children.hand_branch, model.children.object_branch
  local queries, toward = co.nn.Sequential { hand }, co.nn.Conv2d { model.options.attention_dim, 2, 1 }
  queries.forward = function(_, z)
    local q = hand(z)
    local v = toward(q)
    return co.cat({ q, v, -(v * (places(z))):sum(4, true) }, 4)
  end
  model:replace("hand_branch", queries):add("toward", toward)
  local beside = co.nn.Module.new(function(_, k) return co.cat({ k, places(k) }, 4) end)
  model:replace("object_branch", co.nn.Sequential { object, beside })
end } }
