-- The REPL from a pipe and on a terminal (a pseudo-terminal by script(1)), and what it is made of.

local support = require "tests.support"

local function piped(text) return support.cohesiv({}, { stdin = text }) end

describe("the REPL", function()
  it("prints results without =, and statements print nothing", function()
    local result = piped "1 + 1\nx = 3\nx * 2, 'two'\nlocal y = 4\ny\nnil\n"
    assert.equal("2\n6\ttwo\n4\nnil\n", result.stdout)
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
  end)

  it("reads statements of several lines", function()
    assert.equal("1\n2\n10\n", piped("for i = 1, 2 do\n  print(i)\nend\n2 *\n5\n").stdout)
  end)

  it("keeps the session after errors, and tells of them in the status of a pipe", function()
    local result = piped "error 'boom'\nx y\nco.zeros(2) + co.zeros(3)\n'alive'\n"
    assert.equal("alive\n", result.stdout)
    local _, lines = result.stderr:gsub("\n", "")
    assert.equal(3, lines, result.stderr)
    assert.equal(1, result.status)
    assert.is_truthy(piped("for i = 1, 2 do\n").stderr:find "<eof>")
  end)

  it("has co and help", function()
    local result = piped "co.zeros(2).shape\nhelp(co.relu)\nhelp 'conv2d'\nhelp 'nosuch'\n"
    assert.is_truthy(result.stdout:find("{ 2 }", 1, true), result.stdout)
    assert.is_truthy(result.stdout:find("relu(", 1, true))
    assert.is_truthy(result.stdout:find("conv2d(", 1, true))
    assert.is_truthy(result.stderr:find("help: nosuch", 1, true))
  end)

  it("describes tables shortly", function()
    local describe_value = require("cohesiv.tools.repl").describe
    assert.equal("{ 1, \"a\", b = {} }", describe_value { 1, "a", b = {} })
    assert.equal("{}", describe_value {})
    local cyclic = {}
    cyclic.self = cyclic
    assert.is_truthy(describe_value(cyclic):find("…", 1, true))
  end)

  it("completes names of globals, modules and tensors", function()
    local complete = require("cohesiv.tools.repl").complete
    _G.co, _G.some_tensor = require "cohesiv", require("cohesiv").zeros(2)
    finally(function() _G.co, _G.some_tensor = nil, nil end)
    assert.equal("ros", (complete "x = co.ze"))
    assert.equal("ape", (complete "some_tensor:resh"))
    local _, names = complete "co.flow."
    assert.is_truthy(table.concat(names, " "):find "estimate")
    assert.equal("", (complete "1 + "))
    assert.equal("", (complete "nosuch.thing.x"))
  end)

  it("edits lines on a terminal, stops at Ctrl-C, and remembers", function()
    if not os.execute "command -v script >/dev/null" then return pending "script(1) is not installed" end
    local home = support.temp()
    -- Keys are pressed again until the screen shows what they lead to: a busy machine takes longer, and drops what
    -- is typed while the line editor is being set up.
    local keys = { { "40 + 2\\n", "42" }, { "while true do end\\n", "end" }, { "\\003", "interrupted" },
      { "nonsense", "nonsense" }, { "\\003", "nonsense" }, { "\"al\" .. \"ive\"\\n", "alive" },
      { "\\004", "status [0-9]" } }
    local script = { "press() { for i in $(seq 20); do printf \"$1\"; for j in $(seq 20); do sleep 0.1; "
      .. "grep -q \"$2\" screen && return; done; done; }", "until grep -q leaves screen; do sleep 0.1; done" }
    for _, key in ipairs(keys) do script[#script + 1] = ("sleep 0.3; press '%s' '%s'"):format(key[1], key[2]) end
    support.write(home .. "/keys.sh", table.concat(script, "\n"))
    -- Ctrl-C goes to the shell around the program too, and dash would end of it once the program has: hence the trap.
    local command = ("cd %s && touch screen && sh keys.sh | TERM=xterm XDG_STATE_HOME=%s script -qefc "
      .. "'trap : INT; lua5.4 %s/lua/cohesiv/main.lua; echo status $?' screen"):format(home, home, support.root)
    local result = support.run(command, { timeout = 60 })
    for _, text in ipairs { "42", "interrupted", "alive", "status 0" } do
      assert.is_truthy(result.stdout:find(text, 1, true), text .. " not in: " .. result.stdout)
    end
    assert.is_nil(result.stdout:find("nonsense'", 1, true))
    assert.is_truthy(support.read(home .. "/cohesiv/history"):find("40", 1, true))
  end)
end)

describe("help", function()
  local text = require("cohesiv.tools.help").text

  it("lists all names of co", function()
    local all = text()
    for _, name in ipairs { "zeros", "responsibility", "flow", "model", "relu" } do
      assert.is_truthy(all:find("\n  " .. name, 1, true), name)
    end
  end)

  it("shows a function's comment and an op's line", function()
    local co = require "cohesiv"
    assert.is_truthy(text(co.seed):find("seed(n)", 1, true))
    assert.is_truthy(text(co.flow):find("estimate", 1, true))
    assert.is_truthy(text("sum"):find("sum", 1, true))
    assert.is_truthy(text(co.zeros(2, 3)):find("shape {2, 3}", 1, true))
    assert.is_truthy(text("sum"):find("sum(input, dim:int=none, keepdim=false)", 1, true))
    assert.is_truthy(text("conv2d"):find("conv2d(input, weight, bias?, { stride", 1, true)) -- many: by name, in a table
  end)

  it("has a line for every op", function()
    for name, op in pairs(require("cohesiv.core").ops) do
      assert.is_true(#op.doc > 0, name)
      assert.is_truthy(text(op.call):find("(", 1, true), name)
    end
  end)
end)
