--- The main job's small configuration on a generated world: an encoder without pretraining, an eighth of the pixels,
-- so that minutes hold many steps; flow and maps are made at twice the network's pixels and averaged.
-- Person masks are the world's own: they stand for the person segmenter that the method takes for granted.
local base = require "experiments.cohesiv"
return base {
  name = "quickstart", size = { 160, 96 }, batch = 8, minutes = 7, epochs = 1000, validation = 0.05,
  model = { encoder = "resnet18", decoder_widths = { 64, 48, 32, 16, 16 }, embedding_dim = 16, attention_dim = 16 },
  optim = { lr = 2e-3, schedule = "cosine", average = 0.99 },
  loss = { responsibility = 40, embedding = 3 },
  embedding = { means = "batch" },
  maps = {
    size = { 224, 128 }, background = "homography", temperature = 1, closeness = 2, band = 0.15, sharpen = true,
    frames = 1,
  },
  person = { source = "truth" },
  -- Few steps see each frame a few times only: mild changes do, stronger ones cost accuracy.
  augment = { scale = { 0.9, 1.1 }, rotate = 0, shift = 0.05, colour = 0.1, blur = 0, noise = 0 },
  calibrate = { score = "posterior", pair = "own" },
  predict = { refine = true, zoom = 1.4 }, -- at the pictures' own 224×128
}
