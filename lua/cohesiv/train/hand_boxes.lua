--- Samples of boxes, of the form of pseudo-labels (labels.lua), so that the loader and its augmentation take them: the
-- maps are what has a box, so that it follows whatever becomes of the picture. Of landmarks a map is a hand's filled
-- box; of masks two maps in turn are a hand and what it holds (empty: nothing), both with the hand's query point.
local core = require "cohesiv.core"
local tensor = require "cohesiv.tensor"
local scale = require "cohesiv.motion.scale"
local boxes, evaluate = require "cohesiv.hands.boxes", require "cohesiv.hands.evaluate"
local lists = require "cohesiv.base.lists"
local sample_files = require "cohesiv.train.sample_files"
local labels = require "cohesiv.train.labels"
local M = {}

local VERSION = "boxes 1"

-- A sample of maps H×W of 0 and 1 and points.
local function write(path, folder, clip, n, size, maps, points)
  local sc, list = clip:scale(size), {}
  for k, map in ipairs(maps) do list[k] = (map:to "float32" * 255 + 0.5):to "uint8" end
  core.sample_write(path, { image = clip:scaled(n, { size = size }), maps = tensor.stack(list, 3),
    person = tensor.zeros(sc.h, sc.w, { dtype = "uint8" }), points = core.tensor(points):to "float32",
    content = { sc.content_w, sc.content_h } }, folder)
end

local function key_of(clip, n, recipe, of)
  return table.concat({ VERSION, clip:key(n), n, recipe.size[1], recipe.size[2], of }, "\n")
end

-- ---- of landmarks ----
local function of_landmarks(clip, n, recipe)
  return key_of(clip, n, recipe, "hands\n" .. clip:hands_key()), function(path, folder)
    local sc, maps, points = clip:scale(recipe.size), {}, {}
    for k, hand in ipairs(clip:hands(n, { size = recipe.size })) do
      local box = hand.box
      local function within(x, most) return math.max(0, math.min(most - 1, x)) end
      for i = 1, 4 do box[i] = within(box[i], i % 2 == 1 and sc.content_w or sc.content_h) end
      maps[k], points[k] = boxes.fill(box, sc.w, sc.h), { (box[1] + box[3]) / 2, (box[2] + box[4]) / 2 }
    end
    write(path, folder, clip, n, recipe.size, maps, points)
  end
end

--- hands: the kind of samples of the frames that labels.lua names, by the boxes of their landmarks.
M.hands = { task = of_landmarks, survey = labels.survey }

-- ---- of masks ----
-- What a mask is, in a few numbers.
local function summary(mask)
  return ("%s %d"):format(table.concat({ core.outline.place(mask) }, " "), mask:to("float32"):sum():item())
end

local function of_masks(data)
  return function(clip, n, recipe)
    local masks = data:masks(clip.name, n)
    local seen = lists.map(masks.hand, function(hand, k)
      return summary(hand) .. (masks.object[k] and "\n" .. summary(masks.object[k]) or "\nnone")
    end)
    local points = {}
    for _, frame in ipairs(evaluate.frames(data, { clip.name })) do
      for k, query in ipairs(frame.n == n and frame.queries or {}) do points[k] = { query[1], query[2] } end
    end
    for _, p in ipairs(points) do seen[#seen + 1] = ("%g %g"):format(p[1], p[2]) end
    return key_of(clip, n, recipe, "masks\n" .. table.concat(seen, "\n")), function(path, folder)
      local sc, maps, all = clip:scale(recipe.size), {}, {}
      for k, hand in ipairs(masks.hand) do
        local point = scale.points(core.tensor { points[k] }:to "float32", sc):totable()[1]
        local object = masks.object[k]
        maps[2 * k - 1] = scale.picture(hand, sc)
        maps[2 * k] = object and scale.picture(object, sc) or tensor.zeros(sc.h, sc.w)
        all[2 * k - 1], all[2 * k] = point, point
      end
      write(path, folder, clip, n, recipe.size, maps, all)
    end
  end
end

--- calibration(recipe, given): the data folder (`given` in place of the recipe's) whose masks may be learnt from, and
-- the names of its clips that may: those on which thresholds are chosen.
function M.calibration(recipe, given)
  if given and not recipe.calibrate.data then return given, (evaluate.split(given)) end
  return evaluate.part({ recipe = recipe, name = recipe.name }, "calibrate")
end

--- masks(data, names): the kind of samples of the annotated frames of these clips, by their masks.
function M.masks(data, names)
  return { task = of_masks(data), survey = function()
    local frames, found = evaluate.frames(data, names), { clips = #data.clips, hands = #names, total = 0, wanted = {} }
    for _, frame in ipairs(frames) do
      local last = found.wanted[#found.wanted]
      if not last or last.name ~= frame.clip then
        last = { name = frame.clip, frames = {} }
        table.insert(found.wanted, last)
      end
      table.insert(last.frames, frame.n)
      found.total = found.total + 1
    end
    if found.total == 0 then
      core.refuse("supervised: expected annotated frames of clips to calibrate on in %s, found none",
        tostring(data.path))
    end
    return found
  end }
end

--- sample(kind, clip, n, recipe, wait), is_made(kind, clip, n, recipe), mend(kind, entry, data, recipe): as those of
-- labels.lua.
function M.sample(kind, clip, n, recipe, wait)
  local key, writer = kind.task(clip, n, recipe)
  return sample_files.get(key, writer, wait)
end

function M.is_made(kind, clip, n, recipe) return sample_files.is_made((kind.task(clip, n, recipe))) end

function M.mend(kind, entry, data, recipe)
  sample_files.mend(entry, data, function(clip, n) return kind.task(clip, n, recipe) end)
end

--- prepare(kind, data, recipe, most): { train, validation } of a kind of samples, made or found in the cache.
function M.prepare(kind, data, recipe, most)
  local found = kind.survey(data, recipe, most)
  return labels.split(sample_files.all(data, found.wanted, "boxes", function(clip, n, wait)
    return M.sample(kind, clip, n, recipe, wait)
  end), recipe)
end

return M
