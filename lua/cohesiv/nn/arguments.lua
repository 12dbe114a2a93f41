--- How every layer is called: with one table, what a layer needs in front and its options by name: nn.Linear{ 16, 10 },
-- nn.BatchNorm2d{ 64, act = "relu" }, nn.ReLU{}. Where one thing alone stands in front it may also come by itself, the
-- options in a table behind it: nn.BatchNorm2d(64, { act = "relu" }), nn.Dropout(0.1), nn.ReLU().
local lists = require "cohesiv.base.lists"
local options = require "cohesiv.base.options"
local refuse = require "cohesiv.base.refuse"

--- arguments(layer, schema, o, named?): what a layer was called with, as its schema (base/options.lua) says.
return function(layer, schema, o, named)
  if type(o) ~= "table" then
    if schema[2] then
      local front = {}
      for i, rule in ipairs(schema) do front[i] = rule.name:match "%S+" end
      refuse("%s: expected { %s, … }, found %s", layer, table.concat(front, ", "), type(o))
    end
    local alone = o
    o = lists.copy(options.table_of(layer, named))
    o[1] = alone
  end
  if not schema[1] and o[1] ~= nil then refuse("%s: expected {}, found %s", layer, options.show(o[1])) end
  return options.read(layer, o, schema)
end
