local base = require "experiments.cohesiv"
return base { name = "embeddings_only", loss = { responsibility = 0 } }
