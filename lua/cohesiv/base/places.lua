--- Where functions of the user's were written, for messages about what they give back.
local M = {}
local known = setmetatable({}, { __mode = "k" })

--- note(f, place): says that a function (a guard around the user's) was written at "FILE:LINE".
function M.note(f, place) known[f] = place end

--- of(f): "FILE:LINE", or nil.
function M.of(f) return known[f] end

--- prefix(f): the same as the beginning of a message, "FILE:LINE: "; nothing where it is not known.
function M.prefix(f) return known[f] and known[f] .. ": " or "" end

return M
