--- What a step of training costs, measured on made-up batches of one and two samples: memory and time of larger ones
-- follow, since both grow by the same for every sample. From it: the batch that fits into memory, and what a run takes.
local core = require "cohesiv.core"
local tensor, optim = require "cohesiv.tensor", require "cohesiv.optim"
local models, loss = require "cohesiv.hands.model", require "cohesiv.train.loss"
local rates, tasks = require "cohesiv.train.rates", require "cohesiv.train.tasks"
local M = {}

local MOST = 64 -- samples of a batch that is chosen by memory
local ROOM = 0.8 -- of the memory there is

--- batch(recipe, stride, samples, data): a batch of noise with one hand in each sample, of these entries { clip,
-- frame }, for a network of this stride.
function M.batch(recipe, stride, samples, data)
  local w, h, n, device = recipe.size[1], recipe.size[2], #samples, recipe.device
  local points, index, image = {}, {}, tensor.rand(n, h, w, 3)
  w, h = (w + stride - 1) // stride, (h + stride - 1) // stride
  for i = 1, n do points[i], index[i] = { w // 2, h // 2 }, i end
  return {
    image = (image * 255):to("uint8"):to(device),
    label = (tensor.rand(n, h, w) * 3 + 1):to("int32"):clamp(1, 3):to(device), maps = tensor.rand(n, h, w):to(device),
    points = tensor.tensor(points):to(device), image_index = tensor.tensor(index, { dtype = "int32" }):to(device),
    samples = samples, data = data,
  }
end

-- When all that was asked for so far is done.
local function time(device)
  tensor.zeros(1, { device = device }):item()
  return core.system.time()
end

local function used(device)
  local memory = core.memory()
  return device:find "^cuda" and memory[device] or memory
end

-- → what the step holds between its two passes, beside what was there before.
local function step(model, optimiser, recipe, samples, data)
  optimiser:zero_grad()
  for _ = 1, 2 do collectgarbage() end -- what is found in the first round is let go of in the second
  local before = used(recipe.device).live
  local total = loss.of(model, recipe, M.batch(recipe, model.stride, samples, data))
  local held = used(recipe.device).live - before
  total:backward()
  optimiser:step()
  optimiser:zero_grad()
  return held
end

--- measure(recipe, sample, data): of a step, { fixed, each } bytes, without samples and for each, and { first, more }
-- seconds, of one sample and for each more. sample: an entry { clip, frame } that an experiment's own losses may look
-- at. Draws no random numbers that anything else will.
function M.measure(recipe, sample, data)
  local seed, stream = core.random_state()
  local out = tensor.tidy(function()
    local model = models.like(recipe.model):to(recipe.device):train()
    local part, peaks, held, times = tasks.of(recipe).part, {}, {}, {}
    local optimiser = part and rates.of(model, recipe.optim, part) or optim.AdamW(model:parameters(), { lr = 0 })
    rates.train(model, recipe.optim, part)
    model.precision = recipe.precision
    for n = 1, 2 do
      local samples = {}
      for i = 1, n do samples[i] = sample end
      tensor.tidy(step, model, optimiser, recipe, samples, data) -- the first packs weights and looks for methods
      core.memory { reset_peak = true }
      local started = time(recipe.device)
      held[n] = tensor.tidy(step, model, optimiser, recipe, samples, data)
      peaks[n], times[n] = used(recipe.device).peak, time(recipe.device) - started
    end
    -- Of a small network the peak is that of its weights alone; garbage makes it differ.
    local each = math.max(peaks[2] - peaks[1], held[2] - held[1], 1)
    return { fixed = math.max(peaks[1] - each, 0), each = each, first = times[1],
      more = math.max(times[2] - times[1], 0) }
  end)
  core.seed(seed, stream)
  return out
end

--- bytes(cost, n), seconds(cost, n): of a step with n samples.
function M.bytes(cost, n) return cost.fixed + n * cost.each end
function M.seconds(cost, n) return cost.first + (n - 1) * cost.more end

--- fitting(cost, recipe): the largest batch that fits, at most MOST.
function M.fitting(cost, recipe)
  local memory = used(recipe.device)
  local room = ROOM * memory.limit - cost.fixed
  if room < cost.each then
    core.refuse("batch: expected memory for a step of one sample, %.1f GB, found a limit of %.1f GB",
      M.bytes(cost, 1) / 1e9, memory.limit / 1e9)
  end
  return math.min(math.floor(room / cost.each), MOST)
end

return M
