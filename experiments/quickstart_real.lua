--- The main job on real video: moving cameras are the rule, so the background is fitted, and gaps follow the motion.
local base = require "experiments.cohesiv"
return base {
  name = "quickstart", minutes = 24, epochs = 1000, batch = 4,
  model = { encoder = "mobilenet_v2", decoder_widths = { 96, 64, 32, 16, 16 }, embedding_dim = 16, attention_dim = 16 },
  optim = { lr = 1e-3, schedule = "cosine", average = 0.99 },
  embedding = { means = "batch" },
  maps = {
    gaps = "motion", background = "homography", temperature = 1, closeness = 2, sharpen = true, frames = 12,
  },
  calibrate = { score = "difference", pair = "own" },
}
