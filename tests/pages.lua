-- Pages of the documentation, run line by line. What a page has that can be run, in its order:
--   ```lua with "-- PATH.lua" first: a file, written       ```lua with "> ": a session; lines without > are printed
--   ```lua otherwise: a script, run with `co` at hand       four spaces and ./cohesiv: a command
--   ```text: what the command or script before it prints
-- Output is compared line by line: words exactly, a number with any number, spaces with any spaces, … with anything.
local support = require "tests.support"
local M = {}

--- steps(text, passed): a list of { kind = "file", "session", "script", "command" or "output", text, line, path? }.
-- passed: patterns of commands that are left out.
function M.steps(text, passed)
  local list, fence, block, number = {}, nil, {}, 0
  local function is_passed(command)
    for _, pattern in ipairs(passed or {}) do
      if command:find(pattern) then return true end
    end
  end
  local function add(kind, content, path)
    list[#list + 1] = { kind = kind, text = content, line = number, path = path }
  end
  for line in text:gmatch "([^\n]*)\n" do
    number = number + 1
    local mark = line:match "^```(%w*)$"
    if mark and not fence then
      fence, block = mark, {}
    elseif mark then
      local content = table.concat(block, "\n") .. "\n"
      local path = content:match "^%-%- ([%w_/.-]+%.lua)\n"
      if fence == "lua" then
        add(path and "file" or content:find "^> " and "session" or "script", content, path)
      elseif fence == "text" then
        add("output", content)
      end
      fence = nil
    elseif fence then
      block[#block + 1] = line
    elseif line:find "^    %./cohesiv%s" then
      local command = line:match "^    %./cohesiv%s+(.-)%s*$":gsub("%s+# .*", "")
      if not is_passed(command) then add("command", command) end
    end
  end
  return list
end

-- A line as a pattern.
local function pattern_of(line)
  local pattern = line:gsub("…", "\1"):gsub("[+-]?%d[%d.]*e?%-?%d*", "\2"):gsub("%s+", "\3"):gsub("%p", "%%%0")
  return "^" .. pattern:gsub("\1", ".*"):gsub("\2", "[+-]?[%%d.][%%de.+-]*"):gsub("\3", "%%s+") .. "$"
end

--- differing(expected, found): the first line that differs and what is there instead; nil where none does.
function M.differing(expected, found)
  local lines = {}
  for line in found:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  local at = 1
  for line in expected:gmatch "([^\n]*)\n" do
    if line == "…" then
      at = #lines - select(2, expected:match "\n…\n(.*)$":gsub("\n", "")) + 1
    else
      if not (lines[at] and lines[at]:find(pattern_of(line))) then return line, lines[at] or "(nothing)" end
      at = at + 1
    end
  end
  if lines[at] then return "(nothing)", lines[at] end
end

-- Words as a shell splits them, quotes included.
local function words_of(command)
  local words, rest = {}, command
  while rest ~= "" do
    local quoted, after = rest:match "^'([^']*)'%s*(.*)$"
    if not quoted then quoted, after = rest:match "^(%S+)%s*(.*)$" end
    words[#words + 1], rest = quoted, after
  end
  return words
end

local MARK = "\1" -- between the blocks of a session

-- What the blocks of a page's session print, by their number: all of them are typed when the first is reached.
local function session(steps, options, change)
  local typed, count = {}, 0
  for _, step in ipairs(steps) do
    if step.kind == "session" then
      count = count + 1
      for line in change(step.text):gmatch "> ([^\n]*)" do typed[#typed + 1] = line end
      typed[#typed + 1] = ('_ = io.write("%s\\n")'):format(MARK)
      step.block = count
    end
  end
  options.stdin = table.concat(typed, "\n") .. "\n"
  local result, printed = support.cohesiv({}, options), {}
  options.stdin = nil
  for part in result.stdout:gmatch("([^" .. MARK .. "]*)" .. MARK .. "\n") do printed[#printed + 1] = part end
  return printed, result
end

--- runner(steps, options, change): run(step), which runs a step in options.dir and returns what it printed (nil for a
-- file). change(text): what is written or run in its place. Raises where a step fails.
function M.runner(steps, options, change)
  local printed
  return function(step)
    local text, result = change(step.text), nil
    if step.kind == "file" then
      local path = options.dir .. "/" .. step.path
      require("cohesiv.core").io.make_folder(path:match "^(.*)/")
      support.write(path, text)
      return nil
    elseif step.kind == "session" then
      if not printed then printed, result = session(steps, options, change) end
      if not result then return printed[step.block] end
    elseif step.kind == "script" then
      support.write(options.dir .. "/script.lua", 'local co = require "cohesiv"\n' .. text)
      result = support.cohesiv({ "script.lua" }, options)
    else
      result = support.cohesiv(words_of(text), options)
    end
    if result.status ~= 0 then error(("status %d: %s"):format(result.status, result.stderr), 0) end
    return step.kind == "session" and printed[step.block] or result.stdout
  end
end

--- shown(step): what a session's block shows as printed.
function M.shown(step)
  local lines = {}
  for line in step.text:gmatch "([^\n]*)\n" do
    if not line:find "^> " then lines[#lines + 1] = line .. "\n" end
  end
  return table.concat(lines)
end

return M
