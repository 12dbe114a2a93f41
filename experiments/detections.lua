-- Supervised boxes that a detector has found: detections/NAME of the data folder (docs/data.md). Nothing is trained.
local base = require "experiments.supervised_box"
return base { name = "detections", model = { box_branch = false }, box = { source = "files" } }
