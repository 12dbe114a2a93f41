--- What the variables of the environment may be: checked once, at the start, so that a slip of the hand is not taken
-- for the default. An empty variable counts as none. Who reads a variable does so where it is needed.
local core = require "cohesiv.core"
local M = {}

local function within(digits, low, high)
  local n = tonumber(digits or "")
  return n and n >= low and n <= high
end

local VARIABLES = {
  { "COHESIV_THREADS", "an integer of 1 to 256", function(text) return within(text:match "^%d+$", 1, 256) end },
  { "COHESIV_ISA", "portable, avx2 or avx512",
    function(text) return text == "portable" or text == "avx2" or text == "avx512" end },
  { "COHESIV_CHECKPOINT_SECONDS", "seconds of 0 or more",
    function(text) return within(text:match "^[%d.]+$", 0, 1e9) end },
}

--- check(): raises one line for the first variable that is set to what it cannot mean.
function M.check()
  for _, variable in ipairs(VARIABLES) do
    local name, expected, accepts = table.unpack(variable)
    local text = os.getenv(name)
    if text and text ~= "" and not accepts(text) then
      core.refuse("%s: expected %s, found %s", name, expected, core.found(text))
    end
  end
end

return M
