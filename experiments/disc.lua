local base = require "experiments.cohesiv"
return base { name = "disc", system = "disc" }
