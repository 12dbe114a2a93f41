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

local function cell(s)
  if not s then return "<td>–</td>" end
  if type(s) ~= "table" then return ("<td>%s</td>"):format(escape(s)) end
  return ("<td>%.1f<small>%.1f – %.1f</small></td>"):format(s.mean, s.low, s.high)
end

-- A row's cell: by the column's name, or by its place.
local function cell_of(row, i, column) return row.cells[column] or row.cells[i] end

local function each(list, f) return table.concat(lists.map(list, f)) end

local function table_html(t, add)
  add('<div class="card scroll"><table>')
  if t.caption then add("<caption>%s</caption>", escape(t.caption)) end
  add("<thead><tr><th></th>%s</tr></thead><tbody>",
    each(t.columns, function(column) return "<th>" .. escape(column) .. "</th>" end))
  for _, row in ipairs(t.rows) do
    local note = row.note and "<small>" .. escape(row.note) .. "</small>" or ""
    add("<tr%s><td>%s%s</td>%s</tr>", row.main and ' class="main"' or "", escape(row.name), note,
      each(t.columns, function(column, i) return cell(cell_of(row, i, column)) end))
  end
  add "</tbody></table></div>"
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

local function strip_html(strip, add)
  add '<div class="strip">'
  if strip.title then add("<h3>%s</h3>", escape(strip.title)) end
  if strip.text then add('<div class="note">%s</div>', escape(strip.text)) end
  local columns = strip.columns or #strip.items
  add('<div class="pictures%s" style="grid-template-columns: repeat(%d, 1fr)">', columns == 1 and " single" or "",
    columns)
  for _, item in ipairs(strip.items) do
    local caption, image = escape(item.caption or ""), item.image
    local data = report.base64(type(image) == "string" and image or core.io.png_bytes(image))
    add('<figure><img alt="%s" src="data:image/png;base64,%s"><figcaption>%s</figcaption></figure>', caption, data,
      caption)
  end
  add "</div></div>"
end

local CHARTS = '<div class="card charts">%s</div>'

--- Writes one HTML file, whole or not at all. `content`:
---   title, lead (a line under it), facts = list of { name, value }, footer
---   sections = list of { title, text = paragraph or list of them,
---     table = { caption, columns, bars = true for charts under it, rows = list of { name, note, main, cells } }
---       with cells by the column's name or place: { mean, low, high } or a text,
---     curves = list of { title, x_label, series = list of { name, points = {{x, y}, …}, dots } },
---     pictures = list of strips { title, text, columns,
---       items = list of { image = uint8 tensor or PNG bytes, caption } } }
function report.write(path, content)
  local out = {}
  local function add(format, ...)
    out[#out + 1] = select("#", ...) == 0 and format or format:format(...)
  end
  add '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
  add '<meta name="viewport" content="width=device-width, initial-scale=1">'
  add("<title>%s</title>", escape(content.title))
  out[#out + 1] = "<style>\n" .. STYLE .. "</style></head><body><main>"
  add("<h1>%s</h1>", escape(content.title))
  if content.lead then add('<p class="lead">%s</p>', escape(content.lead)) end
  if content.facts and #content.facts > 0 then
    add '<div class="card"><dl class="facts">'
    for _, fact in ipairs(content.facts) do
      add("<div><dt>%s</dt><dd>%s</dd></div>", escape(fact[1]), escape(fact[2]))
    end
    add "</dl></div>"
  end
  for _, section in ipairs(content.sections or {}) do
    add("<section><h2>%s</h2>", escape(section.title))
    local text = section.text
    for _, paragraph in ipairs(type(text) == "string" and { text } or text or {}) do
      add("<p>%s</p>", escape(paragraph))
    end
    if section.table then table_html(section.table, add) end
    if section.table and section.table.bars then add(CHARTS, bars(section.table)) end
    if section.curves and #section.curves > 0 then
      add(CHARTS, each(section.curves, function(c) return svg.curves(c.title, c.series, c.x_label or "epoch") end))
    end
    for _, strip in ipairs(section.pictures or {}) do strip_html(strip, add) end
    add "</section>"
  end
  if content.footer then add("<footer>%s</footer>", escape(content.footer)) end
  out[#out + 1] = "</main></body></html>\n"
  core.io.write_file(path, table.concat(out, "\n"))
  return path
end

return report
