--- What every timing program here ends with: the protocol of a runner that times several programs side by side, each
-- in a process of its own. It prints `ready` when warm; for every line `run` on standard input it does the work once
-- and prints the seconds that it took; it ends with its input.
local co = require "cohesiv"
local core = require "cohesiv.core"

local M = {}

-- The most memory this process has had, where the system tells (Linux).
local function tell_peak()
  local file <close> = io.open "/proc/self/status"
  local kib = file and file:read("a"):match "VmHWM:%s*(%d+)"
  if kib then io.stderr:write(("peak memory: %d MiB\n"):format(kib // 1024)) end
end

--- serve(work, warm = 1): what work makes is closed after each run. At the end the process's peak memory goes to
-- standard error.
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
  tell_peak()
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
