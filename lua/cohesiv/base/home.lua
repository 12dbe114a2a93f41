--- Where the library's own files lie: in a checkout or where they were installed.
local M = {}

local source = debug.getinfo(1, "S").source:sub(2)
if source:sub(1, 1) ~= "/" then source = require "lfs".currentdir() .. "/" .. source end

--- The folder that holds cohesiv/, with its slash.
M.modules = source:match "^(.*)cohesiv/base/[^/]*$"
--- The checkout around it; nil for an installed library.
M.checkout = M.modules:match "^(.*)/lua/$"

return M
