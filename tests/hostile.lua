-- Hostile calls: what a user's slip, or spite, may hand to a public function, and what must come of it: it returns, or
-- it raises one line that is ours. Used by hostile_calls_spec.lua.
local co = require "cohesiv"
local lfs = require "lfs"
local support = require "tests.support"

-- Calls run in another folder: what is loaded when first used must be found from there.
for _, kind in ipairs { "path", "cpath" } do
  package[kind] = package[kind]:gsub("[^;]+", function(entry)
    return entry:sub(1, 1) == "/" and entry or support.root .. "/" .. entry
  end)
end

local hostile = {}

--- What the functions below raise.
hostile.spite = "raised by an argument"

local function spite() error(hostile.spite, 0) end

local function deep(levels)
  local t = {}
  for _ = 1, levels do t = { t } end
  return t
end

local DEEP, LONG = deep(100000), ("x"):rep(1 << 20) -- made once: no call changes these

local function cyclic()
  local t = { 1 }
  t.self, t[2] = t, t
  return t
end

local function closed()
  local t = co.zeros(2, 2)
  t:close()
  return t
end

--- name → a function that makes the value anew (a call may change it).
hostile.values = {
  { "nil", function() return nil end },
  { "true", function() return true end },
  { "false", function() return false end },
  { "0", function() return 0 end },
  { "-1", function() return -1 end },
  { "1.5", function() return 1.5 end },
  { "2^53", function() return 2.0 ^ 53 end },
  { "2^40", function() return 1 << 40 end },
  { "maxinteger", function() return math.maxinteger end },
  { "mininteger", function() return math.mininteger end },
  { "infinity", function() return math.huge end },
  { "-infinity", function() return -math.huge end },
  { "NaN", function() return 0 / 0 end },
  { "1e300", function() return 1e300 end },
  { "empty string", function() return "" end },
  { "string with newline", function() return "a\nb" end },
  { "string with escapes", function() return "\27[31m\0z" end },
  { "a digit", function() return "3" end },
  { "long string", function() return LONG end },
  { "{}", function() return {} end },
  { "deep table", function() return DEEP end },
  { "cyclic table", cyclic },
  { "table with an unknown key", function() return { wrong = 1 } end },
  { "table with a bad key", function() return { ["a\nb"] = 1, [true] = 2 } end },
  { "mixed list", function() return { 1, "x", {} } end },
  { "list of NaN", function() return { 0 / 0, 0 / 0 } end },
  { "list of huge", function() return { 1 << 62, 1 << 62 } end },
  { "list of strings", function() return { "a\nb", "" } end },
  { "list of pairs", function() return { { 1, 2 }, { 3, 4 } } end },
  { "spiteful table", function()
    return setmetatable({}, { __index = spite, __len = spite, __tostring = spite, __pairs = spite, __call = spite,
      __eq = spite, __lt = spite, __add = spite, __concat = spite, __name = "a\nb" })
  end },
  { "raising function", function() return spite end },
  { "silent function", function() return function() end end },
  { "coroutine", function() return coroutine.create(spite) end },
  { "file", function() return io.stdout end },
  { "scalar tensor", function() return co.tensor(1, { dtype = "int32" }) end },
  { "empty tensor", function() return co.zeros(0, 0) end },
  { "huge tensor of nothing", function() return co.full(0, { 1 << 40, 0 }) end },
  { "uint8 tensor", function() return co.zeros(3, { dtype = "uint8" }) end },
  { "uint8 picture", function() return co.zeros(3, 4, 3, { dtype = "uint8" }) end },
  { "float tensor", function() return co.full(0.5, 4, 5) end },
  { "tensor of NaN", function() return co.full(0 / 0, 4, 2) end },
  { "float64 tensor", function() return co.zeros(2, 3, 2, { dtype = "float64" }) end },
  { "float16 tensor", function() return co.zeros(2, 3, { dtype = "float16" }) end },
  { "flow of infinities", function() return co.full(math.huge, 4, 5, 2) end },
  { "tensor that wants a gradient", function() return co.full(1, 2, 2, { requires_grad = true }) end },
  { "closed tensor", closed },
  { "module", function() return co.nn.ReLU and co.nn.ReLU() or co.nn.Module.new() end },
}

