-- cohesiv responsibility CLIP --frame n [--out F.png]: which hand, or the background, moves each pixel of a frame.

local cli = require "cohesiv.tools.cli"
local data = require "cohesiv.data"
local image_part = require "cohesiv.tensor.image"
local panel = require "cohesiv.tools.panel"
local show = require "cohesiv.tools.show"
local scale = require "cohesiv.motion.scale"
local schema = require("cohesiv.motion.map_options").clip
local tensor = require "cohesiv.tensor"

local command = { summary = "responsibility maps of a frame of a video" }

local function gap_list(text)
  if text == "motion" then return text end
  local gaps = {}
  for word in text:gmatch "[^,]+" do
    gaps[#gaps + 1] = math.tointeger(tonumber(word))
    if not gaps[#gaps] or gaps[#gaps] == 0 then gaps = {} break end
  end
  if #gaps == 0 then return nil, ("--gaps: expected motion or integers such as -1,1, found '%s'"):format(text) end
  return gaps
end

local function size(text)
  local width, height = text:match "^(%d+)x(%d+)$"
  if not width then return nil, ("--size: expected WIDTHxHEIGHT, found '%s'"):format(text) end
  return { tonumber(width), tonumber(height) }
end

local function number(text)
  local n = tonumber(text)
  if not n then return nil, ("expected a number, found '%s'"):format(text) end
  return n
end

local function integer(text)
  local n = math.tointeger(tonumber(text))
  if not n then return nil, ("--frame: expected a frame number, found '%s'"):format(text) end
  return n
end

function command.configure(parser)
  parser:argument("clip", "A video file or a folder of pictures.")
  parser:option("--frame", "Which frame, from 0."):count(1):convert(integer)
  parser:option("--out", "Where the panel goes (.png); without it the maps are shown in the terminal.")
  parser:option("--hands", "The landmark file, if it is not ../hands_json/NAME.json or NAME.json beside the clip.")
  parser:option("--gaps", "Gaps in frames, or motion: chosen by how far the hands move."):convert(gap_list)
  local temperature = schema.temperature.default
  parser:option("--temperature", ("Pixels at the size of the maps (%g)."):format(temperature)):convert(number)
  parser:option("--background", "static or homography (a moving camera)."):choices(schema.background.strings)
  parser:flag("--sharpen", "Cut the maps out along colours and edges of the frame.")
  parser:option("--size", ("WIDTHxHEIGHT of the maps (%dx%d)."):format(table.unpack(scale.default))):convert(size)
end

function command.run(args)
  if args.out and not args.out:lower():find "%.png$" then
    cli.usage("--out: expected a .png file, found '%s'", args.out)
  end
  local clip = data.clip(args.clip, { hands = args.hands })
  tensor.tidy(tensor.no_grad, function()
    local R = clip:responsibility(args.frame, {
      gaps = args.gaps, temperature = args.temperature, background = args.background, size = args.size,
      sharpen = args.sharpen,
    })
    if args.out then
      local frame = clip:scaled(args.frame, { size = R.size })
      image_part.write(args.out, panel.responsibility(R, { image = frame }))
      print(args.out)
      return
    end
    show.show(R)
    for k, q in ipairs(R.quality) do
      print(("hand %d: responsible for %.1f %% of the picture"):format(k, 100 * q.share))
    end
  end)
  return 0
end

return command
