--- Where the library's own files lie: in a checkout or where they were installed.
local first_line = require "cohesiv.base.first_line"
local M = {}

local source = debug.getinfo(1, "S").source:sub(2)
if source:sub(1, 1) ~= "/" then source = require "lfs".currentdir() .. "/" .. source end

--- The folder that holds cohesiv/, with its slash.
M.modules = source:match "^(.*)cohesiv/base/[^/]*$"
--- The checkout around it; nil for an installed library.
M.checkout = M.modules:match "^(.*)/lua/$"

--- git(arguments): the first line of what git says of the checkout; nil for an installed library.
function M.git(arguments)
  local root = M.checkout and M.checkout:gsub("'", [['\'']])
  return root and first_line(("git -C '%s' %s"):format(root, arguments))
end

return M
