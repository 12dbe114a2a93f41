--- Recipes: an experiment is a table, an ablation is its difference from another.
--   local base = require "experiments.cohesiv"
--   return base { name = "attention_only", loss = { embedding = 0 } }
-- `recipe.base{…}` declares every key by its default; calling a recipe merges a difference into a copy. A key is a
-- plain value, `optional "number"` (no default), or `one_of(default, …)` (a string among several, or a value of the
-- default's type or one of the strings). Unknown keys and changed types raise one line that names the nearest known
-- key. What the keys mean, experiments/cohesiv.lua says.
local core = require "cohesiv.core"
local home, lists, options = require "cohesiv.base.home", require "cohesiv.base.lists", require "cohesiv.base.options"
local lfs = require "lfs"
local recipe = {}

-- recipe → its schema: dotted name → what stands there: a leaf, { name, group, key, kind } and what its rule says, or a
-- group, { name, group, key, keys = key → what stands there }. The whole is the group "".
local schemas = setmetatable({}, { __mode = "k" })
local sources = setmetatable({}, { __mode = "k" }) -- recipe → { path, text } of the file that it came from

local function fail(format, ...) core.refuse("recipe: " .. format, ...) end

--- What stands at a key: a default, or one of these rules (base/options.lua says what they are).
recipe.optional, recipe.one_of, recipe.paths = options.optional, options.one_of, options.paths

local function kind_of(value)
  if type(value) ~= "table" then return type(value) end
  return (next(value) == nil or #value > 0) and "list" or "group"
end

-- A value as messages and files have it.
local function show(value)
  if value == nil then return "none" end
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) == "number" then return ("%.10g"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  if kind_of(value) == "group" then return "a table of named values" end
  return "{" .. table.concat(lists.map(value, show), ", ") .. "}"
end

--- show(value): a value as messages and recipe.json's readers have it: 1.5, "text", {1, 2}, none.
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
  local fine = kind == leaf.kind or leaf.kind == "any" and kind ~= "group" and kind ~= "function"
  if leaf.closed then
    if kind == "string" then fine = leaf.accepts(value) end
    local strings = lists.map(leaf.strings, function(s) return type(s) == "string" and ("%q"):format(s) end)
    expected = (kind == "string" and kind == leaf.kind and "" or expected .. " or ") .. "one of "
      .. table.concat(strings, ", ")
  elseif fine and leaf.accepts then
    fine, expected = leaf.accepts(value), leaf.expected
  end
  if not fine then fail("%s: expected %s, found %s", leaf.name, expected, show(value)) end
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

-- Writes `changes` into a group of a recipe.
local function merge(r, group, changes)
  for _, key in ipairs(lists.keys(changes)) do
    local value, known = changes[key], group.keys[key]
    if not known then unknown(schemas[r], joined(group.name, key)) end
    if not known.keys then
      rawset(group_in(r, group.name), key, checked(known, value))
    elseif type(value) == "table" and #value == 0 then
      merge(r, known, value)
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
      __newindex = function(_, key, value) merge(r, group, { [key] = value }) end,
      __call = t == r and derive or nil,
    })
  end
  schemas[r] = schema
  return fill(r, schema[""])
end

function derive(old, changes)
  if changes ~= nil and type(changes) ~= "table" then fail("expected a table of changes, found %s", show(changes)) end
  local r = create(schemas[old], recipe.flatten(old))
  merge(r, schemas[r][""], changes or {})
  sources[r] = sources[old]
  return r
end

-- Defaults by dotted name.
local function flat(defaults, group, out)
  for key, value in pairs(defaults) do
    local name = joined(group, key)
    if type(key) ~= "string" then fail("expected names as keys, found %s", show(key)) end
    if type(value) == "function" then fail("%s: expected a value, found a function", name) end
    if kind_of(value) == "group" and not options.is_rule(value) then flat(value, name, out) else out[name] = value end
  end
  return out
end

