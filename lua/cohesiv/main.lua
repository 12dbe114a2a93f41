#!/usr/bin/env lua5.4
-- The program's entry, run by the launcher of a checkout and, once installed, as the script `cohesiv`. Its own path
-- tells which. In a checkout it puts the checkout's Lua files and its build in front of the search paths
-- ($COHESIV_BUILD names another build folder); as PREFIX/bin/cohesiv it does so with the modules of PREFIX, if they are
-- where `cmake --install` puts them; else (luarocks) it takes what is on the paths.

local function readable(path)
  local file = io.open(path)
  return file and file:close()
end

local function search(lua, library)
  package.path = lua .. ";" .. package.path
  package.cpath = library .. "/?.so;" .. package.cpath
end

local program = ("./" .. arg[0]):gsub("^%./+/", "/")
local root = program:match "^(.*)/lua/cohesiv/main%.lua$"
if root then
  search(("%s/lua/?.lua;%s/lua/?/init.lua;%s/?.lua"):format(root, root, root),
    os.getenv("COHESIV_BUILD") or root .. "/build")
else
  local found, lfs = pcall(require, "lfs")
  local target = found and lfs.symlinkattributes(program, "target") -- of a link on the PATH
  if target then program = target:sub(1, 1) == "/" and target or program:gsub("[^/]*$", "") .. target end
  local prefix = program:match "^(.*)/[^/]*/[^/]*$"
  local modules = prefix and prefix .. "/share/lua/5.4"
  if modules and readable(modules .. "/cohesiv/main.lua") then
    search(("%s/?.lua;%s/?/init.lua"):format(modules, modules), prefix .. "/lib/lua/5.4")
  end
end

os.exit(require("cohesiv.tools.cli").main(arg), true)
