--- The paper's tables on real video: `cohesiv sweep experiments/sweeps/paper_real.lua data=PATH`. No annotated clip is
-- trained on; one half of them chooses thresholds, the other is reported. Each row that learns does so for as many
-- minutes, chosen for all nine to take less than ninety on two cores.
local sweep, systems = require "cohesiv.sweep", require "experiments.sweeps.systems"
return sweep.list(systems(require "experiments.quickstart_real" { minutes = 11 }, { 0 }))
