-- What files of arrays may cost: each reader in a process of its own, the most memory that it ever took against the
-- bytes of the file. Files that claim, unpack to or share more than they are end in one line and take next to nothing;
-- what the writers here make is always read.
local co = require "cohesiv"
local core = require "cohesiv.core"
local make = require "tests.files"
local pickles = require "tests.pickles"
local support = require "tests.support"

local folder = support.temp()
local function at(name) return folder .. "/" .. name end
local function put(name, bytes) return support.write(at(name), bytes) end
local MB = 1 << 20

-- Reads a file in another process → whether that succeeded, the message, the bytes that it took.
local function cost(path, read)
  local script = ([[
    local memory = require "cohesiv.core".system.memory
    local read = %s
    collectgarbage "collect"
    local before = memory().peak
    local ok, message = pcall(read, %q)
    io.write(tostring(ok), "\n", ok and "" or message, "\n", memory().peak - before, "\n")]]):format(
    read or [[require "cohesiv".load]], path)
  local result = support.run { "lua5.4", support.root .. "/lua/cohesiv/main.lua", "-e", script }
  assert.equal(0, result.status, result.stderr)
  local ok, message, bytes = result.stdout:match "^(%a+)\n([^\n]*)\n(%d+)%.?%d*\n$"
  assert.is_truthy(ok, result.stdout)
  return ok == "true", message, tonumber(bytes)
end

local function refuses(expected, most, path, read)
  local ok, message, bytes = cost(path, read)
  assert.is_false(ok)
  assert.is_truthy(message:find(expected, 1, true) and message:find(path, 1, true), message)
  assert.is_true(bytes < most, ("%s: took %d bytes"):format(path, bytes))
end

local function takes(most, path, read)
  local ok, message, bytes = cost(path, read)
  assert.is_true(ok, message)
  assert.is_true(bytes < most, ("%s: took %d bytes, expected less than %.0f"):format(path, bytes, most))
  return bytes
end

