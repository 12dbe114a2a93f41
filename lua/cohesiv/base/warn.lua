--- Warnings: what may be right but is better known, one line each on standard error.
local core = require "cohesiv.core"
local warn = {}

--- write(line): where warnings go; tests listen here.
function warn.write(line)
  io.stderr:write(core.system.isatty "stderr" and "\r\27[K" or "", line, "\n") -- a progress bar may stand there
end

--- line(format, …): prints `cohesiv: warning: …`.
function warn.line(format, ...) warn.write("cohesiv: warning: " .. core.plain(format:format(...))) end

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
