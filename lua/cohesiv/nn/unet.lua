--- The U-Net decoder (Ronneberger et al., MICCAI 2015; named as in segmentation_models.pytorch) and the two branches.
local layers, Module, stages = require "cohesiv.nn.layers", require "cohesiv.nn.module", require "cohesiv.nn.stages"
local M = {}

-- ×2 nearest up-sampling, concatenation with the skip (none in the last block), two 3×3 convolutions.
local function block(cin, skip, out)
  local m = Module.new()
  return stages.block(m, {
    m:add("conv1", layers.UpConvBN { cin, skip, out, act = "relu" }),
    m:add("conv2", layers.ConvBN { out, out, 3, padding = 1, act = "relu" }),
  })
end

--- decoder(encoder_widths, widths): features at strides 2 … 32 → a map as many times twice as fine as there are widths:
-- of five at stride 1, of four at stride 2, …
function M.decoder(encoder_widths, widths)
  local m = Module.new()
  local blocks = m:add("blocks", Module.new())
  local cin, list = encoder_widths[5], {}
  m.stages = {} -- as an encoder's
  for i, out in ipairs(widths) do
    list[i] = blocks:add(i - 1, block(cin, i < 5 and encoder_widths[5 - i] or 0, out))
    m.stages[i] = { name = "blocks." .. i - 1, module = list[i] }
    cin = out
  end
  m.forward = function(_, features)
    local x = features[5]
    for i, b in ipairs(list) do x = b(x, features[5 - i]) end
    return x
  end
  return m
end

--- branch(channels, out, hidden = out): conv 3×3 without bias, batch norm, ReLU, conv 3×3 with bias; children "0", "1",
-- "3". The last convolution starts small, with bias sqrt(0.5 / out): qᵀk of two branches near 0.5, inside the loss's
-- clamp.
function M.branch(channels, out, hidden)
  local m = Module.new()
  hidden = hidden or out
  local first = stages.conv_bn(m, 0, 1, { channels, hidden, 3, act = "relu" })
  local last = m:add(3, layers.Conv2d { hidden, out, 3, padding = 1 })
  last.params.weight:copy(last.params.weight:detach() * 0.25)
  last.params.bias:fill(math.sqrt(0.5 / out))
  return stages.block(m, { first, last })
end

return M
