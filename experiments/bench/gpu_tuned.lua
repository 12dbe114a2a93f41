--- gpu.lua's part `tuned`: what co.autotune gains: inference and training in bf16 before, when cuDNN's suggestions were
-- measured for inference and for both gradients, and after what is compiled first was measured, too: convolutions with
-- sums and norms, in training.
local co = require "cohesiv"
local core = require "cohesiv.core"
local network = require "experiments.bench.gpu_network"

local function lines(bench, name, sizes)
  for _, size in ipairs(sizes) do
    local stage, n, side = table.unpack(size)
    bench.stage(("%s, %s, batch %d"):format(name, stage, n), function()
      network.line(bench, stage, n, side, side, bench.small and "float32" or "bf16", false, stage .. ", " .. name)
    end)
  end
end

local function tune(bench, name, n, side, train)
  bench.stage(("tuning, %s, batch %d"):format(name, n), function()
    local model = bench.model():to "cuda"
    model.precision = bench.small and "float32" or "bf16"
    local start = core.system.time()
    local rows, saved = co.autotune(model, { size = { side, side }, batch = n, training = train }), 0
    for _, row in ipairs(rows) do saved = saved + row.usual - row.seconds end
    bench.put("tuning", { name = name, n = n, seconds = core.system.time() - start, problems = #rows, saved = saved })
    bench.say("  %d problems in %.1f s, each once: %.3f ms less", #rows, core.system.time() - start, saved * 1e3)
  end)
end

return function(bench)
  local side = bench.small and 16 or 256
  local inference, training = { { "inference", 1, side } }, { { "training", bench.small and 1 or 10, side } }
  if not bench.small then inference[2] = { "inference", 10, side } end
  if not core.plans.label() then return bench.say "no cuDNN: nothing to tune" end
  lines(bench, "as it is", inference)
  lines(bench, "as it is", training)
  for _, size in ipairs(inference) do tune(bench, "inference", size[2], side, false) end
  lines(bench, "tuned", inference)
  tune(bench, "training", training[1][2], side, true)
  lines(bench, "tuned", training)
end
