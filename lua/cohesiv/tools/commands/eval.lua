-- cohesiv eval RUN… [data=PATH] [--json]: IoU of runs on the four tasks, with 95 % intervals.
local evaluate = require "cohesiv.hands.evaluate"
local cli = require "cohesiv.tools.cli"
local json, lists = require "cohesiv.base.json", require "cohesiv.base.lists"
local evaluation, run = require "cohesiv.train.evaluation", require "cohesiv.train.run"

-- The four tasks of a summary, for JSON: four decimals.
local function rounded(summary)
  local function decimals(x) return tonumber(("%.4f"):format(x)) end
  local out = {}
  for _, task in ipairs(evaluate.tasks) do
    local s = summary[task]
    out[task] = s and { mean = decimals(s.mean), low = decimals(s.low), high = decimals(s.high), n = s.n }
  end
  return out
end

local function print_clips(result)
  local rows = {}
  for _, clip in ipairs(result.names) do rows[clip] = {} end
  for _, row in ipairs(result.rows) do table.insert(rows[row.clip], row) end
  for _, clip in ipairs(result.names) do
    local summary = evaluate.summarise(rows[clip], { clip })
    local cells = lists.map(evaluate.tasks, function(task)
      return summary[task] and ("%5.1f"):format(summary[task].mean) or "    -"
    end)
    print(("  %-32s %s"):format(clip, table.concat(cells, "  ")))
  end
end

return {
  summary = "Scores runs on the four tasks: All, Pair, Hand, Obj.",
  configure = function(parser)
    parser:argument("what", "Run folders, or EXPERIMENT.lua of a system without training; data=PATH reports every "
      .. "annotated clip of another data folder with the run's thresholds."):args "+"
    parser:flag("--json", "Print JSON: one object, or one per name for several runs.")
    parser:flag("--all-frames", "Choose thresholds on all annotated frames and report all of them.")
    parser:option("--score", "With --all-frames: cosine, difference or posterior.")
      :choices { "cosine", "difference", "posterior" }
    parser:option("--pair", "With --all-frames: union, or own thresholds for Pair."):choices { "union", "own" }
    parser:option("--dtype", "What networks compute in: float32, float64, or bfloat16 weights.")
      :choices { "float32", "float64", "bfloat16" }
    parser:flag("--clips", "Print the mean of every clip too.")
  end,
  run = function(args)
    local paths, data = cli.runs("eval", args.what)
    local results, all = {}, {}
    for i, path in ipairs(paths) do
      local untrained = path:find "%.lua$"
      local one = untrained and evaluation.untrained(path) or run.open(path)
      one.dtype = args.dtype
      if untrained then one.recipe = one.recipe { data = one.recipe.data or data } end -- where its thresholds come from
      local own = untrained and one.recipe.data == data
      results[i] = evaluation.full(one, not own and data or nil,
        { all = args.all_frames, score = args.score, pair = args.pair })
      all[i], results[i].supervised = one, one.recipe.supervised
    end
    local summaries = {}
    for i, name in ipairs(evaluation.names(all)) do
      results[i].name, summaries[name] = name, rounded(results[i].summary)
    end
    if args.json then return print(json.encode(#all == 1 and summaries[results[1].name] or summaries)) end
    print(evaluation.text(results))
    for _, result in ipairs(results) do
      local asked = result.summary.Asked
      if asked then
        print(("%s: on frames of several hands IoU of Hand is %.1f (%.1f-%.1f, n %d) higher with the hand asked for "
          .. "than with another"):format(result.name, asked.mean, asked.low, asked.high, asked.n))
      end
    end
    for _, result in ipairs(args.clips and results or {}) do
      print(result.name)
      print_clips(result)
    end
  end,
}
