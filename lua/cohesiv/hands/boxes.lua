--- Boxes of hands and of what they hold, as a network answers them at a query: every pixel has nine numbers, the
-- corners of the two boxes as seen from the pixel and a logit of contact. Here: what the numbers mean, the loss against
-- masks, and boxes as masks. A box is { x0, y0, x1, y1 }, its first and last pixel.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local tensor = require "cohesiv.tensor"
local scale = require "cohesiv.motion.scale"
local M = {}

local ops = core.ops

--- channels: of the box branch.
M.channels = 9

local PARTS = 8 -- of the map's width: what one is, in the network's numbers
local BETA = 0.1 -- where the distance of corners turns from a square into itself

--- of(mask): the box of a map H×W, of what is at least one half; nil where nothing is.
function M.of(mask)
  local _, _, left, top, right, bottom = core.outline.place(ops.ge.call(mask:to "cpu", 0.5))
  return left and { left, top, right, bottom }
end

--- fill(box, width, height): its pixels as a map of 1 in 0, H×W; a corner beyond the picture is cut off.
function M.fill(box, width, height)
  local map = tensor.zeros(height, width)
  local x0, y0 = math.max(0, math.ceil(box[1] - 0.5)), math.max(0, math.ceil(box[2] - 0.5))
  local x1, y1 = math.min(width - 1, math.floor(box[3] + 0.5)), math.min(height - 1, math.floor(box[4] + 0.5))
  if x0 <= x1 and y0 <= y1 then map[{ { y0 + 1, y1 + 1 }, { x0 + 1, x1 + 1 } }] = 1 end
  return map
end

--- read(B, x, y): what a map h×w×9 says at a point (the nearest pixel): the hand's box, the object's, in the map's
-- pixels, and the probability of contact.
function M.read(B, x, y)
  local h, w = B.shape[1], B.shape[2]
  local function place(at, n) return math.max(1, math.min(n, math.floor(at + 1.5))) end
  local row, column = place(y, h), place(x, w)
  local v, unit = B[{ row, column }]:totable(), w / PARTS
  local function box(i)
    -- The outer edges of a box are half a pixel from its first and last one.
    return { column - 1 + v[i] * unit + 0.5, row - 1 + v[i + 1] * unit + 0.5, column - 1 + v[i + 2] * unit - 0.5,
      row - 1 + v[i + 3] * unit - 0.5 }
  end
  return box(1), box(5), 1 / (1 + math.exp(-v[9]))
end

--- at(model, image, points): what a network with a box branch answers at points { x, y } of a uint8 image H×W×3, all in
-- its pixels: a list of { hand, object, contact }, two boxes and the probability that the hand holds the object. As
-- model:boxes(image, points).
function M.at(model, image, points)
  local shape = core.is_tensor(image) and image.shape or {}
  if #shape ~= 3 or shape[3] ~= 3 or image.dtype ~= "uint8" then
    core.refuse("boxes: expected a uint8 image HxWx3, found %s", options.show(image))
  end
  options.expect("boxes", "points list", points)
  return tensor.tidy(function()
    local sc = scale.of(shape[2], shape[1], model.calibration and model.calibration.size)
    local out = tensor.no_grad(model.forward, model, scale.picture(image, sc):to(model.device()))
    local B, unit, list = out.B:to("cpu"):to "float32", sc.s / model.stride, {}
    local function own(box) -- edges lie half a pixel before the first and behind the last one
      return { box[1] / unit, box[2] / unit, (box[3] + 1) / unit - 1, (box[4] + 1) / unit - 1 }
    end
    for i, p in ipairs(points) do
      options.expect(("boxes: point %d"):format(i), "x number, y number", p[1], p[2])
      local hand, object, contact = M.read(B, (p[1] + 0.5) * unit - 0.5, (p[2] + 0.5) * unit - 0.5)
      list[i] = { hand = own(hand), object = own(object), contact = contact }
    end
    return list
  end)
end

-- Of corners h×w×4 against a box: distance and 1 − IoU, h×w×1.
local function apart(corners, box, unit)
  local edges = { box[1] - 0.5, box[2] - 0.5, box[3] + 0.5, box[4] + 0.5 }
  local target = tensor.tensor(edges, { device = corners.device })
  local d = ((corners - target) / unit):abs()
  local near = d:clamp(0, BETA)
  local distance = (near * (d - near / 2) / BETA):mean(3, true)
  local function corner(i) return corners:narrow(3, i, 1) end
  local function length(low, high) return (high - low):relu() end
  local both = length(ops.maximum.call(corner(1), edges[1]), ops.minimum.call(corner(3), edges[3]))
    * length(ops.maximum.call(corner(2), edges[2]), ops.minimum.call(corner(4), edges[4]))
  local own = length(corner(1), corner(3)) * length(corner(2), corner(4))
  local all = own + (edges[3] - edges[1]) * (edges[4] - edges[2]) - both
  return distance + 1 - both / (all + 1e-6)
end

--- loss(B, maps, image): of maps N×h×w×9 against pairs of masks M×h×w, a hand's and then that of what it holds
-- (empty: nothing), both of the picture image[m] (int32, from 1): means over the pixels of the hand, then over hands,
-- of the hand's box, the object's, and contact (cross entropy): three scalars.
function M.loss(B, maps, image)
  local sums, counts, unit = {}, { hand = 0, object = 0, contact = 0 }, B.shape[3] / PARTS
  local function add(name, value)
    sums[name], counts[name] = sums[name] and sums[name] + value or value, counts[name] + 1
  end
  local pictures, like = image:totable(), { device = B.device }
  for m = 1, maps.shape[1], 2 do
    local mask, held = maps[m], pictures[m + 1] == pictures[m] and maps[m + 1] or nil
    local box, object = M.of(mask), held and M.of(held)
    if box then
      local x, y, w, h = box[1], box[2], box[3] - box[1] + 1, box[4] - box[2] + 1
      local function cut(t) return t:narrow(1, y + 1, h):narrow(2, x + 1, w) end
      local inside = ops.ge.call(cut(mask), 0.5):to("float32"):reshape { h, w, 1 }
      inside = inside / inside:sum()
      local v = cut(B:select(1, pictures[m])):to "float32"
      local column = tensor.arange(x, x + w, like):to("float32"):reshape({ 1, w, 1 }):expand { h, w, 1 }
      local row = tensor.arange(y, y + h, like):to("float32"):reshape({ h, 1, 1 }):expand { h, w, 1 }
      local here = tensor.cat({ column, row, column, row }, 3)
      add("hand", (apart(here + v:narrow(3, 1, 4) * unit, box, unit) * inside):sum())
      if object then add("object", (apart(here + v:narrow(3, 5, 4) * unit, object, unit) * inside):sum()) end
      local logit = v:narrow(3, 9, 1)
      local entropy = logit:relu() + (1 + (-logit:abs()):exp()):log()
      if object then entropy = entropy - logit end
      add("contact", (entropy * inside):sum())
    end
  end
  local function mean(name)
    return sums[name] and sums[name] / counts[name] or (B:narrow(4, 1, 1) * 0):sum():to "float32"
  end
  return mean "hand", mean "object", mean "contact"
end

return M
