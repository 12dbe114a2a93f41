--- co.nn: Module, the layers, their initial values (init), and hooks of gradients (watch). A layer is a function that
-- returns a Module; your own are Module.new() with parameters, children and a forward function. Images are N×H×W×C.
local M = {
  Module = require "cohesiv.nn.module",
  init = require "cohesiv.nn.initializers",
  watch = require("cohesiv.nn.hooks").watch,
}
for _, part in ipairs { "cohesiv.nn.layers", "cohesiv.nn.functional", "cohesiv.nn.tflite" } do
  for name, f in pairs(require(part)) do M[name] = f end
end
return M
