--- co.homography: plane motions between two sets of points.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local M = {}

-- N×2 float64, from a tensor or a table of points
local function points(x, name)
  local what = "homography.fit: " .. name
  if type(x) == "table" then x = core.tensor(x, { dtype = "float64" }) end
  if not core.is_tensor(x) then core.refuse("%s: expected a tensor, found %s", what, type(x)) end
  return options.finite(what, x:detach():to "float64", "points")
end

--- fit(source, target, { model = "homography" | "affine" | "similarity" | "translation", robust = false }): the 3×3
-- motion (float64) that takes source to target (N×2 each, (x, y)), by least squares; homographies by the normalised
-- direct linear transform. Its last entry is 1 or, where the origin goes to infinity, 0, its Frobenius norm then 1 and
-- its largest entry positive. robust = true finds outliers by itself (up to half of the points), a number is the
-- distance that makes one. Raises when the points do not determine the motion. Also returns the share of inliers.
function M.fit(source, target, o)
  o = options.read("homography.fit", o, { model = options.optional "any", robust = options.optional "any" }, " and ")
  return core.homography.fit(points(source, "source"), points(target, "target"), o.model, o.robust)
end

return M
