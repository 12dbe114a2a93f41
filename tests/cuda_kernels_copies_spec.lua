-- Copies to a GPU that do not wait. The double of CUDA's runtime (tests/cuda/runtime.c) does them as late as it may:
-- what is read before its event was waited for is NaN, a buffer that is used again too early spoils what is under way.
local co = require "cohesiv"
local core = require "cohesiv.core"

local function same(a, b) return co.eq(a, b):min():item() == 1 end

describe("what is sent to a GPU", function()
  it("is what it was when it was sent, however many are under way", function()
    local host, there = {}, {}
    for i = 1, 40 do -- more than there are buffers
      host[i] = co.full(i, 17000 + i)
      there[i] = host[i]:to "cuda"
      host[i][{ { 1, 100 } }] = -1 -- in place: nobody shares it
    end
    for i = 1, 40 do
      local sum = there[i]:sum():item()
      assert.equal(i * (17000 + i), sum)
      assert.equal("cuda", there[i].device)
    end
  end)

  it("is waited for by what reads it next", function()
    for _, n in ipairs { 1, 16383, 16384, 16385, 40000, 300001 } do
      local x = co.arange(0, n):to "float32"
      local y = x:to "cuda"
      assert.is_true(same(x * 2 + 1, (y * 2 + 1):to "cpu"))
      assert.is_true(same(x, x:to("cuda"):to "cpu"))
      if n > 20000 then assert.is_true(same(x[{ { 3, n } }], x[{ { 3, n } }]:to("cuda"):to "cpu")) end
    end
  end)

  it("keeps its order with what is written there", function()
    local x = co.full(3, 50000):to "cuda"
    x[{ { 1, 2 } }] = co.tensor({ 5, 6 }, { device = "cuda" })
    assert.same({ 5, 6, 3 }, x[{ { 1, 3 } }]:totable())
    co.full(1, 50000):to("cuda"):close() -- given back while it is under way
    assert.equal(150005, x:sum():item())
  end)

  it("counts as the device's memory", function()
    local function live() return core.devices()[2].memory.live end -- of the first GPU
    collectgarbage()
    local before = live()
    local x = co.zeros(1 << 18):to "cuda"
    assert.equal(before + (4 << 18), live())
    x:close()
    assert.equal(before, live())
    assert.equal(before, co.memory().cuda.live)
    assert.is_true(co.memory().cuda.peak >= before + (4 << 18))
  end)
end)
