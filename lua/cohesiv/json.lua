--- JSON in and out, strictly, over lua-cjson: one line per failure, a limit on size and depth, no NaN.
--
-- Nulls inside tables become json.null (a value that is true, unlike nil); empty objects and lists are both {}.
local core = require "cohesiv.core"
local cjson = require("cjson").new()

cjson.decode_invalid_numbers(false)
cjson.decode_max_depth(64)
cjson.encode_max_depth(64)
cjson.encode_invalid_numbers(false)
cjson.encode_sparse_array(false, 2, 1000)

local json = { null = cjson.null }

-- Files above this are refused: landmarks of an hour of video take 100 MB.
local LIMIT = 1 << 29

--- decode(text, what): the value of a JSON text; `what` names it in the message.
function json.decode(text, what)
  local ok, value = pcall(cjson.decode, text)
  if ok then return value end
  error(("%s: expected JSON, found: %s"):format(what or "json", (tostring(value):gsub("%c", " "))), 0)
end

--- encode(value): JSON text in one line. Lists and string-keyed tables; no functions, cycles or NaN.
function json.encode(value)
  local ok, text = pcall(cjson.encode, value)
  if ok then return text end
  error(("json: expected a value that JSON can hold, found: %s"):format((tostring(text):gsub("%c", " "))), 0)
end

--- read(path): the value in a JSON file.
function json.read(path)
  return json.decode(core.io.read_file(path, LIMIT), path)
end

--- write(path, value): a JSON file, whole or not at all.
function json.write(path, value)
  core.io.write_file(path, json.encode(value) .. "\n")
end

return json
