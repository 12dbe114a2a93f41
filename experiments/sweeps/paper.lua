--- The paper's tables on a generated world, at quickstart's small size: every system there is, three seeds of those
-- that learn. `cohesiv sweep experiments/sweeps/paper.lua`, then `cohesiv report runs/paper`.
local sweep, worlds = require "cohesiv.sweep", require("cohesiv.tools.quickstart").worlds
local systems, small = require "experiments.sweeps.systems", require "experiments.quickstart"

local places = worlds(small, {})
local base = small { data = places.data, calibrate = { data = places.calibrate },
  evaluate = { data = places.evaluate } }
local list = systems(base, { 0, 1, 2 })

function list.prepare(all)
  if all[1].recipe.data == places.data then places.make() end -- not where data=PATH names another
end

return sweep.list(list)
