-- Every op of the table with arguments that no one means well by: each of its samples, one or more of its arguments
-- replaced by what is empty, huge, NaN, of another dtype, rank or kind. A call succeeds, with results and gradients of
-- the right shapes, or raises one line that begins with the op's name; it ends soon, within a memory limit, and
-- leaves no bytes in use.
local co = require "cohesiv"
local core = require "cohesiv.core"
local samples = require "tests.samples"
local support = require "tests.support"

local LIMIT = 256 << 20
local SECONDS = support.small and 60 or 10 -- of one call; most take microseconds
local VARIANTS = support.small and 2 or 6 -- samples of an op
local MIXED = support.small and 30 or 200 -- calls of an op with several arguments replaced at once
local HUGE = 1 << 36 -- times what else there is: below what memory can address

local nan, inf = 0 / 0, math.huge

-- What stands for a parameter, and for a tensor that is none.
local function strange()
  return {
    0, -1, 1, 2, 1.5, nan, inf, -inf, 1e300, 2.0 ^ 53, (1 << 53) + 1, 2.0 ^ 61, 2.0 ^ 63,
    math.mininteger, math.maxinteger,
    "x", "2", "a\nb\27", true, false, {}, { 1 }, { 1.5 }, { nan }, { -1, -1 }, { HUGE, HUGE, 0 }, { { 1 } }, { "x" },
    { 1, 1, 1, 1, 1, 1, 1, 1, 1 }, { x = 1 }, { co.ones(2) }, co.tensor(2), co.ones(2, 2), print, co,
  }
end

local function is_open(t) return core.is_tensor(t) and pcall(function() return t.shape end) end
local function is_real(t) return is_open(t) and (t.dtype == "float32" or t.dtype == "float64") end

