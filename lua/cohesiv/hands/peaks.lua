--- Hands in a heat-map: the target that a query branch learns from (a Gaussian at the middle of every hand's box), its
-- peaks (non-maximum suppression), which become query points, and which of them is which hand of a list.
local core = require "cohesiv.core"
local tensor = require "cohesiv.tensor"
local options = require "cohesiv.base.options"
local scale = require "cohesiv.motion.scale"
local M = {}

--- target(list, width, height, sigma): the largest of the Gaussians of boxes { x0, y0, x1, y1 } (first and last pixel),
-- 1 at their middle, deviations of `sigma` sides: H×W×1; zeros without a box.
function M.target(list, width, height, sigma)
  local heat = tensor.zeros(height, width, 1)
  local x = tensor.arange(0, width):to("float32"):reshape { 1, width, 1 }
  local y = tensor.arange(0, height):to("float32"):reshape { height, 1, 1 }
  for _, box in ipairs(list) do
    local function bell(at, low, high)
      local deviation = math.max(sigma * (high - low + 1), 0.5)
      return (((at - (low + high) / 2) / deviation):square() * -0.5):exp()
    end
    heat = core.ops.maximum.call(heat, bell(y, box[2], box[4]) * bell(x, box[1], box[3]))
  end
  return heat
end

--- find(heat, { threshold = 0, radius = 1, most = 64 }): the peaks of a map H×W, the highest first: a list of { x, y,
-- score }, pixels from 0. A peak is over the threshold, no lower than its neighbours, and further than `radius` pixels
-- from every higher one.
function M.find(heat, o)
  o = options.read("peaks", o, { threshold = 0, radius = 1, most = options.integer(64) })
  local h, w = heat.shape[1], heat.shape[2]
  heat = heat:contiguous()
  local around = core.ops.max_pool2d.call(heat:reshape { 1, h, w, 1 }, 3, 1, 1, false):reshape { h, w }
  local top = core.ops.ge.call(heat, around):to "float32" * core.ops.gt.call(heat, o.threshold):to "float32"
  local list = {}
  for row, some in ipairs(top:max(2):totable()) do
    if some > 0 then
      local values = heat[row]:totable()
      for column, is in ipairs(top[row]:totable()) do
        if is > 0 then list[#list + 1] = { column - 1, row - 1, score = values[column] } end
      end
    end
  end
  table.sort(list, function(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a[2] < b[2] or a[2] == b[2] and a[1] < b[1]
  end)
  local kept = {}
  for _, p in ipairs(list) do
    local free = #kept < o.most
    for _, q in ipairs(kept) do free = free and (p[1] - q[1]) ^ 2 + (p[2] - q[2]) ^ 2 > o.radius ^ 2 end
    if free then kept[#kept + 1] = p end
  end
  return kept
end

--- match(points, hands, reach): which point is which hand, both lists of { x, y }: by hand its point's place, or nil.
-- Each point is one hand's; the nearest pair comes first; none is further apart than `reach`.
function M.match(points, hands, reach)
  local pairs_, of, taken = {}, {}, {}
  for i, p in ipairs(points) do
    for k, q in ipairs(hands) do
      local d = math.sqrt((p[1] - q[1]) ^ 2 + (p[2] - q[2]) ^ 2)
      if d <= reach then pairs_[#pairs_ + 1] = { d, k, i } end
    end
  end
  table.sort(pairs_, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return a[2] < b[2] or a[2] == b[2] and a[3] < b[3]
  end)
  for _, pair in ipairs(pairs_) do
    if not of[pair[2]] and not taken[pair[3]] then of[pair[2]], taken[pair[3]] = pair[3], true end
  end
  return of
end

local KNOWN = { threshold = 0.3, size = 0.15 } -- of a network whose peaks nobody has looked at

--- queries(model, image): the points that a network with a query branch predicts in a uint8 image H×W×3, a list of
-- { x, y, score } in its pixels, the surest first; and how large a hand is, in pixels. As model:queries(image).
function M.queries(model, image)
  local shape = core.is_tensor(image) and image.shape or {}
  if #shape ~= 3 or shape[3] ~= 3 or image.dtype ~= "uint8" then
    core.refuse("queries: expected a uint8 image HxWx3, found %s", options.show(image))
  end
  return tensor.tidy(function()
    local calibration = model.calibration or {}
    local known, sc = calibration.query or KNOWN, scale.of(image.shape[2], image.shape[1], calibration.size)
    local device, stride = model.device and model.device() or "cpu", model.stride
    local out = tensor.no_grad(model.forward, model, scale.picture(image, sc):to(device))
    local w, h = math.ceil(sc.content_w / stride), math.ceil(sc.content_h / stride)
    local heat = out.H:to("cpu"):to("float32")[{ { 1, h }, { 1, w }, 1 }]
    local size = known.size * math.sqrt(w * w + h * h)
    local list, unit = M.find(heat, { threshold = known.threshold, radius = size / 2 }), sc.s / stride
    for _, p in ipairs(list) do
      p[1] = math.min((p[1] + 0.5) / unit, image.shape[2]) - 0.5
      p[2] = math.min((p[2] + 0.5) / unit, image.shape[1]) - 0.5
    end
    return list, size / unit
  end)
end

return M
