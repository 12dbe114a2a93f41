--- Failures of a system, found by themselves and named by their kind: what went wrong at a query, from its masks and
-- the truth. The first kind that fits counts; KINDS is their order.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local tensor = require "cohesiv.tensor"
local scale = require "cohesiv.motion.scale"
local metrics = require "cohesiv.hands.metrics"
local M = {}

--- KINDS: name, and what it means.
M.KINDS = {
  { "nothing found", "the answer is (nearly) empty" },
  { "another hand", "the answer covers another hand and its object more than the one that was asked for" },
  { "hand and object exchanged", "more than half of one answer lies on the other's truth" },
  { "still object", "less than a fifth of the held object is covered, and the video does not show it move either" },
  { "object missed", "less than a fifth of the held object is covered" },
  { "object invented", "nothing is held, and an object of a quarter of the hand or more is answered" },
  { "hollow object", "holes in the answer are a seventh of the object or more" },
  { "far part", "a third of the object or more is missing, most of that further from the hand than a hand is large" },
  { "skin-coloured background", "a third of the answer or more is too much, most of that in the hand's colours" },
  { "halo", "a quarter of the answer or more is too much, most of that along the outline" },
  { "spilled into the background", "more than half of the answer is neither hand nor object nor arm" },
  { "only a part", "less than half of hand and object is covered" },
  { "ragged outline", "none of these: hand and object are found, their outline is not" },
}

local GOOD = 0.5 -- IoU of Pair from which an answer is no failure
local SMALL = 128 -- pixels of the long side that shapes and colours are looked at in
local MOVES = 0.3 -- mean responsibility of the hand for what moves with it

local function area(mask, ignore) return (metrics.overlap(mask, mask, ignore)) end

local function common(a, b, ignore) return (metrics.overlap(a, b, ignore)) end

-- What is in a mask and not in another.
local function without(a, b)
  return (core.ops.gt.call(a, 0):to "float32" * (1 - core.ops.gt.call(b, 0):to "float32")):to "uint8"
end

-- A mask with all that lies within so many pixels of it.
local function grown(mask, pixels)
  local h, w = mask.shape[1], mask.shape[2]
  local x = core.ops.gt.call(mask, 0):to("float32"):reshape { 1, h, w, 1 }
  while pixels > 0 do
    local step = math.min(pixels, 7)
    x, pixels = core.ops.max_pool2d.call(x, 2 * step + 1, 1, step, false), pixels - step
  end
  return x:reshape({ h, w }):to "uint8"
end

