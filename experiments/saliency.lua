local base = require "experiments.cohesiv"
return base { name = "saliency", system = "saliency" }
