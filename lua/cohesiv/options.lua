--- Checks of option tables and numbers, for constructors: one line that names the thing, the expected, the found.
local M = {}

--- optional "number": stands in `known` for an option without a default.
function M.optional(kind) return { optional = kind } end

local function names(known)
  local list = {}
  for key in pairs(known) do list[#list + 1] = key end
  table.sort(list)
  if #list < 2 then return list[1] or "no options" end
  return table.concat(list, ", ", 1, #list - 1) .. " or " .. list[#list]
end

--- read(what, given, known): a table with the options of `given`, and the defaults of `known` for those that are not
-- there. An option has the type of its default. Numbered entries of `given` are not looked at.
function M.read(what, given, known)
  if given ~= nil and type(given) ~= "table" then
    error(("%s: expected a table of options, found %s"):format(what, type(given)), 0)
  end
  for key in pairs(given or {}) do
    if known[key] == nil and math.type(key) ~= "integer" then
      error(("%s: expected %s, found %s"):format(what, names(known), tostring(key)), 0)
    end
  end
  local out = {}
  for key, default in pairs(known) do
    local kind, value = type(default), given and given[key]
    if kind == "table" and default.optional then kind, default = default.optional, nil end
    if value == nil then value = default
    elseif type(value) ~= kind then
      error(("%s: %s: expected a %s, found %s"):format(what, key, kind, type(value)), 0)
    end
    out[key] = value
  end
  return out
end

--- whole(what, name, value, least): value, which must be an integer of at least `least` (1).
function M.whole(what, name, value, least)
  least = least or 1
  local n = math.type(value) and math.tointeger(value)
  if n and n >= least then return n end
  error(("%s: %s: expected an integer of at least %d, found %s"):format(what, name, least, tostring(value)), 0)
end

--- within(what, name, value, low, high): value, which must be a number with low <= value <= high.
function M.within(what, name, value, low, high)
  if type(value) == "number" and value >= low and value <= high then return value end
  local bounds = high == math.huge and ("at least %g"):format(low) or ("%g to %g"):format(low, high)
  error(("%s: %s: expected a number of %s, found %s"):format(what, name, bounds, tostring(value)), 0)
end

return M
