--- Pictures of what the house computes, as uint8 H×W×3 tensors: maps in viridis, flow on the Middlebury wheel, masks
-- over images in the paper's colours, embeddings as their principal components. `viz.picture` knows which of these
-- suits a value. Nothing is read or written here; the paper's panels are in panel.lua, the terminal in show.lua.
local core = require "cohesiv.core"
local options_of = require "cohesiv.base.options"
local tensor = require "cohesiv.tensor"

local paint, read = core.picture, options_of.read

local viz = {}

--- The paper's colours, 0 … 255 red, green, blue.
viz.colors = {
  hand = { 0, 200, 0 }, object = { 30, 80, 255 }, overlap = { 0, 220, 220 }, all = { 230, 20, 20 },
  query = { 255, 60, 160 },
}

local DEPTH = 16 -- of lists of masks
local NUMBER = options_of.optional "number"
local UNIT = { low = 0, high = 1 }

local function is_color(x) return type(x) == "table" and rawlen(x) == 3 end
local function color_rule(default) return options_of.rule(default, "{ red, green, blue }", is_color) end

local function text_of(x)
  return core.is_tensor(x) and ("%s %s"):format(x.dtype, table.concat(x.shape, "x")) or "a " .. type(x)
end

-- x, which must be a tensor of this rank, and of so many channels and this dtype where they are given.
local function check(x, name, want, rank, channels, dtype)
  if not core.is_tensor(x) or #x.shape ~= rank or (channels or x.shape[rank]) ~= x.shape[rank]
    or (dtype or x.dtype) ~= x.dtype then
    core.refuse("%s: expected %s, found %s", name, want, text_of(x))
  end
  return x:detach()
end

local function check_image(x, name) return check(x, name, "a uint8 image HxWx3", 3, 3, "uint8") end

local function real(x) return x:to "float32" end

--- viridis(map, { low, high }): a map H×W in colours. Default range: 0 to 1 where the map stays within, else its own.
function viz.viridis(map, options)
  map = real(check(map, "viridis", "a map HxW", 2))
  local o = read("viridis", options, { low = NUMBER, high = NUMBER })
  local low, high = 0, 1
  if not (o.low and o.high) and map:numel() > 0 then
    low, high = map:min():item(), map:max():item()
    if low >= 0 and high <= 1 then low, high = 0, 1 end
  end
  return paint.viridis(map, o.low or low, o.high or high)
end

--- flow_color(flow, { full }): a flow H×W×2 on the colour wheel: co.flow.color.
viz.flow_color = require("cohesiv.motion.flow").color

-- A mask as uint8: anything but 0 counts.
local function mask_of(x, name)
  x = check(x, name, "a mask HxW", 2)
  return x.dtype == "uint8" and x or core.ops.ne.call(x, 0)
end

-- The image under a mask in a colour; where another mask is given, only where that one is 0, or (want) where it is not.
local function tint(image, mask, color, alpha, other, want)
  return paint.tint(image, mask, color[1], color[2], color[3], alpha, other, want)
end

--- overlay(image, masks, { alpha = 0.6, color }): masks over an image uint8 H×W×3: one mask H×W (red, or `color` = { r,
-- g, b }), a table with `hand` and `object` such as a prediction (green, blue, both cyan), or a list of such.
function viz.overlay(image, masks, options)
  image = check_image(image, "overlay")
  local o = read("overlay", options, { alpha = 0.6, color = color_rule(viz.colors.all) })
  local function add_pair(hand, object)
    hand, object = hand and mask_of(hand, "overlay: hand"), object and mask_of(object, "overlay: object")
    if hand then image = tint(image, hand, viz.colors.hand, o.alpha, object, false) end
    if object then image = tint(image, object, viz.colors.object, o.alpha, hand, false) end
    if hand and object then image = tint(image, hand, viz.colors.overlap, o.alpha, object, true) end
  end
  local function add(entry, depth)
    if depth > DEPTH then core.refuse("overlay: expected masks in at most %d lists, found more", DEPTH) end
    if core.is_tensor(entry) then
      image = tint(image, mask_of(entry, "overlay"), o.color, o.alpha)
    elseif type(entry) ~= "table" then
      core.refuse("overlay: expected masks, found a %s", type(entry))
    elseif entry.hand or entry.object then
      add_pair(entry.hand, entry.object)
    else
      for _, inner in ipairs(entry) do add(inner, depth + 1) end
    end
  end
  add(masks, 1)
  return image
end

--- points(image, {{x, y}, …}, { radius = 5, color }): query points as discs.
function viz.points(image, points, options)
  image = check_image(image, "points")
  local o = read("points", options, { radius = 5, color = color_rule(viz.colors.query) })
  options_of.expect("points", "points list", points)
  for k, point in ipairs(points) do
    options_of.expect("points", ("points.%d list"):format(k), point)
    image = paint.disc(image, point[1], point[2], o.radius, table.unpack(o.color, 1, 3))
  end
  return image
end

