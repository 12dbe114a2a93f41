--- What is known of the terminal: its size, and whether anything but plain lines may be written to it.
local system = require("cohesiv.core").system

local terminal = {}

--- Columns and rows: of the terminal, else $COLUMNS and $LINES, else 80 and 24.
function terminal.size()
  local columns, rows = system.terminal()
  return columns or tonumber(os.getenv "COLUMNS") or 80, rows or tonumber(os.getenv "LINES") or 24
end

--- Whether 24-bit colours may be used on stdout: a terminal that is not "dumb" and no $NO_COLOR.
function terminal.colors()
  return system.isatty "stdout" and os.getenv "TERM" ~= "dumb" and (os.getenv "NO_COLOR" or "") == ""
end

return terminal
