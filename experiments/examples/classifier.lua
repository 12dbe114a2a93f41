-- A small network learns to tell drawn shapes apart: ./cohesiv experiments/examples/classifier.lua [STEPS]
local co = require "cohesiv"
local nn, SIZE, NAMES = co.nn, 32, { "disc", "square", "ring", "cross" }

-- n grey pictures, n×SIZE×SIZE×1, and the number of the shape in each; place, size, greys and noise are drawn by lot.
local function draw(n)
  local function lot(low, high) return co.rand(n, 1, 1) * (high - low) + low end
  local label, radius = (co.rand(n, 1, 1) * #NAMES):to "int32" + 1, lot(5, 10)
  local x = (co.arange(SIZE):reshape(1, 1, SIZE) - lot(10, SIZE - 11)) / radius
  local y = (co.arange(SIZE):reshape(1, SIZE, 1) - lot(10, SIZE - 11)) / radius
  local distance, side, arm = (x ^ 2 + y ^ 2):sqrt(), co.maximum(x:abs(), y:abs()), co.minimum(x:abs(), y:abs())
  local depth = { distance - 1, side - 0.9, (distance - 0.8):abs() - 0.2, co.maximum(side - 1, arm - 0.25) }
  local inside = co.zeros(n, SIZE, SIZE)
  for i, d in ipairs(depth) do inside = inside + co.le(d, 0) * co.eq(label, i) end
  local picture = lot(0, 0.4) + inside * lot(0.3, 0.6) + co.randn(n, SIZE, SIZE) * 0.15
  return picture:reshape(n, SIZE, SIZE, 1), label:reshape(n)
end

co.seed(1)
local function block(i, o) return nn.ConvBN { i, o, 3, padding = 1, act = "relu" } end
local net = nn.Sequential { block(1, 16), nn.MaxPool2d(2), block(16, 32), nn.MaxPool2d(2), block(32, 64),
  nn.GlobalAvgPool(), nn.Dropout(0.1), nn.Linear { 64, #NAMES } }
local steps = tonumber(arg and arg[1]) or 300
local optimiser = co.optim.SGD(net:parameters(), { lr = 0.1, momentum = 0.9, weight_decay = 1e-4 })
local schedule = co.optim.Cosine(optimiser, { steps = steps })
for step = 1, steps do
  local loss = co.tidy(function()
    local pictures, labels = draw(32)
    local loss = co.losses.cross_entropy(net(pictures), labels)
    optimiser:zero_grad()
    loss:backward()
    optimiser:step()
    return loss:item()
  end)
  schedule:step()
  if step % 50 == 0 then print(("step %3d  loss %.3f"):format(step, loss)) end
end
local pictures, labels = draw(500)
local right = co.eq(co.no_grad(net:eval(), pictures):argmax(-1), labels):to("float32"):mean():item()
print(("%.1f %% of 500 new pictures are named right"):format(100 * right))
