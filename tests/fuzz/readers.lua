-- The readers of JSON that lua.c runs: landmarks of a small clip and the queries of one, in files that are links to
-- the input. Each function reads all that there is to read; what it raises is judged there.
local root, input = ...
package.path = ("%s/lua/?.lua;%s/lua/?/init.lua;%s"):format(root, root, package.path)

local annotations = require "cohesiv.data.annotations"
local core = require "cohesiv.core"
local landmarks = require "cohesiv.data.landmarks"
local lfs = require "lfs"
local tensor = require "cohesiv.tensor"

local folder = assert(os.getenv "COHESIV_FUZZ_FOLDER", "COHESIV_FUZZ_FOLDER: expected a folder")
local clip = { name = "a", frames = 3, width = 16, height = 9 }

core.io.make_folder(folder)
for _, name in ipairs { "/hands.json", "/queries.json" } do
  os.remove(folder .. name)
  assert(lfs.link(input, folder .. name, true))
end

local function hands()
  local document = landmarks.read(folder .. "/hands.json", clip)
  for n = 0, clip.frames - 1 do
    document:hands(n)
    document:key(n)
  end
end

local function queries()
  for _, frame in ipairs(annotations.read(folder, clip.name)) do annotations.check_clip(frame, clip) end
end

return { hands = function() tensor.tidy(hands) end, queries = queries }
