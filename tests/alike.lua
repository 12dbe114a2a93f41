-- What a GPU gives is compared with what the CPU gives.
local assert = require "luassert"
local co = require "cohesiv"
local large = require "tests.large"
local support = require "tests.support"

local alike = { TOLERANCE = 1e-5 }

--- there(inputs): copies on the GPU; false stays where a tensor is absent.
function alike.there(inputs)
  local list = {}
  for i, t in ipairs(inputs) do list[i] = t and t:to "cuda" end
  return list
end

--- expected(name, inputs, args, plain): what a call gives on the CPU (tests/large.lua). Convolutions are computed in
-- float64: the CPU's float32 takes fewer products for them, at the cost of digits.
function alike.expected(name, inputs, args, plain)
  if not name:find "conv2d" then return large.results(name, inputs, args, plain) end
  local wide = {}
  for i, t in ipairs(inputs) do wide[i] = t and t:to "float64" end
  local list = large.results(name, wide, args, plain)
  for i, t in ipairs(list) do list[i] = t:to "float32" end
  return list
end

--- same(expected, found, what): the GPU's tensors have the shapes, dtypes and numbers of the CPU's, real ones to the
-- tolerance of the largest of them.
function alike.same(expected, found, what)
  assert.equal(#expected, #found, what)
  for k, a in ipairs(expected) do
    local b, where = found[k], ("%s: result %d"):format(what, k)
    assert.equal("cuda", b.device, where)
    assert.same({ a.dtype, a.shape }, { b.dtype, b.shape }, where)
    a = a:reshape { -1 }
    if a.dtype:match "^float" and #a > 0 then
      local host = b:to("cpu"):reshape { -1 }
      assert.equal(a:ne(a):sum():item(), host:ne(host):sum():item(), where .. ": how many are no numbers")
      local largest = math.max(a:abs():max():item(), 0.1) -- what is nearly 0 came from numbers around 1
      local difference = support.difference(a, host)
      assert.is_true(difference <= alike.TOLERANCE * largest,
        ("%s: differs by %g, the largest number is %g"):format(where, difference, largest))
    else
      assert.same(a:totable(), b:to("cpu"):reshape({ -1 }):totable(), where)
    end
  end
end

--- walk(y, device, dtype, half): backward from y times random numbers, which are the same in halves.
function alike.walk(y, device, dtype, half)
  local slope = co.randn(y.shape)
  local z = y * (half and slope:to(half) or slope):to(device):to(dtype)
  z:to(dtype == "float64" and dtype or "float32"):sum():backward()
end

--- home(list): its tensors, as float32 of the CPU.
function alike.home(list)
  local found = {}
  for i, t in pairs(list) do found[i] = t:to("cpu"):to "float32" end
  return found
end

return alike
