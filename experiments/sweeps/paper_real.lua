--- The paper's tables on real video: `cohesiv sweep experiments/sweeps/paper_real.lua data=PATH`. No annotated clip is
-- trained on; one half of them chooses thresholds, the other is reported. Each row that learns does so for as many
-- minutes, chosen for all nine to take less than ninety on two cores.
-- No package has ImageNet weights of resnet50, so that its row begins from random ones; where they are at hand, name
-- their file here.
local sweep, systems = require "cohesiv.sweep", require "experiments.sweeps.systems"
-- Thresholds of Pair are its own, as in the generated world: Attention only has no other, and is to be beaten fairly.
-- As in the paper, attention counts as the network gives it, nothing is learnt from another world first, and pictures
-- are not pasted upon each other.
local base = require "experiments.quickstart_real" { minutes = 11, pretrain = { clips = 0 }, augment = { paste = 0 },
  calibrate = { pair = "own" }, predict = { closeness = 0 } }
return sweep.list(systems(base, { 0 }, { resnet = { model = { encoder_weights = "random" } } }))
