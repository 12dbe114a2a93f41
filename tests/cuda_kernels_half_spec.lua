-- Halves on the GPU: every op takes bfloat16 and float16 and comes near what the CPU computes in float32 from the same
-- numbers, to 2e-2 of the largest, forward and backward.
local core = require "cohesiv.core"
local large = require "tests.large"
local lists = require "cohesiv.base.lists"
local samples = require "tests.samples"
local support = require "tests.support"

-- What stays float32 beside halves, by the names that ops have for it, unless all of it is halves.
local full = lists.set { "weight", "bias", "running_mean", "running_var", "w1", "b1", "w2", "b2", "scale", "shift", "R",
  "queries", "image", "label", "grid", "parameter", "gradient", "m", "v", "velocity" }

-- What gives float32.
local exact = lists.set { "cross_entropy", "embedding_loss", "responsibility_loss", "adamw", "sgd", "cast" }

-- The inputs as halves on the GPU, and with the same numbers in float32 on the CPU.
local function in_half(name, inputs, half)
  local here, there, words = {}, {}, {}
  for word in core.ops[name].args:gmatch "[%w_]+" do words[#words + 1] = word end
  for i, t in ipairs(inputs) do
    local narrow = t and t.dtype == "float32" and (core.ops[name].variadic or not full[words[i]])
    here[i] = narrow and t:to(half):to "float32" or t
    there[i] = t and (narrow and t:to(half) or t):to "cuda"
  end
  return here, there
end

local function near(name, inputs, args, half, what)
  local here, there = in_half(name, inputs, half)
  local plain = large.rounding(name, inputs)
  local expected, found = large.results(name, here, args, plain, half), large.results(name, there, args, plain, half)
  assert.equal(#expected, #found, what)
  if expected[1].dtype == "float32" and not exact[name] then assert.equal(half, found[1].dtype, what) end
  for k, a in ipairs(expected) do
    local b, where = found[k]:to "cpu", ("%s of %s: result %d"):format(what, half, k)
    assert.same(a.shape, b.shape, where)
    a, b = a:to("float32"):reshape { -1 }, b:to("float32"):reshape { -1 }
    if #a > 0 then
      local largest, difference = math.max(a:abs():max():item(), 0.1), support.difference(a, b)
      assert.is_true(difference <= 2e-2 * largest, ("%s: differs by %g, the largest number is %g"):format(where,
        difference, largest))
    end
  end
end

for _, name in ipairs(samples.names) do
  it("op " .. name .. " takes halves", function()
    samples.each(name, false, function(inputs, args, variant)
      near(name, inputs, args, variant % 2 == 0 and "bfloat16" or "float16", "sample " .. variant)
    end)
    local inputs, args = large.case(name)
    near(name, inputs, args or {}, "bfloat16", "the large case")
  end)
end
