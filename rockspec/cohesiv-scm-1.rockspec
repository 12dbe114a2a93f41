-- `luarocks --lua-version 5.4 make rockspec/cohesiv-scm-1.rockspec`, from the top of the checkout. Libraries and the Lua
-- modules argparse and luafilesystem are Debian's packages (see README.md), which luarocks does not know of: so they are
-- no dependencies here, and no network is needed.
rockspec_format = "3.0"
package = "cohesiv"
version = "scm-1"
source = { url = "git+file://." }
description = {
  summary = "Hands and the objects they hold, learned from video",
  detailed = "A Lua-scriptable framework with a C core for COHESIV (Shan, Higgins, Fouhey; NeurIPS 2021).",
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.4, < 5.5" }
build = {
  type = "cmake",
  variables = {
    CMAKE_BUILD_TYPE = "Release",
    CMAKE_INSTALL_PREFIX = "$(PREFIX)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    INSTALL_LUA = "$(LUADIR)",
    INSTALL_LIB = "$(LIBDIR)",
    INSTALL_BIN = "$(BINDIR)",
  },
}
