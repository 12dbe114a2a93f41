-- cohesiv SCRIPT.lua ARGS…, cohesiv -e CODE ARGS…, cohesiv - (from stdin): runs Lua with arguments as `lua` does.
local cli = require "cohesiv.tools.cli"

return {
  summary = "run a Lua file (SCRIPT.lua ARGS… or -e CODE)",
  run = function(words)
    local chunk, message, first
    if words[1] == "-e" then
      if not words[2] then cli.usage("-e: expected Lua code, found nothing") end
      chunk, message = load(words[2], "=(command line)")
      first = 2
    elseif not words[1] or words[1] == "--help" or words[1] == "-h" then
      print "Usage: cohesiv SCRIPT.lua ARGS…   cohesiv -e CODE ARGS…   cohesiv - ARGS… (Lua from stdin)"
      return words[1] and 0 or 2
    else
      chunk, message = loadfile(words[1] ~= "-" and words[1] or nil)
      first = 1
    end
    if not chunk then error(message, 0) end
    _G.arg = table.move(words, first + 1, #words, 1, { [0] = words[first] })
    chunk(table.unpack(_G.arg))
  end,
}
