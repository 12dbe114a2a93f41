--- The loss of a batch, as a recipe has it: the losses of its system's task (tasks.lua) and an experiment's own terms,
-- each with its weight.
local core = require "cohesiv.core"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"
local places = require "cohesiv.base.places"
local tensor = require "cohesiv.tensor"
local tasks = require "cohesiv.train.tasks"
local M = {}

local ALWAYS = { "responsibility", "embedding", "total" } -- names that are no experiment's own

--- terms(recipe): the experiment's own losses that have a weight, sorted: list of { name, weight, term = function }.
function M.terms(recipe)
  local given = rawget(recipe.loss, "terms") or {} -- recipes of older runs lack it
  local task = next(given) and tasks.of(recipe)
  local taken, of_task = lists.set(ALWAYS), lists.set(task and task.names(recipe) or {})
  return lists.map(lists.keys(given), function(name)
    local term = given[name]
    if taken[name] or of_task[name] then core.refuse("loss.terms: expected a name of its own, found %s", name) end
    if not term.term then core.refuse("loss.terms.%s: expected { weight = w, function }, found no function", name) end
    return term.weight ~= 0 and { name = name, weight = term.weight, term = term.term }
  end)
end

local function scalar(own, value)
  if core.is_tensor(value) and value:numel() == 1 then return value:reshape {} end
  core.refuse("loss.terms.%s: %sexpected a tensor of one number, found %s", own.name, places.prefix(own.term),
    options.show(value))
end

--- of(model, recipe, batch): the loss of a batch { image, label, maps, points, image_index, … } and, in one tensor, its
-- parts as names(recipe) has them, unweighted, and itself.
function M.of(model, recipe, batch)
  local out, built_in = tasks.of(recipe).losses(model, recipe, batch)
  local values, total = {}, nil
  local function add(weight, loss)
    values[#values + 1] = loss:detach()
    loss = loss * weight
    total = total and total + loss or loss
  end
  for _, one in ipairs(built_in) do add(one[1], one[2]) end
  for _, own in ipairs(M.terms(recipe)) do add(own.weight, scalar(own, own.term(out, batch, model))) end
  values[#values + 1] = total:detach()
  return total, tensor.stack(values)
end

--- names(recipe): of the parts of a loss, in their order.
function M.names(recipe)
  local names = lists.copy(tasks.of(recipe).names(recipe))
  for _, own in ipairs(M.terms(recipe)) do names[#names + 1] = own.name end
  names[#names + 1] = "total"
  return names
end

--- named(recipe, values): parts of a loss, as numbers, by their names.
function M.named(recipe, values)
  local parts = {}
  for i, name in ipairs(M.names(recipe)) do parts[name] = values[i] end
  return parts
end

return M
