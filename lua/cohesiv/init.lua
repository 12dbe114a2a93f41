--- The public module: `local co = require "cohesiv"`. Tensors are here at once; every other part is loaded when its
-- name is first used, so that a script pays only for what it touches. Sets no globals.
local tensor = require "cohesiv.tensor"

-- public name → module, and the field of it (none: the module itself)
local parts = {
  load = { "cohesiv.tensor.io", "load" }, save = { "cohesiv.tensor.io", "save" }, image = { "cohesiv.tensor.image" },
  data = { "cohesiv.data", "data" }, clip = { "cohesiv.data", "clip" }, flow = { "cohesiv.motion.flow" },
  homography = { "cohesiv.motion.homography" },
  responsibility = { "cohesiv.motion.responsibility", "responsibility" }, world = { "cohesiv.data.world", "world" },
  nn = { "cohesiv.nn" }, Function = { "cohesiv.tensor.function", "Function" },
  model = { "cohesiv.hands.model", "model" }, optim = { "cohesiv.optim" }, losses = { "cohesiv.nn.losses" },
  explore = { "cohesiv.tools.explore", "explore" },
  metrics = { "cohesiv.hands.metrics" }, viz = { "cohesiv.tools.viz" }, show = { "cohesiv.tools.show", "show" },
  profile = { "cohesiv.nn.profile", "profile" }, train = { "cohesiv.train.train", "train" },
  tune = { "cohesiv.nn.autotune", "tune" }, autotune = { "cohesiv.nn.autotune", "tune" },
  run = { "cohesiv.train.run", "run" },
  evaluate = { "cohesiv.train.evaluation", "evaluate" }, help = { "cohesiv.tools.help", "help" },
  weights = { "cohesiv.base.weights", "public" }, hands = { "cohesiv.motion.hands", "public" },
}

local co = setmetatable({}, {
  __index = function(self, name)
    local part = parts[name]
    if not part then return nil end
    local module = require(part[1])
    local value = part[2] and module[part[2]] or module
    rawset(self, name, value)
    return value
  end,
  __pairs = function(self) -- so that completion and help see all names
    for name in next, parts do local _ = self[name] end
    return next, self, nil
  end,
})

for name, f in pairs(tensor) do rawset(co, name, f) end

-- Pictures of tensors, maps and predictions.
local pictured = require "cohesiv.base.pictured"
pictured.class(require("cohesiv.core").methods)
pictured.draw = function() return require "cohesiv.tools.show" end

--- The version of this source tree.
rawset(co, "version", "0.1.0")

return co
