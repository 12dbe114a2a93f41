--- co.show(x): a picture in the terminal, as large as fits and in the best way that it knows (terminal.lua), curves as
-- lines of dots (plot.lua), or a line that describes x where stdout is no terminal or has no colours; x:png(),
-- x:save "file.png". Of all that viz.picture knows.
local core = require "cohesiv.core"
local plot, terminal, viz = require "cohesiv.tools.plot", require "cohesiv.tools.terminal", require "cohesiv.tools.viz"
local options_of = require "cohesiv.base.options"
local image, io_part = require "cohesiv.tensor.image", require "cohesiv.tensor.io"
local M = {}

local PLOT_LINES = 20

local SCHEMA = { graphics = options_of.optional(options_of.one_of(table.unpack(terminal.names))) }

--- text(x, columns, lines): a picture as half blocks, at most so many columns and lines, its aspect kept.
function M.text(x, columns, lines)
  local picture = viz.picture(x)
  local height, width = picture.shape[1], picture.shape[2]
  local w = math.min(columns, math.max(1, math.floor(2 * lines * width / height)))
  local h = math.max(1, math.floor(w * height / width / 2 + 0.5))
  return core.picture.blocks(picture, w, math.min(h, lines))
end

-- A run's losses, step by step, or the curves that x is; nil where it is none.
local function curves(x)
  if options_of.named "run"(x) then
    local losses = {}
    for _, record in ipairs((x:metrics())) do
      for name, value in pairs(record) do
        if (name:find "^train_" or name:find "^validation_") and math.type(value) and record.step then
          losses[name] = losses[name] or {}
          table.insert(losses[name], { record.step, value })
        end
      end
    end
    return plot.series(losses) or core.refuse("%s: expected losses in metrics.jsonl, found none", x.path)
  end
  return plot.series(x)
end

--- show(x, { graphics }): draws x in the terminal: images, masks, maps, flows, embeddings, responsibilities,
-- predictions; curves: a tensor N, a list of numbers or of { x, y }, a table of such by name, or a run (its losses).
-- graphics: "kitty", "iterm2", "sixel", "blocks" or "none", where it must not be found out (as $COHESIV_GRAPHICS).
function M.show(x, options)
  local graphics = options_of.read("show", options, SCHEMA).graphics
  local series = curves(x)
  local picture = not series and viz.picture(x) -- refuses what cannot be shown, also without a terminal
  graphics = graphics or terminal.graphics()
  local columns, lines = terminal.size()
  if series then
    io.write(plot.text(series, columns, math.min(PLOT_LINES, lines - 2), graphics ~= "none"))
  elseif graphics == "none" then
    local what = core.is_tensor(x) and x.dtype .. " " .. table.concat(x.shape, "x") or tostring(x):match "^[^\n]*"
    print(("%s: a picture of %dx%d"):format(what, picture.shape[2], picture.shape[1]))
  elseif graphics == "blocks" then
    io.write(M.text(picture, columns, math.max(4, lines - 2)))
  else
    local width, height = terminal.room(graphics, columns, math.max(4, lines - 2))
    width, height = terminal.fit(picture.shape[2], picture.shape[1], width, height)
    io.write(terminal.draw(graphics, terminal.resized(picture, width, height)), "\n")
  end
  io.flush()
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
