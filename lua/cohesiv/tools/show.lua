--- co.show(x): a picture in the terminal, two pixels a character in 24-bit colours, as large as fits, or a line that
-- describes x where stdout is no terminal or has no colours; x:png(), x:save "file.png". Of all that viz.picture knows.
local core = require "cohesiv.core"
local viz = require "cohesiv.tools.viz"
local image, io_part = require "cohesiv.tensor.image", require "cohesiv.tensor.io"
local M = {}

-- Columns and rows: of the terminal, else $COLUMNS and $LINES, else 80 and 24.
local function size()
  local columns, rows = core.system.terminal()
  return columns or tonumber(os.getenv "COLUMNS") or 80, rows or tonumber(os.getenv "LINES") or 24
end

-- Whether 24-bit colours may be used on stdout: a terminal that is not "dumb" and no $NO_COLOR.
local function colors()
  return core.system.isatty "stdout" and os.getenv "TERM" ~= "dumb" and (os.getenv "NO_COLOR" or "") == ""
end

--- text(x, columns, lines): a picture as half blocks, at most so many columns and lines, its aspect kept.
function M.text(x, columns, lines)
  local picture = viz.picture(x)
  local height, width = picture.shape[1], picture.shape[2]
  local w = math.min(columns, math.max(1, math.floor(2 * lines * width / height)))
  local h = math.max(1, math.floor(w * height / width / 2 + 0.5))
  return core.picture.blocks(picture, w, math.min(h, lines))
end

--- show(x): draws x in the terminal: images, masks, maps, flows, embeddings, responsibilities, predictions.
function M.show(x)
  local picture = viz.picture(x) -- refuses what cannot be shown, also without a terminal
  if not colors() then
    local what = core.is_tensor(x) and x.dtype .. " " .. table.concat(x.shape, "x") or tostring(x):match "^[^\n]*"
    return print(("%s: a picture of %dx%d"):format(what, picture.shape[2], picture.shape[1]))
  end
  local columns, lines = size()
  io.write(M.text(picture, columns, math.max(4, lines - 2)))
end

--- png(x): the picture of x as the bytes of a PNG file.
function M.png(x) return image.png(viz.picture(x)) end

--- save(x, path): a .png of the picture of x; tensors also in the array formats of co.save.
function M.save(x, path)
  if type(path) ~= "string" then core.refuse("save: expected a path, found %s", type(path)) end
  if path:lower():find "%.png$" then return image.write(path, viz.picture(x)) end
  if not core.is_tensor(x) then core.refuse("%s: expected a .png file to save a picture in, found another", path) end
  return io_part.save(path, x)
end

return M
