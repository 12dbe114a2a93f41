-- Flow and maps on the CUDA half (tests/cuda), beside the CPU's.
local co = require "cohesiv"
local support = require "tests.support"

local TOLERANCE = { flow = 1e-4, check = 0, map = 1e-5, sharpened = 1e-5, residuals = 1e-4, fit = 0 } -- pixels, shares, numbers

describe("what a GPU computes of motion", function()
  local function run(environment)
    for name, value in pairs(support.same_build) do environment[name] = value end
    environment.COHESIV_CUDA_MODULE, environment.COHESIV_ISA = os.getenv "COHESIV_CUDA_MODULE", "portable"
    local result = support.cohesiv({ support.root .. "/tests/motion_on_gpu.lua" }, { env = environment })
    assert.equal(0, result.status, result.stderr)
    local lines = 0
    for what, device, difference in result.stdout:gmatch "([^\n\t]+)\t(%S+)\t(%S+)\n" do
      lines = lines + 1
      assert.equal("cuda", device, what)
      assert.is_true(tonumber(difference) <= TOLERANCE[what:match "^%a+"], what .. ": " .. difference)
    end
    return lines
  end

  it("is what the CPU computes", function() assert.equal(26, run {}) end)

  it("does not depend on the order of threads", function()
    assert.equal(26, run { COHESIV_CUDA_BACKWARDS = "1" })
  end)

  it("needs all it works on in one place", function()
    local a = co.zeros(4, 5, { dtype = "uint8" })
    support.raises("second image: expected a tensor on cuda, found one on cpu", co.flow.estimate, a:to "cuda", a)
    support.raises("second image: expected a tensor on cpu, found one on cuda", co.flow.estimate, a, a:to "cuda")
    local flow = co.zeros(4, 5, 2)
    support.raises("flows[2]: expected a tensor on cpu, found one on cuda", co.responsibility,
      { flows = { flow, flow:to "cuda" }, hands = {} })
  end)

  it("is the CPU's where a device has no kernels for it", function()
    local a = (co.rand(9, 12) * 255):to "uint8"
    local flow = co.flow.estimate(a:to "guard", a:to "guard")
    assert.equal("cpu", flow.device)
    assert.equal(1, co.eq(flow, co.flow.estimate(a, a)):min():item())
    local R = co.responsibility { flows = { flow:to "guard", flow:to "guard" }, hands = {} }
    assert.equal(1, co.eq(R.map, 1):min():item())
  end)
end)
