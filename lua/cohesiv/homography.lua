--- co.homography: plane motions between two sets of points.
local core = require "cohesiv.core"

local M = {}

local known = { model = true, robust = true }

-- N×2 float64, from a tensor or a table of points
local function points(x, name)
  if type(x) == "table" then x = core.tensor(x, { dtype = "float64" }) end
  if not core.is_tensor(x) then error(("homography.fit: %s: expected a tensor, found %s"):format(name, type(x)), 0) end
  return x:detach():to "float64"
end

--- fit(source, target, { model = "homography" | "affine" | "similarity" | "translation", robust = false }): the 3×3
-- motion (float64, last entry 1) that takes source to target (N×2 each, (x, y)), by least squares; homographies by the
-- normalised direct linear transform. robust = true finds outliers by itself (up to half of the points), a number is
-- the distance beyond which a point is one. Raises when the points do not determine the motion. The second result is
-- the share of inliers.
function M.fit(source, target, options)
  options = options or {}
  for key in pairs(options) do
    if not known[key] then
      error(("homography.fit: expected the options model and robust, found %s"):format(tostring(key)), 0)
    end
  end
  return core.homography.fit(points(source, "source"), points(target, "target"), options.model, options.robust)
end

return M
