--- `require "cohesiv.sweep"` for sweep files: grid, random and list. See train/sweep.lua.
return require("cohesiv.train.sweep").public
