-- Every allocation of every op fails once, forward and backward, on the samples of the table: see tests/faults.lua.
local co = require "cohesiv"
local faults = require "tests.faults"
local samples = require "tests.samples"
local support = require "tests.support"

describe("a failing allocation", function()
  local threads = co.threads()
  setup(function() co.threads(1) end) -- which thread allocates scratch is then the same in every run
  teardown(function() co.threads(threads) end)

  for _, name in ipairs(samples.names) do
    it("in op " .. name .. " is one clear error, and nothing is lost", function()
      local checked = 0
      samples.each(name, false, function(inputs, args, variant)
        if support.small and variant > 1 then return end
        checked = checked + faults.each(("%s, sample %d"):format(name, variant), function()
          return { samples.numbers(name, inputs, args), samples.gradients(name, inputs, args) }
        end)
      end)
      assert.is_true(checked > 0)
    end)
  end
end)
