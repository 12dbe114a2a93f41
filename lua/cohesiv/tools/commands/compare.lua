-- cohesiv compare A B: which settings differ, and by how much the four tasks do.
local columns, json, lists = require "cohesiv.base.columns", require "cohesiv.base.json", require "cohesiv.base.lists"
local evaluate = require "cohesiv.hands.evaluate"
local comparison, recipe = require "cohesiv.train.comparison", require "cohesiv.train.recipe"
local run = require "cohesiv.train.run"

return {
  summary = "What differs between two runs: settings, and the four tasks with paired intervals.",
  configure = function(parser)
    parser:argument("a", "A run folder.")
    parser:argument("b", "Another one.")
    parser:flag("--json", "Print JSON.")
  end,
  run = function(args)
    local a, b = run.run(args.a), run.run(args.b)
    local found = comparison.compare(a, b)
    if args.json then return print(json.encode(found)) end
    local lines = { { "setting", args.a, args.b } }
    for _, change in ipairs(found.settings) do
      lines[#lines + 1] = { change.key, recipe.show(change.from), recipe.show(change.to) }
    end
    print(#lines > 1 and columns(lines, 3) or "no setting differs")
    local rows = lists.map(evaluate.tasks, function(task)
      local t = found.tasks[task]
      return t and { task, ("%.1f"):format(t.a), ("%.1f"):format(t.b), ("%+.1f"):format(t.difference),
        ("(%+.1f to %+.1f)"):format(t.low, t.high), tostring(t.n),
        (t.low > 0 or t.high < 0) and "differs" or "" }
    end)
    table.insert(rows, 1, { "IoU", args.a, args.b, "difference", "95 %", "n", "" })
    print("\n" .. columns(rows, 1))
  end,
}
