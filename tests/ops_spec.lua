-- Every op of the table, on the random legal samples that the table itself draws: gradients against central
-- differences, float32 against float64, inputs without gradients, any number of threads, bytes in use.
local co = require "cohesiv"
local core = require "cohesiv.core"
local support = require "tests.support"

local names = {}
for name in pairs(core.ops) do names[#names + 1] = name end
table.sort(names)

local function is_real(t) return t.dtype == "float32" or t.dtype == "float64" end

-- Inputs that carry data, never a gradient.
local constants = {
  running_mean = true, running_var = true, cond = true, R = true, queries = true, image = true, label = true,
}

-- The places of an op's inputs that gradients are asked for.
local function wanted(name, inputs)
  local list, words = {}, {}
  for word in core.ops[name].args:gmatch "[%w_]+" do words[#words + 1] = word end
  for i, t in ipairs(inputs) do
    if t and is_real(t) and (core.ops[name].variadic or not constants[words[i]]) then list[#list + 1] = i end
  end
  return list
end

-- f(inputs, args, variant) for every sample of an op
local function each_sample(name, wide, f)
  for variant = 0, 99 do
    local inputs, args = core.op_sample(name, variant, 7 + variant, wide)
    if not inputs then return variant end
    f(inputs, args, variant)
  end
end

-- The call with absent inputs as nil.
local function call(name, inputs, args)
  local op, list, n = core.ops[name], {}, #inputs
  for i = 1, n do list[i] = inputs[i] or nil end
  if op.variadic then return op.call(list, next(args) and args) end
  list[n + 1] = next(args) and args
  return op.call(table.unpack(list, 1, next(args) and n + 1 or n))
end

local function copies(inputs)
  local list = {}
  for i, t in ipairs(inputs) do list[i] = t and t:clone() end
  return list
end

-- { outputs..., inputs... } as numbers: ops that write to inputs (running statistics) are seen, too.
local function numbers(name, inputs, args)
  local own = copies(inputs)
  local list = table.pack(call(name, own, args))
  for i, t in ipairs(own) do list[list.n + i] = t end
  for i = 1, list.n + #own do
    local t = list[i]
    list[i] = t and { t.dtype, t.shape, t:reshape({ -1 }):totable() }
  end
  return list
end

-- Gradients of a weighted sum of the outputs, as numbers.
local function gradients(name, inputs, args)
  local own = copies(inputs)
  for _, i in ipairs(wanted(name, own)) do own[i].requires_grad = true end
  local total = co.tensor(0, { dtype = own[1] and own[1].dtype == "float64" and "float64" or "float32" })
  for k, y in ipairs { call(name, own, args) } do
    if y.requires_grad then
      local n = y:reshape({ -1 }).shape[1]
      total = total + (y:reshape { -1 } * (co.arange(1, n + 1, { dtype = y.dtype }) / (n + k))):sum()
    end
  end
  if total.requires_grad then total:backward() end
  local list = {}
  for i, t in ipairs(own) do list[i] = t and t.grad and t.grad:reshape({ -1 }):totable() or false end
  return list
end

-- Lists of numbers agree to `tolerance` of the largest one.
local function close(a, b, tolerance, where)
  assert.equal(#b, #a, where)
  local largest = 1
  for _, v in ipairs(b) do largest = math.max(largest, v == v and math.abs(v) or 0) end
  for i, v in ipairs(b) do
    if v == v then
      local ok = a[i] == v or math.abs(a[i] - v) <= tolerance * largest
      assert.is_true(ok, ("%s: expected %.9g, found %.9g"):format(where, v, a[i]))
    end
  end
end

for _, name in ipairs(names) do
  describe("op " .. name, function()
    local op = core.ops[name]

    it("has help and samples", function()
      assert.is_true(#op.doc > 0)
      assert.is_true(each_sample(name, false, function() end) > 0)
    end)

    if op.differentiable then
      it("has the gradient of its forward", function()
        each_sample(name, true, function(inputs, args, variant)
          for _, i in ipairs(wanted(name, inputs)) do inputs[i].requires_grad = true end
          local function f(...)
            local own = { ... }
            for i = 1, #inputs do own[i] = inputs[i] and (inputs[i].requires_grad and own[i] or inputs[i]:clone()) end
            return call(name, own, args)
          end
          local ok, message = pcall(co.gradcheck, f, { n = #inputs, table.unpack(inputs) })
          assert.is_true(ok, ("sample %d: %s"):format(variant, message))
        end)
      end)

      it("gives one input its gradient when the others want none", function()
        each_sample(name, true, function(inputs, args, variant)
          local all = gradients(name, inputs, args)
          for i, t in ipairs(inputs) do
            if t and all[i] then
              local own = copies(inputs)
              own[i].requires_grad = true
              local total
              for k, y in ipairs { call(name, own, args) } do
                if y.requires_grad then
                  local n = y:reshape({ -1 }).shape[1]
                  local s = (y:reshape { -1 } * (co.arange(1, n + 1, { dtype = y.dtype }) / (n + k))):sum()
                  total = total and total + s or s
                end
              end
              total:backward()
              assert.same(all[i], own[i].grad:reshape({ -1 }):totable(), ("sample %d, input %d"):format(variant, i))
            end
          end
        end)
      end)
    end

    it("computes the same in float32 and float64", function()
      each_sample(name, false, function(inputs, args, variant)
        local wide = core.op_sample(name, variant, 7 + variant, true)
        local a, b = numbers(name, inputs, args), numbers(name, wide, args)
        for k = 1, #b do
          if b[k] then
            assert.same(b[k][2], a[k][2])
            close(a[k][3], b[k][3], 2e-5, ("sample %d, result %d"):format(variant, k))
          end
        end
      end)
    end)

    it("gives equal bits on 1, 2 and 4 threads", function()
      local threads = co.threads()
      each_sample(name, false, function(inputs, args, variant)
        local results = {}
        for i, n in ipairs { 1, 2, 4 } do
          co.threads(n)
          results[i] = { numbers(name, inputs, args), op.differentiable and gradients(name, inputs, args) }
        end
        co.threads(threads)
        assert.same(results[1], results[2], "sample " .. variant)
        assert.same(results[1], results[3], "sample " .. variant)
      end)
    end)

    it("leaves no bytes in use", function()
      for variant = 0, each_sample(name, false, function() end) - 1 do
        local before = support.bytes()
        co.tidy(function()
          local inputs, args = core.op_sample(name, variant, 7, false)
          if op.differentiable then gradients(name, inputs, args) end
          call(name, copies(inputs), args)
        end)
        assert.equal(before, support.bytes(), "sample " .. variant)
      end
    end)
  end)
end
