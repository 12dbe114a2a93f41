--- What a clip's JSON files (landmarks, annotations) have in common: the pictures' size, frames by number, points.
local core = require "cohesiv.core"
local json, kinds = require "cohesiv.base.json", require "cohesiv.base.kinds"
local document = {}

local MOST = 1e6 -- coordinates beyond it are none

local function pixels(path, key, value)
  if kinds.absent(value) then return nil end
  local n = kinds.spelled(value)
  if n and n > 0 and n <= MOST then return n end
  core.refuse("%s: expected a %s of 1 or more pixels, found %s", path, key, kinds.found(value))
end

--- read(path, what, keyed, doc?): the object in a file (or `doc`, which it means), with frames (keyed: an object of
-- them); its width and height, if any.
function document.read(path, what, keyed, doc)
  if doc == nil then doc = json.read(path) end
  local frames = type(doc) == "table" and doc.frames
  if type(frames) ~= "table" or keyed and frames[1] ~= nil then
    local named = type(doc) == "table" and not kinds.is_list(doc)
    core.refuse("%s: expected %s, found %s", path, what, not named and kinds.found(doc)
      or frames ~= nil and "frames = " .. kinds.found(frames) or "the keys " .. kinds.keys(doc))
  end
  local width, height = pixels(path, "width", doc.width), pixels(path, "height", doc.height)
  if (width == nil) ~= (height == nil) then
    core.refuse("%s: expected width and height, found the %s alone", path, width and "width" or "height")
  end
  return doc, width, height
end

--- by_number(path, object): values of keys "5" or "000005" by number; the highest, the lowest (or nil); keys by number.
function document.by_number(path, object)
  local frames, keys, high, low = {}, {}, nil, nil
  for key, value in pairs(object) do
    local n = type(key) == "string" and #key <= 15 and key:find "^%d+$" and math.tointeger(tonumber(key))
    if not n then core.refuse("%s: frames: expected frame numbers as keys, found %s", path, kinds.found(key)) end
    if keys[n] then
      local both = { key, keys[n] }
      table.sort(both)
      core.refuse('%s: frames: expected frame %d once, found "%s" and "%s"', path, n, both[1], both[2])
    end
    frames[n], keys[n] = value, key
    low, high = math.min(low or n, n), math.max(high or n, n)
  end
  return frames, high, low, keys
end

--- mask(path, size, said = ""): a picture's mask, uint8 H×W of 0 and 1, size.width × size.height if known (`said`
-- how).
function document.mask(path, size, said)
  local mask = core.io.png_read(path, "mask")
  local h, w = table.unpack(mask.shape)
  if size.width and (w ~= size.width or h ~= size.height) then
    core.refuse("%s: expected a mask of %gx%g%s, found %dx%d", path, size.width, size.height, said or "", w, h)
  end
  return mask
end

--- point(value): x, y of [x, y] or { "x": x, "y": y }; of anything else nil and how a message calls it.
function document.point(value)
  if type(value) ~= "table" then return nil, kinds.found(value) end
  local px, py = value[1], value[2]
  if px == nil then px, py = value.x, value.y end
  local x, y = kinds.spelled(px), kinds.spelled(py)
  if x and y and #value <= 2 and math.max(math.abs(x), math.abs(y)) < MOST then return x, y end
  if not kinds.is_list(value) then return nil, "an object of " .. kinds.keys(value) end
  return nil, kinds.entries(value) .. (#value == 3 and " (with a third number: give x and y alone)" or "")
end

return document