--- The first recipe of a family: declares all keys with their defaults. Call the result to derive another.
function recipe.base(defaults)
  local schema, values = { [""] = { name = "", keys = {} } }, flat(defaults, "", {})
  local function place(name, what)
    if ("." .. name .. "."):find("..", 1, true) then fail("%q: expected a name, found a part of it empty", name) end
    what.name, what.group, what.key = name, name:match "^(.*)%.", name:match "[^.]+$"
    what.group = what.group or ""
    local group = schema[what.group] or place(what.group, { keys = {} })
    if not group.keys then fail("%s: expected a group of keys, found %s", group.name, show(group.default)) end
    schema[name], group.keys[what.key] = what, what
    return what
  end
  for _, name in ipairs(lists.keys(values)) do -- a name comes before those that it is a group of
    local rule = options.is_rule(values[name]) and values[name] or { default = values[name] }
    place(name, setmetatable({ kind = rule.kind or kind_of(rule.default) }, { __index = rule }))
    values[name] = rule.default
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

--- The recipe that `flatten` came from, from dotted names to values; `names` may list keys without a value.
function recipe.unflatten(values, names)
  local all = lists.copy(values)
  for _, name in ipairs(names or {}) do
    if all[name] == nil then all[name] = recipe.optional() end
  end
  return recipe.base(all)
end

local FLAGS = { ["true"] = true, ["false"] = false }

-- What a text stands for at a leaf; the text itself where that is for `checked` to refuse.
local function parse(leaf, text)
  local kind, number, flag = leaf.kind, tonumber(text), FLAGS[text]
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
  local out = r {}
  local schema = schemas[out]
  for _, text in ipairs(texts or {}) do
    local name, value = text:match "^([%w_.]+)=(.*)$"
    if not name then fail("expected key=value, found %q", text) end
    local leaf = schema[name] or unknown(schema, name)
    if leaf.keys then
      fail("%s: expected one of its keys (%s), found the group", name, table.concat(lists.keys(leaf.keys), ", "))
    end
    local typed = parse(leaf, value)
    if typed ~= nil then typed = checked(leaf, typed) end
    rawset(group_in(out, leaf.group), leaf.key, typed)
  end
  return out
end

--- One line per key, "key = value", changed ones marked with the base's value.
function recipe.describe(r)
  return table.concat(walk(r, function(name, value, leaf)
    local text, before = show(value), show(leaf.default)
    return ("%-26s %s%s"):format(name, text, text ~= before and ("   (base: %s)"):format(before) or "")
  end), "\n")
end

--- assignments(r, wanted?): "key=value" of all keys that have a value, or of those in the set `wanted`, by name.
function recipe.assignments(r, wanted)
  return walk(r, function(name, value)
    return value ~= nil and (not wanted or wanted[name]) and name .. "=" .. show(value)
  end)
end

-- Makes `require "experiments.x"` find the files beside this library and beside the experiment, from any folder.
local function extend_path(folder)
  local pattern = folder .. "/?.lua"
  if not (";" .. package.path .. ";"):find(";" .. pattern .. ";", 1, true) then
    package.path = package.path .. ";" .. pattern
  end
end

if home.checkout then extend_path(home.checkout) end

--- experiment(name): the path of one of the library's own experiments, from a checkout or an installed library.
function recipe.experiment(name)
  return package.searchpath("experiments." .. name, package.path)
    or fail("expected experiments/%s.lua beside the library, found none", name)
end

--- read(path): what a file beside experiments returns, and its text. It finds `experiments.x` beside the library and
-- around itself.
function recipe.read(path)
  local file <close>, why = io.open(path, "r")
  if not file then fail("expected a readable experiment file, found %s", why) end
  local text = file:read "a"
  if not text then fail("expected an experiment file, found the folder %s", path) end
  local absolute = path:sub(1, 1) == "/" and path or lfs.currentdir() .. "/" .. path
  local folder = absolute:match "^(.*)/[^/]*$"
  extend_path(folder .. "/..")
  extend_path(folder .. "/../..") -- of a sweep
  local chunk, problem = load(text, "@" .. path, "t")
  if not chunk then fail("%s", problem) end
  local ok, result = pcall(chunk)
  if not ok then core.refuse("%s: %s", path, (tostring(result):gsub("\n.*", ""))) end
  return result, text
end

--- from(r, path, text): says of a recipe which file it came from.
function recipe.from(r, path, text)
  sources[r] = { path = path, text = text }
  return r
end

--- Reads EXPERIMENT.lua, a file that returns a recipe, and applies "key=value" texts.
function recipe.load(path, overrides)
  local result, text = recipe.read(path)
  if not recipe.is(result) then fail("%s: expected the file to return a recipe, found a %s", path, type(result)) end
  return recipe.from(recipe.override(result, overrides), path, text)
end

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
