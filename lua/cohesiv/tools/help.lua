--- help(x): what the source says about a thing. Ops tell their argument list and line from the op table; Lua functions
-- show the comment above their definition, read from their file; modules list what is in them. No text is kept here.
local core = require "cohesiv.core"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"
local comments = require "cohesiv.tools.comments"
local M = {}

--- names(holder): the texts that are keys of a table as a set, those that its __pairs tells too.
function M.names(holder)
  local names = {}
  local function add(...)
    for name in ... do
      if type(name) == "string" then names[name] = true end
    end
  end
  pcall(function() add(pairs(holder)) end)
  add(next, holder)
  return names
end

local function class_of(x)
  local meta = getmetatable(x)
  return type(meta) == "table" and (rawget(meta, "methods") or rawget(meta, "__index"))
end

--- holders(x): the tables that x.name is looked up in: x itself (of a tensor the methods) and the classes behind it.
function M.holders(x)
  local list, seen = {}, {}
  local holder = core.is_tensor(x) and core.methods or type(x) == "table" and x or class_of(x)
  while type(holder) == "table" and not seen[holder] do
    list[#list + 1], seen[holder] = holder, true
    holder = class_of(holder)
  end
  return list
end

-- A name such as "conv2d", "co.flow.read" or "sum" → the value, or nil.
local function find(name)
  local value = require "cohesiv"
  for part in name:gsub("^co%.", ""):gmatch "[^.:]+" do
    if type(value) ~= "table" then return nil end
    value = value[part]
  end
  if value == nil then value = core.methods[name] end
  return value
end

-- The public name of a function, looked for two tables deep, and the table that it is in.
local function name_of(f)
  local co = require "cohesiv"
  for name, value in next, co do
    if value == f then return name, co end
    for inner, v in next, type(value) == "table" and value or {} do
      if v == f then return name .. "." .. inner, value end
    end
  end
end

-- How a value is written, and the lines that its source says of it.
local function told(x, name, holder)
  if type(x) == "function" then
    if not name then name, holder = name_of(x) end
    return comments.of_function(name or "function", x, holder)
  end
  return name, type(x) == "table" and comments.of_table(x) or {}
end

local function list(out, module)
  for _, name in ipairs(lists.keys(M.names(module))) do
    if not name:find "^_" then
      local value = module[name]
      local head, lines = told(value, name, module)
      local doc = lines[1] or options.show(value)
      if type(value) == "function" and not comments.op(value) then -- the first sentence
        doc = table.concat(lines, " ")
        doc = doc:match "^(.-[^.]%.)%s" or doc
      end
      doc = doc:gsub("^" .. name:gsub("%p", "%%%0") .. "%([^:]*%):%s*", "")
      out[#out + 1] = #head > 30 and ("  %s\n  %-30s  %s"):format(head, "", doc) or ("  %-30s  %s"):format(head, doc)
    end
  end
end

--- help_text(x): what help prints, as a string.
function M.text(...)
  local x, out = ..., {}
  if select("#", ...) == 0 then
    out[1] = "help(x) explains a function, a module, a tensor, or a name in quotes. Names in co:\n"
    list(out, require "cohesiv")
    return table.concat(out, "\n")
  end
  if type(x) == "string" then
    local found = find(x)
    if found == nil then core.refuse("help: %s: expected a name of co, found none such", options.text(x)) end
    x = found
  end
  local head, lines = told(x)
  if type(x) == "function" then
    if #lines == 0 then lines[1] = "(no comment in its source)" end
    return head .. "\n  " .. table.concat(lines, "\n  ")
  elseif core.is_tensor(x) then
    out[1] = ("tensor: shape {%s}, %s on %s\nmethods:"):format(table.concat(x.shape, ", "), x.dtype, x.device)
    list(out, core.methods)
  elseif type(x) == "table" then
    lines[#lines + 1] = "names:"
    out[1] = table.concat(lines, "\n")
    for _, holder in ipairs(M.holders(x)) do list(out, holder) end
  else
    out[1] = ("%s: %s"):format(type(x), options.show(x))
  end
  return table.concat(out, "\n")
end

--- help(x): explains a function, a module, a tensor, or the name of one of co in quotes; help() lists all names.
function M.help(...) print(M.text(...)) end

return M
