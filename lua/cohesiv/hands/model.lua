--- co.model: the COHESIV network. One image in; embedding Z, query map Q (hand branch) and key map K (object branch)
-- out. What calibration finds (thresholds, mean embeddings) travels with the weights, as does the normalisation.
local core = require "cohesiv.core"
local json, kinds, lists = require "cohesiv.base.json", require "cohesiv.base.kinds", require "cohesiv.base.lists"
local options = require "cohesiv.base.options"
local public = require "cohesiv.base.weights"
local files = require "cohesiv.tensor.io"
local encoders, layers, Module = require "cohesiv.nn.encoders", require "cohesiv.nn.layers", require "cohesiv.nn.module"
local summary, unet, weights = require "cohesiv.nn.summary", require "cohesiv.nn.unet", require "cohesiv.nn.weights"
local position, predict = require "cohesiv.hands.position", require "cohesiv.hands.predict"
local heads = require "cohesiv.hands.heads"

local ops = core.ops
local M = {}

local WIDEST = 1 << 16 -- channels of a part: more is a slip, and would be made before it is found out
local IMAGENET = { mean = { 0.485, 0.456, 0.406 }, std = { 0.229, 0.224, 0.225 } }

local WIDTH = options.integer(64, 1, WIDEST)
local OPTIONS = {
  encoder = "se_resnext50_32x4d", encoder_weights = options.optional "string",
  decoder_widths = { 256, 128, 64, 32, 16 }, embedding_dim = WIDTH, attention_dim = WIDTH, position = false,
  build = options.optional "function",
  query_branch = false, box_branch = false,
}

