--- co.load and co.save: tensors in files, by their extension. What a format can hold: csrc/io/array.h, csrc/io/image.h.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local image = require "cohesiv.tensor.image"
local M = {}

-- PyTorch's data-parallel wrapper goes before all names or none.
local function read_pth(path)
  local state, bare = core.io.pth_read(path), {}
  for name, t in pairs(state) do
    local inner = name:match "^module%.(.+)$"
    if not inner then return state end
    bare[inner] = t
  end
  return bare
end

local weight_readers = { safetensors = core.io.safetensors_read, npz = core.io.npz_read, pth = read_pth }
local weight_kinds = {
  safetensors = "safetensors", npz = "npz", pth = "pth", pt = "pth", ckpt = "pth", bin = "pth", tar = "pth",
}

-- What a file is: by its first bytes where they tell, else by its name.
local function kind_of(path)
  local by_name = weight_kinds[(path:match "%.([^./]+)$" or ""):lower()]
  if core.io.status(path) ~= "file" then return by_name or "safetensors" end -- whose reader says what is wrong
  local file <close> = io.open(path, "rb")
  local head = file and file:read(9) or ""
  if head:find "^....\0\0\0\0{" then return "safetensors" end
  if head:find "^PK" then return by_name == "npz" and "npz" or "pth" end
  if head:find "^\x80[\0-\5]" then return "pth" end
  return by_name
end

--- weights(path): tensors by name, metadata (nil unless safetensors), and "safetensors", "npz" or "pth". Of a PyTorch
-- checkpoint, the weights: the dict under "state_dict", "model" or the like, names without "module.".
function M.weights(path)
  if type(path) ~= "string" then core.refuse("weights: expected a path, found %s", type(path)) end
  local kind = kind_of(path)
  if not kind then
    core.refuse("%s: expected weights (.safetensors, .npz, .pth, .pt), found %s", path,
      core.io.kind(path) or "another kind")
  end
  local state, metadata = weight_readers[kind](path)
  return state, metadata, kind
end

local function pytorch(path) return (M.weights(path)) end

local readers = {
  npy = core.io.npy_read, npz = core.io.npz_read, flo = core.io.flo_read,
  png = image.read, jpg = image.read, jpeg = image.read, safetensors = core.io.safetensors_read,
  pth = pytorch, pt = pytorch,
}
local writers = {
  npy = core.io.npy_write, npz = core.io.npz_write, flo = core.io.flo_write, png = image.write, jpg = image.write,
  jpeg = image.write, safetensors = core.io.safetensors_write,
}

local function choose(what, list, path)
  if type(path) ~= "string" then core.refuse("%s: expected a path, found %s", what, type(path)) end
  return list[(path:match "%.([^./]+)$" or ""):lower()]
    or core.refuse("%s: expected a name that ends in one of .%s, found %s", what, table.concat(lists.keys(list), " ."),
      path)
end

--- load(path): a tensor from .npy, .flo, .png or .jpg; tensors by name from .npz and PyTorch's .pth and .pt; these and
-- metadata from .safetensors. float64 stays float64; bool becomes uint8; int8, int16 and uint16 become int32.
function M.load(path) return choose("load", readers, path)(path) end

--- save(path, t): a tensor to .npy, .flo, .png or .jpg, a table of tensors by name to .npz (deflated) or .safetensors
-- (a third argument is its metadata, text by name). Written whole or not at all.
function M.save(path, t, metadata)
  local write = choose("save", writers, path)
  local listed = type(metadata) == "table" and metadata[1] -- the names behind a state_dict()
  write(path, t, write == core.io.safetensors_write and not listed and metadata or nil)
end

return M
