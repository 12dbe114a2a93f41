-- cohesiv report RUN… | SWEEP [data=PATH] [--out FILE]: the page of runs, with baselines measured on the same clips.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local run, sweep_folder = require "cohesiv.train.run", require "cohesiv.train.sweep_folder"
local cli, report_run = require "cohesiv.tools.cli", require "cohesiv.tools.report_run"

-- The folder of a sweep that is given as such or by its file; nil of anything else.
local function sweep_of(path)
  local folder = path:match "%.lua$" and "runs/" .. path:match "([^/]+)%.lua$" or path:gsub("(.)/+$", "%1")
  return sweep_folder.is(folder) and folder or nil
end

return {
  summary = "Writes the report of runs or of a sweep: tables with baselines, curves, maps, answers, failures.",
  configure = function(parser)
    parser:argument("what", "Run folders, a sweep's folder or its file; data=PATH: another data folder, with the runs' "
      .. "thresholds."):args "+"
    parser:option("--out", "The file to write; default: report.html in the folder of the sweep or the (first) run.")
    parser:option("--csv", "A folder for every table as .csv and .json.")
    parser:option("--latex", "A folder for every table as .tex.")
    parser:option("--pictures", "How many answers of a kind are shown (6)."):convert(math.tointeger)
    parser:flag("--all-frames", "Also choose thresholds on all annotated frames and report all of them.")
  end,
  run = function(args)
    local words, data = cli.runs("report", args.what)
    local paths, sweep = {}, nil
    for _, word in ipairs(words) do
      local folder = sweep_of(word)
      for _, path in ipairs(folder and sweep_folder.paths(folder) or { word }) do paths[#paths + 1] = path end
      if folder and #words == 1 then sweep = folder end
    end
    if #paths == 0 then
      core.refuse("report: expected a sweep with runs, found none in %s", table.concat(words, ", "))
    end
    args.path, args.data = args.out or sweep and sweep .. "/report.html", data
    args.title = sweep and sweep:match "[^/]+$"
    print((report_run.write(lists.map(paths, run.run), args)))
  end,
}
