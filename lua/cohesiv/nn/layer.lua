--- How every layer begins: called with one table, what it needs in front and its options by name: nn.Linear{ 16, 10 },
-- nn.BatchNorm2d{ 64, act = "relu" }, nn.ReLU{}. Where one thing alone stands in front it may also come by itself, the
-- options in a table behind it: nn.BatchNorm2d(64, { act = "relu" }), nn.Dropout(0.1), nn.ReLU().
local core = require "cohesiv.core"
local Module = require "cohesiv.nn.module"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"
local M = {}

--- axes(default, least = 1, name?): n or { height, width }; as `padding` also { top, bottom, left, right } or "same".
function M.axes(default, least, name)
  local rule = options.integer(default, least, nil, name)
  rule.kind, rule.axes = "number|table", least or 1
  return rule
end

-- A value of axes, its list copied.
local function per_axis(kind, name, value, least)
  if type(value) ~= "table" then return value end
  local list, n = {}, rawlen(value)
  if n ~= 2 and not (n == 4 and name == "padding") then
    core.refuse("%s: %s: expected a number, { height, width }%s, found %d numbers", kind, name,
      name == "padding" and " or { top, bottom, left, right }" or "", n)
  end
  for i = 1, n do list[i] = options.whole(kind, name, value[i], least) end
  return list
end

--- new(kind, schema, given, named?): an empty module, and what it was given, read by the schema (base/options.lua).
function M.new(kind, schema, given, named)
  if type(given) ~= "table" then
    if schema[2] then
      local front = {}
      for i, rule in ipairs(schema) do front[i] = rule.name:match "%S+" end
      core.refuse("%s: expected { %s, … }, found %s", kind, table.concat(front, ", "), type(given))
    end
    local alone = given
    given = lists.copy(options.table_of(kind, named))
    given[1] = alone
  end
  if not schema[1] and given[1] ~= nil then core.refuse("%s: expected {}, found %s", kind, options.show(given[1])) end
  local split = {} -- name → its rule, of those that may differ for height and width
  for key, rule in next, schema do split[key] = options.is_rule(rule) and rule.axes and rule or nil end
  if split.padding and rawget(given, "padding") == "same" then schema.padding = "same" end
  local o = options.read(kind, given, schema)
  for key, rule in pairs(split) do o[key] = per_axis(kind, rule.name or key, o[key], rule.axes) end
  return Module.new(nil, kind), o
end

return M
