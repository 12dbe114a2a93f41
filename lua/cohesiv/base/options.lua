--- Checks of what users hand to functions: arguments, option tables, numbers, and the object before a colon. Each
-- raises one line that names the thing, the expected and the found. What a thing must be beyond its kind its own file
-- says.
local core = require "cohesiv.core"
local error = core.error -- a line, whatever it quotes

local M = {}

--- show(x): x as messages say it: nil, 1.5, "text", a tensor of 2x3, a table. Runs nothing of the user's.
M.show = core.found

--- text(x): the same, but a short plain word stands without quotes: a name where names are expected.
M.text = core.text

-- What kind of value was found where another kind was expected; the value itself where its kind is right.
local function found(x, kind)
  if core.is_tensor(x) or type(x) == kind then return M.show(x) end
  return type(x)
end

--- optional "number": stands in `known` for an option without a default.
function M.optional(kind) return { optional = kind } end

local function names(known, last)
  local list = {}
  for key in pairs(known) do list[#list + 1] = key end
  table.sort(list)
  if #list < 2 then return list[1] or "no options" end
  return table.concat(list, ", ", 1, #list - 1) .. last .. list[#list]
end

-- ---- kinds of values ----

local function is_number(x) return type(x) == "number" and x == x and x ~= math.huge and x ~= -math.huge end

--- is_callable(f): whether f(…) is a call.
function M.is_callable(f)
  local meta = debug.getmetatable(f)
  return type(f) == "function" or (type(meta) == "table" and rawget(meta, "__call") ~= nil)
end

local function type_is(kind) return function(x) return type(x) == kind end end

-- kind → what it accepts, and how a message says it. A kind that is not here is the __name of a metatable.
local kinds = {
  any = { function() return true end, "anything" },
  tensor = { core.is_tensor, "a tensor" },
  number = { is_number, "a finite number" },
  integer = { function(x) return type(x) == "number" and math.tointeger(x) ~= nil end, "an integer" },
  string = { type_is "string", "a string" },
  path = { function(x) return type(x) == "string" and x ~= "" and not x:find("\0", 1, true) end, "a path" },
  boolean = { type_is "boolean", "true or false" },
  table = { type_is "table", "a table" },
  list = { type_is "table", "a list" },
  numbers = { function(x)
    if type(x) ~= "table" then return false end
    for i = 1, math.min(rawlen(x), 1 << 20) do
      if not is_number(rawget(x, i)) then return false end
    end
    return true
  end, "a list of finite numbers" },
  tensors = { function(x)
    if type(x) ~= "table" then return false end
    for i = 1, rawlen(x) do
      if not core.is_tensor(rawget(x, i)) then return false end
    end
    return true
  end, "a list of tensors" },
  options = { type_is "table", "a table of options" },
  ["function"] = { M.is_callable, "a function" },
}

local function accepts(kind, x)
  if kinds[kind] then return kinds[kind][1](x) end
  local meta = type(x) == "table" and getmetatable(x)
  return type(meta) == "table" and rawget(meta, "__name") == kind
end

local function said(kind) return kinds[kind] and kinds[kind][2] or "a " .. kind end

-- "image tensor, size number|list?" → { { name, kinds, optional, text } }
local specs = {}
local function parsed(spec)
  if specs[spec] then return specs[spec] end
  local list = {}
  for name, alternatives, mark in spec:gmatch "([%w_.]+) ([%a|]+)(%??)" do
    local words, alternative = {}, {}
    for kind in alternatives:gmatch "%a+" do alternative[#alternative + 1], words[#words + 1] = kind, said(kind) end
    list[#list + 1] = { name, alternative, mark == "?", table.concat(words, " or ") }
  end
  specs[spec] = list
  return list
end

--- expect(what, spec, …): raises unless the arguments are as the spec says: "image tensor, size number|list?, f
-- function", a name and its kinds for each; `?`: may be nil. Kinds: any, tensor, number (finite), integer, string,
-- path, boolean, table, list, numbers, tensors (lists of these), options, function.
function M.expect(what, spec, ...)
  for i, argument in ipairs(parsed(spec)) do
    local x, fine = (select(i, ...)), false
    if x == nil then
      fine = argument[3]
    else
      for _, kind in ipairs(argument[2]) do fine = fine or accepts(kind, x) end
    end
    if not fine then
      error(("%s: %s: expected %s, found %s"):format(what, argument[1], argument[4], M.show(x)), 0)
    end
  end
end

--- fields(what, given, known): raises for a key of the table `given` (nil: none) that is not in the table `known`, or
-- that is no name.
function M.fields(what, given, known)
  if given == nil then return {} end
  if type(given) ~= "table" then error(("%s: expected a table of options, found %s"):format(what, found(given)), 0) end
  for key in next, given do
    if known[key] == nil then
      error(("%s: expected the options %s, found %s"):format(what, names(known, " and "), M.text(key)), 0)
    end
  end
  return given
end

--- read(what, given, known): a table with the options of `given`, and the defaults of `known` for those that are not
-- there. An option has the type of its default; numbers are finite. Numbered entries of `given` are not looked at.
function M.read(what, given, known)
  if given ~= nil and type(given) ~= "table" then
    error(("%s: expected a table of options, found %s"):format(what, found(given)), 0)
  end
  for key in next, given or {} do
    if known[key] == nil and math.type(key) ~= "integer" then
      error(("%s: expected %s, found %s"):format(what, names(known, " or "), M.text(key)), 0)
    end
  end
  local out = {}
  for key, default in pairs(known) do
    local kind, value = type(default), given and rawget(given, key)
    if kind == "table" and default.optional then kind, default = default.optional, nil end
    if value == nil then
      value = default
    elseif not accepts(kind, value) then
      local expected = kind == "number" and type(value) == kind and "a finite number" or "a " .. kind
      error(("%s: %s: expected %s, found %s"):format(what, key, expected, found(value, kind)), 0)
    end
    out[key] = value
  end
  return out
end

-- ---- numbers ----

--- finite(what, t, things = "numbers"): t, a tensor whose numbers must all be finite.
function M.finite(what, t, things)
  local row, number = core.not_finite(t)
  if row then
    error(("%s: expected finite %s, found %s in row %d"):format(what, things or "numbers", number, row), 0)
  end
  return t
end

--- whole(what, name, value, least, most): value, which must be an integer of at least `least` (1), at most `most`.
function M.whole(what, name, value, least, most)
  least = least or 1
  local n = type(value) == "number" and math.tointeger(value)
  if n and n >= least and n <= (most or math.maxinteger) then return n end
  error(("%s: %s: expected an integer of %s, found %s"):format(what, name,
    most and ("%d to %d"):format(least, most) or ("at least %d"):format(least), M.show(value)), 0)
end

--- within(what, name, value, low, high): value, which must be a number with low <= value <= high.
function M.within(what, name, value, low, high)
  if type(value) == "number" and value >= low and value <= high then return value end
  local bounds = high == math.huge and ("at least %g"):format(low) or ("%g to %g"):format(low, high)
  error(("%s: %s: expected a number of %s, found %s"):format(what, name, bounds, M.show(value)), 0)
end

-- ---- methods ----

local inner = setmetatable({}, { __mode = "k" }) -- guarded method → the method

--- original(f): the function that guard put a check around, or f itself.
function M.original(f) return inner[f] or f end

--- guard(name, class, is): every method of `class` now first asks is(self), so that x.method() for x:method() is told
-- as that. Returns class. Functions whose first parameter is not `self` stay as they are.
function M.guard(name, class, is)
  for key, method in next, class do
    if type(method) == "function" and type(key) == "string" and key:sub(1, 2) ~= "__"
      and debug.getlocal(method, 1) == "self" then
      local function guarded(self, ...)
        if not is(self) then
          error(("%s: expected a %s before the colon (x:%s()), found %s"):format(key, name, key, M.show(self)), 0)
        end
        return method(self, ...)
      end
      inner[guarded] = method
      class[key] = guarded
    end
  end
  return class
end

--- named(name): for guard: whether x is a table whose metatable has this __name.
function M.named(name) return function(x) return accepts(name, x) end end

--- having(key): for guard: whether x is a table whose metatable has this key itself.
function M.having(key)
  return function(x)
    local meta = type(x) == "table" and getmetatable(x)
    return type(meta) == "table" and rawget(meta, key) ~= nil
  end
end

return M
