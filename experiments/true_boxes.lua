--- What boxes can come to: those around the true masks, filled, as of a detector that never errs. Beside
--- supervised_box it tells what a box's shape costs from what its network misses. It sees the truth.
local base = require "experiments.cohesiv"
local boxes, metrics = require "cohesiv.hands.boxes", require "cohesiv.hands.metrics"
local co = require "cohesiv"

return base { name = "true_boxes", system = function(run)
  local grids, folders = { metrics.grid(0, 1, run.recipe.calibrate.steps) }, {}
  for _, group in ipairs { run.recipe, run.recipe.calibrate, run.recipe.evaluate } do
    if group.data then folders[#folders + 1] = co.data(group.data) end
  end
  local function masks_of(name, n)
    for _, folder in ipairs(folders) do
      for _, annotated in ipairs(folder.annotated) do
        if annotated == name then return folder:masks(name, n) end
      end
    end
  end
  return {
    goals = { hand = { task = "Hand", grids = grids }, object = { task = "Obj", grids = grids } },
    answer = function(clip, n)
      local masks, answer = masks_of(clip.name, n), { hand = {}, object = {} }
      for q in ipairs(masks.hand) do
        for part, list in pairs(answer) do
          local box = masks[part][q] and boxes.of(masks[part][q]:to "float32")
          list[q] = box and { boxes.fill(box, clip.width, clip.height) } or nil
        end
      end
      return answer
    end,
  }
end }
