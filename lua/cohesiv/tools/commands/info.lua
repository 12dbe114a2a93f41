-- cohesiv info: what runs here: version, build, CPU, BLAS, GPU, memory. For bug reports, and to see whether the
-- instruction set and the number of threads are those that were meant.
local core = require "cohesiv.core"
local co = require "cohesiv"
local first_line, home = require "cohesiv.base.first_line", require "cohesiv.base.home"

local function line(name, format, ...) print(("%-9s %s"):format(name, format:format(...))) end

return {
  summary = "version, build, CPU, BLAS, GPU, memory",
  run = function()
    local system = core.system
    local cpu, memory, tensors = system.cpu(), system.memory(), co.memory()
    local commit = home.git "describe --always --dirty"
    local software, why = core.cuda()
    line("cohesiv", "%s%s, %s", co.version, commit and " (" .. commit .. ")" or "", _VERSION)
    line("build", "%s", package.searchpath("cohesiv.core", package.cpath))
    line("CPU", "%s, %d online, %d threads used, instruction set %s", cpu.name, cpu.count, system.threads(), cpu.isa)
    if cpu.complaint then line("", "%s", cpu.complaint) end
    line("BLAS", "%s", system.blas())
    for _, device in ipairs(co.devices()) do
      if device.label then line("GPU", "%s: %s; %s", device.name, device.label, software) end
    end
    if why then line("GPU", "none used: %s", software and software .. ": " .. why or why) end
    line("memory", "%.1f GB, %.1f GB available, limit for tensors %.1f GB", memory.total / 1e9, memory.available / 1e9,
      tensors.limit / 1e9)
    line("video", "%s", first_line "ffmpeg -version" or "ffmpeg is missing: video files cannot be read")
  end,
}
