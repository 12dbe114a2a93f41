local base = require "experiments.cohesiv"
return base { name = "true_boxes", system = "true_boxes" }
