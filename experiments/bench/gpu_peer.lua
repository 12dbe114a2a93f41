--- gpu.lua's part `peer`: PyTorch's program on the same card, its lines as they come and its JSON among ours.
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"

local function quote(word) return "'" .. word:gsub("'", [['\'']]) .. "'" end

return function(bench)
  bench.stage("PyTorch", function()
    local data = os.getenv "COHESIV_DATA" or ""
    local program = os.getenv "COHESIV_PEER" or data .. "/../prototypes/bench/peer_gpu.py"
    local python = os.getenv "COHESIV_PYTHON" or "python3"
    local file = io.open(program)
    if not file then error(("expected PyTorch's program, found none at %s: set COHESIV_PEER"):format(program), 0) end
    file:close()
    local folder = os.tmpname() .. ".peer"
    core.io.make_folder(folder)
    local pipe = assert(io.popen(("OUT=%s REFERENCE=%s %s -u %s 200 2>&1"):format(quote(folder),
      quote(data .. "/reference"), quote(python), quote(program))))
    for line in pipe:lines() do bench.say("  %s", line) end
    if not pipe:close() then error("expected PyTorch's program to end well; its message is above", 0) end
    bench.put("peer", json.decode(core.io.read_file(folder .. "/peer_gpu.json")))
  end)
end
