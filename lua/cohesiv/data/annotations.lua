--- Annotations: the queries and the hand-drawn masks of a clip, masks/NAME/ of a data folder. What queries.json and the
-- mask files beside it say of each other is checked here; what a mask picture may hold, where pictures are read.
--
--   queries.json: { "width": W, "height": H, "frames": { "FRAME": [{ "query": [x, y], "side", "object" }, …] } }
--   FRAME_handK.png, FRAME_objectK.png, FRAME_armK.png: of the K-th query (from 1) of that frame (from 0)
local core = require "cohesiv.core"
local fields = require "cohesiv.base.fields"
local json = require "cohesiv.base.json"
local names = require "cohesiv.data.names"
local warn = require "cohesiv.base.warn"

local annotations = {}

local absent, fail, found = fields.absent, fields.fail, fields.found

local function file_of(folder) return folder .. "/queries.json" end

-- ---- queries.json ----

local function text_of(where, key, expected, value)
  if absent(value) then return nil end
  return type(value) == "string" and value or fail("%s: %s: expected %s, found %s", where, key, expected, found(value))
end

local function query_of(where, k, q, width, height)
  where = ("%s: query %d"):format(where, k)
  if type(q) ~= "table" or absent(q.query) then
    fail("%s: expected query = [x, y], found %s", where, type(q) == "table" and fields.keys(q) or found(q))
  end
  local x, y = fields.point(q.query)
  if not x then fail("%s: expected query = [x, y] in pixels, found %s", where, fields.found_point(q.query)) end
  if width and (x < -0.5 or y < -0.5 or x > width - 0.5 or y > height - 0.5) then
    fail("%s: expected a point in the picture of %gx%g, found [%g, %g]", where, width, height, x, y)
  end
  return {
    x, y, index = k, side = text_of(where, "side", "left, right or null", q.side),
    object = text_of(where, "object", "a name or null", q.object),
  }
end

local function queries_of(where, value, width, height)
  if absent(value) then return {} end
  if type(value) == "table" and value.query ~= nil then value = { value } end
  if not fields.is_list(value) then fail("%s: expected a list of queries, found %s", where, found(value)) end
  local list = {}
  for k, q in ipairs(value) do list[k] = query_of(where, k, q, width, height) end
  return list
end

--- read(folder, name): the annotated frames of a clip, sorted by number: { clip, n, width, height, file, queries };
-- nil when the folder has no queries.json.
function annotations.read(folder, name)
  local path = file_of(folder)
  if not core.io.status(path) then return nil end
  local doc = json.read(path)
  if type(doc) ~= "table" or type(doc.frames) ~= "table" or doc.frames[1] ~= nil then
    fail("%s: expected { width, height, frames = { \"FRAME\": [queries] } }, found %s", path,
      type(doc) ~= "table" and found(doc) or doc.frames ~= nil and "frames = " .. found(doc.frames)
      or fields.is_list(doc) and found(doc) or "the keys " .. fields.keys(doc))
  end
  local width, height = fields.size(path, "width", doc.width), fields.size(path, "height", doc.height)
  if (width == nil) ~= (height == nil) then
    fail("%s: expected width and height, found the %s alone", path, width and "width" or "height")
  end
  local by_number, _, _, keys = fields.frames(path, doc.frames)
  local list = {}
  for n, value in pairs(by_number) do
    local where = ('%s: frames["%s"]'):format(path, keys[n])
    list[#list + 1] = { clip = name, n = n, width = width, height = height, file = path,
      queries = queries_of(where, value, width, height) }
  end
  table.sort(list, function(a, b) return a.n < b.n end)
  return list
end

--- check_clip(frame, clip): the points of a frame are in the clip's own pixels, so the sizes are the same.
function annotations.check_clip(frame, clip)
  if not frame.width or frame.width == clip.width and frame.height == clip.height then return end
  fail("%s: expected the clip's size of %dx%d, found %gx%g", frame.file, clip.width, clip.height, frame.width,
    frame.height)
