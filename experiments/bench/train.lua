--- Times one training step: forward, both losses, backward, AdamW. One hand in each image.
--
-- usage: train.lua [-n BATCH] [--height H] [--width W] [--encoder E] [--widths W,W,W,W,W] [--threads T]
require("experiments.bench.contender").help(arg)

local network = dofile((arg[0]:match "^(.*)/" or ".") .. "/network.lua")

network.serve(network.step(network.options(arg)), 2)
