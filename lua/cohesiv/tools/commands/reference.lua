-- cohesiv reference: the page of all public names, as the sources tell it.
local core = require "cohesiv.core"
local reference = require "cohesiv.tools.reference"

return {
  summary = "the reference of all public names, as Markdown",
  configure = function(parser)
    parser:option "--out" :argname "FILE" :description "Where to write it (default: standard output)."
  end,
  run = function(args)
    local page = reference.page()
    if not args.out then return io.write(page) and nil end
    core.io.write_file(args.out, page)
    print(args.out)
  end,
}
