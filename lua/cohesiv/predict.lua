--- model:predict: one image, any number of query points, one forward pass.
--
--   image → scaled to the recipe's size → Z, Q, K → attention a = clamp(q·K, 0, 1) per query, objectness o and
--   personness p = cosines of Z with the stored means → brought to the image's own resolution → thresholds → masks
--
-- Means, thresholds and size are the model's `calibration` (see calibrate.lua). Training is not here.

local core = require "cohesiv.core".metrics
local image_part = require "cohesiv.image"
local metrics = require "cohesiv.metrics"
local tensor = require "cohesiv.tensor"

local predict = {}

local function fail(format, ...) error(("predict: " .. format):format(...), 0) end

local function calibration_of(model)
  local calibration = rawget(model, "calibration")
  if not calibration or not calibration.object or not calibration.person then
    fail("expected a model with mean embeddings (train or calibrate it first), found none")
  end
  return calibration
end

--- Maps at the network's resolution: { scale, attention = by query, objectness, personness, Z }, all float H×W;
--- `scale` is map pixels per image pixel. Queries are { x, y } in the image's pixels.
function predict.maps(model, image, queries, options)
  local calibration = options and options.attention_only and {} or calibration_of(model)
  local size = options and options.size or calibration.size or { 448, 256 }
  local fitted, scale = image_part.fit(image, size)
  local out = tensor.no_grad(model.forward, model, fitted)
  local maps = { scale = scale, attention = {}, Z = out.Z }
  local height, width = out.Q.shape[1], out.Q.shape[2]
  for k, query in ipairs(queries) do
    local function place(at, n) return math.max(1, math.min(n, math.floor((at + 0.5) * scale - 0.5 + 0.5) + 1)) end
    local x, y = place(query[1], width), place(query[2], height)
    maps.attention[k] = core.project(out.K, out.Q[y][x]):clamp(0, 1)
  end
  if calibration.object then
    maps.objectness = core.project(out.Z, calibration.object, true)
    maps.personness = core.project(out.Z, calibration.person, true)
  end
  return maps
end

--- What the thresholds of object and hand apply to: the cosines, or their differences.
function predict.scores(maps, score)
  if score ~= "difference" then return maps.objectness, maps.personness end
  return maps.objectness - maps.personness, maps.personness - maps.objectness
end

local function check(image, queries)
  if not tensor.is_tensor(image) or image.dtype ~= "uint8" or #image.shape ~= 3 or image.shape[3] ~= 3 then
    fail("expected a uint8 image HxWx3, found %s", tensor.is_tensor(image) and
      image.dtype .. " " .. table.concat(image.shape, "x") or type(image))
  end
  if type(queries) ~= "table" then fail("expected a list of queries {x, y}, found a %s", type(queries)) end
  for k, query in ipairs(queries) do
    local x, y = type(query) == "table" and query[1], type(query) == "table" and query[2]
    if type(x) ~= "number" or type(y) ~= "number" then fail("expected query %d as {x, y}, found none", k) end
    if not (x >= -0.5 and y >= -0.5 and x < image.shape[2] - 0.5 and y < image.shape[1] - 0.5) then
      fail("query %d: expected a point inside the image of %d x %d, found %g, %g", k, image.shape[2], image.shape[1],
        x, y)
    end
  end
end

--- model:predict(image, {{x, y}, …}): a list, one entry per query, of attention, objectness, personness (float H×W)
--- and the masks hand, object, pair, contact (uint8 H×W, 0 or 1), all at the image's own resolution. `image` is uint8
--- H×W×3, queries are in its pixels. Options: thresholds = { object = {θ₁, θ₂}, hand = {θ₃, θ₄} } instead of
--- the stored ones; size = { width, height } of the network's input.
function predict.predict(model, image, queries, options)
  check(image, queries)
  local calibration = calibration_of(model)
  local thresholds = options and options.thresholds or calibration.thresholds
  if not thresholds or not thresholds.object or not thresholds.hand then
    fail("expected thresholds = { object = {…}, hand = {…} } or a calibrated model, found none")
  end
  return tensor.tidy(function()
    local maps = predict.maps(model, image, queries, options)
    local height, width = image.shape[1], image.shape[2]
    local function own(map) return metrics.resize(map, width, height, maps.scale) end
    local objectness, personness = own(maps.objectness), own(maps.personness)
    local object_score, hand_score = objectness, personness
    if calibration.score == "difference" then
      object_score, hand_score = objectness - personness, personness - objectness
    end
    local list = {}
    for k in ipairs(queries) do
      local attention = own(maps.attention[k])
      local function mask(score, t) return metrics.over(score, t[1], attention, t[2] or -1) end
      local hand, object = mask(hand_score, thresholds.hand), mask(object_score, thresholds.object)
      local pair = metrics.union { hand, object }
      if thresholds.pair then
        pair = mask(metrics.union { objectness, personness }, thresholds.pair)
      end
      list[k] = { attention = attention, objectness = objectness, personness = personness, hand = hand,
                  object = object, pair = pair, contact = metrics.contact(hand, object) }
    end
    return list
  end)
end

return predict
