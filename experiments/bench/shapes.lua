--- How fast every convolution of the network is, as a share of what the machine could do; a training step by kinds of
-- layers, beside PyTorch's where $COHESIV_PYTHON names a Python that has it; and how time grows with pixels and batch.
--
-- usage: shapes.lua [--encoder E] [-n BATCH] [--height H] [--width W] [--widths W,W,W,W,W] [--threads T] [--backward]
--        shapes.lua --sizes [--encoder E] [--widths …] [--threads T] [--out FILE.svg]
--
-- Without --encoder: all of them. A layer that occurs several times has one row. GFLOP count the multiplications of the
-- direct method, so Winograd's can be above the peak. Layers are timed alone, with warm caches and weights packed, the
-- step as it runs. On one thread layers take the processor's time, else the wall's. --backward adds the gradients of
-- inputs and of weights. --sizes: whole passes of the frozen network, and a chart of them.
require("experiments.bench.contender").help(arg)

local co = require "cohesiv"
local columns = require "cohesiv.base.columns"
local core = require "cohesiv.core"
local encoders = require "cohesiv.nn.encoders"
local kinds = require "experiments.bench.kinds"
local layers = require "experiments.bench.layers"

local folder = arg[0]:match "^(.*)/" or "."
local network = dofile(folder .. "/network.lua")

-- Takes the flags and --out out of the command line; the rest is network.options' business.
local function options()
  local flags, rest = {}, {}
  local i, threads = 1, false
  while arg[i] do
    local word = arg[i]
    if word == "--backward" or word == "--sizes" then flags[word:sub(3)] = true
    elseif word == "--out" then
      flags.out = arg[i + 1] or error("--out: expected a file, found none", 0)
      i = i + 1
    else
      rest[#rest + 1] = word
      threads = threads or word == "--threads"
    end
    i = i + 1
  end
  if not threads then table.move({ "--threads", tostring(core.threads()) }, 1, 2, #rest + 1, rest) end
  local o = network.options(rest)
  for name, value in pairs(flags) do o[name] = value end
  return o
end

local function say(format, ...)
  print(format:format(...))
  io.stdout:flush()
end

-- Milliseconds, GFLOP/s, share of the peak.
local function speed(flops, seconds, peak)
  if not seconds then return "", "", "" end
  return ("%.3f"):format(seconds * 1e3), ("%.1f"):format(flops / seconds / 1e9),
    ("%.0f %%"):format(100 * flops / seconds / peak)
end

local function layer_table(list, peak, with_backward)
  local passes = with_backward and { "forward", "data", "weights" } or { "forward" }
  local heads = { forward = "ms", data = "data ms", weights = "weights ms" }
  local lines = { { "kind", "layer", "input", "count", "GFLOP" } }
  for _, pass in ipairs(passes) do
    local head = lines[1]
    head[#head + 1], head[#head + 2], head[#head + 3] = heads[pass], "GFLOP/s", "peak"
  end
  local total = { flops = 0 }
  for _, layer in ipairs(list) do
    local line = { layer.kind, layer.text, ("%dx%dx%d"):format(layer.n, layer.h, layer.w), ("%d"):format(layer.count),
      ("%.3f"):format(layer.flops / 1e9) }
    for _, pass in ipairs(passes) do
      table.move({ speed(layer.flops, layer[pass], peak) }, 1, 3, #line + 1, line)
      total[pass] = (total[pass] or 0) + (layer[pass] or 0) * layer.count
    end
    total.flops = total.flops + layer.flops * layer.count
    lines[#lines + 1] = line
  end
  local line = { "all", "", "", "", ("%.3f"):format(total.flops / 1e9) }
  for _, pass in ipairs(passes) do table.move({ speed(total.flops, total[pass], peak) }, 1, 3, #line + 1, line) end
  lines[#lines + 1] = line
  return columns(lines, 3)
end

local function kind_table(ours, torchs)
  local lines = { { "kind", "ms", "share" } }
  if torchs then table.move({ "PyTorch ms", "share", "faster" }, 1, 3, 4, lines[1]) end
  local between = ours.step
  for _, kind in ipairs(layers.KINDS) do between = between - (ours[kind] or 0) end
  local function add(name, own, other)
    local line = { name, ("%.2f"):format(own * 1e3), ("%.1f %%"):format(100 * own / ours.step) }
    if other then
      line[4], line[5] = ("%.2f"):format(other * 1e3), ("%.1f %%"):format(100 * other / torchs.step)
      line[6] = own > 0 and ("x%.2f"):format(other / own) or ""
    end
    lines[#lines + 1] = line
  end
  for _, kind in ipairs(layers.KINDS) do
    local own, other = ours[kind] or 0, torchs and torchs[kind] or nil
    if own + (other or 0) > 0 then add(kind, own, other) end
  end
  add("between ops", between)
  add("step", ours.step, torchs and torchs.step)
  return columns(lines, 1)
end

local known = {} -- layers of several encoders are measured once

local function one(o, peak)
  local list
  co.tidy(function()
    local model = network.model(o):eval()
    local x = co.randn(o.n, o.height, o.width, 3)
    list = layers.unique(layers.noted(co.no_grad, model.forward, model, x))
  end)
  for _, layer in ipairs(list) do
    if not known[layer.key] then layers.measure(layer, o.backward) end
    local measured = known[layer.key] or layer
    layer.forward, layer.data, layer.weights = measured.forward, measured.data, measured.weights
    known[layer.key] = layer
  end
  say("\n%s, convolutions of a pass, %d x %d x %d:\n%s", o.encoder, o.n, o.height, o.width,
    layer_table(list, peak, o.backward))
  local ours = co.tidy(function() return kinds.ours(network.step(o)) end)
  collectgarbage()
  say("\n%s, a training step by kinds of layers:\n%s", o.encoder, kind_table(ours, kinds.torchs(o, folder)))
end

local o = options()
if o.sizes then
  require("experiments.bench.sizes")(o, network)
else
  local peak = core.system.peak() * 1e9 * core.threads()
  say("%s, %s, %d thread%s: peak %.1f GFLOP/s", core.system.cpu().name, core.system.cpu().isa, core.threads(),
    core.threads() > 1 and "s" or "", peak / 1e9)
  for _, encoder in ipairs(o.encoder and { o.encoder } or encoders.names "se_resnext50_32x4d") do
    o.encoder = encoder
    one(o, peak)
  end
end
