-- A training of seconds: a few generated clips and a network of a few channels, in a folder of its own; and whether two
-- runs are the same, byte for byte.
local co = require "cohesiv"
local core = require "cohesiv.core"
local json = require "cohesiv.base.json"
local support = require "tests.support"

local Tiny = {}
Tiny.__index = Tiny

local EXPERIMENT = [[
return require "experiments.cohesiv" {
  name = "tiny", data = %q, size = { 64, 32 }, batch = 2, epochs = 2, validation = 0.25, seed = 3,
  model = { encoder = "mobilenet_v2", decoder_widths = { 8, 8, 8, 8, 8 }, embedding_dim = 4, attention_dim = 4 },
  optim = { lr = 1e-3, warmup = 2, average = 0.7 }, maps = { gaps = { -1, 1 }, fit = { points = 60 }, frames = 2 },
  calibrate = { embeddings = 20, steps = 5 },
}
]]

--- new(): fields folder, world (the data folder), experiment (the file), environment (of commands; the cache is in
--- folder/cache), often (the same with a checkpoint after every batch).
local function new()
  local folder = support.temp()
  local self = setmetatable({ folder = folder, world = folder .. "/world" }, Tiny)
  self.experiment = support.write(folder .. "/tiny.lua", EXPERIMENT:format(self.world))
  self.environment = { COHESIV_CACHE = folder .. "/cache" }
  self.often = { COHESIV_CACHE = folder .. "/cache", COHESIV_CHECKPOINT_SECONDS = "0" }
  return self
end

--- Makes the data; mask_every: fewer masks are evaluated faster.
function Tiny:make_world(path, mask_every)
  co.world { seed = 5, clips = 4, size = { 96, 64 }, out = path or self.world, truth = { "person" }, progress = false,
    mask_every = mask_every }
end

--- A new folder to train in.
function Tiny:new_folder(name)
  local path = self.folder .. "/" .. name
  core.io.make_folder(path)
  return path
end

--- Runs `cohesiv train` in a folder; words and options as support.cohesiv has them.
function Tiny:train(dir, words, options)
  options = options or {}
  options.dir, options.env, options.timeout = dir, options.env or self.environment, options.timeout or 400
  return support.cohesiv({ "train", self.experiment, table.unpack(words or {}) }, options)
end

local function without(text, keys)
  local value = json.decode(text)
  for _, key in ipairs(keys) do value[key] = nil end
  return json.encode(value)
end

-- What clocks and folders say is left out.
local TIMED = {
  ["run.json"] = function(text) return without(text, { "name", "environment" }) end,
  ["status.json"] = function(text) return without(text, { "seconds", "time" }) end,
  ["metrics.jsonl"] = function(text)
    local lines = {}
    for line in text:gmatch "[^\n]+" do lines[#lines + 1] = without(line, { "seconds" }) end
    return table.concat(lines, "\n")
  end,
}

--- Names of files in which two run folders differ, beyond the times and run.json's environment.
function Tiny.differing(a, b)
  local names, list = {}, {}
  for _, path in ipairs { a, b } do
    for _, name in ipairs(support.list(path)) do names[name] = true end
  end
  for name in pairs(names) do
    local one, two = io.open(a .. "/" .. name, "rb"), io.open(b .. "/" .. name, "rb")
    local plain = TIMED[name] or function(text) return text end
    local same = one and two and plain(one:read "a") == plain(two:read "a")
    if one then one:close() end
    if two then two:close() end
    if not same then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

--- Temporary files below a folder.
function Tiny.leftovers(path)
  local result = support.run { "find", path, "-name", ".cohesiv-*" }
  local list = {}
  for line in result.stdout:gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

return { new = new, differing = Tiny.differing, leftovers = Tiny.leftovers }
