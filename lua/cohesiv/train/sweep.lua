--- Sweeps: recipes that belong together, each with a name of its own. A sweep file returns one:
--
--   local sweep, base = require "cohesiv.sweep", require "experiments.cohesiv"
--   return sweep.grid(base, { ["maps.temperature"] = { 1, 2, 4 }, seed = { 0, 1, 2 } })
--
-- Here is what a sweep is and how its file is read; what lies on disk is in sweep_folder.lua, who runs it in tools/.
-- Processes that run an entry read the file again, so that whatever a recipe may hold need not be written down.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local recipe = require "cohesiv.train.recipe"
local M = {}
local Sweep = { __name = "sweep" }

local function fail(format, ...) core.refuse("sweep: " .. format, ...) end

--- is(x): whether it is a sweep: a list of entries { name, recipe, changes = list of { key, value } }.
function M.is(x) return getmetatable(x) == Sweep end

-- "maps.temperature" = v as a table of tables.
local function nested(changes)
  local out = {}
  for _, change in ipairs(changes) do
    local at = out
    for group in change.key:gmatch "([^.]+)%." do
      if type(at[group]) ~= "table" then at[group] = {} end
      at = at[group]
    end
    at[change.key:match "[^.]+$"] = change.value
  end
  return out
end

-- A value within a folder's name; `i`: its place, for those that have no short text.
local function word_of(value, i)
  if type(value) == "function" or type(value) == "table" and type(value[1]) == "table" then return tostring(i) end
  if type(value) == "table" and #value == 0 and next(value) ~= nil then return tostring(i) end
  local text = type(value) == "string" and (value:match "[^/]+" and value:match "([^/]+)/*$" or value)
    or recipe.show(value)
  text = text:gsub(", ", "_"):gsub("[{}\"]", ""):gsub("[^%w_.+-]", "-")
  return #text > 0 and #text <= 40 and text or tostring(i)
end

