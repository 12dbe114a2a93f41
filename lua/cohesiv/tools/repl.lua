-- The REPL: reads statements and expressions, runs them in the global environment, prints results. An error costs its
-- line, never the session; Ctrl-C stops a computation and comes back to the prompt. On a terminal lines are edited
-- (csrc/lua/editor.c); from a pipe the same statements are read without prompts, and the status tells of errors.
-- A `local` at the start of an input is dropped where that still compiles: what one line names the next shall see.
local core = require "cohesiv.core"
local explore, help = require "cohesiv.tools.explore", require "cohesiv.tools.help"
local failure, lists = require "cohesiv.base.failure", require "cohesiv.base.lists"

local system = core.system

local repl = {}

local KEYWORDS = { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
  "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while" }

--- The function that an input is, or nil, message, and whether more lines could complete it.
function repl.compile(text)
  local chunk, as_expression = load("return " .. text, "=stdin")
  if chunk then return chunk end
  local dropped = text:match "^%s*local%s+(.*)$"
  chunk = dropped and not dropped:find "^[%w_%s,]*$" and load(dropped, "=stdin")
  if chunk then return chunk end
  local message
  chunk, message = load(text, "=stdin")
  local more = message and (message:find "<eof>$" or as_expression:find "<eof>$") ~= nil
  return chunk, message, more
end

--- How the REPL prints a value (`depth`: in others): a table in one line if short, else an entry a line; two levels.
function repl.describe(value, depth)
  depth = depth or 0
  if type(value) == "string" then return depth > 0 and ("%q"):format(value) or value end
  local meta = getmetatable(value)
  if type(value) ~= "table" or (meta and (meta.__tostring or meta.__name)) then
    local text = tostring(value)
    return depth > 0 and text:match "^[^\n]*" or text
  end
  if depth > 2 then return "{…}" end
  local parts, keys = {}, {}
  for i = 1, math.min(#value, 20) do parts[i] = repl.describe(value[i], depth + 1) end
  if #value > 20 then parts[21] = ("… %d entries"):format(#value) end
  for key in next, value do
    if not (math.type(key) == "integer" and key >= 1 and key <= #value) then keys[#keys + 1] = key end
  end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, key in ipairs(keys) do
    local name = type(key) == "string" and key:find "^[%a_][%w_]*$" and key or ("[%s]"):format(tostring(key))
    parts[#parts + 1] = name .. " = " .. repl.describe(value[key], depth + 1)
  end
  local line = "{ " .. table.concat(parts, ", ") .. " }"
  if #parts == 0 then return "{}" end
  if #line <= 100 then return line end
  local indent = ("  "):rep(depth + 1)
  return "{\n" .. indent .. table.concat(parts, ",\n" .. indent) .. "\n" .. ("  "):rep(depth) .. "}"
end

-- Runs a chunk and prints what it returns; false when it failed.
local function evaluate(chunk, trace)
  system.on_signal "raise"
  local results = table.pack(xpcall(chunk, failure.caught))
  system.on_signal "flag" -- at the prompt Ctrl-C only ends the line
  local ok, caught = results[1], results[2]
  if ok and results.n > 1 then
    ok, caught = pcall(function()
      for i = 2, results.n do results[i] = repl.describe(results[i]) end
      print(table.concat(results, "\t", 2))
    end)
  end
  io.stdout:flush()
  if ok then return true end
  if system.stopped() then
    io.stderr:write(system.isatty "stderr" and "\n" or "", "interrupted\n")
  else
    if type(caught) ~= "table" then caught = { message = caught } end
    io.stderr:write(failure.line(caught.message), "\n", trace and caught.traceback and caught.traceback .. "\n" or "")
  end
  return false
end

--- Completion: the text before the cursor → what to insert, and the candidates.
function repl.complete(before)
  local path = before:match "[%a_][%w_%.:]*$"
  if not path then return "", {} end
  local before_last, prefix = path:match "^(.-)([%w_]*)$"
  local value = _G
  for part in before_last:gmatch "[^.:]+" do
    if value == nil then return "", {} end
    value = value[part]
  end
  local names = before_last == "" and lists.set(KEYWORDS) or {}
  for _, holder in ipairs(help.holders(value)) do
    for name in pairs(help.names(holder)) do names[name] = true end
  end
  local found = lists.map(lists.keys(names), function(name)
    return name:sub(1, #prefix) == prefix and (prefix ~= "" or name:sub(1, 2) ~= "__") and name
  end)
  local first, last = found[1] or prefix, found[#found] or prefix
  local common = #prefix
  while common < #first and first:byte(common + 1) == last:byte(common + 1) do common = common + 1 end
  return first:sub(#prefix + 1, common), found
end

-- Where history is kept; nil when the folder cannot be made.
local function history_file()
  local home, base = os.getenv "HOME", os.getenv "XDG_STATE_HOME"
  if not base or base == "" then base = home and home .. "/.local/state" end
  local made = base and pcall(core.io.make_folder, base .. "/cohesiv")
  return made and base .. "/cohesiv/history" or nil
end

-- The exit status of a signal other than Ctrl-C, which is forgotten.
local function ended()
  local signal = system.stopped()
  if signal and signal ~= 2 then return 128 + signal end
  system.resume()
end

-- Runs an input; whether it was without failure, nil where more lines could complete it.
local function take(text, trace)
  local chunk, message, more = repl.compile(text)
  if chunk then return evaluate(chunk, trace) end
  if more then return nil end
  io.stderr:write(message, "\n")
  return false
end

--- Runs the REPL until its input ends; returns the exit status. options: trace.
function repl.run(options)
  local trace, pending, failed = options and options.trace, nil, false
  _G.co = require "cohesiv"
  _G.help, _G.explore = help.help, explore.explore
  local editor <close> = system.isatty "stdin" and system.isatty "stdout"
    and system.editor(history_file(), repl.complete) or nil
  if editor then
    system.on_signal "flag"
    print(("cohesiv %s, %s, %d threads. help() lists what there is, Ctrl-D leaves."):format(_G.co.version,
      system.cpu().isa, system.threads()))
  end
  local function next_line() -- nil at the end, false after Ctrl-C
    if not editor then
      system.on_signal "raise"
      return io.read "l"
    end
    local line = editor:line(pending and ">> " or "> ")
    if line and line:find "%S" then editor:remember(line) end
    return line
  end
  for line in next_line do
    local status = ended()
    if not line then
      pending = nil
    elseif not status and (pending or line:find "%S") then
      local text = pending and pending .. "\n" .. line or line
      local fine = take(text, trace)
      pending, failed = fine == nil and text or nil, failed or fine == false
      status = ended()
    end
    if status then return status end
  end
  if pending then io.stderr:write((select(2, repl.compile(pending))), "\n") end
  if editor then print() end
  return not editor and (failed or pending) and 1 or 0
end

return repl
