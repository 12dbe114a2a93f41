-- PyTorch's files: what the libraries write (made by tests/reference/weights.py, where there is a Python), and pickles
-- put together here: values by hand, calls that must never be made, damage of all kinds.
local co = require "cohesiv"
local core = require "cohesiv.core"
local make = require "tests.files"
local pickles = require "tests.pickles"
local support = require "tests.support"
local files = require "cohesiv.tensor.io"
local weights = require "cohesiv.nn.weights"

local folder = support.temp()
local function put(name, bytes) return support.write(folder .. "/" .. name, bytes) end

local text, int, global, tuple, call, ints = pickles.text, pickles.int, pickles.global, pickles.tuple, pickles.call,
  pickles.ints
local storage, tensor, dict, archive = pickles.storage, pickles.tensor, pickles.dict, pickles.archive
local ORDERED, REBUILD, SIX = pickles.ORDERED, pickles.REBUILD, pickles.SIX

local function read(pickle, storages, options)
  return core.io.pth_read(put("x.pth", archive(pickle, storages, options)))
end

-- Reads bytes: success or one line that names the file. → whether it was read
local function try(bytes)
  local path = put("damaged.pth", bytes)
  local ok, message = pcall(core.io.pth_read, path)
  if not ok then
    assert.equal("string", type(message))
    assert.is_nil(message:find "%c", message)
    assert.is_truthy(message:find(path, 1, true), message)
  end
  return ok
end

local function refuses(expected, ...)
  local message = support.raises(expected, read, ...)
  assert.is_truthy(message:find("x.pth: ", 1, true), message)
end

describe("a .pth file", function()
  it("gives tensors by name, whatever its folder is called", function()
    for _, top in ipairs { "archive/", "x/", "a b/c/", "" } do
      local state = read(dict("w", tensor {}, "n", int(3), "b", "N"), nil, { top = top })
      assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, state.w:totable())
      assert.is_nil(state.n)
    end
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, co.load(put("y.pt", archive(dict("w", tensor {})))).w:totable())
  end)

  it("honours strides, offsets and shared storages", function()
    local state = read(dict("t", tensor { shape = { 3, 2 }, stride = { 1, 3 } }, "o",
      tensor { offset = 2, shape = { 2 }, stride = { 3 } }, "e", tensor { shape = { 2, 2 }, stride = { 0, 1 } }, "none",
      tensor { shape = { 0, 5 }, stride = { 5, 1 } }, "s", tensor { offset = 5, shape = {}, stride = {} }))
    assert.same({ { 1, 4 }, { 2, 5 }, { 3, 6 } }, state.t:totable())
    assert.same({ 3, 6 }, state.o:totable())
    assert.same({ { 1, 2 }, { 1, 2 } }, state.e:totable())
    assert.same({ 0, 5 }, state.none.shape)
    assert.equal(6, state.s:item())
  end)

  it("has all dtypes, in both byte orders", function()
    for _, case in ipairs {
      { "DoubleStorage", "float64", "d", 0.1, -2 }, { "FloatStorage", "float32", "f", 0.5, -2 },
      { "HalfStorage", "float16", "H", 0x3800, 0xC000, 0.5, -2 },
      { "BFloat16Storage", "bfloat16", "H", 0x3F00, 0xC000, 0.5, -2 }, { "LongStorage", "int64", "i8", 1 << 62, -1 },
      { "IntStorage", "int32", "i4", 1 << 30, -1 }, { "ShortStorage", "int32", "i2", 300, -300 },
      { "CharStorage", "int32", "i1", 127, -128 }, { "ByteStorage", "uint8", "B", 255, 0 },
      { "BoolStorage", "uint8", "B", 2, 0, 1, 0 },
    } do
      for order, name in pairs { ["<"] = "little", [">"] = "big" } do
        local pickle = dict("w", tensor { type = case[1], count = 2, shape = { 2 }, stride = { 1 } })
        local bytes = string.pack(order .. case[3] .. case[3], case[4], case[5])
        local t = read(pickle, { bytes }, { byteorder = name }).w
        assert.equal(case[2], t.dtype)
        local a, b = t[1], t[2]
        assert.same({ case[6] or case[4], case[7] or case[5] }, { a, b }, case[1] .. name)
      end
    end
  end)

  it("is unwrapped: checkpoints, dicts in dicts, parameters, module.", function()
    local w, parameter = tensor {}, call(global("torch._utils", "_rebuild_parameter"), tensor {}, "\x89", ORDERED)
    local function names(pickle)
      local list = {}
      for name in pairs(files.weights(put("x.pth", archive(pickle)))) do list[#list + 1] = name end
      table.sort(list)
      return table.concat(list, " ")
    end
    for _, key in ipairs { "state_dict", "model", "model_state_dict" } do
      assert.equal("a b.c", names(dict("epoch", int(1), "other", dict("z", w), key, dict("a", w, "b.c", parameter))))
    end
    assert.equal("w", names(dict("model", dict("state_dict", dict("module.w", w)))))
    assert.equal("module.w z", names(dict("module.w", w, "z", w)))
    assert.equal("a.b.0 a.b.1 c.7", names(dict("a", dict("b", "](" .. w .. w .. "e"), "c", "}" .. int(7) .. w .. "s")))
    assert.equal("tensor", names(w))
    local ordered = call(global("collections", "OrderedDict"), "](" .. tuple(text "p", w) .. tuple(text "q", w) .. "e")
    assert.equal("p q", names(ordered))
    local state = ORDERED .. "(" .. text "p" .. w .. "u" .. dict("_metadata", ORDERED) .. "b"
    assert.equal("p", names(state))
  end)

  it("may be deflated nowhere, zip64, or without tensors", function()
    assert.is_truthy(read(dict("w", tensor {}), nil, { zip64 = true }).w)
    assert.is_truthy(read(dict("w", tensor {}), nil, { descriptor = true }).w)
    refuses("expected tensors, found none", dict("n", int(3)))
  end)
end)

