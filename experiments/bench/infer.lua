--- Times the forward pass of the frozen network: Z, Q and K of images that are already normalised.
--
-- usage: infer.lua [-n BATCH] [--height H] [--width W] [--encoder E] [--widths W,W,W,W,W] [--threads T] [--dtype D]
require("experiments.bench.contender").help(arg)

local co = require "cohesiv"
local network = dofile((arg[0]:match "^(.*)/" or ".") .. "/network.lua")

local o = network.options(arg)
local model = network.model(o):eval()
if o.dtype then model:to(o.dtype) end
model = model:freeze()
local x = co.randn(o.n, o.height, o.width, 3)

network.serve(function() model:forward(x) end, 3)
