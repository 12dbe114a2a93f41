--- gpu.lua's part `launches`: kernels that a training step of the default network starts without a CUDA graph, op by
-- op, in batches of 10, 32 and 64, and the time that the host takes to ask for them, which with the idle double of
-- tests/cuda is all there is.
local co = require "cohesiv"
local columns = require "cohesiv.base.columns"
local training = require "experiments.bench.gpu_step"

-- Rows { op, pass, calls, launches } of what f() starts, the most first, and how many kernels there are in all.
local function counted(bench, f)
  local before, rows = bench.launches(), {}
  local profile = co.profile(f)
  local all = bench.launches() - before
  for _, row in ipairs(profile) do
    if row.launches > 0 then
      rows[#rows + 1] = { op = row.name, pass = row.pass, calls = row.calls, launches = row.launches }
    end
  end
  table.sort(rows, function(a, b)
    if a.launches ~= b.launches then return a.launches > b.launches end
    return a.pass .. a.op < b.pass .. b.op
  end)
  local rest = all
  for _, row in ipairs(rows) do rest = rest - row.launches end
  rows[#rows + 1] = { op = "outside ops", pass = "", calls = 0, launches = rest }
  return rows, all
end

-- Seconds that the host's CPU takes for f(), the median.
local function asked(f, rounds)
  local list = {}
  for i = 1, rounds do
    local start = os.clock()
    co.tidy(f)
    list[i] = os.clock() - start
    collectgarbage() -- not within
  end
  table.sort(list)
  return list[(rounds + 1) // 2]
end

-- A step of a batch of n pictures in this precision, as a stage.
local function stage(bench, n, side, precision)
  bench.stage(("a training step, batch %d, %dx%d, %s"):format(n, side, side, precision), function()
    co.seed(0)
    local model = co.model():to "cuda"
    model.precision = precision
    local step = training(model.forward, model, n, side, side)
    for _ = 1, 2 do co.tidy(step) end
    local rows, all = counted(bench, function() co.tidy(step) end)
    local lines = { { "op", "pass", "calls", "launches" } }
    for i, row in ipairs(rows) do
      lines[i + 1] = { row.op, row.pass, row.calls > 0 and tostring(row.calls) or "", tostring(row.launches) }
    end
    lines[#lines + 1] = { "all", "", "", tostring(all) }
    bench.say("%s", columns(lines, 2))
    local rounds = bench.small and 3 or 11
    local host = asked(step, rounds)
    bench.say("%d launches, %.2f ms of the host", all, host * 1e3)
    local graph = training(model.forward, model, n, side, side, true)
    for _ = 1, 3 do co.tidy(graph) end
    local before = bench.launches()
    co.tidy(graph)
    local started = bench.launches() - before
    local replayed = asked(graph, rounds)
    bench.say("as a graph: %d launches, %.2f ms of the host", started, replayed * 1e3)
    bench.put("launches", { precision = precision, n = n, side = side, launches = all, host = host, ops = rows,
      graph = { launches = started, host = replayed } })
  end)
end

return function(bench)
  for _, n in ipairs(bench.small and { 2 } or { 10, 32, 64 }) do
    for _, precision in ipairs { "float32", "bf16", "fp16" } do
      stage(bench, n, bench.small and 32 or 256, precision)
    end
  end
end
