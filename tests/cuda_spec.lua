-- The CUDA half compiles, wherever nvcc is installed; running it needs a device and is not tested here.
local support = require "tests.support"

local function find_nvcc()
  for _, path in ipairs { "nvcc", "/usr/local/cuda/bin/nvcc" } do
    if support.run({ path, "--version" }).status == 0 then return path end
  end
end

local nvcc = find_nvcc()
local define = nvcc and it or function(name) return pending(name .. ": nvcc is not installed") end

describe("the CUDA half", function()
  define("compiles without a warning", function()
    local object = support.temp() .. "/ops.o"
    local result = support.run({
      nvcc, "-std=c++17", "-Icsrc", "-Werror", "all-warnings", "-c", "csrc/ops/ops_cuda.cu", "-o", object,
    }, { dir = support.root, timeout = 300 })
    assert.equal(0, result.status, result.stdout .. result.stderr)
  end)
end)
