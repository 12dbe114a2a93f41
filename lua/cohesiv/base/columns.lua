--- columns(lines, left): lists of cells (text) as text in columns, the first `left` flush left, the others flush right.
local function length(cell) return utf8.len(cell) or #cell end

return function(lines, left)
  local widths, out = {}, {}
  for _, line in ipairs(lines) do
    for i, cell in ipairs(line) do widths[i] = math.max(widths[i] or 0, length(cell)) end
  end
  for k, line in ipairs(lines) do
    local cells = {}
    for i, cell in ipairs(line) do
      local room = (" "):rep(widths[i] - length(cell))
      cells[i] = i <= left and cell .. room or room .. cell
    end
    out[k] = table.concat(cells, "  "):gsub("%s+$", "")
  end
  return table.concat(out, "\n")
end
