-- Every op of the table, on the random legal samples that the table itself draws: gradients against central
-- differences, float32 against float64, inputs without gradients, any number of threads, bytes in use.
local co = require "cohesiv"
local core = require "cohesiv.core"
local samples = require "tests.samples"
local support = require "tests.support"

-- Lists of numbers agree to `tolerance` of the largest one.
local function close(a, b, tolerance, where)
  assert.equal(#b, #a, where)
  local largest = 1
  for _, v in ipairs(b) do largest = math.max(largest, v == v and math.abs(v) or 0) end
  for i, v in ipairs(b) do
    if v == v then
      local ok = a[i] == v or math.abs(a[i] - v) <= tolerance * largest
      if not ok then error(("%s: expected %.9g, found %.9g"):format(where, v, a[i]), 0) end
    end
  end
end

-- The numbers of a tensor, to their last bit.
local function bytes(t)
  local list = t:reshape({ -1 }):totable()
  for i, v in ipairs(list) do list[i] = type(v) == "number" and string.pack("n", v) or tostring(v) end
  return table.concat(list)
end

-- Of an input of more than LARGE numbers the gradient is taken along DIRECTIONS random ones, each of which moves them
-- all: central differences of every number take minutes. To gradcheck such an input is how far it goes in each.
local LARGE, DIRECTIONS = 1000, 40
local function few(t)
  local n = t:numel()
  if n <= LARGE then return t end
  local all = co.randn({ n, DIRECTIONS }, { dtype = "float64" }) / n ^ 0.5
  return co.zeros({ DIRECTIONS, 1 }, { dtype = "float64" }), function(far)
    return t + co.matmul(all, far):reshape(t.shape)
  end
end

for _, name in ipairs(samples.names) do
  describe("op " .. name, function()
    local op = core.ops[name]

    it("has help and samples", function()
      assert.is_true(#op.doc > 0)
      assert.is_true(samples.each(name, false, function() end) > 0)
    end)

    if op.differentiable then
      it("has the gradient of its forward", function()
        samples.each(name, true, function(inputs, args, variant)
          local leaves, whole = { n = #inputs, table.unpack(inputs) }, {}
          for _, i in ipairs(samples.wanted(name, inputs)) do
            leaves[i], whole[i] = few(inputs[i])
            leaves[i].requires_grad = true
          end
          local function f(...)
            local own = { ... }
            for i, t in ipairs(inputs) do
              if not t or not leaves[i].requires_grad then own[i] = t and t:clone()
              elseif whole[i] then own[i] = whole[i](own[i]) end
            end
            return samples.call(name, own, args)
          end
          local ok, message = pcall(co.gradcheck, f, leaves)
          assert.is_true(ok, ("sample %d: %s"):format(variant, message))
        end)
      end)

      it("gives one input its gradient when the others want none", function()
        samples.each(name, true, function(inputs, args, variant)
          local all = samples.gradients(name, inputs, args)
          for i, t in ipairs(inputs) do
            if t and all[i] then
              local own = samples.copies(inputs)
              own[i].requires_grad = true
              local total
              for k, y in ipairs { samples.call(name, own, args) } do
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
      samples.each(name, false, function(inputs, args, variant)
        local wide = core.op_sample(name, variant, 7 + variant, true)
        local a, b = samples.numbers(name, inputs, args), samples.numbers(name, wide, args)
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
      samples.each(name, false, function(inputs, args, variant)
        local results = {}
        for i, n in ipairs { 1, 2, 4 } do
          co.threads(n)
          results[i] = {
            samples.numbers(name, inputs, args), op.differentiable and samples.gradients(name, inputs, args),
          }
        end
        co.threads(threads)
        assert.same(results[1], results[2], "sample " .. variant)
        assert.same(results[1], results[3], "sample " .. variant)
      end)
    end)

    it("changes exactly the inputs that it declares", function()
      local changed, declared = {}, {}
      for i = 1, op.inputs do declared[i] = op.mutates >> (i - 1) & 1 == 1 or nil end
      samples.each(name, false, function(inputs, args, variant)
        local own = samples.copies(inputs)
        samples.call(name, own, args)
        for i, t in ipairs(own) do
          if t and bytes(t) ~= bytes(inputs[i]) then
            changed[i] = true
            assert.is_true(declared[i], ("sample %d changes input %d"):format(variant, i))
          end
        end
      end)
      assert.same(declared, changed)
    end)

    if op.mutates ~= 0 then
      it("refuses to change what is given twice, was converted, or has a graph", function()
        local inputs, args = core.op_sample(name, name:find "norm" and 0 or 3, 7, false)
        for i, t in ipairs(inputs) do
          if t and op.mutates >> (i - 1) & 1 == 1 then
            local function call(value, other)
              local own = samples.copies(inputs)
              own[i] = value
              for k, o in ipairs(own) do
                if other and k ~= i and o then
                  own[k] = value
                  break
                end
              end
              samples.call(name, own, args)
            end
            if #inputs > 1 then support.raises("since it is written to, found", call, t:clone(), true) end
            support.raises("expected float32 like the other inputs, since it is written to", call, t:to "int32")
            local leaf = t:clone()
            leaf.requires_grad = true
            call(leaf)
            support.raises("expected no result of a graph, since it is written to", call, leaf * 1)
          end
        end
      end)
    end

    it("leaves no bytes in use", function()
      for variant = 0, samples.each(name, false, function() end) - 1 do
        local before = support.bytes()
        co.tidy(function()
          local inputs, args = core.op_sample(name, variant, 7, false)
          if op.differentiable then samples.gradients(name, inputs, args) end
          samples.call(name, samples.copies(inputs), args)
        end)
        assert.equal(before, support.bytes(), "sample " .. variant)
      end
    end)
  end)
end
