-- cohesiv responsibility CLIP --frame n [--out F.png]: which hand, or the background, moves each pixel of a frame;
-- cohesiv responsibility CLIP --out F.mp4: the same of all frames, as a video of the clip with its maps over it.
local core = require "cohesiv.core"
local progress = require "cohesiv.base.progress"
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

local function picture_or_video(text)
  return (text:lower():find "%.png$" or core.io.video_writer_knows(text)) and text
end

local WIDTH = { mp4 = 1280, gif = 480 } -- at most, pixels

-- The clip with the maps of every frame over it, as a video of the clip's rate.
local function write_video(clip, path, options)
  local most = WIDTH[path:lower():match "%w+$"]
  local s = math.min(1, most / clip.width)
  local w, h = math.floor(clip.width * s + 0.5), math.floor(clip.height * s + 0.5)
  local writer <close> = core.io.video_writer(path, clip:rate())
  local shown = progress.new("responsibility", clip.frames)
  for n = 0, clip.frames - 1 do
    tensor.tidy(tensor.no_grad, function()
      local frame = core.io.resample(clip:frame(n), w / clip.width, h / clip.height, w, h, w, h)
      writer:add(panel.overlay(clip:responsibility(n, options), frame))
    end)
    shown:update(n + 1)
  end
  writer:commit()
  shown:finish()
end

return {
  summary = "responsibility maps of a frame of a video, or a video of them",
  configure = function(parser)
    local function option(name, text, expected, convert)
      return parser:option(name, text):convert(cli.as(("%s: expected %s"):format(name, expected), convert))
    end
    parser:argument("clip", "A video file or a folder of pictures.")
    option("--frame", "Which frame, from 0 (not for a video).", "a frame number", integer)
    option("--out", "Where the frame's panel (.png), or a video of all frames (.mp4, .gif) goes; without it the maps "
      .. "are shown in the terminal.", "a .png, .mp4 or .gif file", picture_or_video)
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
    local options = { gaps = args.gaps, temperature = args.temperature, background = args.background,
      size = args.size, sharpen = args.sharpen }
    local video = args.out and not args.out:lower():find "%.png$"
    if video and args.frame then cli.usage("--frame: a video (%s) is of all frames", args.out) end
    if not video and not args.frame then cli.usage "missing option '--frame'" end
    local clip = data.clip(args.clip, { hands = args.hands })
    if video then
      write_video(clip, args.out, options)
      return print(args.out)
    end
    tensor.tidy(tensor.no_grad, function()
      local R = clip:responsibility(args.frame, options)
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
