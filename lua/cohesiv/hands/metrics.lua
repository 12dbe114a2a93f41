--- co.metrics: measures of masks, which are uint8 H×W (anything but 0 is in), at the image's own resolution. The loops
-- are in C (csrc/data/metrics*.c); which masks are compared, and how they are averaged, is evaluate.lua's.
local options = require "cohesiv.base.options"
local scale = require "cohesiv.motion.scale"
local core = require "cohesiv.core".metrics
local refuse = require("cohesiv.core").refuse

local metrics = {
  --- overlap(a, b, ignore?): pixels in both masks, and in either.
  overlap = core.overlap,
  --- over(first, t1, second?, t2?): the mask of the pixels where `first` > t1 and, when given, `second` > t2.
  over = core.over,
  --- contact(hand, object, reach = 0.02): pixels of either mask within `reach` times the diagonal of the hand's box of
  -- the other.
  contact = core.contact,
  --- table(first, second?, truth, ignore?, t1, t2?): IoU at every pair of thresholds, a float tensor n1×n2 for
  -- ascending lists.
  table = function(first, second, truth, ignore, t1, t2) return core.table(first, second, truth, ignore, t1, t2) end,
  --- disc(x, y, width, height): minus the distance to (x, y) over the width, H×W: a disc of radius r is what lies over
  -- −r / width.
  disc = core.disc,
  --- saliency(image): a classical saliency map of a uint8 image H×W×3, in [0, 1].
  saliency = core.saliency,
}

--- Intersection over union of two masks, pixels of `ignore` left out. Two empty masks agree: 1.
function metrics.iou(prediction, truth, ignore)
  local both, either = core.overlap(prediction, truth, ignore)
  return either == 0 and 1 or both / either
end

--- The union of a list of masks (or the maximum of a list of float maps), all of one shape.
function metrics.union(list)
  options.expect("metrics.union", "list tensors", list)
  if not list[1] then refuse "metrics.union: list: expected at least one mask, found none" end
  local joined = list[1]
  for i = 2, #list do joined = core.join(joined, list[i]) end
  return joined
end

--- The 95 % bootstrap interval of sum(sums) / sum(counts) over groups (clips). Options: draws (10,000), seed (0).
function metrics.interval(sums, counts, o)
  o = options.read("metrics.interval", o, { draws = 10000, seed = 0 })
  local low, high = core.bootstrap(sums, counts, o.draws, o.seed)
  return low, high
end

--- A float map of a scaled frame, padding included, brought back to the frame's own width × height by bilinear
--- interpolation (see scale.lua for where the frame lies in it). A map that is of that size already is returned.
function metrics.resize(map, width, height)
  options.expect("metrics.resize", "map tensor", map)
  options.whole("metrics.resize", "width", width, 1, 1 << 20)
  options.whole("metrics.resize", "height", height, 1, 1 << 20)
  if #map.shape ~= 2 then refuse("metrics.resize: map: expected HxW, found %s", options.show(map)) end
  local rows, columns = map.shape[1], map.shape[2]
  if rows == height and columns == width then return map end
  local sc = scale.of(width, height, { columns, rows })
  return core.resize(map, width, height, sc.s, sc.content_w, sc.content_h)
end

-- A list of f(0), f(1), … of as many steps as there are thresholds.
local function thresholds(what, low, high, steps, f)
  options.expect(what, "low number, high number", low, high)
  options.whole(what, "steps", steps, 0, 4096) -- what metrics.table takes
  local list = {}
  for i = 1, steps do list[i] = f(i - 1) end
  return list
end

--- Evenly spaced thresholds from `low` (included) to `high` (excluded).
function metrics.grid(low, high, steps)
  return thresholds("metrics.grid", low, high, steps, function(i) return low + (high - low) * i / steps end)
end

--- Thresholds in equal ratios from `low` to `high`, both included.
function metrics.ratios(low, high, steps)
  return thresholds("metrics.ratios", low, high, steps, function(i)
    if not (low > 0 and high > 0) then refuse("metrics.ratios: expected bounds above 0, found %s and %s", low, high) end
    return low * (high / low) ^ (i / math.max(steps - 1, 1))
  end)
end

return metrics
