-- TensorFlow Lite files put together byte by byte, by the definitions of FlatBuffers and of the schema, and not by the
-- code under test: model{ tensors, operators, inputs, outputs } → its bytes.
--   tensors    { name, shape, type = "FLOAT32", data = bytes, sparse = true }        operators { NAME, inputs,
-- outputs, options }
-- Places count from 0, as in files. Options are listed by the names of OPTIONS.
local maker = {}

local TYPES = { FLOAT32 = 0, FLOAT16 = 1, INT32 = 2, UINT8 = 3, INT64 = 4, STRING = 5, INT16 = 7, INT8 = 9,
  FLOAT64 = 10 }

local NUMBERS = { ADD = 0, AVERAGE_POOL_2D = 1, CONCATENATION = 2, CONV_2D = 3, DEPTHWISE_CONV_2D = 4,
  DEPTH_TO_SPACE = 5,
  DEQUANTIZE = 6, FULLY_CONNECTED = 9, LOGISTIC = 14, LSTM = 16, MAX_POOL_2D = 17, MUL = 18, RELU = 19,
    RELU_N1_TO_1 = 20,
  RELU6 = 21, RESHAPE = 22, RESIZE_BILINEAR = 23, SOFTMAX = 25, SPACE_TO_DEPTH = 26, TANH = 28, CUSTOM = 32, PAD = 34,
  TRANSPOSE = 39, MEAN = 40, SUB = 41, DIV = 42, SQUEEZE = 43, STRIDED_SLICE = 45, EXP = 47, PRELU = 54, MAXIMUM = 55,
  MINIMUM = 57, SUM = 74, SQRT = 75, REDUCE_MAX = 82, LEAKY_RELU = 98, ABS = 101, HARD_SWISH = 117 }

local CONV = { { "padding", 1 }, { "stride_w", 4 }, { "stride_h", 4 }, { "act", 1 }, { "dilation_w", 4 },
  { "dilation_h", 4 } }
local POOL = { { "padding", 1 }, { "stride_w", 4 }, { "stride_h", 4 }, { "kernel_w", 4 }, { "kernel_h", 4 }, { "act",
  1 } }
local OPTIONS = {
  ADD = { { "act", 1 } }, SUB = { { "act", 1 } }, MUL = { { "act", 1 } }, DIV = { { "act", 1 } },
  CONV_2D = CONV, AVERAGE_POOL_2D = POOL, MAX_POOL_2D = POOL,
  DEPTHWISE_CONV_2D = { CONV[1], CONV[2], CONV[3], { "multiplier", 4 }, CONV[4], CONV[5], CONV[6] },
  CONCATENATION = { { "axis", 4 }, { "act", 1 } }, DEPTH_TO_SPACE = { { "block", 4 } }, SPACE_TO_DEPTH = { { "block",
    4 } },
  FULLY_CONNECTED = { { "act", 1 }, { "format", 1 }, { "keep_dims", 1 } },
  MEAN = { { "keep_dims", 1 } }, SUM = { { "keep_dims", 1 } }, REDUCE_MAX = { { "keep_dims", 1 } },
  RESIZE_BILINEAR = { { "height", 4 }, { "width", 4 }, { "align_corners", 1 }, { "half_pixel_centers", 1 } },
  SOFTMAX = { { "beta", "f" } }, LEAKY_RELU = { { "slope", "f" } },
  STRIDED_SLICE = { { "begin_mask", 4 }, { "end_mask", 4 }, { "ellipsis_mask", 4 }, { "new_axis_mask", 4 },
    { "shrink_axis_mask", 4 } },
}

-- ---- FlatBuffers, written front to back: what a table refers to follows it ----
local Writer = {}
Writer.__index = Writer

