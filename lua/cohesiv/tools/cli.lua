-- The command line: finds the command, parses its arguments, runs it, and turns whatever happens into an exit status:
-- 0 done, 1 failed (one line on stderr; the traceback too with --trace), 2 wrong usage, 130 Ctrl-C, 143 SIGTERM.
--
-- A command is a file of lua/cohesiv/tools/commands/, and needs no line here. It returns
--   { summary = "one line", configure = function(parser) … end, run = function(args) → exit status or nil }
local failure, lists = require "cohesiv.base.failure", require "cohesiv.base.lists"
local argparse = require "argparse"
local lfs = require "lfs"
local cli = {}

-- Raised by cli.usage; told apart from failures by its metatable.
local Usage = { __tostring = function(e) return e.message end }

--- Raises a usage error (status 2) from within a command's run.
function cli.usage(format, ...) error(setmetatable({ message = format:format(...) }, Usage), 0) end

--- Paths and data of a command's words RUN… [data=PATH]; data=A data=B and data={A,B} are a list.
function cli.runs(command, words)
  local paths, data = {}, {}
  for _, word in ipairs(words) do
    local path = word:match "^data=(.+)$"
    if not path and word:find "^[%w_.]+=" then
      error(("%s: expected RUN or data=PATH, found %q"):format(command, word), 0)
    end
    for one in (path and (path:match "^{(.*)}$" or path) or ""):gmatch(path and path:find "^{" and "[^,]+" or ".+") do
      data[#data + 1] = one:match "^%s*(.-)%s*$"
    end
    if not path then paths[#paths + 1] = word end
  end
  if #paths == 0 then error(command .. ": expected at least one run folder, found none", 0) end
  return paths, data[2] and data or data[1]
end

--- as(what, f): for argparse: converts an argument by f; where that gives nothing, what was expected is told.
function cli.as(what, f)
  return function(text) return f(text) or nil, ("%s, found '%s'"):format(what, text) end
end

--- The names of all commands, sorted.
function cli.names()
  local names, folder = {}, package.searchpath("cohesiv.tools.cli", package.path):gsub("[^/]*$", "commands")
  for file in lfs.dir(folder) do names[#names + 1] = file:match "^(%l[%l%d_-]*)%.lua$" end
  table.sort(names)
  return names
end

--- command(name): what a command's file returns.
function cli.command(name)
  local command = require("cohesiv.tools.commands." .. name)
  if type(command) == "table" then return command end
  error(("commands/%s.lua: expected a table with summary and run, found %s"):format(name, type(command)), 0)
end

--- parser(name): the argparse parser of a command; wrong usage raises instead of leaving the process.
function cli.parser(name)
  local command = cli.command(name)
  local parser = argparse("cohesiv " .. name, command.summary)
  parser:flag "--trace" :description "Print the traceback of a failure."
  if command.configure then command.configure(parser) end
  function parser:error(message)
    error(setmetatable({ message = message:gsub("\n", ". "), usage = self:get_usage() }, Usage), 0)
  end
  return parser
end

local function print_help()
  print [[
Usage: cohesiv COMMAND …      cohesiv SCRIPT.lua ARGS…      cohesiv -e CODE      cohesiv (alone: the REPL)

Commands (each has --help):]]
  for _, name in ipairs(cli.names()) do
    print(("  %-16s%s"):format(name, cli.command(name).summary))
  end
  print "\nOptions: --trace prints the traceback of a failure, --version the version."
end

-- What the command line asks for: the command's name and its arguments.
local function choose(words)
  local first = words[1]
  if not first then return "repl", words end
  if first == "-e" or first == "-" or first:find("%.lua$") then return "script", words end
  if lists.set(cli.names())[first] then return first, { table.unpack(words, 2) } end
  if first:sub(1, 1) ~= "-" and lfs.attributes(first, "mode") == "file" then return "script", words end
  cli.usage("%s: expected a command or a Lua file, see cohesiv --help", first)
end

-- argparse takes a word such as -3,-1 for an option: it is joined to the option before it, as --gaps=-3,-1.
local function join_negative(words)
  local joined = {}
  for _, word in ipairs(words) do
    local option = word:find "^%-%.?%d" and (joined[#joined] or ""):match "^%-%-%l[%l-]*$"
    if option then joined[#joined] = option .. "=" .. word else joined[#joined + 1] = word end
  end
  return joined
end

local in_script = false -- whether errors are told with their place

local function dispatch(words)
  if words[1] == "--help" or words[1] == "-h" then return print_help() end
  if words[1] == "--version" then return print("cohesiv " .. require("cohesiv").version) end
  local name, rest = choose(words)
  local command = cli.command(name)
  -- A script's arguments are its own; every other command's go through its parser.
  in_script = name == "script"
  return command.run(in_script and rest or cli.parser(name):parse(join_negative(rest)))
end

-- `--trace` counts before a script's name and anywhere among a command's arguments.
local function take_trace(words)
  local trace, rest, script = false, {}, false
  for _, word in ipairs(words) do
    script = script or #rest == 0 and (word == "-e" or word:find "%.lua$")
    if word == "--trace" and not script then trace = true else rest[#rest + 1] = word end
  end
  return trace, rest
end

--- Runs one command line (a list of words) and returns the exit status.
function cli.main(words)
  local trace, rest = take_trace(words)
  local ok, result = xpcall(function()
    require("cohesiv.core").system.on_signal "raise"
    require("cohesiv.base.environment").check()
    return dispatch(rest)
  end, failure.caught)
  io.stdout:flush()
  if ok then return result or 0 end
  -- Out of memory, or out of stack while the error was looked at: Lua gives a text of its own.
  if type(result) ~= "table" then result = { message = result } end
  local message = result.message
  local function tell(status, line, more)
    io.stderr:write("cohesiv: ", line, "\n", more and more .. "\n" or "")
    return status
  end
  local loaded = package.loaded["cohesiv.core"]
  local signal = loaded and loaded.system.stopped()
  if signal then -- training says how to go on
    local line = type(message) == "string" and message:match "^interrupted: [^\n]*" or "interrupted"
    return tell(128 + signal, failure.line(line))
  end
  if getmetatable(message) == Usage then return tell(2, failure.line(message.message), message.usage) end
  return tell(1, failure.line(message, in_script and result.place), trace and (result.traceback or ""))
end

return cli
