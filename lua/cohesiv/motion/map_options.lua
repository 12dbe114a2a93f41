--- The options of responsibility maps: names, defaults and what each may be, said once for recipes, for
-- clip:responsibility, co.responsibility, R:with, the command line and the cache of samples. What they mean: maps.lua.
local core = require "cohesiv.core"
local lists, options = require "cohesiv.base.lists", require "cohesiv.base.options"
local places = require "cohesiv.base.places"
local optional, one_of, positive = options.optional, options.one_of, options.positive

local M = {}

--- What a recipe says under `maps`, with the method's values.
M.recipe = {
  gaps = one_of({ -3, -2, -1, 1, 2, 3 }, "motion"), -- frames between the two images of a flow
  size = optional "list", -- { width, height } of flow and maps, where finer than the recipe's and averaged to it
  temperature = positive(2, "pixels"), -- at the size of the maps
  background = one_of("static", "homography", "epipolar", "auto"),
  fit = {
    model = one_of("homography", "affine", "similarity", "translation"),
    points = options.integer(500, 0, 1000000), -- of a hand, more are left out; 0: all
    robust = false,
  },
  targets = one_of("flow", "landmarks"),
  closeness = optional(positive(nil, "hand sizes")),
  flow = one_of("auto", "dis", "raft_small", "raft_large", "truth"), -- auto: the data folder's flow, else dis
  sharpen = one_of(false, "cut", "walker", "level"), -- cut out along colours and edges of the frame; true: "cut"
}

-- A schema like another with some entries of its own.
local function like(schema, own)
  local out = lists.copy(schema)
  for name, rule in pairs(own) do out[name] = rule end
  return out
end

--- with(own): what stands under `maps` in a recipe that says more of them.
function M.with(own) return like(M.recipe, own) end

local robust = optional "boolean|number" -- true: outliers are found; a number: pixels

--- What clip:responsibility is asked for. fall_back: a hand whose points do not determine the model gets a poorer one.
-- device: where flow and maps are made.
M.clip = like(M.recipe, { fit = like(M.recipe.fit, { robust = robust, fall_back = true }), flow = optional "any",
  device = "cpu",
  closeness = optional "any", size = optional "any" })

local by_maps = { temperature = M.recipe.temperature, background = M.recipe.background,
  closeness = M.recipe.closeness, sharpen = optional "any" }

--- What R:with changes, and what co.responsibility is asked for: flows, hands and the frame to sharpen by are given.
M.change = like(by_maps, { keep = optional "table" })
M.computation = like(by_maps, { flows = optional "any", hands = optional "any", picture = optional "any",
  gaps = optional "table", content = optional "list", targets = optional "list",
  fit = { model = M.recipe.fit.model, points = options.integer(0, 0, 1000000), robust = robust, fall_back = false } })

--- read(what, given, schema): see base/options.lua. `false` says none of what has no default.
function M.read(what, given, schema)
  local o = lists.copy(options.table_of(what, given))
  if o.closeness == false then o.closeness = nil end
  return options.read(what, o, schema, ", ")
end

--- of_recipe(recipe, device): what clip:responsibility is asked for; maps are of maps.size, where the recipe has it.
function M.of_recipe(recipe, device)
  local o = { device = device }
  for name in pairs(M.recipe) do o[name] = recipe.maps[name] end
  o.fit, o.size = lists.copy(o.fit), o.size or recipe.size
  return o
end

--- map(recipe, R, clip, n): R's map, or that of what the recipe's maps.edit makes of R, which is of the same shape.
function M.map(recipe, R, clip, n)
  local edit = rawget(recipe.maps, "edit") -- recipes of older runs lack it
  local new = edit and edit(R, clip, n)
  if new == nil then return R.map end
  local map, shape = type(new) == "table" and new.map, table.concat(R.map.shape, "x")
  if core.is_tensor(map) and table.concat(map.shape, "x") == shape then return map end
  core.refuse("maps.edit: %sexpected R with a map of %s, found %s", places.prefix(edit), shape,
    core.found(core.is_tensor(map) and map or new))
end

--- recipe_keys(): the dotted names of what a recipe says of its maps, sorted.
function M.recipe_keys()
  local keys = {}
  for name in pairs(M.recipe) do keys["maps." .. name] = true end
  for name in pairs(M.recipe.fit) do keys["maps.fit." .. name] = true end
  keys["maps.fit"] = nil
  return lists.keys(keys)
end

return M
