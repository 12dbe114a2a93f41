-- Arguments of ops that are names: given in place or by name, refused with the choices in the message, shown by help.
local co = require "cohesiv"
local core = require "cohesiv.core"
local samples = require "tests.samples"
local support = require "tests.support"

local raises = support.raises

describe("arguments that are names", function()
  local x, w = co.tensor({ { { { -1 }, { 2 }, { 9 } } } }), co.ones(1, 1, 1, 1)
  local function numbers(...) return co.conv2d_act(x, w, ...):reshape({ -1 }):totable() end

  it("stand in their place or by name", function()
    assert.same({ -1, 2, 9 }, numbers())
    assert.same({ 0, 2, 9 }, numbers { act = "relu" })
    assert.same({ 0, 2, 6 }, numbers { act = "relu6" })
    assert.same({ 0, 2, 6 }, numbers(nil, nil, nil, 1, 0, 1, "relu6"))
    assert.same(x:silu():reshape({ -1 }):totable(), numbers { act = "silu" })
    assert.same({ -1, 2, 9 }, numbers { act = "none" })
  end)

  it("are refused with the names that there are", function()
    local names = "expected none, relu, relu6 or silu, found "
    for op, call in pairs { conv2d_act = function(act) return co.conv2d_act(x, w, { act = act }) end,
      upconv2d_act = function(act) return co.upconv2d_act(x, co.ones(1, 3, 3, 1), { act = act }) end,
      batch_norm = function(act)
        return co.batch_norm(x, co.ones(1), co.ones(1), co.ones(1), co.ones(1), { act = act })
      end } do
      raises(op .. ': act: ' .. names .. '"gelu"', call, "gelu")
      raises(op .. ': act: ' .. names .. '""', call, "")
      raises(op .. ': act: ' .. names .. '"relu', call, "relu\0")
      raises(op .. ': act: ' .. names .. '"none|relu"', call, "none|relu")
      raises(op .. ": act: " .. names .. "1", call, 1)
      raises(op .. ": act: " .. names .. "true", call, true)
      raises(op .. ": act: " .. names .. "a table", call, {})
    end
  end)

  it("are what samples hold", function()
    local seen = {}
    samples.each("conv2d_act", false, function(_, args) seen[args.act] = true end)
    assert.same({ none = true, relu = true, relu6 = true, silu = true }, seen)
  end)

  it("are shown with their choices", function()
    assert.is_truthy(core.ops.conv2d_act.args:find("act:none|relu|relu6|silu=none", 1, true))
    local code = 'local co = require "cohesiv"; co.help(co.batch_norm_se)'
    local result = support.run({ "./cohesiv", "-e", code }, { dir = support.root })
    assert.is_truthy(result.stdout:find("act:relu|silu=relu", 1, true), result.stdout .. result.stderr)
  end)
end)
