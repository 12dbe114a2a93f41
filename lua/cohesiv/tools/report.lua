--- Reports: one HTML file that needs nothing beside it (styles, charts, pictures inside), readable in light and dark:
-- texts, tables, curves and pictures on a page (page.html). What a run's page shows is chosen in report_run.lua.
local core = require "cohesiv.core"
local svg, tables = require "cohesiv.tools.svg", require "cohesiv.tools.report_table"
local home, lists = require "cohesiv.base.home", require "cohesiv.base.lists"
local report = {}

local escape = svg.escape

local PAGE = home.modules .. "cohesiv/tools/page.html" -- with the styles; $name: what stands there

local function each(list, f) return table.concat(lists.map(list or {}, f)) end

-- An element with a text; nothing without one.
local function element(format, text) return text and format:format(escape(text)) or "" end

local function charts_html(charts) return charts ~= "" and '<div class="card charts">' .. charts .. "</div>\n" or "" end

local QUALITY = 84 -- of pictures on the page

-- A picture as a data URI: as it is, or a tensor as JPEG.
local function picture_uri(image)
  local bytes = type(image) == "string" and image or core.io.jpeg_bytes(image, QUALITY)
  local kind = bytes:sub(1, 2) == "\xFF\xD8" and "jpeg" or "png"
  return ("data:image/%s;base64,%s"):format(kind, core.io.base64(bytes))
end

-- A strip of pictures. `number`: of the strip on the page; an item may be compared with another of the strip.
local function strip_html(strip, number)
  local columns = strip.columns or #strip.items
  local figures = each(strip.items, function(item, i)
    local caption = escape(item.caption or "")
    if not item.image then
      return ('<figure class="empty"><figcaption>%s</figcaption></figure>\n'):format(caption)
    end
    local with = item.with and (' data-with="p%d-%d" tabindex="0"'):format(number, item.with) or ""
    return ('<figure%s><img id="p%d-%d" alt="%s" src="%s"><figcaption>%s</figcaption></figure>\n'):format(with, number,
      i, caption, picture_uri(item.image), caption)
  end)
  local grid = ('<div class="pictures%s" style="grid-template-columns: repeat(%d, 1fr)">\n'):format(
    columns == 1 and " single" or "", columns)
  return '<div class="strip">' .. element("<h3>%s</h3>\n", strip.title)
    .. element('<div class="note">%s</div>\n', strip.text) .. grid .. figures .. "</div></div>\n"
end

local function section_html(section, count)
  local text, t = section.text, section.table
  local charts = each(section.curves, function(c)
    return svg.curves(c.title, c.series, c.x_label or "epoch", c.any)
  end)
  local surfaces = each(section.surfaces, function(s)
    return svg.surface(s.title, s.values, s.rows, s.columns, s.best)
  end)
  return element("<section><h2>%s</h2>\n", section.title)
    .. each(type(text) == "string" and { text } or text, function(p) return element("<p>%s</p>\n", p) end)
    .. (t and tables.html(t) or "") .. charts_html(t and t.bars and tables.bars(t) or "") .. charts_html(charts)
    .. (surfaces ~= "" and '<div class="card surfaces">' .. surfaces .. "</div>\n" or "")
    .. each(section.pictures, function(strip)
      count.strips = count.strips + 1
      return strip_html(strip, count.strips)
    end) .. "</section>\n"
end

--- Writes one HTML file, whole or not at all. `content`:
---   title, lead (a line under it), facts = list of { name, value }, footer
---   sections = list of { title, text = paragraph or list of them, table = see report_table.lua,
---     curves = list of { title, x_label, any, series = list of { name, points = {{x, y}, …}, dots, lone } },
---     surfaces = list of what svg.surface takes,
---     pictures = list of strips { title, text, columns,
---       items = list of { image = uint8 tensor or bytes of a PNG or JPEG, caption, with } } }: `with` is the place of
---       the picture of the strip that is seen in its stead while it is pointed at.
function report.write(path, content)
  local count = { strips = 0 }
  local facts = each(content.facts, function(fact)
    return ("<div><dt>%s</dt><dd>%s</dd></div>\n"):format(escape(fact[1]), escape(fact[2]))
  end)
  if facts ~= "" then facts = '<div class="card"><dl class="facts">\n' .. facts .. "</dl></div>\n" end
  core.io.write_file(path, (core.io.read_file(PAGE):gsub("%$(%l+)", {
    title = escape(content.title), lead = element('<p class="lead">%s</p>\n', content.lead), facts = facts,
    sections = each(content.sections, function(section) return section_html(section, count) end),
    footer = element("<footer>%s</footer>\n", content.footer),
  })))
  return path
end

return report
