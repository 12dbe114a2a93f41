--- The main job's small configuration on a generated world: an encoder without pretraining, a quarter of the pixels.
-- Person masks are the world's own: they stand for the person segmenter that the method takes for granted.
local base = require "experiments.cohesiv"
return base {
  name = "quickstart", size = { 224, 128 }, batch = 4, minutes = 8, epochs = 1000, validation = 0.05,
  model = { encoder = "resnet18", decoder_widths = { 64, 48, 32, 16, 16 }, embedding_dim = 16, attention_dim = 16 },
  optim = { lr = 1.5e-3, schedule = "cosine" },
  embedding = { means = "batch" },
  maps = { background = "homography", temperature = 1, closeness = 2, band = 0.15, sharpen = true, frames = 1 },
  person = { source = "truth" },
  calibrate = { score = "difference", pair = "own" },
}
