--- Pictures in files. Tensors are uint8 H×W×3 RGB, channels last; the extension says the format.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local image = {}

local function extension(path)
  if type(path) ~= "string" then core.refuse("image: expected a path, found %s", type(path)) end
  return (path:match "%.([^./]+)$" or ""):lower()
end

local READING = { depth = options.rule(8, "depth 8 or 16", function(x) return x == 8 or x == 16 end) }
-- The writers say which numbers they take.
local PNG, JPEG = { depth = options.optional "number" }, { quality = options.optional "number" }

--- read(path, { depth = 8 }): a .png, .jpg or .jpeg file as uint8 H×W×3; grey is repeated, alpha dropped, 1 to 4 bits
-- spread to 0 … 255, turned as EXIF says. { depth = 16 }: a PNG as int32 H×W×3, 0 … 65535, 8-bit values times 257.
function image.read(path, given)
  local depth, kind = options.read("image", given, READING).depth, extension(path)
  if kind == "png" then return core.io.png_read(path, depth == 16 and "rgb16" or "rgb8") end
  if not kind:find "^jpe?g$" then core.refuse("%s: expected a .png, .jpg or .jpeg file, found .%s", path, kind) end
  if depth == 16 then core.refuse("%s: expected a PNG file for depth 16, found a JPEG", path) end
  return core.io.jpeg_read(path)
end

--- write(path, t, { depth = 8 }): a .png file of uint8 H×W, H×W×1 or H×W×3; { depth = 1 }: uint8 H×W, anything but 0
-- becomes white; { depth = 16 }: int32 of 0 … 65535. { quality = 90 }, of 1 to 100: a .jpg or .jpeg file of uint8.
-- Written whole or not at all.
function image.write(path, t, given)
  local kind = extension(path)
  if kind:find "^jpe?g$" then return core.io.jpeg_write(path, t, options.read("image", given, JPEG).quality) end
  if kind ~= "png" then core.refuse("%s: expected a .png, .jpg or .jpeg file to write, found .%s", path, kind) end
  local depth = options.read("image", given, PNG).depth
  core.io.png_write(path, t, depth or (type(t) == "userdata" and t.dtype == "int32" and 16 or 8))
end

--- mask(path): a PNG of two values as uint8 H×W of 0 and 1 (value, index or alpha not 0); see csrc/io/mask.h.
function image.mask(path) return core.io.png_read(path, "mask") end

--- png(t, { depth = 8 }): the bytes of a PNG file.
function image.png(t, given) return core.io.png_bytes(t, options.read("image", given, PNG).depth) end

--- jpeg(t, { quality = 90 }): the bytes of a JPEG file.
function image.jpeg(t, given) return core.io.jpeg_bytes(t, options.read("image", given, JPEG).quality) end

return image
