-- cohesiv info: what runs here: version, build, CPU, BLAS, GPU, memory. For bug reports, and to see whether the
-- instruction set and the number of threads are those that were meant.

local co = require "cohesiv"
local core = require "cohesiv.core"
local home = require "cohesiv.base.home"

local command = { summary = "version, build, CPU, BLAS, GPU, memory" }

local function output_of(program)
  local pipe = io.popen(program .. " 2>/dev/null")
  local text = pipe and pipe:read "l"
  if pipe then pipe:close() end
  return text and text ~= "" and text or nil
end

local function gigabytes(bytes) return ("%.1f GB"):format(bytes / 1e9) end

local function commit_of(root)
  return root and output_of(("git -C '%s' describe --always --dirty"):format(root:gsub("'", [['\'']])))
end

function command.run()
  local system = core.system
  local cpu, memory, tensors = system.cpu(), system.memory(), co.memory()
  local library = package.searchpath("cohesiv.core", package.cpath)
  local commit = commit_of(home.checkout)
  local gpu = output_of "nvidia-smi --query-gpu=name,memory.total --format=csv,noheader"
  local function line(name, format, ...) print(("%-9s %s"):format(name, format:format(...))) end
  line("cohesiv", "%s%s, %s", co.version, commit and " (" .. commit .. ")" or "", _VERSION)
  line("build", "%s", library)
  line("CPU", "%s, %d online, %d threads used, instruction set %s", cpu.name, cpu.count, system.threads(), cpu.isa)
  if cpu.complaint then line("", "%s", cpu.complaint) end
  line("BLAS", "%s", system.blas())
  line("GPU", "%s", gpu and gpu .. " (not used: this build computes on the CPU)" or "none")
  line("memory", "%s, %s available, limit for tensors %s", gigabytes(memory.total), gigabytes(memory.available),
    gigabytes(tensors.limit))
  line("video", "%s", output_of "ffmpeg -version" or "ffmpeg is missing: video files cannot be read")
  return 0
end

return command
