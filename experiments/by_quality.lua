-- Frames are trained on if their maps look good without any truth (R.quality).
local base = require "experiments.cohesiv"
return base { name = "by_quality", maps = { quality = 0.3 } }
