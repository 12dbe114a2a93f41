-- cohesiv train EXPERIMENT.lua [key=value …]: learns a network; prints the run folder last.
local folders = require "cohesiv.data"
local models = require "cohesiv.hands.model"
local labels, recipes = require "cohesiv.train.labels", require "cohesiv.train.recipe"
local runs, train = require "cohesiv.train.run", require "cohesiv.train.train"

local function dry_run(recipe)
  local model = models.model(recipe.model)
  print(("%s: %d parameters"):format(recipe.model.encoder, model:count()))
  if recipe.data then
    local data = folders.data(recipe.data)
    local found = labels.survey(data, recipe)
    print(("%s: %d clips, %d with landmarks, %d frames to train on"):format(data.path, found.clips, found.hands,
      found.total))
  end
end

return {
  summary = "Trains the network that an experiment describes; prints its run folder last.",
  configure = function(parser)
    parser:argument("experiment", "The experiment's file, e.g. experiments/cohesiv.lua.")
    parser:argument("changes", "Changes of its recipe: key=value, e.g. data=PATH optim.lr=0.001."):args "*"
    parser:flag("--resume", ("Go on with the newest run of this name; begin it if there is none. Of its "
      .. "recipe only %s may change: the run folder records it."):format(table.concat(train.may_change, ", ")))
    parser:flag("--describe", "Print the whole recipe and stop.")
    parser:flag("--dry-run", "Build the network, count its parameters and the data, and stop.")
  end,
  run = function(args)
    local recipe = recipes.load(args.experiment, args.changes)
    if args.describe then return print(recipes.describe(recipe)) end
    if args.dry_run then return dry_run(recipe) end
    print(train.train(recipe, { resume = args.resume and runs.newest(recipe.name) or nil }).path)
  end,
}
