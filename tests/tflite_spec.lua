-- TensorFlow Lite's files: the reader, on files put together byte by byte (tests/tflite_maker.lua) and on every way of
-- damaging them, and co.nn.tflite: each operator by numbers worked out here, and whole networks against TFLite's own
-- interpreter where a Python has it.
local co = require "cohesiv"
local core = require "cohesiv.core"
local maker = require "tests.tflite_maker"
local support = require "tests.support"

local folder = support.temp()

local function file(bytes) return support.write(folder .. "/net.tflite", bytes) end

-- What a model of one operator makes of tensors, as a flat list, rounded.
local function outcome(bytes, ...)
  local net = co.nn.tflite(file(bytes))
  local given = { ... }
  local list = co.no_grad(function() return net(table.unpack(given)):reshape(-1):totable() end)
  for i, v in ipairs(list) do list[i] = math.floor(v * 1e4 + 0.5) / 1e4 end
  return list
end

local function ramp(shape, first)
  local n = 1
  for _, s in ipairs(shape) do n = n * s end
  return co.arange(first or 1, (first or 1) + n):to("float32"):reshape(shape)
end

local function ints(list) return { { #list }, maker.ints(list), "INT32" } end
local function floats(shape, list) return { shape, maker.floats(list) } end

describe("tflite", function()
  it("reads the graph of a file: tensors, constants and operators with their options", function()
    local graph = core.io.tflite_read(file(maker.model {
      tensors = { { "x", { 1, 4, 4, 2 } }, { "k", { 3, 1, 1, 2 }, type = "FLOAT16", data = ("\0\x3C"):rep(6) },
        { "n", { 2 }, type = "INT8", data = "\xFF\1" }, { "y", { 1, 2, 2, 3 } } },
      operators = { { "CONV_2D", { 0, 1, -1 }, { 3 }, { padding = 1, stride_w = 2, stride_h = 3, act = 1 } },
        { "Own", { 3 }, { 3 } } },
      inputs = { 0 }, outputs = { 3 },
    }))
    assert.same({ 1 }, graph.inputs)
    assert.same({ 4 }, graph.outputs)
    local x, k, n = table.unpack(graph.tensors)
    assert.same({ "x", "FLOAT32", { 1, 4, 4, 2 } }, { x.name, x.type, x.shape })
    assert.is_nil(x.constant)
    assert.same({ "FLOAT16", { 3, 1, 1, 2 }, "float16" }, { k.type, k.shape, k.constant.dtype })
    assert.same({ 1, 1, 1, 1, 1, 1 }, k.constant:to("float32"):reshape(-1):totable())
    assert.same({ -1, 1 }, n.constant:totable())
    local conv, own = table.unpack(graph.operators)
    assert.same({ "CONV_2D", false, { 1, 2, false }, { 4 } }, { conv.name, conv.custom, conv.inputs, conv.outputs })
    assert.same({ padding = 1, stride_w = 2, stride_h = 3, act = 1, dilation_w = 1, dilation_h = 1 }, conv.options)
    assert.same({ "Own", true }, { own.name, own.custom })
  end)

  it("refuses what it cannot be, in one line each", function()
    local good = { tensors = { { "x", { 2 } }, { "y", { 2 } } }, operators = { { "RELU", { 0 }, { 1 } } },
      inputs = { 0 },
      outputs = { 1 } }
    local function refused(text, change, read)
      local model = {}
      for key, value in pairs(good) do model[key] = value end
      for key, value in pairs(change) do model[key] = value end
      support.raises(text, read or core.io.tflite_read, file(maker.model(model)))
    end
    assert.equal(1, #core.io.tflite_read(file(maker.model(good))).operators)
    refused("expected a TensorFlow Lite model, found", { identifier = "TFL4" })
    refused("expected one graph, found none", { graphs = {} })
    refused("expected at most 8 dimensions in tensor x, found more", { tensors = { { "x", { 1, 1, 1, 1, 1, 1, 1, 1,
      1 } } } })
    refused("expected a shape that memory can hold in tensor x, found -1", { tensors = { { "x", { -1 } } } })
    refused("found 3 bytes for 2 of FLOAT32", { tensors = { { "x", { 2 }, data = "abc" }, { "y", { 2 } } } })
    refused("expected numbers of float or integer types in tensor x, found STRING",
      { tensors = { { "x", { 2 }, data = "ab", type = "STRING" }, { "y", { 2 } } } })
    refused("expected dense numbers in tensor x, found sparse ones",
      { tensors = { { "x", { 1 }, data = "abcd", sparse = true }, { "y", { 2 } } } })
    refused("expected a known type in tensor x, found another", { tensors = { { "x", { 2 }, type = 77 }, { "y",
      { 2 } } } })
    refused("expected operators of the tensors that it lists", { operators = { { "RELU", { 5 }, { 1 } } } })
    refused("expected operators of the tensors that it lists", { outputs = { 2 } })
    refused("expected a known operator, found number 5000", { operators = { { "5000", { 0 }, { 1 } } } })
    support.raises("expected a TensorFlow Lite model, found an HTML page", core.io.tflite_read,
      file "<!DOCTYPE html><html>")
    support.raises("expected a readable file", co.nn.tflite, folder .. "/none.tflite")
    support.raises("expected a path, found 3", co.nn.tflite, 3)
    local function network(text, change) refused(text, change, co.nn.tflite) end
    network("expected operators that are known here, found LSTM", { operators = { { "LSTM", { 0 }, { 1 } } } })
    network("expected operators that are known here, found the custom one Own", { operators = { { "Own", { 0 },
      { 1 } } } })
    network("found y of INT8 (a quantised network)", { tensors = { { "x", { 2 } }, { "y", { 2 }, type = "INT8" } } })
    network("DEQUANTIZE: expected constants of FLOAT16, found INT8 (a quantised network)",
      { tensors = { { "x", { 2 }, type = "INT8" }, { "y", { 2 } } }, operators = { { "DEQUANTIZE", { 0 }, { 1 } } } })
    network("RELU: expected inputs that are computed before, found y", { operators = { { "RELU", { 1 }, { 1 } } } })
    network("RELU: expected a result of its own, found x again", { operators = { { "RELU", { 0 }, { 0 } } } })
    network("expected outputs that are computed, found y", { operators = {} })
  end)

  it("is never taken beyond its bytes, whatever is cut off or changed", function()
    local bytes = maker.one("FULLY_CONNECTED", { { 1, 2 } }, { 1, 2 }, { act = 1 },
      { floats({ 2, 2 }, { 1, 2, 3, 4 }), floats({ 2 }, { 5, 6 }) })
    local failed = 0
    for n = 0, #bytes - 1, 3 do
      if not pcall(co.nn.tflite, file(bytes:sub(1, n))) then failed = failed + 1 end
    end
    assert.is_true(failed > #bytes // 3 * 0.9)
    local random = require("tests.files").random(7)
    for _ = 1, 300 do
      local at = random(#bytes)
      local changed = bytes:sub(1, at - 1) .. string.char(random(256) - 1) .. bytes:sub(at + 1)
      local ok, message = pcall(co.nn.tflite, file(changed))
      if not ok then assert.is_nil(tostring(message):find "\n", message) end
    end
  end)
end)

describe("co.nn.tflite computes", function()
  it("convolutions, their padding, strides, biases and endings", function()
    local kernel = floats({ 1, 3, 3, 1 }, { 0, 0, 0, 0, 1, 2, 0, 3, 4 }) -- looks right and down
    local bias = floats({ 1 }, { -30 })
    assert.same({ 37, 47, 21, 67, 77, 33, 23, 26, 9 }, outcome(maker.one("CONV_2D", { { 1, 3, 3, 1 } }, { 1, 3, 3, 1 },
      { stride_w = 1, stride_h = 1 }, { kernel }), ramp { 1, 3, 3, 1 }))
    -- SAME with stride 2 on 4 places: the odd zero is behind, so windows begin at 0 and 2.
    assert.same({ 1 * 6 + 2 * 7 + 3 * 10 + 4 * 11, 8 + 3 * 12, 14 + 2 * 15, 16 }, outcome(maker.one("CONV_2D",
      { { 1, 4, 4, 1 } }, { 1, 2, 2, 1 }, { stride_w = 2, stride_h = 2 }, { kernel }), ramp { 1, 4, 4, 1 }))
    assert.same({ 6 }, outcome(maker.one("CONV_2D", { { 1, 4, 4, 1 } }, { 1, 1, 1, 1 },
      { padding = 1, stride_w = 3, stride_h = 3, act = 3 }, { kernel, floats({ 1 }, { -60 }) }), ramp { 1, 4, 4, 1 }))
    assert.same({ 7, 17, 0, 37, 47, 3, 0, 0, 0 }, outcome(maker.one("CONV_2D", { { 1, 3, 3, 1 } }, { 1, 3, 3, 1 },
      { stride_w = 1, stride_h = 1, act = 1 }, { kernel, bias }), ramp { 1, 3, 3, 1 }))
  end)

  it("depthwise convolutions, whose channels may be multiplied", function()
    local kernel = floats({ 1, 1, 2, 4 }, { 1, 10, 2, 20, 100, 1000, 200, 2000 }) -- for each tap: channels × 2
    assert.same({ 301, 3010, 804, 8040, 503, 5030, 1208, 12080 }, outcome(maker.one("DEPTHWISE_CONV_2D",
      { { 1, 1, 3, 2 } }, { 1, 1, 2, 4 }, { padding = 1, stride_w = 1, stride_h = 1, multiplier = 2 }, { kernel }),
      ramp { 1, 1, 3, 2 }))
  end)

  it("a convolution and what is added to it as one, of as many images as are given", function()
    local bytes = maker.model {
      tensors = { { "x", { 1, 1, 2, 1 } }, { "k", { 1, 1, 1, 1 }, data = maker.floats { 3 } }, { "c", { 1, 1, 2, 1 } },
        { "y", { 1, 1, 2, 1 } } },
      operators = { { "CONV_2D", { 0, 1 }, { 2 }, { stride_w = 1, stride_h = 1 } }, { "ADD", { 0, 2 }, { 3 } } },
      inputs = { 0 }, outputs = { 3 },
    }
    assert.same({ 4, 8 }, outcome(bytes, ramp { 1, 1, 2, 1 }))
    assert.same({ 4, 8, 12, 16 }, outcome(bytes, ramp { 2, 1, 2, 1 }))
    local net = co.nn.tflite(file(bytes))
    local names = {}
    for name in net:named_parameters() do names[#names + 1] = name end
    assert.same({ "k" }, names)
    local x = ramp { 1, 1, 2, 1 }
    x.requires_grad = true
    net(x):sum():backward()
    assert.same({ 4, 4 }, x.grad:reshape(-1):totable())
    assert.equal(3, net.params.k.grad:item())
    local frozen = net:freeze()
    assert.same({ 4, 8 }, frozen(ramp { 1, 1, 2, 1 }):reshape(-1):totable())
    support.raises("x: expected float32 1x1x2x1, found float32 1x1x3x1", net, co.zeros(1, 1, 3, 1))
    support.raises("expected 1 inputs, found 0", net)
  end)

  it("pools of windows that the border cuts", function()
    local x = ramp({ 1, 3, 3, 1 }, -9) -- all below 0: padding must not win
    local options = { stride_w = 2, stride_h = 2, kernel_w = 2, kernel_h = 2 }
    assert.same({ -5, -4, -2, -1 }, outcome(maker.one("MAX_POOL_2D", { { 1, 3, 3, 1 } }, { 1, 2, 2, 1 }, options), x))
    assert.same({ -7, -5.5, -2.5, -1 }, outcome(maker.one("AVERAGE_POOL_2D", { { 1, 3, 3, 1 } }, { 1, 2, 2, 1 },
      options),
      x))
    assert.same({ -8, -7, -5, -4, -2, -1 }, outcome(maker.one("MAX_POOL_2D", { { 1, 3, 3, 1 } }, { 1, 3, 2, 1 },
      { padding = 1, stride_w = 1, stride_h = 1, kernel_w = 2, kernel_h = 1 }), x))
  end)

  it("resampled images by each of its three rules", function()
    local function resized(options)
      return outcome(maker.one("RESIZE_BILINEAR", { { 1, 1, 2, 1 } }, { 1, 1, 4, 1 }, options, { ints { 1, 4 } }),
        co.tensor { 0, 8 }:reshape { 1, 1, 2, 1 })
    end
    assert.same({ 0, 4, 8, 8 }, resized {})
    assert.same({ 0, 2, 6, 8 }, resized { half_pixel_centers = 1 })
    assert.same({ 0, 2.6667, 5.3333, 8 }, resized { align_corners = 1 })
  end)

  it("matrices, sums, shapes and slices", function()
    assert.same({ 1 + 4 + 5, 3 + 8 - 20 < 0 and 0 or 1 }, outcome(maker.one("FULLY_CONNECTED", { { 1, 2 } }, { 1, 2 },
      { act = 1 }, { floats({ 2, 2 }, { 1, 2, 3, 4 }), floats({ 2 }, { 5, -20 }) }), ramp { 1, 2 }))
    assert.same({ 4, 5 }, outcome(maker.one("MEAN", { { 1, 2, 2, 2 } }, { 1, 2 }, {}, { ints { 1, 2 } }),
      ramp { 1, 2, 2, 2 }))
    assert.same({ 3, 7 }, outcome(maker.one("SUM", { { 2, 2 } }, { 2, 1 }, { keep_dims = 1 }, { ints { -1 } }),
      ramp { 2, 2 }))
    assert.same({ 3, 4 }, outcome(maker.one("REDUCE_MAX", { { 2, 2 } }, { 2 }, {}, { ints { 0 } }), ramp { 2, 2 }))
    assert.same({ 1, 3, 2, 4 }, outcome(maker.one("TRANSPOSE", { { 2, 2 } }, { 2, 2 }, {}, { ints { 1, 0 } }),
      ramp { 2, 2 }))
    local pad = { { 2, 2 }, maker.ints { 0, 1, 1, 0 }, "INT32" }
    assert.same({ 0, 1, 0, 2, 0, 0 }, outcome(maker.one("PAD", { { 2, 1 } }, { 3, 2 }, {}, { pad }), ramp { 2, 1 }))
    assert.same({ 5, 6 }, outcome(maker.one("STRIDED_SLICE", { { 2, 3 } }, { 2 }, { shrink_axis_mask = 1,
      end_mask = 2 },
      { ints { 1, -2 }, ints { 2, 0 }, ints { 1, 1 } }), ramp { 2, 3 }))
    assert.same({ 1, 2, 9, 3, 4, 9 }, outcome(maker.one("CONCATENATION", { { 2, 2 } }, { 2, 3 }, { axis = -1 },
      { floats({ 2, 1 }, { 9, 9 }) }), ramp { 2, 2 }))
    assert.same({ 1, 2, 5, 6, 3, 4, 7, 8 }, outcome(maker.one("DEPTH_TO_SPACE", { { 1, 1, 2, 4 } }, { 1, 2, 4, 1 },
      { block = 2 }), co.tensor { 1, 2, 3, 4, 5, 6, 7, 8 }:reshape { 1, 1, 2, 4 }))
    assert.same({ 1, 2, 5, 6 }, outcome(maker.one("SPACE_TO_DEPTH", { { 1, 2, 2, 1 } }, { 1, 1, 1, 4 }, { block = 2 }),
      co.tensor { 1, 2, 5, 6 }:reshape { 1, 2, 2, 1 }))
    assert.same({ 2, 2, 1 }, co.nn.tflite(file(maker.one("RESHAPE", { { 1, 4 } }, { 2, 2, 1 }, {}, { ints { 2, 2,
      1 } })))(
      ramp { 1, 4 }).shape)
  end)

  it("pointwise operators, with constants on either side", function()
    local x = co.tensor { -4, -1, 0, 0.5, 8 }
    local function of(name, options, ...) return outcome(maker.one(name, { { 5 } }, { 5 }, options, { ... }), x) end
    assert.same({ 0, 0, 0, 0.5, 8 }, of "RELU")
    assert.same({ 0, 0, 0, 0.5, 6 }, of "RELU6")
    assert.same({ -1, -1, 0, 0.5, 1 }, of "RELU_N1_TO_1")
    assert.same({ 0, -0.3333, 0, 0.2917, 8 }, of "HARD_SWISH")
    assert.same({ -1, -0.25, 0, 0.5, 8 }, of("LEAKY_RELU", { slope = 0.25 }))
    assert.same({ -8, -1, 0, 0.5, 8 }, of("PRELU", {}, floats({ 5 }, { 2, 1, 3, 3, 3 })))
    assert.same({ 0.018, 0.2689, 0.5, 0.6225, 0.9997 }, of "LOGISTIC")
    assert.same({ 6, 3, 2, 1.5, -6 }, outcome(maker.model {
      tensors = { { "c", { 1 }, data = maker.floats { 2 } }, { "x", { 5 } }, { "y", { 5 } } },
      operators = { { "SUB", { 0, 1 }, { 2 } } }, inputs = { 1 }, outputs = { 2 },
    }, x))
    assert.same({ 0, 1, 2, 2.5, 10 }, of("ADD", { act = 1 }, floats({ 1 }, { 2 })))
    assert.same({ -8, -2, 0, 1, 16 }, of("MUL", {}, floats({ 1 }, { 2 })))
    local even = outcome(maker.one("SOFTMAX", { { 1, 2 } }, { 1, 2 }, { beta = 2 }), co.tensor { { 0, 0.5 } })
    assert.same({ 0.2689, 0.7311 }, even)
  end)

  -- Networks of MediaPipe where they are, else one made here, against the interpreter.
  local python = support.python or "python3"
  local probe = support.run({ python, "-c", [[
try:
  import ai_edge_litert.interpreter
except ImportError:
  import tflite_runtime.interpreter
import numpy]] })
  local interpreter_it = probe.status == 0 and it
    or function(name) pending(name .. ": no Python with ai-edge-litert or tflite-runtime") end

  interpreter_it("what TFLite's interpreter computes, to 1e-4", function()
    local paths = { support.write(folder .. "/made.tflite", maker.one("CONV_2D", { { 1, 9, 8, 3 } }, { 1, 5, 4, 2 },
      { stride_w = 2, stride_h = 2, act = 1 }, { floats({ 2, 3, 3, 3 }, (co.randn(54):totable())), floats({ 2 }, { 1,
        -1 }) })) }
    local there = os.getenv "COHESIV_WEIGHTS"
    for _, name in ipairs { "palm_detection_full", "hand_landmark_full" } do
      local path = ("%s/hands/%s.tflite"):format(there or "", name)
      if there and core.io.status(path) then paths[#paths + 1] = path end
    end
    support.write(folder .. "/run.py", [[
import sys, numpy
try:
  from ai_edge_litert.interpreter import Interpreter
except ImportError:
  from tflite_runtime.interpreter import Interpreter
net = Interpreter(model_path=sys.argv[1])
net.allocate_tensors()
net.set_tensor(net.get_input_details()[0]["index"], numpy.load(sys.argv[2]))
net.invoke()
for i, o in enumerate(net.get_output_details()):
  numpy.save("%s/out%d.npy" % (sys.argv[3], i + 1), net.get_tensor(o["index"]))
]])
    for _, path in ipairs(paths) do
      local net = co.nn.tflite(path)
      co.seed(3)
      local x = co.rand(net.inputs[1].shape)
      co.save(folder .. "/x.npy", x)
      local run = support.run({ python, folder .. "/run.py", path, folder .. "/x.npy", folder }, { timeout = 120 })
      assert.equal(0, run.status, run.stderr)
      local outputs = co.no_grad(function() return { net(x) } end)
      for i, y in ipairs(outputs) do
        local theirs = co.load(("%s/out%d.npy"):format(folder, i))
        local scale = math.max(1, theirs:abs():max():item())
        assert.is_true(support.difference(y, theirs) <= 1e-4 * scale, path)
      end
    end
  end)
end)
