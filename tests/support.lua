-- What the specs share: temporary folders, running commands, skipping by name, bytes in use, random tensors.
-- Loaded by `require "tests.support"`, from the top of the checkout.

local assert = require "luassert"
local lfs = require "lfs"

local support = {}

local here = debug.getinfo(1, "S").source:sub(2):gsub("[^/]*$", "")
--- The top of the checkout, absolute.
support.root = (here:sub(1, 1) == "/" and here or lfs.currentdir() .. "/" .. here):gsub("/?%.?/?tests/$", "")

--- Samples are fewer in a run under sanitizers or with garbage collected at every op.
support.small = os.getenv "COHESIV_SMALL" ~= nil

-- A preloaded sanitizer is for this process, not for those it starts: they use the release build, unless they are
-- given this environment.
support.same_build = { COHESIV_BUILD = os.getenv "COHESIV_BUILD" or support.root .. "/build" }
if (os.getenv "LD_PRELOAD" or ""):find "libasan" then
  support.same_build.LD_PRELOAD = os.getenv "LD_PRELOAD"
  local setenv = require("cohesiv.core").system.setenv
  setenv("LD_PRELOAD", nil)
  setenv("COHESIV_BUILD", nil)
end

--- The folder of real data, or nil.
support.data = os.getenv "COHESIV_DATA"
if support.data == "" then support.data = nil end

--- `it` for a test that needs the real data; without it the test is skipped by name.
function support.data_it(name, run)
  local busted = require "busted" -- its names are not global in modules
  if support.data then return busted.it(name, run) end
  return busted.pending(name .. ": COHESIV_DATA is not set")
end

--- `it` for a test that needs Python with PyTorch ($COHESIV_PYTHON names the interpreter); skipped by name without it.
support.python = os.getenv "COHESIV_PYTHON"
if support.python == "" then support.python = nil end
function support.python_it(name, run)
  local busted = require "busted"
  if support.python then return busted.it(name, run) end
  return busted.pending(name .. ": COHESIV_PYTHON is not set")
end

--- For specs of clips without landmarks: weights that this machine happens to have, which would find them, are not
-- seen.
function support.without_weights() require("cohesiv.core").system.setenv("COHESIV_WEIGHTS", support.temp()) end

--- A word for the shell.
function support.quote(word)
  return "'" .. tostring(word):gsub("'", [['\'']]) .. "'"
end

local folders = setmetatable({}, {
  __gc = function(list)
    for _, path in ipairs(list) do os.execute("rm -rf " .. support.quote(path)) end
  end,
})

--- A new empty folder, removed when the process ends.
function support.temp()
  local name = os.tmpname()
  os.remove(name)
  name = name .. ".d"
  assert(lfs.mkdir(name))
  folders[#folders + 1] = name
  return name
end

--- The whole content of a file.
function support.read(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  return bytes
end

--- Writes a file.
function support.write(path, bytes)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  assert(file:close())
  return path
end

--- Kernels and graphs that GPUs have been asked for so far.
function support.launches()
  for _, d in ipairs(require("cohesiv").devices()) do
    if d.kind == "cuda" then return d.launches end
  end
end

--- Names in a folder, sorted, without . and ..
function support.list(path)
  local names = {}
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- Runs a command (a list of words, or a string for the shell) → { status, stdout, stderr }. A signal n counts as
-- status 128 + n, running out of time as 124. options: timeout (seconds, 300), stdin (text), dir, env (table), and
-- signal ("INT": what is sent when the time is over; the status is then the command's own).
function support.run(command, options)
  options = options or {}
  local out, words = support.temp(), command
  if type(command) == "table" then
    local quoted = {}
    for i, word in ipairs(command) do quoted[i] = support.quote(word) end
    words = table.concat(quoted, " ")
  end
  local env = {}
  for name, value in pairs(options.env or {}) do env[#env + 1] = name .. "=" .. support.quote(value) end
  local script = ("cd %s && export COHESIV_TEST=1 %s && %s"):format(
    support.quote(options.dir or lfs.currentdir()), table.concat(env, " "), words)
  if options.signal then script = script:gsub("&& ([^&]*)$", "&& exec %1") end
  support.write(out .. "/in", options.stdin or "")
  local limit = options.signal and ("--preserve-status -s %s -k 10"):format(options.signal) or "-k 5"
  local _, how, status = os.execute(("timeout %s %g sh -c %s <%s/in >%s/out 2>%s/err"):format(
    limit, options.timeout or 300, support.quote(script), out, out, out))
  return {
    status = how == "signal" and 128 + status or status,
    stdout = support.read(out .. "/out"),
    stderr = support.read(out .. "/err"),
  }
end

--- Runs the program with these words, without the launcher; options as in run.
function support.cohesiv(words, options)
  return support.run({ "lua5.4", support.root .. "/lua/cohesiv/main.lua", table.unpack(words) }, options)
end

--- Asserts that a run failed as the program shall: this status, one line on stderr that holds `text` (plain).
function support.refuses(result, status, text)
  assert.equal(status, result.status, result.stderr)
  local first, rest = result.stderr:match "^(cohesiv: [^\n]+)\n(.*)$"
  assert.is_truthy(first, "expected one line on stderr, found: " .. result.stderr)
  if status == 1 then assert.equal("", rest) end
  assert.is_truthy(first:find(text, 1, true), ("expected '%s' in: %s"):format(text, first))
end

--- Bytes that tensors hold, after everything unreachable was collected.
function support.bytes()
  collectgarbage()
  collectgarbage()
  return require("cohesiv").memory().live
end

--- Runs f(…) and asserts that the bytes in use return to where they were.
function support.no_leak(f, ...)
  local before = support.bytes()
  f(...)
  assert.equal(before, support.bytes(), "bytes in use after the test")
end

--- Asserts that f(…) raises one line that holds `text` (plain), and returns the line.
function support.raises(text, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok, "expected an error with '" .. text .. "', found none")
  message = tostring(message)
  assert.is_nil(message:find "\n", "expected one line, found: " .. message)
  assert.is_truthy(message:find(text, 1, true), ("expected '%s' in: %s"):format(text, message))
  return message
end

--- The largest absolute difference between two tensors of one shape.
function support.difference(a, b)
  assert.same(a.shape, b.shape)
  if #a.shape > 0 and a:reshape(-1).shape[1] == 0 then return 0 end
  return (a:to "float64" - b:to "float64"):abs():max():item()
end

--- close_lists(expected, found, tolerance, what): tensors that differ by at most so much of the largest number of each,
--- 0.1 at least.
function support.close_lists(expected, found, tolerance, what)
  for k, t in ipairs(expected) do
    local largest, difference = math.max(t:abs():max():item(), 0.1), support.difference(t, found[k])
    assert.is_true(difference <= tolerance * largest, ("%s: result %d differs by %g of %g"):format(what, k, difference,
      largest))
  end
end

return support
