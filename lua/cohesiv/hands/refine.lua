--- Masks from maps and thresholds; refined, they follow the outlines of the picture (csrc/motion/refine.h). What a
-- network answers is smooth and coarse: the odds that a pixel is in, by both maps against their thresholds, are weighed
-- against the colours of what is in and out, and cut out along edges.
local core = require "cohesiv.core"
local scale = require "cohesiv.motion.scale"
local metrics = require "cohesiv.hands.metrics"
local M = {}

local LONG = 640 -- of the picture that masks are refined in
local LITTLE = 0.02 -- probabilities are taken to be between this and the rest of one

--- By how much odds are raised that refined masks are made of, in nats: what calibration chooses from.
M.shifts = { -2, -1, 0, 1, 2 }

local function logit(p)
  p = p:clamp(LITTLE, 1 - LITTLE)
  return (p / (1 - p)):log()
end

local function logit_of(p)
  p = math.max(LITTLE, math.min(1 - LITTLE, p))
  return math.log(p / (1 - p))
end

-- Log odds of a score against its threshold: posteriors are probabilities, cosines and their differences are logits
-- once they are scaled as in the loss.
local function odds_of(map, t, how)
  if how.score == "posterior" then return logit(map) - logit_of(t) end
  return (map - t) * how.scale
end

--- mask(picture, first, second, t, how): uint8 H×W of the picture's size: 1 where both maps (of the scaled frame, or of
-- the picture's size) are over their thresholds t = { θ, θ' }, or, where t has a third number, the mask refined with
-- odds raised by it. second: attention, or nil. how: { score, scale } of the first map (see predict.scores).
function M.mask(picture, first, second, t, how)
  local height, width = picture.shape[1], picture.shape[2]
  local function own(map, w, h) return map and metrics.resize(map, w, h) end
  if not t[3] then
    return metrics.over(own(first, width, height), t[1], own(second, width, height), second and t[2] or nil)
  end
  local long = math.max(width, height)
  local sc = scale.of(width, height, { math.max(1, math.min(width, width * LONG // long)),
    math.max(1, math.min(height, height * LONG // long)) })
  local w, h = sc.content_w, sc.content_h
  local small = (w ~= width or h ~= height) and scale.content(picture, sc) or picture
  local odds = odds_of(own(first, w, h), t[1], how)
  if second then odds = core.ops.minimum.call(odds, logit(own(second, w, h)) - logit_of(t[2])) end
  local refined = core.responsibility.refine(small, odds + t[3])
  return metrics.over(own(refined, width, height), 0.5)
end

return M
