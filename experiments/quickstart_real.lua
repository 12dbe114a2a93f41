--- The main job on real video: moving cameras are the rule, so the background is fitted, and gaps follow the motion. No
-- frame of a clip with masks is trained on. The network is small and answers for every second pixel, so that minutes
-- hold many steps; it learns from a generated world first, and from pictures upon which another one's hands and
-- objects lie; it looks twice at a query, close to which attention counts more, and masks are cut out at the picture's
-- own pixels.
local base = require "experiments.cohesiv"
return base {
  name = "quickstart", size = { 320, 192 }, batch = 8, minutes = 12, epochs = 1000, held_out = true,
  pretrain = { clips = 150 },
  model = {
    encoder = "efficientnet_lite0", encoder_weights = "imagenet", decoder_widths = { 96, 64, 32, 16 },
    embedding_dim = 16, attention_dim = 16, position = true,
  },
  optim = { lr = 1e-3, schedule = "cosine", average = 0.99 },
  embedding = { means = "batch" },
  maps = {
    size = { 448, 256 }, gaps = "motion", background = "homography", temperature = 1, closeness = 4, sharpen = "cut",
    frames = 12,
  },
  person = { source = "parts" },
  augment = { crop = 0.4, colour = 0.3, paste = 0.3 },
  calibrate = { score = "posterior", pair = "union" },
  predict = { refine = true, zoom = 2, closeness = 0.25 },
}
