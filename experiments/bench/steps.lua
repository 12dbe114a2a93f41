--- Takes many training steps of a small network and watches memory: the process must not grow.
--
-- usage: steps.lua [--steps N] [--untidy] [--threads T]
--
-- A step: two convolutions with batch norm, a linear layer, the mean square of what is left, backward, AdamW; in
-- co.tidy, as the library's own loops are. --untidy leaves all tensors to Lua's collector, as a loop that somebody
-- writes in a hurry. Prints the process' resident memory, the bytes of tensors and of Lua twenty times, then a verdict
-- on the highest of each in the second half against the first: tensors may not grow at all, Lua by 64 KB and the
-- process by 1 MB. Untidy loops may at any time hold what the safety net lets pass (an eighth of the limit for tensors,
-- at least 1 GB). Ends with status 1 when memory grew.
require("experiments.bench.contender").help(arg)

local co = require "cohesiv"
local core = require "cohesiv.core"
local nn = co.nn

local KB, MB, GB = 1 << 10, 1 << 20, 1 << 30

local function options(words)
  local o, i = { steps = 100000 }, 1
  while words[i] do
    local name = words[i]:match "^%-%-(%l+)$"
    if name == "untidy" then o.untidy, i = true, i + 1
    elseif name == "steps" or name == "threads" then
      o[name] = math.tointeger(tonumber(words[i + 1]))
      if not o[name] or o[name] < 1 then
        error(("--%s: expected a whole number above 0, found %s"):format(name, words[i + 1] or "none"), 0)
      end
      i = i + 2
    else error("expected --steps, --untidy or --threads, found " .. words[i], 0) end
  end
  return o
end

local o = options(arg)
if o.threads then co.threads(o.threads) end
co.seed(1)

local net = nn.Sequential {
  nn.ConvBN { 3, 8, 3, padding = 1, act = "relu" },
  nn.ConvBN { 8, 16, 3, padding = 1, stride = 2, act = "relu" },
}
local head = nn.Linear { 16, 4 }
local parameters = net:parameters()
for _, p in ipairs(head:parameters()) do table.insert(parameters, p) end
local optimiser = co.optim.AdamW(parameters, { lr = 1e-3 })

local function step()
  local x = co.randn(2, 16, 16, 3)
  local y = head(net(x):mean(2):mean(2))
  local loss = (y - x:mean(2):mean(2):sum(2):reshape(2, 1)):square():mean()
  optimiser:zero_grad()
  loss:backward()
  optimiser:step()
  optimiser:zero_grad()
  return loss:item()
end

local function take(n)
  local loss
  for _ = 1, n do loss = o.untidy and step() or co.tidy(step) end
  return loss
end

-- Now, in bytes.
local function usage()
  if not o.untidy then
    collectgarbage()
    collectgarbage()
  end
  return { process = core.system.memory().resident, tensors = co.memory().live, Lua = collectgarbage "count" * KB // 1 }
end

print(("%8s  %12s  %12s  %12s  %10s"):format("steps", "process KB", "tensors B", "Lua KB", "loss"))
local halves = { { process = 0, tensors = 0, Lua = 0 }, { process = 0, tensors = 0, Lua = 0 } }
local started, done, piece = core.system.time(), 0, math.max(1, o.steps // 20)
while done < o.steps do
  local n = math.min(piece, o.steps - done)
  local loss = take(n)
  done = done + n
  local now, half = usage(), halves[done <= o.steps // 2 and 1 or 2]
  for what, bytes in pairs(now) do half[what] = math.max(half[what], bytes) end
  print(("%8d  %12d  %12d  %12.1f  %10.6f"):format(done, now.process // KB, now.tensors, now.Lua / KB, loss))
  io.stdout:flush()
end
print(("%.3f ms a step"):format((core.system.time() - started) / o.steps * 1000))

local first, second = table.unpack(halves)
local net_size = math.max(GB, co.memory().limit // 8)
local limits = o.untidy and { tensors = net_size, process = first.process + net_size }
  or { tensors = first.tensors, Lua = first.Lua + 64 * KB, process = first.process + MB }
for what, limit in pairs(limits) do
  if second[what] > limit then
    print(("memory grew: %s: expected at most %d KB, found %d KB"):format(what, limit // KB, second[what] // KB))
    os.exit(1, true)
  end
end
print "memory did not grow"
