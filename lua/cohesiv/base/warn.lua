--- Warnings: what may be right but is better known, one line each on standard error.
local core = require "cohesiv.core"

local warn = {}

local NAMED = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
local function escape(bytes)
  return NAMED[bytes] or bytes:gsub(".", function(c) return ("\\x%02x"):format(c:byte()) end)
end

--- plain(text): the text with its control bytes written out (\n, \x1b), so that names of files keep a message on one
-- line and tell a terminal nothing. UTF-8 stays as it is, but for its control characters.
function warn.plain(text) return (tostring(text):gsub("[\0-\31\127]", escape):gsub("\xC2[\x80-\x9F]", escape)) end

--- write(line): where warnings go; tests listen here.
function warn.write(line)
  io.stderr:write(core.system.isatty "stderr" and "\r\27[K" or "", line, "\n") -- a progress bar may stand there
end

--- line(format, …): prints `cohesiv: warning: …`.
function warn.line(format, ...) warn.write("cohesiv: warning: " .. warn.plain(format:format(...))) end

local said = setmetatable({}, { __mode = "k" })

--- once(key, format, …): the same, but once for each key, a text or an object; whether it was printed.
function warn.once(key, format, ...)
  if said[key] then return false end
  said[key] = true
  warn.line(format, ...)
  return true
end

core.on_notice(function(text) warn.line("%s", text) end)

return warn
