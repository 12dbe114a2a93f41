--- The panels of the paper's figures: what a responsibility is made of (Figure 2), and what the network answers for an
-- image and its query points (the qualitative figures). Rows and columns only; colours are viz.lua's.

local core = require "cohesiv.core"
local viz = require "cohesiv.tools.viz"

local panel = {}

local function is_map(x) return core.is_tensor(x) and #x.shape == 2 end

local function is_prediction(x)
  return type(x) == "table" and is_map(rawget(x, "attention")) and is_map(rawget(x, "hand"))
end

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

--- of_table(x): the picture of a responsibility, of a prediction or of a list of predictions; nil for other tables.
function panel.of_table(x)
  if is_prediction(x) then x = { x } end
  if is_prediction(rawget(x, 1)) then
    local cells = {}
    for i, p in ipairs(x) do
      if not is_prediction(p) then
        error(("picture: entry %d: expected a prediction, found %s"):format(i, core.text(p)), 0)
      end
      local black = core.picture.paste({}, p.hand.shape[1], p.hand.shape[2], 0)
      cells[#cells + 1] = viz.viridis(p.attention, { low = 0, high = 1 })
      cells[#cells + 1] = viz.overlay(black, p, { alpha = 1 })
    end
    return viz.grid(cells, 2)
  end
  local meta = getmetatable(x)
  if type(meta) == "table" and meta.__name == "responsibility" then
    local cells = {}
    for k = 1, x.map.shape[3] do cells[k] = viz.viridis(x.map:select(3, k), { low = 0, high = 1 }) end
    return viz.grid(cells, #cells)
  end
end

return panel
