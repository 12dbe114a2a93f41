--- The panels of the paper's figures: what a responsibility is made of (Figure 2), and what the network answers for an
-- image and its query points (the qualitative figures). Rows and columns only; colours are viz.lua's.
local core = require "cohesiv.core"
local metrics = require "cohesiv.hands.metrics"
local viz = require "cohesiv.tools.viz"

local panel = {}

local UNIT = { low = 0, high = 1 }

--- predictions({ image, queries, predictions, Z, scale }): a row a query: the image with the query point, the
-- embedding's principal components (where Z is given, at `scale` map pixels per image pixel), attention, the hand in
-- green, the object in blue; last the image with all masks in red.
function panel.predictions(of)
  local image, cells, masks, embedding = of.image, {}, {}, nil
  local height, width = image.shape[1], image.shape[2]
  if of.Z then
    local scale = of.scale or 1
    embedding = core.io.resample(viz.pca(of.Z), 1 / scale, 1 / scale, width, height, width, height)
  end
  for _, p in ipairs(of.predictions) do table.move({ p.hand, p.object }, 1, 2, #masks + 1, masks) end
  local all = viz.overlay(image, metrics.union(masks))
  for k, prediction in ipairs(of.predictions) do
    cells[#cells + 1] = viz.points(image, { of.queries[k] }, { radius = math.max(3, width / 90) })
    cells[#cells + 1] = embedding
    cells[#cells + 1] = viz.viridis(prediction.attention, UNIT)
    cells[#cells + 1] = viz.overlay(image, prediction)
    cells[#cells + 1] = all
  end
  return viz.grid(cells, embedding and 5 or 4)
end

--- responsibility(R, { image }): a row a hand and one for the background: the image with the vertices (where given),
-- the flow of the first gap, the distance to the motion of that hand at that gap (dark is near), and the map.
function panel.responsibility(R, options)
  local image, count, cells = options and options.image, R.map.shape[3], {}
  local flow, residuals = viz.flow_color(R.flows[1]), R.residuals[1]
  for k = 1, count do
    local hand = k < count and R.scene.hands[k] -- the last is the background
    local marks = hand and { radius = 1, color = viz.colors.hand }
    cells[#cells + 1] = image and hand and viz.points(image, hand:totable(), marks) or image
    cells[#cells + 1] = flow
    cells[#cells + 1] = viz.viridis(residuals:select(3, k):clamp(0, 8), { low = 0, high = 8 })
    cells[#cells + 1] = viz.viridis(R.map:select(3, k), UNIT)
  end
  return viz.grid(cells, image and 4 or 3)
end

return panel
