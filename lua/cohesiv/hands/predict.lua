--- model:predict: one image, any number of query points, one forward pass (with zoom another for each point):
--   image → scaled to the recipe's size → Z, Q, K → attention a = clamp(q·K, 0, 1) per query, objectness o and
--   personness p = cosines of Z with the stored means → scores → the image's own resolution → thresholds → masks
-- Means, thresholds and size travel with the model (see calibrate.lua), and so does what an experiment makes of the
-- maps, model.edit(maps, image, queries) → maps.
local options_of, places = require "cohesiv.base.options", require "cohesiv.base.places"
local tensor = require "cohesiv.tensor"
local scale = require "cohesiv.motion.scale"
local metrics, refine = require "cohesiv.hands.metrics", require "cohesiv.hands.refine"
local zooming = require "cohesiv.hands.zoom"
local core = require "cohesiv.core".metrics
local refuse = require("cohesiv.core").refuse
local predict = {}

-- What a prediction and a list of them can do: png and save.
local Prediction = { __index = require("cohesiv.base.pictured").class {} }

-- The maps of a picture at the network's scale, at points in its pixels; content: { width, height } without padding.
local function look(model, picture, points, content, attention_only)
  local out = tensor.no_grad(model.forward, model, picture:to(model.device and model.device() or "cpu"))
  for name, map in pairs(out) do out[name] = map:to "cpu":to "float32" end -- also of a float64 model
  local maps = { attention = {}, Z = out.Z }
  local function place(at, n) -- the nearest pixel of the maps, counted from 1
    return math.max(1, math.min(math.ceil(n / model.stride), math.floor((at + 0.5) / model.stride) + 1))
  end
  for k, point in ipairs(points) do
    local q = out.Q[{ place(point[2], content[2]), place(point[1], content[1]) }]
    maps.attention[k] = core.project(out.K, q):clamp(0, 1)
  end
  if attention_only then return maps end
  if not model.embeddings then
    refuse "predict: expected a model with mean embeddings (train or calibrate it first), found none"
  end
  for class, mean in pairs(model.embeddings) do
    maps[class .. "ness"] = core.project(out.Z, tensor.tensor(mean), true)
  end
  return maps
end

-- What attention to query k is multiplied by: of half, this many pixels of the image away.
local function near(maps, k, query, half)
  local h, w = table.unpack(maps.attention[k].shape)
  local x = (tensor.arange(w) + 0.5):reshape(1, w) - (query[1] + 0.5) * maps.scale
  local y = (tensor.arange(h) + 0.5):reshape(h, 1) - (query[2] + 0.5) * maps.scale
  return ((x:square() + y:square()) * (-math.log(2) / (half * maps.scale) ^ 2)):exp()
end

--- Maps of the scaled frame, padding included, at the network's stride: { attention = by query, objectness, personness,
--- backgroundness (where the model has a mean of it) } (float H×W), Z (H×W×F), scale (their pixels per image pixel).
--- Queries are { x, y } in the image's pixels. Options: size; zoom: a second look at every query, so many times as
--- large (zoom.lua), 1: none; closeness: attention falls with the square of the distance to the query, to half of it so
--- many widths of the image away, 0: it does not; all are the model's own unless given; attention_only = true leaves
--- the cosines out.
function predict.maps(model, image, queries, options)
  options = options or {}
  local how = model.calibration or {}
  local size, zoom = options.size or how.size or scale.default, options.zoom or how.zoom or 1
  local sc = scale.of(image.shape[2], image.shape[1], size)
  local function of(picture, points, content) return look(model, picture, points, content, options.attention_only) end
  local points = scale.points(tensor.tensor(queries), sc):totable()
  local maps = of(scale.picture(image, sc), points, { sc.content_w, sc.content_h })
  maps.scale = sc.s / model.stride
  if zoom > 1 then
    maps = zooming.maps(maps, of, image, queries, { zoom = zoom, size = size, stride = model.stride })
  end
  local closeness = options.closeness or how.closeness or 0
  if closeness > 0 then
    for k, query in ipairs(queries) do
      maps.attention[k] = maps.attention[k] * near(maps, k, query, closeness * image.shape[2])
    end
  end
  if not model.edit then return maps end
  local edited = model.edit(maps, image, queries)
  if edited == nil then return maps end
  if type(edited) == "table" and type(edited.attention) == "table" then return edited end
  refuse("predict.edit: %sexpected maps, a table with attention by query, found %s", places.prefix(model.edit),
    options_of.show(edited))
end

