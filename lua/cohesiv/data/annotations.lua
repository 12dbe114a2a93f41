--- Annotations: the queries and the hand-drawn masks of a clip, masks/NAME/ of a data folder. What queries.json and the
-- mask files beside it say of each other is checked here; what a mask picture may hold, where pictures are read.
--   queries.json: { "width": W, "height": H, "frames": { "FRAME": [{ "query": [x, y], "side", "object" }, …] } }
--   FRAME_handK.png, FRAME_objectK.png, FRAME_armK.png: of the K-th query (from 1) of that frame (from 0)
local core = require "cohesiv.core"
local kinds, lists, warn = require "cohesiv.base.kinds", require "cohesiv.base.lists", require "cohesiv.base.warn"
local document, names = require "cohesiv.data.document", require "cohesiv.data.names"
local annotations = {}

local absent, found = kinds.absent, kinds.found

local side_of = kinds.optional(kinds.of_type("string", "left, right or null"))
local object_of = kinds.optional(kinds.of_type("string", "a name or null"))

local function query_of(where, k, q, width, height)
  where = ("%s: query %d"):format(where, k)
  if type(q) ~= "table" then core.refuse("%s: expected query = [x, y], found %s", where, found(q)) end
  if absent(q.query) then core.refuse("%s: expected query = [x, y], found %s", where, kinds.keys(q)) end
  local x, y = document.point(q.query)
  if not x then core.refuse("%s: expected query = [x, y] in pixels, found %s", where, y) end
  if width and (x < -0.5 or y < -0.5 or x > width - 0.5 or y > height - 0.5) then
    core.refuse("%s: expected a point in the picture of %gx%g, found [%g, %g]", where, width, height, x, y)
  end
  local side, object = side_of(q.side, where .. ": side"), object_of(q.object, where .. ": object")
  return { x, y, index = k, side = side, object = object }
end

local function queries_of(where, value, width, height)
  if absent(value) then return {} end
  if type(value) == "table" and value.query ~= nil then value = { value } end
  if not kinds.is_list(value) then core.refuse("%s: expected a list of queries, found %s", where, found(value)) end
  return lists.map(value, function(q, k) return query_of(where, k, q, width, height) end)
end

--- read(folder, name): a clip's annotated frames by number, { clip, n, width, height, file, queries }; nil: no file.
function annotations.read(folder, name)
  local path = folder .. "/queries.json"
  if not core.io.status(path) then return nil end
  local doc, width, height = document.read(path, '{ width, height, frames = { "FRAME": [queries] } }', true)
  local frames, _, _, keys = document.by_number(path, doc.frames)
  local list = {}
  for n, value in pairs(frames) do
    local queries = queries_of(('%s: frames["%s"]'):format(path, keys[n]), value, width, height)
    list[#list + 1] = { clip = name, n = n, width = width, height = height, file = path, queries = queries }
  end
  table.sort(list, function(a, b) return a.n < b.n end)
  return list
end

--- check_clip(frame, clip): the points of a frame are in the clip's own pixels, so the sizes are the same.
function annotations.check_clip(frame, clip)
  if not frame.width or frame.width == clip.width and frame.height == clip.height then return end
  core.refuse("%s: expected the clip's size of %dx%d, found %gx%g", frame.file, clip.width, clip.height, frame.width,
    frame.height)
end

local KINDS = { hand = true, object = true, arm = true }

-- What a mask's name means: frame (spelt as pictures are, or as in queries.json), kind and K; nil of another name.
local function meaning(file)
  local frame, kind, k, ending = file:match "^(.+)_(%l+)(%d+)(%.%w+)$"
  if not frame or not KINDS[kind] or ending:lower() ~= ".png" then return nil end
  local _, digits = names.numbered(frame .. ending)
  digits = digits or frame:match "^%d+$"
  if not digits or #digits > 15 or #k > 15 then return nil end
  return math.tointeger(tonumber(digits)), kind, math.tointeger(tonumber(k))
end

-- What the mask files of a folder are called: files["FRAME hand K"].
local function files_in(folder)
  local files = {}
  for _, file in ipairs(core.io.status(folder) == "folder" and core.io.list(folder) or {}) do
    local n, kind, k = meaning(file)
    local key = n and ("%d %s %d"):format(n, kind, k)
    if key and files[key] then
      core.refuse("%s: expected one mask of frame %d, %s %d, found %s and %s", folder, n, kind, k, files[key], file)
    end
    if key then files[key] = file end
  end
  return files
end

--- check_files(folder, list): says which pictures of the folder belong to no query of `list`.
function annotations.check_files(folder, list)
  local counts = {}
  for _, frame in ipairs(list) do counts[frame.n] = #frame.queries end
  for _, file in ipairs(core.io.list(folder)) do
    local n, _, k = meaning(file)
    local path = folder .. "/" .. file
    if n and (k < 1 or k > (counts[n] or 0)) then
      warn.once(path, "%s: expected query %d of frame %d in queries.json, found none: the mask is not used", path, k, n)
    elseif not n and file:lower():find "%.png$" then
      warn.once(path, "%s: expected FRAME_handK.png, FRAME_objectK.png or FRAME_armK.png, found another name: not used",
        path)
    end
  end
end

-- mask_of(kind, k) gives the mask of the K-th query of frame n, nil when there is none; and frame n of queries.json.
local function masks_in(folder, n)
  local files, frame = files_in(folder), nil
  for _, other in ipairs(annotations.read(folder) or {}) do frame = other.n == n and other or frame end
  local function mask_of(kind, k)
    local file = files[("%s %s %s"):format(n, kind, k)]
    return file and document.mask(folder .. "/" .. file, frame or {}, " as queries.json says")
  end
  return mask_of, frame
end

--- mask(folder, n, kind, k): one mask, uint8 H×W of 0 and 1, nil when there is none.
function annotations.mask(folder, n, kind, k) return masks_in(folder, n)(kind, k) end

-- Points are on their hands; one that is not may be of another resolution, or y before x.
local function check_point(frame, query, mask)
  local x, y = math.floor(query[1] + 0.5) + 1, math.floor(query[2] + 0.5) + 1
  if x >= 1 and y >= 1 and y <= mask.shape[1] and x <= mask.shape[2] and mask[{ y, x }] ~= 0 then return end
  warn.once(frame.file, "%s: expected points on their hands, found query %d of frame %d at [%g, %g] outside of its "
    .. "hand mask", frame.file, query.index, frame.n, query[1], query[2])
end

--- masks(folder, n): the masks of an annotated frame by query: { hand, object, arm }; every query has a hand.
function annotations.masks(folder, n)
  local masks, mask_of, frame = { hand = {}, object = {}, arm = {} }, masks_in(folder, n)
  for k, query in ipairs(frame and frame.queries or {}) do
    for kind, list in pairs(masks) do list[k] = mask_of(kind, k) end
    local hand, object = masks.hand[k], masks.object[k]
    if not hand then
      core.refuse("%s/%06d_hand%d.png: expected the hand mask of query %d of frame %d, found none", folder, n, k, k, n)
    end
    check_point(frame, query, hand)
    local path = ("%s/%06d_object%d.png"):format(folder, n, k)
    if query.object and not object then
      warn.once(path, "%s: expected the mask of the object %s of queries.json, found none", path, found(query.object))
    elseif object and not query.object then
      warn.once(path, "%s: expected no mask, as queries.json names no object, found one", path)
    end
  end
  return masks
end

return annotations
