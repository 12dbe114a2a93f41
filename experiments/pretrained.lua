-- The encoder begins with ImageNet's weights, those that `cohesiv fetch efficientnet_lite0` gets.
local base, weights = require "experiments.from_scratch", require "cohesiv.base.weights"
return base { name = "pretrained", model = { encoder_weights = weights.folder() .. "/efficientnet_lite0.pth" } }
