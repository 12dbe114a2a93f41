--- What a recipe would do, without doing it: the data that there is, a batch's shapes, and the memory and time that
-- training will take, by a few steps on made-up batches (cost.lua). Nothing is written, the cache neither.
local core = require "cohesiv.core"
local cache, folders = require "cohesiv.data.cache", require "cohesiv.data"
local evaluate, models = require "cohesiv.hands.evaluate", require "cohesiv.hands.model"
local lists, progress = require "cohesiv.base.lists", require "cohesiv.base.progress"
local cost, extent = require "cohesiv.train.cost", require "cohesiv.train.extent"
local labels, pretrain = require "cohesiv.train.labels", require "cohesiv.train.pretrain"
local tasks = require "cohesiv.train.tasks"
local M = {}

local LOOKED_AT = 50 -- frames whose hands are counted

local function duration(seconds)
  if seconds < 90 then return ("%.0f s"):format(math.ceil(seconds)) end
  if seconds < 5400 then return ("%.0f minutes"):format(seconds / 60) end
  return ("%.1f hours"):format(seconds / 3600)
end

local function gigabytes(bytes) return ("%.2f GB"):format(bytes / 1e9) end

-- The samples that there would be, how many are made already, and the hands in one, on average.
local function look(task, found)
  local list, made, hands, counted = {}, 0, 0, 0
  for _, entry in ipairs(found.wanted) do
    local clip = task.data:clip(entry.name)
    for _, n in ipairs(entry.frames) do
      list[#list + 1] = { clip = entry.name, frame = n }
      made = made + (task.is_made(clip, n) and 1 or 0)
      if clip:has_hands() and counted < LOOKED_AT then hands, counted = hands + #clip:hands(n), counted + 1 end
    end
    clip:close()
  end
  return list, made, counted > 0 and hands / counted or 1
end

local function shapes(recipe, batch, hands)
  local w, h, all = recipe.size[1], recipe.size[2], math.floor(batch * hands + 0.5)
  local stride = models.stride(recipe.model.decoder_widths)
  local x, y = (w + stride - 1) // stride, (h + stride - 1) // stride
  local format = "image uint8 %dx%dx%dx3, label int32 %dx%dx%d, maps float32 %dx%dx%d, points float32 %dx2"
  return format:format(batch, h, w, batch, y, x, all, y, x, all)
end

-- Lines about training on a data folder.
local function of_training(of, data, say)
  local task = tasks.of(of).open(of, data)
  local recipe, found = task.recipe, task.survey()
  data = task.data
  say("%s: %d clips, %d with %s, %d frames to train on", data.path, found.clips, found.hands,
    recipe.supervised and "masks that may be learnt from" or "landmarks", found.total)
  local list, made, hands = look(task, found)
  local samples = labels.split(list, recipe)
  local train, validation = samples.train, samples.validation
  say("samples: %d to train on, %d to validate on; %d of %d are made already", #train, #validation, made, #list)
  local measured = cost.measure(recipe, train[1], data)
  if recipe.batch == "auto" then
    recipe = recipe { batch = cost.fitting(measured, recipe) }
    say("batch: auto: %d fit into memory", recipe.batch)
  end
  local batch = math.min(recipe.batch, #train)
  say("batch: %s (%.1f hands a sample)", shapes(recipe, batch, hands), hands)
  say("memory: %s for a step (limit %s)", gigabytes(cost.bytes(measured, batch)), gigabytes(core.memory().limit))
  local steps, seconds, epochs = extent.batches(recipe, #train), cost.seconds(measured, batch), extent.epochs(recipe)
  if pretrain.derived(recipe) then
    local most = pretrain.steps(recipe)
    local time = math.min(most * seconds, 60 * (recipe.minutes or math.huge))
    say("pretrain: %d clips of a generated world, %s", recipe.pretrain.clips, pretrain.is_made(recipe)
      and "made already" or ("%d steps at most: about %s"):format(most, duration(time)))
  end
  local all = seconds * (steps + extent.batches(recipe, #validation) / 3) * epochs -- without gradients a third
  local limit = recipe.minutes and 60 * recipe.minutes < all and (", ended after %g min"):format(recipe.minutes) or ""
  say("time: %.2f s a step, %d steps an epoch, %d epochs at most: about %s%s%s", seconds, steps, epochs,
    duration(all), limit, made < #list and (", and the maps of %d frames"):format(#list - made) or "")
end

--- lines(recipe): what there is to say, a list of texts.
function M.lines(recipe)
  local out = {}
  local function say(format, ...) out[#out + 1] = format:format(...) end
  local before, quiet = cache.dry, progress.quiet
  local _ <close> = setmetatable({}, { __close = function() cache.dry, progress.quiet = before, quiet end })
  cache.dry, progress.quiet = true, true
  tasks.check(recipe)
  local trains = tasks.of(recipe) ~= nil
  if trains then
    say("%s: %d parameters", recipe.model.encoder, models.like(recipe.model):count())
  else
    say("system %s: nothing is trained", type(recipe.system) == "string" and recipe.system or "of the experiment's own")
  end
  if not recipe.data then
    say "data: none (data=PATH)"
    return out
  end
  if trains then of_training(recipe, folders.data(recipe.data), say) end
  local run = { recipe = recipe, name = recipe.name }
  for _, what in ipairs { "calibrate", "evaluate" } do
    local folder, names = evaluate.part(run, what)
    say("%s: %d clips with masks, %d frames", what, #names, #names > 0 and #evaluate.frames(folder, names) or 0)
  end
  return out
end

--- text(recipe): the same as one text.
function M.text(recipe) return table.concat(lists.map(M.lines(recipe), tostring), "\n") end

return M
