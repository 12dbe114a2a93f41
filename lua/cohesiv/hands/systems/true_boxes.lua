--- What boxes can come to: those around the true masks, filled, as of a detector that never errs. It sees the truth.
-- Beside the supervised box it tells what the shape of boxes costs from what a network misses.
local boxes, filled_boxes = require "cohesiv.hands.boxes", require "cohesiv.hands.filled_boxes"

local function box_of(mask) return mask and boxes.of(mask:to "float32") end

return function(run)
  return filled_boxes(run, function(clip, n)
    local masks, found = clip.data:masks(clip.own_name or clip.name, n), {}
    for q, hand in ipairs(masks.hand) do found[q] = { box_of(hand), 1, box_of(masks.object[q]), 1 } end
    return found
  end)
end
