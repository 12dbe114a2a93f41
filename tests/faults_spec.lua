-- Every allocation of every op fails once, forward and backward, on the samples of the table: see tests/faults.lua.
local co = require "cohesiv"
local faults = require "tests.faults"
local samples = require "tests.samples"
local support = require "tests.support"

describe("a failing allocation", function()
  local threads = co.threads()
  setup(function() co.threads(1) end) -- which thread allocates scratch is then the same in every run
  teardown(function() co.threads(threads) end)

  it("is found to have lost something, to be unclear or to be passed over, where it is", function()
    local lost = {}
    local function each(f) return pcall(faults.each, "x", f) end
    local ok, message = each(function()
      local t = co.ones(4):keep()
      local made, why = pcall(co.ones, 5)
      if not made then lost[#lost + 1] = t
      else t:close() end
      return made or error(why, 0)
    end)
    assert.is_false(ok)
    assert.is_truthy(message:find "^x, allocations [12] to 1[68] of 18: expected no block left, found %d+$", message)
    ok, message = each(function() return pcall(co.ones, 5) or error("oops", 0) end)
    assert.is_false(ok)
    assert.is_truthy(message:find("expected one line that names memory, found: oops", 1, true), message)
    ok, message = each(function() return (pcall(co.ones, 5)) end)
    assert.is_false(ok)
    assert.is_truthy(message:find("expected the right values or an error, found other values", 1, true), message)
  end)

  for _, name in ipairs(samples.names) do
    it("in op " .. name .. " is one clear error, and nothing is lost", function()
      local checked = 0
      samples.each(name, false, function(inputs, args, variant)
        if support.small and variant > 1 then return end
        local function work() return { samples.numbers(name, inputs, args), samples.gradients(name, inputs, args) } end
        local what = ("%s, sample %d"):format(name, variant)
        checked = checked + faults.each(what, work)
        if variant == 0 then
          faults.each(what, work, { burst = math.maxinteger >> 1 }) -- none to be had until the error is there
          faults.each(what, work, { lua = true, stride = support.small and 5 or 1 })
        end
      end)
      samples.each(name, true, function(inputs, args, variant)
        if variant > 0 then return end
        faults.each(("%s in float64"):format(name), function() return samples.gradients(name, inputs, args) end)
      end)
      assert.is_true(checked > 0)
    end)
  end
end)
