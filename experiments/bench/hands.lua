-- How well and how fast hands are found: cohesiv experiments/bench/hands.lua DATA [CLIP …]
-- DATA is a data folder with clips/, and with hands_json/ of another program to compare with. Prints of every clip, and
-- of all together, how many hands of the files are found (boxes that share more than half), the mean and median
-- distance of their landmarks in per cent of the box's diagonal, and frames a second; and, where there are masks, how
-- many of the annotated hands are found: of some detection at least 60 % of the landmarks lie in the hand's mask, grown
-- by 4 pixels. What was found before is in the cache, and then no speed is printed.
local co = require "cohesiv"
local core = require "cohesiv.core"
local finder = require "cohesiv.motion.hands"
local palms = require "cohesiv.motion.palms"

local GROWN, SHARE, OVERLAP = 4, 0.6, 0.5

local root = assert(arg[1], "bench/hands.lua: expected a data folder")
local data = co.data(root)
local names = #arg > 1 and { table.unpack(arg, 2) } or data.clips

local function box_of(hand) return { x0 = hand.box[1], y0 = hand.box[2], x1 = hand.box[3], y1 = hand.box[4] } end

-- The distance of two hands in diagonals of the first one's box; nil where they are not one.
local function distance(a, b)
  if palms.overlap(box_of(a), box_of(b)) <= OVERLAP then return nil end
  local diagonal = math.sqrt((a.box[3] - a.box[1]) ^ 2 + (a.box[4] - a.box[2]) ^ 2)
  return (a.vertices - b.vertices):square():sum(2):sqrt():mean():item() / diagonal
end

-- Distances of the pairs of two lists, the nearest first, each hand once.
local function pairs_of(theirs, ours)
  local all, used, out = {}, {}, {}
  for _, a in ipairs(theirs) do
    for _, b in ipairs(ours) do
      local d = distance(a, b)
      if d then all[#all + 1] = { d, a, b } end
    end
  end
  table.sort(all, function(p, q) return p[1] < q[1] end)
  for _, p in ipairs(all) do
    if not used[p[2]] and not used[p[3]] then
      used[p[2]], used[p[3]] = true, true
      out[#out + 1] = p[1]
    end
  end
  return out
end

-- Whether a point lies within GROWN pixels of a mask, H×W of 0 and 1.
local function near(mask, x, y)
  local h, w = mask.shape[1], mask.shape[2]
  local px, py = math.floor(x + 0.5) + 1, math.floor(y + 0.5) + 1
  local x0, x1 = math.max(1, px - GROWN), math.min(w, px + GROWN)
  local y0, y1 = math.max(1, py - GROWN), math.min(h, py + GROWN)
  if x0 > x1 or y0 > y1 then return false end
  for i, row in ipairs(mask[{ { y0, y1 }, { x0, x1 } }]:totable()) do
    for j, value in ipairs(row) do
      if value > 0 and (x0 + j - 1 - px) ^ 2 + (y0 + i - 1 - py) ^ 2 <= GROWN ^ 2 then return true end
    end
  end
  return false
end

local function found_in(mask, hands)
  for _, hand in ipairs(hands) do
    local inside, points = 0, hand.vertices:totable()
    for _, p in ipairs(points) do inside = inside + (near(mask, p[1], p[2]) and 1 or 0) end
    if inside >= SHARE * #points then return true end
  end
  return false
end

local function summary(list)
  table.sort(list)
  local sum = 0
  for _, d in ipairs(list) do sum = sum + d end
  return #list > 0 and 100 * sum / #list or 0, #list > 0 and 100 * list[(#list + 1) // 2] or 0
end

local all, total, queries, found, found_by_them = {}, 0, 0, 0, 0

local function measure(name)
  local given, clip = data:clip(name), co.clip(data:clip(name).path)
  clip.hands_files = {}
  local began, looked, next = core.system.time(), 0, finder.tracker
  finder.tracker = function(...)
    looked = looked + 1
    return next(...)
  end
  if clip.frames > 0 then clip:hands(clip.frames - 1) end
  finder.tracker = next
  local seconds = core.system.time() - began
  local list, theirs = {}, 0
  co.tidy(function()
    for n = 0, clip.frames - 1 do
      local reference = given:hands_source() == "file" and given:hands(n) or {}
      theirs = theirs + #reference
      for _, d in ipairs(pairs_of(reference, clip:hands(n))) do list[#list + 1] = d end
    end
    for _, frame in ipairs(data:queries(name) or {}) do
      local masks = data:masks(name, frame.n)
      for k in ipairs(frame.queries) do
        queries = queries + 1
        found = found + (found_in(masks.hand[k], clip:hands(frame.n)) and 1 or 0)
        if given:hands_source() == "file" then
          found_by_them = found_by_them + (found_in(masks.hand[k], given:hands(frame.n)) and 1 or 0)
        end
      end
    end
  end)
  table.move(list, 1, #list, #all + 1, all)
  total = total + theirs
  local mean, median = summary(list)
  print(("%-32s %5d of %5d hands, mean %.2f %%, median %.2f %%%s"):format(name, #list, theirs, mean, median,
    looked > 0 and (", %.1f frames a second"):format(clip.frames / seconds) or ""))
  io.stdout:flush()
  clip:close()
  given:close()
end

co.no_grad(function()
  for _, name in ipairs(names) do measure(name) end
end)
local mean, median = summary(all)
print(("%-32s %5d of %5d hands, mean %.2f %%, median %.2f %%"):format("all", #all, total, mean, median))
print(("annotated hands: %d of %d found, %d by the files"):format(found, queries, found_by_them))
