-- experiments/bench/gpu.lua, whole and small, on the CUDA half on the CPU.
local json = require "cohesiv.base.json"
local support = require "tests.support"

local function bench(words, env)
  local folder = support.temp()
  for name, value in pairs(support.same_build) do env[name] = value end
  local result = support.cohesiv({ "experiments/bench/gpu.lua", "--small", "--out", folder, table.unpack(words) },
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

it("tells of a stage that fails, and of wrong words", function()
  local result, folder = bench({ "--part", "peer" }, { COHESIV_CUDA_MODULE = os.getenv "COHESIV_CUDA_MODULE",
    COHESIV_PEER = "/nowhere.py" })
  assert.equal(1, result.status)
  assert.is_truthy(result.stdout:find("FAILED: expected PyTorch's program, found none at /nowhere.py", 1, true),
    result.stdout)
  assert.equal("PyTorch", json.decode(support.read(folder .. "/gpu_peer.json")).failures[1].stage)
  result = bench({ "--part", "all" }, {})
  assert.is_truthy(result.stderr:find("--part: expected checks, speed, peer or launches, found all", 1, true), result.stderr)
end)

it("says in a line that there is no GPU", function()
  local result = bench({ "--part", "speed" }, { COHESIV_CUDA_DEVICES = "0" })
  assert.equal(0, result.status, result.stderr)
  assert.is_truthy(result.stdout:find "^no GPU: [^\n]+\n$", result.stdout)
end)
