--- What boxes can come to: those around the true masks, filled, as of a detector that never errs. It sees the truth.
-- Beside the supervised box it tells what the shape of boxes costs from what a network misses.
local boxes, metrics = require "cohesiv.hands.boxes", require "cohesiv.hands.metrics"

return function(run)
  local grids = { metrics.grid(0, 1, run.recipe.calibrate.steps) }
  return {
    goals = { hand = { task = "Hand", grids = grids }, object = { task = "Obj", grids = grids } },
    answer = function(clip, n)
      local masks, answer = clip.data:masks(clip.own_name or clip.name, n), { hand = {}, object = {} }
      for q in ipairs(masks.hand) do
        for part, list in pairs(answer) do
          local box = masks[part][q] and boxes.of(masks[part][q]:to "float32")
          list[q] = box and { boxes.fill(box, clip.width, clip.height) } or nil
        end
      end
      return answer
    end,
  }
end
