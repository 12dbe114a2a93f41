--- Flow by RAFT: networks by name and file, kept while they are used; pictures of any size, padded; features of frames,
-- made once for all flows from and to a frame. What the network computes: raft.lua.
local core = require "cohesiv.core"
local public, shelf = require "cohesiv.base.weights", require "cohesiv.base.shelf"
local tensor = require "cohesiv.tensor"
local raft, weights = require "cohesiv.motion.raft", require "cohesiv.motion.raft_weights"

local M, Estimator = {}, {}
Estimator.__index = Estimator

--- The methods: the names of the networks.
M.names = weights.kinds

local STRIDE = 8
local TOGETHER = 4096 -- pixels of features of the flows that are computed at once: on a CPU more costs time
local networks = shelf(2)
local views = shelf(256 << 20) -- features of frames, by bytes
local contexts = shelf(1) -- of the last frame that flows led from

--- forget(): lets go of all networks and features.
function M.forget()
  views.clear()
  contexts.clear()
  networks.clear()
end

-- ---- weights ----
local function file_of(name, given)
  if given == nil then return public.path(name) end
  if core.io.status(given) ~= "file" then
    core.refuse("%s: weights: expected a file, found %s", name,
      core.io.status(given) and ("a %s, %s"):format(core.io.status(given), given) or "no " .. given)
  end
  return given
end

local digests = {} -- of files, as they were: stamp → SHA-256

local function stamp(path)
  local _, size, modified = core.io.status(path)
  return ("%s\n%s\n%s"):format(path, size, modified)
end

--- digest(name, given): what stands for the weights of a network, of the file given or the one that lies ready.
function M.digest(name, given)
  local path = file_of(name, given)
  local key = stamp(path)
  digests[key] = digests[key] or core.io.sha256(path)
  return digests[key]
end

--- open(name, { weights, iterations, device }): raft_small or raft_large, ready to look at pictures.
function M.open(name, o)
  local path = file_of(name, o.weights)
  local key = ("%s\n%s\n%s"):format(name, stamp(path), o.device)
  local net = networks.get(key) or networks.put(key, 1, function()
    return raft.new(name, tensor.no_grad(weights.read, path, name), o.device)
  end)
  return setmetatable({ net = net, key = key, iterations = o.iterations, device = o.device }, Estimator)
end

-- ---- pictures ----
-- A side padded: { before, size, after, padded }.
local function padded(size)
  local all = math.max(raft.LEAST, (size + STRIDE - 1) // STRIDE * STRIDE)
  return { before = (all - size) // 2, size = size, after = all - size - (all - size) // 2, all = all }
end

-- x with its first and last line along a dimension repeated.
local function extended(x, dim, side)
  local parts, shape = {}, x.shape
  local function add(at, count)
    shape[dim] = count
    if count > 0 then parts[#parts + 1] = x:narrow(dim, at, 1):expand(shape):contiguous() end
  end
  add(1, side.before)
  parts[#parts + 1] = x
  add(side.size, side.after)
  return #parts > 1 and tensor.cat(parts, dim) or x
end

local function prepared(image, down, across)
  local shape = image.shape
  local x = (image:to "float32" * (2 / 255) - 1):reshape { 1, shape[1], shape[2], shape[3] or 1 }
  if x.shape[4] == 1 then x = x:expand({ 1, shape[1], shape[2], 3 }):contiguous() end
  return extended(extended(x, 2, down), 3, across)
end

-- ---- what is kept ----
-- Calls f of every tensor in a table of tensors and tables.
local function each(list, f)
  for _, t in pairs(list) do
    if core.is_tensor(t) then f(t) else each(t, f) end
  end
  return list
end

local function let_go(list) each(list, function(t) t:close() end) end

local Held = {}
Held.__index = Held

--- held:close(): lets go of the tensors that a shelf holds.
function Held:close() let_go(self.list) end

local function hold(list) return setmetatable({ list = each(list, core.keep) }, Held) end

-- Handles of one's own, good after the shelf has let go of what they share.
local function shared(list)
  local out = {}
  for key, t in pairs(list) do out[key] = core.is_tensor(t) and t:reshape(t.shape) or shared(t) end
  return out
end

-- What make() gives, from the shelf where a key tells it from all others.
local function kept(on, key, size, make)
  if not key then return tensor.tidy(make) end
  local held = on.get(key) or on.put(key, size, function() return hold(tensor.tidy(make)) end)
  return shared(held.list)
end

--- estimator:flows(first, others, keys, done): calls done(i, flow) with the flow H×W×2 from a picture to each of others
-- of its shape, uint8 H×W×3 or H×W. keys: nil, or of `first` and the others what tells each from all other pictures:
-- their features are then kept.
function Estimator:flows(first, others, keys, done)
  local h, w = first.shape[1], first.shape[2]
  if h * w == 0 then core.refuse("flow: expected images of at least 1x1, found %dx%d", h, w) end
  local down, across = padded(h), padded(w)
  local pixels = down.all * across.all // (STRIDE * STRIDE)
  local function key_of(i) return keys and ("%s\n%s\n%dx%d"):format(self.key, keys[i], w, h) end
  local function features(image, i)
    return kept(views, key_of(i), pixels * self.net:depth(), function()
      return self.net:features(prepared(image, down, across))
    end)
  end
  local function group(own, context, at, last)
    local seen = {}
    for i = at, last do seen[#seen + 1] = features(others[i], i + 1) end
    local flows = self.net:flows(own, context, seen, self.iterations)
      :narrow(2, down.before + 1, h):narrow(3, across.before + 1, w)
    local list = {}
    for i = 1, #seen do list[i] = flows:select(1, i):contiguous() end
    return list
  end
  local function scene()
    local context = kept(contexts, key_of(1), 1, function() return self.net:context(prepared(first, down, across)) end)
    return features(first, 1), context
  end
  local together, own, context = math.max(1, TOGETHER // pixels), tensor.no_grad(tensor.tidy, scene)
  for at = 1, #others, together do
    local last = math.min(#others, at + together - 1)
    for i, flow in ipairs(tensor.no_grad(tensor.tidy, group, own, context, at, last)) do done(at + i - 1, flow) end
  end
  let_go(own)
  let_go(context)
end

return M
