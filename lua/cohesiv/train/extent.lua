--- How much of its data a recipe uses, and how often: all of it, or less to try something out.
--   limit_batches      so many batches of every epoch, and of its validation
--   overfit_batches    the first batches are learnt by heart: not shuffled, not augmented, validated on themselves
--   fast_dev_run       one batch, one epoch: whether everything runs
local M = {}

--- epochs(recipe): at most.
function M.epochs(recipe) return recipe.fast_dev_run and 1 or recipe.epochs end

--- batches(recipe, samples): of an epoch of so many samples.
function M.batches(recipe, samples)
  local all = (samples + recipe.batch - 1) // recipe.batch
  return math.tointeger(math.min(all, recipe.fast_dev_run and 1 or recipe.limit_batches or all))
end

--- samples(recipe): how many are needed; infinite for all that there are.
function M.samples(recipe)
  if recipe.batch == "auto" then return math.huge end
  if recipe.overfit_batches > 0 then return recipe.overfit_batches * recipe.batch end
  return recipe.fast_dev_run and 2 * recipe.batch or math.huge
end

--- used(recipe, samples): samples { train, validation } as they are used.
function M.used(recipe, samples)
  if recipe.overfit_batches == 0 or recipe.batch == "auto" then return samples end
  local all = table.move(samples.train, 1, #samples.train, 1, {})
  table.move(samples.validation, 1, #samples.validation, #all + 1, all)
  local first = { table.unpack(all, 1, math.min(recipe.overfit_batches * recipe.batch, #all)) }
  return { train = first, validation = first }
end

return M