describe("a hostile pickle", function()
  it("is refused by the name of what it would call", function()
    for _, case in ipairs {
      { "os", "system" }, { "posix", "system" }, { "builtins", "eval" }, { "subprocess", "Popen" }, { "nt", "system" },
      { "torch", "load" }, { "torch._utils", "_rebuild" }, { "collections", "defaultdict" }, { "builtins", "getattr" },
      { "numpy.core.multiarray", "scalar" }, { "torch.nn.modules.conv", "Conv2d" }, { "", "" },
    } do
      local full = "refused: " .. case[1] .. "." .. case[2]
      refuses(full, dict("x", call(global(case[1], case[2]), text "id")))
      refuses(full, dict("x", text(case[1]) .. text(case[2]) .. "\x93" .. tuple(text "id") .. "R"), nil,
        { proto = "\x80\4" })
      refuses(full, dict("x", global(case[1], case[2]))) -- never called
      refuses(full, "(" .. "S'id'\ni" .. case[1] .. "\n" .. case[2] .. "\n", nil, { proto = "" })
    end
    refuses("refused: builtins.eval", call(global("__builtin__", "eval"), text "1"))
    refuses("refused: o?s.sys?tem", text "o\ns" .. text "sys\0tem" .. "\x93")
    refuses("refused: os." .. ("x"):rep(50), global("os", ("x"):rep(5000)))
  end)

  it("is refused where it calls what is no name, or by opcodes that weights have no use for", function()
    refuses("refused: a call of something", tuple(text "os.system") .. ")R")
    refuses("refused: a call of something", text "os.system" .. ")R")
    refuses("refused: a call of something", tensor {} .. ")R")
    refuses("refused: attributes of something", "]}b")
    for op, name in pairs { o = "OBJ", ["\x92"] = "NEWOBJ_EX", ["\x82\1"] = "EXT1", ["P0\n"] = "PERSID",
      ["\x97"] = "NEXT_BUFFER" } do
      refuses("refused: the pickle opcode " .. name, op)
    end
    refuses("0xff", "\xff")
    refuses("expected a pickle of protocol 2 to 5, found 6", "N", nil, { proto = "\x80\6" })
  end)

  it("never runs anything", function()
    local trace = folder .. "/trace"
    for _, f in ipairs { "os system", "posix system", "builtins exec", "builtins eval" } do
      local module, name = f:match "(%S+) (%S+)"
      pcall(read, call(global(module, name), text("touch " .. trace)))
    end
    assert.is_nil(core.io.status(trace))
  end)

  it("may not underflow, point nowhere, or nest without end", function()
    for _, pickle in ipairs { "", "0", "1", "t", "u", "a", "]a", "(a", "R", ")R", "b", "Q", "\x85", "\x93", "h\0",
      "j\1\0\0\0", "q\0", "\x94", "(q\0", "(", "}(Nu", "]Ne", "}N" .. "s", ")(Nu", "N(Ne", "(N", "\x90", "(\x90", "Nb",
      "r\xff\xff\xff\xff", "Nr\xff\xff\xff\xff", "X\xff\xff\xff\xffab", "\x8d" .. ("\xff"):rep(8),
      "\x8b\xff\xff\xff\xff", "(((((" } do
      local bytes = archive(pickle)
      assert.is_false(try(bytes), ("%q"):format(pickle))
    end
    refuses("nested at most 32 deep", ("}" .. text "a"):rep(1000) .. tensor {} .. ("s"):rep(1000))
    refuses("x.pth", ("("):rep(100000))
    refuses("expected tensors, found none", ("]"):rep(100000))
    refuses("nested at most 32 deep", "}q\0" .. text "a" .. "h\0s") -- holds itself
    refuses("nested at most 32 deep", "]q\0h\0a")
    local bomb = "]" .. tensor {} .. "aq\0" -- twice the one before, 30 times: in the file it is small
    for i = 1, 30 do bomb = bomb .. ("](h%ch%ceq%c"):format(i - 1, i - 1, i) end
    refuses("expected", bomb)
  end)

  it("may not claim more than its storages hold", function()
    local function bad(expected, o) refuses(expected, dict("w", tensor(o))) end
    bad("w: expected elements within its storage", { shape = { 7 }, stride = { 1 } })
    bad("w: expected elements within its storage", { offset = 1 })
    bad("w: expected elements within its storage", { stride = { 4, 1 } })
    bad("w: expected elements within its storage", { offset = 6, shape = { 1 }, stride = { 1 } })
    bad("expected", { offset = -1 })
    bad("sizes and strides", { shape = { -2, 3 } })
    bad("sizes and strides", { stride = { -3, 1 } })
    bad("as many strides as sizes", { stride = { 1 } })
    bad("8 dimensions", { shape = { 1, 1, 1, 1, 1, 1, 1, 1, 1 }, stride = { 1, 1, 1, 1, 1, 1, 1, 1, 1 } })
    bad("w: expected 20 bytes in data/0, found 24", { count = 5, shape = { 1 }, stride = { 1 } })
    bad("w: expected 28 bytes in data/0, found 24", { count = 7 })
    bad("expected", { count = -1 })
    local huge = "\x8a\8" .. string.pack("<i8", (1 << 62) + 6)
    bad("expected a storage that memory can hold", { count_bytes = huge })
    bad("expected an entry data/9, found none", { key = "9" })
    bad("expected an entry data/../data.pkl, found none", { key = "../data.pkl" })
    local many = { 1 << 30, 1 << 30, 1 << 30 }
    bad("memory can hold", { shape = many, stride = { 0, 0, 0 } })
    bad("about the size of the file, found 1073741824x1000", { shape = { 1 << 30, 1000 }, stride = { 0, 0 } })
    bad("found torch.ComplexFloatStorage", { type = "ComplexFloatStorage" })
    refuses("another reference", dict("w", call(REBUILD, int(3), int(0), ints { 1 }, ints { 1 }, "\x89", ORDERED)))
    refuses("another reference", dict("w", call(REBUILD, tuple(text "storage") .. "Q", int(0), ints { 1 }, ints { 1 })))
    refuses("other arguments", dict("w", call(REBUILD, storage {})))
    refuses("without zero bytes", dict("a\0b", tensor {}))
    refuses("at most 1000 bytes", dict(("n"):rep(1001), tensor {}))
    local sparse = call(global("torch._utils", "_rebuild_sparse_tensor"))
    refuses("w: expected a dense tensor, found torch._utils._rebuild_sparse_tensor", dict("w", sparse))
    refuses("byteorder", dict("w", tensor {}), nil, { byteorder = "middle" })
    refuses("checksum", dict("w", tensor {}), nil, { crc = 1 })
    refuses("encrypted", dict("w", tensor {}), nil, { flags = 1 })
    support.raises("expected an entry data.pkl", core.io.pth_read, put("e.pth", make.zip { { "a.npy", "x" } }))
    local two = { { "a/data.pkl", "\x80\2N." }, { "b/data.pkl", "\x80\2N." } }
    support.raises("one data.pkl, found more", core.io.pth_read, put("e.pth", make.zip(two)))
  end)
end)

