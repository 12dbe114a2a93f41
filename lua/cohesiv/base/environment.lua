--- What the variables of the environment may be: checked once, at the start, so that a slip of the hand is not taken
-- for the default. An empty variable counts as none. Who reads a variable does so where it is needed.
local core = require "cohesiv.core"
local refuse = require "cohesiv.base.refuse"

local M = {}

local function whole(text, low, high)
  local n = text:find "^%d+$" and math.tointeger(tonumber(text))
  return n and n >= low and n <= high
end

local function seconds(text)
  local n = text:find "^[%d.]+$" and tonumber(text)
  return n and n >= 0 and n < 1e9
end

local VARIABLES = {
  { "COHESIV_THREADS", "an integer of 1 to 256", function(text) return whole(text, 1, 256) end },
  { "COHESIV_ISA", "portable, avx2 or avx512",
    function(text) return text == "portable" or text == "avx2" or text == "avx512" end },
  { "COHESIV_CHECKPOINT_SECONDS", "seconds of 0 or more", seconds },
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