-- head and n zeros, deflated at a thousand to one → the bytes, and what a zip file says of them.
local function deflated(head, n)
  put("head", head)
  local quoted = support.quote(folder)
  local made = support.run(("( cat %s/head; head -c %d /dev/zero ) | gzip -9n > %s/gz"):format(quoted, n, quoted))
  assert(made.status == 0, made.stderr)
  local gz = support.read(at "gz")
  local crc, size = string.unpack("<I4I4", gz, #gz - 7)
  return gz:sub(11, -9), { method = 8, crc = crc, size = size }
end

local function zeros(name, descr, bytes, copies)
  local element = tonumber(descr:match "%d+")
  local data, how = deflated(make.npy(descr, ("(%d,)"):format(bytes // element), ""), bytes)
  local entries = {}
  for i = 1, copies or 1 do entries[i] = { ("a%d.npy"):format(i), data } end
  return put(name, make.zip(entries, how)), #data
end

describe("a zip file", function()
  it("unpacks to 64 MiB and 64 times its bytes, not more", function()
    local path, packed = zeros("bomb.npz", "<f4", 256 * MB)
    assert.is_true(packed < MB // 2)
    local room = 64 * (MB + #support.read(path))
    refuses(("expected entries of at most %d bytes in all, found more"):format(room), 4 * MB, path)
    refuses("bytes in all, found more", 4 * MB, (zeros("many.npz", "<f4", 20 * MB, 10)))
    takes(70 * MB, (zeros("zeros.npz", "<f4", 60 * MB)))
  end)

  it("counts what arrays are widened to", function()
    refuses("in memory, found 41943040 int32", 4 * MB, (zeros("wide.npz", "|i1", 40 * MB)))
    refuses("in memory, found 12582912 int32", 64 * MB, (zeros("wider.npz", "|i1", 12 * MB, 2)))
    takes(50 * MB, (zeros("bytes.npz", "|i1", 10 * MB)))
  end)

  it("holds its entries one after the other, under different names", function()
    local npy = make.npy("<i4", "(2,)", string.pack("<i4i4", 7, 8))
    local zip = make.zip { { "a.npy", npy }, { "b.npy", npy } }
    local local_b = zip:find("PK\3\4", 5, true) - 1
    local entry_a, entry_b = zip:find("PK\1\2", 1, true), zip:find("PK\1\2", zip:find("PK\1\2", 1, true) + 4, true)
    local function placed(entry, where) -- the offset in the directory replaced
      return zip:sub(1, entry + 41) .. string.pack("<I4", where) .. zip:sub(entry + 46)
    end
    assert.same({ 7, 8 }, co.load(put("two.npz", placed(entry_b, local_b))).b:totable())
    for _, where in ipairs { 0, 1, local_b - 1, local_b + 1, local_b + 40, 0xFFFFFFF0 } do
      support.raises("expected zip entries", co.load, put("shared.npz", placed(entry_b, where)))
    end
    support.raises("do not overlap", co.load, put("shared.npz", placed(entry_a, local_b)))
    -- a local header whose extra field reaches into the next entry
    local reaching = zip:sub(1, 28) .. string.pack("<I2", 30) .. zip:sub(31)
    support.raises("do not overlap", co.load, put("reaching.npz", reaching))
    support.raises("expected entries of different names, found a.npy twice", co.load,
      put("twice.npz", make.zip { { "a.npy", npy }, { "b.npy", npy }, { "a.npy", npy } }))
  end)

  it("made by co.save is read, however little its arrays vary", function()
    co.tidy(function()
      local z = co.zeros(6000, 6000) -- 137 MiB, of which deflate would make 140 kB
      co.save(at "zeros.npz", { z = z })
      local size = #support.read(at "zeros.npz")
      assert.is_true(size < 6000 * 6000 * 4 // 7 and size > 6000 * 6000 * 4 // 65)
      local back = co.load(at "zeros.npz").z
      assert.same({ 6000, 6000 }, back.shape)
      assert.equal(0, back:abs():max():item())
      local some = {}
      for i = 1, 5 do some["n" .. i] = co.full(i, 2500, 2000) end -- 19 MiB each: the fourth is too much
      co.save(at "some.npz", some)
      for name, t in pairs(co.load(at "some.npz")) do assert.equal(0, support.difference(t, some[name])) end
      core.io.npz_write(at "stored.npz", some, 0)
      for name, t in pairs(co.load(at "stored.npz")) do assert.equal(0, support.difference(t, some[name])) end
    end)
    takes(150 * MB, at "zeros.npz")
  end)
end)

describe("a .npy file", function()
  it("takes its size, four times that where numbers are widened", function()
    local n = 20 * MB
    takes(1.2 * n, put("a.npy", make.npy("<f4", ("(%d,)"):format(n // 4), ("\0"):rep(n))))
    takes(1.2 * n, put("f.npy", make.npy(">f4", ("(5, %d)"):format(n // 20), ("\0"):rep(n), { fortran = true })))
    takes(4.2 * n, put("i.npy", make.npy("|i1", ("(2, %d)"):format(n // 2), ("\0"):rep(n), { fortran = true })))
    local shape = ("(%d,)"):format(1 << 40)
    refuses("found 4 bytes of data", MB, put("claim.npy", make.npy("|i1", shape, "1234")))
  end)
end)

describe("a .pth file", function()
  it("takes 16 MiB and 8 times its bytes, whatever its pickle claims", function()
    local data, how = deflated("", 256 * MB)
    local entries = { { "a/data.pkl", "\x80\2" .. pickles.dict("w", pickles.tensor {
      count = 64 * MB, shape = { 64 * MB }, stride = { 1 } }) .. "." }, { "a/data/0", data } }
    -- the pickle is deflated too, since make.zip has one method for all
    local body = string.pack("<BI2I2", 1, #entries[1][2], #entries[1][2] ~ 0xFFFF) .. entries[1][2]
    how.method = 8
    refuses("bytes in all, found more", 4 * MB, put("bomb.pth", make.zip({ { "a/data.pkl", body }, entries[2] }, how)))
    local wide = pickles.archive(pickles.dict("w", pickles.tensor { shape = { 1 << 20, 20 }, stride = { 0, 0 } }))
    refuses("about the size of the file, found 1048576x20", 4 * MB, put("wide.pth", wide))
    wide = pickles.old(pickles.dict("w", pickles.tensor { shape = { 1 << 20, 20 }, stride = { 0, 0 }, part = "N" }))
    refuses("about the size of the file, found 1048576x20", 4 * MB, put("wide_old.pth", wide))
    local n = 20 * MB
    local whole = pickles.dict("w", pickles.tensor { count = n // 4, shape = { n // 4 }, stride = { 1 } })
    takes(3.2 * n, put("old.pth", pickles.old(whole, { { "0", n // 4, ("\0"):rep(n) } })))
  end)

  it("has few names for few bytes", function()
    local bomb = "}" .. pickles.text(("k"):rep(300)) .. pickles.tensor { shape = { 0 }, stride = { 1 } } .. "sq\0"
    for i = 1, 17 do -- twice as many tensors as before, by two names for the same dict
      bomb = bomb .. ("}" .. pickles.text "a" .. "h%cs" .. pickles.text "b" .. "h%csq%c"):format(i - 1, i - 1, i)
    end
    local path = put("names.pth", pickles.archive(bomb))
    refuses("expected tensors of about the size of the file, found more", 20 * MB, path)
  end)

  it("takes 100 times its pickle at most", function()
    local n = support.small and 200000 or 2100000
    for _, code in ipairs { ("]"):rep(n), ("N\x85"):rep(n // 2), ("]Na"):rep(n // 3), "N" .. ("\x85"):rep(n),
      "](" .. ("N"):rep(n // 2) .. "e" .. ("q\0h\0\x85c" .. "collections\nOrderedDict\n" .. "h\0\x85R0"):rep(3) } do
      local path = put("deep.pth", pickles.archive(code))
      refuses("deep.pth: expected", 100 * #support.read(path), path)
    end
    refuses("expected a pickle of at most 4194304 values, found more", 400 * MB,
      put("values.pth", pickles.archive(("N0"):rep((1 << 22) + 1))))
    refuses("expected a memo of fewer places than bytes", MB, put("memo.pth", pickles.archive "Nr\xff\xff\x3f\0"))
  end)
end)

describe("safetensors", function()
  it("take their size and 20 times their header", function()
    local rows = {}
    for i = 1, 50000 do rows[i] = ('"%x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'):format(i) end
    local header = "{" .. table.concat(rows, ",") .. "}"
    takes(20 * #header, put("many.safetensors", string.pack("<i8", #header) .. header))
    for i = 1, 200000 do rows[i] = ('"%x":""'):format(i) end
    header = '{"__metadata__":{' .. table.concat(rows, ",") .. "}}"
    takes(20 * #header, put("notes.safetensors", string.pack("<i8", #header) .. header))
  end)

  it("are equal byte for byte where what is written is equal", function()
    local function tables(keys)
      local tensors, notes = {}, {}
      for _, k in ipairs(keys) do
        tensors[k], notes[k] = co.full(#k, 2, { dtype = #k % 2 == 0 and "float64" or "uint8" }), "of " .. k
      end
      for _, k in ipairs { "gone", "gone too" } do tensors[k], notes[k] = co.ones(1), "x" end
      for _, k in ipairs { "gone too", "gone" } do tensors[k], notes[k] = nil, nil end
      return tensors, notes
    end
    local keys, backward = {}, {}
    for i = 1, 40 do keys[i] = ("k"):rep(i % 7) .. i end
    for i = 1, 40 do backward[i] = keys[41 - i] end
    for i, list in ipairs { keys, backward } do
      local tensors, notes = tables(list)
      co.save(at("equal" .. i .. ".safetensors"), tensors, notes)
      co.save(at("equal" .. i .. ".npz"), tensors)
    end
    for _, kind in ipairs { ".safetensors", ".npz" } do
      assert.equal(support.read(at("equal1" .. kind)), support.read(at("equal2" .. kind)))
    end
    table.sort(keys)
    local last = 0
    local header = support.read(at "equal1.safetensors"):match "__metadata__(.-)}"
    for _, k in ipairs(keys) do
      local place = header:find('"' .. k .. '":"of ', 1, true)
      assert.is_true(place > last, k)
      last = place
    end
    local _, back = co.load(at "equal1.safetensors")
    assert.equal("of kk9", back.kk9)
  end)
end)

describe("a pack", function()
  it("takes little more than its tensor, and claims nothing", function()
    co.tidy(function() core.io.pack_write(at "flow.pack", "key", co.zeros(1000, 2000, 2), true) end)
    local size = 16000000
    assert.is_true(#support.read(at "flow.pack") < size // 500)
    local read = [[function(path) return require "cohesiv.core".io.pack_read(path, "key") end]]
    takes(1.6 * size, at "flow.pack", read)
    local bytes = support.read(at "flow.pack"):sub(1, 200)
    local claim = bytes:sub(1, 16) .. string.pack("<i8", 1 << 40) .. bytes:sub(25)
    refuses("expected as much data as the shape says", MB, put("claim.pack", claim), read)
  end)
end)
