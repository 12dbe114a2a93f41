--- Curves as text: lines of braille dots (two across and four down a character) between axes with numbers, as large as
-- asked for; every series in a colour of its own where colours are wanted. Not finite values leave gaps.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local M = {}

local COLORS = { 34, 33, 32, 35, 36, 31 } -- of terminals: blue, yellow, green, magenta, cyan, red
-- Unicode's braille, [x][y].
local DOTS = { [0] = { [0] = 0x01, 0x02, 0x04, 0x40 }, { [0] = 0x08, 0x10, 0x20, 0x80 } }

local function finite(x) return math.abs(x) < 1e300 end -- so that differences are, too

-- A tensor N, or a list of numbers, as a list of points { x, y }; nil for anything else.
local function points_of(x)
  local values = core.is_tensor(x) and #x.shape == 1 and x:detach():to("float64"):totable()
    or type(x) == "table" and not core.is_tensor(x) and getmetatable(x) == nil and x
  if not values or #values == 0 then return nil end
  local points = {}
  for i, value in ipairs(values) do
    local pair = type(value) == "table" and getmetatable(value) == nil
    local across, up = i, value
    if pair then across, up = value[1], value[2] end
    if not math.type(across) or not math.type(up) then return nil end
    points[i] = { across + 0.0, up + 0.0 }
  end
  return points
end

--- series(x): curves as a list of { name?, points }: of a tensor N, a list of numbers or of { x, y }, or a table of
-- such by name; nil for what is no curve.
function M.series(x)
  local one = points_of(x)
  if one then return { { points = one } } end
  if type(x) ~= "table" or core.is_tensor(x) or getmetatable(x) ~= nil or next(x) == nil then return nil end
  local list = {}
  for name, value in pairs(x) do
    local points = type(name) == "string" and points_of(value)
    if not points then return nil end
    list[#list + 1] = { name = name, points = points }
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

local function range(series, axis)
  local low, high = math.huge, -math.huge
  for _, s in ipairs(series) do
    for _, p in ipairs(s.points) do
      if finite(p[1]) and finite(p[2]) then low, high = math.min(low, p[axis]), math.max(high, p[axis]) end
    end
  end
  if low > high then return 0, 1 end
  local least = math.max(math.abs(low), math.abs(high)) * 1e-9 -- nearer ones cannot be told apart
  if high - low <= least then return low - math.max(0.5, least), high + math.max(0.5, least) end
  return low, high
end

local function number(x) return ("%.4g"):format(x) end

--- text(series, columns, lines, colored): the plot, lines with their ends.
function M.text(series, columns, lines, colored)
  local x0, x1 = range(series, 1)
  local y0, y1 = range(series, 2)
  local labels = { number(y1), number((y0 + y1) / 2), number(y0) }
  local margin = math.max(#labels[1], #labels[2], #labels[3])
  local w, h = math.max(8, columns - margin - 2), math.max(4, lines - 2 - (series[1].name and 1 or 0))
  local cells, owner = {}, {}
  local function dot(x, y, k)
    local at = (y // 4) * w + x // 2
    cells[at], owner[at] = (cells[at] or 0) | DOTS[x % 2][y % 4], k
  end
  for k, s in ipairs(series) do
    local px, py
    for _, p in ipairs(s.points) do
      local x, y
      if finite(p[1]) and finite(p[2]) then
        x = math.floor((p[1] - x0) / (x1 - x0) * (2 * w - 1) + 0.5)
        y = math.floor((y1 - p[2]) / (y1 - y0) * (4 * h - 1) + 0.5)
        local steps = px and math.max(math.abs(x - px), math.abs(y - py), 1) or 1
        for i = px and 0 or 1, steps do
          local t = i / steps
          dot(math.floor((px or x) + t * (x - (px or x)) + 0.5), math.floor((py or y) + t * (y - (py or y)) + 0.5), k)
        end
      end
      px, py = x, y
    end
  end
  local function paint(text, k)
    return colored and ("\27[%dm%s\27[0m"):format(COLORS[(k - 1) % #COLORS + 1], text) or text
  end
  local out = {}
  if series[1].name then
    out[1] = (" "):rep(margin + 2) .. table.concat(lists.map(series, function(s, k)
      local last = s.points[#s.points]
      return paint(("%s %s"):format(s.name, number(last[2])), k)
    end), "   ")
  end
  for line = 0, h - 1 do
    local label = line == 0 and labels[1] or line == (h - 1) // 2 and labels[2] or line == h - 1 and labels[3] or ""
    local row = { (" "):rep(margin - #label), label, " │" }
    for x = 0, w - 1 do
      local at = line * w + x
      row[#row + 1] = cells[at] and paint(utf8.char(0x2800 + cells[at]), owner[at]) or " "
    end
    out[#out + 1] = (table.concat(row):gsub("%s+$", ""))
  end
  local first, last = number(x0), number(x1)
  out[#out + 1] = (" "):rep(margin) .. " └" .. ("─"):rep(w)
  out[#out + 1] = (" "):rep(margin + 2) .. first .. (" "):rep(math.max(1, w - #first - #last)) .. last
  return table.concat(out, "\n") .. "\n"
end

return M
