-- A whole network against a file of reference values (tests/reference/golden.py, network.py, the data folder's
-- reference/make.py): the weights are functions of their names; maps, losses, gradients and running statistics must
-- agree.
local co = require "cohesiv"

local network = {}

local function count(shape)
  local n = 1
  for _, s in ipairs(shape) do n = n * s end
  return n
end

local function seed_of(name)
  local h = 0xCBF29CE484222325
  for b in name:gmatch "." do h = (h ~ b:byte()) * 0x100000001B3 end
  return h
end

local function uniform(name, n, scale, shift)
  local h, list = seed_of(name), {}
  for i = 1, n do
    local z = (h + i - 1) * 0x9E3779B97F4A7C15
    z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ~ (z >> 27)) * 0x94D049BB133111EB
    list[i] = ((z ~ (z >> 31)) >> 40) / 2 ^ 24 * scale + shift
  end
  return list
end

local function reference_state(model, damped)
  local state = {}
  for name, t in pairs((model:state_dict())) do
    local shape = t.shape
    local n = count(shape)
    local quarter = name:find("_branch.3.", 1, true) and 0.25 or 1
    local scale, shift = 0.4 * quarter, -0.2 * quarter
    if #shape > 1 then
      local bound = math.sqrt(6 / (n // shape[1])) * quarter
      scale, shift = 2 * bound, -bound
    elseif name:find "weight$" or name:find "running_var$" then
      scale, shift = 0.4 * quarter, 0.8 * quarter
    end
    if damped and name:find "bn3%.weight$" then scale, shift = scale / 4, shift / 4 end
    state[name] = co.tensor(uniform(name, n, scale, shift)):reshape(shape)
  end
  return state
end

--- The largest difference, as a share of the largest value of b.
function network.relative(a, b)
  a, b = a:detach():to("cpu"):to "float64", b:to "float64"
  return (a - b):abs():max():item() / b:abs():max():item()
end

local function ratio(a, b) return math.abs(a - b) / math.abs(b) end

-- The pixels of a map that a reference keeps: one of so many, downwards and to the right.
local function kept(t, reference)
  local n, h, w, c = table.unpack(t.shape)
  local every = h // reference.shape[2]
  return t:detach():reshape(n, h // every, every, w // every, every, c):select(3, 1):select(4, 1)
end

-- Image and responsibility maps, where the file leaves them to their formula.
local function inputs_of(ref)
  if ref.x then return ref.x, ref.R end
  local n, h, w = table.unpack(ref.size:totable())
  local x = co.tensor(uniform("image", n * h * w * 3, 4, -2)):reshape { n, h, w, 3 }
  return x, co.tensor(uniform("R", n * h * w, 1, 0)):reshape { n, h, w }
end

local function names_in(t)
  local list = {}
  for i, byte in ipairs(t:totable()) do list[i] = string.char(byte) end
  return table.concat(list):gmatch "[^\n]+"
end

local function norm(t) return (t * t):sum():sqrt():item() end

local BOUNDS = {
  float32 = { maps = 1e-3, losses = 5e-4, running = 5e-4, gradients = 2e-2 },
  float64 = { maps = 1e-6, losses = 1e-6, running = 1e-6, gradients = 1e-6 },
}

local function compare_in(ref, model, dtype, device)
  local bound = BOUNDS[dtype]
  local function below(found, limit, what)
    if found <= limit then return end
    error(("%s: %s: expected at most %g, found %g"):format(dtype, what, limit, found), 0)
  end
  model:eval()
  local x, R = inputs_of(ref)
  x, R = x:to(dtype):to(device), R:to(dtype):to(device)
  local query, label = ref.query:to(dtype):to(device), ref.label:to(device)
  local out = co.no_grad(function() return model:forward(x) end)
  for _, name in ipairs { "Z", "Q", "K" } do
    below(network.relative(kept(out[name], ref[name]), ref[name]), bound.maps, name)
  end
  model:train()
  out = model:forward(x)
  below(network.relative(kept(out.Z, ref.Z_train), ref.Z_train), bound.maps, "Z in training mode")
  local responsibility = co.losses.responsibility(out.Q, out.K, R, query)
  local embedding = co.losses.embedding(out.Z, label)
  local plain = co.losses.embedding(out.Z, label, { normalise = false })
  below(ratio(responsibility:item(), ref.responsibility_loss:item()), bound.losses, "responsibility loss")
  below(ratio(embedding:item(), ref.embedding_loss:item()), bound.losses, "embedding loss")
  below(ratio(plain:item(), ref.embedding_loss_unnormalised:item()), bound.losses, "embedding loss, unnormalised");
  (responsibility * 10 + embedding):backward()
  local parameters, buffers, i = {}, {}, 0
  for name, p in model:named_parameters() do parameters[name] = p end
  for name, b in model:named_buffers() do buffers[name] = b end
  local largest = ref.gradient_norm:max():item()
  for name in names_in(ref.gradient_name) do
    i = i + 1
    local own = ref.gradient_norm[i]
    local grad = parameters[name].grad -- none: the forward pass leaves the parameter out
    below(math.abs((grad and norm(grad) or 0) - own) / math.max(own, 1e-3 * largest), bound.gradients, name)
  end
  assert(#ref.gradient_norm == i)
  for key, expected in pairs(ref) do
    local name = key:match "^gradient%.(.+)"
    if name then below(network.relative(parameters[name].grad, expected), bound.gradients, name .. ", all of it") end
  end
  i = 0
  for name in names_in(ref.running_name) do
    i = i + 1
    below(ratio(norm(buffers[name]), ref.running_norm[i]), bound.running, name)
  end
  assert(#ref.running_norm == i)
end

--- Raises unless the network of this encoder is the one of the reference file, in these dtypes, on a device (the CPU).
-- damped: as in tests/reference/network.py.
function network.compare(ref, encoder, dtypes, damped, device)
  local dims = ref.dims and ref.dims:totable() or {}
  local model = co.model {
    encoder = encoder, decoder_widths = ref.widths:totable(), embedding_dim = dims[1], attention_dim = dims[2],
  }
  local state = reference_state(model, damped)
  assert(ref.parameters:item() == model:count())
  for _, dtype in ipairs(dtypes) do
    model:to "float32"
    model:load_state(state)
    model:to(dtype):to(device or "cpu")
    model:zero_grad()
    co.tidy(compare_in, ref, model, dtype, device or "cpu")
  end
end

return network
