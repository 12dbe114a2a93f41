-- cohesiv responsibility CLIP --frame n [--out F.png]: which hand, or the background, moves each pixel of a frame.
local scale = require "cohesiv.motion.scale"
local data = require "cohesiv.data"
local tensor, image_part = require "cohesiv.tensor", require "cohesiv.tensor.image"
local cli, panel, show = require "cohesiv.tools.cli", require "cohesiv.tools.panel", require "cohesiv.tools.show"
local schema = require("cohesiv.motion.map_options").clip

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

local function png(text) return text:lower():find "%.png$" and text end

return {
  summary = "responsibility maps of a frame of a video",
  configure = function(parser)
    local function option(name, text, expected, convert)
      return parser:option(name, text):convert(cli.as(("%s: expected %s"):format(name, expected), convert))
    end
    parser:argument("clip", "A video file or a folder of pictures.")
    option("--frame", "Which frame, from 0.", "a frame number", integer):count(1)
    option("--out", "Where the panel goes (.png); without it the maps are shown in the terminal.", "a .png file", png)
    parser:option("--hands", "The landmark file, if it is not ../hands_json/NAME.json or NAME.json beside the clip.")
    option("--gaps", "Gaps in frames, or motion: chosen by how far the hands move.", "motion or integers such as -1,1",
      gap_list)
    option("--temperature", ("Pixels at the size of the maps (%g)."):format(schema.temperature.default), "a number",
      tonumber)
    parser:option("--background", "static or homography (a moving camera)."):choices(schema.background.strings)
    parser:flag("--sharpen", "Cut the maps out along colours and edges of the frame.")
    option("--size", ("WIDTHxHEIGHT of the maps (%dx%d)."):format(table.unpack(scale.default)), "WIDTHxHEIGHT", size)
  end,
  run = function(args)
    local clip = data.clip(args.clip, { hands = args.hands })
    tensor.tidy(tensor.no_grad, function()
      local R = clip:responsibility(args.frame, { gaps = args.gaps, temperature = args.temperature,
        background = args.background, size = args.size, sharpen = args.sharpen })
      if args.out then
        image_part.write(args.out, panel.responsibility(R, clip:scaled(args.frame, { size = R.size })))
        return print(args.out)
      end
      show.show(R)
      for k, q in ipairs(R.quality) do
        print(("hand %d: responsible for %.1f %% of the picture"):format(k, 100 * q.share))
      end
    end)
  end,
}
