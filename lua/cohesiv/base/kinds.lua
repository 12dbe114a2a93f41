--- What a JSON file must hold: kinds of values, which take a value and its name, give back what is to be used and raise
-- `NAME: expected …, found …` for any other. Knows no file and no run.
local json = require "cohesiv.base.json"
local warn = require "cohesiv.base.warn"
local error = require("cohesiv.core").error -- a line, whatever it quotes

local kinds = {}

local function found(value)
  if value == nil or value == json.null then return "null" end
  if type(value) == "string" then return '"' .. warn.plain(value:sub(1, 60)) .. '"' end
  if type(value) ~= "table" then return tostring(value) end
  return #value > 0 and "a list" or next(value) == nil and "nothing in it" or "an object"
end

local function refuse(name, what, value) error(("%s: expected %s, found %s"):format(name, what, found(value)), 0) end

local function simple(type_name, what)
  return function(value, name)
    if type(value) == type_name then return value end
    refuse(name, what, value)
  end
end

kinds.text = simple("string", "a text")
kinds.number = simple("number", "a number")
kinds.flag = simple("boolean", "true or false")

--- A whole number.
function kinds.whole(value, name)
  return type(value) == "number" and math.tointeger(value) or refuse(name, "a whole number", value)
end

--- What fits in a line of metrics.jsonl.
function kinds.scalar(value, name)
  if type(value) == "table" or value == json.null then refuse(name, "a number, a text, true or false", value) end
  return value
end

-- JSON has one kind of number: whole ones become Lua integers again, so that they print as such.
function kinds.any(value)
  if type(value) == "table" then
    for k, v in pairs(value) do value[k] = kinds.any(v) end
  elseif math.type(value) == "float" then
    return math.tointeger(value) or value
  end
  return value
end

local function place(name, k, joint) return type(k) == "number" and ("%s[%d]"):format(name, k) or name .. joint .. k end

--- list(kind, least = 0, most): a list of values of one kind.
function kinds.list(kind, least, most)
  return function(value, name)
    if type(value) ~= "table" or (#value == 0 and next(value) ~= nil) then refuse(name, "a list", value) end
    if #value < (least or 0) or #value > (most or math.huge) then
      error(("%s: expected %d to %g values, found %d"):format(name, least or 0, most or math.huge, #value), 0)
    end
    for i, v in ipairs(value) do value[i] = kind(v, place(name, i)) end
    return value
  end
end

-- The fields of an object; a null is none.
local function each(value, name, joint, change)
  if type(value) ~= "table" or #value > 0 then refuse(name, "an object", value) end
  for k, v in pairs(value) do
    if v == json.null then value[k] = nil else value[k] = change(k, v, place(name, k, joint)) end
  end
  return value
end

--- map(kind): an object of values of one kind.
function kinds.map(kind)
  return function(value, name)
    return each(value, name, ".", function(_, v, where) return kind(v, where) end)
  end
end

--- object({ field = kind }, joint = ".", all = false): an object; fields that are not named may be anything, and any
-- may be absent unless `all` are wanted. The joint stands between its own name and a field's.
function kinds.object(fields, joint, all)
  joint = joint or "."
  return function(value, name)
    local checked = each(value, name, joint, function(k, v, where) return (fields[k] or kinds.any)(v, where) end)
    for k in pairs(all and fields or {}) do
      if checked[k] == nil then error(("%s: expected a value, found none"):format(place(name, k, joint)), 0) end
    end
    return checked
  end
end

return kinds