-- The parts that may be replaced: forward asks for each by its name.
local PARTS = { "encoder", "decoder", "segmentation_head", "hand_branch", "object_branch" }
table.move(heads.names, 1, #heads.names, #PARTS + 1, PARTS)

local HALVES = { bf16 = "bfloat16", fp16 = "float16" } -- precision → what activations are

-- uint8 → float, normalised; floats are taken as they are, in the model's dtype (float32 with weights of bfloat16).
local function prepare(self, x)
  local dtype = self.dtype() == "float64" and "float64" or "float32"
  if x.dtype == "float32" or x.dtype == "float64" then return x:to(dtype) end
  if x.dtype ~= "uint8" then core.refuse("model: expected an image of uint8, float32 or float64, found %s", x.dtype) end
  local like = { dtype = dtype, device = x.device }
  local mean = core.tensor(self.mean, like) * 255
  local scale = core.tensor({ 1 / self.std[1], 1 / self.std[2], 1 / self.std[3] }, like) / 255
  return (x:to(dtype) - mean) * scale
end

-- What convolutions multiply halves with, rounded for all of them at once.
local function round_weights(self, to)
  local list = {}
  for _, t in self:named_parameters() do
    if #t.shape == 4 and t.dtype == "float32" then list[#list + 1] = t end
  end
  ops.round_weights.each({ list }, nil, to)
end

-- Cuts what padding has added off a map.
local function cropped(y, h, w)
  if y.shape[2] == h and y.shape[3] == w then return y end
  return ops.pad_crop.call(y, h, w)
end

--- model:forward(x): { Z, Q, K }, each N×H×W×C, of images N×H×W×3 or H×W×3 (then H×W×C), also as model(x); of networks
-- of fewer than five decoder widths H and W are divided by model.stride, rounded up. uint8 is scaled and normalised
-- with model.mean and model.std; floats are taken as they are. Any size: zeros are added right and below up to a
-- multiple of 32, and the outputs cropped.
local function forward(self, x)
  if not core.is_tensor(x) then core.refuse("model: expected an image tensor, found %s", type(x)) end
  local shape = x.shape
  local single = #shape == 3
  if not (single or #shape == 4) or shape[#shape] ~= 3 then
    core.refuse("model: expected an image H×W×3 or N×H×W×3, found %s", table.concat(shape, "x"))
  end
  x = prepare(self, x)
  if HALVES[self.precision] then
    x = x:to(HALVES[self.precision])
    round_weights(self, HALVES[self.precision])
  end
  if single then x = x:reshape { 1, shape[1], shape[2], 3 } end
  local h, w = x.shape[2], x.shape[3]
  if h == 0 or w == 0 then core.refuse("model: expected an image of at least one pixel, found %dx%d", h, w) end
  local ph, pw = -h % 32, -w % 32
  if ph + pw > 0 then x = ops.pad_crop.call(x, h + ph, w + pw) end
  local c, stride = self.children, self.stride
  local z = c.segmentation_head(c.decoder(c.encoder(x)))
  local out = { Z = z, Q = c.hand_branch(z), K = c.object_branch(z) }
  if self.options.position then out.Q, out.K = position.joined(out.Q, out.K, self.options.attention_dim, stride) end
  h, w = (h + stride - 1) // stride, (w + stride - 1) // stride
  for name, y in pairs(out) do
    y = cropped(y, h, w)
    out[name] = single and y:reshape { h, w, y.shape[4] } or y
  end
  return out
end

-- What travels with the weights beside them.
local EXTRAS = { "options", "mean", "std", "thresholds", "embeddings", "calibration" }

-- A file's tensors into a module, under its names; the report of load_state, and what travelled with them.
local function load_file(module, path, what, how)
  local state, metadata = files.weights(path)
  local known = {}
  for name in module:named_parameters() do known[name] = true end
  for name in module:named_buffers() do known[name] = true end
  local ok, report = pcall(module.load_state, module, (weights.rename(state, known)), how)
  if not ok then core.refuse("%s: %s", what, report) end
  return report, metadata and metadata.cohesiv and json.decode(metadata.cohesiv) or {}
end

-- A tensor that tells the network's dtype and device.
local function reference(self)
  local _, t = self.children.segmentation_head:named_parameters()()
  if not t then _, t = self:named_parameters()() end
  return t
end

local methods = options.guard("model", {
  forward = forward, summary = summary.summary, predict = predict.predict,
  --- model:replace(name, module): puts a module in the place of encoder, decoder, segmentation_head, hand_branch or
  -- object_branch. → module
  replace = function(self, name, part)
    if not lists.set(PARTS)[name] then
      core.refuse("model: replace: expected %s, found %s", lists.words(PARTS), options.text(name))
    end
    return Module.replace(self, name, part)
  end,
  extras = function(self)
    local extras = {}
    for _, key in ipairs(EXTRAS) do extras[key] = self[key] end
    return extras
  end,
  --- model:save "w.safetensors": weights, options, thresholds and mean embeddings in a file.
  save = function(self, path)
    core.tidy(function()
      core.io.safetensors_write(path, (self:state_dict()), { cohesiv = json.encode(self:extras()) })
    end)
  end,
  --- model:load(path, { strict = true }): weights of a file under public names (.safetensors, .npz, .pth, .pt) →
  -- { missing, unexpected, misshaped }: lists of names. strict: raises when any is not empty.
  load = function(self, path, given)
    local how = options.read("load", given, { strict = true })
    how.ignore = weights.is_foreign
    local report, extras = load_file(self, path, path, how)
    extras.options = nil
    for _, key in ipairs(EXTRAS) do self[key] = extras[key] or self[key] end
    return report
  end,
}, Module.stands)

-- The file that an encoder begins with; nil: random weights.
local function weights_of(encoder, given)
  if given == "random" then return nil end
  if given ~= "imagenet" then return given end
  local ok, path = pcall(public.fetch, encoder, function(line) io.stderr:write(line, "\n") end)
  if ok then return path end
  core.refuse("encoder_weights: expected weights from ImageNet of %s, or a file of yours; %s", encoder, path)
end

--- stride(decoder_widths): pixels of the image for each of a network's maps, along either axis.
function M.stride(widths) return 1 << (5 - #widths) end

--- co.model{ encoder, encoder_weights, decoder_widths, embedding_dim, attention_dim, position, build }: a new network
-- with random weights (an encoder with those of a file, if given, or "imagenet": those that co.weights.fetch has of it;
-- "random": none): a Module that also has model:forward(x) → { Z, Q, K
-- }, N×H×W×C each, of fewer than five widths N×⌈H/stride⌉×⌈W/stride⌉×C (model.stride: 2 of four, 4 of three, …);
-- model:predict(image, points, options); model:replace("object_branch", module), any of its parts;
-- model:load(path, { strict }) → { missing, unexpected, misshaped }, of any file of weights; model:save(path), as
-- safetensors; model:summary{ size, batch }: what every stage costs. position: attention falls with the distance to the
-- query, as the hand branch tells (position.lua). build(model): changes the network that was made.
-- query_branch, box_branch = true: with these parts (heads.lua).
function M.model(given)
  local c = options.read("model", given, OPTIONS)
  local file, widths = weights_of(c.encoder, c.encoder_weights), c.decoder_widths
  if #widths < 1 or #widths > 5 then
    core.refuse("model: decoder_widths: expected 1 to 5 numbers, found %d", #widths)
  end
  for i, w in ipairs(widths) do options.whole("model", ("decoder_widths[%d]"):format(i), w, 1, WIDEST) end
  local build = c.build
  c.encoder_weights, c.build, c.position = nil, nil, c.position or nil
  local m = Module.new()
  local encoder = m:add("encoder", encoders.encoder(c.encoder))
  m:add("decoder", unet.decoder(encoder.widths, widths))
  local head = layers.Conv2d { widths[#widths], c.embedding_dim, 3, padding = 1 }
  m:add("segmentation_head", layers.Sequential { head })
  m:add("hand_branch", unet.branch(c.embedding_dim, c.attention_dim + (c.position and position.channels or 0)))
  m:add("object_branch", unet.branch(c.embedding_dim, c.attention_dim))
  if c.position then position.start(m.children.hand_branch, c.attention_dim) end
  if file then
    local function ignored(name) return weights.is_foreign(name) or weights.is_beyond_encoder(name) end
    load_file(encoder, file, "encoder_weights: " .. file, { ignore = ignored })
  end
  m.stride = M.stride(widths)
  m.options, m.mean, m.std = c, IMAGENET.mean, IMAGENET.std
  m.dtype = function() return reference(m).dtype end
  m.device = function() return reference(m).device end
  for name, method in pairs(methods) do m[name] = method end
  heads.add(m, c)
  for _, name in ipairs(heads.names) do c[name] = c[name] or nil end -- files of networks without them do not tell
  if build then
    build(m)
    c.built = true -- a file of its weights alone cannot tell how
  end
  return m
end

--- like(recipe's model): a network of the same parts with random weights, its encoder's too.
function M.like(given)
  local o = lists.copy(given)
  o.encoder_weights = nil
  return M.model(o)
end

--- from_file(path): the network that model:save wrote, with its options.
function M.from_file(path)
  local _, metadata = core.io.safetensors_read(path)
  local extras = metadata and metadata.cohesiv and json.decode(metadata.cohesiv)
  if not (extras and extras.options) then
    core.refuse("%s: expected a model that cohesiv saved, found no options in its metadata", path)
  end
  if extras.options.built then
    core.refuse("%s: expected a network without code of an experiment's, found one that model.build has changed: open "
      .. "its run folder", path)
  end
  local m = M.model(kinds.any(extras.options))
  m:load(path)
  return m
end

return M
