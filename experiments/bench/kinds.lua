--- A training step's time by kind of layer, as it runs in the whole network; and the same of PyTorch.
local co = require "cohesiv"
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"
local layers = require "experiments.bench.layers"

local M = {}

local ROUNDS = 5

local KIND_OF_OP = {
  upconv2d = "up-sampling 3x3", batch_norm = "batch norm, activation, gate",
  batch_norm_se = "batch norm, activation, gate", responsibility_loss = "losses", embedding_loss = "losses",
  adamw = "optimiser",
}

-- Of an op that is no convolution. What works on a number belongs to a loss.
local function kind_of_other(event)
  if not (event.shape or ""):find "x" then return "losses" end
  return KIND_OF_OP[event.name] or "pooling, rest"
end

-- Events of convolutions tell no kernel: forward ones come in the order of the calls; backward ones are known by the
-- shape of their input and their operations, which count twice where both gradients are wanted.
local function convolution_kinds(list)
  local by_work, i = {}, 0
  for _, layer in ipairs(list) do
    local wanted = layer.kind == "stem" and 1 or 2
    by_work[("%dx%dx%dx%d %.0f"):format(layer.n, layer.h, layer.w, layer.input, wanted * layer.flops)] = layer.kind
  end
  return function(event)
    if event.kind == "backward" then
      return by_work[("%s %.0f"):format(event.shape, event.flops)] or error("no layer is like " .. event.shape, 0)
    end
    i = i + 1
    return list[i].kind
  end
end

-- kind → seconds of one step.
local function measure_once(step)
  local profile
  local list = {}
  for _, layer in ipairs(layers.noted(function() profile = co.profile(co.tidy, step) end)) do
    if not layer.up then list[#list + 1] = layer end
  end
  local kind_of_convolution, sums = convolution_kinds(list), { step = profile.seconds }
  for _, event in ipairs(profile.events) do
    if event.kind ~= "scope" then
      local kind = event.name == "conv2d" and kind_of_convolution(event) or kind_of_other(event)
      sums[kind] = (sums[kind] or 0) + event.seconds
    end
  end
  return sums
end

--- ours(step) → { step, [kind] = … }: seconds, of the median of five steps.
function M.ours(step)
  for _ = 1, 2 do co.tidy(step) end
  local rounds = {}
  for i = 1, ROUNDS do rounds[i] = measure_once(step) end
  table.sort(rounds, function(a, b) return a.step < b.step end)
  return rounds[(ROUNDS + 1) // 2]
end

local function quote(word) return "'" .. tostring(word):gsub("'", [['\'']]) .. "'" end

--- torchs(o) → the same table for PyTorch, where $COHESIV_PYTHON names a Python that has it; nil otherwise.
function M.torchs(o, folder)
  local python = os.getenv "COHESIV_PYTHON"
  if not python or python == "" then return nil end
  local words = { quote(python), quote(folder .. "/shapes_torch.py"), "-n", o.n, "--height", o.height, "--width",
    o.width, "--threads", core.threads(), "--encoder", o.encoder, "--rounds", ROUNDS }
  if o.widths then words[#words + 1] = "--widths " .. table.concat(o.widths, ",") end
  local pipe = assert(io.popen(table.concat(words, " ")))
  local text = pipe:read "a"
  if not pipe:close() then error("shapes_torch.py: expected it to end well; its message is above", 0) end
  return json.decode(text)
end

return M
