--- gpu.lua's part `speed`: what the card can do, every layer beside its bound, inference and training.
local co = require "cohesiv"
local columns = require "cohesiv.base.columns"
local core = require "cohesiv.core"
local layers = require "experiments.bench.layers"
local network = require "experiments.bench.gpu_network"

local timed = network.timed
local GPU = { device = "cuda" }
local PRECISIONS = { "float32", "tf32", "bf16", "fp16" }
local HALVES = { bf16 = "bfloat16", fp16 = "float16" }
-- Dense operations a second, 10^12, by the maker's papers (float32, TF32, halves); of others bytes alone are the bound.
local PEAKS = { H100 = { 67, 495, 989 }, H200 = { 67, 495, 989 }, A100 = { 19.5, 156, 312 },
  ["RTX 4090"] = { 82.6, 82.6, 165 } }

local function peak_of(bench, precision)
  local which = precision == "float32" and 1 or precision == "tf32" and 2 or 3
  for name, peaks in pairs(PEAKS) do
    if bench.device.label:find(name, 1, true) then return peaks[which] end
  end
end

local function ceilings(bench)
  local n = bench.small and 1 << 12 or 1 << 28
  local x = co.zeros(n, GPU)
  local t = timed(bench, function() return -x end)
  bench.bandwidth = 2 * 4 * n / t
  bench.say("  one number from each: %.2f TB/s read and written", bench.bandwidth / 1e12)
  bench.put("ceilings", { bytes_per_second = bench.bandwidth })
end

-- Every layer's forward pass and gradients alone, beside the larger of the bounds by products and by bytes.
local function each_layer(bench, precision)
  local n, size = bench.small and 1 or 10, bench.small and 8 or 256
  local model = bench.model():eval()
  local list = layers.unique(layers.noted(co.no_grad, model.forward, model, co.randn(n, size, size, 3)))
  core.tf32(precision == "tf32")
  local dtype, peak = HALVES[precision] or "float32", peak_of(bench, precision)
  local bytes_each = dtype == "float32" and 4 or 2
  local lines = { { "layer", "input", "count", "forward µs", "data", "weights", "bound µs", "forward of it" } }
  local sums = { 0, 0, 0, 0 }
  for i, layer in ipairs(list) do
    if bench.small and i > 3 then break end
    local row = co.tidy(function()
      local function random(...) return co.randn({ ... }, GPU):to(dtype) end
      local x = random(layer.n, layer.h, layer.w, layer.input)
      local skip = layer.up and layer.skip > 0 and random(layer.n, 2 * layer.h, 2 * layer.w, layer.skip) or nil
      local w = co.randn({ layer.output, layer.k, layer.k, (layer.input + (layer.skip or 0)) // layer.groups }, GPU)
      local function pass()
        if layer.up then return core.ops.upconv2d.call(x, w, skip) end
        return core.ops.conv2d.call(x, w, nil, layer.stride, layer.padding, layer.groups)
      end
      local y = co.no_grad(pass)
      local shape, elements = y.shape, 0
      for _, t in ipairs { x, w, y, skip } do
        local count = 1
        for _, s in ipairs(t.shape) do count = count * s end
        elements = elements + count
      end
      local bytes = elements * bytes_each
      local bound = math.max(bytes / bench.bandwidth, peak and layer.flops / (peak * 1e12) or 0)
      local times = { (timed(bench, function() return co.no_grad(pass) end)) }
      local dy = random(table.unpack(shape))
      for k, wanted in ipairs { x, w } do
        if not (k == 1 and layer.kind == "stem") then
          wanted.requires_grad = true
          times[k + 1] = (timed(bench, function()
            pass():backward(dy)
            wanted.grad = nil
          end)) - times[1]
          wanted.requires_grad = false
        end
      end
      return { layer = layer.text, kind = layer.kind, n = layer.n, h = layer.h, w = layer.w, count = layer.count,
        precision = precision, forward = times[1], data = times[2], weights = times[3], bound = bound, bytes = bytes,
        flops = layer.flops }
    end)
    bench.put("layers", row)
    local function us(t) return t and ("%.1f"):format(t * 1e6) or "" end
    lines[#lines + 1] = { layer.text, ("%dx%dx%d"):format(layer.n, layer.h, layer.w), tostring(layer.count),
      us(row.forward), us(row.data), us(row.weights), us(row.bound), ("x%.1f"):format(row.forward / row.bound) }
    for k, t in ipairs { row.forward, row.data or 0, row.weights, row.bound } do sums[k] = sums[k] + t * layer.count end
  end
  lines[#lines + 1] = { "all", "", "", ("%.0f"):format(sums[1] * 1e6), ("%.0f"):format(sums[2] * 1e6),
    ("%.0f"):format(sums[3] * 1e6), ("%.0f"):format(sums[4] * 1e6), ("x%.1f"):format(sums[1] / sums[4]) }
  bench.say("%s", columns(lines, 2))
  core.tf32(false)
end

return function(bench)
  local sizes = bench.small and { { 16, 8 } } or { { 256, 256 }, { 448, 256 } }
  local precisions = bench.small and { "float32" } or PRECISIONS
  bench.stage("ceilings", function() ceilings(bench) end)
  for _, pass in ipairs { { "training", { 10, 32 } }, { "inference", { 1, 10, 64 } } } do
    for _, size in ipairs(sizes) do
      for _, n in ipairs(bench.small and { 1 } or pass[2]) do
        for _, precision in ipairs(precisions) do
          bench.stage(("%s, batch %d, %dx%d, %s"):format(pass[1], n, size[1], size[2], precision), function()
            network.line(bench, pass[1], n, size[1], size[2], precision)
          end)
        end
      end
    end
  end
  if not bench.small then
    bench.stage("training, batch 10, 256x256, bf16, call by call", function()
      network.line(bench, "training", 10, 256, 256, "bf16", true)
    end)
  end
  for _, precision in ipairs(bench.small and { "float32" } or { "bf16", "float32", "tf32" }) do
    bench.stage("every layer alone, " .. precision, function() each_layer(bench, precision) end)
  end
end
