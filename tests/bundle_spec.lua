-- The bundle: a folder with the program, Lua, its modules and libraries, for machines without root and packages. Made
-- anew, it runs where nothing is but glibc's own files: in another root, moved, by a link, without a shell and /proc.
local lfs = require "lfs"
local smallest = require "tests.smallest"
local support = require "tests.support"

local build = os.getenv "COHESIV_BUILD" or support.root .. "/build"

local function missing()
  if support.small then return "a small run" end
  if not lfs.attributes(build .. "/cmake_install.cmake") then return "no build of CMake's in " .. build end
  if support.run({ "patchelf", "--version" }).status ~= 0 then return "patchelf is not installed" end
  local roots = { { "chroot" }, { "unshare", "-r", "chroot" } }
  for _, words in ipairs(roots) do
    local line = { table.unpack(words) }
    line[#line + 1], line[#line + 2] = "/", "/bin/true"
    if support.run(line).status == 0 then return nil, words end
  end
  return "no right to chroot"
end

local why, enter = missing()

describe("the bundle", function()
  if why then return pending("runs in a bare root: " .. why) end

  local root, folder = support.temp(), build .. "/bundle/cohesiv"

  local function copy(from, to)
    support.run { "mkdir", "-p", (root .. to):match "^(.*)/" }
    assert.equal(0, support.run({ "cp", "-rL", from, root .. to }).status, from)
  end

  -- The program in the bare root, by its path there.
  local function bare(...)
    local line = { "env", "-i", "HOME=/tmp", "PATH=/usr/sbin:/usr/bin:/sbin:/bin" }
    table.move(enter, 1, #enter, #line + 1, line)
    line[#line + 1] = root
    local words = { ... }
    return support.run(table.move(words, 1, #words, #line + 1, line), { timeout = 600 })
  end

  it("is made by the target `bundle`, below 60 MB, and has whose what is", function()
    local made = support.run({ "cmake", "--build", build, "--target", "bundle" }, { timeout = 600 })
    assert.equal(0, made.status, made.stdout .. made.stderr)
    local megabytes = tonumber(support.run({ "du", "-sb", folder }).stdout:match "^%d+") / 1e6
    assert.is_true(megabytes > 5 and megabytes < 60, ("%.1f MB"):format(megabytes))
    for _, name in ipairs { "cohesiv", "lua-argparse", "lua-filesystem" } do
      assert.is_truthy(lfs.attributes(folder .. "/licenses/" .. name), name)
    end
  end)

  it("needs nothing but glibc: the root of the tests has no more", function()
    local program = support.run({ "ldd", folder .. "/bin/cohesiv" }).stdout
    local glibc, count = program:match "(/%S*libc%.so%.6)":match "^(.*)/", 0
    for _, name in ipairs { "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1" } do
      local path = glibc .. "/" .. name
      if lfs.attributes(path) then
        copy(path, path)
        count = count + 1
      end
    end
    local loader = program:match "(/%S*ld%-linux%S*)"
    copy(loader, loader)
    copy(folder .. "/bin", "/elsewhere/c/bin")
    copy(folder .. "/lib", "/elsewhere/c/lib")
    copy(folder .. "/share", "/elsewhere/c/share")
    assert(lfs.mkdir(root .. "/tmp"))
    assert(lfs.link("/elsewhere/c/bin/cohesiv", root .. "/link", true))
    assert.is_true(count > 0)
  end)

  it("says what it is, moved and by a link", function()
    for _, path in ipairs { "/elsewhere/c/bin/cohesiv", "/link" } do
      local info = bare(path, "info")
      assert.equal(0, info.status, info.stderr)
      assert.is_truthy(info.stdout:find("/elsewhere/c/lib/lua/5.4/cohesiv/core.so", 1, true), info.stdout)
      assert.is_truthy(info.stdout:find "BLAS +OpenBLAS", info.stdout)
    end
    support.refuses(bare("/link", "nonsense"), 2, "expected")
  end)

  it("does the main job", function()
    local result = bare("/link", table.unpack(smallest))
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(support.read(root .. "/" .. result.stdout:match "%S+"):find("Thresholded responsibility", 1, true))
  end)

  it("ends with a message where it is torn out of its folder", function()
    copy(folder .. "/bin/cohesiv", "/alone")
    local result = bare "/alone"
    assert.equal(1, result.status)
    assert.equal("cohesiv: expected to lie in a folder named bin\n", result.stderr)
  end)
end)
