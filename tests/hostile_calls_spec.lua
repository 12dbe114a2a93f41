-- Every public function that is no op (those have a spec of their own), and every method, is called with what it does
-- not expect: each argument and each option of a good call in turn is replaced by each hostile value. It returns, or
-- raises one line of ours, in bounded time and memory.
local co = require "cohesiv"
local core = require "cohesiv.core"
local hostile = require "tests.hostile"
local support = require "tests.support"

local good, root = require "tests.hostile_good" ()

local elsewhere = { -- tested with the ops: hostile_ops_spec.lua
  tensor = true, zeros = true, ones = true, full = true, arange = true, eye = true, rand = true, randn = true,
  memory = true, threads = true,
}

local function sorted(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  table.sort(names)
  return names
end

describe("hostile calls", function()
  it("know every public function", function()
    local missing = {}
    local function look(prefix, t)
      for name, value in pairs(t) do
        local full = prefix .. name
        if type(value) == "function" and not core.ops[full] and not elsewhere[full] and not good[full] then
          missing[#missing + 1] = full
        elseif type(value) == "table" and type(name) == "string" and prefix:find "^[%w_.]*$" and #prefix < 9
          and full ~= "nn.Module" then
          look(full .. ".", value)
        end
      end
    end
    look("", co)
    table.sort(missing)
    assert.same({}, missing)
  end)

  it("are told when what stands before the colon is something else", function()
    local recipe = require "experiments.cohesiv" { name = "x" }
    local run = require("cohesiv.train.run").create(recipe, { root = support.temp() })
    local data = co.data(root)
    local optimiser = co.optim.SGD({ co.zeros(2) })
    local model = co.model { encoder = "mobilenet_v2", decoder_widths = { 4, 4, 4, 4, 4 } }
    local calls, faults, plain = 0, {}, { new = true, is_module = true, stands = true } -- these have no self
    for kind, class in pairs {
      module = getmetatable(co.nn.ReLU()), run = getmetatable(run),
      optimiser = getmetatable(getmetatable(optimiser)).__index,
      schedule = getmetatable(co.optim.Step(optimiser, { every = 1 })), profile = getmetatable((co.profile(print))),
      clip = { frame = data:clip("a").frame, hands = data:clip("a").hands, close = data:clip("a").close },
      data = { clip = data.clip, masks = data.masks },
      model = { forward = model.forward, save = model.save, load = model.load, summary = model.summary,
        predict = model.predict },
      responsibility = { with = require("cohesiv.motion.responsibility").methods.with },
    } do
      local found = 0
      for name, method in pairs(class) do
        if type(method) == "function" and name:sub(1, 2) ~= "__" and not plain[name]
          and method ~= co.nn.Module.forward then
          found = found + 1
          for _, value in ipairs(hostile.values) do
            local self = value[2]()
            if value[1] ~= "module" then
              calls = calls + 1
              local ok = pcall(method, self)
              local what = ("%s:%s of %s"):format(kind, name, value[1])
              assert.is_false(ok, what .. ": expected an error, found none")
              faults[#faults + 1] = hostile.try(what, method, table.pack(self))
            end
          end
        end
      end
      assert.is_true(found > 0, kind)
    end
    assert.same({}, faults)
    assert.is_true(calls > #hostile.values * 20)
  end)

  for _, name in ipairs(sorted(good)) do
    it("end in a result or one line: " .. name, function()
      local faults = {}
      hostile.attack(name, good[name], faults)
      local shown = table.concat(faults, "\n", 1, math.min(#faults, 12))
      assert.equal(0, #faults, ("%d faults\n%s"):format(#faults, shown))
    end)
  end
end)