end

-- ---- masks ----

local KINDS = { hand = true, object = true, arm = true }

local function key_of(n, kind, k) return ("%s %s %s"):format(n, kind, k) end

-- What a mask's file name means: its frame, kind and K, nil of another name. The frame is spelt as pictures are, or as
-- in queries.json.
local function meaning(file)
  local frame, kind, k, ending = file:match "^(.+)_(%l+)(%d+)(%.%w+)$"
  if not frame or not KINDS[kind] or ending:lower() ~= ".png" then return nil end
  local _, digits = names.numbered(frame .. ending)
  digits = digits or frame:match "^%d+$"
  if not digits or #digits > 15 or #k > 15 then return nil end
  return math.tointeger(tonumber(digits)), kind, math.tointeger(tonumber(k))
end

-- The mask files of a folder by what they mean.
local function files_in(folder)
  local files = {}
  for _, file in ipairs(core.io.status(folder) == "folder" and core.io.list(folder) or {}) do
    local n, kind, k = meaning(file)
    if n then
      local key = key_of(n, kind, k)
      if files[key] then
        fail("%s: expected one mask of frame %d, %s %d, found %s and %s", folder, n, kind, k, files[key], file)
      end
      files[key] = file
    end
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

-- The mask of this meaning, of the size that queries.json says; nil when there is none.
local function mask_of(folder, files, n, kind, k, frame)
  local file = files[key_of(n, kind, k)]
  if not file then return nil end
  local path = folder .. "/" .. file
  local mask = core.io.png_read(path, "mask")
  if frame and frame.width and (mask.shape[2] ~= frame.width or mask.shape[1] ~= frame.height) then
    fail("%s: expected a mask of %gx%g as queries.json says, found %dx%d", path, frame.width, frame.height,
      mask.shape[2], mask.shape[1])
  end
  return mask
end

local function frame_of(folder, n)
  for _, frame in ipairs(annotations.read(folder) or {}) do
    if frame.n == n then return frame end
  end
  return nil
end

--- mask(folder, n, kind, k): one mask, uint8 H×W of 0 and 1, nil when there is none.
function annotations.mask(folder, n, kind, k)
  return mask_of(folder, files_in(folder), n, kind, k, frame_of(folder, n))
end

-- Points are on their hands; one that is not may be of another resolution, or y before x.
local function check_point(path, frame, query, mask)
  local x, y = math.floor(query[1] + 0.5) + 1, math.floor(query[2] + 0.5) + 1
  if x >= 1 and y >= 1 and y <= mask.shape[1] and x <= mask.shape[2] and mask[{ y, x }] ~= 0 then return end
  warn.once(path, "%s: expected points on their hands, found query %d of frame %d at [%g, %g] outside of its hand mask",
    path, query.index, frame.n, query[1], query[2])
end

--- masks(folder, n): the masks of an annotated frame by query: { hand, object, arm }; every query has a hand.
function annotations.masks(folder, n)
  local masks, frame = { hand = {}, object = {}, arm = {} }, frame_of(folder, n)
  if not frame then return masks end
  local files = files_in(folder)
  for k, query in ipairs(frame.queries) do
    for kind, list in pairs(masks) do list[k] = mask_of(folder, files, n, kind, k, frame) end
    if not masks.hand[k] then
      fail("%s/%06d_hand%d.png: expected the hand mask of query %d of frame %d, found none", folder, n, k, k, n)
    end
    check_point(file_of(folder), frame, query, masks.hand[k])
    if (query.object == nil) ~= (masks.object[k] == nil) then
      local path = ("%s/%06d_object%d.png"):format(folder, n, k)
      warn.once(path, "%s: %s", path, query.object == nil
        and "expected no mask, as queries.json names no object, found one"
        or ("expected the mask of the object %s of queries.json, found none"):format(found(query.object)))
    end
  end
  return masks
end

return annotations
