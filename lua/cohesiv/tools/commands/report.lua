-- cohesiv report RUN… [data=PATH] [--out FILE]: the page of runs, with baselines measured on the same clips.
local lists = require "cohesiv.base.lists"
local run = require "cohesiv.train.run"
local cli, report_run = require "cohesiv.tools.cli", require "cohesiv.tools.report_run"

return {
  summary = "Writes the report of runs: table with baselines, curves, maps, best and worst answers.",
  configure = function(parser)
    parser:argument("what", "Run folders; data=PATH: another data folder, with the runs' thresholds."):args "+"
    parser:option("--out", "The file to write; default: report.html in the (first) run folder.")
    parser:option("--pictures", "How many best and worst answers are shown (6)."):convert(math.tointeger)
    parser:flag("--all-frames", "Also choose thresholds on all annotated frames and report all of them.")
  end,
  run = function(args)
    local paths, data = cli.runs("report", args.what)
    args.path, args.data = args.out, data
    print((report_run.write(lists.map(paths, run.run), args)))
  end,
}
