-- cohesiv weights FILE [--json]: what a file of weights holds, and which encoder takes it.
local weights = require "cohesiv.nn.weights"
local json, thousands = require "cohesiv.base.json", require "cohesiv.base.thousands"
local tensor, files = require "cohesiv.tensor", require "cohesiv.tensor.io"

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

return {
  summary = "names, shapes and dtypes in a file of weights, and the encoders that they fit",
  configure = function(parser)
    parser:argument("file", "A .pth, .pt, .safetensors or .npz file.")
    parser:flag("--json", "Print JSON.")
  end,
  run = function(args)
    local state, _, kind = files.weights(args.file)
    local rows, parameters = rows_of(state)
    local fits, nearest = tensor.no_grad(weights.fits, state)
    if not args.json then return print_table(rows, parameters, kind, fits, nearest) end
    for i, row in ipairs(rows) do rows[i] = { name = row.name, shape = json.list(row.shape), dtype = row.dtype } end
    print(json.encode { format = kind, parameters = parameters, fits = json.list(fits), nearest = nearest,
      tensors = json.list(rows) })
  end,
}
