-- Flow and maps on the CUDA half (tests/cuda), beside the CPU's.
local co = require "cohesiv"
local core = require "cohesiv.core"
local map_options = require "cohesiv.motion.map_options"
local maps = require "cohesiv.motion.maps"
local plain = require "tests.raft_plain"
local recipe = require "experiments.cohesiv"
local support = require "tests.support"

local TOLERANCE = { flow = 1e-4, residuals = 1e-4, map = 1e-5, sharpened = 1e-5, fit = 0, check = 0 } -- pixels, shares

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

  it("is the flow to several pictures in the launches of one, in the same bits", function()
    co.seed(2)
    local picture, pictures = (co.rand(40, 44, 3) * 255):to("uint8"):to "cuda", {}
    for i = 1, 3 do pictures[i] = (co.rand(40, 44, 3) * 255):to("uint8"):to "cuda" end
    local alone, before = {}, support.launches()
    alone[1] = core.flow.dis(picture, pictures[1])
    local one = support.launches() - before
    alone[2], alone[3] = core.flow.dis(picture, pictures[2]), core.flow.dis(picture, pictures[3])
    before = support.launches()
    local together = { core.flow.dis(picture, table.unpack(pictures)) }
    assert.equal(one, support.launches() - before)
    for i = 1, 3 do assert.same(alone[i]:totable(), together[i]:totable()) end
    assert.not_same(alone[1]:totable(), alone[2]:totable())
    -- More than are computed at once; and as a clip asks for them.
    local many, methods = {}, require "cohesiv.motion.flow_methods"
    for i = 1, 9 do many[i] = pictures[i % 3 + 1] end
    local list = { core.flow.dis(picture, table.unpack(many)) }
    assert.same(alone[1]:totable(), list[9]:totable())
    local found = {}
    methods.flows(picture, many, {}, nil, function(i, flow) found[i] = flow end)
    assert.equal(9, #found)
    assert.same(alone[3]:totable(), found[8]:totable())
    assert.same(alone[1]:totable(), found[9]:totable())
    support.raises("flow: expected at most 64 images beside the first, found 65", function()
      local all = {}
      for i = 1, 65 do all[i] = picture end
      core.flow.dis(picture, table.unpack(all))
    end)
  end)

  it("does not depend on the order of threads", function()
    assert.equal(26, run { COHESIV_CUDA_BACKWARDS = "1" })
  end)

  it("is asked for by the option device of a clip's maps, where the recipe has the training's", function()
    local asked
    local clip = { frames = 3, width = 20, height = 12,
      hands = function() return { { vertices = co.tensor { { 2, 2 }, { 9, 3 }, { 8, 9 }, { 3, 8 } } } } end,
      flow = function(_, _, _, how) asked = how.device; return co.zeros(12, 20, 2) end }
    local o = map_options.of_recipe(recipe { maps = { gaps = { 1 } }, size = { 20, 12 }, device = "cuda" }, "cuda")
    local R = maps.responsibility(clip, 1, o)
    assert.same({ "cuda", "cuda", "cuda" }, { asked, R.map.device, R.residuals.device })
    assert.equal("cpu", maps.responsibility(clip, 1, { gaps = { 1 }, size = { 20, 12 } }).map.device)
    assert.is_true(#R:png() > 0)
  end)

  it("is RAFT's flow, to rounding", function()
    local path, a = support.temp() .. "/raft.safetensors", (co.rand(40, 56, 3) * 255):to "uint8"
    co.save(path, plain.draw("raft_small", 3))
    local b = co.cat({ a[{ { 2, 40 } }], a[{ { 1, 1 } }] }, 1)
    local o = { method = "raft_small", weights = path, iterations = 1 }
    local expected, found = co.flow.estimate(a, b, o), co.flow.estimate(a:to "cuda", b:to "cuda", o)
    assert.equal("cuda", found.device)
    assert.is_true(expected:abs():mean():item() > 0.3)
    assert.is_true(support.difference(expected, found:to "cpu") < 1e-3)
    support.raises("second image: expected a tensor on cpu, found one on cuda", co.flow.estimate, a, b:to "cuda", o)
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