-- The pixels that a mask encloses.
local function holes(mask)
  local h, w, rows, stack = mask.shape[1], mask.shape[2], mask:totable(), {}
  local function visit(y, x)
    if y >= 1 and y <= h and x >= 1 and x <= w and rows[y][x] == 0 then
      rows[y][x] = -1 -- not enclosed
      stack[#stack + 1] = { y, x }
    end
  end
  for x = 1, w do
    visit(1, x)
    visit(h, x)
  end
  for y = 1, h do
    visit(y, 1)
    visit(y, w)
  end
  while #stack > 0 do
    local at = table.remove(stack)
    visit(at[1] - 1, at[2])
    visit(at[1] + 1, at[2])
    visit(at[1], at[2] - 1)
    visit(at[1], at[2] + 1)
  end
  return core.ops.eq.call(tensor.tensor(rows), 0):to "uint8"
end

-- The share of a mask's pixels that have the colours of another's, within two deviations.
local function like_colours(picture, mask, of)
  local colours = picture:to "float32"
  local function weights(m) return core.ops.gt.call(m, 0):to("float32"):reshape { m.shape[1], m.shape[2], 1 } end
  local w, n = weights(of), math.max(area(of), 1)
  local mean = (colours * w):sum(1):sum(1) / n
  local deviation = (((colours - mean):square() * w):sum(1):sum(1) / n):sqrt()
  local near = core.ops.le.call((colours - mean):abs() - deviation * 2 - 5, 0):to("float32"):min(3)
  return (near * weights(mask):select(3, 1)):sum():item() / math.max(area(mask), 1)
end

-- By the shape of what is missing and too much, and its colours: a number of KINDS or nil. Everything is small here.
local function by_shape(pair, object, truth, picture)
  local ignore, hand, held = truth.ignore, truth.hand, truth.object
  local size = math.sqrt(area(hand, ignore))
  local function pixels(sizes) return math.max(1, math.floor(sizes * size + 0.5)) end
  if held and object and common(holes(object), held, ignore) > area(held, ignore) / 7 then return 7 end
  if held then
    local missing = without(held, pair)
    local lost = area(missing, ignore)
    if lost > area(held, ignore) / 3 and common(missing, grown(hand, pixels(1)), ignore) < lost / 2 then return 8 end
  end
  local extra = without(pair, truth.pair)
  local much, answered = area(extra, ignore), area(pair, ignore)
  if picture and much > answered / 3 and like_colours(picture, extra, hand) > 0.5 then return 9 end
  if much > answered / 4 and common(extra, grown(truth.pair, pixels(0.25)), ignore) > 0.6 * much then return 10 end
end

-- masks and truth as evaluate.masks and evaluate.truth have them; of: see kind.
local function kind_of(masks, truth, q, of)
  local ignore, pair, target = truth.ignore, masks.Pair[q], truth.pair[q]
  local answered, wanted = area(pair, ignore), area(target, ignore)
  if answered < 0.02 * wanted or answered == 0 then return 1 end
  local hit = common(pair, target, ignore)
  for other, mask in pairs(truth.pair) do
    if other ~= q and common(pair, mask, ignore) > math.max(hit, 0.3 * answered) then return 2 end
  end
  local hand, object = masks.Hand and masks.Hand[q], masks.Obj and masks.Obj[q]
  local held = truth.object[q]
  if hand and object and held then
    local h, o = area(hand, ignore), area(object, ignore)
    if o > 0 and common(object, truth.hand[q], ignore) > 0.5 * o then return 3 end
    if h > 0 and common(hand, held, ignore) > 0.5 * h then return 3 end
  end
  if held and common(object or pair, held, ignore) < 0.2 * area(held, ignore) then
    local map = of.moving and of.moving()
    local mean = map and (map * held:to "float32"):sum():item() / math.max(area(held), 1)
    return mean and mean < MOVES and 4 or 5
  end
  if object and not held and area(object, ignore) > 0.25 * area(truth.hand[q], ignore) then return 6 end
  local h, w = pair.shape[1], pair.shape[2]
  local sc = scale.of(w, h, { math.min(w, SMALL), math.min(h, SMALL) })
  local function small(x) return x and (sc.s == 1 and x or scale.content(x, sc)) end
  local shape = by_shape(small(pair), small(object), { hand = small(truth.hand[q]), object = small(held),
    pair = small(target), ignore = small(ignore) }, small(of.picture))
  if shape then return shape end
  if common(pair, truth.all, ignore) < 0.5 * answered then return 11 end
  if hit < 0.5 * wanted then return 12 end
  return 13
end

--- kind(masks, truth, q, of): the name of what went wrong at the q-th query. of = { picture: the frame, moving: a
-- function that gives the hand's responsibility at the frame's size, nil where its hand was not found }, both may lack.
function M.kind(masks, truth, q, of)
  return tensor.tidy(function() return M.KINDS[kind_of(masks, truth, q, of or {})][1] end)
end

--- candidates(rows, most): the rows of Pair that are failures, worst first, at most so many.
function M.candidates(rows, most)
  local list = lists.map(rows, function(row) return row.task == "Pair" and row.iou < GOOD and row end)
  table.sort(list, function(a, b)
    if a.iou ~= b.iou then return a.iou < b.iou end
    if a.clip ~= b.clip then return a.clip < b.clip end
    if a.n ~= b.n then return a.n < b.n end
    return a.q < b.q
  end)
  return { table.unpack(list, 1, most) }, #list
end

return M
