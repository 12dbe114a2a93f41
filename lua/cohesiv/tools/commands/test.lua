-- cohesiv test: the whole suite, which lies in a checkout (tests/suite.lua).
local home = require "cohesiv.base.home"
local cli = require "cohesiv.tools.cli"
local lfs = require "lfs"

return {
  summary = "run the whole test suite",
  configure = function(parser)
    parser:argument("pattern", "Only the spec files whose name holds this (a Lua pattern), in the release build.")
      :args "?"
    parser:option("--part", "Only one part of the suite: release, sanitized, variants or linters.")
      :choices { "release", "sanitized", "variants", "linters" }
    parser:option("--jobs", "Spec files at a time; as many as there are CPUs if not given.")
      :convert(cli.as("--jobs: expected an integer of 1 to 1024", function(text)
        local n = math.tointeger(tonumber(text))
        return n and n >= 1 and n <= 1024 and n
      end))
  end,
  run = function(args)
    local suite = home.checkout and home.checkout .. "/tests/suite.lua"
    if not suite or not lfs.attributes(suite) then
      error("test: expected to run from a checkout, found an installed cohesiv", 0)
    end
    return dofile(suite)(home.checkout, args)
  end,
}
