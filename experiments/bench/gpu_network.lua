--- The network's inference and training on a GPU as parts of gpu.lua measure them.
local co = require "cohesiv"
local core = require "cohesiv.core"
local training = require "experiments.bench.gpu_step"

local M = {}
local GPU = { device = "cuda" }

local function wait() return co.zeros(1, GPU):item() end

--- timed(bench, f): seconds of one f(), the median of rounds of several; what the host takes to ask for it; kernels and
-- graphs started.
function M.timed(bench, f)
  local rounds, list, host, each = bench.small and 1 or 7, {}, {}, 1
  for _ = 1, bench.small and 1 or 3 do co.tidy(f) end
  wait()
  local before = bench.launches()
  local start = core.system.time()
  co.tidy(f)
  local asked = core.system.time() - start
  local started = bench.launches() - before
  wait()
  if not bench.small then each = math.max(1, math.min(50, math.floor(0.02 / (core.system.time() - start)))) end
  for i = 1, rounds do
    start = core.system.time()
    for _ = 1, each do co.tidy(f) end
    host[i] = (core.system.time() - start) / each
    wait()
    list[i] = (core.system.time() - start) / each
  end
  table.sort(list)
  table.sort(host)
  return list[(rounds + 1) // 2], rounds > 1 and host[(rounds + 1) // 2] or asked, started
end

local function used()
  for _, d in ipairs(co.devices()) do
    if d.kind == "cuda" then return d.memory.peak + d.memory.graphs end
  end
end

-- Seconds of a step, of the host, launches and bytes.
local function measure(bench, stage, n, width, height, precision, calls)
  co.seed(0)
  local model = bench.model():to "cuda"
  model.precision = precision
  core.tf32(precision == "tf32")
  co.memory { reset_peak = true }
  local step
  if stage == "training" then
    step = training(bench.maps, model, n, width, height, not calls)
  else
    local x, frozen = co.randn({ n, height, width, 3 }, GPU), model:eval():freeze()
    step = function() frozen:forward(x) end
  end
  local seconds, host, launches = M.timed(bench, step)
  return { precision = precision, n = n, width = width, height = height, calls = calls, seconds = seconds, host = host,
    launches = launches, peak = used() }
end

--- line(bench, stage, n, width, height, precision, calls): measures the default network in "inference" or "training",
-- as they are done, a CUDA graph from the third time on (calls: training call by call), prints it and puts it under
-- `name` or the stage's.
function M.line(bench, stage, n, width, height, precision, calls, name)
  local row = co.tidy(measure, bench, stage, n, width, height, precision, calls)
  core.tf32(false)
  bench.put(name or stage, row)
  bench.say("  %-8s batch %2d, %dx%d: %9.3f ms, host %8.3f ms, %5d launches, %5.2f GB at most, %.0f images/s%s",
    precision, n, width, height, row.seconds * 1e3, row.host * 1e3, row.launches, row.peak / 1e9, n / row.seconds,
    calls and ", call by call" or "")
end

return M
