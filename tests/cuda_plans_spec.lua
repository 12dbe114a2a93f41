-- cuDNN has a plan for every convolution of the networks, forward and both gradients, on GPUs that need not be here
-- (tests/cuda/plans.c). As a rule: the default encoder's, an H100, bfloat16 and float32 (in which ops compute),
-- and in bfloat16 what follows a convolution in inference, the sums that batch norm takes in training, and batch norm
-- itself with what follows it, forward and backward, one of each kind. Every encoder, GPU and precision, and all that
-- follows (hours; --filter "h100 in float16" or the like: a part):
--
--   COHESIV_PLANS=all ./cohesiv tests/busted_run.lua tests/cuda_plans_spec.lua
local co = require "cohesiv"
local core = require "cohesiv.core"
local encoders = require "cohesiv.nn.encoders"
local support = require "tests.support"

local all = os.getenv "COHESIV_PLANS" == "all"
local BATCH, SIZE = 10, 256
local PASSES = { "forward", "images' gradient", "weights' gradient" }
local PLACES = { none = 0, relu = 1, relu6 = 2, silu = 3 }

local STATISTICS, NORMS = 3, { norm = 4, ["norm's gradient"] = 5 } -- numbers of passes

local EVERY = { "bfloat16", "float16", "float32", "tf32" }
-- dtype, what is asked for beside: plans.c
local precisions = { bfloat16 = { "bfloat16", "" }, float16 = { "float16", "" }, float32 = { "float32", "" },
  tf32 = { "float32", "t" } }
local NORMED = { "bfloat16", "float16", "float32" } -- nothing is multiplied
-- With statistics cuDNN multiplies by tensor cores alone, on an H100, which float32 as it is has none of.
local SUMMED = { "bfloat16", "float16", "tf32" }

-- ---- the program ----

local folder = support.temp()
local include = "/usr/local/cuda/include"

local function compile(words)
  local result = support.run(words, { dir = support.root })
  assert(result.status == 0, result.stdout .. result.stderr)
end

-- The program and a libcuda.so.1 for it, or why not.
local function build()
  local headers = support.run({ "gcc", "-E", "-xc", "-I" .. include, "-" }, { stdin = "#include <cudnn_backend.h>\n" })
  if headers.status ~= 0 then return "cuDNN's headers are not installed" end
  compile { "gcc", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-soname,libcuda.so.1", "tests/cuda/no_device.c",
    "-o", folder .. "/libcuda.so.1" }
  compile { "gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Icsrc", "-I" .. include, "tests/cuda/plans.c",
    "csrc/cuda/graph.c", "csrc/cuda/graph_build.c", "csrc/cuda/cudnn.c", "csrc/core/error.c", "-o",
    folder .. "/plans", "-ldl", "-lpthread" }
  local result = support.run { folder .. "/plans", "h100" }
  if result.stdout:find "no cuDNN" then return "libcudnn.so.9 is not installed" end
end

-- A problem as the program reads it: what is convolved, pass (from 0), precision, letters beside the precision's, and
-- what else differs.
local function line_of(name, c, pass, precision, letters, act)
  local dtype, more = table.unpack(precisions[precision])
  letters = letters .. more
  local words = { pass, dtype, letters == "" and "-" or letters, PLACES[act or "none"],
    c.n, c.h, c.w, c.ci, c.co, c.kh, c.kw, c.groups, c.ho, c.wo, c.stride[1], c.stride[2], c.dilation[1], c.dilation[2],
    c.before[1], c.before[2], name }
  return table.concat(words, " ")
end

-- name → what the program says of it.
local function plans(gpu, lines, env)
  env = env or {}
  env.LD_LIBRARY_PATH = folder
  local result = support.run({ folder .. "/plans", gpu },
    { stdin = table.concat(lines, "\n") .. "\n", timeout = 3600, env = env })
  assert.equal(0, result.status, result.stderr)
  local said = {}
  for name, plan in result.stdout:gmatch "([^\t\n]+)\t([^\n]+)" do said[name] = plan end
  return said
end

