--- The panels of the paper's figures: what a responsibility is made of (Figure 2), and what the network answers for an
-- image and its query points (the qualitative figures). Rows and columns only; colours are viz.lua's.

local core = require "cohesiv.core"
local viz = require "cohesiv.tools.viz"

local panel = {}

-- The union of the hand and object masks of predictions.
local function union(predictions)
  local all
  for _, p in ipairs(predictions) do
    for _, mask in ipairs { p.hand, p.object } do
      all = all and core.ops.maximum.call(all, mask:to "float32") or mask:to "float32"
    end
  end
  return all
end

--- predictions({ image, queries, predictions, Z, scale }): a row a query: the image with the query point, the
-- embedding's principal components (where Z is given, at `scale` map pixels per image pixel), attention, the hand in
-- green, the object in blue; last the image with all masks in red.
function panel.predictions(of)
  local image, rows = of.image, {}
  local height, width = image.shape[1], image.shape[2]
  local radius = math.max(3, width / 90)
  local embedding
  if of.Z then
    local scale = of.scale or 1
    embedding = core.io.resample(viz.pca(of.Z), 1 / scale, 1 / scale, width, height, width, height)
  end
  local all = viz.overlay(image, union(of.predictions))
  for k, prediction in ipairs(of.predictions) do
    rows[#rows + 1] = viz.points(image, { of.queries[k] }, { radius = radius })
    rows[#rows + 1] = embedding
    rows[#rows + 1] = viz.viridis(prediction.attention, { low = 0, high = 1 })
    rows[#rows + 1] = viz.overlay(image, prediction)
    rows[#rows + 1] = all
  end
  return viz.grid(rows, embedding and 5 or 4)
end

--- responsibility(R, { image, gap = 1 }): a row a hand and one for the background: the image with the vertices (where
-- given), the flow of one gap, the distance to the motion of that hand at that gap (dark is near), and the map.
function panel.responsibility(R, options)
  local image, gap = options and options.image, options and options.gap or 1
  local flow = viz.flow_color(R.flows[gap])
  local residuals, count, cells = R.residuals[gap], R.map.shape[3], {}
  for k = 1, count do
    if image then
      local marked = image
      if k < count then
        local points = {}
        for i, v in ipairs(R.scene.hands[k]:totable()) do points[i] = v end
        marked = viz.points(image, points, { radius = 1, color = viz.colors.hand })
      end
      cells[#cells + 1] = marked
    end
    cells[#cells + 1] = flow
    cells[#cells + 1] = viz.viridis(residuals:select(3, k):clamp(0, 8), { low = 0, high = 8 })
    cells[#cells + 1] = viz.viridis(R.map:select(3, k), { low = 0, high = 1 })
  end
  return viz.grid(cells, image and 4 or 3)
end

return panel
