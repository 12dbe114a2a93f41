--- Pseudo-labels: which frames of a data folder are trained on, and the sample file of each (image, maps, person, query
-- points at the size of maps; the loader brings them to the network's), made once and kept in the cache. No mask is
-- ever opened here.
local core = require "cohesiv.core"
local tensor = require "cohesiv.tensor"
local cache = require "cohesiv.data.cache"
local sample_files = require "cohesiv.train.sample_files"
local extent, recipes = require "cohesiv.train.extent", require "cohesiv.train.recipe"
local lists, places = require "cohesiv.base.lists", require "cohesiv.base.places"
local warn = require "cohesiv.base.warn"
local flow_methods, scale = require "cohesiv.motion.flow_methods", require "cohesiv.motion.scale"
local map_options = require "cohesiv.motion.map_options"
local M = {}

--- version: of how samples are made, a part of their keys: raised whenever the same frame gives another one.
M.version = "sample 4"

local WINDOW, FIRST, LAST = 10, 3, 6 -- of every ten frames the 4th to the 7th (method, "Training frames")
local SHOWN = 5 -- clips that a warning names
local STILL = 0.5 -- pixels a frame, at the size of maps: a hand that moves less teaches nothing

local function centre(v) return v:mean(1):totable() end

-- Whether a hand moves, by the nearest one in a frame some gap away; where nobody is seen there, it does not.
local function moves(clip, n, sc)
  for _, hand in ipairs(clip:hands(n)) do
    local from = centre(hand.vertices)
    for _, gap in ipairs { -3, 3 } do
      local nearest, there = math.huge, n + gap
      for _, other in ipairs(there >= 0 and there < clip.frames and clip:hands(there) or {}) do
        local to = centre(other.vertices)
        nearest = math.min(nearest, math.sqrt((to[1] - from[1]) ^ 2 + (to[2] - from[2]) ^ 2))
      end
      if nearest < math.huge and nearest * sc.s / math.abs(gap) >= STILL then return true end
    end
  end
  return false
end

--- frames(clip, recipe): the numbers of the frames of a clip to train on; at most maps.frames, evenly spread.
function M.frames(clip, recipe)
  local sc, list, most = clip:scale(recipe.maps.size or recipe.size), {}, recipe.maps.frames
  tensor.tidy(function()
    for start = 0, math.max(clip.frames - WINDOW, 0), WINDOW do
      for n = start + FIRST, math.min(start + LAST, clip.frames - 1) do
        if #clip:hands(n) > 0 and moves(clip, n, sc) then list[#list + 1] = n end
      end
    end
  end)
  if not most or #list <= most then return list end
  local kept = {}
  for i = 1, most do kept[i] = list[(2 * i - 1) * #list // (2 * most) + 1] end
  return kept
end

-- Where masks of people come from, "parts" knowing of hands alone.
local function around(source) return source == "parts" and "auto" or source end

local IN = 0.4 -- what of a map is split into hand and object (csrc/motion/parts.h)

-- What moves with a hand, but is not what it holds, is the person's; elsewhere it is what `other` says, H×W.
local function person_by_parts(R, picture, map, other)
  local hands = map.shape[3] - 1
  if hands == 0 then return other end
  local _, object = core.responsibility.parts(R.scene, picture, map)
  local moving = core.ops.gt.call(map:narrow(3, 1, hands):max(3), IN):to "float32"
  return other * (1 - moving) + moving - object:to("float32"):max(1)
end

-- The function `edit` of a group of the recipe's; recipes of older runs lack it.
local function code_of(recipe, group)
  local keys = rawget(recipe, group)
  return keys and rawget(keys, "edit")
end

-- Raises unless sample.edit has given back a sample of this size; leaves it in the ranges of what is stored.
local function check_edited(edit, sample, sc)
  local function check(name, ...)
    local t, shape = type(sample) == "table" and sample[name], { ... }
    local fine = core.is_tensor(t) and #t.shape == #shape
    for i, n in ipairs(shape) do fine = fine and (n == 0 or t.shape[i] == n) end
    if fine then return t end
    core.refuse("sample.edit: %s%s: expected a tensor of %s, found %s", places.prefix(edit), name,
      (table.concat(shape, "x"):gsub("^0x", "hands x "):gsub("x0$", "xhands")), core.found(t))
  end
  local maps = check("maps", sc.h, sc.w, 0)
  check("points", 0, 2)
  if sample.points.shape[1] ~= maps.shape[3] then
    core.refuse("sample.edit: %spoints: expected one for each of %d maps, found %d", places.prefix(edit),
      maps.shape[3], sample.points.shape[1])
  end
  sample.image, sample.points = check("image", sc.h, sc.w, 3):to "uint8", sample.points:to "float32"
  sample.maps, sample.person = maps:to("float32"):clamp(0, 1), check("person", sc.h, sc.w):to("float32"):clamp(0, 1)
  sample.content = sample.content or { sc.content_w, sc.content_h }
  return sample
end

-- Whether a recipe asks how good maps are; recipes of older runs lack the keys.
local function scores(recipe) return rawget(recipe.maps, "quality") or rawget(recipe.maps, "weighted") end

-- The key of the score of the maps that the sample of `key` is made of.
local function score_key(key) return "quality 1\n" .. key end

local function write_sample(path, folder, clip, n, recipe, key)
  local R = clip:responsibility(n, map_options.of_recipe(recipe, recipe.device))
  local how, sc = { size = R.size, source = around(recipe.person.source) }, clip:scale(R.size)
  local full = map_options.map(recipe, R, clip, n):to "cpu"
  local image, person = clip:scaled(n, { size = R.size }), clip:person(n, how):to "float32"
  if recipe.person.source == "parts" then person = person_by_parts(R, image, full, person) end
  local map = full:narrow(3, 1, full.shape[3] - 1):contiguous()
  local points = lists.map(clip:hands(n), function(hand)
    return centre(scale.points(hand.vertices:to "float32", sc))
  end)
  if map.shape[3] ~= #points then
    core.refuse("%s, frame %d: expected a map for each of %d hands, found %d", clip.name, n, #points, map.shape[3])
  end
  local sample = { image = image, maps = map, person = person,
    points = core.tensor(points), content = { sc.content_w, sc.content_h } }
  local edit = code_of(recipe, "sample")
  if edit then sample = check_edited(edit, edit(sample, clip, n) or sample, sc) end
  sample.maps = (sample.maps * 255 + 0.5):to "uint8"
  sample.person = (sample.person * 255):to "uint8"
  core.sample_write(path, sample, folder)
  if scores(recipe) then -- while what they are made from is at hand
    cache.store("quality", score_key(key), core.tensor { R.quality.score })
  end
end

-- Everything that a sample depends on.
local function key_of(clip, n, recipe)
  local wanted = lists.set(map_options.recipe_keys())
  wanted.size = not recipe.maps.size
  for key in pairs(recipe.person) do wanted["person." .. key] = true end
  wanted["maps.edit"], wanted["sample.edit"] = true, true
  return table.concat({ M.version, clip:key(n), n, clip:hands_key(),
    clip:given_key(n) .. flow_methods.weights_key(recipe.maps.flow),
    clip:person_key(around(recipe.person.source)),
    table.unpack(recipes.assignments(recipe, wanted)) }, "\n")
end

-- The key of a frame's sample, and what writes it.
local function task(clip, n, recipe)
  local key = key_of(clip, n, recipe)
  return key, function(path, folder) write_sample(path, folder, clip, n, recipe, key) end
end

--- sample(clip, n, recipe, wait = true): the path of the frame's sample file, made unless it is there and whole, its
-- digest, and whether it was made. wait = false: nil when another process is making it.
function M.sample(clip, n, recipe, wait)
  local key, write = task(clip, n, recipe)
  return sample_files.get(key, write, wait)
end

--- is_made(clip, n, recipe): whether the frame's sample file is there.
function M.is_made(clip, n, recipe) return sample_files.is_made((key_of(clip, n, recipe))) end

--- mend(entry, data, recipe): makes a prepared entry's sample again, apart from random numbers; raises if it changed.
function M.mend(entry, data, recipe)
  sample_files.mend(entry, data, function(clip, n) return task(clip, n, recipe) end)
end

-- Every k-th clip validates, spread over the list; with a single clip its last frames do.
local function split(list, share)
  local train, validation, held = {}, {}, {}
  local order = lists.map(list, function(s, i) return (i == 1 or s.clip ~= list[i - 1].clip) and s.clip end)
  local step = share > 0 and math.max(2, math.floor(1 / share + 0.5)) or math.huge
  for i, name in ipairs(order) do held[name] = #order > 1 and i % step == (#order >= step and 0 or #order % step) end
  for _, s in ipairs(list) do table.insert(held[s.clip] and validation or train, s) end
  if #validation == 0 and #train > 1 and share > 0 then
    for _ = 1, math.max(1, math.floor(#train * share)) do table.insert(validation, 1, table.remove(train)) end
  end
  return { train = train, validation = validation }
end

-- "N of M clips …: a, b, c", once for a data folder.
local function tell(data, what, list, all)
  if #list == 0 then return end
  local shown = table.concat(list, ", ", 1, math.min(#list, SHOWN))
  warn.once(("labels\n%s\n%s"):format(what, data.path), "labels: %d of the %d clips in %s %s and are not trained on: "
    .. "%s%s", #list, all, tostring(data.path), what, shown, #list > SHOWN and ", …" or "")
end

--- split(list, recipe): a list of { clip, frame, … } as { train, validation }, as far as the recipe uses it.
function M.split(list, recipe) return extent.used(recipe, split(list, recipe.validation)) end

--- survey(data, recipe, most): what there is to train on: { clips = count, hands = count of those with landmarks,
-- total = count of frames, wanted = list of { name, frames } }. Tells which clips are passed over; fails when all are.
-- most: of frames; beyond two clips no more are looked at.
function M.survey(data, recipe, most)
  local found, bare, still, held = { clips = #data.clips, hands = 0, total = 0, wanted = {} }, {}, {}, {}
  local annotated = rawget(recipe, "held_out") and lists.set(data.annotated) or {} -- older recipes lack it
  for _, name in ipairs(data.clips) do
    local clip = data:clip(name)
    if annotated[name] then
      held[#held + 1] = name
    elseif clip:has_hands() then
      local frames = M.frames(clip, recipe)
      found.hands, found.total = found.hands + 1, found.total + #frames
      found.wanted[#found.wanted + 1] = { name = name, frames = frames }
      if #frames == 0 then still[#still + 1] = name end
    else
      bare[#bare + 1] = name
    end
    clip:close()
    if found.total >= (most or math.huge) and #found.wanted > 1 then break end
  end
  if found.total == 0 then
    local why = found.clips == 0 and "no clips in clips/"
      or ("%d clip%s, "):format(found.clips, found.clips == 1 and "" or "s")
        .. (#held == found.clips and "all with masks, which are held out"
          or found.hands == 0 and "none with landmarks (give hands_json/NAME.json)"
          or ("%d with landmarks, none of a hand that moves"):format(found.hands))
    core.refuse("labels: expected clips in %s with landmarks of a moving hand, found %s", tostring(data.path), why)
  end
  tell(data, "have no landmarks", bare, found.clips)
  tell(data, "show no moving hand", still, found.clips)
  return found
end

-- The score of the maps of a frame (R.quality), kept in the cache.
local function score_of(clip, n, recipe)
  return cache.get("quality", score_key(key_of(clip, n, recipe)), function()
    return tensor.tidy(function()
      local R = clip:responsibility(n, map_options.of_recipe(recipe, recipe.device))
      return core.tensor { R.quality.score }
    end)
  end):totable()[1]
end

local LITTLE = 0.01 -- the least weight of a frame

-- The samples, with weights where the recipe weighs them, whose maps are as good as maps.quality asks.
local function scored(list, data, recipe)
  if not scores(recipe) then return list end
  local least, most = rawget(recipe.maps, "quality") or 0, 0
  local clip
  local out = lists.map(list, function(entry)
    if not clip or clip.name ~= entry.clip then
      if clip then clip:close() end
      clip = data:clip(entry.clip)
    end
    local score = score_of(clip, entry.frame, recipe)
    if rawget(recipe.maps, "weighted") then entry.weight = math.max(score, LITTLE) end
    most = math.max(most, score)
    return score >= least and entry
  end)
  if clip then clip:close() end
  if #out == 0 then
    core.refuse("labels: maps.quality: expected frames whose maps have a score of %g or more, found %.2f at most",
      least, most)
  end
  return out
end

--- prepare(data, recipe): { train, validation }, lists of { clip, frame, path, digest }, made or found in the cache;
-- with maps.weighted each has a weight, too.
function M.prepare(data, recipe)
  local found = M.survey(data, recipe, extent.samples(recipe))
  local list = sample_files.all(data, found.wanted, "maps", function(clip, n, wait)
    return M.sample(clip, n, recipe, wait)
  end)
  return M.split(scored(list, data, recipe), recipe)
end

return M
