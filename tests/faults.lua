-- What the specs of failing allocations share: builds and loads tests/faults.c, and runs a function with its first,
-- second, third, … allocation failing until none is left to fail. Each time: one clear error (or the right values
-- after all), nothing left behind, and the same call right afterwards.
local co = require "cohesiv"
local core = require "cohesiv.core"
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
assert(inject.watch "/cohesiv/core.so" > 5, "faults: expected the core's imports, found none")

-- What C and tensors hold, caches aside. Userdata that an error left behind is collected first where that is not what
-- was expected.
local function held(expected)
  local function now()
    local bytes = co.memory({ empty_cache = true }).live
    return inject.blocks(), bytes
  end
  local blocks, bytes = now()
  if expected and (blocks ~= expected[1] or bytes ~= expected[2]) then
    collectgarbage()
    collectgarbage()
    blocks, bytes = now()
  end
  return { blocks, bytes }
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

--- A failure is one line that names memory.
function faults.is_clear(message)
  return type(message) == "string" and not message:find "\n" and message:find "memory" ~= nil
end

--- faults.once("library" | "lua", k, f, ...): f(...) with the k-th of these allocations failing, and the retries
-- after it: true or false, its result or message, whether anything failed.
function faults.once(whose, k, f, ...)
  inject.arm(whose, k, whose == "lua" and 2 or 3)
  local ok, got = pcall(f, ...)
  local _, failed = inject.disarm()
  return ok, got, failed > 0
end

--- faults.each(what, f, { lua = false, burst = 3, stride = 1 }): f(), which returns numbers, strings and tables of
-- them, with the k-th allocation and the burst - 1 after it failing, for k = 1, 1 + stride, … (memory_take tries three
-- times). lua: Lua's allocator in place of the library's. Returns how many allocations f makes.
function faults.each(what, f, o)
  o = o or {}
  local whose, burst, k = o.lua and "lua" or "library", o.burst or (o.lua and 2 or 3), 1
  local function cold(...)
    co.memory { empty_cache = true }
    inject.arm(whose, ...)
    local ok, got = pcall(co.tidy, f)
    local seen, failed = inject.disarm()
    return ok, got, seen, failed
  end
  local ok, expected = cold(0, 0)
  check(ok, "%s: %s", what, expected)
  cold(0, 0) -- what is kept between calls is there now
  collectgarbage()
  collectgarbage()
  local start, recording = held(), core.grad_enabled()
  while true do
    local done, got, seen, failed = cold(k, burst)
    local where = ("%s, allocation %d of %d"):format(what, k, seen)
    if failed == 0 then return seen end
    if done then check(same(got, expected), "%s: expected the right values or an error, found other values", where)
    else check(faults.is_clear(got), "%s: expected one line that names memory, found: %s", where, tostring(got)) end
    check(core.grad_enabled() == recording, "%s: recording for backward is not as it was", where)
    done, got = cold(0, 0)
    check(done, "%s: once more, without failures: %s", where, got)
    check(same(got, expected), "%s: once more, without failures: expected the same values, found others", where)
    local now = held(start)
    check(now[1] == start[1], "%s: expected no block left, found %d", where, now[1] - start[1])
    check(now[2] == start[2], "%s: expected no bytes of tensors left, found %d", where, now[2] - start[2])
    k = k + (o.stride or 1)
  end
end

return faults
