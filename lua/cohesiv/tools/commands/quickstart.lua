-- cohesiv quickstart [--data PATH … | VIDEO…]: the main job, end to end; prints the report's path last.
local quickstart = require "cohesiv.tools.quickstart"

return {
  summary = "Videos in, masks out: learns from a small world (or your data) and writes a report.",
  configure = function(parser)
    parser:argument("videos", "Video files; hands are found, unless X.json beside X.mp4 or ../hands_json/X.json tells.")
      :args "*"
    parser:option("--data", "A data folder with real video; several times: all of them together."):count "*"
    parser:option("--clips", "Generated clips to train on (900)."):convert(math.tointeger)
    parser:option("--held", "Generated clips that are reported; a quarter as many choose thresholds (600).")
      :convert(math.tointeger)
    parser:option("--set", "A change of the recipe: key=value."):count "*"
  end,
  run = function(args)
    args.changes, args.data = args.set, args.data[1] and args.data
    print(quickstart.run(args))
  end,
}
