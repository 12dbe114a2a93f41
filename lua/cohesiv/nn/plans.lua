--- How cuDNN computes convolutions, as co.tune has measured it on this kind of GPU with this cuDNN: one file for each,
-- $COHESIV_CACHE or runs/cache / plans / HASH.json, with the plans themselves, which are then not made anew. It is read
-- at the first model on a GPU, and written whole, by one process at a time; what is damaged or another device's is told
-- in a line and left alone.
local core = require "cohesiv.core"
local json, warn = require "cohesiv.base.json", require "cohesiv.base.warn"

local M = {}
local FORMAT = "cohesiv plans 1"

local function folder()
  local cache = os.getenv "COHESIV_CACHE"
  return (cache and cache ~= "" and cache or "runs/cache") .. "/plans"
end

--- path(label): the file for a device and library.
function M.path(label) return ("%s/%s.json"):format(folder(), core.io.digest(label):sub(1, 24)) end

-- JSON's numbers are floats.
local function name_of(key)
  local list = {}
  for i, n in ipairs(key) do list[i] = ("%.0f"):format(n) end
  return table.concat(list, " ")
end

-- The rows of a file; nil and why not.
local function read(path, label)
  local ok, found = pcall(function() return json.decode(core.io.read_file(path)) end)
  if not ok or type(found) ~= "table" or found.format ~= FORMAT or type(found.plans) ~= "table" then
    return nil, "expected plans of cuDNN, found " .. (ok and "something else" or "a damaged file")
  end
  if found.label ~= label then
    return nil, ("expected plans for %s, found some for %s"):format(label, tostring(found.label))
  end
  for _, row in ipairs(found.plans) do
    if type(row) ~= "table" or type(row.key) ~= "table" or type(row.key[1]) ~= "number" then
      return nil, "expected plans of cuDNN, found a damaged file"
    end
  end
  return found.plans
end

-- Those of the file, where there is one.
local function there(label)
  local path = M.path(label)
  if not core.io.status(path) then return {} end
  local plans, why = read(path, label)
  if plans then return plans end
  warn.once(path, "%s: %s: left alone", path, why)
  return {}, true
end

local looked = {}

--- restore(): the choices of earlier processes, once.
function M.restore()
  local label = core.plans.label()
  if not label or looked[label] then return end
  looked[label] = true
  for _, row in ipairs((there(label))) do
    local ok, why = pcall(core.plans.choose, row)
    if not ok then return warn.once(M.path(label), "%s: %s", M.path(label), why) end
  end
end

--- save(): what is chosen now, beside what other processes have found for other problems.
function M.save()
  local label = core.plans.label()
  if not label then return end
  local path = M.path(label)
  core.io.make_folder(folder())
  local lock <close>, who = core.io.lock(path .. ".lock")
  if not lock then return warn.line("%s: not written: %s writes to it", path, tostring(who)) end
  local list, known = {}, {}
  for _, row in ipairs(core.plans.rows()) do
    known[name_of(row.key)], list[#list + 1] = true, row
  end
  local others, foreign = there(label)
  if foreign then return end
  for _, row in ipairs(others) do
    if not known[name_of(row.key)] then list[#list + 1] = row end
  end
  core.io.write_file(path, json.encode { format = FORMAT, label = label, plans = list })
end

return M
