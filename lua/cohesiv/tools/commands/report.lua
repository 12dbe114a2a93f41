--- cohesiv report RUN [data=PATH] [--out FILE]: the page of a run, with baselines measured on the same clips.

local report_run = require "cohesiv.tools.report_run"
local run = require "cohesiv.train.run"

local command = { summary = "Writes the report of a run: table with baselines, curves, best and worst answers." }

function command.configure(parser)
  parser:argument("run", "A run folder.")
  parser:argument("data", "data=PATH: another data folder, with the run's thresholds."):args "?"
  parser:option("--out", "The file to write; default: report.html in the run folder.")
  parser:option("--pictures", "How many best and worst answers are shown (6)."):convert(math.tointeger)
end

function command.run(args)
  local data = args.data and args.data:match "^data=(.+)$"
  if args.data and not data then error(("report: expected data=PATH, found %q"):format(args.data), 0) end
  local one = run.open(args.run)
  print((report_run.write(one, { path = args.out, data = data, pictures = args.pictures })))
  return 0
end

return command
