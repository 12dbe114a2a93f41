-- One good call of every public function and method that is no op: name → { function, what makes its arguments anew }.
-- A method is called on an object made for it. What hostile_calls_spec.lua spoils.
local co = require "cohesiv"
local lfs = require "lfs"
local support = require "tests.support"

local folder = support.temp()

local function points(n)
  local list = {}
  for i = 1, n do list[i] = { (i * 7) % 13 + 0.5, (i * i * 3) % 11 + 0.25 } end
  return list
end

local function picture(h, w) return co.full(100, h or 24, w or 32, 3, { dtype = "uint8" }) end
local function mask(h, w) return co.ones(h or 24, w or 32, { dtype = "uint8" }) end
local function flow(h, w) return co.full(0.5, h or 24, w or 32, 2) end
local function hands() return { co.tensor(points(9)), co.tensor(points(7)) + 8 } end
local function responsibility() return co.responsibility { flows = { flow(), flow() }, hands = hands() } end
local function prediction()
  return { attention = co.full(0.5, 6, 8), hand = mask(6, 8), object = mask(6, 8) }
end
local function parameters()
  local list = { co.full(1, 3, 2, { requires_grad = true }), co.full(1, 4, { requires_grad = true }) }
  for _, p in ipairs(list) do (p * 2):sum():backward() end
  return list
end
local function optimiser() return co.optim.AdamW(parameters(), { lr = 0.1 }) end
local function module() return co.nn.Sequential { co.nn.Linear { 3, 2 }, co.nn.ReLU() } end
local the_model
local function model()
  if not the_model then
    the_model = co.model { encoder = "mobilenet_v2", decoder_widths = { 4, 4, 4, 4, 4 }, embedding_dim = 3,
      attention_dim = 3 }
    the_model:eval()
    the_model.embeddings = { object = { 1, 0, 0 }, person = { 0, 1, 0 } }
    the_model.thresholds = { object = { 0, 0 }, hand = { 0, 0 } }
  end
  return the_model
end
local function profile() return (co.profile(function() return co.zeros(2) + 1 end)) end

-- A data folder of one clip.
local root = folder .. "/data"
for _, name in ipairs { "", "/clips", "/clips/a", "/hands_json" } do assert(lfs.mkdir(root .. name)) end
for n = 0, 3 do co.image.write(("%s/clips/a/%06d.png"):format(root, n), picture()) end
support.write(root .. "/hands_json/a.json", '{"width":32,"height":24,"frames":[' .. ("[],"):rep(3) .. "[]]}")
local function data() return co.data(root) end
local function clip() return data():clip "a" end

local function list(...) return table.pack(...) end

