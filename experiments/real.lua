--- Learning on real video with the time that it takes: what experiments/quickstart_real.lua does, for longer.
return require "experiments.quickstart_real" { name = "real", minutes = 45, maps = { frames = 24 } }
