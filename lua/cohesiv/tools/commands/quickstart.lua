-- cohesiv quickstart [--data PATH … | VIDEO…] [key=value …]: the main job, end to end; prints the report's path last.
local core = require "cohesiv.core"
local quickstart = require "cohesiv.tools.quickstart"

return {
  summary = "Videos in, masks out: learns from a small world (or your data) and writes a report.",
  configure = function(parser)
    parser:argument("videos", "Video files; hands are found, unless X.json beside X.mp4 or ../hands_json/X.json tells. "
      .. "key=value: as --set."):args "*"
    parser:option("--data", "A data folder with real video; several times: all of them together."):count "*"
    parser:option("--clips", "Generated clips to train on (900)."):convert(math.tointeger)
    parser:option("--held", "Generated clips that are reported; a quarter as many choose thresholds (600).")
      :convert(math.tointeger)
    parser:option("--set", "A change of the recipe: key=value."):count "*"
  end,
  run = function(args)
    local videos = {}
    for _, word in ipairs(args.videos) do
      local change = word:find "^[%a_][%w_.]*=" and not core.io.status(word)
      table.insert(change and args.set or videos, word)
    end
    if args.data[1] and videos[1] then
      core.refuse("quickstart: expected either --data or videos, found both: %s, %s", args.data[1], videos[1])
    end
    args.changes, args.data, args.videos = args.set, args.data[1] and args.data, videos
    print(quickstart.run(args))
  end,
}
