--- What learning on real video owes to each of its parts: rows that lack one, or have another in its place, all of as
-- many steps and two seeds. `cohesiv sweep experiments/sweeps/learning.lua "data={A,B}" minutes=none epochs=5`, then
-- `cohesiv report runs/learning`. Attention counts as the network gives it but in the row `closeness`.
local sweep = require "cohesiv.sweep"
local base = require "experiments.quickstart_real"
local beside = require "experiments.examples.generated_beside"
local consistency = require "experiments.examples.flow_consistency"
local contrast = require "experiments.examples.contrast_queries"
local teacher = require "experiments.examples.mean_teacher"

local rows = {
  { name = "learning" },
  { name = "no_position", model = { position = false } },
  { name = "every_pixel", batch = 4, model = { decoder_widths = { 96, 64, 32, 16, 16 } } },
  { name = "no_windows", augment = { crop = 0 } },
  { name = "people_by_skin", person = { source = "auto" } },
  { name = "maps_as_published", maps = { gaps = { -3, -2, -1, 1, 2, 3 }, background = "static", temperature = 2,
    closeness = 100, sharpen = false } },
  { name = "walker", maps = { sharpen = "walker" } },
  { name = "frames_24", maps = { frames = 24 } },
  { name = "band", maps = { band = 0.15 } },
  { name = "quality", maps = { quality = 0.4 } },
  { name = "embedding_times_4", loss = { embedding = 4 } },
  { name = "pasted", augment = { paste = 0.3 } },
  { name = "side_by_side", augment = { join = 0.3 } },
  { name = "weighted", maps = { weighted = true } },
  { name = "flow_consistency", loss = { terms = consistency.loss.terms } },
  { name = "mean_teacher", loss = { terms = teacher.loss.terms }, on = teacher.on },
  { name = "strong_colours", augment = { colour = 0.5, blur = 0.3, noise = 0.05 } },
  { name = "masks_as_they_are", predict = { refine = false } },
  { name = "one_look", predict = { zoom = 1 } },
  { name = "closeness", predict = { closeness = 0.25 } },
  { name = "pair_of_its_own", calibrate = { pair = "own" } },
  { name = "from_scratch", model = { encoder_weights = "random" } },
  { name = "efficientnet_lite1", model = { encoder = "efficientnet_lite1" } },
  { name = "efficientnet_lite2", model = { encoder = "efficientnet_lite2" } },
  { name = "contrast_queries", loss = { terms = contrast.loss.terms } },
  { name = "generated_beside", loss = { terms = beside.loss.terms } },
  { name = "raft", maps = { flow = "raft_small", frames = 4 } },
  { name = "frames_4", maps = { frames = 4 } }, -- beside it
}

local list, plain = {}, base { predict = { closeness = 0 } }
for _, row in ipairs(rows) do list[#list + 1] = sweep.grid(plain(row), { seed = { 0, 1 } }) end
return sweep.list(list)
