--- co.load and co.save: tensors in files, by the extension of the name. What each format can hold is told where it is
-- read: csrc/io/array.h and csrc/io/image.h.
local core = require "cohesiv.core"
local image = require "cohesiv.tensor.image"
local weights = require "cohesiv.nn.weights"
local error = core.error -- a line, whatever it quotes

local M = {}

local function picture(path, t) image.write(path, t) end
local function pytorch(path) return (weights.read(path)) end

local readers = {
  npy = core.io.npy_read, npz = core.io.npz_read, flo = core.io.flo_read,
  png = image.read, jpg = image.read, jpeg = image.read, safetensors = core.io.safetensors_read,
  pth = pytorch, pt = pytorch,
}
local writers = {
  npy = core.io.npy_write, npz = core.io.npz_write, flo = core.io.flo_write, png = picture,
  safetensors = core.io.safetensors_write,
}

local function choose(what, list, path)
  if type(path) ~= "string" then error(("%s: expected a path, found %s"):format(what, type(path)), 0) end
  local kind = (path:match "%.([^./]+)$" or ""):lower()
  if list[kind] then return list[kind] end
  local names = {}
  for name in pairs(list) do names[#names + 1] = "." .. name end
  table.sort(names)
  error(("%s: expected a name that ends in one of %s, found %s"):format(what, table.concat(names, " "), path), 0)
end

--- load(path): a tensor from .npy, .flo, .png or .jpg; a table of tensors by name from .npz; tensors by name and
-- metadata from .safetensors, tensors by name from PyTorch's .pth and .pt. float64 stays float64; bool becomes uint8;
-- int8, int16 and uint16 become int32.
function M.load(path) return choose("load", readers, path)(path) end

--- save(path, t): a tensor to .npy, .flo or .png, a table of tensors by name to .npz (deflated) or .safetensors (a
-- third argument is its metadata, text by name). Written whole or not at all.
function M.save(path, t, metadata)
  local write = choose("save", writers, path)
  if write == core.io.safetensors_write then return write(path, t, metadata) end
  write(path, t)
end

return M