-- The recipes of `base`: one, a list of them, or another sweep.
local function entries_of(what, base)
  if recipe.is(base) then return { { name = base.name, recipe = base, changes = {} } } end
  if M.is(base) then return base end
  if type(base) ~= "table" or #base == 0 then
    fail("%s: expected a recipe or a list of them, found %s", what, type(base) == "table" and "none in the list"
      or core.text(base))
  end
  local out = {}
  for i, one in ipairs(base) do
    if not recipe.is(one) and not M.is(one) then
      fail("%s[%d]: expected a recipe, found %s", what, i, core.text(one))
    end
    for _, entry in ipairs(entries_of(what, one)) do out[#out + 1] = entry end
  end
  return out
end

-- A sweep of entries, whose names are told apart; `from`: what it was made of, which may say what is to be prepared.
local function create(entries, from)
  local taken, out = {}, {}
  for i, entry in ipairs(entries) do
    local name, n = entry.name, 1
    while taken[name] do
      n = n + 1
      name = ("%s-%d"):format(entry.name, n)
    end
    taken[name] = true
    out[i] = { name = name, changes = entry.changes, recipe = entry.recipe { name = name } }
  end
  out.prepare = type(from) == "table" and rawget(from, "prepare") or nil
  if out.prepare and type(out.prepare) ~= "function" then
    fail("prepare: expected a function, found %s", core.text(out.prepare))
  end
  return setmetatable(out, Sweep)
end

local function derived(entry, changes, name)
  local all = table.move(changes, 1, #changes, #entry.changes + 1, lists.copy(entry.changes))
  return { name = entry.name .. "_" .. name, changes = all, recipe = entry.recipe(nested(changes)) }
end

-- The keys of a table of values by key; each has a list.
local function keys_of(what, values)
  if type(values) ~= "table" then fail("%s: expected a table of lists by key, found %s", what, core.text(values)) end
  local keys = lists.keys(values)
  if #keys == 0 then fail("%s: expected a key with a list of values, found none", what) end
  for _, key in ipairs(keys) do
    if type(key) ~= "string" or type(values[key]) ~= "table" or #values[key] == 0 then
      fail("%s: %s: expected a list of values, found %s", what, tostring(key), core.text(values[key]))
    end
  end
  return keys
end

-- key → what it is called in names: its last part, or all of it where two have the same.
local function short_names(keys)
  local count, out = {}, {}
  local function last(key) return key:match "[^.]+$" or key end
  for _, key in ipairs(keys) do count[last(key)] = (count[last(key)] or 0) + 1 end
  for _, key in ipairs(keys) do out[key] = count[last(key)] == 1 and last(key) or key end
  return out
end

--- grid(base, { key = { value, … }, … }): every combination of the values, on a recipe, a list of recipes or a sweep;
-- keys are dotted, the last one by name changes fastest.
function M.grid(base, values)
  local keys, entries = keys_of("grid", values), entries_of("grid: base", base)
  local short, out = short_names(keys), {}
  local function add(entry, k, changes, words)
    if k > #keys then
      out[#out + 1] = derived(entry, lists.copy(changes), table.concat(words, "_"))
      return
    end
    for i, value in ipairs(values[keys[k]]) do
      changes[k] = { key = keys[k], value = value }
      words[k] = short[keys[k]] .. "-" .. word_of(value, i)
      add(entry, k + 1, changes, words)
    end
  end
  for _, entry in ipairs(entries) do add(entry, 1, {}, {}) end
  return create(out, not recipe.is(base) and base)
end

-- A number in [0, 1) that the seed, the draw and the key determine: a longer sweep begins with the shorter one.
local function uniform(seed, i, key)
  return tonumber(core.io.digest(("%d\n%d\n%s"):format(seed, i, key)):sub(1, 13), 16) / 2.0 ^ 52
end

-- A value of { low, high } (integers give integers; log = true: evenly in its logarithm) or of a list of choices.
local function drawn(list, u)
  local low, high = list[1], list[2]
  if #list ~= 2 or type(low) ~= "number" or type(high) ~= "number" then return list[math.floor(u * #list) + 1] end
  if math.type(low) == "integer" and math.type(high) == "integer" and not list.log then
    return low + math.floor(u * (high - low + 1))
  end
  local value = list.log and low * (high / low) ^ u or low + (high - low) * u
  return tonumber(("%.4g"):format(value))
end

--- random(base, { key = { low, high } | { choice, … }, … }, n, seed = 0): n recipes drawn at random. Two numbers are a
-- range, of integers where both are; { low, high, log = true } is drawn evenly in its logarithm.
function M.random(base, values, n, seed)
  local keys, entries = keys_of("random", values), entries_of("random: base", base)
  seed = seed or 0
  if math.type(n) ~= "integer" or n < 1 then fail("random: expected a number of draws, found %s", core.text(n)) end
  if math.type(seed) ~= "integer" then fail("random: expected an integer as the seed, found %s", core.text(seed)) end
  for _, key in ipairs(keys) do
    local low, high = values[key][1], values[key][2]
    local is_range = #values[key] == 2 and type(low) == "number" and type(high) == "number"
    if is_range and not (low <= high and (low > 0 or not values[key].log)) then
      fail("random: %s: expected { low, high }%s, found %s", key, values[key].log and " above 0" or "",
        recipe.show(values[key]))
    end
  end
  local out = {}
  for _, entry in ipairs(entries) do
    for i = 1, n do
      local changes = lists.map(keys, function(key)
        return { key = key, value = drawn(values[key], uniform(seed, i, key)) }
      end)
      out[#out + 1] = derived(entry, changes, ("draw-%d%s"):format(i, seed ~= 0 and "_of-" .. seed or ""))
    end
  end
  return create(out, not recipe.is(base) and base)
end

--- list{ recipe, …, prepare = f }: these recipes, or those of the sweeps among them. Their changes are told against the
-- first. f(sweep) is called before runs are started, once each time the sweep is run: it may make data.
function M.list(recipes)
  local entries = entries_of("list", recipes)
  for i, entry in ipairs(entries) do
    if i > 1 and #entry.changes == 0 then
      entry.changes = lists.map(recipe.changes(entries[1].recipe, entry.recipe), function(change)
        return change.key ~= "name" and { key = change.key, value = change.to }
      end)
    end
  end
  return create(entries, recipes)
end

--- load(path, overrides): the sweep that a file returns, "key=value" texts applied to all of its recipes, and the
-- file's text.
function M.load(path, overrides)
  local result, text, bundle = recipe.read(path)
  if recipe.is(result) then fail("%s: expected the file to return a sweep, found a recipe: cohesiv train", path) end
  if not M.is(result) then
    fail("%s: expected the file to return sweep.grid, sweep.random or sweep.list, found %s", path, core.text(result))
  end
  for _, entry in ipairs(result) do
    entry.recipe = recipe.from(recipe.override(entry.recipe, overrides), bundle)
    entry.recipe.name = entry.name
  end
  return result, text
end

--- changes_text(entry): "maps.temperature = 1, seed = 0".
function M.changes_text(entry)
  return table.concat(lists.map(entry.changes, function(change)
    local value = change.value
    local odd = type(value) == "function" or type(value) == "table" and #value == 0 and next(value) ~= nil
    return ("%s = %s"):format(change.key, odd and type(value) or recipe.show(value))
  end), ", ")
end

--- What `require "cohesiv.sweep"` gives.
M.public = { grid = M.grid, random = M.random, list = M.list }

return M
