--- Options of layers that may differ for height and width: n, or { height, width }; of paddings also { top, bottom,
-- left, right } or "same".
local options = require "cohesiv.base.options"
local refuse = require "cohesiv.base.refuse"

local M = {}

--- rule(default, least, name?): an entry of a layer's schema; checked() looks at its lists.
function M.rule(default, least, name)
  local of = options.integer(default, least, nil, name)
  of.kind = "number|table"
  return of
end

--- padding(o): the same for the option `padding` of what a layer was called with, where "same" is one, too.
function M.padding(o)
  return type(o) == "table" and rawget(o, "padding") == "same" and "same" or M.rule(0, 0)
end

--- checked(layer, name, value, least = 1): value, its lists copied; those of paddings may have four numbers.
function M.checked(layer, name, value, least)
  if type(value) ~= "table" then return value end
  local list, n = {}, rawlen(value)
  if n ~= 2 and not (n == 4 and name == "padding") then
    refuse("%s: %s: expected a number, { height, width }%s, found %d numbers", layer, name,
      name == "padding" and " or { top, bottom, left, right }" or "", n)
  end
  for i = 1, n do list[i] = options.whole(layer, name, value[i], least or 1) end
  return list
end

--- both(value): height and width of what was checked.
function M.both(value)
  if type(value) == "table" then return value[1], value[2] end
  return value, value
end

return M
