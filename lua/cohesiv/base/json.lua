--- JSON in and out, strictly, over lua-cjson: one line per failure with its place, limits on size and depth, no NaN, no
-- key twice in an object. What is written has its keys sorted: the same value always gives the same text. Nulls inside
-- tables become json.null (a value that is true, unlike nil); empty objects and lists are both {}.
local core = require "cohesiv.core"
local cjson = require("cjson").new()

local DEPTH = 64 -- of tables within tables
local HOLES = 1000 -- a list may have so many places, whatever of them is empty
local LIMIT = 1 << 29 -- bytes of a file: landmarks of an hour of video take 100 MB
local BOM = "^\xEF\xBB\xBF" -- a byte order mark of UTF-8, which is skipped

cjson.decode_invalid_numbers(false)
cjson.decode_max_depth(DEPTH)
cjson.encode_invalid_numbers(false)

local json = { null = cjson.null }
local LIST = {} -- marks what is a list even when it is empty

-- ---- what is wrong, and where ----

-- Line and column (in characters) of a byte of the text.
local function place(text, at)
  local before = text:sub(1, at - 1)
  local start = before:match "^.*\n()" or 1
  return select(2, before:gsub("\n", "")) + 1, (utf8.len(text, start, at - 1, true) or at - start) + 1
end

