--- A segmenter: a U-Net with one map of logits, for one kind of thing against all else (people, in this house). Trained
-- by experiments/person.lua; a file of its weights says what network they are of.
local core = require "cohesiv.core"
local json, kinds, options = require "cohesiv.base.json", require "cohesiv.base.kinds", require "cohesiv.base.options"
local tensor = require "cohesiv.tensor"
local files = require "cohesiv.tensor.io"
local encoders, layers, Module = require "cohesiv.nn.encoders", require "cohesiv.nn.layers", require "cohesiv.nn.module"
local unet, weights = require "cohesiv.nn.unet", require "cohesiv.nn.weights"
local M = {}

--- The logit from which a pixel counts: a probability of a third, since what is missed of a hand is called an object.
M.threshold = math.log(1 / 2)

local MEAN, STD = { 0.485, 0.456, 0.406 }, { 0.229, 0.224, 0.225 } -- ImageNet's

local OPTIONS = {
  encoder = "mobilenet_v2", encoder_weights = options.optional "string", decoder_widths = { 96, 64, 32, 16, 16 },
}

-- Images uint8 N×H×W×3 → logits N×H×W. Zeros are added right and below up to a multiple of 32, and cut off again.
local function forward(self, x)
  local shape, c = x.shape, self.children
  if x.dtype ~= "uint8" or #shape ~= 4 or shape[4] ~= 3 then
    core.refuse("segmenter: expected images uint8 NxHxWx3, found %s %s", x.dtype, table.concat(shape, "x"))
  end
  local mean = core.tensor(MEAN, { device = x.device }) * 255
  local scale = core.tensor({ 1 / STD[1], 1 / STD[2], 1 / STD[3] }, { device = x.device }) / 255
  local h, w = shape[2], shape[3]
  local image = core.ops.pad_crop.call((x:to "float32" - mean) * scale, h + -h % 32, w + -w % 32)
  local logits = c.segmentation_head(c.decoder(c.encoder(image)))
  return core.ops.pad_crop.call(logits, h, w):reshape { shape[1], h, w }
end

local function save(self, path)
  core.tidy(function()
    core.io.safetensors_write(path, (self:state_dict()), { segmenter = json.encode(self.options) })
  end)
end

--- segmenter{ encoder, encoder_weights, decoder_widths }: a new network: m(images) → logits; m:save(path).
function M.segmenter(given)
  local o = options.read("segmenter", given, OPTIONS)
  local file = o.encoder_weights
  o.encoder_weights = nil
  local m = Module.new()
  local encoder = m:add("encoder", encoders.encoder(o.encoder))
  m:add("decoder", unet.decoder(encoder.widths, o.decoder_widths))
  m:add("segmentation_head", layers.Conv2d { o.decoder_widths[5], 1, 3, padding = 1 })
  if file then
    local known = encoder:state_dict()
    encoder:load_state((weights.rename(files.weights(file), known)), { ignore = weights.is_foreign })
  end
  m.options, m.forward, m.save = o, forward, save
  return m
end

--- from_file(path): the network that m:save wrote, for inference.
function M.from_file(path)
  local state, metadata = core.io.safetensors_read(path)
  local kept = metadata and metadata.segmenter and json.decode(metadata.segmenter)
  if not kept then
    core.refuse("%s: expected a segmenter that cohesiv saved, found no options in its metadata", path)
  end
  local m = M.segmenter(kinds.any(kept)):eval()
  m:load_state(state)
  return m
end

--- mask(network, image): image uint8 H×W×3 → uint8 H×W of 0 and 1: where the logits are above M.threshold.
function M.mask(network, image)
  return tensor.tidy(tensor.no_grad, function()
    local logits = network(image:reshape { 1, table.unpack(image.shape) })
    return core.ops.gt.call(logits, M.threshold):to "uint8":reshape { image.shape[1], image.shape[2] }
  end)
end

return M
