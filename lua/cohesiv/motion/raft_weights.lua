--- The weights of RAFT: which tensors each of its two networks has, under the names of the authors' code
-- (github.com/princeton-vl/RAFT), how torchvision calls them, and how a file of either becomes them. Nothing here
-- computes a flow: see raft.lua.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local files = require "cohesiv.tensor.io"
local M = {}

--- The two networks.
--   widths    of the encoder's stages, the first also of the convolution before them; norm: cnet has batch norm
--   squeeze   by how much a block's inner layers are narrower; nil: a block is two layers of its width
--   features, hidden, context   channels of a pixel's features, of the recurrent unit's state, of its constant input
--   radius    of the correlations' windows
--   corr, flow   the motion encoder's parts: { name, out, in (nil: all correlations), side of the kernel }
--   motion    what it gives
--   gates     the recurrent units: { what their names end in, height and width of their kernels }
--   head      the flow head's inner channels; mask: the flow is enlarged by a learned mask
M.kinds = {
  raft_small = {
    said = "RAFT small", widths = { 32, 64, 96 }, squeeze = 4, features = 128, hidden = 96, context = 64, radius = 3,
    corr = { { "convc1", 96, nil, 1 } }, flow = { { "convf1", 64, 2, 7 }, { "convf2", 32, 64, 3 } }, motion = 80,
    gates = { { "", 3, 3 } }, head = 128,
  },
  raft_large = {
    said = "RAFT large", widths = { 64, 96, 128 }, norm = true, features = 256, hidden = 128, context = 128, radius = 4,
    corr = { { "convc1", 256, nil, 1 }, { "convc2", 192, 256, 3 } },
    flow = { { "convf1", 128, 2, 7 }, { "convf2", 64, 128, 3 } }, motion = 126,
    gates = { { "1", 1, 5 }, { "2", 5, 1 } }, head = 256, mask = true,
  },
}

M.LEVELS = 4 -- of the correlation's pyramid

-- ---- what there is ----
-- add(name, out, in, height, width) for every convolution of an encoder; norm(name, channels) where batch norm follows.
local function encoder(kind, prefix, out, add, norm)
  local function conv(name, o, i, side, norm_name)
    add(prefix .. name, o, i, side, side)
    if norm and norm_name then norm(prefix .. norm_name, o) end
  end
  local from = kind.widths[1]
  conv("conv1", from, 3, 7, "norm1")
  for stage, width in ipairs(kind.widths) do
    for block = 0, 1 do
      local at, inner = ("layer%d.%d."):format(stage, block), width // (kind.squeeze or 1)
      conv(at .. "conv1", inner, from, kind.squeeze and 1 or 3, at .. "norm1")
      conv(at .. "conv2", inner, inner, 3, at .. "norm2")
      if kind.squeeze then conv(at .. "conv3", width, inner, 1, at .. "norm3") end
      if block == 0 and stage > 1 then conv(at .. "downsample.0", width, from, 1, at .. "downsample.1") end
      from = width
    end
  end
  conv("conv2", out, from, 1)
end

