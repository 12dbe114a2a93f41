--- COHESIV learns from pseudo-labels: where the hand's motion is (responsibility loss), what is person, object and
-- background (embedding loss).
local lists = require "cohesiv.base.lists"
local losses = require "cohesiv.nn.losses"
local folders = require "cohesiv.data"
local calibrate = require "cohesiv.hands.calibrate"
local labels, pretrain = require "cohesiv.train.labels", require "cohesiv.train.pretrain"
local M = {}

local PARTS = { "responsibility", "embedding" }

function M.check(recipe) pretrain.check(recipe) end

function M.names(recipe)
  return lists.map(PARTS, function(name) return recipe.loss[name] ~= 0 and name end)
end

function M.losses(model, recipe, batch)
  local w, out, list = recipe.loss, model:forward(batch.image), {}
  if w.responsibility ~= 0 then
    list[1] = { w.responsibility, losses.responsibility(out.Q, out.K, batch.maps, batch.points, batch.image_index,
      { through = w.clamp == "through" }) }
  end
  if w.embedding ~= 0 then list[#list + 1] = { w.embedding, losses.embedding(out.Z, batch.label, recipe.embedding) } end
  return out, list
end

-- The mean embeddings, from the training samples.
local function means(training, model)
  local recipe, samples = training.recipe, training.samples.train
  local plain = training:loader(samples, { batch = 1, shuffle = true })
  local count, i = math.min(#samples, 200), 0
  local found = calibrate.means(model, function()
    i = i + 1
    if i > count then return nil end
    local b = plain:next()
    return b.image[1], b.label[1]
  end, count, { count = recipe.calibrate.embeddings, seed = recipe.seed, normalise = recipe.embedding.normalise })
  plain:close()
  return found
end

function M.open(recipe, given)
  local data = given or folders.data(recipe.data)
  return {
    data = data, recipe = recipe,
    survey = function(most) return labels.survey(data, recipe, most) end,
    prepare = function() return labels.prepare(data, recipe) end,
    mend = function(entry) labels.mend(entry, data, recipe) end,
    is_made = function(clip, n) return labels.is_made(clip, n, recipe) end,
    start = function() end,
    finish = function(training, model, stored)
      if recipe.loss.embedding ~= 0 or training.own then stored.means = means(training, model) end
    end,
  }
end

return M
