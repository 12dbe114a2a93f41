--- co.nn.init: initial values, written in place: init.kaiming_normal(t, {…}) → t. Weights lie as {out, kH, kW, in /
-- groups} or {out, in}: fan_in = kH kW in / groups, fan_out = kH kW out. Random numbers follow co.seed.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"

-- Factors that keep the variance through a function (PyTorch's table).
local GAINS = { linear = 1, sigmoid = 1, tanh = 5 / 3, relu = math.sqrt(2) }

local function check(name, t)
  if not core.is_tensor(t) then core.refuse("%s: expected a tensor, found %s", name, type(t)) end
  if t.dtype ~= "float32" and t.dtype ~= "float64" then
    core.refuse("%s: expected float32 or float64, found %s", name, t.dtype)
  end
  return t
end

local M = {
  --- zeros(t): 0 everywhere.
  zeros = function(t) return check("zeros", t):copy(0) end,
  --- ones(t): 1 everywhere.
  ones = function(t) return check("ones", t):copy(1) end,
  --- constant(t, value): value everywhere.
  constant = function(t, value)
    if type(value) ~= "number" then core.refuse("constant: expected a number, found %s", type(value)) end
    return check("constant", t):copy(value)
  end,
}

--- fans(t): fan_in, fan_out: how many numbers one output is made of, and how many outputs one input goes to.
function M.fans(t)
  local shape = check("fans", t).shape
  if #shape < 2 then core.refuse("fans: expected at least 2 dimensions, found %d", #shape) end
  local kernel = 1
  for d = 2, #shape - 1 do kernel = kernel * shape[d] end
  return kernel * shape[#shape], kernel * shape[1]
end

--- gain(name, a = 0.01): the factor of linear and sigmoid (1), tanh (5/3), relu (√2) or leaky_relu (√(2 / (1 + a²))).
function M.gain(name, a)
  options.expect("gain", "a number?", a)
  local gain = name == "leaky_relu" and math.sqrt(2 / (1 + (a or 0.01) ^ 2)) or GAINS[name]
  return gain or core.refuse("gain: expected linear, sigmoid, tanh, relu or leaky_relu, found %s", core.text(name))
end

--- uniform(t, a = 0, b = 1): uniform in [a, b).
function M.uniform(t, a, b)
  options.expect("uniform", "a number?, b number?", a, b)
  a, b = a or 0, b or 1
  check("uniform", t)
  return t:copy((core.rand(t.shape, { dtype = t.dtype }) * 2 - 1) * ((b - a) / 2) + (a + b) / 2)
end

--- normal(t, mean = 0, std = 1): normal numbers.
function M.normal(t, mean, std)
  options.expect("normal", "mean number?, std number?", mean, std)
  check("normal", t)
  return t:copy(core.randn(t.shape, { dtype = t.dtype }) * (std or 1) + (mean or 0))
end

-- Uniform numbers around 0 with this standard deviation.
local function spread(t, std)
  local bound = math.sqrt(3) * std
  return M.uniform(t, -bound, bound)
end

-- gain / √fan, for He's two.
local function kaiming_std(name, t, o)
  o = options.read(name, o, { a = 0, mode = options.one_of("fan_in", "fan_out"), nonlinearity = "leaky_relu" })
  local fan_in, fan_out = M.fans(t)
  return M.gain(o.nonlinearity, o.a) / math.sqrt(math.max(o.mode == "fan_in" and fan_in or fan_out, 1))
end

--- kaiming_normal(t, { a = 0, mode = "fan_in" | "fan_out", nonlinearity = "leaky_relu" }): normal with standard
-- deviation gain / √fan (He et al., ICCV 2015); a is leaky_relu's slope.
function M.kaiming_normal(t, o) return M.normal(t, 0, kaiming_std("kaiming_normal", t, o)) end

--- kaiming_uniform(t, options): uniform in ± gain √(3 / fan); kaiming_normal has the options and the source.
function M.kaiming_uniform(t, o) return spread(t, kaiming_std("kaiming_uniform", t, o)) end

local function xavier_std(t, gain)
  options.expect("xavier", "gain number?", gain)
  local fan_in, fan_out = M.fans(t)
  return (gain or 1) * math.sqrt(2 / math.max(fan_in + fan_out, 1))
end

--- xavier_normal(t, gain = 1): normal with standard deviation gain √(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010).
function M.xavier_normal(t, gain) return M.normal(t, 0, xavier_std(t, gain)) end

--- xavier_uniform(t, gain = 1): uniform in ± gain √(6 / (fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010).
function M.xavier_uniform(t, gain) return spread(t, xavier_std(t, gain)) end

--- fan_uniform(t, fan_in?): uniform in ± 1 / √fan_in: what Conv2d and Linear start with, biases too.
function M.fan_uniform(t, fan_in)
  options.expect("fan_uniform", "fan_in number?", fan_in)
  local bound = math.sqrt(1 / math.max(fan_in or M.fans(t), 1))
  return M.uniform(t, -bound, bound)
end

return M
