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
  if of ~= key then
    local made = segmenter.from_file(weights.path(NAME))
    for _, names in ipairs { made.named_parameters, made.named_buffers } do
      for _, t in names(made) do t:keep() end -- it outlives the scope that happens to be open
    end
    network, of = made, key
  end
  return segmenter.mask(network, image)
end

return M
