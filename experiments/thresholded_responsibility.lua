local base = require "experiments.cohesiv"
return base { name = "thresholded_responsibility", system = "responsibility" }