-- Softmax of the scaled cosines with the means, classes equally frequent, as the loss trains → object, person, either
local function posterior(maps, scale_of_logits)
  local cosines = { maps.objectness, maps.personness, maps.backgroundness }
  if not cosines[3] then
    refuse "predict: expected a model with a mean embedding of the background, found none: train again"
  end
  local top, parts = metrics.union(cosines), {}
  for k, cosine in ipairs(cosines) do parts[k] = ((cosine - top) * scale_of_logits):exp() end
  local either = parts[1] + parts[2]
  local sum = either + parts[3]
  return parts[1] / sum, parts[2] / sum, either / sum
end

--- What the thresholds of object, hand and pair apply to, by how.score: "cosine" (pair: the larger), "difference" of
--- the two cosines (pair: the larger cosine), or "posterior", probabilities of the classes (how.scale: of the logits).
function predict.scores(maps, how)
  if how.score == "posterior" then return posterior(maps, how.scale) end
  local object, person = maps.objectness, maps.personness
  local either = metrics.union { object, person }
  if how.score == "difference" then return object - person, person - object, either end
  return object, person, either
end

local function check(image, queries)
  local height, width, channels = table.unpack(tensor.is_tensor(image) and image.shape or {})
  if channels ~= 3 or #image.shape ~= 3 or image.dtype ~= "uint8" then
    refuse("predict: expected a uint8 image HxWx3, found %s", tensor.is_tensor(image)
      and image.dtype .. " " .. table.concat(image.shape, "x") or type(image))
  end
  if type(queries) ~= "table" then refuse("predict: expected a list of queries {x, y}, found a %s", type(queries)) end
  for k, query in ipairs(queries) do
    local x, y = table.unpack(type(query) == "table" and query or {}, 1, 2)
    if type(x) ~= "number" or type(y) ~= "number" then refuse("predict: expected query %d as {x, y}, found none", k) end
    if not (x >= -0.5 and y >= -0.5 and x < width - 0.5 and y < height - 0.5) then
      refuse("predict: query %d: expected a point inside the image of %d x %d, found %g, %g", k, width, height, x, y)
    end
  end
end

--- model:predict(image, {{x, y}, …}): a list, one entry per query, of attention, objectness, personness (float H×W)
--- and the masks hand, object, pair, contact (uint8 H×W, 0 or 1), all at the image's own resolution. `image` is uint8
--- H×W×3, queries in its pixels. Options: thresholds = { object = {θ₁, θ₂}, hand = {θ₃, θ₄} }; size, of the network's;
--- zoom, closeness: see predict.maps.
function predict.predict(model, image, queries, options)
  options_of.known("predict", options, { thresholds = true, size = true, zoom = true, closeness = true,
    attention_only = true })
  check(image, queries)
  if options and options.zoom then options_of.within("predict", "zoom", options.zoom, 1, 8) end
  if options and options.closeness then options_of.within("predict", "closeness", options.closeness, 0, 8) end
  local thresholds = options and options.thresholds or model.thresholds
  options_of.expect("predict", "thresholds table?", thresholds)
  if not (thresholds and thresholds.object and thresholds.hand) then
    refuse "predict: expected thresholds = { object = {…}, hand = {…} } or a calibrated model, found none"
  end
  options_of.expect("predict: thresholds", "object numbers, hand numbers, pair numbers?", thresholds.object,
    thresholds.hand, thresholds.pair)
  return tensor.tidy(function()
    local maps = predict.maps(model, image, queries, options)
    local height, width = image.shape[1], image.shape[2]
    local function own(map) return metrics.resize(map, width, height) end
    local how = model.calibration or {}
    local object_score, hand_score, pair_score = predict.scores(maps, how)
    object_score, hand_score, pair_score = own(object_score), own(hand_score), thresholds.pair and own(pair_score)
    local objectness, personness, list = own(maps.objectness), own(maps.personness), {}
    for k, attention in ipairs(maps.attention) do
      attention = own(attention)
      local function mask(score, t) return refine.mask(image, score, attention, { t[1], t[2] or -1, t[3] }, how) end
      local hand, object = mask(hand_score, thresholds.hand), mask(object_score, thresholds.object)
      local pair = pair_score and mask(pair_score, thresholds.pair) or metrics.union { hand, object }
      list[k] = setmetatable({ attention = attention, objectness = objectness, personness = personness, hand = hand,
        object = object, pair = pair, contact = metrics.contact(hand, object) }, Prediction)
    end
    return setmetatable(list, Prediction)
  end)
end

return predict