function Writer:align(n) self.bytes = self.bytes .. ("\0"):rep(-#self.bytes % n) end

function Writer:patch(at, value)
  self.bytes = self.bytes:sub(1, at) .. string.pack("<I4", value) .. self.bytes:sub(at + 5)
end

-- node: { fields = { [number] = node or { 1 | 2 | 4 | 8 | "f", value } } }, { bytes = … }, { ints = … } or { list
-- = nodes }
local write

local function write_table(w, node)
  local top = -1
  for number in pairs(node.fields) do top = math.max(top, number) end
  w:align(8)
  local vtable, offsets, body, refs = #w.bytes, {}, "\0\0\0\0", {}
  local start = vtable + 4 + 2 * (top + 1)
  start = start + -start % 8
  for number = 0, top do
    local field = node.fields[number]
    if field and field[1] then
      local size = field[1] == "f" and 4 or field[1]
      body = body .. ("\0"):rep(-#body % size)
      offsets[number] = #body
      body = body .. (field[1] == "f" and string.pack("<f", field[2]) or string.pack("<i" .. size, field[2]))
    elseif field then
      body = body .. ("\0"):rep(-#body % 4)
      offsets[number] = #body
      refs[#refs + 1] = { at = start + #body, node = field }
      body = body .. "\0\0\0\0"
    end
  end
  local head = string.pack("<I2I2", 4 + 2 * (top + 1), #body)
  for number = 0, top do head = head .. string.pack("<I2", offsets[number] or 0) end
  w.bytes = w.bytes .. head
  w:align(8)
  w.bytes = w.bytes .. body
  w:patch(start, start - vtable)
  for _, ref in ipairs(refs) do
    local place = write(w, ref.node)
    w:patch(ref.at, place - ref.at)
  end
  return start
end

function write(w, node)
  if node.fields then return write_table(w, node) end
  w:align(4)
  if node.bytes then
    while #w.bytes % 16 ~= 12 do w.bytes = w.bytes .. "\0" end
  end
  local at = #w.bytes
  if node.bytes then
    w.bytes = w.bytes .. string.pack("<I4", #node.bytes) .. node.bytes .. "\0"
  elseif node.ints then
    w.bytes = w.bytes .. string.pack("<I4", #node.ints)
    for _, n in ipairs(node.ints) do w.bytes = w.bytes .. string.pack("<i4", n) end
  else
    w.bytes = w.bytes .. string.pack("<I4", #node.list) .. ("\0\0\0\0"):rep(#node.list)
    for i, child in ipairs(node.list) do
      local place, from = write(w, child), at + 4 * i
      w:patch(from, place - from)
    end
  end
  return at
end

--- flatbuffer(node, identifier): the bytes of a tree of nodes.
function maker.flatbuffer(node, identifier)
  local w = setmetatable({ bytes = "\0\0\0\0" .. identifier }, Writer)
  w:patch(0, write(w, node))
  return w.bytes
end

-- ---- TensorFlow Lite ----
local function options_of(name, given)
  local fields = {}
  for i, option in ipairs(OPTIONS[name] or {}) do
    local value = given and given[option[1]]
    if value then fields[i - 1] = { option[2], value } end
  end
  return { fields = fields }
end

--- floats{ 1, 2 }, halves{ … }, ints{ … }: bytes of numbers.
function maker.floats(list) return string.pack("<" .. ("f"):rep(#list), table.unpack(list)) end
function maker.ints(list) return string.pack("<" .. ("i4"):rep(#list), table.unpack(list)) end

function maker.model(o)
  local buffers, tensors, codes, operators, known = { { fields = {} } }, {}, {}, {}, {}
  for i, t in ipairs(o.tensors) do
    if t.data then buffers[#buffers + 1] = { fields = { [0] = { bytes = t.data } } } end
    tensors[i] = { fields = {
      [0] = { ints = t[2] }, [1] = { 1, TYPES[t.type or "FLOAT32"] or t.type }, [2] = { 4, t.data and #buffers - 1
        or 0 },
      [3] = { bytes = t[1] }, [6] = t.sparse and { fields = {} } or nil,
    } }
  end
  for i, operator in ipairs(o.operators) do
    local name = operator[1]
    if not known[name] then
      local number = NUMBERS[name] or tonumber(name) or 32
      codes[#codes + 1] = { fields = { [0] = { 1, math.min(number, 127) }, [3] = { 4, number },
        [1] = number == 32 and { bytes = name } or nil } }
      known[name] = #codes - 1
    end
    operators[i] = { fields = { [0] = { 4, known[name] }, [1] = { ints = operator[2] }, [2] = { ints = operator[3] },
      [3] = { 1, 1 }, [4] = options_of(name, operator[4]) } }
  end
  local graph = { fields = { [0] = { list = tensors }, [1] = { ints = o.inputs }, [2] = { ints = o.outputs },
    [3] = { list = operators } } }
  return maker.flatbuffer({ fields = { [0] = { 4, 3 }, [1] = { list = codes }, [2] = { list = o.graphs or { graph } },
    [4] = { list = buffers } } }, o.identifier or "TFL3")
end

--- one(name, shapes of inputs, shape of output, options, constants): a model of one operator; constants: more inputs,
-- each
-- { shape, bytes, type }.
function maker.one(name, inputs, output, options, constants)
  local tensors, places, given = {}, {}, {}
  for i, shape in ipairs(inputs) do
    tensors[#tensors + 1] = { "input" .. i, shape }
    places[#places + 1], given[#given + 1] = #tensors - 1, #tensors - 1
  end
  for i, c in ipairs(constants or {}) do
    tensors[#tensors + 1] = { "constant" .. i, c[1], data = c[2], type = c[3] }
    places[#places + 1] = #tensors - 1
  end
  tensors[#tensors + 1] = { "output", output }
  return maker.model { tensors = tensors, operators = { { name, places, { #tensors - 1 }, options } }, inputs = given,
    outputs = { #tensors - 1 } }
end

return maker
