-- cohesiv train EXPERIMENT.lua [key=value …]: learns a network; prints the run folder last.
local dry_run, recipes = require "cohesiv.train.dry_run", require "cohesiv.train.recipe"
local runs, train = require "cohesiv.train.run", require "cohesiv.train.train"

return {
  summary = "Trains the network that an experiment describes; prints its run folder last.",
  configure = function(parser)
    parser:argument("experiment", "The experiment's file, e.g. experiments/cohesiv.lua.")
    parser:argument("changes", "Changes of its recipe: key=value, e.g. data=PATH optim.lr=0.001."):args "*"
    parser:flag("--resume", ("Go on with the newest run of this name; begin it if there is none. Of its "
      .. "recipe only %s may change: the run folder records it."):format(table.concat(train.may_change, ", ")))
    parser:flag("--describe", "Print every key, its value and where it was set, and stop.")
    parser:flag("--dry-run", "Tell what data there is, a batch's shapes, memory and time, and stop; writes nothing.")
  end,
  run = function(args)
    local recipe = recipes.load(args.experiment, args.changes)
    if args.describe then return print(recipes.describe(recipe)) end
    if args.dry_run then return print(dry_run.text(recipe)) end
    print(train.train(recipe, { resume = args.resume and runs.newest(recipe.name) or nil }).path)
  end,
}
