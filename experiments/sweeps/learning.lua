--- What learning on real video owes to each of its parts: rows that lack one, or have another in its place, two seeds
-- each. `cohesiv sweep experiments/sweeps/learning.lua "data={A,B}" minutes=none epochs=6 limit_batches=63`, then
-- `cohesiv report runs/learning`: 378 steps, however many frames a row has. All but those `generated_first` begin with
-- the data, all but `pasted` learn from pictures as they are; in all but `closeness` attention counts as the network
-- gives it.
local sweep = require "cohesiv.sweep"
local base = require "experiments.quickstart_real"
local beside = require "experiments.examples.generated_beside"
local confident = require "experiments.examples.confident_maps"
local consistency = require "experiments.examples.flow_consistency"
local contrast = require "experiments.examples.contrast_queries"
local teacher = require "experiments.examples.mean_teacher"

-- Weights of encoders that cannot be fetched lie in the data folder.
local MOBILENET = (os.getenv "COHESIV_DATA" or "data") .. "/weights/mobilenet_v2_imagenet.safetensors"

local rows = {
  { name = "learning" },
  { name = "no_position", model = { position = false } },
  { name = "every_pixel", batch = 4, model = { decoder_widths = { 96, 64, 32, 16, 16 } } },
  { name = "no_windows", augment = { crop = 0 } },
  { name = "people_by_skin", person = { source = "auto" } },
  { name = "people_by_network", person = { source = "network" } }, -- that experiments/person.lua has trained
  { name = "maps_as_published", maps = { gaps = { -3, -2, -1, 1, 2, 3 }, background = "static", temperature = 2,
    closeness = 100, sharpen = false } },
  { name = "gaps_of_three", maps = { gaps = { -3, -2, -1, 1, 2, 3 } } },
  { name = "gaps_ahead", maps = { gaps = { 1, 2, 3 } } }, -- beside it
  { name = "levels", maps = { sharpen = "level" } },
  { name = "not_sharpened", maps = { sharpen = false } },
  { name = "walker", maps = { sharpen = "walker" } },
  { name = "frames_24", maps = { frames = 24 } },
  { name = "band", maps = { band = 0.15 } },
  { name = "quality", maps = { quality = 0.4 } },
  { name = "confident_maps", loss = { responsibility = confident.loss.responsibility, terms = confident.loss.terms } },
  { name = "embedding_times_4", loss = { embedding = 4 } },
  { name = "pasted", augment = { paste = 0.3 } },
  { name = "side_by_side", augment = { join = 0.3 } },
  { name = "weighted", maps = { weighted = true } },
  { name = "flow_consistency", loss = { terms = consistency.loss.terms } },
  { name = "mean_teacher", loss = { terms = teacher.loss.terms }, on = teacher.on },
  { name = "strong_colours", augment = { colour = 0.5, blur = 0.3, noise = 0.05 } },
  { name = "half_to_twice", augment = { scale = { 0.5, 2 } } },
  { name = "masks_as_they_are", predict = { refine = false } },
  { name = "one_look", predict = { zoom = 1 } },
  { name = "closeness", predict = { closeness = 0.25 } },
  { name = "pair_of_its_own", calibrate = { pair = "own" } },
  { name = "from_scratch", model = { encoder_weights = "random" } },
  { name = "frozen_encoder", optim = { encoder_lr = 0 } },
  { name = "mobilenet_v2", model = { encoder = "mobilenet_v2", encoder_weights = MOBILENET } },
  { name = "efficientnet_lite1", model = { encoder = "efficientnet_lite1" } },
  { name = "efficientnet_lite2", model = { encoder = "efficientnet_lite2" } },
  { name = "contrast_queries", loss = { terms = contrast.loss.terms } },
  { name = "generated_beside", loss = { terms = beside.loss.terms } },
  { name = "generated_first", pretrain = { clips = 300 } },
  { name = "raft", maps = { flow = "raft_small", frames = 2 } },
  { name = "frames_2", maps = { frames = 2 } }, -- beside it
  { name = "raft_generated_first", maps = { flow = "raft_small", frames = 2 }, pretrain = { clips = 300 } },
}

local list, plain = {}, base { pretrain = { clips = 0 }, augment = { paste = 0 }, predict = { closeness = 0 } }
for _, row in ipairs(rows) do list[#list + 1] = sweep.grid(plain(row), { seed = { 0, 1 } }) end
return sweep.list(list)
