-- The encoder begins with ImageNet's weights, those that `cohesiv fetch efficientnet_lite0` gets.
local base = require "experiments.from_scratch"
return base { name = "pretrained", model = { encoder_weights = "imagenet" } }
