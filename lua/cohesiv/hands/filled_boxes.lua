--- Systems that answer with boxes, filled: of the hand at a query, and of what it holds.
local boxes, metrics = require "cohesiv.hands.boxes", require "cohesiv.hands.metrics"

--- filled_boxes(run, look): look(clip, n, queries) → by query { hand's box, its score, object's box, its score } in the
-- image's pixels; what is over a threshold counts. Nothing found: nil in their place.
return function(run, look)
  local grids = { metrics.grid(0, 1, run.recipe.calibrate.steps) }
  return {
    goals = { hand = { task = "Hand", grids = grids }, object = { task = "Obj", grids = grids } },
    answer = function(clip, n, queries)
      local found, answer = look(clip, n, queries), { hand = {}, object = {} }
      for q = 1, #queries do
        local hand, score, object, contact = table.unpack(found[q] or {}, 1, 4)
        local function entry(box, value)
          return box and { boxes.fill(box, clip.width, clip.height) * value } or nil
        end
        answer.hand[q], answer.object[q] = entry(hand, score), entry(object, contact)
      end
      return answer
    end,
  }
end
