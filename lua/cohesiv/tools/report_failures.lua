--- Failures of a system, found by themselves and named by their kind: what went wrong at a query, from its masks and
-- the truth. The first kind that fits counts; KINDS is their order.
local lists = require "cohesiv.base.lists"
local metrics = require "cohesiv.hands.metrics"
local M = {}

--- KINDS: name, and what it means.
M.KINDS = {
  { "nothing found", "the answer is (nearly) empty" },
  { "another hand", "the answer covers another hand and its object more than the one that was asked for" },
  { "hand and object exchanged", "more than half of one answer lies on the other's truth" },
  { "object missed", "less than a fifth of the held object is covered" },
  { "object invented", "nothing is held, and an object of a quarter of the hand or more is answered" },
  { "spilled into the background", "more than half of the answer is neither hand nor object nor arm" },
  { "only a part", "less than half of hand and object is covered" },
  { "ragged outline", "none of these: hand and object are found, their outline is not" },
}

local GOOD = 0.5 -- IoU of Pair from which an answer is no failure

local function area(mask, ignore) return (metrics.overlap(mask, mask, ignore)) end

local function common(a, b, ignore) return (metrics.overlap(a, b, ignore)) end

-- masks and truth as evaluate.masks and evaluate.truth have them.
local function kind_of(masks, truth, q)
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
  if held and common(object or pair, held, ignore) < 0.2 * area(held, ignore) then return 4 end
  if object and not held and area(object, ignore) > 0.25 * area(truth.hand[q], ignore) then return 5 end
  if common(pair, truth.all, ignore) < 0.5 * answered then return 6 end
  if hit < 0.5 * wanted then return 7 end
  return 8
end

--- kind(masks, truth, q): the name of what went wrong at the q-th query.
function M.kind(masks, truth, q) return M.KINDS[kind_of(masks, truth, q)][1] end

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
