--- Responsibility maps of a frame of a clip: chooses gaps and brings vertices to the size of the flow; the computation
-- is responsibility.lua's. A clip is anything with frames, width, height, hands(n) and flow(n, gap, { size }).
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local scale = require "cohesiv.motion.scale"
local map_options, responsibility = require "cohesiv.motion.map_options", require "cohesiv.motion.responsibility"
local M = {}

-- The gaps of the choice by motion (csrc/motion/gaps.h), ascending.
local GAPS = { -12, -6, -3, -2, -1, 1, 2, 3, 6, 12 }

-- The hands' vertices, V×2 float64, in the pixels of the map.
local function scaled_hands(clip, n, sc)
  local list = {}
  for k, hand in ipairs(clip:hands(n)) do list[k] = scale.points(hand.vertices:detach():to "float64", sc) end
  return list
end

local function available(clip, n, gaps)
  local list = {}
  for _, gap in ipairs(gaps) do
    if math.type(gap) ~= "integer" or gap == 0 then
      core.refuse("clip:responsibility: gaps: expected integers other than 0, found %s", core.text(gap))
    end
    if n + gap >= 0 and n + gap < clip.frames then list[#list + 1] = gap end
  end
  return list
end

-- A hand in another frame: the nearest of as many vertices, within 1.5 hand sizes; detectors confuse sides.
local function same_hand(vertices, others)
  local low, high = vertices:min(1), vertices:max(1)
  local size = math.sqrt(math.max(0, (high[1] - low[1]) * (high[2] - low[2])))
  local best, nearest = false, 1.5 * size
  for _, other in ipairs(others) do
    if other.shape[1] == vertices.shape[1] then
      local d = (other - vertices):mean(1)
      local distance = math.sqrt(d[1] ^ 2 + d[2] ^ 2)
      if distance < nearest then best, nearest = other, distance end
    end
  end
  return best
end

local function landmark_targets(clip, n, gaps, hands, sc)
  local targets = {}
  for k in ipairs(hands) do targets[k] = {} end
  for g, gap in ipairs(gaps) do
    local others = scaled_hands(clip, n + gap, sc)
    for k, hand in ipairs(hands) do targets[k][g] = same_hand(hand, others) end
  end
  return targets
end

--- clip:responsibility(n, { gaps = {-3, -2, -1, 1, 2, 3} | "motion", size = {448, 256}, temperature = 2, background =
-- "static" | "homography" | "epipolar" | "auto", fit = { model = "homography", points = 500, robust = false },
-- targets = "flow" | "landmarks", closeness = nil, sharpen = false, flow = nil, device = "cpu" }): R of frame n at
-- `size`, padding included (it counts as background). background: what stands still moves with a plane (homography), or
-- as depth has it (epipolar: a fundamental matrix); "auto": what fits best, see R.background. sharpen: cut out along
-- colours and edges of the frame (true, "cut", "walker"), or levels set by a cut ("level"). flow: the method of
-- clip:flow. device: where flow is estimated and R made, and where R stays. Gaps that leave the clip are left out.
-- "motion": per hand and side up to three of the smallest gaps of {1, 2, 3, 6, 12} in which it moves at least 4 pixels
-- against the fitted background, or else the three of largest motion; the union is used for all hands. Hands whose
-- points do not determine the model get the next poorer one (see R.quality).
function M.responsibility(clip, n, given)
  if math.type(n) ~= "integer" or n < 0 or n >= clip.frames then
    core.refuse("clip:responsibility: frame: expected 0 to %d, found %s", clip.frames - 1, core.text(n))
  end
  local o = map_options.read("clip:responsibility", given, map_options.clip)
  local sc = scale.of(clip.width, clip.height, o.size)
  local hands = scaled_hands(clip, n, sc)
  local by_motion, wanted = o.gaps == "motion" and #hands > 0, o.gaps
  if wanted == "motion" then wanted = by_motion and GAPS or map_options.clip.gaps.default end
  local list, flow_of = available(clip, n, wanted), {}
  if not list[1] then
    core.refuse("clip:responsibility: gaps: expected one within the clip's %d frames, found none", clip.frames)
  end
  local how = { size = { sc.w, sc.h }, method = o.flow, device = o.device }
  local function flows(of)
    local missing = lists.map(of, function(gap) return not flow_of[gap] and gap end)
    local made = clip.flows and clip:flows(n, missing, how)
      or lists.map(missing, function(gap) return clip:flow(n, gap, how) end)
    for i, flow in ipairs(made) do flow_of[missing[i]] = flow:to(o.device) end
    return lists.map(of, function(gap) return flow_of[gap] end)
  end
  local content = { sc.content_w, sc.content_h }
  if by_motion then
    local scene = { flows = flows(list), hands = hands, content = content }
    local background = core.responsibility.background(scene, responsibility.background_threshold)
    list = core.responsibility.by_motion(list, core.responsibility.motion(scene, background))
  end
  local R = responsibility.responsibility {
    flows = flows(list), hands = hands, gaps = list, content = content,
    targets = o.targets == "landmarks" and landmark_targets(clip, n, list, hands, sc) or nil,
    temperature = o.temperature, background = o.background, closeness = o.closeness, fit = o.fit,
    sharpen = o.sharpen, picture = function() return clip:scaled(n, { size = how.size }) end,
  }
  R.frame = n
  return R
end

return M