local function with(shape, d, n)
  local changed = table.move(shape, 1, #shape, 1, {})
  changed[d] = n
  return changed
end

-- Tensors in the place of t: { what: tensor } as a list of functions, so that only what is used is made.
local function twisted(t)
  local shape, list = t.shape, {}
  local function add(f) list[#list + 1] = f end
  local options = { dtype = t.dtype }
  for d = 1, #shape do
    for _, n in ipairs { 0, 1, shape[d] + 1 } do add(function() return co.zeros(with(shape, d, n), options) end) end
    for e = 1, #shape do
      if e ~= d then add(function() return co.zeros(with(with(shape, d, HUGE), e, 0), options) end) end
    end
  end
  add(function() return co.zeros({ HUGE, 0 }, options) end)
  add(function() return co.zeros({ 0, HUGE, 2 }, options) end)
  add(function() return t:reshape { -1 } end)
  if #shape < 8 then
    add(function() return t:reshape { 1, table.unpack(shape) } end)
    add(function() return co.stack({ t, t }, 1) end)
  end
  if #shape > 0 and shape[1] > 0 then add(function() return t:select(1, 1) end) end
  add(function() return co.tensor(0.5, options) end)
  for _, v in ipairs { nan, inf, -inf, -1, 1e30, 0.5 } do add(function() return t:clone():fill(v) end) end
  for _, dtype in ipairs { "uint8", "int32", "int64", "float64", "bfloat16", "float16" } do
    add(function() return t:to(dtype):detach() end)
  end
  add(function()
    local closed = t:clone()
    closed:close()
    return closed
  end)
  return list
end

-- A second pair of eyes: nothing of the interpreter, nothing but one line.
local function check_line(message, name)
  assert.equal("string", type(message))
  assert.is_nil(message:find "%c", message)
  for _, inside in ipairs { "attempt to", "bad argument", ".lua:", "stack overflow" } do
    assert.is_nil(message:find(inside, 1, true), message)
  end
  local known = message:sub(1, #name + 2) == name .. ": " or message:find "^out of memory: "
  assert.is_truthy(known, ("expected a line that begins with %s, found: %s"):format(name, message))
end

local calls, refused = 0, 0

local function describe_call(name, list, args)
  local words = {}
  for i = 1, list.n do words[i] = core.found(list[i]) end
  for key, value in pairs(args) do words[#words + 1] = ("%s = %s"):format(tostring(key), core.found(value)) end
  return name .. "(" .. table.concat(words, ", ") .. ")"
end

-- Backward from one result, all of its elements alike.
local function walk_back(y)
  local ok, message = pcall(y.backward, y, co.ones(y.shape, { dtype = y.dtype }))
  if not ok then
    assert.is_nil(message:find "%c", message)
    assert.is_nil(message:find("attempt to", 1, true), message)
  end
end

-- One call of the op, its inputs list[1 .. n], its parameters by name.
local function attack(name, list, args)
  local op, start = core.ops[name], os.clock()
  calls = calls + 1
  local given = table.move(list, 1, list.n, 1, {})
  local results
  if op.variadic then
    results = table.pack(pcall(op.call, given, args))
  else
    given[list.n + 1] = args
    results = table.pack(pcall(op.call, table.unpack(given, 1, list.n + 1)))
  end
  if results[1] then
    for k = 2, results.n do
      local y, size = results[k], 1
      for _, n in ipairs(y.shape) do
        assert.is_true(n >= 0)
        size = size * n
      end
      assert.same({ size }, y:reshape({ -1 }).shape)
    end
    for k = 2, results.n do
      if results[k].requires_grad then walk_back(results[k]) end
    end
    for i = 1, list.n do
      local t = list[i]
      if is_open(t) and t.grad then assert.same(t.shape, t.grad.shape) end
    end
  else
    refused = refused + 1
    check_line(results[2], name)
  end
  local seconds = os.clock() - start
  assert.is_true(seconds < SECONDS, ("%g s for %s"):format(seconds, describe_call(name, list, args)))
end

local function fresh(inputs)
  local list = { n = #inputs }
  for i, t in ipairs(inputs) do list[i] = t and t:clone() or nil end
  return list
end

-- Every input that can asks for a gradient, or the i-th alone.
local function ask(list, i)
  for k = 1, list.n do
    local t = list[k]
    if (not i or i == k) and is_real(t) and t:is_leaf() then t.requires_grad = true end
  end
  return list
end

local function copy(args)
  local new = {}
  for key, value in pairs(args) do new[key] = value end
  return new
end

local function parameters(op)
  local list = {}
  for word in op.args:gmatch "%S+" do
    local name = word:match "^([%w_]+)=" or word:match "^([%w_]+):"
    if name then list[#list + 1] = name end
  end
  return list
end

-- One argument after the other.
local function one_by_one(name, inputs, args)
  local op = core.ops[name]
  for i = 0, #inputs do attack(name, ask(fresh(inputs), i), copy(args)) end
  attack(name, ask(fresh(inputs)), copy(args))
  for i, t in ipairs(inputs) do
    for _, make in ipairs(t and twisted(t) or {}) do
      for asked = 0, 1 do
        local list = fresh(inputs)
        list[i] = make()
        if asked == 1 then ask(list) end
        attack(name, list, copy(args))
      end
    end
    for _, value in ipairs(strange()) do
      local list = fresh(inputs)
      list[i] = value
      attack(name, list, copy(args))
    end
    local list = fresh(inputs)
    list[i] = nil
    attack(name, list, copy(args))
    for k, other in ipairs(inputs) do -- one tensor in two places
      if other and k ~= i then
        list = fresh(inputs)
        list[i] = list[k]
        attack(name, ask(list), copy(args))
      end
    end
  end
  for _, parameter in ipairs(parameters(op)) do
    for _, value in ipairs(strange()) do
      local changed = copy(args)
      changed[parameter] = value
      attack(name, ask(fresh(inputs)), changed)
    end
  end
  for _, key in ipairs { "nonsense", "a\nb", 1.5, co.ones(2), true } do
    local changed = copy(args)
    changed[key] = 1
    attack(name, fresh(inputs), changed)
  end
end

-- Too few and too many arguments, one after the other in their places.
local function counts(name, inputs)
  local op = core.ops[name]
  for n = 0, #inputs + #parameters(op) + 3 do
    for _, value in ipairs { 1, 0.5, true, {}, co.ones(1), "x", false } do
      local list = { n = n }
      for i = 1, n do list[i] = value end
      for i = 1, math.min(n, #inputs) do list[i] = inputs[i] or nil end
      calls = calls + 1
      local ok, message = pcall(op.call, table.unpack(list, 1, n))
      if not ok then check_line(message, name) end
    end
  end
end

local function mixed(name, all, random)
  local op = core.ops[name]
  for _ = 1, MIXED do
    local inputs, args = table.unpack(all[random(#all)])
    local list, changed = fresh(inputs), copy(args)
    for i, t in ipairs(inputs) do
      local kind = random(10)
      if kind <= 4 and t then
        local makers = twisted(t)
        list[i] = makers[random(#makers)]()
      elseif kind == 5 then
        local values = strange()
        list[i] = values[random(#values)]
      elseif kind == 6 then
        list[i] = list[random(list.n)]
      end
    end
    for _, parameter in ipairs(parameters(op)) do
      if random(3) == 1 then
        local values = strange()
        changed[parameter] = values[random(#values)]
      end
    end
    if random(2) == 1 then ask(list) end
    attack(name, list, changed)
  end
end

-- Numbers 1 .. n, the same in every run.
local function generator(seed)
  local state = seed
  return function(n)
    state = (state * 6364136223846793005 + 1442695040888963407) & math.maxinteger
    return (state >> 33) % n + 1
  end
end

describe("ops under hostile arguments:", function()
  local limit, threads = co.memory().limit, co.threads()
  before_each(function() co.memory { limit = LIMIT, empty_cache = true } end)
  after_each(function()
    co.memory { limit = limit }
    co.threads(threads)
  end)

  for number, name in ipairs(samples.names) do
    it(name, function()
      local before = support.bytes()
      co.threads(number % 3 + 1)
      local all = {}
      samples.each(name, number % 5 == 0, function(inputs, args) all[#all + 1] = { inputs, args } end)
      for variant = 1, math.min(#all, VARIANTS) do
        local inputs, args = table.unpack(all[variant])
        one_by_one(name, inputs, args)
        if variant == 1 then counts(name, inputs) end
      end
      mixed(name, all, generator(number))
      all = nil -- luacheck: ignore
      assert.equal(before, support.bytes(), "bytes in use")
    end)
  end

  it("most calls are refused, many are not", function()
    assert.is_true(calls > #samples.names * 100)
    assert.is_true(refused > calls / 4 and refused < calls * 0.9, ("%d of %d"):format(refused, calls))
    if os.getenv "COHESIV_HOSTILE_COUNT" then print(calls, refused) end
  end)
end)