-- Every problem has a plan; those without are named.
local function all_planned(gpu, lines)
  local said, missing, count = plans(gpu, lines), {}, 0
  for name, plan in pairs(said) do
    count = count + 1
    if plan:find "^no plan" then missing[#missing + 1] = name .. ": " .. plan end
  end
  table.sort(missing)
  assert.same({}, missing)
  assert.equal(#lines, count)
end

-- ---- the convolutions of a network ----

local function pair(x) return type(x) == "table" and { x[1], x[2] or x[1] } or { x or 1, x or 1 } end

local function convolution(x, weight, y, o)
  local n, h, w, ci = table.unpack(x)
  local c = { n = n, h = h, w = w, ci = ci, co = weight[1], kh = weight[2], kw = weight[3], groups = o.groups or 1,
    ho = y[2], wo = y[3], stride = pair(o.stride), dilation = pair(o.dilation) }
  local padding = o.padding or 0
  if padding == "same" then
    local function half(size, results, stride, reach) return math.max(0, (results - 1) * stride + reach - size) // 2 end
    c.before = { half(h, c.ho, c.stride[1], (c.kh - 1) * c.dilation[1] + 1),
      half(w, c.wo, c.stride[2], (c.kw - 1) * c.dilation[2] + 1) }
  else
    padding = type(padding) == "table" and padding or { padding }
    c.before = { padding[1], padding[#padding == 4 and 3 or #padding] }
  end
  c.name = ("%dx%d/%d,%d %d>%d groups %d on %dx%dx%d"):format(c.kh, c.kw, c.stride[1], c.stride[2], ci, c.co, c.groups,
    n, h, w)
  return c
end

-- What each op hears: the convolution that it means, the letters of what follows it, the activation.
local heard = {
  conv2d = function(y, x, weight, bias, stride, padding, groups, dilation, statistics)
    local c = convolution(x.shape, weight.shape, y.shape,
      { stride = stride, padding = padding, groups = groups, dilation = dilation })
    c.summed = statistics
    return c, bias and "b" or "", "none"
  end,
  conv2d_act = function(y, x, weight, scale, shift, residual, stride, padding, groups, act, dilation)
    return convolution(x.shape, weight.shape, y.shape,
        { stride = stride, padding = padding, groups = groups, dilation = dilation }),
      (scale and "s" or "") .. (shift and "b" or "") .. (residual and "r" or ""), act or "none"
  end,
  upconv2d = function(y, _, weight)
    local s = y.shape
    return convolution({ s[1], s[2], s[3], weight.shape[4] }, weight.shape, s, { padding = 1 }), "", "none"
  end,
  upconv2d_act = function(y, _, weight, _, scale, shift, act)
    local s = y.shape
    return convolution({ s[1], s[2], s[3], weight.shape[4] }, weight.shape, s, { padding = 1 }),
      (scale and "s" or "") .. (shift and "b" or ""), act or "none"
  end,
}

-- A norm as a convolution of its map's size: the letters and the activation of what follows.
local heard_norms = {
  batch_norm = function(y, x, _, _, _, _, residual, _, _, _, act)
    local n, h, w, c = table.unpack(x.shape)
    local norm = convolution(x.shape, { c, 1, 1 }, y.shape, {})
    norm.name = ("%d channels on %dx%dx%d"):format(c, n, h, w)
    return norm, residual and "r" or "", act or "none"
  end,
}

-- Runs f and adds what its convolutions, or others, are to the list, at the batch size asked for.
local function listen(list, f, ops)
  local calls = {}
  for name, hear in pairs(ops or heard) do
    local op = core.ops[name]
    calls[name] = op.call
    op.call = function(...)
      local y = calls[name](...)
      local c, letters, act = hear(y, ...)
      c.n = BATCH
      c.name = c.name:gsub("on 1x", "on " .. BATCH .. "x")
      list[#list + 1] = { c, letters, act }
      return y
    end
  end
  local ok, message = pcall(f)
  for name, call in pairs(calls) do core.ops[name].call = call end
  assert(ok, message)
end

-- The convolutions of these networks in training and in inference, and their norms.
local function convolutions_of(names)
  local single, fused, norms = {}, {}, {}
  for _, name in ipairs(names) do
    local model, x = co.model { encoder = name }, co.zeros(1, SIZE, SIZE, 3)
    listen(single, function() co.no_grad(function() model:forward(x) end) end)
    listen(norms, function() co.no_grad(function() model:forward(x) end) end, heard_norms)
    model:eval()
    listen(fused, function() co.no_grad(function() model:forward(x) end) end)
  end
  return single, fused, norms
end

-- cuDNN fuses nothing with depthwise convolutions in halves.
local function fuses(c, precision)
  return not (c.groups > 1 and c.groups == c.ci) or precision == "tf32" or precision == "float32"
end

-- Adds lines without doubles.
local function collector()
  local lines, known = {}, {}
  return lines, function(key, line)
    if not known[key] then lines[#lines + 1] = line end
    known[key] = true
  end
end

-- Convolutions with the sums of batch norm behind them, one of each kind.
local function summed_lines(heard_list, precision)
  local lines, add = collector()
  for _, entry in ipairs(heard_list) do
    local c = entry[1]
    if c.summed and fuses(c, precision) then
      local name = "sums of " .. c.name
      local kind = all and name or ("%dx%d %s"):format(c.kh, c.kw, c.groups > 1)
      add(kind, line_of(name, c, STATISTICS, precision, "c", "none"))
    end
  end
  return lines
end

-- Norms forward and backward, one of each kind: those that csrc/cuda/norm_plans.c asks for.
local function norm_lines(heard_list, precision)
  local lines, add = collector()
  for _, entry in ipairs(heard_list) do
    local c, letters, act = table.unpack(entry)
    local after = letters == "r" and "addition and " .. act or act
    for pass, number in pairs(NORMS) do
      -- What comes of an addition alone goes on as it is: backward there is no fork, and forward cuDNN has no plan.
      local fork = letters == "r" and act ~= "none"
      local planned = letters == "" or fork and precision ~= "float32" or not fork and pass ~= "norm"
      if planned and (act == "none" or act == "relu") then
        local name = ("%s, %s, of %s"):format(pass, after, c.name)
        add(all and name or pass .. after, line_of(name, c, number, precision, fork and "rc" or "c", act))
      end
    end
  end
  return lines
end

-- Of single convolutions in all passes, or, where `kind` says what is alike, one of each kind of what follows a
-- convolution.
local function lines_of(heard_list, precision, kind)
  local lines, add = collector()
  for _, entry in ipairs(heard_list) do
    local c, letters, act = table.unpack(entry)
    if kind then
      local name = ("forward %s +%s %s"):format(c.name, letters, act)
      if letters ~= "" and fuses(c, precision) then
        add(kind(c, letters, act), line_of(name, c, 0, precision, letters .. "c", act))
      end
    else
      for pass, word in ipairs(PASSES) do
        local name = word .. " " .. c.name
        add(name, line_of(name, c, pass - 1, precision, "", "none"))
      end
    end
  end
  return lines
end

local function each_kind(c, letters, act)
  if all then return c.name .. letters .. act end
  return ("%dx%d %s %s %s"):format(c.kh, c.kw, c.groups > 1, letters, act)
end

local function small(o)
  return convolution({ 2, 12, 14, o.ci or 8 }, { o.co or 8, o.kh or 3, o.kw or 3 }, { 2, o.ho or 12, o.wo or 14 }, o)
end

describe("cuDNN plans", function()
  local why = build()
  if why then return pending("convolutions: " .. why) end

  local names = all and encoders.names "se_resnext50_32x4d" or { "se_resnext50_32x4d" }
  local single, fused, norms = convolutions_of(names)
  if not all then -- every block of the default encoder has a gate between norm and addition: no graph says that
    for _, entry in ipairs((select(3, convolutions_of { "resnet18" }))) do norms[#norms + 1] = entry end
  end

  it("are asked for all convolutions", function()
    local least = 68 * #names // (all and 2 or 1) -- the default network has 68, the smallest more than half of that
    assert.is_true(#single >= least and #single == #fused, ("%d and %d"):format(#single, #fused))
  end)

  for _, gpu in ipairs(all and { "h100", "a100", "rtx4090" } or { "h100" }) do
    for _, precision in ipairs(all and EVERY or { "bfloat16", "float32" }) do
      it(("exist for every convolution on %s in %s"):format(gpu, precision), function()
        all_planned(gpu, lines_of(single, precision))
      end)
    end
    for _, precision in ipairs(all and EVERY or { "bfloat16" }) do
      it(("exist for what follows a convolution on %s in %s"):format(gpu, precision), function()
        all_planned(gpu, lines_of(fused, precision, each_kind))
      end)
    end
    for _, precision in ipairs(all and NORMED or { "bfloat16" }) do
      it(("exist for norms and what follows them on %s in %s"):format(gpu, precision), function()
        local lines = norm_lines(norms, precision)
        assert.is_true(#lines >= (precision == "float32" and 4 or 6), "kinds: " .. #lines)
        all_planned(gpu, lines)
      end)
    end
    for _, precision in ipairs(all and SUMMED or { "bfloat16" }) do
      it(("exist for a convolution and its sums on %s in %s"):format(gpu, precision), function()
        all_planned(gpu, summed_lines(single, precision))
      end)
    end
  end

  it("take tensor cores in bfloat16 and TF32, and float32 as it is otherwise", function()
    local c, lines = small { ci = 64, co = 64, padding = 1 }, {}
    for precision in pairs(precisions) do
      for pass = 0, 2 do lines[#lines + 1] = line_of(precision .. pass, c, pass, precision, "") end
    end
    local said = plans("h100", lines)
    for pass = 0, 2 do
      assert.is_truthy(said["bfloat16" .. pass]:find "tensor cores", said["bfloat16" .. pass])
      assert.is_truthy(said["tf32" .. pass]:find "tensor cores", said["tf32" .. pass])
      assert.is_truthy(said["float32" .. pass]:find "^engine", said["float32" .. pass])
      assert.is_nil(said["float32" .. pass]:find "tensor cores")
    end
  end)

  it("exist for padding per side, strides and dilations per axis, groups, and sums with what is there", function()
    local lines = {}
    for name, c in pairs {
      ["one more behind"] = small { kh = 2, kw = 2, padding = { 0, 1, 0, 1 } },
      ["one more before"] = small { kh = 2, kw = 2, padding = { 1, 0, 1, 0 } },
      ["same, stride 2"] = small { stride = 2, padding = "same", ho = 6, wo = 7 },
      ["a row of taps"] = small { kh = 1, kw = 5, padding = { 0, 2 } },
      ["strides"] = small { stride = { 3, 1 }, padding = 1, ho = 4 },
      ["dilations"] = small { dilation = { 2, 3 }, padding = { 2, 3 } },
      ["rows that nothing reads"] = small { kh = 1, kw = 1, stride = 5, ho = 3, wo = 3 },
      ["groups"] = small { ci = 32, co = 64, groups = 8, padding = 1 },
      ["depthwise"] = small { ci = 32, co = 32, groups = 32, padding = 1 },
    } do
      for pass = 0, 2 do
        lines[#lines + 1] = line_of(name .. pass, c, pass, "float32", "")
        if pass > 0 then lines[#lines + 1] = line_of(name .. pass .. ", added", c, pass, "float32", "a") end
      end
    end
    all_planned("h100", lines)
  end)

  it("say why there is none", function()
    local wrong = small { ci = 8, co = 7, groups = 3, padding = 1 }
    local fine = small { padding = 1 }
    local said = plans("h100", { line_of("wrong", wrong, 0, "bfloat16", ""),
      line_of("compiled", fine, 0, "bfloat16", "sb", "relu"),
      line_of("fine", fine, 0, "bfloat16", "") })
    assert.is_truthy(said.wrong:find "^no plan: cuDNN: the convolution: ", said.wrong)
    assert.equal("no plan: cuDNN: no engine for the graph", said.compiled)
    assert.is_truthy(said.fine:find "^engine %d+", said.fine)
    said = plans("h100", { line_of("fine", fine, 0, "bfloat16", "") }, { COHESIV_CUDNN = "off" })
    assert.equal("no plan: cuDNN: switched off by COHESIV_CUDNN", said.fine)
  end)
end)
