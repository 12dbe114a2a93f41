-- Another set of gaps, twice as wide: for hands that move slowly.
local base = require "experiments.cohesiv"
return base { name = "long_gaps", maps = { gaps = { -6, -4, -2, 2, 4, 6 } } }
