-- cohesiv responsibility CLIP --frame n [--out F.png]: which hand, or the background, moves each pixel of a frame;
-- cohesiv responsibility CLIP --out F.mp4: the same of all frames, as a video of the clip with its maps over it.
local core = require "cohesiv.core"
local progress = require "cohesiv.base.progress"
local tensor, image_part = require "cohesiv.tensor", require "cohesiv.tensor.image"
local arguments, cli = require "cohesiv.tools.map_arguments", require "cohesiv.tools.cli"
local panel, show = require "cohesiv.tools.panel", require "cohesiv.tools.show"

local function integer(text) return math.tointeger(tonumber(text)) end

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
    arguments.configure(parser)
    arguments.option(parser, "--frame", "Which frame, from 0 (not for a video).", "a frame number", integer)
    arguments.option(parser, "--out", "Where the frame's panel (.png), or a video of all frames (.mp4, .gif) goes; "
      .. "without it the maps are shown in the terminal.", "a .png, .mp4 or .gif file", picture_or_video)
    parser:flag("--sharpen", "Cut the maps out along colours and edges of the frame.")
  end,
  run = function(args)
    local options = arguments.options(args)
    options.sharpen = args.sharpen
    local video = args.out and not args.out:lower():find "%.png$"
    if video and args.frame then cli.usage("--frame: a video (%s) is of all frames", args.out) end
    if not video and not args.frame then cli.usage "missing option '--frame'" end
    local clip = arguments.clip(args)
    if video then
      write_video(clip, args.out, options)
      return print(args.out)
    end
    tensor.tidy(tensor.no_grad, function()
      local R = clip:responsibility(args.frame, options)
      if args.background == "auto" then print(("background: %s (by its fit)"):format(R.background)) end
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
