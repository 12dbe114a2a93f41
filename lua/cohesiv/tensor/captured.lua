--- captured(f, state): f(tensors …) → tensors as one piece of work, where the device records (CUDA graphs): recorded
-- once inputs of the same shapes come again, and replayed from then on. f reads nothing on the host; beside its inputs
-- it reads and writes the tensors of the list `state` alone, and keeps nothing. What turns out otherwise is called as
-- ever, which a warning tells once, and so is everything on other devices, and what memory is too short for.
local core = require "cohesiv.core"
local warn = require "cohesiv.base.warn"

local TRIES = 4 -- recordings for inputs of the same shapes, one after the other, when what they knew has moved …
local ENOUGH = 20 -- … before each has been of use so many times

-- The work and where its state lies; nil where it cannot be recorded.
local function record(f, state, inputs, outputs)
  local seed, stream = core.random_state()
  local places = core.places(state)
  local run, why = core.capture(function(...) return core.tidy(f, ...) end, inputs, outputs)
  local later_seed, later_stream = core.random_state()
  if run and seed == later_seed and stream == later_stream then return { run = run, places = places, runs = 0 } end
  core.seed(seed, stream) -- what draws numbers draws others each time
  if why then warn.once("captured " .. why, "not recorded, and computed call by call: %s", why) end
end

return function(f, state)
  local works, calls, tries = {}, {}, {}
  return function(...)
    local key = core.signature("captured", { ... })
    local work = works[key]
    local recordable = (calls[key] or 0) > 0 and (tries[key] or 0) < TRIES
    -- Where they stay, unless something shares them anew: f, called before it is recorded, does not move them.
    local places = (work or recordable) and core.places(state)
    if work and work.places == places then
      work.runs = work.runs + 1
      if work.runs == ENOUGH then tries[key] = 0 end
      local found = table.pack(pcall(work.run, ...))
      if found[1] then return table.unpack(found, 2, found.n) end
      if not tostring(found[2]):find("out of memory", 1, true) then core.error(found[2], 0) end
      tries[key] = TRIES -- call by call less is needed at a time
    end
    works[key], calls[key] = nil, (calls[key] or 0) + 1
    local outputs = { f(...) }
    if calls[key] > 1 and (tries[key] or 0) < TRIES then
      tries[key] = (tries[key] or 0) + 1
      works[key] = record(f, state, { ... }, outputs)
      if not works[key] then tries[key] = TRIES end
    end
    return table.unpack(outputs)
  end
end
