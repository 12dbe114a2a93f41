--- What a JSON file must hold, as data: kinds of values. A kind takes a value and its place in the file, gives back
-- what is to be used and raises `PLACE: expected …, found …` for any other. Knows no file and no run.
local core = require "cohesiv.core"
local json, lists = require "cohesiv.base.json", require "cohesiv.base.lists"
local kinds = {}

--- absent(value): whether nothing is said: no such key, or null.
function kinds.absent(value) return value == nil or value == json.null end

--- is_list(value): whether it is a list, the empty one too ({} of JSON looks like it).
function kinds.is_list(value) return type(value) == "table" and (value[1] ~= nil or next(value) == nil) end

--- found(value): how a message calls it: null, 3, "text", a list, an object.
function kinds.found(value)
  if kinds.absent(value) then return "null" end
  if type(value) == "number" then return ("%.14g"):format(value) end
  if type(value) ~= "table" then return core.found(value) end
  return next(value) == nil and "an empty list or object" or value[1] ~= nil and "a list" or "an object"
end

--- entries(value): the same, but a list as it stands.
function kinds.entries(value)
  if not kinds.is_list(value) or #value == 0 then return kinds.found(value) end
  local words = lists.map({ table.unpack(value, 1, math.min(#value, 5)) }, kinds.found)
  return ("[%s%s]"):format(table.concat(words, ", "), #value > 5 and ", …" or "")
end

--- keys(object): its keys, sorted, for a message: 160 bytes of them.
function kinds.keys(object)
  local text = table.concat(lists.keys(object), ", ")
  return #text > 160 and text:sub(1, utf8.offset(text, 0, 160) - 1) .. "…" or text ~= "" and text or "nothing"
end

--- kind(what, accept, found = kinds.found): values that accept(value) makes something of; found(value) names others.
function kinds.kind(what, accept, found)
  return function(value, place)
    local result = accept(value)
    if result == nil then core.refuse("%s: expected %s, found %s", place, what, (found or kinds.found)(value)) end
    return result
  end
end

--- optional(kind, default): what is absent is the default.
function kinds.optional(kind, default)
  return function(value, place)
    if kinds.absent(value) then return default end
    return kind(value, place)
  end
end

--- spelled(value): a finite number, also one written as a text ("12.5"), else nil.
function kinds.spelled(value)
  if type(value) == "string" then value = value:find "^[-+.%deE]+$" and tonumber(value) end
  return type(value) == "number" and value - value == 0 and value or nil
end

--- of_type(name, what): the kind of values of this Lua type, which messages call `what`.
function kinds.of_type(name, what)
  return kinds.kind(what, function(value) if type(value) == name then return value end end)
end

kinds.text = kinds.of_type("string", "a text")
kinds.number = kinds.of_type("number", "a number")
kinds.flag = kinds.of_type("boolean", "true or false")

--- A whole number.
kinds.whole = kinds.kind("a whole number", function(value)
  return type(value) == "number" and math.tointeger(value) or nil
end)

--- What fits in a line of metrics.jsonl.
kinds.scalar = kinds.kind("a number, a text, true or false", function(value)
  if type(value) ~= "table" and value ~= json.null then return value end
end)

-- JSON has one kind of number: whole ones become Lua integers again, so that they print as such.
function kinds.any(value)
  if type(value) == "table" then
    for k, v in pairs(value) do value[k] = kinds.any(v) end
  elseif math.type(value) == "float" then
    return math.tointeger(value) or value
  end
  return value
end

--- list(kind, least = 0, most): a list of values of one kind.
function kinds.list(kind, least, most)
  least, most = least or 0, most or math.huge
  return function(value, place)
    if not kinds.is_list(value) then core.refuse("%s: expected a list, found %s", place, kinds.found(value)) end
    if #value < least or #value > most then
      core.refuse("%s: expected %d to %g values, found %d", place, least, most, #value)
    end
    local list = {}
    for i, v in ipairs(value) do list[i] = kind(v, ("%s[%d]"):format(place, i)) end
    return list
  end
end

--- object({ field = kind }, joint = ".", all = false): an object without its nulls; fields that are not named may be
-- anything, and any may be absent unless `all` are wanted. The joint stands between its own place and a field's.
function kinds.object(fields, joint, all)
  joint = joint or "."
  return function(value, place)
    if type(value) ~= "table" or #value > 0 then
      core.refuse("%s: expected an object, found %s", place, kinds.found(value))
    end
    local object = {}
    for key, v in pairs(value) do
      local kind = fields[key]
      if v ~= json.null then object[key] = kind and kind(v, place .. joint .. key) or v end
    end
    for key in pairs(all and fields or {}) do
      if object[key] == nil then core.refuse("%s: expected a value, found none", place .. joint .. key) end
    end
    return object
  end
end

--- map(kind): an object of values of one kind.
function kinds.map(kind) return kinds.object(setmetatable({}, { __index = function() return kind end })) end

return kinds
