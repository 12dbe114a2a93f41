--- RAFT, small and large (Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020), for
-- inference: nothing is recorded for backward, though all its ops have gradients. What of it does not change from step
-- to step is computed once: a frame's features and pyramid, and what its context adds to the recurrent unit's
-- convolutions. Correlations are made for the windows that are looked at (the op correlation), never for all pairs.
-- Weights and their names: raft_weights.lua.
local core = require "cohesiv.core"
local tensor = require "cohesiv.tensor"
local weights = require "cohesiv.motion.raft_weights"

local ops = core.ops

local M, Raft = {}, {}
Raft.__index = Raft

local STRIDE = 8 -- of the features
local UNIT = 16 -- channels that convolutions compute at once on every machine

--- LEAST: the sides of the smallest picture whose pyramid has four levels of more than a pixel.
M.LEAST = STRIDE << weights.LEVELS

-- ---- weights as the steps use them ----
-- Input channels first .. first + count - 1 of a convolution's weight.
local function inputs(weight, first, count) return weight:narrow(4, first, count) end

local function zeros(like, n)
  local s = like.shape
  return tensor.zeros(s[1], s[2], s[3], n, { device = like.device })
end

-- The weights of a recurrent unit, whose input in files is hidden, context, motion (with the flow): what sees the state
-- as it is here (hidden, motion, and nothing up to whole units), and what sees the context, for all gates.
local function unit(w, kind, gate)
  local function of(letter, part) return w[("update_block.gru.conv%s%s.%s"):format(letter, gate[1], part)] end
  local motion = kind.motion + 2
  local function split(weight)
    local own = { inputs(weight, 1, kind.hidden), inputs(weight, kind.hidden + kind.context + 1, motion) }
    if motion % UNIT > 0 then own[3] = zeros(weight, UNIT - motion % UNIT) end
    return tensor.cat(own, 4), inputs(weight, kind.hidden + 1, kind.context)
  end
  local gates, gates_context = split(tensor.cat({ of("z", "weight"), of("r", "weight") }, 1))
  local candidate, candidate_context = split(of("q", "weight"))
  return {
    padding = { gate[2] // 2, gate[3] // 2 }, gates = gates, candidate = candidate,
    context = tensor.cat({ gates_context, candidate_context }, 1),
    bias = tensor.cat({ of("z", "bias"), of("r", "bias"), of("q", "bias") }, 1),
  }
end

--- new(name, w, device): the network raft_small or raft_large with the weights that raft_weights.read gives.
function M.new(name, w, device)
  local kind, self = weights.kinds[name], { w = {}, units = {} }
  self.kind, self.device = kind, device
  tensor.no_grad(tensor.tidy, function()
    w = weights.fold_norms(w)
    for i, gate in ipairs(kind.gates) do self.units[i] = unit(w, kind, gate) end
    for key, t in pairs(w) do
      if not key:find "%.gru%." then self.w[key] = t end
    end
    if kind.mask then -- the authors scale its gradients so
      for _, part in ipairs { "weight", "bias" } do
        local key = "update_block.mask.2." .. part
        self.w[key] = self.w[key] * 0.25
      end
    end
    local function place(list)
      for key, t in pairs(list) do
        if core.is_tensor(t) then list[key] = t:contiguous():to(device):keep() end
      end
    end
    place(self.w)
    for _, u in ipairs(self.units) do place(u) end
  end)
  return setmetatable(self, Raft)
end

--- raft:close(): lets go of the weights.
function Raft:close()
  for _, list in ipairs { self.w, table.unpack(self.units) } do
    for _, t in pairs(list) do
      if core.is_tensor(t) then t:close() end
    end
  end
end

-- ---- the encoders ----
-- act(conv(x) + bias); padding keeps the size.
local function conv(self, name, x, act, stride)
  local weight = self.w[name .. ".weight"]
  return ops.conv2d_act.call(x, weight, nil, self.w[name .. ".bias"], nil, stride or 1,
    { weight.shape[2] // 2, weight.shape[3] // 2 }, 1, act)
end

-- The convolution of an encoder and what follows it: instance norm in fnet, nothing else than act in cnet.
local function normed(self, name, x, act, stride)
  if name:find "^cnet" then return conv(self, name, x, act, stride) end
  return ops.instance_norm.call(conv(self, name, x, "none", stride), nil, nil, 1e-5, act)
end

local function block(self, at, x, stride)
  local y
  if self.kind.squeeze then
    y = normed(self, at .. "conv1", x, "relu")
    y = normed(self, at .. "conv2", y, "relu", stride)
    y = normed(self, at .. "conv3", y, "relu")
  else
    y = normed(self, at .. "conv1", x, "relu", stride)
    y = normed(self, at .. "conv2", y, "relu")
  end
  if stride == 1 then return x + y end -- neither is below 0
  return ops.relu.call(normed(self, at .. "downsample.0", x, "none", stride) + y)
end

-- Each step closes what it was given: large pictures' features are what memory goes into.
local function encode(self, prefix, x)
  local y = tensor.tidy(normed, self, prefix .. "conv1", x, "relu", 2)
  for stage = 1, #self.kind.widths do
    for i = 0, 1 do
      local z = tensor.tidy(block, self, ("%slayer%d.%d."):format(prefix, stage, i), y, i == 0 and stage > 1 and 2 or 1)
      y:close()
      y = z
    end
  end
  local z = conv(self, prefix .. "conv2", y, "none")
  y:close()
  return z
end

--- raft:features(x): the pyramid of a picture 1×H×W×3 of -1 .. 1, whose sides are multiples of 8 and at least LEAST.
function Raft:features(x)
  local levels = { encode(self, "fnet.", x) }
  for i = 2, weights.LEVELS do levels[i] = ops.avg_pool2d.call(levels[i - 1], { 2, 2 }, { 2, 2 }) end
  return levels
end

--- raft:depth(): the bytes of a pixel of a pyramid, all levels together.
function Raft:depth() return self.kind.features * 4 * 4 // 3 end

--- raft:context(x): what the first picture gives beside features: the recurrent unit's first state, and what its
-- constant input adds to each of its convolutions.
function Raft:context(x)
  return tensor.tidy(function()
    local kind, both = self.kind, encode(self, "cnet.", x)
    local input, out = both:narrow(4, kind.hidden + 1, kind.context):relu(), {}
    out.hidden = both:narrow(4, 1, kind.hidden):tanh()
    for i, u in ipairs(self.units) do
      local all = ops.conv2d_act.call(input, u.context, nil, u.bias, nil, 1, u.padding)
      local gates = 2 * kind.hidden
      out[i] = { gates = all:narrow(4, 1, gates), candidate = all:narrow(4, gates + 1, kind.hidden) }
    end
    return out
  end)
end

-- ---- the steps ----
-- n copies of one image.
local function copies(t, n)
  local s = t.shape
  return n == 1 and t or t:expand { n, s[2], s[3], s[4] }:contiguous()
end

-- The motion features of a step: of correlations and flow.
local function motion(self, correlations, flow)
  local x, y = correlations, flow
  for _, c in ipairs(self.kind.corr) do x = conv(self, "update_block.encoder." .. c[1], x, "relu") end
  for _, c in ipairs(self.kind.flow) do y = conv(self, "update_block.encoder." .. c[1], y, "relu") end
  return conv(self, "update_block.encoder.conv", tensor.cat({ x, y }, 4), "relu")
end

-- hidden after one recurrent unit; seen: what the state holds behind it.
local function recur(u, context, hidden, seen)
  local state = tensor.cat({ hidden, table.unpack(seen) }, 4)
  local gates = ops.conv2d_act.call(state, u.gates, nil, nil, context.gates, 1, u.padding)
  local candidate = ops.conv2d_act.call(ops.gru_reset.call(gates, state), u.candidate, nil, nil, context.candidate, 1,
    u.padding)
  return ops.gru_update.call(gates, state, candidate)
end

-- One step → the next state and flow (in pixels of the features).
local function step(self, scene, hidden, flow)
  local correlations = ops.correlation.call(scene.first, scene.base + flow, scene.levels[1], scene.levels[2],
    scene.levels[3], scene.levels[4], self.kind.radius)
  local seen = { motion(self, correlations, flow), flow, scene.blank }
  for i, u in ipairs(self.units) do hidden = recur(u, scene.contexts[i], hidden, seen) end
  local head = conv(self, "update_block.flow_head.conv1", hidden, "relu")
  return hidden, flow + conv(self, "update_block.flow_head.conv2", head, "none")
end

-- Bilinear, ×8, corners on corners.
local function enlarged(flow)
  local n, h, w = table.unpack(flow.shape)
  local function axis(size) return tensor.arange(0, size) * (2 / (size - 1)) - 1 end
  local x = axis(STRIDE * w):reshape { 1, 1, STRIDE * w, 1 }:expand { n, STRIDE * h, STRIDE * w, 1 }
  local y = axis(STRIDE * h):reshape { 1, STRIDE * h, 1, 1 }:expand { n, STRIDE * h, STRIDE * w, 1 }
  local grid = tensor.cat({ x, y }, 4):to(flow.device)
  return ops.grid_sample.call(flow * STRIDE, grid, "border", true)
end

local function places(n, h, w, device)
  local x = tensor.arange(0, w):reshape { 1, 1, w, 1 }:expand { n, h, w, 1 }
  local y = tensor.arange(0, h):reshape { 1, h, 1, 1 }:expand { n, h, w, 1 }
  return tensor.cat({ x, y }, 4):to(device)
end

--- raft:flows(first, context, seconds, iterations): the flows from one picture to n others, n×H×W×2, given the pyramids
-- of all and the context of the first.
function Raft:flows(first, context, seconds, iterations)
  return tensor.tidy(function()
    local n, s, scene = #seconds, first[1].shape, { first = first[1], levels = {}, contexts = {} }
    for l = 1, weights.LEVELS do
      local list = {}
      for i, second in ipairs(seconds) do list[i] = second[l] end
      scene.levels[l] = n == 1 and list[1] or tensor.cat(list, 1)
    end
    for i, c in ipairs(context) do
      scene.contexts[i] = { gates = copies(c.gates, n), candidate = copies(c.candidate, n) }
    end
    scene.base = places(n, s[2], s[3], self.device)
    local odd = (self.kind.motion + 2) % UNIT
    scene.blank = odd > 0 and tensor.zeros(n, s[2], s[3], UNIT - odd, { device = self.device }) or nil
    local hidden = copies(context.hidden, n)
    local flow = tensor.zeros(n, s[2], s[3], 2, { device = self.device })
    for _ = 1, iterations do
      local before, last = hidden, flow
      hidden, flow = tensor.tidy(step, self, scene, hidden, flow)
      if before ~= context.hidden then before:close() end
      last:close()
    end
    if not self.kind.mask then return enlarged(flow) end
    local mask = conv(self, "update_block.mask.2", conv(self, "update_block.mask.0", hidden, "relu"), "none")
    return ops.convex_upsample.call(flow * STRIDE, mask, STRIDE)
  end)
end

return M
