--- Reports: one HTML file that needs nothing beside it (styles, charts, pictures inside), readable in light and dark:
-- texts, tables, curves and pictures on a page. What a run's page shows is chosen in report_run.lua.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local svg = require "cohesiv.tools.svg"

local report = {}

local escape = svg.escape

local STYLE = [[
:root { color-scheme: light dark; --ground: #fbfbfa; --card: #ffffff; --ink: #1d2129; --soft: #667085; --edge: #e3e5e8;
  --accent: #2457d6; --bar: #b9c2d0; --s1: #2457d6; --s2: #d97706; --s3: #0f9d76; --s4: #b4389b; }
@media (prefers-color-scheme: dark) { :root { --ground: #131519; --card: #1b1e24; --ink: #e8eaee; --soft: #9aa3b2;
  --edge: #30353e; --accent: #79a3ff; --bar: #4b5567; --s1: #79a3ff; --s2: #f2ab4b; --s3: #43cfa5; --s4: #e07fcb; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 80px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 20px; margin: 44px 0 6px; }
p { max-width: 76ch; margin: 6px 0 12px; }
.lead { color: var(--soft); margin-bottom: 22px; }
.note { color: var(--soft); font-size: 14px; }
.card { background: var(--card); border: 1px solid var(--edge); border-radius: 10px; padding: 16px 18px;
  margin: 14px 0; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(185px, 1fr)); gap: 12px 20px; margin: 0; }
dl.facts dt { color: var(--soft); font-size: 13px; }
dl.facts dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); font-size: 14px; padding-bottom: 8px; }
th, td { padding: 8px 12px; text-align: right; border-bottom: 1px solid var(--edge); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { font-size: 14px; color: var(--soft); font-weight: 600; }
tr:last-child td { border-bottom: 0; }
tr.main td { font-weight: 650; color: var(--accent); }
td small { font-weight: 400; color: var(--soft); font-size: 12.5px; display: block; line-height: 1.2; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(430px, 1fr)); gap: 22px 30px; }
.chart { width: 100%; max-width: 640px; height: auto; display: block; }
.chart text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }
.chart .chart-title { font-size: 13px; font-weight: 650; } .chart .tick { fill: var(--soft); font-size: 11px; }
.chart .main { font-weight: 650; } .chart .value { font-size: 11.5px; }
.gridline { stroke: var(--edge); stroke-width: 1; } .whisker { stroke: var(--ink); stroke-width: 1.2; fill: none; }
.bar { fill: var(--bar); } .bar.main { fill: var(--accent); }
.line { fill: none; stroke: var(--series); stroke-width: 1.8; stroke-linejoin: round; } .dot { fill: var(--series); }
.s1 { --series: var(--s1); } .s2 { --series: var(--s2); } .s3 { --series: var(--s3); } .s4 { --series: var(--s4); }
.strip { margin: 16px 0 22px; }
.strip h3 { font-size: 15px; margin: 0 0 2px; }
.pictures { display: grid; gap: 8px; margin-top: 6px; }
.pictures.single { gap: 18px; } .pictures.single img { max-height: none; }
figure { margin: 0; }
figure img { border-radius: 4px; width: 100%; height: auto; max-height: 300px; object-fit: contain;
  object-position: left; display: block; }
figcaption { font-size: 12.5px; color: var(--soft); padding-top: 3px; }
@media (max-width: 760px) { .pictures:not(.single) { grid-template-columns: repeat(2, 1fr) !important; }
  main { padding: 24px 14px; }
  .charts { grid-template-columns: 1fr; } }
footer { margin-top: 56px; color: var(--soft); font-size: 13px; border-top: 1px solid var(--edge); padding-top: 12px; }
]]

local PAGE = [[
<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>
%s</style></head><body><main>
<h1>%s</h1>
%s%s%s%s</main></body></html>
]]

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local PAIRS = {} -- 12 bits → two digits
for i = 0, 4095 do PAIRS[i] = DIGITS:sub(i // 64 + 1, i // 64 + 1) .. DIGITS:sub(i % 64 + 1, i % 64 + 1) end

--- Bytes as base64 text.
function report.base64(bytes)
  local absent = -#bytes % 3
  local text = (bytes .. ("\0"):rep(absent)):gsub("...", function(three)
    local word = (">I3"):unpack(three)
    return PAIRS[word >> 12] .. PAIRS[word & 4095]
  end)
  return text:sub(1, #text - absent) .. ("="):rep(absent)
end

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
    local data = report.base64(type(image) == "string" and image or core.io.png_bytes(image))
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
  local title = escape(content.title)
  core.io.write_file(path, PAGE:format(title, STYLE, title, element('<p class="lead">%s</p>\n', content.lead), facts,
    each(content.sections, section_html), element("<footer>%s</footer>\n", content.footer)))
  return path
end

return report
