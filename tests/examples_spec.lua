-- The examples do what they say, run as a user runs them, from the top of the checkout; the README's runs, too.
local support = require "tests.support"

describe("the classifier", function()
  local path = "experiments/examples/classifier.lua"

  it("learns to name drawn shapes, in 40 lines", function()
    local _, lines = support.read(support.root .. "/" .. path):gsub("\n", "")
    assert.is_true(lines <= 40)
    local result = support.cohesiv({ path }, { dir = support.root, timeout = 300 })
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    local right = tonumber(result.stdout:match "([%d.]+) %% of 500 new pictures are named right\n$")
    assert.is_true(right and right > 90, result.stdout)
  end)

  it("takes the number of steps, and gives the same numbers again", function()
    local function run() return support.cohesiv({ path, "50" }, { dir = support.root }).stdout end
    local first = run()
    assert.is_truthy(first:find "^step  50  loss [%d.]+\n[%d.]+ %% of 500")
    assert.equal(first, run())
  end)
end)

describe("the README", function()
  it("shows how networks are written by code that runs", function()
    local code = support.read(support.root .. "/README.md"):match "\n## Writing networks\n.-```lua\n(.-)```"
    local script = support.temp() .. "/readme.lua"
    local head = "local co = require 'cohesiv'\nlocal images, labels = co.randn(2, 8, 8, 3), co.tensor { 1, 9 }\n"
    support.write(script, head .. code)
    local folder = support.temp()
    local result = support.cohesiv({ script }, { dir = folder })
    assert.equal("", result.stderr)
    assert.is_truthy(result.stdout:find "\n%d+ others +%d")
    assert.same({ "trace.json" }, support.list(folder))
  end)
end)
