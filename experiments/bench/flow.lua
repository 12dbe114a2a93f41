--- Times optical flow between two pictures. Prints `ready`, then for every line `run` on standard input does the work
-- once and prints the seconds that it took.
--
-- usage: flow.lua [--threads N] [--size WxH] [--check] [HOW] [FIRST.png SECOND.png]
--        flow.lua --errors [HOW] [DATA]
--
-- HOW: [--method dis|raft_small|raft_large] [--iterations N] [--weights FILE], as co.flow.estimate takes them.
-- Without pictures two made ones of that size (default 512×384), the second moved by 3 pixels; --check adds the flow
-- back and the forward-backward check.
-- --errors: the mean end-point errors on the pairs in DATA/flow (default: $COHESIV_DATA), KITTI's where flow is known.
require("experiments.bench.contender").help(arg)

local co = require "cohesiv"
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"

local width, height, errors, options = 512, 384, false, {}
local paths = {}

local known = lists.set { "--threads", "--size", "--method", "--iterations", "--weights" }
local i = 1
while arg[i] do
  local name, value = arg[i], arg[i + 1]
  if name == "--check" then
    options.check = true
  elseif name == "--errors" then
    errors = true
  elseif known[name] then
    if not value then error(name .. ": expected a value", 0) end
    if name == "--threads" then
      co.threads(math.tointeger(value))
    elseif name == "--size" then
      width, height = value:match "^(%d+)x(%d+)$"
      if not width then error("--size: expected WxH, found " .. value, 0) end
      width, height = math.tointeger(width), math.tointeger(height)
    else
      options[name:sub(3)] = math.tointeger(value) or value
    end
    i = i + 1
  elseif name:sub(1, 1) == "-" then
    error("expected --check, --errors or one of " .. table.concat(lists.keys(known), ", ") .. ", found " .. name, 0)
  else
    paths[#paths + 1] = name
  end
  i = i + 1
end

local function print_errors(folder)
  for _, pair in ipairs {
    { "fn2tf_0", "fn2tf_0img0", "fn2tf_0img1", "fn2tf_0flow.flo" },
    { "spynet_00001", "spynet_00001_img1", "spynet_00001_img2", "spynet_00001_flow.flo" },
    { "spynet_00002", "spynet_00002_img1", "spynet_00002_img2", "spynet_00002_flow.flo" },
    { "kitti", "kitti_img1", "kitti_img2", "kitti_flow.png" },
  } do
    local name, first, second, truth = table.unpack(pair)
    local exact, valid = (truth:find "png$" and core.io.flow_png_read or core.io.flo_read)(folder .. "/" .. truth)
    local flow = co.flow.estimate(co.image.read(("%s/%s.png"):format(folder, first)),
      co.image.read(("%s/%s.png"):format(folder, second)), options)
    local off = ((flow - exact) ^ 2):sum(3):sqrt()
    local known_flow = valid and co.gt(valid, 0):to "float32" or off * 0 + 1
    print(("%-14s %.3f px"):format(name, (off * known_flow):sum():item() / known_flow:sum():item()))
  end
end

if errors then
  local data = paths[1] or os.getenv "COHESIV_DATA"
  if not data then error("--errors: expected a data folder as argument or in COHESIV_DATA, found none", 0) end
  return print_errors(data .. "/flow")
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

local function work() co.flow.estimate(a, b, options) end

require("experiments.bench.contender").serve(work)
