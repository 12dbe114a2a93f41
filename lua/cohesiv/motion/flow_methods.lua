--- The methods of optical flow: how each makes flows, what it may be told, and what stands for it in caches. A flow is
-- float32 H×W×2, as flow.lua tells.
local core = require "cohesiv.core"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"
local raft = require "cohesiv.motion.raft_flow"
local M = {}

local TOGETHER = 8 -- flows that a GPU computes at once

-- A method's flows calls done(i, flow) for the flow from a picture to each of others of its shape; identity stands for
-- all that it depends on beside the pictures.
local methods = {
  dis = {
    identity = function() return "dis 2" end,
    flows = function(_, a, others, _, done)
      local step = a.device == "cpu" and 1 or TOGETHER
      for first = 1, #others, step do
        local flows = { core.flow.dis(a, table.unpack(others, first, math.min(first + step - 1, #others))) }
        for i, flow in ipairs(flows) do done(first + i - 1, flow) end
      end
    end,
  },
}
for name in pairs(raft.names) do
  methods[name] = {
    weights = true,
    identity = function(o) return ("%s 1 %d %s"):format(name, o.iterations, raft.digest(name, o.weights)) end,
    flows = function(o, a, others, keys, done)
      raft.open(name, { weights = o.weights, iterations = o.iterations, device = a.device })
        :flows(a, others, keys, done)
    end,
  }
end

--- What a method may be told: for estimate, and for clip:flow.
M.settings = { iterations = options.optional(options.integer(20, 1, 1000)), weights = options.optional "path" }

local function method_of(o)
  local name = o.method == nil and "dis" or o.method
  local method = methods[name]
  if not method then
    core.refuse("flow.estimate: expected a method out of %s, found %s", table.concat(lists.keys(methods), ", "),
      options.text(o.method))
  end
  for key in pairs(M.settings) do
    if o[key] ~= nil and not method.weights then
      core.refuse("flow.estimate: %s: expected a method with weights beside it, found %s", key, name)
    end
  end
  return method, { iterations = o.iterations or 20, weights = o.weights }
end

--- identity(o): what stands for the method of these options, for caches: its version and, of a network, what it is told
-- and the digest of its weights.
function M.identity(o)
  local method, settings = method_of(o)
  return method.identity(settings)
end

--- weights_key(name): what stands for the weights that the method of that name has here, for caches; "" without any.
function M.weights_key(name) return methods[name] and methods[name].weights and M.identity { method = name } or "" end

--- flows(a, others, o, keys, done): the flows from image a to each of a list of others, all of one shape, as estimate
-- gives them, to done(i, flow) as they come. keys: nil, or of a and of each of the others what tells it from all other
-- pictures: what a network has seen in a picture is then kept for the next time.
function M.flows(a, others, o, keys, done)
  local method, settings = method_of(o)
  for _, b in ipairs(others) do core.flow.pair(a, b) end
  method.flows(settings, a, others, keys, done)
end

return M
