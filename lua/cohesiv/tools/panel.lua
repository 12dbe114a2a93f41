--- The panels of the paper's figures: what a responsibility is made of (Figure 2), and what the network answers for an
-- image and its query points (the qualitative figures). Rows and columns, and a frame
-- with the maps of its hands over it; colours of maps and masks are viz.lua's.
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

local COLORS = { { 255, 120, 20 }, { 30, 160, 255 }, { 230, 60, 220 }, { 120, 220, 40 } } -- of hands
local ALPHA = 0.7

--- content(R, t): of a map of R's size the pixels that show the image, without the padding.
function panel.content(R, t)
  local size = R.scene.content or R.size
  return t[{ { 1, size[2] }, { 1, size[1] } }]
end

--- overlay(R, picture, first = 1): the hands' maps over a picture of the whole frame, each in its colour; first: which
-- hand of the frame R's first is (0: 1).
function panel.overlay(R, picture, first)
  local height, width = picture.shape[1], picture.shape[2]
  for k = 1, #R.scene.hands do
    local map = panel.content(R, R.map:select(3, k))
    map = core.io.resample(map, width / map.shape[2], height / map.shape[1], width, height, width, height)
    local color = COLORS[(k - 1 + math.max(0, (first or 1) - 1)) % #COLORS + 1]
    picture = core.picture.blend(picture, map, color[1], color[2], color[3], ALPHA)
  end
  return picture
end

return panel
