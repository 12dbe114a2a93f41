-- A moving camera: the background has a homography of its own, fitted outside of the hands.
local base = require "experiments.cohesiv"
return base { name = "moving_camera", maps = { background = "homography" } }
