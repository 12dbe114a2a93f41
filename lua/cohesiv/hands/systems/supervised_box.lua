--- Supervised bounding box: filled boxes of the hand at the query and of what it holds, from a network that has learnt
-- from masks (tasks/supervised_box.lua), or from files of a detector's (clip:detections). What is held counts where the
-- probability of contact, or the detection's score, is over its threshold.
local core = require "cohesiv.core"
local filled_boxes = require "cohesiv.hands.filled_boxes"

-- By query: hand's box, its score, object's box, its score; in the image's pixels.
local function of_network(model)
  return function(clip, n, queries)
    local found = {}
    for q, at in ipairs(model:boxes(clip:frame(n), queries)) do found[q] = { at.hand, 1, at.object, at.contact } end
    return found
  end
end

-- The detection whose box the query is in, the one with the nearest middle if several.
local function of_files()
  return function(clip, n, queries)
    local list, found = clip:detections(n), {}
    if not list then
      core.refuse("supervised_box: clip %s: expected detections/%s.json, .pkl or a folder, found none", clip.name,
        clip.name)
    end
    for q, query in ipairs(queries) do
      local x, y, nearest = query[1], query[2], math.huge
      for _, one in ipairs(list) do
        local box = one.box
        local d = ((box[1] + box[3]) / 2 - x) ^ 2 + ((box[2] + box[4]) / 2 - y) ^ 2
        if x >= box[1] and x <= box[3] and y >= box[2] and y <= box[4] and d < nearest then
          nearest, found[q] = d, { box, one.score, one.object_box, one.object_box and one.object_score or 0 }
        end
      end
    end
    return found
  end
end

return function(run)
  local recipe = run.recipe
  local trained = recipe.box.source == "network"
  return filled_boxes(run, trained and of_network(run:model():to(recipe.device)) or of_files())
end
