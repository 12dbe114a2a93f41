--- Checks of what users hand to functions: arguments, option tables, numbers, and the object before a colon. Each
-- raises one line that names the thing, the expected and the found.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local M = {}

--- show(x): x as messages say it: nil, 1.5, "text", a tensor of 2x3, a table. Runs nothing of the user's.
M.show = core.found

--- text(x): the same, but a short plain word stands without quotes: a name where names are expected.
M.text = core.text

-- ---- kinds of values ----
local function is_number(x) return type(x) == "number" and x - x == 0 end

-- What a metatable has under a key itself.
local function meta_field(x, key)
  local meta = debug.getmetatable(x)
  return meta and rawget(meta, key)
end

--- is_callable(f): whether f(…) is a call.
function M.is_callable(f) return type(f) == "function" or meta_field(f, "__call") ~= nil end

local function type_is(kind) return function(x) return type(x) == kind end end

-- A table of nothing but such entries; of long ones the beginning is looked at.
local function list_of(is)
  return function(x)
    if type(x) ~= "table" then return false end
    for i = 1, math.min(rawlen(x), 1 << 20) do
      if not is(rawget(x, i)) then return false end
    end
    return true
  end
end

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
  numbers = { list_of(is_number), "a list of finite numbers" },
  tensors = { list_of(core.is_tensor), "a list of tensors" },
  options = { type_is "table", "a table of options" },
  ["function"] = { M.is_callable, "a function" },
}

-- Whether x is of one of these kinds: "number|list".
local function is_of(alternatives, x)
  local alone = kinds[alternatives]
  if alone then return alone[1](x) end
  for kind in alternatives:gmatch "%a+" do
    if kinds[kind] and kinds[kind][1](x) or not kinds[kind] and meta_field(x, "__name") == kind then return true end
  end
  return false
end

local function said(kind) return kinds[kind] and kinds[kind][2] or "a " .. kind end

--- expect(what, spec, …): raises unless the arguments are as the spec says: "image tensor, size number|list?, f
-- function", a name and its kinds for each; `?`: may be nil. Kinds: any, tensor, number (finite), integer, string,
-- path, boolean, table, list, numbers, tensors (lists of these), options, function.
function M.expect(what, spec, ...)
  local i = 0
  for name, alternatives, mark in spec:gmatch "([%w_.]+) ([%a|]+)(%??)" do
    i = i + 1
    local x = (select(i, ...))
    if x == nil and mark == "" or x ~= nil and not is_of(alternatives, x) then
      local expected = alternatives:gsub("%a+", said):gsub("|", " or ")
      core.refuse("%s: %s: expected %s, found %s", what, name, expected, M.show(x))
    end
  end
end

-- ---- schemas ----
--
-- A schema is a table: name → what the option of that name may be: a default (values of its type; numbers are finite),
-- a table of names (a group of options), or a rule: { kind, default, accepts(x), expected, … }. Numbered entries are
-- rules of what stands in front, and have names of their own. Recipes are made of the same rules.

local Rule = {}
local function rule(fields) return setmetatable(fields, Rule) end

--- is_rule(x): whether x is one of the rules below.
function M.is_rule(x) return getmetatable(x) == Rule end

--- optional "number", optional(rule): an option without a default.
function M.optional(of)
  if type(of) ~= "table" then return rule { kind = of or "any", optional = true } end
  local copy = rule(lists.copy(of))
  copy.default, copy.optional = nil, true
  return copy
end

--- paths(): an option without a default: a path, or a list of them (several: for who reads it from words).
function M.paths()
  local function is_path(x) return type(x) == "string" and x ~= "" end
  local function accepts(x) return is_path(x) or type(x) == "table" and #x > 0 and list_of(is_path)(x) end
  return rule { kind = "any", optional = true, several = true, expected = "a path or a list of paths",
    accepts = accepts }
end

--- one_of(default, …): a string among several; a default of another type stays allowed, too.
function M.one_of(default, ...)
  local strings, kind = { default, ... }, type(default)
  local known, words = lists.set(strings), { kind == "table" and "a list" or "a " .. kind }
  for i = 2, #strings do words[i] = ('"%s"'):format(strings[i]) end
  return rule { default = default, strings = strings, closed = true,
    expected = lists.words(kind == "string" and strings or words),
    accepts = function(x) return known[x] ~= nil or kind ~= "string" and type(x) == kind end }
end

--- rule(default, expected, accepts): a value that accepts(x), in messages `expected`; without default it must be given.
function M.rule(default, expected, holds)
  return rule { kind = type(default), default = default, expected = expected, accepts = holds }
end

--- positive(default, unit): a finite number above 0.
function M.positive(default, unit)
  return rule { kind = "number", default = default, expected = unit .. " above 0",
    accepts = function(x) return is_number(x) and x > 0 end }
end

-- typed: what is no number is told by its kind.
local function range(default, name, expected, holds)
  return rule { kind = "number", typed = true, default = default, name = name, expected = expected, accepts = holds }
end

