--- co.nn: Module and the layers.
local M = { Module = require "cohesiv.nn.module" }
for name, f in pairs(require "cohesiv.nn.layers") do M[name] = f end
return M
