--- Parts that a network may have beside its hand and object branch, of their form (unet.lua) and on the same Z:
--   query_branch   out.H, N×h×w×1: how much of a hand's middle a pixel is (peaks.lua)
--   box_branch     out.B, N×h×w×9: at the pixels of a hand its box, that of what it holds, and contact (boxes.lua)
-- They are asked for by co.model's options of these names; saved, loaded and replaced like any other part.
local unet = require "cohesiv.nn.unet"
local boxes, peaks = require "cohesiv.hands.boxes", require "cohesiv.hands.peaks"
local M = {}

local HIDDEN = 64 -- channels between the two convolutions

local HEADS = { { name = "query_branch", out = "H", channels = 1 }, { name = "box_branch", out = "B",
  channels = boxes.channels } }

--- names: of all there may be.
M.names = { "query_branch", "box_branch" }

--- add(model, wanted): gives a new network the parts that the table `wanted` says true to: model:forward returns their
-- maps too, model:queries(image) the points that a query branch finds, model:boxes(image, points) what a box branch
-- says.
function M.add(model, wanted)
  local present = {}
  for _, head in ipairs(HEADS) do
    if wanted[head.name] then
      local branch = model:add(head.name, unet.branch(model.options.embedding_dim, head.channels, HIDDEN))
      branch.children["3"].params.bias:fill(0)
      present[#present + 1] = head
    end
  end
  if #present == 0 then return end
  if wanted.query_branch then model.queries = peaks.queries end
  if wanted.box_branch then model.boxes = boxes.at end
  local forward = model.forward
  model.forward = function(self, x)
    local out = forward(self, x)
    local shape = out.Z.shape
    local z = #shape == 3 and out.Z:reshape { 1, shape[1], shape[2], shape[3] } or out.Z
    for _, head in ipairs(present) do
      local y = self.children[head.name](z)
      out[head.out] = #shape == 3 and y:reshape { shape[1], shape[2], y.shape[4] } or y
    end
    return out
  end
end

return M
