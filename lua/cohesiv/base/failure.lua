--- What is told of an error: one line. An error may be any value, raised anywhere: by a script, by a module of the
-- user's, by this library (whose messages name no place), or by Lua itself. Loads nothing before there is one to tell.
local M = {}

-- The folder that cohesiv/ lies in, as Lua names it: own files are those of cohesiv/.
local folder = debug.getinfo(1, "S").source:match "^@(.-)cohesiv/base/[^/]*$" or ""
local own = "@" .. folder .. "cohesiv/"

-- "SCRIPT.lua:3" of the nearest function on the stack, from `level` up to `outermost`, that is neither ours nor C's.
local function place(level, outermost)
  for at = level + 1, math.huge do
    local info = debug.getinfo(at, "Slf")
    if not info or info.func == outermost then return nil end
    if info.what ~= "C" and info.currentline > 0 and info.source:sub(1, #own) ~= own then
      return ("%s:%d"):format(info.short_src, info.currentline)
    end
  end
end

--- caught(message): for xpcall, of what a script does: { message, place, traceback }.
function M.caught(message)
  local ok, where = pcall(place, 3)
  return { message = message, place = ok and where or nil, traceback = debug.traceback(nil, 2) }
end

-- "cohesiv/x.lua:3: …" of a message that names a place in an own file, whose path Lua may have cut at the left.
local function internal(text)
  local path, rest = text:match "^([^\n:]-)(cohesiv/[%w_/]+%.lua:%d+: .*)"
  path = path and path:gsub("^%.%.%.", "")
  return path and folder:sub(-#path) == path and rest or nil
end

-- Any value as text; __tostring is the user's and may fail.
local function text_of(message)
  local kind = type(message)
  local meta = kind == "table" and getmetatable(message)
  if kind == "string" or kind == "number" or type(meta) == "table" and meta.__tostring then
    local ok, text = pcall(tostring, message)
    if ok then return text end
  end
  return "expected a message as the error, found " .. require("cohesiv.core").found(message)
end

--- caught_in(f): the same for what happens within a call of f.
function M.caught_in(f)
  return function(message)
    local ok, where = pcall(place, 3, f)
    return { message = message, place = ok and where or nil, traceback = debug.traceback(nil, 2) }
  end
end

--- line(message, place?): the message as one line. `place` goes in front unless the message names one itself.
function M.line(message, at)
  local text = text_of(message)
  text = text:gsub("\nstack traceback:.*", ""):gsub("^(.-module '.-' not found):.*", "%1")
  if text == "" or text:find "^[^\n]-:%d+: $" then text = text .. "failed without a message" end
  local inside = internal(text)
  if inside then
    text = "internal error, please report it: " .. inside
  elseif at and not text:find "^[^\n]-:%d+: " then
    text = at .. ": " .. text
  end
  local loaded, core = pcall(require, "cohesiv.core")
  text = loaded and core.plain(text) or text:gsub("%c", " ")
  return #text > 1000 and text:sub(1, 1000):gsub("[\xC0-\xFF]?[\x80-\xBF]*$", "") .. "…" or text
end

return M
