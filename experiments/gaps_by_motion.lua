-- Gaps by motion: on each side the smallest in which a hand moves enough to be told from the background.
local base = require "experiments.cohesiv"
return base { name = "gaps_by_motion", maps = { gaps = "motion" } }
