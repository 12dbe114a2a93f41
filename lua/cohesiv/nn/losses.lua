--- co.losses: the two losses of the method, and the cross entropy of classifiers; each one pass in C.
local core = require "cohesiv.core"
local options = require "cohesiv.base.options"
local ops = core.ops

local M = {}

--- responsibility(Q, K, R, queries, image?): smooth-L1 (β = 0.5) between clamp(qᵀK[p], 0, 1) and R, mean over pixels,
-- then hands. Q, K: N×H×W×A; R: M×H×W; queries: M×2 (x, y), rounded and clamped to the image; image: M int32, the image
-- (1 …) each hand is in (default 1 … M). R below 0 marks pixels that take no part. options.through: the clamp lets
-- gradients pass that lead back inside (same loss; scores that have left (0, 1) everywhere can return). → scalar
function M.responsibility(Q, K, R, queries, image, given)
  local o = options.read("losses.responsibility", given, { through = false })
  if core.is_tensor(queries) and queries.device == "cpu" then -- elsewhere the op looks, and nobody waits
    options.finite("losses.responsibility: queries", queries)
  end
  return ops.responsibility_loss.call(Q, K, R, queries, image, o)
end

--- embedding(Z, label, { normalise = true, scale = 10, epsilon = 1e-3, means = "image" | "batch" }): the three-way
-- contrastive loss. Z: N×H×W×F; label: N×H×W int32, 1 person, 2 object, 3 background, 0 ignored. → scalar
function M.embedding(Z, label, given)
  local o = options.read("embedding", given,
    { normalise = true, scale = 10, epsilon = 1e-3, means = options.one_of("image", "batch") })
  o.batch_means, o.means = o.means == "batch", nil
  return ops.embedding_loss.call(Z, label, o)
end

--- cross_entropy(logits, label): the mean of -log softmax(logits) at the label, over all that have one. logits: N×C, or
-- …×C (N×H×W×C of images); label: … int32, classes from 1, 0 ignored. → scalar
function M.cross_entropy(logits, label) return ops.cross_entropy.call(logits, label) end

return M