local good = {
  ["Function"] = { co.Function, function() return list { forward = print, backward = print, name = "f" } end },
  ["tidy"] = { co.tidy, function() return list(function(x) return x end, 1) end },
  ["no_grad"] = { co.no_grad, function() return list(function(x) return x end, 1) end },
  ["gradcheck"] = { co.gradcheck, function()
    return list(function(x) return co.mul(x, 2) end, { co.full(1, 2, { dtype = "float64", requires_grad = true }) },
      { eps = 1e-6, atol = 1e-5, rtol = 1e-4 })
  end },
  ["is_tensor"] = { co.is_tensor, function() return list(1) end },
  ["seed"] = { co.seed, function() return list(1) end },
  ["devices"] = { co.devices, function() return list() end },
  ["profile"] = { co.profile, function() return list(function(x) return x end, 1) end },
  ["profile:top"] = { function(...) return profile():top(...) end, function() return list(2) end },
  ["profile:save"] = { function(...) return profile():save(...) end, function() return list(folder .. "/p.json") end },
  ["help"] = { co.help, function() return list "conv2d" end },
  ["explore"] = { co.explore, function() return list(clip(), { frame = 1, size = { 64, 48 } }) end },
  ["hands.detect"] = { co.hands.detect, function() return list(picture(), { max = 2, threshold = 0.5 }) end },
  ["weights.path"] = { co.weights.path, function() return list "person" end },
  ["weights.list"] = { co.weights.list, function() return list() end },
  ["nn.tflite"] = { co.nn.tflite, function() return list(folder .. "/none.tflite") end },
  ["optim.scale_gradients"] = { co.optim.scale_gradients, function() return list({ co.zeros(2) }, 0.5) end },
  ["show"] = { co.show, function() return list(picture()) end },
  ["load"] = { co.load, function() return list(root .. "/clips/a/000000.png") end },
  ["save"] = { co.save, function() return list(folder .. "/x.npy", co.zeros(2)) end },
  ["data"] = { co.data, function() return list(root) end },
  ["data:clip"] = { function(...) return data():clip(...) end, function() return list("a", { hands = root }) end },
  ["data:masks"] = { function(...) return data():masks(...) end, function() return list("a", 0) end },
  ["clip"] = { co.clip, function() return list(root .. "/clips/a", { hands = root .. "/hands_json/a.json" }) end },
  ["clip:frame"] = { function(...) return clip():frame(...) end, function() return list(1) end },
  ["clip:scale"] = { function(...) return clip():scale(...) end, function() return list { 64, 48 } end },
  ["clip:scaled"] = { function(...) return clip():scaled(...) end, function()
    return list(1, { size = { 64, 48 }, padded = false })
  end },
  ["clip:hands"] = { function(...) return clip():hands(...) end, function() return list(1, { size = { 64, 48 } }) end },
  ["clip:flow"] = { function(...) return clip():flow(...) end, function()
    return list(1, 1, { size = { 64, 48 }, method = "dis" })
  end },
  ["clip:flows"] = { function(...) return clip():flows(...) end, function()
    return list(1, { -1, 1 }, { size = { 64, 48 }, method = "dis" })
  end },
  ["clip:person"] = { function(...) return clip():person(...) end, function()
    return list(1, { size = { 64, 48 }, source = "skin" })
  end },
  ["clip:responsibility"] = { function(...) return clip():responsibility(...) end, function()
    return list(1, { size = { 64, 48 }, gaps = { 1 }, temperature = 2, background = "static" })
  end },
  ["homography.fit"] = { co.homography.fit, function()
    return list(points(8), co.tensor(points(8)), { model = "affine", robust = true })
  end },
  ["responsibility"] = { co.responsibility, function()
    return list { flows = { flow(), flow() }, hands = hands(), temperature = 2, background = "homography",
      gaps = { 1, 2 },
      fit = { model = "homography", points = 0, robust = true, fall_back = true }, closeness = 1, sharpen = picture(),
      content = { 32, 24 }, targets = { { false, false }, { false, false } } }
  end },
  ["R:with"] = { function(...) return responsibility():with(...) end, function()
    return list { temperature = 3, keep = { 1 }, background = "homography", closeness = 1, sharpen = picture() }
  end },
  ["R:save"] = { function(...) return responsibility():save(...) end, function() return list(folder .. "/r.png") end },
  ["flow.check"] = { co.flow.check, function() return list(flow(), flow(), 0.01, 0.5) end },
  ["flow.color"] = { co.flow.color, function() return list(flow(), { full = 3 }) end },
  ["flow.estimate"] = { co.flow.estimate, function()
    return list(picture(), picture(), { method = "dis", check = true })
  end },
  ["flow.read"] = { co.flow.read, function() return list(folder .. "/none.flo") end },
  ["flow.write"] = { co.flow.write, function() return list(folder .. "/f.flo", flow()) end },
  ["image.read"] = { co.image.read, function() return list(root .. "/clips/a/000000.png", { depth = 16 }) end },
  ["image.write"] = { co.image.write, function() return list(folder .. "/i.png", picture(), { depth = 8 }) end },
  ["image.mask"] = { co.image.mask, function() return list(root .. "/clips/a/000000.png") end },
  ["image.jpeg"] = { co.image.jpeg, function() return list(picture(), { quality = 8 }) end },
  ["image.png"] = { co.image.png, function() return list(picture(), { depth = 8 }) end },
  ["losses.responsibility"] = { co.losses.responsibility, function()
    return list(co.rand(1, 3, 4, 2), co.rand(1, 3, 4, 2), co.rand(1, 3, 4), co.tensor { { 1, 1 } },
      co.tensor({ 1 }, { dtype = "int32" }), { through = true })
  end },
  ["losses.embedding"] = { co.losses.embedding, function()
    return list(co.rand(1, 3, 4, 2), co.ones(1, 3, 4, { dtype = "int32" }),
      { normalise = true, scale = 10, epsilon = 1e-3, means = "batch" })
  end },
  ["losses.cross_entropy"] = { co.losses.cross_entropy, function()
    return list(co.rand(3, 4), co.ones(3, { dtype = "int32" }))
  end },
  ["metrics.iou"] = { co.metrics.iou, function() return list(mask(), mask(), mask()) end },
  ["metrics.overlap"] = { co.metrics.overlap, function() return list(mask(), mask(), mask()) end },
  ["metrics.over"] = { co.metrics.over, function() return list(co.rand(4, 5), 0.5, co.rand(4, 5), 0.5) end },
  ["metrics.union"] = { co.metrics.union, function() return list { mask(), mask() } end },
  ["metrics.contact"] = { co.metrics.contact, function() return list(mask(), mask(), 0.02) end },
  ["metrics.table"] = { co.metrics.table, function()
    return list(co.rand(4, 5), co.rand(4, 5), mask(4, 5), mask(4, 5), { 0, 0.5 }, { 0, 0.5 })
  end },
  ["metrics.interval"] = { co.metrics.interval, function()
    return list({ 1, 2 }, { 2, 3 }, { draws = 10, seed = 0 })
  end },
  ["metrics.resize"] = { co.metrics.resize, function() return list(co.rand(24, 32), 64, 48) end },
  ["metrics.disc"] = { co.metrics.disc, function() return list(3, 4, 12, 10) end },
  ["metrics.saliency"] = { co.metrics.saliency, function() return list(picture()) end },
  ["metrics.grid"] = { co.metrics.grid, function() return list(0, 1, 5) end },
  ["metrics.ratios"] = { co.metrics.ratios, function() return list(0.1, 1, 5) end },
  ["model"] = { co.model, exact = true, function()
    return list { encoder = "mobilenet_v2", decoder_widths = { 4, 4, 4, 4, 4 }, embedding_dim = 3, attention_dim = 3 }
  end },
  ["model:forward"] = { function(...) return model():forward(...) end, function() return list(picture()) end },
  ["model:predict"] = { function(...) return model():predict(...) end, function()
    return list(picture(), { { 3, 4 } }, { thresholds = { object = { 0, 0 }, hand = { 0, 0 }, pair = { 0, 0 } },
      size = { 64, 48 } })
  end },
  ["model:load"] = { function(...) return model():load(...) end, function()
    return list(folder .. "/m.safetensors", { strict = false })
  end },
  ["model:save"] = { function(...) return model():save(...) end, function()
    return list(folder .. "/m.safetensors")
  end },
  ["model:to"] = { function(...) return model():to(...) end, function() return list "float32" end },
  ["model:summary"] = { exact = true, function(...) return model():summary(...) end, function()
    return list { size = { 32, 32 }, batch = 1, repeats = 1 }
  end },
  ["model:freeze"] = { function(...) return model():eval():freeze():forward(...) end, function()
    return list(picture())
  end },
  ["optim.AdamW"] = { co.optim.AdamW, function()
    return list(parameters(), { lr = 0.1, betas = { 0.9, 0.999 }, eps = 1e-8, weight_decay = 0.01 })
  end },
  ["optim.SGD"] = { co.optim.SGD, function()
    return list(parameters(), { lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 0.01 })
  end },
  ["optim.clip_norm"] = { co.optim.clip_norm, function() return list(parameters(), 1) end },
  ["optim.clip_value"] = { co.optim.clip_value, function() return list(parameters(), 1) end },
  ["optim.Step"] = { co.optim.Step, function() return list(optimiser(), { every = 2, factor = 0.5 }) end },
  ["optim.Cosine"] = { co.optim.Cosine, function() return list(optimiser(), { steps = 10, floor = 0 }) end },
  ["optim.Warmup"] = { co.optim.Warmup, function() return list(optimiser(), { steps = 10 }) end },
  ["optim.Plateau"] = { co.optim.Plateau, function() return list(optimiser(), { factor = 0.5, patience = 2 }) end },
  ["opt:restore"] = { function(...) return optimiser():restore(...) end, function()
    return list(optimiser():state())
  end },
  ["tune"] = { co.tune, exact = true, function()
    return list(module, { size = { 8, 8 }, batch = 1, training = false, trials = 1 })
  end },
  ["autotune"] = { co.autotune, exact = true, function()
    return list(module, { size = { 8, 8 }, batch = 1, training = false, trials = 1 })
  end },
  ["train"] = { co.train, function() return list {} end },
  ["run"] = { co.run, function() return list(folder .. "/none") end },
  ["evaluate"] = { co.evaluate, function() return list(folder .. "/none", root) end },
  ["world"] = { co.world, exact = true, function()
    return list { seed = 1, clips = 1, frames = 1, size = { 16, 16 }, out = folder .. "/world", mask_every = 1,
      truth = { "flow" }, progress = false }
  end },
  ["viz.flow_color"] = { co.viz.flow_color, function() return list(flow(), { full = 3 }) end },
  ["viz.viridis"] = { co.viz.viridis, function() return list(co.rand(4, 5), { low = 0, high = 1 }) end },
  ["viz.overlay"] = { co.viz.overlay, function()
    return list(picture(), { mask(), { hand = mask(), object = mask() } }, { alpha = 0.5, color = { 1, 2, 3 } })
  end },
  ["viz.points"] = { co.viz.points, function()
    return list(picture(), { { 3, 4 }, { 5, 6 } }, { radius = 3, color = { 1, 2, 3 } })
  end },
  ["viz.pca"] = { co.viz.pca, function() return list(co.rand(4, 5, 6)) end },
  ["viz.grid"] = { co.viz.grid, function()
    return list({ picture(), false, picture() }, 2, { gap = 2, ground = 9 })
  end },
  ["viz.picture"] = { co.viz.picture, function() return list { prediction(), prediction() } end },
  ["nn.AvgPool2d"] = { co.nn.AvgPool2d, function() return list { 2, stride = 2, padding = 0 } end },
  ["nn.MaxPool2d"] = { co.nn.MaxPool2d, function() return list { 2, stride = 2, padding = 0 } end },
  ["nn.BatchNorm2d"] = { co.nn.BatchNorm2d, function()
    return list(4, { act = "relu", eps = 1e-5, momentum = 0.1 })
  end },
  ["nn.Conv2d"] = { co.nn.Conv2d, function()
    return list { 4, 2, 3, stride = { 1, 2 }, padding = { 1, 0, 1, 0 }, dilation = 1, groups = 1, bias = true,
      init = co.nn.init.zeros }
  end },
  ["nn.ConvBN"] = { co.nn.ConvBN, function()
    return list { 4, 2, 3, stride = 1, padding = 1, groups = 1, act = "relu", names = { "0", "1" } }
  end },
  ["nn.UpConvBN"] = { co.nn.UpConvBN, function() return list { 4, 2, 3, act = "relu" } end },
  ["nn.Linear"] = { co.nn.Linear, function() return list { 3, 2, bias = true, init = co.nn.init.zeros } end },
  ["nn.LayerNorm"] = { co.nn.LayerNorm, function() return list(4, { eps = 1e-5 }) end },
  ["nn.InstanceNorm2d"] = { co.nn.InstanceNorm2d, function()
    return list(4, { act = "relu", eps = 1e-5, affine = true })
  end },
  ["nn.PReLU"] = { co.nn.PReLU, function() return list(4, { init = 0.1 }) end },
  ["nn.Unfold"] = { co.nn.Unfold, function() return list { 3, stride = 1, padding = { 1, 0 }, dilation = 2 } end },
  ["nn.Dropout"] = { co.nn.Dropout, function() return list(0.5) end },
  ["nn.Flatten"] = { co.nn.Flatten, function() return list() end },
  ["nn.LeakyReLU"] = { co.nn.LeakyReLU, function() return list(0.1) end },
  ["nn.Sequential"] = { co.nn.Sequential, function() return list { co.nn.ReLU(), co.nn.Tanh() } end },
  ["nn.Upsample"] = { co.nn.Upsample, function() return list(2) end },
  ["nn.watch"] = { co.nn.watch, function() return list(co.full(1, 2, { requires_grad = true }), print) end },
  ["nn.conv_bn"] = { co.nn.conv_bn, function()
    return list(co.nn.Conv2d { 3, 2, 1 }, co.nn.BatchNorm2d(2), co.rand(1, 4, 4, 3))
  end },
  ["nn.let_go"] = { co.nn.let_go, function() return list(co.zeros(2), module()) end },
  ["nn.Module.new"] = { co.nn.Module.new, function() return list(print, "kind") end },
  ["nn.init.uniform"] = { co.nn.init.uniform, function() return list(co.zeros(2, 3), 0, 1) end },
  ["nn.init.normal"] = { co.nn.init.normal, function() return list(co.zeros(2, 3), 0, 1) end },
  ["nn.init.constant"] = { co.nn.init.constant, function() return list(co.zeros(2, 3), 1) end },
  ["nn.init.gain"] = { co.nn.init.gain, function() return list("leaky_relu", 0.1) end },
  ["nn.init.kaiming_normal"] = { co.nn.init.kaiming_normal, function()
    return list(co.zeros(2, 3), { a = 0, mode = "fan_in", nonlinearity = "relu" })
  end },
  ["nn.init.kaiming_uniform"] = { co.nn.init.kaiming_uniform, function()
    return list(co.zeros(2, 3), { a = 0, mode = "fan_out", nonlinearity = "relu" })
  end },
  ["nn.init.xavier_normal"] = { co.nn.init.xavier_normal, function() return list(co.zeros(2, 3), 1) end },
  ["nn.init.xavier_uniform"] = { co.nn.init.xavier_uniform, function() return list(co.zeros(2, 3), 1) end },
  ["nn.init.fan_uniform"] = { co.nn.init.fan_uniform, function() return list(co.zeros(2, 3), 3) end },
}
for _, name in ipairs { "zeros", "ones", "fans" } do
  good["nn.init." .. name] = { co.nn.init[name], function() return list(co.zeros(2, 3)) end }
end
for _, name in ipairs { "GlobalAvgPool", "Identity", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Tanh" } do
  good["nn." .. name] = { co.nn[name], function() return list() end }
end
for _, name in ipairs { "Softmax", "LogSoftmax" } do
  good["nn." .. name] = { co.nn[name], function() return list(-1) end }
end
for name, arguments in pairs {
  parameter = function() return list("w", co.zeros(2)) end, buffer = function() return list("b", co.zeros(2)) end,
  add = function() return list("child", co.nn.ReLU()) end, modules = function() return list(function() end, "path") end,
  train = function() return list(true) end, to = function() return list "float64" end,
  load_state = function()
    return list(module():state_dict(), { strict = false, ignore = function() return true end })
  end,
  hook = function() return list(print) end, hook_before = function() return list(print) end,
  hook_gradient = function() return list(print) end, unhook = function() return list(nil) end,
  label = list, count = list, parameters = list, named_parameters = list, named_buffers = list, eval = list,
  freeze = nil, zero_grad = list, state_dict = list, forward = function() return list(co.zeros(2, 3)) end,
} do
  good["module:" .. name] = { function(...)
    local m = module()
    return m[name](m, ...)
  end, arguments }
end

return function() return good, root end