local FORBIDDEN = { "attempt to", "bad argument", "stack overflow", "cohesiv/[%w_/]+%.lua:%d+:",
  "tests/[%w_]+%.lua:%d+:",
  "number has no integer representation", "invalid value", "invalid option", "invalid key to", "invalid order function",
  "string slice too long", "resulting string too large", "table overflow", "too many results", "not enough memory",
  "unable to dump", "'for' initial", "number expected", "table expected", "got no value" }

-- Under sanitizers and where garbage is collected at every op, every third.
if support.small then
  local few = {}
  for i = 1, #hostile.values, 3 do few[#few + 1] = hostile.values[i] end
  hostile.values = few
end

--- What is wrong with a message, or nil.
function hostile.fault(message)
  if type(message) ~= "string" then return "raised a " .. type(message) end
  if message:find "[\0-\31\127]" then return "control characters" end
  if #message > 2000 then return "a line of " .. #message .. " bytes" end
  if message == "" then return "an empty message" end
  for _, pattern in ipairs(FORBIDDEN) do
    if message:find(pattern) then return "from inside the interpreter" end
  end
end

--- try(name, f, arguments): calls f with them (a packed table) → nil, or what is wrong as text.
function hostile.try(name, f, arguments)
  local start = os.clock()
  local ok, message = pcall(f, table.unpack(arguments, 1, arguments.n))
  local seconds = os.clock() - start
  if seconds > 10 then return ("%s: took %.1f s"):format(name, seconds) end
  if ok then return nil end
  local fault = hostile.fault(message)
  return fault and ("%s: %s: %s"):format(name, fault, tostring(message):sub(1, 300):gsub("%c", "¶"))
end

-- Every way to spoil a good call: f(description, arguments).
local function spoil(make, exact, visit)
  local count = math.max(make().n, 1)
  for i = 1, exact and count or count + 1 do
    for _, value in ipairs(hostile.values) do
      local arguments = make()
      arguments[i], arguments.n = value[2](), math.max(arguments.n, i)
      visit(("argument %d: %s"):format(i, value[1]), arguments)
    end
    local given = i <= count and make()[i]
    if type(given) == "table" and getmetatable(given) == nil then
      for key, inner in pairs(given) do
        for _, value in ipairs(hostile.values) do
          local arguments, where = make(), ("argument %d, %s"):format(i, tostring(key))
          arguments[i][key] = value[2]()
          visit(where .. ": " .. value[1], arguments)
          if type(inner) == "table" and getmetatable(inner) == nil then
            for k in pairs(inner) do
              arguments = make()
              arguments[i][key][k] = value[2]()
              visit(("%s, %s: %s"):format(where, tostring(k), value[1]), arguments)
            end
          end
        end
      end
      local arguments = make()
      arguments[i]["a\nb"] = 1
      visit(("argument %d with an unknown key"):format(i), arguments)
    end
  end
  visit("nothing", { n = 0 })
end

-- What prints and what asks is silent meanwhile, and files without a folder land in a temporary one.
local function in_silence(f)
  local real_print, write, here = print, io.write, lfs.currentdir()
  local warn = require "cohesiv.base.warn"
  local told = warn.write
  _G.print, warn.write = function() end, function() end
  rawset(io, "write", function() end)
  lfs.chdir(support.temp())
  local ok, message = pcall(f)
  lfs.chdir(here)
  _G.print, warn.write = real_print, told
  rawset(io, "write", write)
  if not ok then error(message, 0) end
end

--- attack(name, { f, make, exact }, faults): calls f with every spoiled version of the arguments that make() gives, and
-- appends what is wrong to the list → how many calls that were. exact: none beyond the good ones, since each that is
-- good takes its time. Tensors may take 2 GiB.
function hostile.attack(name, call, faults)
  local calls = 0
  local limit = co.memory().limit
  co.memory { limit = 2 << 30 }
  in_silence(function()
    spoil(call[2], call.exact, function(how, arguments)
      calls = calls + 1
      faults[#faults + 1] = hostile.try(name .. ": " .. how, call[1], arguments)
      if calls % 200 == 0 then collectgarbage() end
    end)
  end)
  co.memory { limit = limit }
  return calls
end

return hostile
