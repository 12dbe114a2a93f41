-- An installed cohesiv, away from any checkout: the program finds its modules and experiments, does the main job in
-- another folder, and writes nothing where it is installed.
local lfs = require "lfs"
local smallest = require "tests.smallest"
local support = require "tests.support"

local build = os.getenv "COHESIV_BUILD" or support.root .. "/build"
local function missing()
  if support.small then return "a small run" end
  if not lfs.attributes(build .. "/cmake_install.cmake") then return "no build of CMake's in " .. build end
end

describe("an installed cohesiv", function()
  if missing() then return pending("runs outside a checkout: " .. missing()) end

  local prefix, away = support.temp(), support.temp()

  -- The program by its name on the PATH, with nothing else of this process's environment.
  local function installed(words, path)
    local line = { "env", "-i", "HOME=" .. away, "PATH=" .. (path or prefix .. "/bin") .. ":/usr/bin:/bin", "cohesiv" }
    return support.run({ table.unpack(table.move(words, 1, #words, #line + 1, line)) }, { dir = away, timeout = 600 })
  end

  local function files() return support.run({ "find", prefix, "-printf", "%p %s %T@\n" }).stdout end

  local before

  it("is put in place by cmake --install", function()
    local result = support.run { "cmake", "--install", build, "--prefix", prefix }
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(lfs.attributes(prefix .. "/bin/cohesiv", "permissions"):find "x")
    before = files()
  end)

  it("says what it is", function()
    local help = installed { "--help" }
    assert.equal(0, help.status, help.stderr)
    assert.is_truthy(help.stdout:find("quickstart", 1, true))
    local info = installed { "info" }
    assert.equal(0, info.status, info.stderr)
    assert.is_truthy(info.stdout:find(prefix .. "/lib/lua/5.4/cohesiv/core.so", 1, true), info.stdout)
    support.refuses(installed { "test" }, 1, "test: expected to run from a checkout, found an installed cohesiv")
  end)

  it("is found through a link on the PATH", function()
    local bin = support.temp()
    assert(lfs.link(prefix .. "/bin/cohesiv", bin .. "/cohesiv", true))
    assert.is_truthy(installed({ "info" }, bin).stdout:find(prefix .. "/lib/lua/5.4/cohesiv/core.so", 1, true))
  end)

  it("does the main job, and leaves the place where it is installed alone", function()
    local result = installed(smallest)
    assert.equal(0, result.status, result.stderr)
    assert.equal("runs/quickstart/report.html\n", result.stdout)
    assert.is_truthy(support.read(away .. "/runs/quickstart/report.html"):find("Thresholded responsibility", 1, true))
    assert.is_truthy(support.read(away .. "/runs/quickstart/recipe.lua"):find("experiments.cohesiv", 1, true))
    assert.equal(before, files())
  end)

  it("trains an experiment of the user's that names one of its own", function()
    local file = support.write(away .. "/mine.lua", 'return require "experiments.cohesiv" { name = "mine" }\n')
    local result = installed { "train", file, "--describe" }
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stdout:find "name%s+\"mine\"")
  end)
end)
