--- JSON in and out, strictly: one line per failure with its place, limits on size and depth, no NaN, no key twice in an
-- object. What is written has its keys sorted: the same value always gives the same text. Nulls inside tables become
-- json.null (a value that is true, unlike nil); empty objects and lists are both {}.
local core = require "cohesiv.core"

local LIMIT = 1 << 29 -- bytes of a file: landmarks of an hour of video take 100 MB

--- null; decode(text, what): the value of a JSON text, which messages call `what`; encode(value): JSON text in one line
-- of lists and string-keyed tables, without functions, cycles or NaN; list(t): t, written as a list even when empty.
local json = { null = core.json.null, decode = core.json.decode, encode = core.json.encode, list = core.json.list }

-- The members of an object; `absent`: names that are null where it lacks them. NaN and infinities are null, too.
local function members(t, absent, comma)
  local all = {}
  for _, k in ipairs(absent or {}) do all[k] = json.null end
  for k, v in pairs(t) do
    local finite = type(v) ~= "number" or v - v == 0
    if finite then all[k] = v else all[k] = json.null end
  end
  return core.json.members(all, comma, ": ")
end

--- row(t): an object in one line, as a line of .jsonl has it.
function json.row(t) return "{" .. members(t, nil, ", ") .. "}\n" end

--- lines(t, absent): an object with a line for each key; `absent`: names that are null where it lacks them.
function json.lines(t, absent) return "{\n  " .. members(t, absent, ",\n  ") .. "\n}\n" end

--- read(path): the value in a JSON file. A file that does not even begin like a document is called what it is.
function json.read(path)
  local text = core.io.read_file(path, LIMIT)
  local ok, value = pcall(json.decode, text, path)
  if ok then return value end
  local kind = not text:gsub("^\xEF\xBB\xBF", ""):find "^%s*[%[{]" and core.io.kind(path)
  core.error(kind and ("%s: expected JSON, found %s"):format(path, kind) or value)
end

--- write(path, value): a JSON file, whole or not at all.
function json.write(path, value) core.io.write_file(path, json.encode(value) .. "\n") end

return json
