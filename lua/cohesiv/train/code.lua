--- Functions that experiments bring along. A function in a recipe is guarded: an error in it is one line that names the
-- key and the file and line. Its identity is a digest of what it does: its tokens (neither place nor comments) and the
-- values that it closes over, functions of the experiment's own files likewise. Files are read in files.lua.
local core = require "cohesiv.core"
local failure, lists = require "cohesiv.base.failure", require "cohesiv.base.lists"
local places = require "cohesiv.base.places"
local M = {}

local LIBRARY = debug.getinfo(1, "S").source:match "^(@.-cohesiv/)train/[^/]*$" or "@"
local known = setmetatable({}, { __mode = "k" }) -- guarded function → its digest

-- ---- tokens ----

-- Where the string that opens at `at` ends.
local function string_end(text, at)
  local quote = text:sub(at, at)
  local here = at + 1
  while here <= #text do
    local c = text:sub(here, here)
    if c == quote then return here end
    here = here + (c == "\\" and 2 or 1)
  end
  return #text
end

-- The tokens of Lua source from `line` on: list of { text, line }; spaces and comments are left out.
local function tokens_from(text, first)
  local list, at, line = {}, 1, 1
  while at <= #text do
    local _, to = text:find("^%s+", at)
    local kept = not to
    if not to then
      local level = text:match("^%-%-%[(=*)%[", at)
      if level then _, to = text:find("]" .. level .. "]", at, true) end
      if not to then _, to = text:find("^%-%-[^\n]*", at) end
      kept = not to
    end
    if not to then
      local level = text:match("^%[(=*)%[", at)
      if level then _, to = text:find("]" .. level .. "]", at, true) end
      if not to and text:find("^[\"']", at) then to = string_end(text, at) end
      if not to then _, to = text:find("^[%w_]+", at) end
      to = to or at
    end
    local token = text:sub(at, to)
    if kept and line >= first then list[#list + 1] = { token, line } end
    line = line + select(2, token:gsub("\n", ""))
    at = to + 1
  end
  return list
end

local set = { text = "", lines = {} } -- of the text that was asked about last: name → lines

--- lines_that_set(text, key): the lines of Lua source on which `key =` stands.
function M.lines_that_set(text, key)
  if set.text ~= text then
    set = { text = text, lines = {} }
    local list = tokens_from(text, 1)
    for i = 2, #list do
      local name, after = list[i - 1], list[i + 1]
      if list[i][1] == "=" and not (after and after[1] == "=") then
        set.lines[name[1]] = set.lines[name[1]] or {}
        table.insert(set.lines[name[1]], name[2])
      end
    end
  end
  return set.lines[key] or {}
end

local DEEPER = { ["function"] = 1, ["do"] = 1, ["if"] = 1, ["repeat"] = 1, ["end"] = -1, ["until"] = -1 }

-- The tokens of the functions of `text` that stand from one line to another: one, unless several share these lines.
local function tokens_of(text, first, last)
  local list, found = tokens_from(text, first), {}
  for i, token in ipairs(list) do
    if token[2] > first then break end
    if token[1] == "function" then
      local depth, at = 0, i
      while list[at] do
        found[#found + 1] = list[at][1]
        depth = depth + (DEEPER[list[at][1]] or 0)
        if depth == 0 then break end
        at = at + 1
      end
      if list[at] and list[at][2] ~= last then found[#found + 1] = "…" end
    end
  end
  return table.concat(found, " ")
end

-- ---- identity ----

local describe

-- The source of a function of the user's: `texts` has those of the files that are being read, by their names.
local function text_of(source, texts)
  local path = source:match "^@(.*)"
  if not path then return source end
  if texts[path] then return texts[path] end
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or ""
end

local function describe_function(f, texts, seen, out)
  local info = debug.getinfo(f, "S")
  if info.what == "C" or info.source:sub(1, #LIBRARY) == LIBRARY then
    out[#out + 1] = "a function of " .. info.source:match "[^/]*$"
    return
  end
  out[#out + 1] = tokens_of(text_of(info.source, texts), info.linedefined, info.lastlinedefined)
  for i = 1, math.huge do
    local name, value = debug.getupvalue(f, i)
    if not name then return end
    if not (name == "_ENV" and value == _G) then
      out[#out + 1] = name
      describe(value, texts, seen, out)
    end
  end
end

local function is_module(t)
  for name, module in pairs(package.loaded) do
    if rawequal(module, t) then return name end
  end
end

local BUILT_IN = { require = true, dofile = true }

function describe(x, texts, seen, out)
  local kind = type(x)
  if kind == "table" or kind == "function" then
    if seen[x] then
      out[#out + 1] = "again " .. seen[x]
      return
    end
    seen[x], seen.count = seen.count, seen.count + 1
  end
  if known[x] then
    out[#out + 1] = known[x]
  elseif kind == "function" then
    describe_function(x, texts, seen, out)
  elseif kind == "table" and is_module(x) then
    out[#out + 1] = "module " .. is_module(x)
  elseif kind == "table" then
    local keys = {}
    for key in next, x do
      if (type(key) == "string" or type(key) == "number") and not BUILT_IN[key] then keys[#keys + 1] = key end
    end
    table.sort(keys, function(a, b)
      if type(a) == type(b) then return a < b end
      return type(a) == "number"
    end)
    out[#out + 1] = "{"
    for _, key in ipairs(keys) do
      out[#out + 1] = ("%q"):format(key)
      describe(rawget(x, key), texts, seen, out)
    end
    out[#out + 1] = "}"
  elseif core.is_tensor(x) then
    out[#out + 1] = ("%s %s %s"):format(x.dtype, table.concat(x.shape, "x"),
      core.io.digest(table.concat(lists.map(x:detach():reshape(-1):totable(), tostring), " ")))
  else
    out[#out + 1] = kind == "userdata" and kind or ("%q"):format(x)
  end
end

local function digest_of(f, texts)
  local out = {}
  describe(f, texts, { count = 1 }, out)
  return core.io.digest(table.concat(out, "\n"))
end

-- ---- guards ----

-- A function that ends in `return other(…)` has left the stack when that fails: then its beginning is told.
local function passed(name, begins, ok, ...)
  if ok then return ... end
  local caught = ...
  if type(caught) ~= "table" then caught = { message = caught } end -- short of memory or of stack
  core.error(name .. ": " .. failure.line(caught.message, caught.place or begins), 0)
end

--- guard(name, f, texts = {}): f for the key `name` of a recipe: what it raises is one line with key, file and line.
function M.guard(name, f, texts)
  if known[f] then return f end
  local info = debug.getinfo(f, "S")
  local begins, guarded = ("%s:%d"):format(info.short_src, info.linedefined), nil
  guarded = function(...) return passed(name, begins, xpcall(f, failure.caught_in(guarded), ...)) end
  known[guarded] = digest_of(f, texts or {})
  places.note(guarded, begins)
  return guarded
end

--- stand_in(digest, place, find): a function that is known by its identity, and looked for by find() when it is called.
function M.stand_in(digest, place, find)
  local function guarded(...) return find()(...) end
  known[guarded] = digest
  places.note(guarded, place)
  return guarded
end

--- digest(f): a function's identity.
function M.digest(f) return known[f] or digest_of(f, {}) end

--- show(f): "function 0123456789abcdef", the same for functions that do the same.
function M.show(f) return "function " .. M.digest(f):sub(1, 16) end

return M
