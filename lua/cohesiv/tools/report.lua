--- Reports: one HTML file that needs nothing beside it (styles, charts, pictures inside), readable in light and dark:
-- texts, tables, curves and pictures on a page (page.html). What a run's page shows is chosen in report_run.lua.
local core = require "cohesiv.core"
local svg = require "cohesiv.tools.svg"
local home, lists = require "cohesiv.base.home", require "cohesiv.base.lists"
local report = {}

local escape = svg.escape

local PAGE = home.modules .. "cohesiv/tools/page.html" -- with the styles; $name: what stands there

local function each(list, f) return table.concat(lists.map(list or {}, f)) end

-- An element with a text; nothing without one.
local function element(format, text) return text and format:format(escape(text)) or "" end

-- A row's cell: by the column's name, or by its place.
local function cell_of(row, i, column) return row.cells[column] or row.cells[i] end

local function table_html(t)
  local function cell(s)
    if type(s) ~= "table" then return element("<td>%s</td>", s or "–") end
    return ("<td>%.1f<small>%.1f – %.1f</small></td>"):format(s.mean, s.low, s.high)
  end
  local heads = each(t.columns, function(column) return element("<th>%s</th>", column) end)
  local rows = each(t.rows, function(row)
    local cells = each(t.columns, function(column, i) return cell(cell_of(row, i, column)) end)
    return ("<tr%s><td>%s%s</td>%s</tr>\n"):format(row.main and ' class="main"' or "", escape(row.name),
      element("<small>%s</small>", row.note), cells)
  end)
  return ('<div class="card scroll"><table>%s\n<thead><tr><th></th>%s</tr></thead><tbody>\n%s</tbody></table></div>\n')
    :format(element("<caption>%s</caption>", t.caption), heads, rows)
end

-- One chart per column: every row's bar with its interval.
local function bars(t)
  local top = 10
  local entries = lists.map(t.columns, function(column, c)
    return lists.map(t.rows, function(row)
      local s = cell_of(row, c, column)
      s = type(s) == "table" and s or {}
      top = math.max(top, s.high or 0)
      return { name = row.name, mean = s.mean, low = s.low, high = s.high, main = row.main }
    end)
  end)
  top = math.min(100, math.ceil(top / 10) * 10)
  return each(t.columns, function(column, c) return svg.bars(column, entries[c], top) end)
end

local function charts_html(charts) return charts ~= "" and '<div class="card charts">' .. charts .. "</div>\n" or "" end

local function strip_html(strip)
  local columns = strip.columns or #strip.items
  local figures = each(strip.items, function(item)
    local caption, image = escape(item.caption or ""), item.image
    local data = core.io.base64(type(image) == "string" and image or core.io.png_bytes(image))
    return ('<figure><img alt="%s" src="data:image/png;base64,%s"><figcaption>%s</figcaption></figure>\n'):format(
      caption, data, caption)
  end)
  local grid = ('<div class="pictures%s" style="grid-template-columns: repeat(%d, 1fr)">\n'):format(
    columns == 1 and " single" or "", columns)
  return '<div class="strip">' .. element("<h3>%s</h3>\n", strip.title)
    .. element('<div class="note">%s</div>\n', strip.text) .. grid .. figures .. "</div></div>\n"
end

local function section_html(section)
  local t, text = section.table, section.text
  local curves = each(section.curves, function(c) return svg.curves(c.title, c.series, c.x_label or "epoch") end)
  return element("<section><h2>%s</h2>\n", section.title)
    .. each(type(text) == "string" and { text } or text, function(p) return element("<p>%s</p>\n", p) end)
    .. (t and table_html(t) or "") .. charts_html(t and t.bars and bars(t) or "") .. charts_html(curves)
    .. each(section.pictures, strip_html) .. "</section>\n"
end

--- Writes one HTML file, whole or not at all. `content`:
---   title, lead (a line under it), facts = list of { name, value }, footer
---   sections = list of { title, text = paragraph or list of them,
---     table = { caption, columns, bars = true for charts under it, rows = list of { name, note, main, cells } }
---       with cells by the column's name or place: { mean, low, high } or a text,
---     curves = list of { title, x_label, series = list of { name, points = {{x, y}, …}, dots } },
---     pictures = list of strips { title, text, columns,
---       items = list of { image = uint8 tensor or PNG bytes, caption } } }
function report.write(path, content)
  local facts = each(content.facts, function(fact)
    return ("<div><dt>%s</dt><dd>%s</dd></div>\n"):format(escape(fact[1]), escape(fact[2]))
  end)
  if facts ~= "" then facts = '<div class="card"><dl class="facts">\n' .. facts .. "</dl></div>\n" end
  core.io.write_file(path, (core.io.read_file(PAGE):gsub("%$(%l+)", {
    title = escape(content.title), lead = element('<p class="lead">%s</p>\n', content.lead), facts = facts,
    sections = each(content.sections, section_html), footer = element("<footer>%s</footer>\n", content.footer),
  })))
  return path
end

return report
