-- What the specs of failing allocations share: builds and loads tests/faults.c, and runs a function with its first,
-- second, third, … allocation failing until none is left to fail. Each time: one clear error (or the right values
-- after all), nothing left behind, and the same call right afterwards.
local co = require "cohesiv"
local core = require "cohesiv.core"
local lfs = require "lfs"
local support = require "tests.support"

local faults = {}

local function build()
  local to = support.temp() .. "/faults.so"
  local result = support.run(("cc -shared -fPIC -O1 -Wall -Wextra -Werror -D_GNU_SOURCE $(pkg-config --cflags lua5.4)"
    .. " -Wl,-z,nodelete -o %s %s"):format(support.quote(to), support.quote(support.root .. "/tests/faults.c")))
  assert(result.status == 0, result.stderr)
  return assert(package.loadlib(to, "luaopen_faults"))()
end

local inject = build()
-- The core, and the libraries that read and write files for it.
for _, library in ipairs { "/cohesiv/core.so", "/libpng", "/libjpeg", "/libz." } do
  assert(inject.watch(library) > 0, "faults: expected imports of " .. library .. ", found none")
end

local function open_files()
  local n = 0
  for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
  return n
end

-- What is held: its name, and how much of it there is now, caches aside.
local HELD = {
  { "block", inject.blocks },
  { "byte of tensors", function() return co.memory({ empty_cache = true }).live end },
  { "open file", open_files },
}

-- All that is held. Userdata that an error left behind is collected first where that is not what was expected.
local function held(expected)
  local now, unexpected
  for _ = 1, expected and 2 or 1 do
    now, unexpected = {}, false
    for i = #HELD, 1, -1 do -- bytes before blocks: the cache is emptied there
      now[i] = HELD[i][2]()
      unexpected = unexpected or expected and now[i] ~= expected[i]
    end
    if not unexpected then break end
    collectgarbage()
    collectgarbage()
  end
  return now
end

--- content(folder) → the files below it and what is in them, times left out.
local function content(folder, into, prefix)
  into, prefix = into or {}, prefix or ""
  for _, name in ipairs(support.list(folder)) do
    local path, as = folder .. "/" .. name, prefix .. name
    if lfs.attributes(path, "mode") == "directory" then
      into[as .. "/"] = ""
      content(path, into, as .. "/")
    else
      local bytes = support.read(path)
      into[as] = name:find "json" and bytes:gsub("%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ", "") or bytes
    end
  end
  return into
end

local function check(ok, format, ...)
  if not ok then error(format:format(...), 0) end
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b or (a ~= a and b ~= b) end
  for k, v in pairs(a) do
    if not same(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

-- Weights of a sum that tells numbers and their places.
local weights = {}
local function weights_of(n)
  weights[n] = weights[n] or (1 / co.arange(1, n + 1, { dtype = "float64" })):keep()
  return weights[n]
end

-- What f returned with tensors as their numbers; of large ones two sums.
local function plain(value)
  if core.is_tensor(value) then
    local t = value:detach():to("float64"):reshape { -1 }
    local n = t.shape[1]
    local all = n <= 100 and t:totable() or { t:sum():item(), (t * weights_of(n)):sum():item() }
    return { value.dtype, value.shape, all }
  end
  if type(value) ~= "table" then return value end
  local out = {}
  for k, v in pairs(value) do out[k] = plain(v) end
  return out
end

-- The name of a file that differs.
local function changed(before, after)
  for name, bytes in pairs(before) do
    if after[name] ~= bytes then return after[name] and name .. " changed" or name .. " gone" end
  end
  for name in pairs(after) do
    if before[name] == nil then return name .. " left" end
  end
end

--- terminal() → a function that undoes it: stdin and stdout are a pseudo-terminal, on which type(keys) types.
faults.terminal, faults.type = inject.terminal, inject.type

faults.content = content

--- A failure is one line that names memory.
function faults.is_clear(message)
  return type(message) == "string" and not message:find "\n" and message:lower():find "memory" ~= nil
end

--- faults.once("library" | "lua", k, f, ...): f(...) with the k-th of these allocations failing, and the retries
-- after it: true or false, its result or message, whether anything failed.
function faults.once(whose, k, f, ...)
  inject.arm(whose, k, whose == "lua" and 2 or 3)
  local ok, got = pcall(f, ...)
  local _, failed = inject.disarm()
  return ok, got, failed > 0
end

-- Every allocation is tried; in a run of small samples about SAMPLES of each chain, others in every chain.
local SAMPLES, chains = 12, 0
local function first_and_stride(n)
  if not support.small then return 1, 1 end
  local stride = n // SAMPLES + 1
  chains = chains + 1
  return chains % stride + 1, stride
end

-- The same call without failures, and what is held after it, are looked at after every PAUSE-th failure and at the end:
-- most of the time would go there, and what is left behind adds up till then.
local PAUSE = 16

--- faults.each(what, f, { lua = false, burst = 3, folder }): f(), which returns tensors, numbers, strings and tables of
-- them, with the k-th allocation and the burst - 1 after it failing, for k = 1, 2, … (memory_take tries three times).
-- lua: Lua's allocator in place of the library's. folder: where f writes; after a failure its files are as they were.
-- Returns how many allocations f makes.
function faults.each(what, f, o)
  o = o or {}
  local whose, burst = o.lua and "lua" or "library", o.burst or (o.lua and 2 or 3)
  local function cold(...)
    co.memory { empty_cache = true }
    return co.tidy(function(...)
      inject.arm(whose, ...)
      local ok, got = pcall(co.tidy, f)
      local seen, failed = inject.disarm()
      return ok, ok and plain(got) or got, seen, failed
    end, ...)
  end
  -- Collections cost more than the calls. Those in want of memory take what the calls leave, and run no finalizers:
  -- what these hold piles up till somebody looks.
  local _ <close> = setmetatable({}, { __close = function() collectgarbage "restart" end })
  collectgarbage "stop"
  local ok, expected = cold(0, 0)
  check(ok, "%s: %s", what, expected)
  local _, _, n = cold(0, 0) -- what is kept between calls is there now
  collectgarbage()
  collectgarbage()
  local start, recording, files = held(), core.grad_enabled(), o.folder and content(o.folder)
  local k, stride = first_and_stride(n)
  local since = k -- the first failure that was not looked at afterwards
  local function check_afterwards()
    local where = ("%s, allocations %d to %d of %d"):format(what, since, math.min(k, n), n)
    since = k + stride
    collectgarbage()
    local done, got = cold(0, 0)
    check(done, "%s: once more, without failures: %s", where, got)
    check(same(got, expected), "%s: once more, without failures: expected the same values, found others", where)
    for i, now in ipairs(held(start)) do
      check(now == start[i], "%s: expected no %s left, found %d", where, HELD[i][1], now - start[i])
    end
  end
  for failure = 1, math.huge do
    local done, got, seen, failed = cold(k, burst)
    local where = ("%s, allocation %d of %d"):format(what, k, n)
    if failed == 0 then
      check_afterwards()
      return seen
    end
    if done then check(same(got, expected), "%s: expected the right values or an error, found other values", where)
    else check(faults.is_clear(got), "%s: expected one line that names memory, found: %s", where, tostring(got)) end
    check(core.grad_enabled() == recording, "%s: recording for backward is not as it was", where)
    local other = files and changed(files, content(o.folder))
    check(not other, "%s: expected the files as they were, found %s", where, other)
    if failure % PAUSE == 0 then check_afterwards() end
    k = k + stride
  end
end

return faults