--- shapes(kind): name → shape as files have it, of all tensors that the network needs.
function M.shapes(kind)
  local shapes = {}
  local function add(name, o, i, h, w) shapes[name .. ".weight"], shapes[name .. ".bias"] = { o, i, h, w }, { o } end
  local function norm(name, n)
    for _, part in ipairs { "weight", "bias", "running_mean", "running_var" } do shapes[name .. "." .. part] = { n } end
  end
  encoder(kind, "fnet.", kind.features, add)
  encoder(kind, "cnet.", kind.hidden + kind.context, add, kind.norm and norm)
  local update, window = "update_block.", 2 * kind.radius + 1
  for _, list in ipairs { kind.corr, kind.flow } do
    for _, c in ipairs(list) do
      add(update .. "encoder." .. c[1], c[2], c[3] or M.LEVELS * window * window, c[4], c[4])
    end
  end
  add(update .. "encoder.conv", kind.motion, kind.corr[#kind.corr][2] + kind.flow[#kind.flow][2], 3, 3)
  for _, gate in ipairs(kind.gates) do
    for _, letter in ipairs { "z", "r", "q" } do
      add(("%sgru.conv%s%s"):format(update, letter, gate[1]), kind.hidden,
        kind.hidden + kind.context + kind.motion + 2, gate[2], gate[3])
    end
  end
  add(update .. "flow_head.conv1", kind.head, kind.hidden, 3, 3)
  add(update .. "flow_head.conv2", 2, kind.head, 3, 3)
  if kind.mask then
    add(update .. "mask.0", 256, kind.hidden, 3, 3)
    add(update .. "mask.2", 64 * 9, 256, 1, 1)
  end
  return shapes
end

-- ---- names ----
-- torchvision's, in the order in which they are tried.
local from_torchvision = {
  { "^feature_encoder%.", "fnet." }, { "^context_encoder%.", "cnet." },
  { "^(%anet%.)convnormrelu%.0%.", "%1conv1." }, { "^(%anet%.)convnormrelu%.1%.", "%1norm1." },
  { "^(%anet%.)conv%.", "%1conv2." },
  { "%.convnormrelu(%d)%.0%.", ".conv%1." }, { "%.convnormrelu(%d)%.1%.", ".norm%1." },
  { "%.motion_encoder%.convcorr(%d)%.0%.", ".encoder.convc%1." },
  { "%.motion_encoder%.convflow(%d)%.0%.", ".encoder.convf%1." },
  { "%.motion_encoder%.conv%.0%.", ".encoder.conv." },
  { "%.recurrent_block%.convgru(%d)%.conv(%a)%.", ".gru.conv%2%1." },
  { "^mask_predictor%.convrelu%.0%.", "update_block.mask.0." }, { "^mask_predictor%.conv%.", "update_block.mask.2." },
}

-- The authors' name of a tensor. A small network's recurrent unit is the only one, and has no number there.
local function own_name(name, known)
  name = name:gsub("^module%.", "")
  for _, rule in ipairs(from_torchvision) do name = name:gsub(rule[1], rule[2]) end
  return known[name] and name or (name:gsub("^(update_block%.gru%.conv%a)1%.", "%1."))
end

-- The authors' large network holds the norm of a shortcut under two names.
local function is_beside(name, shapes)
  local block, part = name:match "^(cnet%.layer%d%.%d%.)norm%d(%..+)$"
  return name:find "num_batches_tracked$" ~= nil or block ~= nil and shapes[block .. "downsample.1" .. part] ~= nil
end

local function text(shape) return #shape == 0 and "scalar" or table.concat(shape, "x") end

-- What a kind lacks in a state, or nil: a name and why.
local function complaint(state, shapes)
  for _, name in ipairs(lists.keys(shapes)) do
    local t = state[name]
    if not t then return ("expected %s %s, found none"):format(name, text(shapes[name])) end
    if text(t.shape) ~= text(shapes[name]) or not t.dtype:find "float" then
      return ("expected %s %s, found %s %s"):format(name, text(shapes[name]), t.dtype, text(t.shape))
    end
  end
  for _, name in ipairs(lists.keys(state)) do
    if not shapes[name] and not is_beside(name, shapes) then return ("expected no %s, found one"):format(name) end
  end
end

local function renamed(state, shapes)
  local own = {}
  for name, t in pairs(state) do own[own_name(name, shapes)] = t end
  return own
end

--- kind_of(state): the name of the network that a file's tensors are the weights of, if they are.
function M.kind_of(state)
  for _, name in ipairs(lists.keys(M.kinds)) do
    local shapes = M.shapes(M.kinds[name])
    if not complaint(renamed(state, shapes), shapes) then return name end
  end
end

--- read(path, name): the tensors of the network of that name, float32, convolutions' as they lie in memory.
function M.read(path, name)
  local kind, state = M.kinds[name], files.weights(path)
  local shapes = M.shapes(kind)
  local own = renamed(state, shapes)
  local problem = complaint(own, shapes)
  local other = problem and M.kind_of(state)
  if other then
    core.refuse("%s: %s: expected weights of %s, found those of %s", name, path, kind.said, M.kinds[other].said)
  end
  if problem then core.refuse("%s: %s: expected weights of %s: %s", name, path, kind.said, problem) end
  local out = {}
  for key in pairs(shapes) do
    local t = own[key]:detach():to "float32"
    out[key] = #t.shape == 4 and t:permute(1, 3, 4, 2) or t
  end
  return out
end

--- fold_norms(w): batch norm goes into the convolution before it.
function M.fold_norms(w)
  for _, name in ipairs(lists.keys(w)) do
    local norm = name:match "^(.*)%.running_var$"
    if norm then
      local conv = norm:gsub("norm(%d)$", "conv%1"):gsub("downsample%.1$", "downsample.0")
      local scale = w[norm .. ".weight"] / (w[name] + 1e-5):sqrt()
      local weight = w[conv .. ".weight"]
      w[conv .. ".bias"] = (w[conv .. ".bias"] - w[norm .. ".running_mean"]) * scale + w[norm .. ".bias"]
      w[conv .. ".weight"] = weight * scale:reshape { weight.shape[1], 1, 1, 1 }
      for _, part in ipairs { "weight", "bias", "running_mean", "running_var" } do w[norm .. "." .. part] = nil end
    end
  end
  return w
end

return M
