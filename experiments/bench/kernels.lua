--- The table of docs/performance.md: registers, spilled bytes and moves of 128 bits and of fewer of every kernel, from
-- the compiler and its disassembler (cuobjdump and nvdisasm in the folder --tools); no GPU is needed.
--
-- usage: kernels.lua [--arch sm_90] [--nvcc FILE] [--tools FOLDER] [FILE.cu …]     (all of csrc/cuda/kernels)
--
-- cuobjdump and nvdisasm are of CUDA's packages of the same names, or of PyPI's nvidia-cuda-cuobjdump and
-- nvidia-cuda-nvdisasm (in nvidia/cu13/bin).
require("experiments.bench.contender").help(arg)

local columns = require "cohesiv.base.columns"
local lfs = require "lfs"

local o, files = { arch = "sm_90", nvcc = "/usr/local/cuda/bin/nvcc", tools = "/usr/local/cuda/bin" }, {}
do
  local i = 1
  while arg[i] do
    local name = arg[i]:match "^%-%-(%l+)$"
    if name and o[name] and arg[i + 1] then
      o[name], i = arg[i + 1], i + 1
    elseif arg[i]:match "%.cu$" then
      files[#files + 1] = arg[i]
    else
      error("expected --arch or --nvcc with a value, or a .cu file, found " .. arg[i], 0)
    end
    i = i + 1
  end
end

local function output_of(format, ...)
  local words = {}
  for k, word in ipairs { ... } do words[k] = "'" .. word:gsub("'", [['\'']]) .. "'" end
  local pipe <close> = assert(io.popen(format:format(table.unpack(words)) .. " 2>&1"))
  local text = pipe:read "a"
  if not pipe:close() then error(text, 0) end
  return text
end

if #files == 0 then
  for name in lfs.dir "csrc/cuda/kernels" do
    if name:match "%.cu$" then files[#files + 1] = "csrc/cuda/kernels/" .. name end
  end
  table.sort(files)
end

local object = os.tmpname()

-- Mangled name → instructions that move 128 bits from global memory, to it, and fewer bits from it, to it.
local function moves_of()
  local found, last = {}, nil
  for line in output_of("PATH=%s:$PATH cuobjdump -sass %s", o.tools, object):gmatch "[^\n]+" do
    local name = line:match "Function : (%S+)"
    local move, width = line:match "%s([LS][DT]G)%.([%w%.]*)"
    if name then
      last = { 0, 0, 0, 0 }
      found[name] = last
    elseif last and move then
      local k = (move == "LDG" and 1 or 2) + (width:find "128" and 0 or 2)
      last[k] = last[k] + 1
    end
  end
  return found
end

-- A kernel's name as people read it, without the arguments.
local function plain(mangled)
  local text = output_of("c++filt %s", mangled):gsub("%s+$", "")
  return (text:gsub("^void ", ""):gsub("%(anonymous namespace%)::", ""):gsub("%b()$", ""):gsub("%(%w+%)", ""))
end

local rows, spilled = {}, 0
for _, file in ipairs(files) do
  local said = output_of("%s -std=c++17 -Icsrc -Werror all-warnings -arch=%s -Xptxas -v -c %s -o %s", o.nvcc,
    o.arch, file, object)
  local moves = moves_of()
  for name, stores, loads, registers in said:gmatch
    "entry function '(%S+)' for.-(%d+) bytes spill stores, (%d+) bytes spill loads.-Used (%d+) registers" do
    local m = moves[name]
    spilled = spilled + tonumber(stores) + tonumber(loads)
    rows[#rows + 1] = { file:match "([^/]+)%.cu$", plain(name), registers, tostring(tonumber(stores) + tonumber(loads)),
      table.unpack(m) }
  end
end
os.remove(object)

-- Kernels of one template share a line, the most of each number: moves of fewer bits are those of what is not aligned.
local lines, by_name = { { "file", "kernel", "variants", "registers", "spilled", "LDG.128", "STG.128", "other LDG",
  "STG" } }, {}
for _, row in ipairs(rows) do
  local key = row[1] .. " " .. row[2]:gsub("<.*", "")
  local line = by_name[key]
  if not line then
    line = { row[1], (row[2]:gsub("<.*", "")), "0", "0", "0", "0", "0", "0", "0" }
    by_name[key], lines[#lines + 1] = line, line
  end
  line[3] = tostring(tonumber(line[3]) + 1)
  for k = 3, 8 do line[k + 1] = tostring(math.max(tonumber(line[k + 1]), tonumber(row[k]))) end
end
print(columns(lines, 2))
print(("\n%s, %d kernels, %d bytes spilled"):format(o.arch, #rows, spilled))
os.exit(spilled == 0 and 0 or 1, true)
