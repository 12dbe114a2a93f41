--- What the variables of the environment may be: checked once, at the start, so that a slip of the hand is not taken
-- for the default. An empty variable counts as none. Who reads a variable does so where it is needed.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local refuse = require "cohesiv.base.refuse"

local M = {}

-- Whether a text of these characters is a number of low to high.
local function within(pattern, low, high)
  return function(text)
    local n = text:find(pattern) and tonumber(text)
    return n and n >= low and n <= high
  end
end

local INSTRUCTIONS = lists.set { "portable", "avx2", "avx512" }

local VARIABLES = {
  { "COHESIV_THREADS", "an integer of 1 to 256", within("^%d+$", 1, 256) },
  { "COHESIV_ISA", "portable, avx2 or avx512", function(text) return INSTRUCTIONS[text] end },
  { "COHESIV_CHECKPOINT_SECONDS", "seconds of 0 or more", within("^[%d.]+$", 0, 1e9) },
}

--- check(): raises one line for the first variable that is set to what it cannot mean.
function M.check()
  for _, variable in ipairs(VARIABLES) do
    local name, expected, accepts = table.unpack(variable)
    local text = os.getenv(name)
    if text and text ~= "" and not accepts(text) then
      refuse("%s: expected %s, found %s", name, expected, core.found(text))
    end
  end
end

return M
