--- Pictures of what the house computes, as uint8 H×W×3 tensors: maps in viridis, flow on the Middlebury wheel, masks
-- over images in the paper's colours (hand green, object blue, overlap cyan, all masks red), embeddings as their
-- three principal components. `viz.picture` knows which of these suits a value. Nothing is read or written here; the
-- panels of the paper's figures are in panel.lua, the terminal in show.lua.

local core = require "cohesiv.core"
local options_of = require "cohesiv.base.options"
local tensor = require "cohesiv.tensor"
local error = core.error -- a line, whatever it quotes

local paint = core.picture

local viz = {}

--- The paper's colours, 0 … 255 red, green, blue.
viz.colors = {
  hand = { 0, 200, 0 }, object = { 30, 80, 255 }, overlap = { 0, 220, 220 }, all = { 230, 20, 20 },
  query = { 255, 60, 160 },
}

local function text_of(x)
  if not core.is_tensor(x) then return "a " .. type(x) end
  return ("%s %s"):format(x.dtype, table.concat(x.shape, "x"))
end

local function check(x, name, want, rank, channels)
  if not core.is_tensor(x) or #x.shape ~= rank or (channels and x.shape[rank] ~= channels) then
    error(("%s: expected %s, found %s"):format(name, want, text_of(x)), 0)
  end
  return x:detach()
end

local function real(x) return x.dtype == "float32" and x or x:to "float32" end

local read = options_of.read
local DEPTH = 16 -- of lists of masks

local function check_color(what, color)
  options_of.expect(what, "color numbers", color)
  if #color ~= 3 then error(("%s: color: expected { red, green, blue }, found %d numbers"):format(what, #color), 0) end
  return color
end

--- viridis(map, { low, high }): a map H×W in colours. Default range: 0 to 1 where the map stays within, else its own.
function viz.viridis(map, options)
  map = real(check(map, "viridis", "a map HxW", 2))
  local o = read("viridis", options, { low = options_of.optional "number", high = options_of.optional "number" })
  local low, high = o.low, o.high
  if not low or not high then
    local smallest, largest = 0, 1
    if map.shape[1] * map.shape[2] > 0 then
      smallest, largest = map:min():item(), map:max():item()
    end
    local unit = smallest >= 0 and largest <= 1
    low, high = low or (unit and 0 or smallest), high or (unit and 1 or largest)
  end
  return paint.viridis(map, low, high)
end

--- flow_color(flow, { full }): a flow H×W×2 on the colour wheel: co.flow.color.
viz.flow_color = require("cohesiv.motion.flow").color

-- A mask as uint8: anything but 0 counts.
local function mask_of(x, name)
  x = check(x, name, "a mask HxW", 2)
  return x.dtype == "uint8" and x or core.ops.ne.call(x, 0)
end

local function tint(image, mask, color, alpha, other, want)
  return paint.tint(image, mask, color[1], color[2], color[3], alpha, other, want)
end

-- One picture with a hand and what it holds; either may be missing.
local function tint_pair(image, hand, object, alpha)
  local c = viz.colors
  hand, object = hand and mask_of(hand, "overlay: hand"), object and mask_of(object, "overlay: object")
  if hand then image = tint(image, hand, c.hand, alpha, object, false) end
  if object then image = tint(image, object, c.object, alpha, hand, false) end
  if hand and object then image = tint(image, hand, c.overlap, alpha, object, true) end
  return image
end

--- overlay(image, masks, { alpha = 0.6, color }): masks over an image uint8 H×W×3. `masks` is one mask H×W (red, or
-- `color` = { r, g, b }), a table with `hand` and `object` such as a prediction (green, blue, both cyan), or a list of
-- such tables and masks.
function viz.overlay(image, masks, options)
  image = check(image, "overlay", "a uint8 image HxWx3", 3, 3)
  if image.dtype ~= "uint8" then error("overlay: expected a uint8 image HxWx3, found " .. text_of(image), 0) end
  local o = read("overlay", options, { alpha = 0.6, color = viz.colors.all })
  local alpha, color = o.alpha, check_color("overlay", o.color)
  local function add(entry, depth)
    if depth > DEPTH then error(("overlay: expected masks in at most %d lists, found more"):format(DEPTH), 0) end
    if core.is_tensor(entry) then
      image = tint(image, mask_of(entry, "overlay"), color, alpha)
    elseif type(entry) == "table" and (entry.hand or entry.object) then
      image = tint_pair(image, entry.hand, entry.object, alpha)
    elseif type(entry) == "table" then
      for _, inner in ipairs(entry) do add(inner, depth + 1) end
    else
      error(("overlay: expected masks, found a %s"):format(type(entry)), 0)
    end
  end
  add(masks, 1)
  return image
end

--- points(image, {{x, y}, …}, { radius = 5, color }): query points as discs.
function viz.points(image, points, options)
  image = check(image, "points", "a uint8 image HxWx3", 3, 3)
  local o = read("points", options, { radius = 5, color = viz.colors.query })
  local color = check_color("points", o.color)
  options_of.expect("points", "points list", points)
  for k, point in ipairs(points) do
    options_of.expect("points", ("points.%d list"):format(k), point)
    image = paint.disc(image, point[1], point[2], o.radius, color[1], color[2], color[3])
  end
  return image
end

