--- Optical flow: estimating it, and reading and writing .flo files. A flow is float32 H×W×2, (dx, dy) in pixels: the
-- point (x, y) of the first image lies at (x + dx, y + dy) in the second.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local methods = require "cohesiv.motion.flow_methods"

local M = {
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

local function flow_between(a, b, o)
  core.flow.pair(a, b) -- { b } is empty where b is nil
  local flow
  methods.flows(a, { b }, o, nil, function(_, f) flow = f end)
  return flow
end

--- estimate(a, b, { method = "dis" | "raft_small" | "raft_large", check = false, iterations = 20, weights = FILE }):
-- the flow from image a to image b, both uint8 H×W×3 or H×W, of any size. With check also a uint8 H×W mask: 1 where the
-- flow from b to a leads back, 0 where it does not (occluded, unsure, or outside b).
-- "dis": dense inverse search (Kroeger et al., ECCV 2016), on grey values. "raft_small", "raft_large": RAFT (Teed and
-- Deng, ECCV 2020) in so many iterations, with public weights of PyTorch: those in a file, else the ones that lie in
-- $COHESIV_WEIGHTS (`cohesiv fetch` lists them). Made for 128 pixels and more a side; smaller pictures are padded.
function M.estimate(a, b, o)
  o = options.read("flow.estimate", o, { method = options.optional "any", check = options.optional "any",
    iterations = methods.settings.iterations, weights = methods.settings.weights })
  local flow = flow_between(a, b, o)
  if not o.check then return flow end
  return flow, M.check(flow, flow_between(b, a, o))
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
