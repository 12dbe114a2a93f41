--- cohesiv train EXPERIMENT.lua [key=value …]: learns a network; prints the run folder last.

local recipes = require "cohesiv.recipe"
local runs = require "cohesiv.run"
local train = require "cohesiv.train"

local command = { summary = "Trains the network that an experiment describes; prints its run folder last." }

function command.configure(parser)
  parser:argument("experiment", "The experiment's file, e.g. experiments/cohesiv.lua.")
  parser:argument("changes", "Changes of its recipe: key=value, e.g. data=PATH optim.lr=0.001."):args "*"
  parser:flag("--resume", ("Go on with the newest run of this name; begin it if there is none. Of its "
    .. "recipe only %s may change: the run folder records it."):format(table.concat(train.may_change, ", ")))
  parser:flag("--describe", "Print the whole recipe and stop.")
  parser:flag("--dry-run", "Build the network, count its parameters and the data, and stop.")
end

local function dry_run(recipe)
  local model = require("cohesiv.model").model(recipe.model)
  print(("%s: %d parameters"):format(recipe.model.encoder, model:count()))
  if recipe.data then
    local data, labels = require("cohesiv.data").data(recipe.data), require "cohesiv.labels"
    local frames, clips = 0, 0
    for _, name in ipairs(data.clips) do
      local clip = data:clip(name)
      if clip:has_hands() then
        clips = clips + 1
        frames = frames + #labels.frames(clip, recipe)
      end
      clip:close()
    end
    print(("%s: %d clips, %d with landmarks, %d frames to train on"):format(recipe.data, #data.clips, clips, frames))
  end
end

function command.run(args)
  local recipe = recipes.load(args.experiment, args.changes)
  if args.describe then
    print(recipes.describe(recipe))
    return 0
  end
  if args.dry_run then
    dry_run(recipe)
    return 0
  end
  local resume = args.resume and runs.newest(recipe.name) or nil
  local run = train.train(recipe, { resume = resume })
  print(run.path)
  return 0
end

return command
