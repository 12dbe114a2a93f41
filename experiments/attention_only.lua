local base = require "experiments.cohesiv"
return base { name = "attention_only", loss = { embedding = 0 } }
