-- RAFT as its paper and its authors' code tell it, in float64 and without any of the product's shortcuts: all pairs are
-- multiplied, batch norm stays where it is, the recurrent unit sees its whole input. And weights drawn at random.
local co = require "cohesiv"
local weights = require "cohesiv.motion.raft_weights"

local plain = {}

--- draw(name, seed): a state of the network of that name, as files have it: flows of a few pixels come of it.
function plain.draw(name, seed)
  local shapes, names, state = weights.shapes(weights.kinds[name]), {}, {}
  for key in pairs(shapes) do names[#names + 1] = key end
  table.sort(names)
  co.seed(seed or 1)
  for _, key in ipairs(names) do
    local s = shapes[key]
    if #s == 4 then
      state[key] = co.randn(s) * (1.4 / (s[2] * s[3] * s[4]) ^ 0.5)
    elseif key:find "running_var$" or key:find "norm.*weight$" or key:find "downsample%.1%.weight$" then
      state[key] = co.rand(s) + 0.5
    else
      state[key] = co.randn(s) * 0.1
    end
  end
  state["update_block.flow_head.conv2.weight"] = state["update_block.flow_head.conv2.weight"] * 0.3
  return state
end

--- torchvision(state): the same under torchvision's names.
function plain.torchvision(state)
  local out, small = {}, state["update_block.gru.convz.weight"] ~= nil
  for key, t in pairs(state) do
    local name = key:gsub("^fnet%.", "feature_encoder."):gsub("^cnet%.", "context_encoder.")
    name = name:gsub("encoder%.conv1%.", "encoder.convnormrelu.0."):gsub("encoder%.norm1%.", "encoder.convnormrelu.1.")
    if name:find "^[fc]%a+_encoder%.conv2%." then name = name:gsub("conv2", "conv") end
    name = name:gsub("(layer%d%.%d%.)conv(%d)", "%1convnormrelu%2.0")
      :gsub("(layer%d%.%d%.)norm(%d)", "%1convnormrelu%2.1")
    name = name:gsub("update_block%.encoder%.convc(%d)", "update_block.motion_encoder.convcorr%1.0")
      :gsub("update_block%.encoder%.convf(%d)", "update_block.motion_encoder.convflow%1.0")
      :gsub("update_block%.encoder%.conv%.", "update_block.motion_encoder.conv.0.")
    name = name:gsub("update_block%.gru%.conv(%a)(%d?)", function(letter, digit)
      return "update_block.recurrent_block.convgru" .. (small and "1" or digit) .. ".conv" .. letter
    end)
    name = name:gsub("update_block%.mask%.0", "mask_predictor.convrelu.0"):gsub("update_block%.mask%.2",
      "mask_predictor.conv")
    out[name] = t
  end
  return out
end

-- ---- the network ----
local function conv(w, name, x, stride)
  local weight = w[name .. ".weight"]:permute(1, 3, 4, 2)
  return co.conv2d(x, weight, w[name .. ".bias"], { stride = stride or 1,
    padding = { weight.shape[2] // 2, weight.shape[3] // 2 } })
end

local function scaled(x, mean, var) return (x - mean) / (var + 1e-5):sqrt() end

local function instance(x)
  local s = x.shape
  local flat = x:reshape { s[1], s[2] * s[3], s[4] }
  local mean = flat:mean(2, true)
  return scaled(flat, mean, ((flat - mean) ^ 2):mean(2, true)):reshape(s)
end

local function encode(w, prefix, kind, x)
  local function norm(name, y)
    if prefix == "fnet." then return instance(y) end
    if not kind.norm then return y end
    name = prefix .. name
    return scaled(y, w[name .. ".running_mean"], w[name .. ".running_var"]) * w[name .. ".weight"] + w[name .. ".bias"]
  end
  local function layer(at, i, y, stride)
    return norm(at .. "norm" .. i, conv(w, prefix .. at .. "conv" .. i, y, stride)):relu()
  end
  x = layer("", 1, x, 2)
  for stage = 1, 3 do
    for block = 0, 1 do
      local at, stride = ("layer%d.%d."):format(stage, block), stage > 1 and block == 0 and 2 or 1
      local y = layer(at, 1, x, kind.squeeze and 1 or stride)
      y = layer(at, 2, y, kind.squeeze and stride or 1)
      if kind.squeeze then y = layer(at, 3, y) end
      if stride == 2 then x = norm(at .. "downsample.1", conv(w, prefix .. at .. "downsample.0", x, 2)) end
      x = (x + y):relu()
    end
  end
  return conv(w, prefix .. "conv2", x)
end

-- The products of all pairs, pooled, as images of one channel, one for each pixel of the first picture.
local function volumes(f, g)
  local h, w, c = table.unpack(f.shape, 2)
  local all = f:reshape({ h * w, c }):matmul(g:reshape({ h * w, c }):transpose(1, 2)) / c ^ 0.5
  local levels = { all:reshape { h * w, h, w, 1 } }
  for l = 2, 4 do levels[l] = co.avg_pool2d(levels[l - 1], { 2, 2 }, { 2, 2 }) end
  return levels
end

local function looked_up(levels, at, radius)
  local h, w, k = at.shape[2], at.shape[3], 2 * radius + 1
  local out = {}
  for l, level in ipairs(levels) do
    local points, list = at:reshape({ h * w, 2 }):totable(), {}
    local lh, lw = level.shape[2], level.shape[3]
    for p, xy in ipairs(points) do
      list[p] = {}
      for i = 1, k do
        list[p][i] = {}
        for j = 1, k do
          local x, y = xy[1] / 2 ^ (l - 1) + i - 1 - radius, xy[2] / 2 ^ (l - 1) + j - 1 - radius
          list[p][i][j] = { 2 * x / (lw - 1) - 1, 2 * y / (lh - 1) - 1 }
        end
      end
    end
    local grid = co.tensor(list, { dtype = "float64" })
    out[l] = co.grid_sample(level, grid, { align_corners = true }):reshape { 1, h, w, k * k }
  end
  return co.cat(out, 4)
end

local function unit(w, name, h, x)
  local both = co.cat({ h, x }, 4)
  local function gate(letter, y) return conv(w, "update_block.gru.conv" .. letter .. name, y) end
  local z, r = gate("z", both):sigmoid(), gate("r", both):sigmoid()
  return (1 - z) * h + z * gate("q", co.cat({ r * h, x }, 4)):tanh()
end

-- A row for each of n places, bilinear, corners on corners.
local function line(n, to)
  local rows = {}
  for i = 0, to - 1 do
    local p, row = i * (n - 1) / (to - 1), {}
    local k = math.min(math.floor(p), n - 2)
    for j = 0, n - 1 do row[j + 1] = j == k and 1 - (p - k) or j == k + 1 and p - k or 0 end
    rows[i + 1] = row
  end
  return co.tensor(rows, { dtype = "float64" })
end

local function enlarged(w, kind, flow, hidden)
  local h, wd = flow.shape[2], flow.shape[3]
  if not kind.mask then
    local out = {}
    for c = 1, 2 do
      local own = flow:reshape({ h, wd, 2 }):select(3, c) * 8
      out[c] = line(h, 8 * h):matmul(own):matmul(line(wd, 8 * wd):transpose(1, 2))
    end
    return co.stack(out, 3)
  end
  local mask = conv(w, "update_block.mask.2", conv(w, "update_block.mask.0", hidden):relu()) * 0.25
  local weight = mask:reshape({ h, wd, 9, 64 }):permute(1, 2, 4, 3):softmax()
  local around = co.unfold(flow * 8, { 3, 3 }, { padding = { 1, 1 } }):reshape { h, wd, 1, 9, 2 }
  local fine = (around * weight:reshape { h, wd, 64, 9, 1 }):sum(4)
  return fine:reshape({ h, wd, 8, 8, 2 }):permute(1, 3, 2, 4, 5):reshape { 8 * h, 8 * wd, 2 }
end

--- flow(name, state, a, b, iterations): H×W×2 float64 of uint8 pictures whose sides are multiples of 8.
function plain.flow(name, state, a, b, iterations)
  local kind, w = weights.kinds[name], {}
  for key, t in pairs(state) do w[key] = t:to "float64" end
  local function prepared(t)
    local s = t.shape
    return (t:to "float64" / 255 * 2 - 1):reshape { 1, s[1], s[2], 3 }
  end
  local c, f = encode(w, "cnet.", kind, prepared(a)), encode(w, "fnet.", kind, prepared(a))
  local g = encode(w, "fnet.", kind, prepared(b))
  local levels, h, wd = volumes(f, g), f.shape[2], f.shape[3]
  local hidden, context = c:narrow(4, 1, kind.hidden):tanh(), c:narrow(4, kind.hidden + 1, kind.context):relu()
  local x = co.arange(0, wd, { dtype = "float64" }):reshape({ 1, 1, wd, 1 }):expand { 1, h, wd, 1 }
  local y = co.arange(0, h, { dtype = "float64" }):reshape({ 1, h, 1, 1 }):expand { 1, h, wd, 1 }
  local base = co.cat({ x, y }, 4)
  local flow = base * 0
  for _ = 1, iterations do
    local p, q = looked_up(levels, base + flow, kind.radius), flow
    for _, part in ipairs(kind.corr) do p = conv(w, "update_block.encoder." .. part[1], p):relu() end
    for _, part in ipairs(kind.flow) do q = conv(w, "update_block.encoder." .. part[1], q):relu() end
    local motion = conv(w, "update_block.encoder.conv", co.cat({ p, q }, 4)):relu()
    local seen = co.cat({ context, motion, flow }, 4)
    for _, gate in ipairs(kind.gates) do hidden = unit(w, gate[1], hidden, seen) end
    flow = flow + conv(w, "update_block.flow_head.conv2", conv(w, "update_block.flow_head.conv1", hidden):relu())
  end
  return enlarged(w, kind, flow, hidden)
end

return plain
