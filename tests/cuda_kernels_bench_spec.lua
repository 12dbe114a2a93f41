-- experiments/bench/gpu.lua, whole and small, on the CUDA half on the CPU.
local json, lists = require "cohesiv.base.json", require "cohesiv.base.lists"
local support = require "tests.support"

local function bench(words, env, large)
  local folder = support.temp()
  for name, value in pairs(support.same_build) do env[name] = value end
  if not large then table.insert(words, "--small") end
  local result = support.cohesiv({ "experiments/bench/gpu.lua", "--out", folder, table.unpack(words) },
    { env = env, dir = support.root, timeout = 300 })
  return result, folder
end

it("checks what a GPU computes, and measures it", function()
  local module = { COHESIV_CUDA_MODULE = os.getenv "COHESIV_CUDA_MODULE" }
  local result, folder = bench({ "--part", "checks" }, module)
  assert.equal(0, result.status, result.stdout .. result.stderr)
  local checks = json.decode(support.read(folder .. "/gpu_checks.json"))
  assert.equal(5, #checks["ops float32"])
  for _, row in ipairs(checks["ops float32"]) do assert.is_true(row.good and row.found <= 1e-5) end
  assert.equal(2, #checks.losses[1].cpu)
  assert.is_nil(checks.failures)
  result, folder = bench({ "--part", "speed" }, module)
  assert.equal(0, result.status, result.stdout .. result.stderr)
  local speed = json.decode(support.read(folder .. "/gpu_speed.json"))
  assert.is_true(speed.training[1].launches > 10 and speed.training[1].peak > 0)
  assert.equal(1, #speed.layers)
  assert.is_true(speed.layers[1].bound > 0 and speed.layers[1].weights ~= nil)
end)

it("tunes, and says what that gains", function()
  local result, folder = bench({ "--part", "tuned" }, { COHESIV_CUDA_MODULE = os.getenv "COHESIV_CUDA_MODULE",
    COHESIV_CUDNN = "double", COHESIV_CACHE = support.temp() })
  assert.equal(0, result.status, result.stdout .. result.stderr)
  local tuned = json.decode(support.read(folder .. "/gpu_tuned.json"))
  assert.same({ "inference", "training" }, lists.map(tuned.tuning, function(t) return t.name end))
  -- The double's convolution with its sums and its norm are faster by known times.
  assert.is_true(tuned.tuning[2].problems > tuned.tuning[1].problems and tuned.tuning[2].saved > 1e-3)
  for _, stage in ipairs { "inference", "training" } do
    for _, name in ipairs { "as it is", "tuned" } do assert.equal(1, #tuned[stage .. ", " .. name]) end
  end
end)

it("counts what a training step of the default network starts without a graph: at most 600 kernels", function()
  local result, folder = bench({ "--part", "launches" }, { COHESIV_CUDA_MODULE = os.getenv "COHESIV_CUDA_MODULE",
    COHESIV_CUDNN = "double", COHESIV_CUDA_IDLE = "1", COHESIV_CUDA_MEMORY = "100000000000" }, not support.small)
  assert.equal(0, result.status, result.stdout .. result.stderr)
  local steps = json.decode(support.read(folder .. "/gpu_launches.json")).launches
  assert.same({ "float32", "bf16", "fp16" }, lists.map(steps, function(s) return s.precision end))
  for _, step in ipairs(steps) do
    local sum = 0
    for _, op in ipairs(step.ops) do
      sum = sum + op.launches
      if op.op == "conv2d" and op.pass == "forward" then assert.same({ 63, 63 }, { op.calls, op.launches }) end
    end
    assert.equal(step.launches, sum)
    assert.equal(2, step.graph.launches) -- the step's numbers, and all else
    assert.is_true(sum > 300 and sum <= 600, ("%s: %d launches"):format(step.precision, sum))
  end
end)

it("tells of a stage that fails, and of wrong words", function()
  local result, folder = bench({ "--part", "peer" }, { COHESIV_CUDA_MODULE = os.getenv "COHESIV_CUDA_MODULE",
    COHESIV_PEER = "/nowhere.py" })
  assert.equal(1, result.status)
  assert.is_truthy(result.stdout:find("FAILED: expected PyTorch's program, found none at /nowhere.py", 1, true),
    result.stdout)
  assert.equal("PyTorch", json.decode(support.read(folder .. "/gpu_peer.json")).failures[1].stage)
  result = bench({ "--part", "all" }, {})
  assert.is_truthy(result.stderr:find("--part: expected checks, speed, tuned, peer or launches, found all", 1, true),
    result.stderr)
end)

it("says in a line that there is no GPU", function()
  local result = bench({ "--part", "speed" }, { COHESIV_CUDA_DEVICES = "0" })
  assert.equal(0, result.status, result.stderr)
  assert.is_truthy(result.stdout:find "^no GPU: [^\n]+\n$", result.stdout)
end)
