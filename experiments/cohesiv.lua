--- The base recipe: every key that an experiment may change, with the method's values. Others derive from it:
--
--   return require "experiments.cohesiv" { name = "mine", maps = { temperature = 1 } }
--
-- Keys that are functions bring an experiment's own code: docs/experiments.md.

local recipe = require "cohesiv.train.recipe"
local encoders = require "cohesiv.nn.encoders"
local map_options = require "cohesiv.motion.map_options"
local optional, one_of, between = recipe.optional, recipe.one_of, recipe.between

return recipe.base {
  name = "cohesiv", -- the run folder's name
  -- What answers; the first three are trained. function(run) → system: one of your own.
  system = recipe.or_function(one_of("cohesiv", "predicted_query", "supervised_box", "responsibility", "flow",
    "saliency", "disc", "true_boxes")),
  data = recipe.paths(), -- the data folder, or a list of several
  size = { 448, 256 }, -- width, height of network, flow and maps: images are scaled to fit, padded right and bottom
  seed = 0,
  device = "cpu",
  precision = one_of("float32", "tf32", "bf16", "fp16"), -- of training's activations; halves on a GPU
  threads = optional "number", -- none: every CPU
  minutes = optional "number", -- wall-clock limit of training
  epochs = 100, -- at most
  batch = recipe.resolved(one_of(10, "auto"), "auto"), -- samples a step; auto: as many as fit into memory, at most 64
  limit_batches = optional "number", -- of an epoch, and of its validation; none: all
  overfit_batches = 0, -- so many are learnt by heart: not shuffled, not augmented, validated on themselves; 0: all data
  fast_dev_run = false, -- true: one batch of everything, to see whether it runs
  detect_anomaly = false, -- true: the op that makes a NaN is named; slower
  save_top_k = 1, -- epochs of which weights are kept: best.safetensors; of more than one also epoch-NNNN.safetensors
  pictures = 0, -- samples that are drawn after every epoch: validation-N.png in the run folder
  tensorboard = false, -- true: losses and pictures in an event file for TensorBoard, too
  validation = 0.1, -- share of the training clips that only the validation loss sees
  held_out = false, -- true: clips with masks are not trained on, whichever half they are of
  supervised = false, -- true: masks of the calibration half may serve as labels

  pretrain = { clips = 0, epochs = 3 }, -- clips of a generated world that COHESIV's network learns from first, 0: none;
  -- by the same losses and schedule, for as many minutes at most
  model = {
    encoder = one_of(table.unpack(encoders.names "se_resnext50_32x4d")),
    encoder_weights = optional "string", -- .safetensors, .npz, .pth or .pt; "imagenet": those that are fetched for it
    decoder_widths = { 256, 128, 64, 32, 16 }, -- five: maps of every pixel; four: of every second one; …
    embedding_dim = 64,
    attention_dim = 64,
    position = false, -- true: attention falls with the distance to the query, as the hand branch tells
    build = optional "function", -- (model): changes the network that was made
    query_branch = false, -- true: a third branch, which finds hands (predicted_query)
    box_branch = false, -- true: a branch of boxes (supervised_box)
  },
  loss = {
    responsibility = 10, embedding = 1, -- weights in the sum
    clamp = one_of("through", "hard"), -- through: scores outside (0, 1) get the gradients that lead back inside
    terms = recipe.named({ weight = 1, term = optional "function" }, "term"), -- NAME = { weight = w, function(out,
    -- batch, model) → scalar }
  },
  embedding = { normalise = true, scale = 10, epsilon = 1e-3, means = one_of("image", "batch") },
  optim = {
    lr = 1e-2,
    weight_decay = 1e-2,
    encoder_lr = optional "number", -- the encoder's rate; 0: it is frozen; none: lr
    accumulate = 1, -- batches whose gradients are averaged for a step
    clip = optional "number", -- of the norm of all gradients of a step
    warmup = 100, -- steps in which the rate rises from 0
    schedule = one_of("plateau", "constant", "cosine"), -- plateau: halves when the validation loss stands still …
    patience = 5, -- … for so many epochs,
    stop = 10, -- and training ends after so many
    average = 0, -- decay of a moving average of the weights, which is validated and kept as the best; 0: none
  },
  maps = map_options.with { -- gaps size temperature background fit targets closeness flow sharpen, and:
    tau = 0.5, -- responsibility above which a pixel is a held object …
    band = 0, -- … and pixels so near to tau are ignored
    frames = optional "number", -- of a clip are used, evenly spread; none: all that the method names
    quality = optional "number", -- least R.quality.score of frames that are trained on
    weighted = false, -- true: frames are seen as often as their scores tell
    edit = optional "function", -- (R, clip, n) → R: the maps that are learnt from
  },
  sample = { edit = optional "function" }, -- (sample, clip, n) → sample: what a frame is learnt from
  predict = {
    edit = optional "function", -- (maps, image, queries) → maps: what masks are made of
    refine = false, -- true: masks are cut out along outlines of the picture, where that is better on calibration data
    zoom = between(1, 1, 8), -- a second look at every query, so many times as large; 1: none
    closeness = between(0, 0, 8), -- attention is half as much so many widths of the picture from the query; 0: as it is
  },
  query = { -- of predicted_query
    run = recipe.resolved("auto", "auto"), -- the run of COHESIV whose network it stands on; auto: one with the same
    -- recipe in the same folder; where there is none, it is trained first
    share = 0.25, -- of COHESIV's epochs and minutes
    sigma = 0.17, -- of the Gaussians, in sides of a hand's box
  },
  box = { source = one_of("network", "files") }, -- of supervised_box; files: detections/NAME of the data folder
  on = { -- (training, …): called before a step (batch), after an epoch (its record), in the end
    step = optional "function", epoch = optional "function", finish = optional "function",
  },
  person = { source = one_of("auto", "network", "skin", "truth", "parts"), threshold = 0.5 }, -- auto: see clip:person
  augment = { flip = 0.5, scale = { 0.8, 1.25 }, rotate = 10, shift = 0.1, colour = 0.2, blur = 0.1, noise = 0.02,
    crop = 0, zoom = { 1, 2.5 }, -- probability of a window around a hand instead, so many times smaller
    paste = 0, join = 0 }, -- probabilities that another sample's hands and objects lie upon it, or stand beside it
  calibrate = {
    data = recipe.paths(), -- the folder whose masks thresholds are chosen on; none: half of the clips of `data`
    embeddings = 500, -- pixels behind each mean embedding
    steps = 100, -- thresholds tried per map
    score = one_of("cosine", "difference", "posterior"), -- difference: object minus person cosine, and the reverse;
    -- posterior: softmax of the three scaled cosines, as the embedding loss has it
    pair = one_of("union", "own"), -- own: Pair gets two thresholds of its own
  },
  evaluate = { data = recipe.paths() }, -- the folder that is reported; none: the other half
}
