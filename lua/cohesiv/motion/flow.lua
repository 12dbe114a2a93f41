--- Optical flow: estimating it, and reading and writing .flo files. A flow is float32 H×W×2, (dx, dy) in pixels: the
-- point (x, y) of the first image lies at (x + dx, y + dy) in the second.
local core = require "cohesiv.core"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"

local M = {
  --- Changes with what estimate gives, so that caches know.
  version = 2,
  --- read(path): the flow of a Middlebury .flo file.
  read = function(path) return core.io.flo_read(path) end,
  --- write(path, flow): writes a .flo file, whole or not at all.
  write = function(path, flow) return core.io.flo_write(path, flow) end,
  --- check(forward, backward, relative = 0.01, absolute = 0.5): uint8 H×W, 1 where |f + g|² ≤ relative (|f|² + |g|²) +
  -- absolute, with f the forward flow of a pixel and g the backward flow at its target; outside targets are 0.
  check = function(forward, backward, relative, absolute)
    return core.flow.check(forward, backward, relative, absolute)
  end,
}

local methods = { dis = core.flow.dis }

--- estimate(a, b, { method = "dis", check = false }): the flow from image a to image b, both uint8 H×W×3 or H×W.
-- With check also a uint8 H×W mask: 1 where the flow from b to a leads back, 0 where it does not (occluded, unsure,
-- or outside b). "dis": dense inverse search (Kroeger et al., ECCV 2016), on grey values.
function M.estimate(a, b, o)
  o = options.read("flow.estimate", o, { method = options.optional "any", check = options.optional "any" })
  local run = methods[o.method == nil and "dis" or o.method]
  if not run then
    core.refuse("flow.estimate: expected a method out of %s, found %s", table.concat(lists.keys(methods), ", "),
      options.text(o.method))
  end
  return run(a, b, { check = o.check })
end

--- color(flow, { full }): the flow H×W×2 as a picture, uint8 H×W×3, on the colour wheel of Baker et al. (IJCV 2011):
-- hue is direction, saturation magnitude, full at `full` pixels (default: the largest); unknown flow is black.
function M.color(flow, o)
  o = options.read("flow.color", o, { full = options.optional "number" })
  if not core.is_tensor(flow) or #flow.shape ~= 3 or flow.shape[3] ~= 2 then
    core.refuse("flow.color: expected a flow HxWx2, found %s", options.show(flow))
  end
  return (core.picture.flow(flow:detach():to "float32", o.full))
end

return M
