--- What a recipe's system learns, as the trainer needs it: a task for each system that is trained, tasks/NAME.lua:
--   open(recipe, data?)      → the task on a data folder (the recipe's, or a given one), as a table:
--     data                     the folder                  recipe    as it is trained: of the run's own
--     survey(most)           → what there is to train on, as labels.survey
--     prepare()              → { train, validation }       mend(entry), is_made(clip, n): see labels.lua
--     start(model, path)       before the first step of a run in that folder, unless a checkpoint has the weights
--     finish(training, model, stored)   what else of a trained network a calibration has to keep
--   losses(model, recipe, batch) → what the model has answered, and a list of { weight, value } …
--   names(recipe)            → … by name
--   check(recipe)              raises where the recipe's keys do not go together
--   part                       the one part of the network that learns; none: all of it
--   reads                      true: its losses read values on the host
local lists = require "cohesiv.base.lists"
local core = require "cohesiv.core"
local M = {}

local TASKS = {
  cohesiv = require "cohesiv.train.tasks.cohesiv",
  predicted_query = require "cohesiv.train.tasks.predicted_query",
  supervised_box = require "cohesiv.train.tasks.supervised_box",
}

--- of(recipe): the task of its system; nil where nothing is trained.
function M.of(recipe)
  local task = TASKS[recipe.system]
  return task and (not task.is_trained or task.is_trained(recipe)) and task or nil
end

--- names: of the systems that are trained.
M.names = lists.keys(TASKS)

--- check(recipe): raises where its keys do not go together.
function M.check(recipe)
  local task = TASKS[recipe.system]
  if task then task.check(recipe) end
  if recipe.supervised and recipe.system ~= "supervised_box" then
    local name = type(recipe.system) == "string" and recipe.system or "of one's own"
    core.refuse("train: supervised: expected false: system %s does not learn from masks", name)
  end
end

return M
