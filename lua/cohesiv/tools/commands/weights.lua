-- cohesiv weights FILE [--json]: what a file of weights holds, and which encoder takes it.
-- cohesiv weights add FILE: copies it to where weights are looked for.
local core = require "cohesiv.core"
local public = require "cohesiv.base.weights"
local json, thousands = require "cohesiv.base.json", require "cohesiv.base.thousands"
local weights = require "cohesiv.nn.weights"
local tensor, files = require "cohesiv.tensor", require "cohesiv.tensor.io"
local cli = require "cohesiv.tools.cli"

local FORMATS = { pth = "PyTorch", npz = "NumPy", safetensors = "safetensors" }

-- → { { name, shape, dtype }, … } in order, and the number of parameters
local function rows_of(state)
  local rows, parameters = {}, 0
  for name, t in pairs(state) do
    local statistic = name:find "running_mean$" or name:find "running_var$" or name:find "num_batches_tracked$"
    parameters = parameters + (statistic and 0 or t:numel())
    local key = name:gsub("%d+", function(digits) return ("0"):rep(9 - #digits) .. digits end) -- x.10 after x.9
    rows[#rows + 1] = { name = name, shape = t.shape, dtype = t.dtype, key = key .. "\0" .. name }
  end
  table.sort(rows, function(a, b) return a.key < b.key end)
  return rows, parameters
end

local function print_table(rows, parameters, kind, fits, nearest)
  local widest = 0
  for _, row in ipairs(rows) do widest = math.max(widest, #row.name) end
  for _, row in ipairs(rows) do
    local shape = #row.shape == 0 and "scalar" or table.concat(row.shape, "x")
    print(("%-" .. math.min(widest, 90) .. "s  %-16s %s"):format((row.name:gsub("%c", "?")), shape, row.dtype))
  end
  print(("%s: %d tensors, %s parameters"):format(FORMATS[kind], #rows, thousands(parameters)))
  if #fits > 0 then
    print("fits " .. table.concat(fits, ", "))
  elseif nearest.matching == 0 then
    print "fits no encoder: no tensor has a name and shape of one"
  else
    print(("fits no encoder; the nearest is %s: %d of %d tensors match%s"):format(nearest.encoder, nearest.matching,
      nearest.of, nearest.missing and ", not " .. nearest.missing or ", but there are others too"))
  end
end

local function add(path)
  local kind = path:lower():match "%.(%w+)$"
  -- What is none raises here.
  local read = kind == "tflite" and core.io.tflite_read or kind ~= "whl" and files.weights
  if read then tensor.tidy(function() read(path) end) end
  for _, taken in ipairs(public.take(path)) do print(("%s: %s"):format(taken.name, taken.path)) end
end

return {
  summary = "what a file of weights holds, and the encoders it fits; add FILE: keeps it for later",
  configure = function(parser)
    parser:argument("words", "A .pth, .pt, .safetensors or .npz file; or add and a file (.whl, .tflite too).")
      :argname("[add] FILE"):args "1-2"
    parser:flag("--json", "Print JSON.")
  end,
  run = function(args)
    local word, file = table.unpack(args.words)
    if file and word ~= "add" then cli.usage("weights: expected one FILE, or add FILE, found %s %s", word, file) end
    if file then return add(file) end
    local state, _, kind = files.weights(word)
    local rows, parameters = rows_of(state)
    local fits, nearest = tensor.no_grad(weights.fits, state)
    if not args.json then return print_table(rows, parameters, kind, fits, nearest) end
    for i, row in ipairs(rows) do rows[i] = { name = row.name, shape = json.list(row.shape), dtype = row.dtype } end
    print(json.encode { format = kind, parameters = parameters, fits = json.list(fits), nearest = nearest,
      tensors = json.list(rows) })
  end,
}
