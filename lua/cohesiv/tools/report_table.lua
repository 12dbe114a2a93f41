--- Tables of reports, once as data: as HTML, CSV, JSON and LaTeX. A table is
--   { name, caption, columns, bars = true for charts under it, rows = list of { name, note, main, cells } }
-- with cells by the column's name or place: a text; a value with its interval, { mean, low, high }; { mean, spread,
-- n }; { difference, low, high, p, significant }.
local core = require "cohesiv.core"
local json, lists = require "cohesiv.base.json", require "cohesiv.base.lists"
local svg = require "cohesiv.tools.svg"
local M = {}

local escape = svg.escape

--- cell(row, i, column): a row's cell: by the column's name, or by its place.
function M.cell(row, i, column)
  local cell = row.cells[column]
  if cell == nil then cell = row.cells[i] end
  return cell
end

-- The parts of a cell by name, in the order of FIELDS.
local FIELDS = { "mean", "difference", "spread", "low", "high", "p", "n" }

-- The value of a cell, and what stands small under it.
local function texts_of(cell)
  if type(cell) ~= "table" then return cell and tostring(cell) or nil end
  local value = cell.mean and ("%.1f"):format(cell.mean) or cell.difference and ("%+.1f"):format(cell.difference)
  if cell.spread then return value, cell.n > 1 and ("± %.1f, n = %d"):format(cell.spread, cell.n) or "n = 1" end
  local format = cell.difference and "%+.1f to %+.1f" or "%.1f – %.1f"
  return value, cell.low and format:format(cell.low, cell.high)
end

--- html(t): the table.
function M.html(t)
  local heads = table.concat(lists.map(t.columns, function(column) return ("<th>%s</th>"):format(escape(column)) end))
  local rows = lists.map(t.rows, function(row)
    local cells = {}
    for i, column in ipairs(t.columns) do
      local cell = M.cell(row, i, column)
      local value, small = texts_of(cell)
      local class = type(cell) == "table" and cell.significant and ' class="significant"' or ""
      cells[i] = ("<td%s>%s%s</td>"):format(class, escape(value or "–"),
        small and "<small>" .. escape(small) .. "</small>" or "")
    end
    return ("<tr%s><td>%s%s</td>%s</tr>\n"):format(row.main and ' class="main"' or "", escape(row.name),
      row.note and "<small>" .. escape(row.note) .. "</small>" or "", table.concat(cells))
  end)
  return ('<div class="card scroll"><table>%s\n<thead><tr><th></th>%s</tr></thead><tbody>\n%s</tbody></table></div>\n')
    :format(t.caption and "<caption>" .. escape(t.caption) .. "</caption>" or "", heads, table.concat(rows))
end

--- bars(t): one chart per column: every row's bar with its interval.
function M.bars(t)
  local top = 10
  local entries = lists.map(t.columns, function(column, c)
    return lists.map(t.rows, function(row)
      local s = M.cell(row, c, column)
      s = type(s) == "table" and s or {}
      top = math.max(top, s.high or 0)
      return { name = row.name, mean = s.mean, low = s.low, high = s.high, main = row.main }
    end)
  end)
  top = math.min(100, math.ceil(top / 10) * 10)
  return table.concat(lists.map(t.columns, function(column, c) return svg.bars(column, entries[c], top) end))
end

-- Of every column which parts its cells have.
local function parts_of(t)
  return lists.map(t.columns, function(column, c)
    local parts = {}
    for _, field in ipairs(FIELDS) do
      for _, row in ipairs(t.rows) do
        local cell = M.cell(row, c, column)
        if type(cell) == "table" and cell[field] ~= nil and parts[#parts] ~= field then parts[#parts + 1] = field end
      end
    end
    return parts[1] and parts or { "" }
  end)
end

local function csv_cell(value)
  local text = value == nil and "" or type(value) == "number" and ("%.6g"):format(value) or tostring(value)
  return text:find '[,"\r\n]' and '"' .. text:gsub('"', '""') .. '"' or text
end

--- csv(t): a header, and a line for each row; a column for each part of a cell.
function M.csv(t)
  local parts, lines, head = parts_of(t), {}, { "name" }
  for c, column in ipairs(t.columns) do
    for _, part in ipairs(parts[c]) do
      local plain = part == "" or part == "mean" or part == "difference"
      head[#head + 1] = csv_cell(plain and column or column .. " " .. part)
    end
  end
  lines[1] = table.concat(head, ",")
  for _, row in ipairs(t.rows) do
    local cells = { csv_cell(row.name) }
    for c, column in ipairs(t.columns) do
      local cell = M.cell(row, c, column)
      for k, part in ipairs(parts[c]) do
        if type(cell) == "table" then
          cells[#cells + 1] = csv_cell(cell[part])
        else
          cells[#cells + 1] = csv_cell(k == 1 and cell or nil)
        end
      end
    end
    lines[#lines + 1] = table.concat(cells, ",")
  end
  return table.concat(lines, "\n") .. "\n"
end

--- json(t): { caption, columns, rows = list of { name, cells by column } }.
function M.json(t)
  return json.encode { caption = t.caption, columns = t.columns, rows = json.list(lists.map(t.rows, function(row)
    local cells = {}
    for c, column in ipairs(t.columns) do
      local cell = M.cell(row, c, column)
      if type(cell) == "table" then
        local kept = { significant = cell.significant }
        for _, field in ipairs(FIELDS) do kept[field] = cell[field] end
        cell = kept
      end
      cells[column] = cell
    end
    return { name = row.name, note = row.note, cells = cells }
  end)) } .. "\n"
end

local TEX = { ["\\"] = "\\textbackslash{}", ["~"] = "\\textasciitilde{}", ["^"] = "\\textasciicircum{}" }

local function tex(text)
  text = text:gsub("[\\~^&%%$#_{}]", function(c) return TEX[c] or "\\" .. c end)
  return (text:gsub("–", "--"):gsub("±", "$\\pm$"))
end

--- latex(t): a tabular of booktabs; significant differences in bold.
function M.latex(t)
  local lines = { "% " .. (t.caption or t.name):gsub("\n", " "),
    ("\\begin{tabular}{l%s}"):format(("r"):rep(#t.columns)), "\\toprule",
    " & " .. table.concat(lists.map(t.columns, tex), " & ") .. " \\\\", "\\midrule" }
  for _, row in ipairs(t.rows) do
    local cells = { tex(row.name) }
    for c, column in ipairs(t.columns) do
      local cell = M.cell(row, c, column)
      local value, small = texts_of(cell)
      value = tex(value or "–"):gsub("^([+-]%d)", "$%1"):gsub("^(%$[+-][%d.]+)$", "%1$")
      if type(cell) == "table" and cell.significant then value = "\\textbf{" .. value .. "}" end
      if small then value = value .. " {\\scriptsize (" .. tex(small) .. ")}" end
      cells[#cells + 1] = value
    end
    lines[#lines + 1] = table.concat(cells, " & ") .. " \\\\"
  end
  lines[#lines + 1] = "\\bottomrule\n\\end{tabular}\n"
  return table.concat(lines, "\n")
end

local WRITERS = { csv = { csv = M.csv, json = M.json }, latex = { tex = M.latex } }

--- export(tables, folder, kind): a file for each table, by its name: .csv and .json ("csv"), .tex ("latex").
function M.export(tables, folder, kind)
  core.io.make_folder(folder)
  for _, t in ipairs(tables) do
    for extension, write in pairs(WRITERS[kind]) do
      core.io.write_file(("%s/%s.%s"):format(folder, t.name, extension), write(t))
    end
  end
end

return M
