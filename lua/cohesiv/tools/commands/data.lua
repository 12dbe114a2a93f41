-- cohesiv data PATH: what a data folder is (of which data set, in which layout), what it lacks and where that is to be
-- had, how much it holds, and a contact sheet of it.
local core = require "cohesiv.core"
local json, lists, progress = require "cohesiv.base.json", require "cohesiv.base.lists", require "cohesiv.base.progress"
local warn = require "cohesiv.base.warn"
local image = require "cohesiv.tensor.image"
local data, adapters = require "cohesiv.data", require "cohesiv.data.adapters"
local survey = require "cohesiv.data.survey"
local cli, show = require "cohesiv.tools.cli", require "cohesiv.tools.show"
local sheet = require "cohesiv.tools.contact_sheet"

local NAMES = { "clips", "frames", "annotated", "hands", "objects", "masks" }

-- What would make a folder that is none one of ours or of a set.
local function unknown(path)
  local known = lists.map(adapters, function(adapter) return adapter.title end)
  core.refuse("data %s: expected clips/ with videos or numbered pictures, or %s, found %s", path, lists.words(known),
    #core.io.list(path) == 0 and "an empty folder" or "neither")
end

return {
  summary = "what a data folder is, lacks and holds, with a contact sheet",
  configure = function(parser)
    parser:argument("path", "The folder: a data set as it is shipped, or one of clips/.")
    parser:option("--out", "Where the contact sheet goes; without it it is shown in the terminal.")
      :argname "F.png":convert(cli.as("expected a .png file", function(text)
        return text:lower():find "%.png$" and text
      end))
    parser:flag("--json", "Print what is told as JSON, without a contact sheet.")
    parser:flag("--index", "Write an index of the clips into the cache: the folder then opens without being walked.")
    parser:flag("--quick", "Count clips alone, for large sets: no annotation is read.")
  end,
  run = function(args)
    local path = #args.path > 1 and args.path:gsub("/+$", "") or args.path
    if core.io.status(path) ~= "folder" then data.data(path) end -- which says what is wrong
    local adapter = survey.adapter(path) or unknown(path)
    local missing = survey.missing(adapter, path)
    local folder = data.data(path)
    if args.index then
      local file, count = folder:index()
      print(("%s: %d clips"):format(file, count))
      return
    end
    local bar
    local counts = survey.count(folder, args.quick, function(done, all)
      bar = bar or progress.new("data", all)
      bar:update(done)
    end)
    if bar then bar:finish() end
    if args.json then
      counts.path, counts.layout, counts.from, counts.missing = path, adapter.title, adapter.from, json.list(missing)
      return print(json.encode(counts))
    end
    print(("%s: %s"):format(path, adapter.title))
    for _, line in ipairs(missing) do print("missing: " .. line) end
    for _, name in ipairs(NAMES) do
      if counts[name] then print(("%-10s%d"):format(name, counts[name])) end
    end
    local picture, failed = sheet.picture(folder)
    for _, why in ipairs(failed) do warn.line("%s", why) end
    if not picture then return end
    if not args.out then return show.show(picture) end
    image.write(args.out, picture)
    print(args.out)
  end,
}
