--- What the source says about functions and tables, for help and for the reference: ops tell their argument list and
-- line from the op table; Lua functions the comment above their definition, read from their file; functions of the core
-- a comment of the Lua file that hands them on. No text is kept here.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local M = {}

local files = {} -- path → its lines

local function lines_of(path)
  if files[path] then return files[path] end
  local lines, file <close> = {}, io.open(path)
  for line in file and file:lines() or function() end do lines[#lines + 1] = line end
  files[path] = lines
  return lines
end

local function path_of(source) return source:match "^@(.*)" or "" end

-- A doc comment begins with three dashes, and may go on with two or three.
local function begins(line) return line:find "^%s*%-%-%-" ~= nil end

-- The name that a doc comment tells the use of: "full" of "--- full(value, 2, 3): …".
local function named(line)
  local name = line:match "^%s*%-%-%- ([%w_.:]+)[({ ]"
  return name and name:match "[^.:]+$"
end

-- The comment in a file from a line on, down (1) or up (-1), and whether it is a doc comment. only: of several names
-- that are told below each other, the first.
local function comment_at(path, at, step, only)
  local lines, comment, documented = lines_of(path), {}, false
  while lines[at] and lines[at]:find "^%s*%-%-" and not (only and #comment > 0 and begins(lines[at])) do
    table.insert(comment, step > 0 and #comment + 1 or 1, (lines[at]:gsub("^%s*%-+%s?", "")))
    documented = documented or begins(lines[at])
    at = at + step
  end
  return comment, documented
end

-- The doc comment in a file that tells the use of this name, wherever it stands.
local function comment_on(path, name)
  for at, line in ipairs(lines_of(path)) do
    if named(line) == name then return comment_at(path, at, 1, true) end
  end
  return {}, false
end

-- name(a, b, …) of a Lua function.
local function signature(name, f)
  local info, parameters = debug.getinfo(f, "u"), {}
  for i = 1, info.nparams do parameters[i] = debug.getlocal(f, i) end
  if info.isvararg then parameters[#parameters + 1] = "…" end
  if parameters[1] == "self" or parameters[1] == "_" then table.remove(parameters, 1) end
  return ("%s(%s)"):format(name, table.concat(parameters, ", "))
end

-- conv2d(input, weight, bias?, { stride:int=1, … }): many parameters are better given by name, in a table at the end.
local function op_signature(name, op)
  local words, parameters = {}, {}
  for word in op.args:gmatch "%S+" do
    local list = word:find "[=:]" and parameters or words
    list[#list + 1] = word
  end
  local text = table.concat(parameters, ", ")
  if text ~= "" then words[#words + 1] = #parameters > 2 and "{ " .. text .. " }" or text end
  return ("%s(%s)"):format(name, table.concat(words, ", "))
end

--- op(f): the op that a function is, and its name.
function M.op(f)
  for name, op in pairs(core.ops) do
    if op.call == f then return op, name end
  end
end

--- source_of(t): the file of a table that `require` gave, else the one that most of its functions come from.
function M.source_of(t)
  for name, value in pairs(package.loaded) do
    if rawequal(value, t) then return package.searchpath(name, package.path) or "" end
  end
  local counts, best = {}, ""
  for _, value in next, t do
    if type(value) == "function" then
      local path = path_of(debug.getinfo(options.original(value), "S").source)
      counts[path] = (counts[path] or 0) + 1
      if counts[path] > (counts[best] or 0) then best = path end
    end
  end
  return best
end

--- of_function(name, f, holder?): how a function is called, as its name and parameters tell, the lines of its comment,
-- and whether that is a doc comment. holder: the table that it is in, whose file may tell of functions of the core.
function M.of_function(name, f, holder)
  local op, op_name = M.op(f)
  if op then return op_signature(name or op_name, op), { op.doc }, true end
  f = options.original(f)
  local info = debug.getinfo(f, "S")
  local own, path = name:match "[^.:]+$", path_of(info.source)
  local lines, documented = comment_at(path, info.linedefined - 1, -1)
  for _, other in ipairs { path, holder and M.source_of(holder) or "", package.searchpath("cohesiv.tensor",
    package.path) or "" } do
    if not lines[1] then lines, documented = comment_on(other, own) end
  end
  return signature(name, f), lines, documented
end

--- of_table(t): the lines with which its file begins.
function M.of_table(t) return (comment_at(M.source_of(t), 1, 1)) end

--- of_file(path): the lines with which a file begins.
function M.of_file(path) return (comment_at(path, 1, 1)) end

-- Where a head such as "name(a, { b = 1 })" ends, before ": " or the end of the text.
local function head_end(text)
  local depth, at = 0, 1
  while at <= #text do
    local c = text:sub(at, at)
    if c == "(" or c == "{" or c == "[" then depth = depth + 1 end
    if c == ")" or c == "}" or c == "]" then depth = depth - 1 end
    if c == '"' then at = text:find('"', at + 1, true) or #text end
    if depth == 0 and c == ":" and text:find("^:%s", at) then return at - 1 end
    if depth == 0 and c == "." and text:find("^%.%s", at) then return nil end
    at = at + 1
  end
end

--- head(lines): of a comment that begins with a call as users write it, "name(a, { b = 1 }): what it does", the call
-- and the rest; else nil and the whole.
function M.head(lines)
  local text = table.concat(lines, "\n")
  local is_call = text:find "^[%w_.:]+ ?[({\"]" or text:find "^for [%w_, ]+ in [%w_:.]+%("
  local stop = is_call and head_end(text)
  if not stop then return nil, text end
  return (text:sub(1, stop):gsub("\n", " ")), (text:sub(stop + 2):gsub("^%s+", ""))
end

return M
