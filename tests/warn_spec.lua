-- Warnings are one line without control bytes, and said once where that is asked for.
local core = require "cohesiv.core"
local warn = require "cohesiv.base.warn"
local support = require "tests.support"

describe("a warning", function()
  local write, lines = warn.write, {}
  before_each(function()
    lines = {}
    warn.write = function(line) lines[#lines + 1] = line end
  end)
  after_each(function() warn.write = write end)

  it("is one line without control bytes", function()
    warn.line("%s: expected %d, found %s", "a\nb\27[31m\127\r\t\0c", 3, "手 ü %d")
    assert.same({ [[cohesiv: warning: a\nb\x1b[31m\x7f\r\t\x00c: expected 3, found 手 ü %d]] }, lines)
    assert.equal([[\xc2\x9b31m é]], core.plain "\xC2\x9B31m é")
    assert.equal("7", core.plain(7))
  end)

  it("is said once for a key", function()
    local one, other = {}, {}
    assert.same({ true, false, true, true, false }, {
      warn.once(one, "%d", 1), warn.once(one, "%d", 2), warn.once(other, "%d", 3), warn.once("text", "%d", 4),
      warn.once("text", "%d", 5),
    })
    assert.same({ "cohesiv: warning: 1", "cohesiv: warning: 3", "cohesiv: warning: 4" }, lines)
  end)

  it("goes to standard error and leaves the status alone", function()
    local result = support.cohesiv { "-e", "require'cohesiv.base.warn'.line('%s is odd', 'x') print 'on'" }
    assert.same({ status = 0, stdout = "on\n", stderr = "cohesiv: warning: x is odd\n" }, result)
  end)
end)
