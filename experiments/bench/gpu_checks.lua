--- gpu.lua's part `checks`: what the GPU computes beside what the CPU computes and what reference files say.
local co = require "cohesiv"
local core = require "cohesiv.core"
local large = require "tests.large"
local network = require "tests.network"
local samples = require "tests.samples"
local scaling = require "cohesiv.train.scaling"

local FLOAT32, HALF = 1e-5, 2e-2 -- of the largest number
local SMALL = { "adamw", "batch_norm", "conv2d", "softmax", "sum" }

-- Inputs for the CPU, in float64 for convolutions (its float32 takes fewer products for them, at the cost of digits),
-- and for the GPU.
local function inputs_of(name, inputs, half)
  local here, there = inputs, {}
  if half then return samples.halves(name, inputs, half) end
  for i, t in ipairs(inputs) do there[i] = t and t:to "cuda" end
  if name:find "conv2d" then
    here = {}
    for i, t in ipairs(inputs) do here[i] = t and t:to "float64" end
  end
  return here, there
end

-- The largest difference as a share of the largest number, which counts as 0.1 at least.
local function difference(a, b)
  a, b = a:detach():to("float64"):reshape { -1 }, b:detach():to("cpu"):to("float64"):reshape { -1 }
  if #a == 0 then return 0 end
  local nan = a:ne(a)
  if nan:ne(b:ne(b)):sum():item() > 0 then return math.huge end
  if nan:sum():item() > 0 then a, b = co.where(nan, co.zeros(1, { dtype = "float64" }), a),
    co.where(nan, co.zeros(1, { dtype = "float64" }), b) end
  return (a - b):abs():max():item() / math.max(a:abs():max():item(), 0.1)
end

-- The largest difference over all samples of an op and its large case.
local function worst(bench, name, half)
  local most = 0
  local function one(inputs, args)
    local here, there = inputs_of(name, inputs, half)
    local plain = large.rounding(name, inputs)
    there = large.results(name, there, args, plain, half)
    for k, a in ipairs(large.results(name, here, args, plain, half)) do
      most = math.max(most, difference(a, there[k]))
    end
  end
  samples.each(name, false, function(inputs, args, variant)
    if not bench.small or variant == 0 then co.tidy(one, inputs, args) end
  end)
  local inputs, args = large.case(name)
  if inputs and not bench.small then co.tidy(one, inputs, args or {}) end
  return most
end

local function ops(bench, half)
  for _, name in ipairs(bench.small and SMALL or samples.names) do
    local ok, most = pcall(worst, bench, name, half)
    if not ok then bench.say("  %s: %s", name, most) end
    bench.check("ops " .. (half or "float32"), name, ok and most or math.huge, half and HALF or FLOAT32)
  end
end

local function references(bench)
  local folder = (os.getenv "COHESIV_DATA" or "") .. "/reference"
  local function reference(name)
    local ok, t = pcall(co.load, ("%s/%s.npz"):format(folder, name))
    if not ok then bench.say("  %s: %s", name, t) end
    return ok and t
  end
  local steps = reference "adamw"
  if steps then
    local p = steps.parameter:to("float32"):to "cuda"
    p.requires_grad = true
    local optimiser = co.optim.AdamW({ p }, { lr = 1e-2 })
    for k = 1, 3 do
      p.grad = steps.gradients[k]:to("float32"):to "cuda"
      optimiser:step()
      bench.check("references", "adamw, step " .. k, difference(steps.after[k], p), FLOAT32)
    end
  end
  for _, encoder in ipairs(bench.small and {} or { "resnet18", "mobilenet_v2", "se_resnext50_32x4d" }) do
    local ref = reference("network_" .. encoder)
    if ref then
      network.compare(ref, encoder, { "float32" }, nil, "cuda")
      bench.say("  %-44s agrees: maps, losses, gradients, statistics", encoder)
      bench.put("references", { what = encoder, good = true })
    end
  end
end

-- Losses of `count` steps of a network on one device; halves with a scaled loss.
local function losses(bench, count, device, precision)
  co.seed(3)
  local model = bench.small and bench.model() or co.model { encoder = "resnet18",
    decoder_widths = { 32, 16, 16, 8, 8 }, embedding_dim = 8, attention_dim = 8 }
  local n, size = bench.small and 1 or 4, bench.small and 8 or 64
  local x, R, label = co.randn(n, size, size, 3), co.rand(n, size, size), co.rand(n, size, size):gt(0.5) + 1
  local points = co.rand(n, 2) * (size - 1)
  model:to(device):train()
  model.precision = precision
  core.tf32(precision == "tf32")
  x, R, label, points = x:to(device), R:to(device), label:to(device), points:to(device)
  local scaled = precision == "fp16" and scaling.of(device) or nil
  local optimiser, list = co.optim.AdamW(model:parameters(), { lr = 1e-3 }), {}
  for i = 1, count do
    co.tidy(function()
      local out = bench.maps(model, x)
      local loss = co.losses.responsibility(out.Q, out.K, R, points) + co.losses.embedding(out.Z, label)
      optimiser:zero_grad()
      loss:backward(scaled and scaled.scale)
      optimiser:step(nil, scaled)
      list[i] = loss:detach():keep()
    end)
  end
  core.tf32(false)
  return co.stack(list):to("cpu"):totable()
end

local function training(bench)
  local count = bench.small and 2 or 100
  local cpu = losses(bench, count, "cpu", "float32")
  local function mean(list, first)
    local sum = 0
    for i = first, count do sum = sum + list[i] end
    return sum / (count - first + 1)
  end
  for _, precision in ipairs(bench.small and { "float32" } or { "float32", "tf32", "bf16", "fp16" }) do
    local own = losses(bench, count, "cuda", precision)
    local limit = precision == "float32" and 1e-4 or HALF
    for i = 1, count do
      if i == 1 or i % 20 == 0 then
        bench.say("  %-8s step %3d: %.5f, on the CPU %.5f", precision, i, own[i], cpu[i])
      end
    end
    bench.put("losses", { precision = precision, cpu = cpu, gpu = own })
    bench.check("training", precision .. ": the first loss", math.abs(own[1] - cpu[1]) / cpu[1], limit)
    local tenth = math.max(count - 9, 1) -- rounding grows with steps: ten together
    bench.check("training", precision .. ": the last ten", math.abs(mean(own, tenth) / mean(cpu, tenth) - 1), 0.1)
  end
end

return function(bench)
  bench.stage("ops and gradients, float32, beside the CPU", function() ops(bench) end)
  bench.stage("reference files", function() references(bench) end)
  bench.stage("steps of training beside the CPU", function() training(bench) end)
  bench.stage("ops and gradients, bfloat16, beside the CPU", function() ops(bench, "bfloat16") end)
end
