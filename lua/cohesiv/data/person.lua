--- Where people are in a picture, by the segmenter whose weights are those of "person" (experiments/person.lua makes
-- them): read when first asked, again when the file has changed.
local weights = require "cohesiv.base.weights"
local segmenter = require "cohesiv.nn.segmenter"
local frames = require "cohesiv.data.frames"
local M = {}

local NAME = "person"
local network, of -- and the stamp of its file

--- present(): whether there are weights.
function M.present() return weights.has(NAME) end

--- key(): what identifies the weights, for caches.
function M.key() return frames.stamp(weights.path(NAME)) end

--- mask(image): of a picture uint8 H×W×3: uint8 H×W of 0 and 1.
function M.mask(image)
  local key = M.key()
  if of ~= key then network, of = segmenter.from_file(weights.path(NAME)), key end
  return segmenter.mask(network, image)
end

return M