--- integer(default, least = 1, most, name?): an integer within these bounds, in messages `name`; no default: needed.
function M.integer(default, least, most, name)
  least = least or 1
  local bounds = most and ("%d to %d"):format(least, most) or ("at least %d"):format(least)
  return range(default, name, "an integer of " .. bounds, function(x)
    local n = type(x) == "number" and math.tointeger(x)
    return n and n >= least and n <= (most or n) and n
  end)
end

--- between(default, low, high, name?): a number with low <= x <= high.
function M.between(default, low, high, name)
  local bounds = high == math.huge and ("at least %g"):format(low) or ("%g to %g"):format(low, high)
  return range(default, name, "a number of " .. bounds, function(x)
    return type(x) == "number" and x >= low and x <= high
  end)
end

-- x, which the rule must accept; integers as such.
local function accepted(what, name, x, is)
  local fine = is.accepts(x)
  if fine then return math.type(fine) and fine or x end
  core.refuse("%s: %s: expected %s, found %s", what, name, is.expected, M.text(x))
end

--- whole(what, name, value, least = 1, most), within(what, name, value, low, high): value, an integer or number there.
function M.whole(what, name, value, least, most) return accepted(what, name, value, M.integer(nil, least, most)) end
function M.within(what, name, value, low, high) return accepted(what, name, value, M.between(nil, low, high)) end

-- x, which the rule or default `known` allows; its default for nil.
local function value_of(what, key, x, known)
  local is = M.is_rule(known) and known or { default = known }
  local name, kind = is.name or key, is.kind or type(is.default)
  if x == nil and (is.default ~= nil or is.optional) then return is.default end
  if is.accepts and (x == nil or not is.typed or type(x) == "number") then return accepted(what, name, x, is) end
  if is_of(kind, x) then return x end
  local expected = kind == "number" and type(x) == kind and "a finite number" or "a " .. kind:gsub("|", " or a ")
  core.refuse("%s: %s: expected %s, found %s", what, name, expected, core.found(x, kind))
end

--- table_of(what, given): given, which must be a table; an empty one for nil.
function M.table_of(what, given)
  if given == nil then return {} end
  if type(given) == "table" then return given end
  core.refuse("%s: expected a table of options, found %s", what, core.found(given, "table"))
end

--- known(what, given, schema, last = " or "): raises for a name that the schema lacks; for a number if it has some.
function M.known(what, given, schema, last)
  for key in next, M.table_of(what, given) do
    if schema[key] == nil and not (schema[1] == nil and math.type(key) == "integer") then
      local names = {}
      for name in next, schema do names[#names + 1] = type(name) == "string" and name or nil end
      table.sort(names)
      local text = (last and "the options " or "") .. lists.words(names, last)
      core.refuse("%s: expected %s, found %s", what, #names > 0 and text or "no options", M.text(key))
    end
  end
end

--- read(what, given, schema, last = " or "): a table with the options of `given` (nil: none) as the schema allows them,
-- and its defaults for those that are not there. `last` stands before the last name that a message lists.
function M.read(what, given, schema, last)
  given = M.table_of(what, given)
  M.known(what, given, schema, last)
  local out = {}
  for key, known in next, schema do
    local x = rawget(given, key)
    if type(known) == "table" and not M.is_rule(known) and known[1] == nil and next(known) ~= nil then -- a group
      out[key] = M.read(what .. ": " .. key, x, known, last)
    else
      out[key] = value_of(what, key, x, known)
    end
  end
  return out
end

--- finite(what, t, things = "numbers"): t, a tensor whose numbers must all be finite.
function M.finite(what, t, things)
  local row, number = core.not_finite(t)
  if row then core.refuse("%s: expected finite %s, found %s in row %d", what, things or "numbers", number, row) end
  return t
end

-- ---- methods ----
local inner = setmetatable({}, { __mode = "k" }) -- guarded method → the method

--- original(f): the function that guard put a check around, or f itself.
function M.original(f) return inner[f] or f end

--- The classes that guard has seen, by name; of one name there may be several.
M.classes = {}

--- guard(name, class, is): every method of `class` now first asks is(self), so that x.method() for x:method() is told
-- as that. Returns class. Functions whose first parameter is not `self` stay as they are.
function M.guard(name, class, is)
  M.classes[name] = M.classes[name] or {}
  table.insert(M.classes[name], class)
  for key, method in next, class do
    if type(method) == "function" and type(key) == "string" and key:sub(1, 2) ~= "__"
      and debug.getlocal(method, 1) == "self" then
      local function guarded(self, ...)
        if not is(self) then
          core.refuse("%s: expected a %s before the colon (x:%s()), found %s", key, name, key, M.show(self))
        end
        return method(self, ...)
      end
      inner[guarded] = method
      class[key] = guarded
    end
  end
  return class
end

--- named(name), having(key): for guard: whether the metatable of x has this __name, or this key itself.
function M.named(name) return function(x) return meta_field(x, "__name") == name end end
function M.having(key) return function(x) return meta_field(x, key) ~= nil end end

return M
