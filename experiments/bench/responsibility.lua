--- Times responsibility maps: 1280×720, two hands, six given flows. Prints `ready`, then for every line `run` on
-- standard input does the work once and prints the seconds that it took.
--
-- usage: responsibility.lua [--temperature] [--threads N] [--size WxH] [--hands N] [--gaps G] [--background homography]
--
-- --temperature times a new temperature of a map that exists, R:with{ temperature = … }, instead of the whole map.
require("experiments.bench.contender").help(arg)

local co = require "cohesiv"

local options = { width = 1280, height = 720, hands = 2, gaps = 6, background = "static" }

local i = 1
while arg[i] do
  local name, value = arg[i], arg[i + 1]
  if name == "--temperature" then
    options.temperature = true
  else
    if not value then error(name .. ": expected a value", 0) end
    if name == "--threads" then
      co.threads(math.tointeger(value))
    elseif name == "--size" then
      options.width, options.height = value:match "^(%d+)x(%d+)$"
    elseif name == "--hands" or name == "--gaps" then
      options[name:sub(3)] = math.tointeger(value)
    elseif name == "--background" then
      options.background = value
    else
      error("expected --temperature, --threads, --size, --hands, --gaps or --background, found " .. name, 0)
    end
    i = i + 1
  end
  i = i + 1
end

local W, H = math.tointeger(options.width), math.tointeger(options.height)
co.seed(1)
local flows, hands = {}, {}
for g = 1, options.gaps do flows[g] = co.randn(H, W, 2) * 3 end
for k = 1, options.hands do hands[k] = co.rand(21, 2) * (H / 3) + 100 * k end

local function make()
  return co.responsibility { flows = flows, hands = hands, background = options.background }
end

local R, temperature = make(), 2
local function work()
  if not options.temperature then return make() end
  temperature = temperature == 2 and 4 or 2
  return R:with { temperature = temperature }
end

require("experiments.bench.contender").serve(work)
