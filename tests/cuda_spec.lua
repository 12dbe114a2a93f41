-- The CUDA half as nvcc compiles it, where that is installed: without a warning, without spilled registers, linked to a
-- shared object that says on a machine without a GPU that there is none. What the kernels compute is tested by
-- cuda_kernels_spec.lua.
local lfs = require "lfs"
local support = require "tests.support"

local build = os.getenv "COHESIV_BUILD" or support.root .. "/build"

local function find_nvcc()
  for _, path in ipairs { "nvcc", "/usr/local/cuda/bin/nvcc" } do
    if support.run({ path, "--version" }).status == 0 then
      return support.run({ "sh", "-c", "readlink -f $(command -v " .. path .. ")" }).stdout:match "%S+"
    end
  end
end

local nvcc = find_nvcc()

describe("the CUDA half", function()
  if not nvcc then return pending "compiles: nvcc is not installed" end

  local folder, objects = support.temp(), {}
  local cuda = nvcc:match "^(.*)/bin/nvcc$"

  local function compile(words)
    local result = support.run(words, { dir = support.root, timeout = 600 })
    assert.equal(0, result.status, result.stdout .. result.stderr)
    return result.stdout .. result.stderr
  end

  local function object_of(path)
    objects[#objects + 1] = ("%s/%s.o"):format(folder, path:gsub("/", "_"))
    return objects[#objects]
  end

  for file in lfs.dir(support.root .. "/csrc/cuda/kernels") do
    local path = "csrc/cuda/kernels/" .. file
    if file:match "%.cu$" then
      it("compiles without a warning or a spilled register: " .. file, function()
        local said = compile { nvcc, "-std=c++17", "-Icsrc", "-Werror", "all-warnings", "-arch=sm_90", "-Xptxas", "-v",
          "-Xcompiler", "-fPIC", "-c", path, "-o", object_of(path) }
        local kernels = 0
        for stores, loads in said:gmatch "(%d+) bytes spill stores, (%d+) bytes spill loads" do
          kernels = kernels + 1
          assert.same({ "0", "0" }, { stores, loads }, said)
        end
        assert.is_true(kernels > 0)
      end)
    end
  end

  it("is a module that finds no GPU here, and says so once", function()
    for file in lfs.dir(support.root .. "/csrc/cuda") do
      local path = "csrc/cuda/" .. file
      if file:match "%.c$" then
        compile { "gcc", "-std=gnu11", "-O1", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Icsrc",
          "-I" .. cuda .. "/include", "-c", path, "-o", object_of(path) }
      end
    end
    local module = folder .. "/cuda.so"
    local link = { "g++", "-shared", "-Wl,--no-undefined", "-o", module }
    table.move(objects, 1, #objects, #link + 1, link)
    for _, word in ipairs { build .. "/cohesiv/core.so", "-L" .. cuda .. "/lib64", "-lcudart_static", "-lrt", "-ldl",
      "-lpthread" } do
      link[#link + 1] = word
    end
    compile(link)
    local result = support.run({ "lua5.4", support.root .. "/lua/cohesiv/main.lua", "info" },
      { env = { COHESIV_CUDA_MODULE = module, COHESIV_BUILD = build } })
    local gpu = result.stdout:match "\n(GPU[^\n]*)"
    if gpu:find "cuda: " then return end -- there is one
    assert.is_truthy(gpu:find "^GPU +none used: CUDA %d+%.%d, no driver[^:]*: ", gpu)
    local program = support.write(folder .. "/a.lua", [[
      local co = require "cohesiv"
      print(co.ones(2, { device = "cuda" }).device, co.ones(2):to("cuda"):sum():item()) ]])
    result = support.run({ "lua5.4", support.root .. "/lua/cohesiv/main.lua", program },
      { env = { COHESIV_CUDA_MODULE = module, COHESIV_BUILD = build } })
    assert.equal("cpu\t2.0\n", result.stdout, result.stderr)
    assert.is_truthy(result.stderr:find "^cohesiv: warning: cuda: no GPU %([^\n]*%): computing on the CPU\n$",
      result.stderr)
  end)
end)
