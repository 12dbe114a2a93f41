--- What every timing program here ends with: the protocol of a runner that times several programs side by side, each
-- in a process of its own. It prints `ready` when warm; for every line `run` on standard input it does the work once
-- and prints the seconds that it took; it ends with its input.
local co = require "cohesiv"
local core = require "cohesiv.core"

local M = {}

--- serve(work, warm = 1): what work makes is closed after each run.
function M.serve(work, warm)
  for _ = 1, warm or 1 do co.tidy(work) end
  print "ready"
  io.stdout:flush()
  for line in io.lines() do
    if line ~= "run" then break end
    local start = core.system.time()
    co.tidy(work)
    print(("%.6f"):format(core.system.time() - start))
    io.stdout:flush()
  end
end

--- help(words): with --help among the words, prints the comment at the program's top and ends.
function M.help(words)
  for _, word in ipairs(words) do
    if word == "--help" or word == "-h" then
      for line in io.lines(arg[0]) do
        local text = line:match "^%-%-+ ?(.*)"
        if not text then os.exit(0) end
        print(text)
      end
    end
  end
end

return M