-- The three leading eigenvectors of a symmetric matrix (rows as tables) by orthogonal iteration, each with its largest
-- entry positive; and their eigenvalues.
local function leading(matrix)
  local n, vectors, values = #matrix, {}, {}
  for k = 1, 3 do
    vectors[k] = {}
    for i = 1, n do vectors[k][i] = (i % 3 == k % 3 and 1 or 0) + 0.01 * i / n end
  end
  for _ = 1, 60 do
    for k = 1, 3 do
      local v, out = vectors[k], {}
      for i = 1, n do
        local row, sum = matrix[i], 0
        for j = 1, n do sum = sum + row[j] * v[j] end
        out[i] = sum
      end
      for l = 1, k - 1 do -- Gram-Schmidt
        local u, dot = vectors[l], 0
        for i = 1, n do dot = dot + u[i] * out[i] end
        for i = 1, n do out[i] = out[i] - dot * u[i] end
      end
      local norm = 0
      for i = 1, n do norm = norm + out[i] * out[i] end
      norm = math.sqrt(norm)
      values[k] = norm
      if norm > 1e-20 then
        for i = 1, n do out[i] = out[i] / norm end
        vectors[k] = out
      end
    end
  end
  for k = 1, 3 do
    local at = 1
    for i = 2, n do
      if math.abs(vectors[k][i]) > math.abs(vectors[k][at]) then at = i end
    end
    if vectors[k][at] < 0 then
      for i = 1, n do vectors[k][i] = -vectors[k][i] end
    end
  end
  return vectors, values
end

--- pca(Z): an embedding H×W×C as its three principal components, z-scored, in red, green and blue: the mean is mid
-- grey, two standard deviations reach black and white.
function viz.pca(Z)
  Z = real(check(Z, "pca", "an embedding HxWxC", 3))
  local height, width, channels = table.unpack(Z.shape)
  local n = height * width
  if n == 0 or channels < 3 then error("pca: expected pixels of 3 channels or more, found " .. text_of(Z), 0) end
  return tensor.tidy(function()
    local rows = Z:reshape { n, channels }
    local centred = rows - rows:mean(1)
    local covariance = core.ops.matmul.call(centred:transpose(1, 2), centred) / n
    local vectors, values = leading(covariance:totable())
    local scale = {} -- channels × 3: direction over its standard deviation
    for i = 1, channels do
      scale[i] = {}
      for k = 1, 3 do
        scale[i][k] = values[k] > 1e-12 and vectors[k][i] / math.sqrt(values[k]) * 255 / 4 or 0
      end
    end
    local colors = core.ops.matmul.call(centred, tensor.tensor(scale)) + 127.5
    return (colors:clamp(0, 255) + 0.5):to "uint8":reshape { height, width, 3 }
  end)
end

--- grid(list, columns, { gap = 4, ground = 255 }): pictures row by row, each in a cell as large as the largest one.
-- Entries may be anything that viz.picture knows; `false` leaves its cell empty.
function viz.grid(list, columns, options)
  options_of.expect("grid", "list list, columns integer?", list, columns)
  local o = read("grid", options, { gap = 4, ground = 255 })
  local gap, ground = options_of.whole("grid", "gap", o.gap, 0, 4096), o.ground
  columns = math.tointeger(math.min(columns or #list, #list))
  if #list == 0 or columns < 1 then
    error("grid: expected pictures and a number of columns, found none", 0)
  end
  local pictures, height, width = {}, 0, 0
  for i, entry in ipairs(list) do
    pictures[i] = entry and viz.picture(entry)
    if entry then
      height, width = math.max(height, pictures[i].shape[1]), math.max(width, pictures[i].shape[2])
    end
  end
  local entries = {}
  for i, picture in ipairs(pictures) do
    local row, column = (i - 1) // columns, (i - 1) % columns
    if picture then entries[#entries + 1] = { picture, row * (height + gap), column * (width + gap) } end
  end
  local rows = (#list + columns - 1) // columns
  return paint.paste(entries, rows * (height + gap) - gap, columns * (width + gap) - gap, ground)
end

-- Grey levels, or a mask of 0 and 1 as black and white.
local function grey(x)
  local mask = x.shape[1] * x.shape[2] == 0 or x:to("float32"):max():item() <= 1
  local black = paint.paste({}, x.shape[1], x.shape[2], 0)
  if mask then return tint(black, x, { 255, 255, 255 }, 1) end
  local height, width = x.shape[1], x.shape[2]
  return x:reshape({ height, width, 1 }):expand { height, width, 3 }
end

local function picture_of_tensor(x)
  local rank, channels = #x.shape, x.shape[#x.shape]
  local size = 1
  for d = 1, rank do size = size * x.shape[d] end
  if size == 0 or rank < 2 or rank > 4 then return nil end
  if rank == 4 or (rank == 3 and channels == 1) then
    local list = {}
    if rank == 3 then return viz.picture(x:reshape { x.shape[1], x.shape[2] }) end
    for i = 1, x.shape[1] do list[i] = viz.picture(x[i]) end
    return viz.grid(list, math.ceil(math.sqrt(#list)))
  end
  if x.dtype == "uint8" then
    if rank == 2 then return grey(x) end
    return channels == 3 and x or nil
  end
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

--- picture(x): the picture that suits x, uint8 H×W×3: images, masks and maps H×W, flows H×W×2, float RGB H×W×3 of
-- 0 … 1, embeddings H×W×C, batches of these, a responsibility R, a prediction or a list of them.
function viz.picture(x)
  local picture
  if core.is_tensor(x) then
    picture = picture_of_tensor(x:detach())
  elseif type(x) == "table" then
    picture = picture_of_table(x)
  end
  if not picture then
    error(("picture: expected an image, map, flow, responsibility or prediction, found %s"):format(text_of(x)), 0)
  end
  return picture
end

return viz
