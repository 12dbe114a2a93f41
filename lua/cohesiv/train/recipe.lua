--- Recipes: an experiment is a table, an ablation is its difference from another.
--
--   local base = require "experiments.cohesiv"
--   return base { name = "attention_only", loss = { embedding = 0 } }
--
-- `recipe.base{…}` declares every key that exists, by its default; calling a recipe merges a difference into a copy.
-- A key is a plain value, or `optional "number"` (no default), or `one_of(default, …)` (a string among several, or a
-- value of the default's type or one of the strings). Unknown keys and changed types raise one line that names
-- the nearest known key. What is not here: what the keys mean (experiments/cohesiv.lua says it) and ranges of values.

local home = require "cohesiv.base.home"
local lfs = require "lfs"
local options = require "cohesiv.base.options"
local error = require("cohesiv.core").error -- a line, whatever it quotes

local recipe = {}

local schemas = setmetatable({}, { __mode = "k" }) -- recipe or group -> its node: { keys = { name -> leaf or node } }
local sources = setmetatable({}, { __mode = "k" }) -- recipe -> { path, text } of the file that it came from

local function fail(format, ...) error(("recipe: " .. format):format(...), 0) end

--- What stands at a key: a default, or one of these rules (base/options.lua says what they are).
recipe.optional, recipe.one_of = options.optional, options.one_of

local function is_list(value) return type(value) == "table" and (next(value) == nil or #value > 0) end

local function kind_of(value)
  if is_list(value) then return "list" end
  return type(value) == "table" and "group" or type(value)
end

local function show(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) == "number" then return ("%.10g"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  if not is_list(value) then return "a table of named values" end
  local parts = {}
  for i, v in ipairs(value) do parts[i] = show(v) end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local function copy_list(list)
  local out = {}
  for i, v in ipairs(list) do out[i] = type(v) == "table" and copy_list(v) or v end
  return out
end

local function sorted_keys(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return keys
end

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

local function every_name(node, prefix, names)
  for _, k in ipairs(sorted_keys(node.keys)) do
    local full = prefix .. k
    names[#names + 1] = full
    if node.keys[k].keys then every_name(node.keys[k], full .. ".", names) end
  end
  return names
end

-- The known dotted name that is nearest to `name`, its last part alone counting nearly as much.
local function nearest(root, name)
  local best, best_distance
  local last = name:match "[^.]*$"
  for _, known in ipairs(every_name(root, "", {})) do
    local d = math.min(distance(name, known), distance(last, known:match "[^.]*$") + 0.5)
    if not best or d < best_distance then best, best_distance = known, d end
  end
  return best
end

local function unknown(root, name) fail("unknown key %q; the nearest known one is %q", name, nearest(root, name)) end

local function among(strings)
  local quoted = {}
  for _, s in ipairs(strings) do
    if type(s) == "string" then quoted[#quoted + 1] = ("%q"):format(s) end
  end
  return table.concat(quoted, ", ")
end

-- Raises unless `value` may stand at leaf `name`; returns what to store.
local function checked(leaf, name, value)
  local kind = kind_of(value)
  if leaf.closed and kind == "string" then
    for _, s in ipairs(leaf.strings) do
      if s == value then return value end
    end
    fail("%s: expected %sone of %s, found %s", name, leaf.kind ~= "string" and "a " .. leaf.kind .. " or " or "",
      among(leaf.strings), show(value))
  end
  if kind ~= leaf.kind and not (leaf.kind == "any" and kind ~= "group" and kind ~= "function") then
    local or_string = leaf.closed and " or one of " .. among(leaf.strings) or ""
    fail("%s: expected a %s%s, found %s", name, leaf.kind, or_string, show(value))
  end
  if not leaf.closed and leaf.accepts and not leaf.accepts(value) then
    fail("%s: expected %s, found %s", name, leaf.expected, show(value))
  end
  if kind ~= "list" then return value end
  local element = leaf.default and leaf.default[1]
  for i, v in ipairs(value) do
    if element ~= nil and type(v) ~= type(element) then
      fail("%s[%d]: expected a %s, found %s", name, i, type(element), show(v))
    end
  end
  return copy_list(value)
end

local attach

-- Writes `changes` into `into`, whose schema is `node`; `prefix` is the dotted way to it.
local function merge(root, node, into, changes, prefix)
  for _, k in ipairs(sorted_keys(changes)) do
    local name, value, part = prefix .. tostring(k), changes[k], node.keys[k]
    if not part then unknown(root, name) end
    if part.keys then
      if kind_of(value) ~= "group" and not (type(value) == "table" and next(value) == nil) then
        fail("%s: expected a table with %s, found %s", name, table.concat(sorted_keys(part.keys), ", "), show(value))
      end
      merge(root, part, rawget(into, k), value, name .. ".")
    else
      rawset(into, k, checked(part, name, value))
    end
  end
end

local function copy(value, node)
  local out = {}
  for k, part in pairs(node.keys) do
    local v = rawget(value, k)
    if part.keys then
      out[k] = copy(v, part)
    elseif type(v) == "table" then
      out[k] = copy_list(v)
    else
      out[k] = v
    end
  end
  return out
end

local function derive(old, changes)
  local schema = schemas[old]
  if changes ~= nil and type(changes) ~= "table" then fail("expected a table of changes, found %s", show(changes)) end
  local new = attach(copy(old, schema), schema, schema, "")
  merge(schema, schema, new, changes or {}, "")
  sources[new] = sources[old]
  return new
end

-- Makes `t` and its groups strict: reading or writing a key that was not declared raises.
function attach(t, node, root, prefix)
  schemas[t] = node
  for k, part in pairs(node.keys) do
    if part.keys then attach(t[k], part, root, prefix .. k .. ".") end
  end
  return setmetatable(t, {
    __name = "recipe",
    __index = function(_, k)
      if not node.keys[k] then unknown(root, prefix .. tostring(k)) end
    end,
    __newindex = function(self, k, v) merge(root, node, self, { [k] = v }, prefix) end,
    __call = prefix == "" and derive or nil,
  })
end

local function declare(defaults, prefix)
  local node, values = { keys = {} }, {}
  for k, v in pairs(defaults) do
    local name = prefix .. tostring(k)
    if type(k) ~= "string" then fail("expected names as keys, found %s", show(k)) end
    if options.is_rule(v) then
      node.keys[k] = { kind = v.kind or kind_of(v.default), default = v.default, optional = v.optional,
                       strings = v.strings, closed = v.closed, accepts = v.accepts, expected = v.expected }
      values[k] = kind_of(v.default) == "list" and copy_list(v.default) or v.default
    elseif kind_of(v) == "group" then
      node.keys[k], values[k] = declare(v, name .. ".")
    elseif type(v) == "function" then
      fail("%s: expected a value, found a function", name)
    else
      node.keys[k] = { kind = kind_of(v), default = v }
      values[k] = kind_of(v) == "list" and copy_list(v) or v
    end
  end
  return node, values
end

--- The first recipe of a family: declares all keys with their defaults. Call the result to derive another.
function recipe.base(defaults)
  local node, values = declare(defaults, "")
  return attach(values, node, node, "")
end

--- Whether a value is a recipe.
function recipe.is(value) return type(value) == "table" and schemas[value] ~= nil and schemas[value].keys ~= nil end

local function walk(value, node, prefix, visit)
  for _, k in ipairs(sorted_keys(node.keys)) do
    local part, v = node.keys[k], rawget(value, k)
    if part.keys then walk(v, part, prefix .. k .. ".", visit) else visit(prefix .. k, v, part) end
  end
end

--- Dotted names and values: `values["optim.lr"]`, and the sorted list of all names (optional ones without a value too).
function recipe.flatten(r)
  local values, names = {}, {}
  walk(r, schemas[r], "", function(name, v)
    names[#names + 1] = name
    values[name] = v
  end)
  return values, names
end

--- The recipe that `flatten` came from, from dotted names to values; `names` may list keys without a value.
function recipe.unflatten(values, names)
  local nested, groups = {}, {}
  groups[""] = nested
  local function group_of(name)
    if groups[name] then return groups[name] end
    local outer, last = name:match "^(.*)%.([^.]+)$"
    local t, k = group_of(outer or ""), last or name
    if t[k] ~= nil then fail("%s: expected a group of keys, found %s", name, show(t[k])) end
    t[k] = {}
    groups[name] = t[k]
    return t[k]
  end
  local function place(name, value)
    if ("." .. name .. "."):find("..", 1, true) then fail("%q: expected a name, found a part of it empty", name) end
    local outer, last = name:match "^(.*)%.([^.]+)$"
    local t = group_of(outer or "")
    if groups[name] then fail("%s: expected a group of keys, found %s", name, show(value)) end
    t[last or name] = value
  end
  for _, name in ipairs(names or {}) do
    if values[name] == nil then place(name, recipe.optional()) end
  end
  for _, name in ipairs(sorted_keys(values)) do place(name, values[name]) end
  return recipe.base(nested)
end

local function words(text)
  local list = {}
  local inner = text:match "^%s*{(.*)}%s*$" or text
  for word in inner:gmatch "[^,]+" do list[#list + 1] = word:match "^%s*(.-)%s*$" end
  return list
end

local function parse(leaf, name, text)
  if leaf.optional and (text == "none" or text == "nil") then return nil end
  if leaf.closed and leaf.kind ~= "string" then
    for _, s in ipairs(leaf.strings) do
      if s == text then return text end
    end
  end
  local kind = leaf.kind
  if kind == "any" then
    if tonumber(text) then kind = "number" elseif text == "true" or text == "false" then kind = "boolean" end
  end
  if kind == "number" then
    return tonumber(text) or fail("%s: expected a number, found %q", name, text)
  elseif kind == "boolean" then
    if text ~= "true" and text ~= "false" then fail("%s: expected true or false, found %q", name, text) end
    return text == "true"
  elseif kind == "list" then
    local list = words(text:match "^%d+x%d+$" and text:gsub("x", ",") or text)
    if leaf.default == nil or type(leaf.default[1]) == "number" then
      for i, word in ipairs(list) do
        list[i] = tonumber(word) or fail("%s: expected numbers between commas, found %q", name, text)
      end
    end
    return list
  end
  return text
end

--- A copy of `r` changed by texts of the form "optim.lr=0.001", typed as the recipe's own values are: numbers,
--- true/false, strings, lists as "1,2,3" or "{1,2,3}" (a pair also as "448x256"), "none" for an optional key.
function recipe.override(r, texts)
  local new = r {}
  for _, text in ipairs(texts or {}) do
    local name, value = text:match "^([%w_.]+)=(.*)$"
    if not name then fail("expected key=value, found %q", text) end
    local node, into = schemas[new], new
    for group in name:gmatch "([^.]+)%." do
      node, into = node and node.keys and node.keys[group], into and rawget(into, group)
    end
    local last = name:match "[^.]+$"
    local leaf = last and node and node.keys and node.keys[last]
    if not leaf then unknown(schemas[new], name) end
    if leaf.keys then fail("%s: expected one of its keys (%s), found the group", name,
      table.concat(sorted_keys(leaf.keys), ", ")) end
    local typed = parse(leaf, name, value)
    if typed ~= nil then typed = checked(leaf, name, typed) end
    rawset(into, last, typed)
  end
  return new
end

-- Makes `require "experiments.x"` find the files beside this library and beside the experiment, from any folder.
local function extend_path(folder)
  local pattern = folder .. "/?.lua"
  if not (";" .. package.path .. ";"):find(";" .. pattern .. ";", 1, true) then
    package.path = package.path .. ";" .. pattern
  end
end

local function absolute(path) return path:sub(1, 1) == "/" and path or lfs.currentdir() .. "/" .. path end

if home.checkout then extend_path(home.checkout) end

--- experiment(name): the path of one of the library's own experiments, from a checkout or an installed library.
function recipe.experiment(name)
  return package.searchpath("experiments." .. name, package.path)
    or fail("expected experiments/%s.lua beside the library, found none", name)
end

--- Reads EXPERIMENT.lua, a file that returns a recipe, and applies "key=value" texts.
function recipe.load(path, overrides)
  local file, why = io.open(path, "r")
  if not file then fail("expected a readable experiment file, found %s", why) end
  local text = file:read "a"
  file:close()
  if not text then fail("expected an experiment file, found the folder %s", path) end
  extend_path((absolute(path):match "^(.*)/[^/]*$" .. "/.."))
  local chunk, problem = load(text, "@" .. path, "t")
  if not chunk then fail("%s", problem) end
  local ok, result = pcall(chunk)
  if not ok then error(("%s: %s"):format(path, (tostring(result):gsub("\n.*", ""))), 0) end
  if not recipe.is(result) then fail("%s: expected the file to return a recipe, found a %s", path, type(result)) end
  local new = recipe.override(result, overrides)
  sources[new] = { path = path, text = text }
  return new
end

--- The text of the file that a recipe came from, and its path; nil for one made in memory.
function recipe.source(r)
  local source = sources[r]
  if source then return source.text, source.path end
end

--- One line per key, "key = value", changed ones marked with the base's value.
function recipe.describe(r)
  local lines = {}
  walk(r, schemas[r], "", function(name, v, leaf)
    local value = v == nil and "none" or show(v)
    local before = leaf.default == nil and "none" or show(leaf.default)
    lines[#lines + 1] = ("%-26s %s%s"):format(name, value, value ~= before and ("   (base: %s)"):format(before) or "")
  end)
  return table.concat(lines, "\n")
end

--- fits(values, base): raises when a value is none that a recipe of that base may have; names that the base lacks pass.
function recipe.fits(values, base)
  walk(base, schemas[base], "", function(name, _, leaf)
    if values[name] ~= nil then checked(leaf, name, values[name]) end
  end)
end

--- changes(old, new): what a recipe has otherwise than an older one, a list of { key, from, to } by key. A key that the
--- older one lacks has its default there: it may be younger than that recipe.
function recipe.changes(old, new)
  local before, names = recipe.flatten(old)
  local list, only_old = {}, {}
  for _, name in ipairs(names) do only_old[name] = true end
  walk(new, schemas[new], "", function(name, value, leaf)
    local was = before[name]
    if not only_old[name] then was = leaf.default end
    only_old[name] = nil
    if show(was) ~= show(value) then list[#list + 1] = { key = name, from = was, to = value } end
  end)
  for name in pairs(only_old) do
    if before[name] ~= nil then list[#list + 1] = { key = name, from = before[name] } end
  end
  table.sort(list, function(a, b) return a.key < b.key end)
  return list
end

--- changes_text(list): "batch: 2 → 4, minutes: none → 5".
function recipe.changes_text(list)
  local parts = {}
  local function text(v) return v == nil and "none" or show(v) end
  for i, c in ipairs(list) do parts[i] = ("%s: %s → %s"):format(c.key, text(c.from), text(c.to)) end
  return table.concat(parts, ", ")
end

--- same(a, b): whether two recipes have the same keys and values.
function recipe.same(a, b)
  local mine, others = recipe.flatten(a), recipe.flatten(b)
  for name, value in pairs(mine) do
    if others[name] == nil or show(value) ~= show(others[name]) then return false end
  end
  for name in pairs(others) do
    if mine[name] == nil then return false end
  end
  return true
end

recipe.show = show

return recipe
