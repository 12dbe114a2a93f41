-- cohesiv rerun RUN: repeats a run from its folder, says whether the result is the same, prints the new folder last.
local rerun, runs = require "cohesiv.train.rerun", require "cohesiv.train.run"

return {
  summary = "Repeats a run from its folder, and says whether the result is the same (status 1: it is not).",
  configure = function(parser)
    parser:argument("run", "A run folder.")
    parser:option("--root", "The folder that the new run goes to (the old one's).")
  end,
  run = function(args)
    local run, differences, equal, reasons = rerun.rerun(runs.run(args.run), { root = args.root })
    if #differences == 0 then
      print(("the same: %d epochs of losses, %d tensors, thresholds%s are bit-equal"):format(equal.epochs,
        equal.tensors, equal.scores > 0 and (" and %d scores"):format(equal.scores) or ""))
    else
      print("not the same: " .. table.concat(differences, "; "))
      for _, reason in ipairs(reasons) do print("  " .. reason) end
    end
    print(run.path)
    return #differences == 0 and 0 or 1
  end,
}
