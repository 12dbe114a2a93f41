--- What stands in the JSON files that users give: numbers, points and frame numbers in their usual spellings, and what
-- a message calls a value. What a file may hold is not said here (landmarks.lua, annotations.lua).
local json = require "cohesiv.base.json"
local warn = require "cohesiv.base.warn"
local error = require("cohesiv.core").error -- a line, whatever it quotes

local fields = {}

local SHOWN = 40 -- bytes of a text, and keys of an object, that a message shows
local EMPTY = "an empty list or object" -- JSON's [] and {} are one and the same once read
local MOST = 1e6 -- coordinates beyond it are none

--- fail(format, …): an error of one line, control bytes of names and texts written out.
function fields.fail(format, ...) error(warn.plain(format:format(...)), 0) end

--- absent(value): whether nothing is said: no such key, or null.
function fields.absent(value) return value == nil or value == json.null end

--- is_list(value): whether it is a list, the empty one too ({} of JSON looks like it).
function fields.is_list(value) return type(value) == "table" and (value[1] ~= nil or next(value) == nil) end

--- found(value): how a message calls it: null, 3, "text", a list, an object.
function fields.found(value)
  if fields.absent(value) then return "null" end
  if type(value) == "number" then return ("%.14g"):format(value) end
  if type(value) == "string" then
    if #value <= SHOWN then return '"' .. value .. '"' end
    return '"' .. value:sub(1, (utf8.offset(value, 0, SHOWN) or SHOWN) - 1) .. '…"'
  end
  if type(value) ~= "table" then return tostring(value) end
  return next(value) == nil and EMPTY or value[1] ~= nil and "a list" or "an object"
end

--- keys(object): its keys, sorted, for a message.
function fields.keys(object)
  local list = {}
  for key in pairs(object) do list[#list + 1] = tostring(key) end
  table.sort(list)
  local text = table.concat(list, ", ")
  if #text > 4 * SHOWN then text = text:sub(1, (utf8.offset(text, 0, 4 * SHOWN) or 1) - 1) .. "…" end
  return text ~= "" and text or "nothing"
end

--- number(value): a finite number, also one written as a text ("12.5"), else nil.
function fields.number(value)
  if type(value) == "string" then value = value:find "^[-+.%deE]+$" and tonumber(value) end
  if type(value) == "number" and value - value == 0 then return value end
  return nil
end

--- point(value): x, y of [x, y] or { "x": x, "y": y }, else nil.
function fields.point(value)
  if type(value) ~= "table" then return nil end
  local px, py = value[1], value[2]
  if px == nil then px, py = value.x, value.y end
  if #value > 2 then return nil end
  local x, y = fields.number(px), fields.number(py)
  if not (x and y) or x <= -MOST or x >= MOST or y <= -MOST or y >= MOST then return nil end
  return x, y
end

--- found_list(value): a list as it stands.
function fields.found_list(value)
  local words = {}
  for i = 1, math.min(#value, 5) do words[i] = fields.found(value[i]) end
  return ("[%s%s]"):format(table.concat(words, ", "), #value > 5 and ", …" or "")
end

--- found_point(value): how a message calls what is no point.
function fields.found_point(value)
  if type(value) ~= "table" then return fields.found(value) end
  if value[1] == nil then
    return next(value) == nil and EMPTY or ("an object of %s"):format(fields.keys(value))
  end
  return fields.found_list(value) .. (#value == 3 and " (with a third number: give x and y alone)" or "")
end

--- size(path, key, value): a number of pixels above 0 under this key of a file, nil where nothing is said.
function fields.size(path, key, value)
  if fields.absent(value) then return nil end
  local n = fields.number(value)
  if not n or n <= 0 or n > MOST then
    fields.fail("%s: expected a %s of 1 or more pixels, found %s", path, key, fields.found(value))
  end
  return n
end

--- frames(path, object): by frame number what stands under the keys of an object ("5", "000005"); the lowest and the
-- highest number (nil of an empty one) and by number its key.
function fields.frames(path, object)
  local by_number, names, low, high = {}, {}, nil, nil
  for key, value in pairs(object) do
    local n = type(key) == "string" and #key <= 15 and key:find "^%d+$" and math.tointeger(tonumber(key))
    if not n then
      fields.fail("%s: frames: expected frame numbers as keys, found %s", path, fields.found(key))
    end
    if names[n] then
      local a, b = names[n], key
      if b < a then a, b = b, a end
      fields.fail('%s: frames: expected frame %d once, found "%s" and "%s"', path, n, a, b)
    end
    by_number[n], names[n] = value, key
    low, high = math.min(low or n, n), math.max(high or n, n)
  end
  return by_number, low, high, names
end

return fields
