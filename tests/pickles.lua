-- PyTorch's files put together opcode by opcode, by the formats' definitions and not by the code under test.
local make = require "tests.files"

local function text(s) return "X" .. string.pack("<s4", s) end
local function int(n) return "J" .. string.pack("<i4", n) end
local function global(module, name) return "c" .. module .. "\n" .. name .. "\n" end
local function tuple(...) return "(" .. table.concat { ... } .. "t" end
local function call(f, ...) return f .. tuple(...) .. "R" end
local function ints(list)
  local parts = {}
  for i, n in ipairs(list) do parts[i] = int(n) end
  return tuple(table.unpack(parts))
end

local ORDERED = global("collections", "OrderedDict") .. ")R"
local REBUILD = global("torch._utils", "_rebuild_tensor_v2")

-- part: of the form before 1.6, "N" or a tuple
local function storage(o)
  return tuple(text "storage", global("torch", o.type or "FloatStorage"), text(o.key or "0"), text "cpu",
    o.count_bytes or int(o.count or 6), o.part or "") .. "Q"
end

local function tensor(o)
  return call(REBUILD, storage(o), int(o.offset or 0), ints(o.shape or { 2, 3 }), ints(o.stride or { 3, 1 }), "\x89",
    ORDERED)
end

-- { name, value, … } as a dict of protocol 2
local function dict(...)
  local parts = { "}(" }
  for i, part in ipairs { ... } do parts[i + 1] = i % 2 == 1 and text(part) or part end
  return table.concat(parts) .. "u"
end

local SIX = string.pack("<ffffff", 1, 2, 3, 4, 5, 6)

-- A file of one data.pkl and storages by number from 0.
local function archive(pickle, storages, options)
  options = options or {}
  local entries, top = {}, options.top or "any name/"
  entries[1] = { top .. "data.pkl", (options.proto or "\x80\2") .. pickle .. (options.stop or ".") }
  if options.byteorder then entries[2] = { top .. "byteorder", options.byteorder } end
  for i, bytes in ipairs(storages or { SIX }) do entries[#entries + 1] = { top .. "data/" .. i - 1, bytes } end
  entries[#entries + 1] = { top .. "version", "3\n" }
  return make.zip(entries, options)
end

local MAGIC = "\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
local MACHINE = dict("protocol_version", int(1001), "little_endian", "\x88", "type_sizes", dict("int", int(4)))

-- A file of before PyTorch 1.6: the pickle and storages { key, elements, bytes } behind it. options: magic, version,
-- machine, keys (in place of the storages'), each a pickle without what begins and ends it; proto, tail.
local function old(pickle, storages, options)
  options = options or {}
  local keys, data = {}, {}
  for i, s in ipairs(storages or { { "0", 6, SIX } }) do
    keys[i], data[i] = text(s[1]), string.pack("<i8", s[2]) .. s[3]
  end
  local bytes = {}
  for i, part in ipairs { options.magic or MAGIC, options.version or int(1001), options.machine or MACHINE, pickle,
    options.keys or "](" .. table.concat(keys) .. "e" } do
    bytes[i] = (options.proto or "\x80\2") .. part .. "."
  end
  return table.concat(bytes) .. table.concat(data) .. (options.tail or "")
end

return {
  old = old, text = text, int = int, global = global, tuple = tuple, call = call, ints = ints, ORDERED = ORDERED,
  REBUILD = REBUILD, storage = storage, tensor = tensor, dict = dict, SIX = SIX, archive = archive,
}
