--- Times optical flow between two pictures. Prints `ready`, then for every line `run` on standard input does the work
-- once and prints the seconds that it took.
--
-- usage: flow.lua [--threads N] [--size WxH] [--check] [FIRST.png SECOND.png]
--
-- Without pictures two made ones of that size (default 512×384), the second moved by 3 pixels; --check adds the flow
-- back and the forward-backward check.
require("experiments.bench.contender").help(arg)

local co = require "cohesiv"

local width, height, check = 512, 384, false
local paths = {}

local i = 1
while arg[i] do
  local name, value = arg[i], arg[i + 1]
  if name == "--check" then
    check = true
  elseif name == "--threads" or name == "--size" then
    if not value then error(name .. ": expected a value", 0) end
    if name == "--threads" then
      co.threads(math.tointeger(value))
    else
      width, height = value:match "^(%d+)x(%d+)$"
      if not width then error("--size: expected WxH, found " .. value, 0) end
      width, height = math.tointeger(width), math.tointeger(height)
    end
    i = i + 1
  elseif name:sub(1, 1) == "-" then
    error("expected --threads, --size or --check, found " .. name, 0)
  else
    paths[#paths + 1] = name
  end
  i = i + 1
end
if #paths ~= 0 and #paths ~= 2 then error(("expected two pictures or none, found %d"):format(#paths), 0) end

-- Blocks of 4×4 pixels of random grey, cut out `shift` pixels further to the right.
local function picture(shift)
  local h, w = height // 4 + 1, width // 4 + 2
  co.seed(1)
  local blocks = (co.rand(h, 1, w, 1) * 255):expand { h, 4, w, 4 }:reshape { 4 * h, 4 * w }
  return blocks[{ { 1, height }, { 1 + shift, width + shift } }]:to "uint8"
end

local a, b
if #paths == 2 then
  a, b = co.image.read(paths[1]), co.image.read(paths[2])
else
  a, b = picture(3), picture(0)
end

local function work() co.flow.estimate(a, b, { check = check }) end

require("experiments.bench.contender").serve(work)
