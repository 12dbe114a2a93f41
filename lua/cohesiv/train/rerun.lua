--- A run again, from its folder alone, and whether it comes out the same: losses of every epoch, weights, thresholds
-- and scores, bit for bit. Times do not count.
local core = require "cohesiv.core"
local home, json, lists = require "cohesiv.base.home", require "cohesiv.base.json", require "cohesiv.base.lists"
local evaluation, files = require "cohesiv.train.evaluation", require "cohesiv.train.files"
local recipes, train = require "cohesiv.train.recipe", require "cohesiv.train.train"
local M = {}

local FINISHED = lists.set { "done", "trained", "dropped" }
local PATHS = { "data", "calibrate.data", "evaluate.data", "model.encoder_weights", "query.run" } -- of a recipe

-- A path or a list of them, which may be relative to where the run was started.
local function found(value, cwd)
  if type(value) == "table" then return lists.map(value, function(path) return found(path, cwd) end) end
  if type(value) ~= "string" or value:sub(1, 1) == "/" or core.io.status(value) or not cwd then return value end
  local there = cwd .. "/" .. value
  return core.io.status(there) and there or value
end

--- recipe(run): what the run was made by, its code and files with it; keys that are younger than the run have their
-- defaults.
function M.recipe(run)
  local cwd, r = (run:info().environment or {}).cwd, recipes.completed(run.recipe)
  for _, name in ipairs(PATHS) do
    local value = recipes.flatten(r)[name]
    if value ~= nil then recipes.set(r, name, found(value, cwd)) end
  end
  return recipes.from(r, files.kept(run)
    or { path = "recipe.lua", text = core.io.read_file(run:file "recipe.lua"), modules = {} })
end

-- ---- differences: texts, the first one of each kind ----

local function compare_metrics(before, now, tell)
  local old, new = before:metrics(), now:metrics()
  if #old ~= #new then return tell("%d epochs then, %d now", #old, #new) end
  for i, record in ipairs(old) do
    for _, key in ipairs(lists.keys(record)) do
      local a, b = record[key], new[i][key]
      if key ~= "seconds" and a ~= b then
        return tell("%s of epoch %d: %s then, %s now", key, i, recipes.show(a), recipes.show(b))
      end
    end
  end
  return #old
end

-- Whether two tensors of one shape hold the same numbers; what is no number is the same as itself.
local function same(a, b)
  local ops = core.ops
  local differ = ops.ne.call(a, b):to "float32"
  local neither = ops.ne.call(a, a):to "float32" * ops.ne.call(b, b):to "float32"
  return differ:numel() == 0 or (differ - neither):reshape(-1):max():item() == 0
end

-- How many tensors a file of weights holds, told where it differs.
local function compare_weights(before, now, name, tell)
  if before:has(name) ~= now:has(name) then return tell("%s: %s", name, now:has(name) and "new" or "missing now") end
  if not before:has(name) then return 0 end
  local old, new = core.io.safetensors_read(before:file(name)), core.io.safetensors_read(now:file(name))
  for _, key in ipairs(lists.keys(old)) do
    local a, b = old[key], new[key]
    if not b or table.concat(a.shape, "x") ~= table.concat(b.shape, "x") or a.dtype ~= b.dtype then
      return tell("%s: %s: another shape", name, key)
    end
    if not same(a, b) then
      local most = (a:to "float64" - b:to "float64"):abs():reshape(-1):max():item()
      return tell("%s: %s: up to %.3g apart", name, key, most)
    end
  end
  return #lists.keys(old)
end

local function compare_json(what, old, new, tell)
  if old and json.encode(old) ~= json.encode(new or {}) then tell("%s", what) end
end

--- differences(before, now): texts of what two runs have otherwise, none when they are the same; and how many epochs,
-- tensors and scores are equal.
function M.differences(before, now)
  local list, equal = {}, { epochs = 0, tensors = 0, scores = 0 }
  local function tell(format, ...)
    list[#list + 1] = format:format(...)
    return 0
  end
  equal.epochs = compare_metrics(before, now, tell)
  for _, name in ipairs { "last.safetensors", "best.safetensors" } do
    equal.tensors = equal.tensors + core.tidy(compare_weights, before, now, name, tell)
  end
  compare_json("thresholds or mean embeddings", before:calibration(), now:calibration(), tell)
  local scores = before:scores()
  if scores then
    local rows = evaluation.rows(now)
    compare_json("scores", scores.rows, rows, tell)
    equal.scores = #rows
  end
  return list, equal
end

-- Why a run may come out otherwise although nothing is wrong.
local function reasons(before, recipe)
  local commit, list = home.git "rev-parse HEAD", {}
  if recipe.minutes then list[1] = "minutes: how many steps there are depends on the clock" end
  local info = before:info()
  if info.commit and commit and info.commit ~= commit then
    list[#list + 1] = ("commit %s then, %s now"):format(info.commit:sub(1, 7), commit:sub(1, 7))
  end
  if #(info.changes or {}) > 0 then list[#list + 1] = "its recipe was changed while it was resumed" end
  return list
end

--- rerun(run, { root }): repeats a finished run beside it → the new run, differences, what is equal, and reasons that
-- there may be for differences.
function M.rerun(run, options)
  local state = run:status().state
  if not FINISHED[state] then core.refuse("rerun: %s: expected a finished run, found it %s", run.path, state) end
  local recipe = M.recipe(run)
  run:restore_choices()
  local root = options and options.root or run.path:match "^(.*)/[^/]*$" or "."
  local now = train.train(recipe, { root = root })
  local list, equal = M.differences(run, now)
  return now, list, equal, #list > 0 and reasons(run, recipe) or {}
end

return M
