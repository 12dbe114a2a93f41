--- The arguments of commands that make responsibility maps of a clip, said once: which clip, and how its maps are made.
-- What the options mean is motion/maps.lua's; what else a command takes it adds itself.
local data = require "cohesiv.data"
local scale = require "cohesiv.motion.scale"
local cli = require "cohesiv.tools.cli"
local schema = require("cohesiv.motion.map_options").clip
local methods = require("cohesiv.motion.map_options").recipe.flow.strings

local M = {}

local function integer(text) return math.tointeger(tonumber(text)) end

local function gap_list(text)
  if text == "motion" then return text end
  local gaps = {}
  for word in text:gmatch "[^,]+" do
    gaps[#gaps + 1] = integer(word)
    if (gaps[#gaps] or 0) == 0 then return nil end
  end
  return #gaps > 0 and gaps
end

local function size(text)
  local width, height = text:match "^(%d+)x(%d+)$"
  return width and { tonumber(width), tonumber(height) }
end

--- option(parser, name, text, expected, convert): an option whose value convert(text) gives, nil where it is none.
function M.option(parser, name, text, expected, convert)
  return parser:option(name, text):convert(cli.as(("%s: expected %s"):format(name, expected), convert))
end

--- configure(parser): the argument CLIP and the options of its maps.
function M.configure(parser)
  parser:argument("clip", "A video file or a folder of pictures.")
  parser:option("--hands", "The landmark file, if it is not ../hands_json/NAME.json or NAME.json beside the clip.")
  M.option(parser, "--gaps", "Gaps in frames, or motion: chosen by how far the hands move.",
    "motion or integers such as -1,1", gap_list)
  M.option(parser, "--temperature", ("Pixels at the size of the maps (%g)."):format(schema.temperature.default),
    "a number", tonumber)
  parser:option("--background", "static, homography or epipolar (a moving camera), or auto: by fit.")
    :choices(schema.background.strings)
  parser:option("--flow", "Where flow comes from: what lies beside the clip, else dis (auto), or a method.")
    :choices(methods)
  M.option(parser, "--size", ("WIDTHxHEIGHT of the maps (%dx%d)."):format(table.unpack(scale.default)), "WIDTHxHEIGHT",
    size)
end

--- clip(args): the clip that was asked for.
function M.clip(args) return data.clip(args.clip, { hands = args.hands }) end

--- options(args): what clip:responsibility is asked for.
function M.options(args)
  return { gaps = args.gaps, temperature = args.temperature, background = args.background, flow = args.flow,
    size = args.size }
end

return M
