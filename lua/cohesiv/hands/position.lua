--- Attention that knows where the query is. To the score q·K[p] of a query at (X, Y) comes u·dx + v·dy − r·(dx² + dy²),
-- where (dx, dy) leads from the query to p: the hand branch tells u, v and r > 0, so how large the hand is and where
-- what it holds lies. Written as four more channels of Q and K, whose product this is, everything that takes Q and K
-- stays as it is, and any number of queries is answered from one pass.
local tensor = require "cohesiv.tensor"
local M = {}

--- How many channels more the hand branch has: u, v and log r.
M.channels = 3

local UNIT = 32 -- pixels of the image that dx and dy count: the encoder's last stride

-- At first the score falls by one half where a hand's surroundings end: 3 units away.
local START = math.log(0.5 / 3 ^ 2)

--- start(branch, width): sets the three channels of a new hand branch behind its `width` others: no direction, and r
-- the same everywhere.
function M.start(branch, width)
  local last = branch.children["3"].params
  local own = { width + 1, width + M.channels }
  last.weight[{ own }] = 0
  last.bias[{ own }] = tensor.tensor { 0, 0, START }
end

-- Of a map's pixels, 1×h×w×1 each: 1, x, y and x² + y², from the map's middle. Those made last are kept on the CPU; on
-- a GPU all are, because recorded graphs go on reading them.
local kept = {}
local function places(h, w, stride, like)
  local key = ("%d %d %d %s %s"):format(h, w, stride, like.dtype, like.device)
  local slot = like.device == "cpu" and "cpu" or key
  if not kept[slot] or kept[slot].key ~= key then
    local function axis(length, shape)
      local at = (tensor.arange(0, length):to "float32" - (length - 1) / 2) * (stride / UNIT)
      return at:reshape(shape):expand { 1, h, w, 1 }
    end
    local x, y = axis(w, { 1, 1, w, 1 }), axis(h, { 1, h, 1, 1 })
    kept[slot] = { key = key }
    for i, t in ipairs { tensor.ones(1, h, w, 1), x, y, x * x + y * y } do
      kept[slot][i] = t:to(like.dtype):to(like.device):contiguous():keep()
    end
  end
  return table.unpack(kept[slot], 1, 4)
end

--- joined(Q, K, width, stride) → Q, K of width + 4 channels. Q has width + 3; both are N×h×w×C, of pixels `stride`
--- apart.
function M.joined(Q, K, width, stride)
  local n, h, w = Q.shape[1], Q.shape[2], Q.shape[3]
  local one, x, y, square = tensor.no_grad(places, h, w, stride, { device = Q.device, dtype = Q.dtype })
  local own = Q:narrow(4, 1, width)
  local u, v, r = Q:narrow(4, width + 1, 1), Q:narrow(4, width + 2, 1), Q:narrow(4, width + 3, 1):exp()
  local double = r * 2
  local q = tensor.cat({ own, -(u * x + v * y + r * square), u + double * x, v + double * y, -r }, 4)
  return q, tensor.cat({ K, tensor.cat({ one, x, y, square }, 4):expand { n, h, w, 4 } }, 4)
end

return M
