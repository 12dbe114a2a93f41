--- What a GPU computes and how fast, in parts of at most four minutes, each useful alone. Tables are printed
-- as they grow; FOLDER/gpu_PART.json has the same after every line.
--
-- usage: gpu.lua --part checks|speed|tuned|peer|launches [--out FOLDER] [--seconds S] [--small]
--
-- checks: ops and gradients, reference files (of $COHESIV_DATA) and a hundred steps beside the CPU's. speed: inference
-- and training in every precision, every layer of the network beside its bound. tuned: what co.autotune gains, and how
-- long it takes. peer: the same in PyTorch, by the
-- program $COHESIV_PEER (or ../prototypes/bench/peer_gpu.py beside $COHESIV_DATA) and $COHESIV_PYTHON (or python3).
-- launches: kernels that a training step starts, op by op, and what the host takes to ask for them; without a GPU by
-- the double of tests/cuda: COHESIV_CUDA_MODULE=build/cohesiv/cuda_on_cpu.so COHESIV_CUDA_IDLE=1. No stage begins
-- after S seconds (210). --small: tiny sizes, for tests without a GPU. A check that fails is printed, and the exit
-- status is 1.
require("experiments.bench.contender").help(arg)

local co = require "cohesiv"
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"

local o = { out = ".", seconds = 210 }
do
  local i = 1
  while arg[i] do
    local name = arg[i]:match "^%-%-(%l+)$"
    if name == "small" then o.small = true
    elseif (name == "part" or name == "out" or name == "seconds") and arg[i + 1] then
      o[name] = name == "seconds" and tonumber(arg[i + 1]) or arg[i + 1]
      i = i + 1
    else error("expected --part, --out or --seconds with a value, or --small, found " .. arg[i], 0) end
    i = i + 1
  end
end
local parts = { checks = true, speed = true, tuned = true, peer = true, launches = true }
if not parts[o.part] then
  error("--part: expected checks, speed, tuned, peer or launches, found " .. tostring(o.part), 0)
end

local device = (function()
  local versions, why = core.cuda()
  if versions and not why then
    co.zeros(1, { device = "cuda" })
    for _, d in ipairs(co.devices()) do if d.kind == "cuda" then return d end end
  end
  print("no GPU: " .. tostring(why))
  os.exit(0)
end)()

local started, results, path = core.system.time(), {}, ("%s/gpu_%s.json"):format(o.out, o.part)
local bench = { small = o.small, failures = 0, device = device }

--- model(): the network that is measured, on the CPU; small, a convolution. maps(model, x): what it gives.
function bench.model()
  return o.small and co.nn.Sequential { co.nn.ConvBN { 3, 8, 3, padding = 1, act = "relu" } } or co.model()
end

function bench.maps(model, x)
  local out = model:forward(x)
  return o.small and { Z = out, Q = out, K = out } or out
end

--- launches(): kernels that were started so far.
function bench.launches()
  for _, d in ipairs(co.devices()) do if d.kind == "cuda" then return d.launches end end
end

--- say(format, ...): a line, at once.
function bench.say(format, ...)
  print(format:format(...))
  io.stdout:flush()
end

--- put(stage, row): a row of a stage's table into the file, written whole or not at all.
function bench.put(stage, row)
  results[stage] = results[stage] or {}
  table.insert(results[stage], row)
  core.io.write_file(path, json.encode(results))
end

--- stage(name, f): f(), unless the time is up; an error is a row, and the next stage begins.
function bench.stage(name, f)
  if core.system.time() - started > o.seconds then return bench.say("skipped, out of time: %s", name) end
  bench.say("\n%s (after %.0f s)", name, core.system.time() - started)
  local ok, message = pcall(co.tidy, f)
  collectgarbage()
  if ok then return end
  bench.failures = bench.failures + 1
  bench.say("FAILED: %s", message)
  bench.put("failures", { stage = name, message = tostring(message) })
end

--- check(what, found, limit): a line, and a failure where found is above the limit or no number.
function bench.check(stage, what, found, limit)
  local good = found <= limit
  if not good then bench.failures = bench.failures + 1 end
  bench.put(stage, { what = what, found = found, limit = limit, good = good })
  bench.say("  %-44s %10.2e  (at most %.0e)%s", what, found, limit, good and "" or "  FAILED")
end

bench.say("%s\n%s", device.label, (core.cuda()))
results.device = { label = device.label, software = (core.cuda()) }
require("experiments.bench.gpu_" .. o.part)(bench)
bench.say("\n%.0f s, %d failed; %s", core.system.time() - started, bench.failures, path)
os.exit(bench.failures == 0 and 0 or 1, true)