-- What stands at a byte: a word or number as it is, else the next bytes in quotes.
local function token(text, at)
  local word = text:match("^[-+]?[%w_.]+", at)
  if word and #word <= 40 then return word end
  return '"' .. text:sub(at, (utf8.offset(text, 0, math.min(at + 12, #text + 1)) or at + 12) - 1) .. '"'
end

local REASONS = {
  { "T_END", "the end of the text (cut short?)" },
  { "unexpected end of string", "a string without an end (cut short?)" },
  { "escape code", "an escape that is none" },
  { "nested", ("more than %d levels"):format(DEPTH) },
}

-- Of cjson's message: what was found, at which byte of the text.
local function reason(text, message)
  local at = math.tointeger(tonumber(message:match "at character (%d+)$"))
  if not at then return message end
  for _, entry in ipairs(REASONS) do
    if message:find(entry[1], 1, true) then return entry[2], at end
  end
  return token(text, at), at
end

-- The first key that an object has twice, and the byte where it stands. The text is known to be JSON. Lists of numbers,
-- most of a large file, are leapt over: of quotes and braces the next is kept and looked for anew once it is passed.
local function twice(text)
  local find, byte = string.find, string.byte
  local function after(mark, at) return find(text, mark, at, true) or math.huge end
  local quote, opening, closing = after('"', 1), after("{", 1), after("}", 1)
  local seen, depth, objects, number = {}, 0, {}, 0 -- seen[depth][key]: the object that had it last
  while quote < math.huge do
    if opening < quote and opening < closing then
      depth, number, opening = depth + 1, number + 1, after("{", opening + 1)
      objects[depth], seen[depth] = number, seen[depth] or {}
    elseif closing < quote then
      depth, closing = depth - 1, after("}", closing + 1)
    else
      local to = find(text, '["\\]', quote + 1)
      while byte(text, to) == 92 do to = find(text, '["\\]', to + 2) end -- \
      if depth > 0 and find(text, "^[ \t\r\n]*:", to + 1) then
        local key, keys = text:sub(quote + 1, to - 1), seen[depth]
        if keys[key] == objects[depth] then return key, quote end
        keys[key] = objects[depth]
      end
      quote = after('"', to + 1)
      if opening < to then opening = after("{", to + 1) end
      if closing < to then closing = after("}", to + 1) end
    end
  end
end

--- decode(text, what): the value of a JSON text; `what` names it in the message.
function json.decode(text, what)
  what = what or "json"
  if text:find "^\xFF\xFE" or text:find "^\xFE\xFF" or text:find "^%z?[%[{]%z" then
    core.refuse("%s: expected JSON in UTF-8, found UTF-16", what)
  end
  text = text:gsub(BOM, "")
  local function wrong(found, at)
    local where = at and (" at line %d, column %d"):format(place(text, at)) or ""
    core.refuse("%s: expected JSON, found %s%s", what, found, where)
  end
  if not text:find "%S" then wrong "nothing" end
  local zero = text:find("\0", 1, true)
  if zero then wrong("a zero byte", zero) end -- where cjson would end
  local ok, value = pcall(cjson.decode, text)
  if not ok then wrong(reason(text, tostring(value))) end
  local key, at = twice(text)
  if key then wrong(('the key "%s" twice in an object'):format(key), at) end
  return value
end

-- ---- writing ----

local function cannot(why) core.refuse("json: expected a value that JSON can hold, found: %s", why) end

local function scalar(value)
  local ok, text = pcall(cjson.encode, value)
  return ok and text or cannot(tostring(text))
end

-- The largest key of a list, which may have holes; nil for an object.
local function list_size(t)
  local largest, count = 0, 0
  for k in pairs(t) do
    if math.type(k) ~= "integer" or k < 1 then return nil end
    largest, count = math.max(largest, k), count + 1
  end
  if largest > HOLES and largest > 2 * count then cannot "a list of more holes than values" end
  return largest
end

local text_of

-- The members of an object, each as text, sorted by the texts that their keys become. colon: what stands between.
local function members(t, colon, depth)
  local keys, texts = {}, {}
  for k in pairs(t) do
    if type(k) ~= "string" and type(k) ~= "number" then cannot(("a %s as a key"):format(type(k))) end
    keys[#keys + 1], texts[k] = k, type(k) == "number" and scalar(k) or k
  end
  table.sort(keys, function(x, y) return texts[x] < texts[y] end)
  for i, k in ipairs(keys) do keys[i] = scalar(texts[k]) .. colon .. text_of(t[k], depth) end
  return keys
end

function text_of(value, depth)
  if type(value) ~= "table" then return scalar(value) end
  if depth > DEPTH then cannot(("tables within tables, more than %d deep"):format(DEPTH)) end
  local size, items = list_size(value), {}
  if not size or size == 0 and getmetatable(value) ~= LIST then
    return "{" .. table.concat(members(value, ":", depth + 1), ",") .. "}"
  end
  for i = 1, size do items[i] = text_of(value[i], depth + 1) end
  return "[" .. table.concat(items, ",") .. "]"
end

--- list(t): t, which is written as a list even when it is empty.
function json.list(t) return setmetatable(t, LIST) end

--- encode(value): JSON text in one line. Lists and string-keyed tables; no functions, cycles or NaN.
function json.encode(value) return text_of(value, 1) end

-- The members of an object; `absent`: names that are null where it lacks them. NaN and infinities are null, too.
local function fields(t, absent)
  local all = {}
  for _, k in ipairs(absent or {}) do all[k] = json.null end
  for k, v in pairs(t) do
    local finite = type(v) ~= "number" or v - v == 0
    if finite then all[k] = v else all[k] = json.null end
  end
  return members(all, ": ", 1)
end

--- row(t): an object in one line, as a line of .jsonl has it.
function json.row(t) return "{" .. table.concat(fields(t), ", ") .. "}\n" end

--- lines(t, absent): an object with a line for each key; `absent`: names that are null where it lacks them.
function json.lines(t, absent) return "{\n  " .. table.concat(fields(t, absent), ",\n  ") .. "\n}\n" end

--- read(path): the value in a JSON file. A file that does not even begin like a document is called what it is.
function json.read(path)
  local text = core.io.read_file(path, LIMIT)
  local ok, value = pcall(json.decode, text, path)
  if ok then return value end
  local kind = not text:gsub(BOM, ""):find "^%s*[%[{]" and core.io.kind(path)
  core.error(kind and ("%s: expected JSON, found %s"):format(path, kind) or value)
end

--- write(path, value): a JSON file, whole or not at all.
function json.write(path, value) core.io.write_file(path, json.encode(value) .. "\n") end

return json
