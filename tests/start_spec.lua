-- The start of the library: kernels of OpenBLAS are chosen by the instruction set, which must be known by then. A child
-- process makes OpenBLAS take this CPU for one that it does not know: it is opened with OPENBLAS_CORETYPE=Prescott,
-- which it falls back to, and the variable is gone when the core starts, so that nobody seems to have asked for it.
local core = require "cohesiv.core"
local support = require "tests.support"

local UNSET = [[
#include <lauxlib.h>
#include <stdlib.h>
int luaopen_unset(lua_State *L);
int luaopen_unset(lua_State *L) { return lua_pushinteger(L, unsetenv("OPENBLAS_CORETYPE")), 1; }
]]

local CHILD = [[
assert(package.loadlib("libopenblas.so.0", "*"))
if arg[1] == "unset" then assert(package.loadlib(%q, "luaopen_unset"))() end
package.cpath = %q
print(require("cohesiv.core").system.blas())
]]

describe("the start", function()
  local folder = support.temp()
  local source, library = support.write(folder .. "/unset.c", UNSET), folder .. "/unset.so"
  local built = support.run(("cc -shared -fPIC $(pkg-config --cflags lua5.4) -o %s %s"):format(support.quote(library),
    support.quote(source)))
  assert(built.status == 0, built.stderr)
  local script = support.write(folder .. "/child.lua", CHILD:format(library, package.cpath))

  local function kernels(word, isa)
    local result = support.run({ "lua5.4", script, word },
      { dir = support.root, env = { OPENBLAS_CORETYPE = "Prescott", COHESIV_ISA = isa } })
    assert.equal(0, result.status, result.stderr)
    return result.stdout
  end

  it("gives OpenBLAS kernels for a CPU that it does not know", function()
    local best = core.system.cpu().isa
    local expected = { avx512 = "SkylakeX", avx2 = "Haswell", portable = "Prescott" }
    for _, isa in ipairs { "portable", "avx2", "avx512" } do
      local found = kernels("unset", isa)
      assert.is_truthy(found:find(expected[isa], 1, true), isa .. ": found " .. found)
      if isa == best then break end
    end
  end)

  it("leaves OpenBLAS the kernels that the user named", function()
    assert.is_truthy(kernels("keep", core.system.cpu().isa):find("Prescott", 1, true))
  end)
end)
