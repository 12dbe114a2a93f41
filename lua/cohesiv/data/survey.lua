--- What a data folder is and how much it holds, of any layout: for `cohesiv data`. Nothing is written.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local tensor = require "cohesiv.tensor"
local adapters, shipped = require "cohesiv.data.adapters", require "cohesiv.data.shipped"
local M = {}

--- adapter(path): the adapter whose layout the folder at a path has, or nil.
function M.adapter(path)
  for _, adapter in ipairs(adapters) do
    if adapter.fits(path) then return adapter end
  end
end

--- missing(adapter, path): what belongs to the set and is not there, a list of texts that tell where it is to be had.
function M.missing(adapter, path)
  return adapter.parts and lists.map(shipped.missing(adapter, path), shipped.lacking) or {}
end

--- seen(data, name, n): of a frame, how it is drawn and counted: a list of { side, mask, held, object, box, held_box },
-- and of { mask, box } that are no hands.
function M.seen(data, name, n)
  if data.scene then
    local seen = data:scene(name, n)
    return seen.hands, seen.objects
  end
  local masks, hands = data:masks(name, n), {}
  for _, frame in ipairs(data:queries(name) or {}) do
    for k, query in ipairs(frame.n == n and frame.queries or {}) do
      hands[k] = { side = query.side, object = query.object, mask = masks.hand[k], held = masks.object[k] }
    end
  end
  return hands, {}
end

--- numbers(data, name): the frames of a clip that annotations are of.
function M.numbers(data, name)
  if data.numbers then return data:numbers(name) end
  return lists.map(data:queries(name) or {}, function(frame) return frame.n end)
end

local function add(counts, hands, objects)
  counts.hands = counts.hands + #hands
  local held = 0
  for _, hand in ipairs(hands) do
    if hand.held or hand.held_box then held = held + 1 end
    counts.masks = counts.masks + (hand.mask and 1 or 0) + (#objects == 0 and hand.held and 1 or 0)
  end
  for _, object in ipairs(objects) do counts.masks = counts.masks + (object.mask and 1 or 0) end
  counts.objects = counts.objects + math.max(#objects, #objects == 0 and held or 0)
end

--- count(data, quick, tick): { clips, frames, annotated (frames), hands, objects, masks }; objects are those that are
-- annotated by themselves, else those that hands hold. quick: the clips alone. tick(done, all) after every clip.
function M.count(data, quick, tick)
  local names = data.clips
  local counts = { clips = #names }
  if quick then return counts end
  counts.frames, counts.annotated, counts.hands, counts.objects, counts.masks = 0, 0, 0, 0, 0
  local annotated = lists.set(data.annotated)
  for i, name in ipairs(names) do
    if data.frame_count then
      counts.frames = counts.frames + data:frame_count(name)
    else
      local clip = data:clip(name)
      counts.frames = counts.frames + clip.frames
      clip:close()
    end
    for _, n in ipairs((data.numbers or annotated[name]) and M.numbers(data, name) or {}) do
      tensor.tidy(function()
        local hands, objects = M.seen(data, name, n)
        add(counts, hands, objects)
        if #hands + #objects > 0 then counts.annotated = counts.annotated + 1 end
      end)
    end
    if tick then tick(i, #names) end
    if core.system.stopped() then core.refuse "interrupted" end
  end
  return counts
end

return M
