-- A colder softmax than the paper's: a temperature of 1 pixel.
local base = require "experiments.cohesiv"
return base { name = "temperature", maps = { temperature = 1 } }
