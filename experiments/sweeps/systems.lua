--- The rows of the paper's tables as recipes on another base than experiments/cohesiv.lua: of each experiment its
-- difference to that. A next system is a line: its file, and whether it learns (then seeds matter).
local sweep, recipes = require "cohesiv.sweep", require "cohesiv.train.recipe"
local paper = require "experiments.cohesiv"

local SYSTEMS = {
  { "cohesiv", true },
  { "saliency", false },
  { "flow", false },
  { "thresholded_responsibility", false },
  { "attention_only", true },
  { "embeddings_only", true },
  { "resnet", true },
  { "supervised_box", true },
  { "predicted_query", true },
}

-- The base, changed as the experiment of that name changes the paper's.
local function on(base, name)
  local experiment = require("experiments." .. name)
  local values, difference = recipes.flatten(experiment), { name = name }
  for _, change in ipairs(recipes.changes(paper, experiment)) do
    local group, key = change.key:match "^(.*)%.([^.]+)$"
    if group and not group:find "%." then
      difference[group] = difference[group] or {}
      difference[group][key] = values[change.key]
    else
      difference[change.key] = values[change.key]
    end
  end
  return base(difference)
end

--- systems(base, seeds, changes): a list of them all, those that learn once for each seed, the others at the size of
-- maps. changes: what else becomes of some, by their names.
return function(base, seeds, changes)
  local list = {}
  for _, system in ipairs(SYSTEMS) do
    local one = on(base, system[1])((changes or {})[system[1]] or {})
    list[#list + 1] = system[2] and sweep.grid(one, { seed = seeds }) or one { size = base.maps.size or base.size }
  end
  return list
end
