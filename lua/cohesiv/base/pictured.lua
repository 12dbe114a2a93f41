--- Classes with a picture: x:png() is a PNG's bytes, x:save "file.png" writes it. The public module says who draws.
local core = require "cohesiv.core"
local M = {}

--- draw(): who draws, a table with png(x) and save(x, path), asked for when the first picture is.
M.draw = function() core.refuse "expected cohesiv to be loaded as a whole, found a part of it" end

--- class(methods): gives a class `png` and `save`; returns it.
function M.class(methods)
  --- x:png(): the bytes of a PNG file of its picture, the one that co.show shows.
  function methods.png(x) return M.draw().png(x) end
  --- x:save "file.png": writes its picture.
  function methods.save(x, path) return M.draw().save(x, path) end
  return methods
end

return M
