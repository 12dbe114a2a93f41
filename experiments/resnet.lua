local base = require "experiments.cohesiv"
return base { name = "resnet", model = { encoder = "resnet50" } }
