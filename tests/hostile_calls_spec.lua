-- Every public function that is no op (those are in hostile_ops_spec.lua), and every method, is called with what it does
-- not expect: each argument and each option of a good call in turn, and everything in one place. It returns, or raises
-- one line of ours, in bounded time and memory.
local co = require "cohesiv"
local core = require "cohesiv.core"
local hostile = require "tests.hostile"

local good = require "tests.hostile_good"

local elsewhere = { -- tested with the ops: hostile_ops_spec.lua
  tensor = true, zeros = true, ones = true, full = true, arange = true, eye = true, rand = true, randn = true,
  memory = true, threads = true,
}

local function sorted(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  table.sort(names)
  return names
end

describe("hostile calls", function()
  it("know every public function", function()
    local missing = {}
    local function look(prefix, t)
      for name, value in pairs(t) do
        local full = prefix .. name
        if type(value) == "function" and not core.ops[full] and not elsewhere[full] and not good[full] then
          missing[#missing + 1] = full
        elseif type(value) == "table" and type(name) == "string" and prefix:find "^[%w_.]*$" and #prefix < 9
          and full ~= "nn.Module" then
          look(full .. ".", value)
        end
      end
    end
    look("", co)
    table.sort(missing)
    assert.same({}, missing)
  end)

  for _, name in ipairs(sorted(good)) do
    it("end in a result or one line: " .. name, function()
      local faults = {}
      hostile.attack(name, good[name], faults)
      local shown = table.concat(faults, "\n", 1, math.min(#faults, 12))
      assert.equal(0, #faults, ("%d faults\n%s"):format(#faults, shown))
    end)
  end
end)