describe("damage", function()
  local pickle = dict("epoch", int(3), "state_dict", ORDERED .. "(" .. text "a.weight" .. tensor {} .. "q\7" .. text "b"
    .. tensor { type = "LongStorage", key = "1", count = 3, shape = { 3 }, stride = { 1 } } .. text "c" .. "h\7u")
  local whole = archive(pickle, { SIX, string.pack("<i8i8i8", 1, 2, 3) }, { byteorder = "little" })

  it("cut short anywhere is refused", function()
    assert.is_true(try(whole))
    support.no_leak(function()
      for n = 0, #whole - 1, support.small and 7 or 1 do assert.is_false(try(whole:sub(1, n)), n) end
    end)
    for n = 0, #pickle - 1 do assert.is_false(try(archive(pickle:sub(1, n), nil, { stop = "" })), n) end
  end)

  it("flipped bytes never crash", function()
    local random = make.random(11)
    support.no_leak(function()
      for _ = 1, tonumber(os.getenv "COHESIV_FUZZ") or support.small and 150 or 400 do
        local bytes = pickle
        for _ = 1, random(4) do
          local i = random(#bytes)
          local kind = random(3)
          local with = kind == 1 and "" or string.char(random(256) - 1)
          if kind == 3 then i = i - 1 end -- inserts
          bytes = bytes:sub(1, kind == 3 and i or i - 1) .. with .. bytes:sub(i + 1)
        end
        try(archive(bytes, { SIX, ("\0"):rep(24) })) -- the zip is intact, its pickle is not
        local i = random(#whole)
        try(whole:sub(1, i - 1) .. string.char(random(256) - 1) .. whole:sub(i + 1))
      end
    end)
  end)

  it("files of another kind get one line", function()
    assert.is_false(try "")
    assert.is_false(try(("\0"):rep(100)))
    support.raises("No such file", files.weights, folder .. "/none.pth")
    support.raises("found a folder", files.weights, folder)
    support.raises('expected weights (.safetensors, .npz, .pth, .pt), found text ("hello, world")', files.weights,
      put("readme.txt", "hello, world"))
    support.raises("expected a path, found number", files.weights, 3)
  end)
end)

describe("names", function()
  local function renamed(name, own)
    local out = weights.rename({ [name] = 1 }, { [own] = true })
    return out[own] == 1
  end

  it("of public libraries lead to those here", function()
    for name, own in pairs {
      ["module.conv1.weight"] = "conv1.weight", ["conv1.bias"] = "encoder.conv1.bias",
      ["encoder.layer1.0.bn1.weight"] = "layer1.0.bn1.weight", ["model.encoder.bn1.bias"] = "encoder.bn1.bias",
      ["_orig_mod.module.bn1.bias"] = "bn1.bias", ["encoder.model.bn1.bias"] = "encoder.bn1.bias",
      ["bn1.weight"] = "layer0.bn1.weight", ["layer2.3.se.fc2.bias"] = "encoder.layer2.3.se_module.fc2.bias",
      ["conv_stem.weight"] = "features.0.0.weight", ["bn2.running_var"] = "features.18.1.running_var",
      ["blocks.0.0.conv_pw.weight"] = "features.1.conv.1.weight",
      ["blocks.6.0.bn3.bias"] = "encoder.features.17.conv.3.bias",
      ["blocks.3.2.conv_dw.weight"] = "features.9.conv.1.0.weight",
      ["blocks.5.3.se.conv_reduce.bias"] = "_blocks.14._se_reduce.bias",
      ["blocks.0.0.bn2.weight"] = "_blocks.0._bn2.weight",
    } do
      assert.is_true(renamed(name, own), name)
    end
    -- numbers of EfficientNet-PyTorch, by the blocks of the network that asks
    local lite = {}
    for _, block in ipairs { "0.0", "1.0", "1.1", "2.0" } do
      lite[("blocks.%s.conv_dw.weight"):format(block)], lite[("blocks.%s.bn3.bias"):format(block)] = true, true
      lite[("blocks.%s.bn2.bias"):format(block)], lite[("blocks.%s.conv_pw.weight"):format(block)] = true, true
    end
    for name, own in pairs {
      ["_blocks.0._depthwise_conv.weight"] = "blocks.0.0.conv_dw.weight",
      ["_blocks.0._bn2.bias"] = "blocks.0.0.bn2.bias",
      ["_blocks.3._expand_conv.weight"] = "blocks.2.0.conv_pw.weight", ["_blocks.2._bn2.bias"] = "blocks.1.1.bn3.bias",
      ["_blocks.4._bn2.bias"] = "_blocks.4._bn2.bias",
    } do
      assert.same({ [own] = 1 }, (weights.rename({ [name] = 1 }, lite)), name)
    end
    local plain = { ["layer1.0.conv2.weight"] = co.zeros(64, 64, 3, 3), ["conv1.weight"] = co.ones(1) }
    assert.is_truthy(weights.rename(plain, { ["layer0.conv1.weight"] = true })["conv1.weight"])
    assert.is_false(renamed("blocks.9.9.conv_dw.weight", "features.1.conv.0.0.weight"))
    assert.same({ ["conv1.weight"] = 1, ["module.conv1.weight"] = 2 },
      (weights.rename({ ["conv1.weight"] = 1, ["module.conv1.weight"] = 2 }, { ["conv1.weight"] = true })))
  end)
end)

-- ---- what the libraries write ----

local made
-- { at = the folder of the files that the script writes, values } or { missing = a library }; once.
local function written()
  if not made then
    local out = support.temp()
    local result = support.run({
      support.python, support.root .. "/tests/reference/weights.py", out, support.small and "small" or nil,
    }, { timeout = 600 })
    if result.status == 77 then
      made = { missing = result.stdout:match "[^\n]*" }
    else
      assert.equal(0, result.status, result.stderr)
      made = { at = out .. "/", values = co.load(out .. "/values.npz") }
    end
  end
  return made
end

-- run(folder, values), skipped by name without Python or a library.
local function library_it(name, run)
  return support.python_it(name, function()
    local there = written()
    if there.missing then return pending(there.missing) end
    run(there.at, there.values)
  end)
end

-- One with files that are large.
local function large_it(name, run)
  if support.small then return pending(name .. ": small samples only") end
  return library_it(name, run)
end

local WIDTHS = { 8, 8, 8, 8, 8 }
local function model_of(encoder, path)
  return co.model { encoder = encoder, encoder_weights = path, decoder_widths = WIDTHS, embedding_dim = 4,
    attention_dim = 4 }:eval()
end

local function feature_error(model, x, wanted)
  local y = co.no_grad(function() return model.children.encoder(x)[5] end)
  return support.difference(y, wanted) / wanted:abs():max():item()
end

describe("files of PyTorch", function()
  library_it("hold tensors of every kind, in protocols 2 to 5", function(at, values)
    for _, form in ipairs { "2", "3", "4", "5", "_old" } do
      local state, count = co.load(at .. ("dtypes%s.pth"):format(form)), 0
      for name, t in pairs(state) do
        count = count + 1
        if name == "bfloat16" then assert.equal("bfloat16", t.dtype) else assert.equal(values[name].dtype, t.dtype) end
        assert.equal(0, support.difference(t, values[name]), name)
      end
      assert.equal(18, count)
    end
  end)

  library_it("are unwrapped from checkpoints", function(at, values)
    for _, name in ipairs { "bare.pth", "state_dict.pth", "model.pt", "model_state_dict.pth", "module.pth",
      "old.pth" } do
      local state, count = co.load(at .. name), 0
      for _ in pairs(state) do count = count + 1 end
      assert.equal(7, count, name)
      assert.equal(0, support.difference(state["conv1.weight"], values["conv1.weight"]), name)
    end
    local tree = co.load(at .. "tree.pth")
    assert.equal(0, support.difference(tree["conv1.weight"], values["conv1.weight"]))
    assert.same({ { 1 }, { 2 } }, { tree["lists.0"].shape, tree["lists.1"].shape })
    assert.equal(0, support.difference(co.load(at .. "tensor.pt").tensor, values["conv1.weight"]))
  end)

  library_it("are refused by name where they hold code", function(at)
    for name, found in pairs {
      ["system2.pth"] = "refused: posix.system", ["system4.pth"] = "refused: posix.system",
      ["eval2.pth"] = "refused: builtins.eval", ["eval4.pth"] = "refused: builtins.eval",
      ["whole.pth"] = "refused: torch.nn.modules.container.Sequential",
      ["complex.pth"] = "c: expected a dtype", ["sparse.pth"] = "s: expected a dense tensor",
    } do
      support.raises(found, co.load, at .. name)
    end
  end)

  large_it("of torchvision start an encoder, in every format", function(at, values)
    for _, name in ipairs { "resnet18.pth", "resnet18.npz", "resnet18.safetensors", "unet_encoder.pth", "unet.ckpt" } do
      local wanted = values[name:find "unet" and "out_unet" or "out_resnet18"]
      local error = feature_error(model_of("resnet18", at .. name), values.x, wanted)
      assert.is_true(error < 1e-4, name .. ": " .. error)
    end
    assert.is_true(feature_error(model_of("resnet18", at .. "resnet18_half.pth"), values.x, values.out_resnet18) < 0.02)
    local path = at .. "mobilenet_v2.pth"
    assert.is_true(feature_error(model_of("mobilenet_v2", path), values.x, values.out_mobilenet_v2) < 1e-4)
  end)

  large_it("of segmentation_models.pytorch load as a whole, and what they lack is reported", function(at, values)
    for _, name in ipairs { "unet.pth", "unet.ckpt" } do
      local model = model_of "resnet18"
      support.raises("missing, the first: hand_branch.0.weight", model.load, model, at .. name)
      local report = model:load(at .. name, { strict = false })
      assert.same({ {}, {} }, { report.unexpected, report.misshaped })
      for _, missing in ipairs(report.missing) do assert.is_truthy(missing:find "_branch%.", missing) end
      local z = co.no_grad(model.forward, model, values.x).Z
      assert.is_true(support.difference(z, values.z_unet) / values.z_unet:abs():max():item() < 1e-4)
    end
    local other = co.model { encoder = "resnet18", decoder_widths = WIDTHS, embedding_dim = 6, attention_dim = 4 }
    local report = other:load(at .. "unet.pth", { strict = false })
    assert.equal(2, #report.misshaped)
    assert.is_truthy(report.misshaped[1]:find "segmentation_head.0.weight %(expected 6x8x3x3, found 4x8x3x3%)")
  end)

  large_it("of an encoder alone load into a model in part", function(at)
    local model = model_of "resnet18"
    local report = model:load(at .. "resnet18_part.pth", { strict = false })
    assert.equal("encoder.layer4.1.conv2.weight", report.missing[1])
    assert.same({ {}, {} }, { report.unexpected, report.misshaped })
    local file = co.load(at .. "resnet18.pth")
    assert.equal(0, support.difference(file["layer1.0.conv1.weight"],
      model:state_dict()["encoder.layer1.0.conv1.weight"]))
    support.raises("1 missing, the first: layer4.1.conv2.weight", model_of, "resnet18", at .. "resnet18_part.pth")
    model:save(at .. "saved.safetensors")
    assert.same({ missing = {}, unexpected = {}, misshaped = {} }, model_of("resnet18"):load(at .. "saved.safetensors"))
  end)

  large_it("of Cadene's pretrained-models and timm start an encoder", function(at, values)
    co.tidy(function()
      local model = model_of("se_resnext50_32x4d", at .. "se_resnext50_32x4d.pth")
      assert.is_true(feature_error(model, values.x, values.out_se_resnext50_32x4d) < 1e-4)
    end)
    if core.io.status(at .. "timm_mobilenetv2_100.pth") ~= "file" then return pending "timm: not installed" end
    co.tidy(function()
      local model = model_of("mobilenet_v2", at .. "timm_mobilenetv2_100.pth")
      assert.is_true(feature_error(model, values.x, values.out_timm_mobilenetv2_100) < 1e-4)
      local path = at .. "timm_seresnext50_32x4d.pth"
      local file, state = co.load(path), model_of("se_resnext50_32x4d", path):state_dict()
      for own, name in pairs { ["layer0.conv1.weight"] = "conv1.weight",
        ["layer4.2.se_module.fc1.bias"] = "layer4.2.se.fc1.bias" } do
        assert.equal(0, support.difference(state["encoder." .. own], file[name]))
      end
    end)
  end)

  large_it("are listed by the program, with the encoders that they fit", function(at)
    local function lines_of(...)
      local result = support.cohesiv({ "weights", ... }, { timeout = 300 })
      assert.equal(0, result.status, result.stderr)
      return result.stdout
    end
    local listing = lines_of(at .. "resnet18.pth")
    assert.is_truthy(listing:find "\nlayer4%.1%.conv2%.weight +512x512x3x3 +float32\n")
    assert.is_truthy(listing:find "\nbn1%.num_batches_tracked +scalar +int64\n")
    assert.is_truthy(listing:find("PyTorch: 122 tensors, 11,689,512 parameters\nfits resnet18\n", 1, true))
    assert.is_truthy(lines_of(at .. "unet.pth"):find "\nfits resnet18\n$")
    local part = lines_of(at .. "resnet18_part.pth")
    assert.is_truthy(part:find "the nearest is resnet18: 99 of 100 tensors match, not layer4%.1%.conv2%.weight\n$")
    local object = require("cohesiv.base.json").decode(lines_of(at .. "mobilenet_v2.pth", "--json"))
    assert.same({ { "mobilenet_v2" }, 314, 3504872, "pth" },
      { object.fits, #object.tensors, object.parameters, object.format })
    assert.same({ name = "classifier.1.bias", shape = { 1000 }, dtype = "float32" }, object.tensors[1])
  end)
end)

describe("cohesiv weights", function()
  it("tells of any file, and refuses what is none", function()
    local path = put("w.pth", archive(dict("w.10", tensor {}, "w.9", tensor {})))
    local result = support.cohesiv { "weights", path }
    assert.equal("w.9   2x3              float32\nw.10  2x3              float32\n" ..
      "PyTorch: 2 tensors, 12 parameters\nfits no encoder: no tensor has a name and shape of one\n", result.stdout)
    local object = require("cohesiv.base.json").decode(support.cohesiv({ "weights", path, "--json" }).stdout)
    assert.same({ {}, 12 }, { object.fits, object.parameters })
    path = put("evil.pth", archive(call(global("os", "system"), text "id")))
    support.refuses(support.cohesiv { "weights", path }, 1, "evil.pth: refused: os.system")
    support.refuses(support.cohesiv { "weights", folder .. "/none.pth" }, 1, "No such file")
  end)
end)
