--- Recipes: an experiment is a table, an ablation is its difference from another.
--   local base = require "experiments.cohesiv"
--   return base { name = "attention_only", loss = { embedding = 0 } }
-- `recipe.base{…}` declares every key by its default; calling a recipe merges a difference into a copy. A key is a
-- plain value, `optional "number"` (no default), `optional "function"` (code of the experiment's, see code.lua), or
-- `one_of(default, …)` (a string among several, or a value of the default's type or one of the strings). Unknown keys
-- and changed types raise one line that names the nearest known key. What the keys mean, experiments/cohesiv.lua says.
local core = require "cohesiv.core"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"
local places = require "cohesiv.base.places"
local code, files = require "cohesiv.train.code", require "cohesiv.train.files"
local recipe = {}

local function weak() return setmetatable({}, { __mode = "k" }) end

-- recipe → its schema: dotted name → what stands there: a leaf, { name, group, key, kind } and what its rule says, or a
-- group, { name, group, key, keys = key → what stands there }. The whole is the group "". A group that is open has
-- `each`: the keys that stand under any name there.
local schemas = weak()
local sources = weak() -- recipe → the files that it came from (files.lua)
local origins = weak() -- recipe → dotted name → where its value was set: "FILE:LINE", "command line"; none: the default

local made -- the recipes that were made while files are read again

local function fail(format, ...) core.refuse("recipe: " .. format, ...) end

--- What stands at a key: a default, or one of these rules (base/options.lua says what they are).
recipe.optional, recipe.one_of, recipe.paths = options.optional, options.one_of, options.paths
recipe.between = options.between

--- named{ key = default or rule, … }: a group under whose names, any, these keys stand; `first`: the key that may be
-- given as the first entry, without its name.
function recipe.named(keys, first)
  local rule = options.optional "table"
  rule.each, rule.first = keys, first
  return rule
end

--- resolved(rule or default, by): a key whose value `by` stands for one that a run finds when it begins, and keeps from
-- then on.
function recipe.resolved(of, by)
  local kind = type(of)
  local rule = options.is_rule(of) and of or options.rule(of, "a " .. kind, function(x) return type(x) == kind end)
  rule.resolves = by
  return rule
end

--- or_function(rule): what the rule says, or a function.
function recipe.or_function(of)
  local rule = options.optional(of)
  rule.optional, rule.default, rule.code = nil, of.default, true
  return rule
end

local function kind_of(value)
  if type(value) ~= "table" then return type(value) end
  return (next(value) == nil or #value > 0) and "list" or "group"
end

-- A value as messages and files have it.
local function show(value)
  if value == nil then return "none" end
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) == "number" then return ("%.10g"):format(value) end
  if type(value) == "function" then return code.show(value) end
  if type(value) ~= "table" then return tostring(value) end
  if kind_of(value) == "group" then return "a table of named values" end
  return "{" .. table.concat(lists.map(value, show), ", ") .. "}"
end

--- show(value): a value as messages and recipe.json's readers have it: 1.5, "text", {1, 2}, none, a function by what it
-- does.
recipe.show = show

local function copied(value)
  if type(value) ~= "table" then return value end
  local out = {}
  for i, v in ipairs(value) do out[i] = copied(v) end
  return out
end

local function joined(group, key) return group == "" and tostring(key) or group .. "." .. tostring(key) end

-- Edit distance (Levenshtein) of two short names.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local change = diagonal + (a:byte(i) == b:byte(j) and 0 or 1)
      diagonal = row[j]
      row[j] = math.min(row[j] + 1, row[j - 1] + 1, change)
    end
  end
  return row[#b]
end

-- Tells the known name that is nearest, its last part alone counting nearly as much.
local function unknown(schema, name)
  local best, best_distance
  local last = name:match "[^.]*$"
  for _, known in ipairs(lists.keys(schema)) do
    local d = math.min(distance(name, known), distance(last, known:match "[^.]*$") + 0.5)
    if known ~= "" and not (best and d >= best_distance) then best, best_distance = known, d end
  end
  fail("unknown key %q; the nearest known one is %q", name, best)
end

-- Raises unless `value` may stand at the leaf; returns what to store.
local function checked(leaf, value)
  local kind, expected = kind_of(value), "a " .. leaf.kind
  if kind == "function" and (leaf.kind == kind or leaf.code) then
    return code.guard(leaf.called or leaf.name, value, files.texts(files.current()))
  end
  local fine = kind == leaf.kind or leaf.kind == "any" and kind ~= "group" and kind ~= "function"
  if leaf.closed then
    if kind == "string" then fine = leaf.accepts(value) end
    local strings = lists.map(leaf.strings, function(s) return type(s) == "string" and ("%q"):format(s) end)
    expected = (kind == "string" and kind == leaf.kind and "" or expected .. " or ") .. "one of "
      .. table.concat(strings, ", ")
  elseif fine and leaf.accepts then
    fine, expected = leaf.accepts(value), leaf.expected
  end
  if not fine then fail("%s: expected %s, found %s", leaf.called or leaf.name, expected, show(value)) end
  local element = kind == "list" and leaf.default and leaf.default[1]
  for i, v in ipairs(element and value or {}) do
    if type(v) ~= type(element) then
      fail("%s[%d]: expected a %s, found %s", leaf.name, i, type(element), show(v))
    end
  end
  return copied(value)
end

-- The table of a recipe that a group or the group of a leaf is.
local function group_in(r, name)
  for key in name:gmatch "[^.]+" do r = rawget(r, key) end
  return r
end

-- What visit(name, value, leaf) returns for every leaf, by name.
local function walk(r, visit)
  local schema = schemas[r]
  return lists.map(lists.keys(schema), function(name)
    local leaf = schema[name]
    return not leaf.keys and visit(name, rawget(group_in(r, leaf.group), leaf.key), leaf)
  end)
end

-- Where a value is being set: { path, line } of the nearest function on the stack that is not this library's. A file
-- that ends in `return base { … }` has left the stack by then: it is the one that is being read, its line not known.
local LIBRARY = debug.getinfo(1, "S").source:match "^(@.-cohesiv/)train/[^/]*$" or "@"
local function place()
  for level = 2, math.huge do
    local info = debug.getinfo(level, "Slt")
    if not info then return nil end
    local current = info.istailcall and files.current()
    if info.currentline > 0 and info.source:sub(1, #LIBRARY) ~= LIBRARY then
      return { path = info.source:match "^@(.*)" or info.short_src, line = info.currentline }
    elseif current then
      return { path = current.path }
    end
  end
end

-- The same as text, for a key: the line that sets it, where the file has one such line.
local function spot(where, key)
  if type(where) ~= "table" then return where end
  local line, current = nil, files.current()
  local text = files.texts(current)[where.path]
  for _, found in ipairs(text and code.lines_that_set(text, key) or {}) do
    if line then
      line = nil
      break
    end
    line = found
  end
  line = line or where.line
  return where.path .. (line and ":" .. line or "")
end

-- Writes `changes` into a group of a recipe; `where` they were set.
local function merge(r, group, changes, where)
  for _, key in ipairs(lists.keys(changes)) do
    local value, known = changes[key], group.keys[key]
    if not known then unknown(schemas[r], joined(group.name, key)) end
    if not known.keys then
      rawset(group_in(r, group.name), key, checked(known, value))
      origins[r][known.name] = spot(where, key)
    elseif type(value) == "table" and #value == 0 then
      merge(r, known, value, where)
    else
      local keys = table.concat(lists.keys(known.keys), ", ")
      fail("%s: expected a table with %s, found %s", known.name, keys, show(value))
    end
  end
end

local derive

-- A recipe with these values by name. Reading or writing a key that was not declared raises.
local function create(schema, values)
  local r = {}
  local function fill(t, group)
    for key, known in pairs(group.keys) do
      if known.keys then t[key] = fill({}, known) else t[key] = copied(values[known.name]) end
    end
    return setmetatable(t, {
      __name = "recipe",
      __index = function(_, key)
        if not group.keys[key] then unknown(schema, joined(group.name, key)) end
      end,
      __newindex = function(_, key, value) merge(r, group, { [key] = value }, place()) end,
      __call = t == r and derive or nil,
    })
  end
  schemas[r], origins[r] = schema, {}
  if made then made[#made + 1] = r end
  return fill(r, schema[""])
end

-- Declares a leaf or a group, and the groups around it.
local function declare(schema, name, what)
  if ("." .. name .. "."):find("..", 1, true) then fail("%q: expected a name, found a part of it empty", name) end
  what.name, what.group, what.key = name, name:match "^(.*)%.", name:match "[^.]+$"
  what.group = what.group or ""
  local group = schema[what.group] or declare(schema, what.group, { keys = {} })
  if not group.keys then fail("%s: expected a group of keys, found %s", group.name, show(group.default)) end
  schema[name], group.keys[what.key] = what, what
  return what
end

-- Declares what a rule or default says. Returns the default.
local function declare_rule(schema, name, given)
  local rule = options.is_rule(given) and given or { default = given }
  if rule.each then
    declare(schema, name, { keys = {}, each = rule.each, first = rule.first })
  else
    declare(schema, name, setmetatable({ kind = rule.kind or kind_of(rule.default) }, { __index = rule }))
  end
  return rule.default
end

-- The same keys, to which more can be added.
local function copied_schema(schema)
  local new = {}
  for name, known in pairs(schema) do
    new[name] = known
    if known.keys then
      new[name] = lists.copy(known)
      new[name].keys = {}
    end
  end
  for name, known in pairs(new) do
    if name ~= "" then new[known.group].keys[known.key] = known end
  end
  return new
end

-- A schema that knows the names that `changes` have in open groups, the values that these bring along, and the changes
-- with every entry under its key.
local function opened(schema, changes)
  local values, out = {}, nil
  for name, group in pairs(schema) do
    local given = group.each and changes
    for key in name:gmatch "[^.]+" do given = type(given) == "table" and rawget(given, key) end
    if type(given) == "table" then
      for _, key in ipairs(lists.keys(given)) do
        if type(key) ~= "string" or not key:find "^[%a_][%w_]*$" then
          fail("%s: expected names as keys, found %s", name, show(key))
        end
        local entry = given[key]
        if not group.keys[key] then
          out = out or copied_schema(schema)
          declare(out, name .. "." .. key, { keys = {}, first = group.first })
          for part, rule in pairs(group.each) do
            local full = ("%s.%s.%s"):format(name, key, part)
            values[full] = declare_rule(out, full, rule)
            out[full].called = part == group.first and name .. "." .. key or nil
          end
        end
        if type(entry) == "table" and group.first and entry[1] ~= nil then
          local named = lists.copy(entry)
          named[group.first], named[1] = entry[1], nil
          given[key] = named
        end
      end
    end
  end
  return out or schema, values
end

-- Tables of named values, copied.
local function nested_copy(t)
  local out = {}
  for key, value in next, t do
    out[key] = type(value) == "table" and kind_of(value) == "group" and not options.is_rule(value)
      and nested_copy(value) or value
  end
  return out
end

local function has_code(changes)
  for _, value in next, changes do
    if type(value) == "function" or type(value) == "table" and has_code(value) then return true end
  end
  return false
end

function derive(old, changes)
  if changes ~= nil and type(changes) ~= "table" then fail("expected a table of changes, found %s", show(changes)) end
  changes = nested_copy(changes or {})
  local schema, more = opened(schemas[old], changes)
  local values = recipe.flatten(old)
  for name, value in pairs(more) do values[name] = value end
  local r = create(schema, values)
  origins[r] = lists.copy(origins[old])
  merge(r, schema[""], changes, place())
  sources[r] = has_code(changes) and files.current() or sources[old] or files.current()
  return r
end

-- Defaults by dotted name.
local function flat(defaults, group, out)
  for key, value in pairs(defaults) do
    local name = joined(group, key)
    if type(key) ~= "string" then fail("expected names as keys, found %s", show(key)) end
    if type(value) == "function" then fail("%s: expected a value or a rule, found a function", name) end
    if kind_of(value) == "group" and not options.is_rule(value) then flat(value, name, out) else out[name] = value end
  end
  return out
end

--- The first recipe of a family: declares all keys with their defaults. Call the result to derive another.
function recipe.base(defaults)
  local schema, values = { [""] = { name = "", keys = {} } }, flat(defaults, "", {})
  for _, name in ipairs(lists.keys(values)) do -- a name comes before those that it is a group of
    values[name] = declare_rule(schema, name, values[name])
  end
  return create(schema, values)
end

--- Whether a value is a recipe.
function recipe.is(value) return type(value) == "table" and schemas[value] ~= nil end

--- Dotted names and values: `values["optim.lr"]`, and the sorted list of all names (optional ones without a value too).
function recipe.flatten(r)
  local values = {}
  local names = walk(r, function(name, value)
    values[name] = value
    return name
  end)
  return values, names
end

--- plain(r): the same values as JSON has them: a function as { ["function"] = "FILE:LINE", digest }.
function recipe.plain(r)
  local values, names = recipe.flatten(r)
  for name, value in pairs(values) do
    if type(value) == "function" then
      values[name] = { ["function"] = places.of(value), digest = code.digest(value) }
    end
  end
  return values, names
end

--- The recipe that `flatten` came from, from dotted names to values; `names` may list keys without a value.
function recipe.unflatten(values, names)
  local all, functions = lists.copy(values), {}
  for name, value in pairs(values) do
    if type(value) == "function" then all[name], functions[name] = recipe.optional "function", value end
  end
  for _, name in ipairs(names or {}) do
    if all[name] == nil then all[name] = recipe.optional() end
  end
  local r = recipe.base(all)
  for name, f in pairs(functions) do rawset(group_in(r, schemas[r][name].group), schemas[r][name].key, f) end
  return r
end

--- set(r, name, value): writes a key by its dotted name, checked as always.
function recipe.set(r, name, value)
  local leaf = schemas[r][name] or unknown(schemas[r], name)
  merge(r, schemas[r][leaf.group], { [leaf.key] = value }, place())
end

--- method(): the library's own base recipe, experiments/cohesiv.lua; nil where there is none beside it.
function recipe.method()
  local found, base = pcall(require, "experiments.cohesiv")
  return found and recipe.is(base) and base or nil
end

--- completed(r): a recipe of a run, with the keys of today's base that it lacks at their defaults.
function recipe.completed(r)
  local base = recipe.method()
  if not base then return r {} end
  local values, names = recipe.flatten(base)
  local own, own_names = recipe.flatten(r)
  for _, name in ipairs(own_names) do
    values[name], names[#names + 1] = own[name], name
  end
  return recipe.unflatten(values, names)
end

--- has_code(r): whether a recipe has functions.
function recipe.has_code(r)
  for _, value in pairs((recipe.flatten(r))) do
    if type(value) == "function" then return true end
  end
  return false
end

local FLAGS = { ["true"] = true, ["false"] = false }

-- What a text stands for at a leaf; the text itself where that is for `checked` to refuse.
local function parse(leaf, text)
  local kind, number, flag = leaf.kind, tonumber(text), FLAGS[text]
  if leaf.kind == "function" then fail("%s: expected a function, which a text cannot be, found %q", leaf.name, text) end
  if leaf.optional and (text == "none" or text == "nil") then return nil end
  if leaf.closed and leaf.accepts(text) then return text end
  if number and (kind == "number" or kind == "any") then return number end
  if flag ~= nil and (kind == "boolean" or kind == "any") then return flag end
  if kind == "boolean" then fail("%s: expected true or false, found %q", leaf.name, text) end
  local braced = text:match "^%s*{(.*)}%s*$"
  if kind ~= "list" and not (kind == "any" and braced) then return text end
  local list, of_numbers = {}, kind == "list" and (leaf.default == nil or type(leaf.default[1]) == "number")
  local inner = braced or text:match "^%d+x%d+$" and text:gsub("x", ",") or text
  for word in inner:gmatch "[^,]+" do
    word = word:match "^%s*(.-)%s*$"
    list[#list + 1] = of_numbers and tonumber(word) or word
    if of_numbers and not tonumber(word) then fail("%s: expected numbers between commas, found %q", leaf.name, text) end
  end
  return list
end

--- A copy of `r` changed by texts of the form "optim.lr=0.001", typed as the recipe's own values are: numbers,
-- true/false, strings, lists as "1,2,3" or "{1,2,3}" (a pair also as "448x256"), "none" for an optional key.
function recipe.override(r, texts)
  local out, given = r {}, {}
  local schema = schemas[out]
  for _, text in ipairs(texts or {}) do
    local name, value = text:match "^([%w_.]+)=(.*)$"
    if not name then fail("expected key=value, found %q", text) end
    local leaf = schema[name] or unknown(schema, name)
    if leaf.several then -- bash makes two words of data={A,B} without quotes; of other keys the last one counts
      if given[name] and given[name] ~= value then
        fail('%s: expected one value (several paths: "%s={%s,%s}", in quotes), found two', name, name, given[name],
          value)
      end
      given[name] = value
    end
    if leaf.keys then
      fail("%s: expected one of its keys (%s), found the group", name, table.concat(lists.keys(leaf.keys), ", "))
    end
    local typed = parse(leaf, value)
    if typed ~= nil then typed = checked(leaf, typed) end
    rawset(group_in(out, leaf.group), leaf.key, typed)
    origins[out][name] = "command line"
  end
  return out
end

--- One line per key, "key = value", changed ones marked with the base's value, and where each was set: a file's line,
-- the command line, or default.
function recipe.describe(r)
  local where, width = origins[r], 0
  local rows = walk(r, function(name, value, leaf)
    local text, before = show(value), show(leaf.default)
    local row = { ("%-26s %s%s"):format(name, text, text ~= before and ("   (base: %s)"):format(before) or ""),
      where[name] or text == before and "default" or "the run" }
    width = #row[1] < 70 and math.max(width, #row[1]) or width
    return row
  end)
  return table.concat(lists.map(rows, function(row)
    return row[1] .. (" "):rep(width - #row[1]) .. "   " .. row[2]
  end), "\n")
end

--- origin(r, name): where a value was set, "FILE:LINE" or "command line"; nil for a default.
function recipe.origin(r, name) return origins[r][name] end

--- assignments(r, wanted?): "key=value" of all keys that have a value, or of those in the set `wanted`, by name.
function recipe.assignments(r, wanted)
  return walk(r, function(name, value)
    return value ~= nil and (not wanted or wanted[name]) and name .. "=" .. show(value)
  end)
end

--- experiment(name): the path of one of the library's own experiments, from a checkout or an installed library.
function recipe.experiment(name)
  return package.searchpath("experiments." .. name, package.path)
    or fail("expected experiments/%s.lua beside the library, found none", name)
end

-- A recipe that a file of an experiment returned came from there.
local function adopt(value, bundle)
  if recipe.is(value) and next(origins[value]) then sources[value] = bundle end
end

--- read(path): what a Lua file returns, a recipe or a sweep of them, its text and its bundle (files.lua): functions in
-- recipes that it makes are kept with their runs.
function recipe.read(path)
  local ok, value, bundle = pcall(files.load, path, adopt)
  if ok then return value, bundle.text, bundle end
  local message = tostring(value):gsub("\n.*", "")
  core.refuse("%s%s", message:find(path, 1, true) and "" or path .. ": ", message)
end

--- from(r, bundle): says of a recipe which files it came from.
function recipe.from(r, bundle)
  sources[r] = bundle
  return r
end

--- Reads EXPERIMENT.lua, a file that returns a recipe, and applies "key=value" texts.
function recipe.load(path, overrides)
  local result, _, bundle = recipe.read(path)
  local kind = getmetatable(result)
  if type(kind) == "table" and kind.__name == "sweep" then
    fail("%s: expected the file to return a recipe, found a sweep: cohesiv sweep", path)
  end
  if not recipe.is(result) then fail("%s: expected the file to return a recipe, found a %s", path, type(result)) end
  return recipe.from(recipe.override(result, overrides), bundle)
end

--- with(r, changes): a recipe with changes that a run has found for it: of the same files.
function recipe.with(r, changes) return recipe.from(r(changes), sources[r]) end

--- finder(bundle): find(name, digest): the function at a key of one of the recipes that these files make, which does
-- what the digest says. The files are read when it is first called.
function recipe.finder(bundle)
  local list
  return function(name, digest)
    if not list then
      local before = made
      local _ <close> = setmetatable({}, { __close = function() made = before end })
      made, list = {}, {}
      files.again(bundle, function() end)
      for _, r in ipairs(made) do
        for key, value in pairs((recipe.flatten(r))) do
          if type(value) == "function" then list[key .. "\0" .. code.digest(value)] = value end
        end
      end
    end
    return list[name .. "\0" .. digest]
      or fail("%s: expected function %s in %s, found none that does the same", name, digest:sub(1, 16), bundle.path)
  end
end

--- bundle(r): the files that a recipe came from (files.lua); nil for one made in memory.
function recipe.bundle(r) return sources[r] end

--- The text of the file that a recipe came from, and its path; nil for one made in memory.
function recipe.source(r)
  local source = sources[r]
  if source then return source.text, source.path end
end

--- fits(values, base): raises when a value is none that a recipe of that base may have; names that the base lacks pass.
function recipe.fits(values, base)
  walk(base, function(name, _, leaf)
    if values[name] ~= nil then checked(leaf, values[name]) end
  end)
end

--- changes(old, new): what a recipe has otherwise than an older one, a list of { key, from, to } by key. A key that the
-- older one lacks has its default there: it may be younger than that recipe.
function recipe.changes(old, new)
  local before, now, either = recipe.flatten(old), recipe.flatten(new), lists.copy(schemas[old])
  for name, leaf in pairs(schemas[new]) do either[name] = leaf end
  return lists.map(lists.keys(either), function(name)
    local from, to = before[name], now[name]
    if not schemas[old][name] then from = either[name].default end
    if to ~= nil and to == either[name].resolves then return nil end
    return show(from) ~= show(to) and { key = name, from = from, to = to }
  end)
end

--- changes_text(list): "batch: 2 → 4, minutes: none → 5".
function recipe.changes_text(list)
  local function text(c) return ("%s: %s → %s"):format(c.key, show(c.from), show(c.to)) end
  return table.concat(lists.map(list, text), ", ")
end

--- same(a, b): whether two recipes have the same keys and values.
function recipe.same(a, b)
  return table.concat(recipe.assignments(a), "\n") == table.concat(recipe.assignments(b), "\n")
end

return recipe
