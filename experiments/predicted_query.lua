local base = require "experiments.cohesiv"
return base { name = "predicted_query", system = "predicted_query", model = { query_branch = true } }
