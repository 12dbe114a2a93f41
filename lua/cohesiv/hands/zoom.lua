--- A second look at each query: the picture `zoom` times as large, seen through a window of the network's size around
-- it. What is small gets more pixels there, and its surroundings are still known from the first look: where a window
-- has looked, maps are the mean of both, fading out towards the window's border.
local core = require "cohesiv.core"
local scale = require "cohesiv.motion.scale"
local tensor = require "cohesiv.tensor"
local M = {}

local SHARE = 0.5 -- of the window in the mean
local FADE = 1 / 6 -- of the window's width or height, at borders that are not the picture's

-- Weights along a side of n blocks; first, last: whether it ends where the picture does.
local function fading(n, first, last)
  local at, width = tensor.arange(n), math.max(1, n * FADE)
  local one = tensor.ones(n)
  return (first and one or ((at + 1) / width):clamp(0, 1)) * (last and one or ((n - at) / width):clamp(0, 1))
end

-- The blocks of a side that a window of n of them begins behind, around a point, in a picture of `all`.
local function start(at, n, all) return math.max(0, math.min(all - n, math.floor(at - n / 2 + 0.5))) end

--- maps(first, look, image, queries, { zoom, size, stride }): the maps `first` of one look (see predict.maps) with
-- those of a second one at every query, `zoom` times as large; look(picture, points, content) → maps of a picture at
-- the network's scale, of which content = { width, height } is no padding.
function M.maps(first, look, image, queries, o)
  local stride, from = o.stride, scale.of(image.shape[2], image.shape[1], o.size)
  local columns, rows = math.ceil(o.size[1] / stride), math.ceil(o.size[2] / stride) -- of a window, in blocks
  local all = { math.floor(columns * o.zoom + 0.5), math.floor(rows * o.zoom + 0.5) }
  local sc = scale.of(image.shape[2], image.shape[1], { all[1] * stride, all[2] * stride })
  local larger, picture = sc.s / from.s, scale.picture(image, sc)
  local content = { math.ceil(sc.content_w / stride), math.ceil(sc.content_h / stride) }
  columns, rows = math.min(columns, content[1]), math.min(rows, content[2])
  local function enlarged(map) return core.io.resample(map, larger, larger, all[1], all[2], all[1], all[2]) end
  local maps = { attention = {}, scale = sc.s / stride }
  for name, map in pairs(first) do
    if core.is_tensor(map) then maps[name] = enlarged(map) end
  end
  for k, query in ipairs(scale.points(tensor.tensor(queries), sc):totable()) do
    local x, y = start(query[1] / stride, columns, content[1]), start(query[2] / stride, rows, content[2])
    local function part(of, by)
      return of:narrow(1, y * by + 1, rows * by):narrow(2, x * by + 1, columns * by)
    end
    local seen = look(part(picture, stride):contiguous(), { { query[1] - x * stride, query[2] - y * stride } },
      { columns * stride, rows * stride })
    local weight = fading(columns, x == 0, x + columns == content[1]):reshape(1, columns)
      * fading(rows, y == 0, y + rows == content[2]):reshape(rows, 1) * SHARE
    local function mix(map, new)
      local old, by = part(map, 1):contiguous(), #map.shape == 3 and weight:reshape(rows, columns, 1) or weight
      map[{ { y + 1, y + rows }, { x + 1, x + columns } }] = old + (new - old) * by
    end
    maps.attention[k] = enlarged(first.attention[k])
    mix(maps.attention[k], seen.attention[1])
    for name, map in pairs(seen) do
      if core.is_tensor(map) then mix(maps[name], map) end
    end
  end
  return maps
end

return M
