-- The encoder of experiments/pretrained.lua with random weights.
local base = require "experiments.cohesiv"
return base { name = "from_scratch", model = { encoder = "efficientnet_lite0" } }
