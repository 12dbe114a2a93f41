--- Charts as SVG text for reports: bars with whiskers, curves, points against a setting, surfaces of thresholds.
-- Colours are classes of page.html, sizes the viewBox's.
local svg = {}

--- Text safe inside HTML and SVG.
function svg.escape(text)
  return (tostring(text):gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

-- A round step that cuts `range` into about `count` parts.
local function round_step(range, count)
  local rough = range / count
  local power = 10 ^ math.floor(math.log(rough, 10))
  for _, m in ipairs { 1, 2, 5, 10 } do
    if m == 10 or rough <= m * power * 1.0001 then return m * power end
  end
end

local function number_text(v)
  if v == math.floor(v) and math.abs(v) < 1e6 then return ("%d"):format(math.floor(v)) end
  return ("%.3g"):format(v)
end

-- add(format, …), which appends an element to a chart that begins here, and finish(), which gives its text.
local function chart(title, note, width, height, left, baseline)
  local out = {}
  local function add(format, ...) out[#out + 1] = format:format(...) end
  add('<svg class="chart" viewBox="0 0 %d %d" role="img" aria-label="%s">', width, height, svg.escape(title))
  add('<text class="chart-title" x="%d" y="%d">%s%s</text>', left, baseline, svg.escape(title), note)
  return add, function() return table.concat(out, "\n") .. "\n</svg>" end
end

-- A name of at most `most` characters, cut in the middle: its end tells as much as its beginning.
local function short(name, most)
  local length = utf8.len(name)
  if not length or length <= most then return name end
  local head = most // 2
  return name:sub(1, utf8.offset(name, head + 1) - 1) .. "…" .. name:sub(utf8.offset(name, -(most - head - 1)))
end

--- bars(title, entries, top): a bar per entry { name, mean, low, high, main }, 0 to `top`; a dash for one without mean.
function svg.bars(title, entries, top)
  local left, right, row, width = 182, 46, 24, 430
  local bottom = 26 + #entries * row
  local add, finish = chart(title, "", width, bottom + 22, left, 16)
  local function at(v) return left + (width - left - right) * math.min(v, top) / top end
  local step = round_step(top, 4)
  for i = 0, math.floor(top / step + 1e-9) do
    local x = at(i * step)
    add('<line class="gridline" x1="%.1f" x2="%.1f" y1="26" y2="%d"/>', x, x, bottom)
    add('<text class="tick" x="%.1f" y="%d" text-anchor="middle">%s</text>', x, bottom + 13, number_text(i * step))
  end
  for i, e in ipairs(entries) do
    local y = 26 + (i - 1) * row
    local middle, main = y + row / 2, e.main and " main" or ""
    add('<text class="label%s" x="%d" y="%.1f" text-anchor="end">%s</text>', main, left - 8, middle + 4,
      svg.escape(short(e.name, 27)))
    if e.mean then
      local low, high = at(e.low), at(e.high)
      add('<rect class="bar%s" x="%d" y="%.1f" width="%.1f" height="%d" rx="2"/>', main, left, y + 5,
        math.max(at(e.mean) - left, 0.5), row - 10)
      add('<path class="whisker" d="M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8"/>', low, middle, high, low, middle - 4,
        high, middle - 4)
      add('<text class="value%s" x="%.1f" y="%.1f">%.1f</text>', main, high + 6, middle + 4, e.mean)
    else
      add('<text class="value" x="%.1f" y="%.1f">–</text>', left + 6, middle + 4)
    end
  end
  return finish()
end

local function range_of(series)
  local x0, x1, values = math.huge, -math.huge, {}
  for _, s in ipairs(series) do
    for _, p in ipairs(s.points) do
      x0, x1 = math.min(x0, p[1]), math.max(x1, p[1])
      values[#values + 1] = p[2]
    end
  end
  table.sort(values)
  -- The first steps of training may be far off: the highest hundredth does not set the scale.
  return x0, x1, values[1], values[math.max(1, math.floor(#values * 0.99 + 0.5))]
end

-- The legend of series in lines of at most `width`: the places { x, line } of their samples, and how many lines.
local function legend_of(series, left, width)
  local places, x, line = {}, left, 0
  for i, s in ipairs(series) do
    local long = math.min(34 + 6.2 * (utf8.len(s.name) or #s.name) // 1, width - left)
    if x > left and x + long > width then x, line = left, line + 1 end
    places[i] = { x, line }
    x = x + long
  end
  return places, line + 1
end

local LOG_FROM = 30 -- the ratio of largest to smallest from which positive places are shown by their logarithm

--- curves(title, series, x_label, any): lines through series[i] = { name, points = {{x, y}, …}, dots }, not all empty.
-- Places are whole numbers such as epochs; any = true: any numbers, each told where it is, in a logarithm where they
-- span decades; a series then may have lone points = {{x, y}, …} beside its line.
function svg.curves(title, series, x_label, any)
  local width, left, right, top = 560, 54, 14, 30
  local places, lines = legend_of(series, left, width - right)
  local bottom = 40 + 16 * (lines - 1)
  local height = 220 + bottom
  local all = {}
  for _, s in ipairs(series) do
    all[#all + 1] = s
    if s.lone then all[#all + 1] = { points = s.lone } end
  end
  local x0, x1, low, high = range_of(all)
  if low > 0 and low < 0.5 * high then low = 0 end
  if high <= low then high = low + math.max(math.abs(low) * 0.1, 1e-6) end
  local logarithmic = any and x0 > 0 and x1 / x0 >= LOG_FROM
  local function scaled(x) return logarithmic and math.log(x) or x end
  if x1 <= x0 then x1 = x0 + 1 end
  local step = round_step(high - low, 4)
  low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
  local function px(x)
    return left + (width - left - right) * (scaled(x) - scaled(x0)) / (scaled(x1) - scaled(x0))
  end
  local function py(y) return top + (height - top - bottom) * (1 - (math.min(y, high) - low) / (high - low)) end
  local note = ('<tspan class="tick" dx="8">by %s</tspan>'):format(svg.escape(x_label))
  local add, finish = chart(title, note, width, height, left, 18)
  for i = 0, math.floor((high - low) / step + 0.5) do
    local v = low + i * step
    add('<line class="gridline" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>', left, width - right, py(v), py(v))
    add('<text class="tick" x="%d" y="%.1f" text-anchor="end">%s</text>', left - 6, py(v) + 4, number_text(v))
  end
  local function tick(x)
    add('<text class="tick" x="%.1f" y="%d" text-anchor="middle">%s</text>', px(x), height - bottom + 16,
      number_text(x))
  end
  if any then
    local told = {}
    for _, s in ipairs(series) do
      for _, p in ipairs(s.points) do
        if not told[p[1]] then tick(p[1]) end
        told[p[1]] = true
      end
    end
  else
    local x_step = math.max(round_step(x1 - x0, 6), 1) -- epochs and steps are whole
    for i = math.ceil(x0 / x_step), math.floor(x1 / x_step + 1e-9) do tick(i * x_step) end
  end
  for i, s in ipairs(series) do
    local path, colour = {}, (i - 1) % 10 + 1
    for k, p in ipairs(s.points) do path[k] = ("%s%.1f %.1f"):format(k == 1 and "M" or "L", px(p[1]), py(p[2])) end
    add('<path class="line s%d" d="%s"/>', colour, table.concat(path))
    for _, p in ipairs((s.dots or #s.points == 1) and s.points or {}) do
      add('<circle class="dot s%d" cx="%.1f" cy="%.1f" r="2.6"/>', colour, px(p[1]), py(p[2]))
    end
    for _, p in ipairs(s.lone or {}) do
      add('<circle class="lone s%d" cx="%.1f" cy="%.1f" r="3"/>', colour, px(p[1]), py(p[2]))
    end
    local x, y = places[i][1], height - 10 - 16 * (lines - 1 - places[i][2])
    add('<path class="line s%d" d="M%d %dh16"/><text class="tick" x="%d" y="%d">%s</text>', colour, x, y, x + 21, y + 4,
      svg.escape(s.name))
  end
  return finish()
end

local LEVELS = 12 -- of a surface's colours

--- surface(title, values, rows, columns, best): what is reached at every pair of thresholds: values[i][j] of 0 to 1 at
-- rows[i] (upwards) and columns[j] = { name, first, last }; best = { i, j } is marked.
function svg.surface(title, values, rows, columns, best)
  local width, left, top, plot = 300, 44, 28, 236
  local m, n, low, high = #values, #values[1], math.huge, -math.huge
  for _, row in ipairs(values) do
    for _, v in ipairs(row) do low, high = math.min(low, v), math.max(high, v) end
  end
  local tall = n == 1 and 60 or plot
  local add, finish = chart(short(title, 30), "", width, top + tall + 36, left, 16)
  local w, h, cells = plot / m, tall / n, {}
  for i, row in ipairs(values) do
    for j, v in ipairs(row) do
      local level = high > low and math.min(LEVELS - 1, math.floor((v - low) / (high - low) * LEVELS)) or 0
      cells[level] = cells[level] or {}
      table.insert(cells[level], ("M%.1f %.1fh%.1fv%.1fh-%.1fz"):format(left + (i - 1) * w, top + tall - j * h, w + 0.2,
        h + 0.2, w + 0.2))
    end
  end
  for level = 0, LEVELS - 1 do
    if cells[level] then add('<path class="level l%d" d="%s"/>', level, table.concat(cells[level])) end
  end
  add('<circle class="best" cx="%.1f" cy="%.1f" r="4.5"/>', left + (best[1] - 0.5) * w,
    top + tall - (best[2] - 0.5) * h)
  local function tick(x, y, anchor, text)
    add('<text class="tick" x="%.1f" y="%.1f" text-anchor="%s">%s</text>', x, y, anchor, svg.escape(text))
  end
  tick(left, top + tall + 14, "start", number_text(rows[2]))
  tick(left + plot, top + tall + 14, "end", number_text(rows[3]))
  tick(left + plot / 2, top + tall + 14, "middle", ("%.0f – %.0f %%"):format(100 * low, 100 * high))
  tick(left + plot / 2, top + tall + 28, "middle", rows[1])
  if n > 1 then
    tick(left - 6, top + tall, "end", number_text(columns[2]))
    tick(left - 6, top + 10, "end", number_text(columns[3]))
    add('<text class="tick" text-anchor="middle" transform="translate(%d %d) rotate(-90)">%s</text>', 14,
      top + tall // 2, svg.escape(columns[1]))
  end
  return finish()
end

return svg
