-- The readers of JSON that lua.c runs: a data folder of one small clip whose landmarks and queries are links to the
-- input. Each function reads all that there is to read; what it raises is judged there.
local root, input = ...
package.path = root .. "/lua/?.lua;" .. root .. "/?.lua;" .. package.path

local core = require "cohesiv.core"
local data = require "cohesiv.data"
local lfs = require "lfs"
local tensor = require "cohesiv.tensor"

local FRAMES, WIDTH, HEIGHT = 3, 16, 9

local function make_folder()
  local path = ("%s/data"):format(assert(os.getenv "COHESIV_FUZZ_FOLDER", "COHESIV_FUZZ_FOLDER: expected a folder"))
  for _, name in ipairs { "clips/a", "hands_json", "masks/a" } do core.io.make_folder(path .. "/" .. name) end
  local picture = tensor.zeros({ HEIGHT, WIDTH, 3 }, { dtype = "uint8" })
  for n = 0, FRAMES - 1 do core.io.png_write(("%s/clips/a/%06d.png"):format(path, n), picture) end
  for _, name in ipairs { "/hands_json/a.json", "/masks/a/queries.json" } do
    os.remove(path .. name)
    assert(lfs.link(input, path .. name, true))
  end
  return path
end

local folder = data.data(make_folder())

local function hands()
  local clip = folder:clip "a"
  for n = 0, FRAMES - 1 do clip:hands(n) end
end

return {
  hands = function() tensor.tidy(hands) end,
  queries = function() folder:queries "a" end,
}
