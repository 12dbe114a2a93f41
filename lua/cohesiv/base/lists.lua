--- Lists and tables: their keys, entries and words, as messages and files need them.
local M = {}

--- keys(t, first?): the keys of a table, sorted by bytes (Lua's order in the C locale), `first` at their head.
function M.keys(t, first)
  local list = {}
  for key in next, t do list[#list + 1] = key end
  table.sort(list, function(a, b)
    if (a == first) ~= (b == first) then return a == first end
    return a < b
  end)
  return list
end

--- words(list, last = " or "): "a, b or c".
function M.words(list, last)
  if #list < 2 then return list[1] or "" end
  return table.concat(list, ", ", 1, #list - 1) .. (last or " or ") .. list[#list]
end

--- set(list): entry → its place.
function M.set(list)
  local set = {}
  for i, entry in ipairs(list) do set[entry] = i end
  return set
end

--- map(list, f): f(entry, place) of every entry, in order; nil and false are left out.
function M.map(list, f)
  local out = {}
  for i, entry in ipairs(list) do out[#out + 1] = f(entry, i) or nil end
  return out
end

--- copy(t): a table with the same entries.
function M.copy(t)
  local out = {}
  for key, value in next, t do out[key] = value end
  return out
end

return M
