--- Charts as SVG text for reports: bars with whiskers, curves. Colours are classes of page.html, sizes the viewBox's.
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
      svg.escape(e.name))
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

--- curves(title, series, x_label): lines through series[i] = { name, points = {{x, y}, …}, dots }, not all empty.
function svg.curves(title, series, x_label)
  local width, height, left, right, top, bottom = 560, 260, 54, 14, 30, 40
  local x0, x1, low, high = range_of(series)
  if low > 0 and low < 0.5 * high then low = 0 end
  if high <= low then high = low + math.max(math.abs(low) * 0.1, 1e-6) end
  if x1 <= x0 then x1 = x0 + 1 end
  local step = round_step(high - low, 4)
  low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
  local function px(x) return left + (width - left - right) * (x - x0) / (x1 - x0) end
  local function py(y) return top + (height - top - bottom) * (1 - (math.min(y, high) - low) / (high - low)) end
  local note = ('<tspan class="tick" dx="8">by %s</tspan>'):format(svg.escape(x_label))
  local add, finish = chart(title, note, width, height, left, 18)
  for i = 0, math.floor((high - low) / step + 0.5) do
    local v = low + i * step
    add('<line class="gridline" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>', left, width - right, py(v), py(v))
    add('<text class="tick" x="%d" y="%.1f" text-anchor="end">%s</text>', left - 6, py(v) + 4, number_text(v))
  end
  local x_step = math.max(round_step(x1 - x0, 6), 1) -- epochs and steps are whole
  for i = math.ceil(x0 / x_step), math.floor(x1 / x_step + 1e-9) do
    add('<text class="tick" x="%.1f" y="%d" text-anchor="middle">%s</text>', px(i * x_step), height - bottom + 16,
      number_text(i * x_step))
  end
  local legend = left
  for i, s in ipairs(series) do
    local path = {}
    for k, p in ipairs(s.points) do path[k] = ("%s%.1f %.1f"):format(k == 1 and "M" or "L", px(p[1]), py(p[2])) end
    add('<path class="line s%d" d="%s"/>', i, table.concat(path))
    if s.dots or #s.points == 1 then
      for _, p in ipairs(s.points) do
        add('<circle class="dot s%d" cx="%.1f" cy="%.1f" r="2.6"/>', i, px(p[1]), py(p[2]))
      end
    end
    add('<path class="line s%d" d="M%d %dh16"/><text class="tick" x="%d" y="%d">%s</text>', i, legend, height - 10,
      legend + 21, height - 6, svg.escape(s.name))
    legend = legend + 34 + 6.2 * #s.name // 1
  end
  return finish()
end

return svg
