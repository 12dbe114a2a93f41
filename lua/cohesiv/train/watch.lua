--- What a run shows while it trains, after every epoch: pictures of validation samples (the frame, its pseudo-labels,
-- the maps, the attention that the network answers), and losses and pictures for TensorBoard. Nothing here changes what
-- is learnt.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local tensor = require "cohesiv.tensor"
local tensorboard = require "cohesiv.train.tensorboard"
local M = {}

local COLOURS = { { 255, 80, 60 }, { 60, 150, 255 }, { 80, 210, 90 }, { 240, 200, 60 } } -- of hands, in turn
local PERSON, OBJECT = { 60, 150, 255 }, { 255, 170, 40 }

-- An image, H×W×3 of 0 to 255, with a map of 0 to 1 laid over it in a colour.
local function laid_over(image, map, colour)
  local m = (map:clamp(0, 1) * 0.7):reshape(map.shape[1], map.shape[2], 1)
  return image * (1 - m) + core.tensor(colour):to "float32":reshape(1, 1, 3) * m
end

local function is(label, class) return core.ops.eq.call(label, class):to "float32" end

-- The vector at a query's pixel.
local function at(Q, point)
  local h, w = Q.shape[1], Q.shape[2]
  local function pixel(x, n) return math.max(1, math.min(n, math.floor(x + 1.5))) end
  return Q[{ pixel(point[2], h), pixel(point[1], w) }]
end

-- One row of four tiles, uint8 H×4W×3.
local function draw(model, batch)
  local image, out = batch.image[1], model:forward(batch.image[1]:to(model.device()))
  local plain, Q, K = image:to "float32", out.Q:to("cpu"):to "float32", out.K:to("cpu"):to "float32"
  local label = laid_over(laid_over(plain, is(batch.label[1], 1), PERSON), is(batch.label[1], 2), OBJECT)
  local maps, answer = plain, plain
  for k, point in ipairs(batch.points:totable()) do
    local colour = COLOURS[(k - 1) % #COLOURS + 1]
    maps = laid_over(maps, batch.maps[k], colour)
    answer = laid_over(answer, core.ops.attention.call(at(Q, point):reshape(1, -1), K)[1], colour)
  end
  return (tensor.cat({ plain, label, maps, answer }, 2):clamp(0, 255) + 0.5):to "uint8"
end

-- Draws validation samples (training samples where there are none); visit(k, PNG bytes, width, height).
local function pictures(training, model, visit)
  local samples = training.samples
  local entries = #samples.validation > 0 and samples.validation or samples.train
  entries = { table.unpack(entries, 1, training.recipe.pictures) }
  local loader = training:loader(entries, { batch = 1, shuffle = false })
  model:eval()
  for k = 1, #entries do
    tensor.tidy(tensor.no_grad, function()
      local picture = draw(model, loader:next())
      visit(k, core.io.png_bytes(picture), picture.shape[2], picture.shape[1])
    end)
  end
  model:train()
  loader:close()
end

-- "train_total" → "train/total".
local function tag_of(name) return (name:gsub("^(train)_", "%1/"):gsub("^(validation)_", "%1/")) end

--- epoch(training, record, model): shows an epoch, after whose record is known.
function M.epoch(training, record, model)
  local recipe, run, records, now = training.recipe, training.run, {}, core.system.now()
  if recipe.pictures > 0 then
    local precision = model.precision
    model.precision = nil
    pictures(training, model, function(k, png, width, height)
      run:write(("validation-%d.png"):format(k), png)
      records[#records + 1] = tensorboard.picture(now, record.step, ("validation/%d"):format(k), png, width, height)
    end)
    model.precision = precision
  end
  if not recipe.tensorboard then return end
  local values = {}
  for _, name in ipairs(lists.keys(record)) do
    local value = record[name]
    if type(value) == "number" and name ~= "step" then values[tag_of(name)] = value end
  end
  table.insert(records, 1, tensorboard.scalars(now, record.step, values))
  tensorboard.append(run, records)
end

--- cut(run, step): takes what was shown after a step away again.
function M.cut(run, step) tensorboard.cut(run, step) end

return M
