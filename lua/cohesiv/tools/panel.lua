--- The panels of the paper's figures: what a responsibility is made of (Figure 2), and what the network answers for an
-- image and its query points (the qualitative figures). Rows and columns only; colours are viz.lua's.
local core = require "cohesiv.core"
local metrics = require "cohesiv.hands.metrics"
local viz = require "cohesiv.tools.viz"
local panel = {}

local UNIT = { low = 0, high = 1 }

--- predictions({ image, queries, predictions, Z, scale }): a row a query: the image with the point, the embedding's
-- principal components (Z has `scale` pixels per image pixel), attention, hand (green) and object (blue), all in red.
function panel.predictions(of)
  local image, cells, masks = of.image, {}, {}
  local height, width = image.shape[1], image.shape[2]
  local embedding = core.io.resample(viz.pca(of.Z), 1 / of.scale, 1 / of.scale, width, height, width, height)
  for _, p in ipairs(of.predictions) do table.move({ p.hand, p.object }, 1, 2, #masks + 1, masks) end
  local all = viz.overlay(image, metrics.union(masks))
  for k, prediction in ipairs(of.predictions) do
    local point = viz.points(image, { of.queries[k] }, { radius = math.max(3, width / 90) })
    local row = { point, embedding, viz.viridis(prediction.attention, UNIT), viz.overlay(image, prediction), all }
    table.move(row, 1, 5, #cells + 1, cells)
  end
  return viz.grid(cells, 5)
end

--- responsibility(R, image): a row a hand and one for the background: the image with the vertices, the flow of the
-- first gap, the distance to the motion of that hand at that gap (dark is near), and the map.
function panel.responsibility(R, image)
  local count, cells = R.map.shape[3], {}
  local flow, residuals = viz.flow_color(R.flows[1]), R.residuals[1]
  for k = 1, count do
    local hand = k < count and R.scene.hands[k] -- the last is the background
    local marked = hand and viz.points(image, hand:totable(), { radius = 1, color = viz.colors.hand }) or image
    local distance = viz.viridis(residuals:select(3, k):clamp(0, 8), { low = 0, high = 8 })
    table.move({ marked, flow, distance, viz.viridis(R.map:select(3, k), UNIT) }, 1, 4, #cells + 1, cells)
  end
  return viz.grid(cells, 4)
end

return panel
