-- What is known of the terminal: its size, and whether anything but plain lines may be written to it. Pictures and
-- the REPL ask here; nothing is printed.

local system = require("cohesiv.core").system

local terminal = {}

--- Whether "stdout" (the default), "stdin" or "stderr" is a terminal.
function terminal.is(stream) return system.isatty(stream or "stdout") end

--- Columns and rows: of the terminal, else $COLUMNS and $LINES, else 80 and 24.
function terminal.size()
  local columns, rows = system.terminal()
  if columns then return columns, rows end
  return tonumber(os.getenv "COLUMNS") or 80, tonumber(os.getenv "LINES") or 24
end

--- Whether 24-bit colours may be used on stdout: a terminal that is not "dumb" and no $NO_COLOR.
function terminal.colors()
  return terminal.is "stdout" and os.getenv "TERM" ~= "dumb" and (os.getenv "NO_COLOR" or "") == ""
end

return terminal
