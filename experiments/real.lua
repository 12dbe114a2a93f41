--- Learning on real video with the time that it takes: what experiments/quickstart_real.lua does, for longer, on twice
-- as many frames. Where a GPU has made the 15 epochs sooner, more of them gain nothing (docs/results.md).
return require "experiments.quickstart_real" { name = "real", minutes = 45, epochs = 15, maps = { frames = 24 } }