--- pca(Z): an embedding H×W×C as its three principal components, z-scored, in red, green and blue: the mean is mid
-- grey, two standard deviations reach black and white. The largest entry of each component's axis is positive.
function viz.pca(Z)
  Z = real(check(Z, "pca", "an embedding HxWxC", 3))
  local height, width, channels = table.unpack(Z.shape)
  local n = height * width
  if n == 0 or channels < 3 then core.refuse("pca: expected pixels of 3 channels or more, found %s", text_of(Z)) end
  return tensor.tidy(function()
    local rows = Z:reshape { n, channels }
    local centred = rows - rows:mean(1)
    local covariance = core.ops.matmul.call(centred:transpose(1, 2), centred) / n
    local vectors, values = paint.axes(covariance:to "float64")
    local axes = {}
    for k = 1, 3 do -- over their standard deviations
      local _, largest = vectors[k]:abs():max(1)
      local gain = values[k] > 1e-12 and 255 / 4 / math.sqrt(values[k]) or 0
      axes[k] = vectors[k] * (vectors[k][largest:item()] < 0 and -gain or gain)
    end
    local colors = core.ops.matmul.call(centred, real(tensor.stack(axes, 2))) + 127.5
    return (colors:clamp(0, 255) + 0.5):to "uint8":reshape { height, width, 3 }
  end)
end

--- grid(list, columns, { gap = 4, ground = 255 }): pictures row by row, each in a cell as large as the largest one.
-- Entries may be anything that viz.picture knows; `false` leaves its cell empty.
function viz.grid(list, columns, options)
  options_of.expect("grid", "list list, columns integer?", list, columns)
  local o = read("grid", options, { gap = options_of.integer(4, 0, 4096), ground = 255 })
  columns = math.tointeger(math.min(columns or #list, #list))
  if #list == 0 or columns < 1 then core.refuse "grid: expected pictures and a number of columns, found none" end
  local entries, height, width = {}, 0, 0
  for i, entry in ipairs(list) do
    local picture = entry and viz.picture(entry)
    if picture then
      height, width = math.max(height, picture.shape[1]), math.max(width, picture.shape[2])
      entries[#entries + 1] = { picture, (i - 1) // columns, (i - 1) % columns }
    end
  end
  local down, across = height + o.gap, width + o.gap
  for _, entry in ipairs(entries) do entry[2], entry[3] = entry[2] * down, entry[3] * across end
  local rows = (#list + columns - 1) // columns
  return paint.paste(entries, rows * down - o.gap, columns * across - o.gap, o.ground)
end

local function black(height, width) return paint.paste({}, height, width, 0) end

-- Grey levels, or a mask of 0 and 1 as black and white.
local function grey(x)
  local height, width = x.shape[1], x.shape[2]
  if real(x):max():item() <= 1 then return tint(black(height, width), x, { 255, 255, 255 }, 1) end
  return x:reshape({ height, width, 1 }):expand { height, width, 3 }
end

local function picture_of_tensor(x)
  local shape, rank = x.shape, #x.shape
  local channels = shape[rank]
  if rank < 2 or rank > 4 or math.min(table.unpack(shape)) == 0 then return nil end
  if rank == 4 then
    local list = {}
    for i = 1, shape[1] do list[i] = viz.picture(x[i]) end
    return viz.grid(list, math.ceil(math.sqrt(#list)))
  end
  if rank == 3 and channels == 1 then return picture_of_tensor(x:select(3, 1)) end
  if x.dtype == "uint8" then return rank == 2 and grey(x) or channels == 3 and x or nil end
  if rank == 2 then return viz.viridis(x) end
  if channels == 2 then return viz.flow_color(x) end
  if channels == 3 then return (real(x) * 255 + 0.5):clamp(0, 255):to "uint8" end
  return viz.pca(x)
end

local function is_map(x) return core.is_tensor(x) and #x.shape == 2 end

local function is_prediction(x)
  return type(x) == "table" and is_map(rawget(x, "attention")) and is_map(rawget(x, "hand"))
end

-- The picture of a responsibility, of a prediction or of a list of predictions; nil for other tables.
local function picture_of_table(x)
  local cells = {}
  if is_prediction(x) then x = { x } end
  if is_prediction(rawget(x, 1)) then
    for i, p in ipairs(x) do
      if not is_prediction(p) then
        core.refuse("picture: entry %d: expected a prediction, found %s", i, core.text(p))
      end
      cells[2 * i - 1] = viz.viridis(p.attention, UNIT)
      cells[2 * i] = viz.overlay(black(p.hand.shape[1], p.hand.shape[2]), p, { alpha = 1 })
    end
    return viz.grid(cells, 2)
  elseif options_of.named "responsibility"(x) then
    for k = 1, x.map.shape[3] do cells[k] = viz.viridis(x.map:select(3, k), UNIT) end
    return viz.grid(cells)
  end
end

--- picture(x): the picture that suits x, uint8 H×W×3: images, masks and maps H×W, flows H×W×2, float RGB H×W×3 of
-- 0 … 1, embeddings H×W×C, batches of these, a responsibility R, a prediction or a list of them.
function viz.picture(x)
  local picture = core.is_tensor(x) and picture_of_tensor(x:detach()) or type(x) == "table" and picture_of_table(x)
  return picture
    or core.refuse("picture: expected an image, map, flow, responsibility or prediction, found %s", text_of(x))
end

return viz
