--- What the flow and the person mask that a data folder brings along may hold. Which file is a frame's, and making what
-- is not there, is the clip's.
local core = require "cohesiv.core"
local kinds = require "cohesiv.base.kinds"
local refuse = require "cohesiv.base.refuse"
local scale = require "cohesiv.motion.scale"

local given = {}

-- ---- flow ----

local UNKNOWN = 1e9 -- Middlebury's mark of a vector that is not known
local MOST = 4 -- pictures, the longest vector

local function npz_flow(path)
  local arrays = core.io.npz_read(path)
  local first = next(arrays)
  if not first then refuse("%s: expected an array, found none", path) end
  if arrays.flow or not next(arrays, first) then return arrays.flow or arrays[first] end
  refuse("%s: expected an array named flow, found %s", path, kinds.keys(arrays))
end

local readers = {
  flo = core.io.flo_read, npy = core.io.npy_read, npz = npz_flow,
  png = function(path) return (core.io.flow_png_read(path)) end,
}

-- Where the first vector with a component that is no number stands.
local function refuse_strange(path, flow)
  for y, row in ipairs(flow:totable()) do
    for x, v in ipairs(row) do
      local strange = v[1] - v[1] ~= 0 and v[1] or v[2]
      if strange - strange ~= 0 then
        refuse("%s: expected a flow of numbers, found %s at (%d, %d)", path, strange ~= strange and "NaN" or "infinity",
          x - 1, y - 1)
      end
    end
  end
end

-- Vectors that are no numbers are refused, unknown ones count as 0 (as the invalid pixels of KITTI's pictures do), and
-- those that lead pictures away are of no flow in pixels.
local function check_vectors(path, flow)
  local h, w = flow.shape[1], flow.shape[2]
  local size = flow:abs()
  local longest = size:max():item()
  if longest - longest ~= 0 then refuse_strange(path, flow) end
  if longest > UNKNOWN then
    local known = core.ops.le.call((size:max(3)), UNKNOWN):to "float32"
    flow = flow * known:reshape(h, w, 1)
    longest = flow:abs():max():item()
  end
  if longest > MOST * math.max(w, h) then
    refuse("%s: expected vectors of at most %d pixels (%d pictures), found %.0f (coded, not in pixels?)", path,
      MOST * math.max(w, h), MOST, longest)
  end
  return flow
end

--- flow(clip, path, kind, sc): the flow of a file at a scale.
function given.flow(clip, path, kind, sc)
  local flow = readers[kind](path)
  local shape = flow.shape
  if #shape ~= 3 or shape[3] ~= 2 or shape[1] == 0 or shape[2] == 0
    or not scale.same_aspect(shape[2], shape[1], clip.width, clip.height) then
    refuse("%s: expected a flow of the whole frame (%dx%d, or scaled), found %s%s", path, clip.width, clip.height,
      table.concat(shape, "x"), #shape == 3 and shape[1] == 2 and " (height x width x 2 is the order)" or "")
  end
  if flow.dtype ~= "float32" then flow = flow:to "float32" end
  return scale.flow(check_vectors(path, flow), sc, clip.width)
end

-- ---- person masks ----

--- person(clip, path): the mask of a file, uint8 H×W of 0 and 1 in the clip's own pixels.
function given.person(clip, path)
  local mask = core.io.png_read(path, "mask")
  if mask.shape[1] ~= clip.height or mask.shape[2] ~= clip.width then
    refuse("%s: expected a mask of %dx%d, found %dx%d", path, clip.width, clip.height, mask.shape[2], mask.shape[1])
  end
  return mask
end

return given
