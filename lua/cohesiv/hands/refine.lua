--- Masks from maps and thresholds; refined, they follow the outlines of the picture (csrc/motion/refine.h). What a
-- network answers is smooth and coarse: the odds that a pixel is in, by both maps against their thresholds, are weighed
-- against the colours of what is in and out, and cut out along edges.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local scale = require "cohesiv.motion.scale"
local metrics = require "cohesiv.hands.metrics"
local M = {}

local LONG = 640 -- of the picture that masks are refined in
local LITTLE = 0.02 -- probabilities are taken to be between this and the rest of one

-- By how much odds of the first and of the second map are raised that refined masks are made of, in nats.
local FIRST, SECOND = { -1.2, -0.9, -0.6, -0.3, 0, 0.3, 0.6, 0.9, 1.2 }, { -1.2, 0, 1.2 }

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

-- The threshold below which odds lie that are below t once they are raised by `by`; scale: of logits, nil: of
-- probabilities.
local function lowered(t, by, scale_of_logits)
  if by == 0 then return t end
  return scale_of_logits and t - by / scale_of_logits or 1 / (1 + math.exp(by - logit_of(t)))
end

--- candidates(t, how): thresholds of refined masks to choose among, around t = { θ, θ' or nil }: lists, from high θ' to
-- low, of { θ, θ', 0 } from high θ to low. What is best for masks as the maps give them need not be for those that are
-- cut out.
function M.candidates(t, how)
  local logits = how.score ~= "posterior" and how.scale or nil
  return lists.map(t[2] and SECOND or { 0 }, function(b)
    return lists.map(FIRST, function(a) return { lowered(t[1], a, logits), t[2] and lowered(t[2], b) or -1, 0 } end)
  end)
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
