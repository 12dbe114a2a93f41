-- cohesiv quickstart [--data PATH | VIDEO…]: the main job, end to end; prints the report's path last.
local quickstart = require "cohesiv.tools.quickstart"

local command = { summary = "Videos in, masks out: learns from a small world (or your data) and writes a report." }

function command.configure(parser)
  parser:argument("videos", "Video files with landmarks (X.json beside X.mp4, or ../hands_json/X.json)."):args "*"
  parser:option("--data", "A data folder with real video.")
  parser:option("--clips", "Generated clips to train on (900)."):convert(math.tointeger)
  parser:option("--held", "Generated clips that are reported; a quarter as many choose thresholds (600).")
    :convert(math.tointeger)
  parser:option("--set", "A change of the recipe: key=value."):count "*"
end

function command.run(args)
  args.changes = args.set
  print(quickstart.run(args))
end

return command
