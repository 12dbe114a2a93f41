local base = require "experiments.cohesiv"
return base { name = "refined", predict = { refine = true } }
