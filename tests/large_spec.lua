-- Ops on more elements than one chunk of work holds: outputs, gradients and what is written to have equal bits on 1, 2
-- and 4 threads. The samples of ops_spec are small, most of them one chunk.
local co = require "cohesiv"
local large = require "tests.large"
local samples = require "tests.samples"
local support = require "tests.support"

describe("on more than one chunk", function()
  for _, name in ipairs(samples.names) do
    it("op " .. name .. " gives equal bits on 1, 2 and 4 threads", function()
      local inputs, args = large.case(name)
      assert.is_truthy(inputs, "expected a large case of " .. name .. " in tests/large.lua")
      local threads, first = co.threads(), nil
      for _, n in ipairs { 1, 2, 4 } do
        co.threads(n)
        local found = large.results(name, inputs, args or {})
        first = first or found
        assert.equal(#first, #found)
        for k, t in ipairs(found) do
          assert.equal(0, support.difference(first[k], t), ("result %d on %d threads"):format(k, n))
        end
      end
      co.threads(threads)
    end)
  end
end)
