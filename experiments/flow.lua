local base = require "experiments.cohesiv"
return base { name = "flow", system = "flow" }
