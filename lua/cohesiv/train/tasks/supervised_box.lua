--- The supervised baseline: boxes of hands, of what they hold, and contact, learnt from hand-drawn masks: those of the
-- calibration half, and of no other clip. Detections that are read from files (box.source) need no training.
local core = require "cohesiv.core"
local boxes = require "cohesiv.hands.boxes"
local extent, hand_boxes = require "cohesiv.train.extent", require "cohesiv.train.hand_boxes"
local M = { reads = true }

function M.is_trained(recipe) return recipe.box.source == "network" end

function M.check(recipe)
  if not recipe.supervised then
    core.refuse "supervised_box: expected supervised = true, since it learns from masks, found false"
  end
  if M.is_trained(recipe) and not recipe.model.box_branch then
    core.refuse "supervised_box: expected model.box_branch = true, found false"
  end
end

function M.names() return { "hand_box", "object_box", "contact" } end

function M.losses(model, _, batch)
  local out = model:forward(batch.image)
  local hand, object, contact = boxes.loss(out.B, batch.maps, batch.image_index)
  return out, { { 1, hand }, { 1, object }, { 1, contact } }
end

function M.open(recipe, given)
  local data, names = hand_boxes.calibration(recipe, given)
  local kind = hand_boxes.masks(data, names)
  return {
    data = data, recipe = recipe, survey = kind.survey,
    prepare = function() return hand_boxes.prepare(kind, data, recipe, extent.samples(recipe)) end,
    mend = function(entry) hand_boxes.mend(kind, entry, data, recipe) end,
    is_made = function(clip, n) return hand_boxes.is_made(kind, clip, n, recipe) end,
    start = function() end, finish = function() end,
  }
end

return M
