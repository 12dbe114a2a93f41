--- co.model: the COHESIV network. One image in; embedding Z, query map Q (hand branch) and key map K (object branch)
-- out. What calibration finds (thresholds, mean embeddings) travels with the weights, as does the normalisation.
local Module = require "cohesiv.nn.module"
local json = require "cohesiv.base.json"
local layers = require "cohesiv.nn.layers"
local encoders = require "cohesiv.nn.encoders"
local unet = require "cohesiv.nn.unet"
local files = require "cohesiv.tensor.io"
local predict = require "cohesiv.hands.predict"
local summary = require "cohesiv.nn.summary"
local weights = require "cohesiv.nn.weights"
local guard = require("cohesiv.base.options").guard
local core = require "cohesiv.core"
local error = core.error -- a line, whatever it quotes

local ops = core.ops
local M = {}

local WIDEST = 1 << 16 -- channels of a part: more is a slip, and would be made before it is found out

local IMAGENET = { mean = { 0.485, 0.456, 0.406 }, std = { 0.229, 0.224, 0.225 } }
local DEFAULTS = {
  encoder = "se_resnext50_32x4d", decoder_widths = { 256, 128, 64, 32, 16 }, embedding_dim = 64, attention_dim = 64,
}

local function check_options(o)
  if type(o) ~= "table" then error("model: expected a table of options, found " .. type(o), 0) end
  for key, value in pairs(o) do
    if DEFAULTS[key] == nil and key ~= "encoder_weights" then
      error(("model: expected encoder, encoder_weights, decoder_widths, embedding_dim or attention_dim, found %s")
        :format(core.text(key)), 0)
    end
    local kind = type(DEFAULTS[key] or "")
    if type(value) ~= kind then
      error(("model: %s: expected a %s, found %s"):format(key, kind, type(value)), 0)
    end
  end
  local widths = o.decoder_widths
  if widths and #widths ~= 5 then
    error(("model: decoder_widths: expected 5 numbers, found %d"):format(#widths), 0)
  end
  for _, w in ipairs(widths or {}) do
    if math.type(w) ~= "integer" or w < 1 or w > WIDEST then
      error(("model: decoder_widths: expected positive integers, found %s"):format(core.text(w)), 0)
    end
  end
  for _, key in ipairs { "embedding_dim", "attention_dim" } do
    if o[key] and (math.type(o[key]) ~= "integer" or o[key] < 1 or o[key] > WIDEST) then
      error(("model: %s: expected a positive integer, found %s"):format(key, core.text(o[key])), 0)
    end
  end
end

-- ---- the forward pass ----

-- uint8 → float, normalised; floats are taken as they are, in the model's dtype (float32 with weights of bfloat16).
local function prepare(self, x)
  local dtype = self.dtype() == "float64" and "float64" or "float32"
  if x.dtype == "float32" or x.dtype == "float64" then return x:to(dtype) end
  if x.dtype ~= "uint8" then
    error(("model: expected an image of uint8, float32 or float64, found %s"):format(x.dtype), 0)
  end
  local mean = core.tensor(self.mean, { dtype = dtype }) * 255
  local scale = core.tensor({ 1 / self.std[1], 1 / self.std[2], 1 / self.std[3] }, { dtype = dtype }) / 255
  return (x:to(dtype) - mean) * scale
end

-- N×H×W×3 whose sides are multiples of 32 → Z, Q, K
local function network(self, x)
  local c = self.children
  local z = c.segmentation_head(c.decoder(c.encoder(x)))
  return z, c.hand_branch(z), c.object_branch(z)
end

local function forward(self, x)
  if not core.is_tensor(x) then error("model: expected an image tensor, found " .. type(x), 0) end
  local shape = x.shape
  local single = #shape == 3
  if not (single or #shape == 4) or shape[#shape] ~= 3 then
    error(("model: expected an image H×W×3 or N×H×W×3, found %s"):format(table.concat(shape, "x")), 0)
  end
  x = prepare(self, x)
  if single then x = x:reshape { 1, shape[1], shape[2], 3 } end
  local h, w = x.shape[2], x.shape[3]
  if h == 0 or w == 0 then error(("model: expected an image of at least one pixel, found %dx%d"):format(h, w), 0) end
  local ph, pw = -h % 32, -w % 32
  local padded = ph + pw > 0
  if padded then x = ops.pad_crop.call(x, h + ph, w + pw) end
  local out = {}
  out.Z, out.Q, out.K = network(self, x)
  for name, y in pairs(out) do
    if padded then y = ops.pad_crop.call(y, h, w) end
    if single then y = y:reshape { h, w, y.shape[4] } end
    out[name] = y
  end
  return out
end

-- ---- files ----

-- What travels with the weights beside them.
local EXTRAS = { "options", "mean", "std", "thresholds", "embeddings", "calibration" }

local function extras_of(self)
  local extras = {}
  for _, key in ipairs(EXTRAS) do extras[key] = self[key] end
  return extras
end

local function save(self, path)
  core.io.safetensors_write(path, (self:state_dict()), { cohesiv = json.encode(self:extras()) })
end

local function names_of(module)
  local known = {}
  for name in module:named_parameters() do known[name] = true end
  for name in module:named_buffers() do known[name] = true end
  return known
end

local function load(self, path, options)
  local state, metadata = files.weights(path)
  state = weights.rename(state, names_of(self))
  options = options or {}
  local ok, report = pcall(self.load_state, self, state, { strict = options.strict, ignore = weights.is_foreign })
  if not ok then error(("%s: %s"):format(path, report), 0) end
  if metadata and metadata.cohesiv then
    local extras = json.decode(metadata.cohesiv)
    for _, key in ipairs(EXTRAS) do
      if key ~= "options" and extras[key] then self[key] = extras[key] end
    end
  end
  return report
end

local function load_encoder(encoder, path)
  local state = weights.rename((files.weights(path)), names_of(encoder))
  local ok, message = pcall(encoder.load_state, encoder, state, {
    ignore = function(name) return weights.is_foreign(name) or weights.is_beyond_encoder(name) end,
  })
  if not ok then error(("encoder_weights: %s: %s"):format(path, message), 0) end
end

local methods = guard("model", {
  forward = forward, save = save, load = load, extras = extras_of,
  summary = summary.summary,
  predict = predict.predict,
}, Module.stands)

--- co.model{ encoder, encoder_weights, decoder_widths, embedding_dim, attention_dim }: a new network with random
-- weights (an encoder with those of a file, if given). See Module for what it can do; beside that:
-- model:forward(x) → { Z, Q, K }; model:predict(image, points, options); model:load(path, { strict }), which returns
-- { missing, unexpected, misshaped }; model:save(path); model:summary{ size, batch }: what every stage costs. Files are
-- those of cohesiv.weights; saved are safetensors.
function M.model(o)
  o = o or {}
  check_options(o)
  local c = {}
  for key, value in pairs(DEFAULTS) do c[key] = o[key] == nil and value or o[key] end
  local m = Module.new()
  local encoder = m:add("encoder", encoders.encoder(c.encoder))
  m:add("decoder", unet.decoder(encoder.widths, c.decoder_widths))
  local head = layers.Conv2d { c.decoder_widths[5], c.embedding_dim, 3, padding = 1 }
  m:add("segmentation_head", layers.Sequential { head })
  m:add("hand_branch", unet.branch(c.embedding_dim, c.attention_dim))
  m:add("object_branch", unet.branch(c.embedding_dim, c.attention_dim))
  if o.encoder_weights then load_encoder(encoder, o.encoder_weights) end
  m.options, m.mean, m.std = c, IMAGENET.mean, IMAGENET.std
  m.dtype = function() return head.params.weight.dtype end
  for name, method in pairs(methods) do m[name] = method end
  return m
end

--- from_file(path): the network that model:save wrote, with its options.
function M.from_file(path)
  local _, metadata = core.io.safetensors_read(path)
  local extras = metadata and metadata.cohesiv and json.decode(metadata.cohesiv)
  if not (extras and extras.options) then
    error(("%s: expected a model that cohesiv saved, found no options in its metadata"):format(path), 0)
  end
  local options = extras.options -- JSON knows one kind of number
  for key, value in pairs(options) do options[key] = math.tointeger(value) or value end
  for i, width in ipairs(options.decoder_widths) do options.decoder_widths[i] = math.tointeger(width) end
  local m = M.model(options)
  m:load(path)
  return m
end

return M
