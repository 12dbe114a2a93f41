-- The program's entry, run by the launcher of a checkout and, once installed, as the script `cohesiv`. Its own path
-- tells which: in a checkout it puts the checkout's Lua files and its build in front of the search paths
-- ($COHESIV_BUILD names another build folder), installed it takes what is on them.

local root = ("./" .. arg[0]):gsub("^%./+/", "/"):match "^(.*)/lua/cohesiv/main%.lua$"
if root then
  local build = os.getenv("COHESIV_BUILD") or root .. "/build"
  package.path = ("%s/lua/?.lua;%s/lua/?/init.lua;%s/?.lua;%s"):format(root, root, root, package.path)
  package.cpath = ("%s/?.so;%s"):format(build, package.cpath)
end

os.exit(require("cohesiv.tools.cli").main(arg), true)
