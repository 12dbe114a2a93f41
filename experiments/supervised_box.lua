local base = require "experiments.cohesiv"
return base { name = "supervised_box", system = "supervised_box", supervised = true, model = { box_branch = true } }
