--- COHESIV: a trained run. Hand and object from cosines and attention; a run trained with the responsibility loss alone
--- answers from attention (Pair and All only), one trained with the embedding loss alone from cosines.
local predict = require "cohesiv.hands.predict"
local metrics, one_map = require "cohesiv.hands.metrics", require "cohesiv.hands.one_map"

local function attention_only(model, recipe)
  return one_map(metrics.grid(0, 1, recipe.calibrate.steps), function(clip, n, queries)
    local maps = predict.maps(model, clip:frame(n), queries, { size = recipe.size, attention_only = true })
    return maps.attention, metrics.union(maps.attention)
  end, { "All", "Pair" })
end

-- Whether an experiment's own losses teach the network, too: then both its answers are asked for.
local function is_taught(recipe, part)
  local terms = rawget(recipe.loss, "terms")
  return recipe.loss[part] ~= 0 or terms ~= nil and next(terms) ~= nil
end

-- Where the scores of object and hand lie.
local RANGES = { cosine = { -1, 1 }, difference = { -2, 2 }, posterior = { 0, 1 } }

local function full(model, recipe)
  local steps, how = recipe.calibrate.steps, { score = recipe.calibrate.score, scale = recipe.embedding.scale }
  local range = RANGES[how.score]
  local grids = { metrics.grid(range[1], range[2], steps), metrics.grid(0, 1, steps) }
  local cosines_only = not is_taught(recipe, "responsibility")
  if cosines_only then grids[2] = nil end
  local goals = { object = { task = "Obj", grids = grids }, hand = { task = "Hand", grids = grids } }
  if recipe.calibrate.pair == "own" then
    goals.pair = { task = "Pair", grids = { metrics.grid(math.max(range[1], -1), 1, steps), grids[2] } }
  end
  local own = rawget(recipe, "predict") -- recipes of older runs lack it
  local refines = own and rawget(own, "refine") or nil
  return {
    goals = goals, refine = refines and how,
    answer = function(clip, n, queries)
      local picture = clip:frame(n)
      local maps = predict.maps(model, picture, queries, { size = recipe.size })
      local scores, answer = {}, { picture = refines and picture }
      scores.object, scores.hand, scores.pair = predict.scores(maps, how)
      for key in pairs(goals) do
        answer[key] = {}
        for q, attention in ipairs(maps.attention) do
          answer[key][q] = { scores[key], not cosines_only and attention or nil }
        end
      end
      return answer
    end,
  }
end

return function(run)
  local model = run:model():to(run.recipe.device)
  local system = (is_taught(run.recipe, "embedding") and full or attention_only)(model, run.recipe)
  system.model = model
  return system
end
