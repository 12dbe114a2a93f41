-- cohesiv hands VIDEO --out F.json [--overlay F.mp4]: finds the hands in every frame of a video and writes them as a
-- file
-- of landmarks, and a video of them. What was found is in the cache: broken off, the same command goes on.
local core = require "cohesiv.core"
local progress, weights = require "cohesiv.base.progress", require "cohesiv.base.weights"
local tensor = require "cohesiv.tensor"
local data = require "cohesiv.data"
local cli, skeletons = require "cohesiv.tools.cli", require "cohesiv.tools.skeletons"

local function json(text) return text:lower():find "%.json$" and text end
local function video(text) return core.io.video_writer_knows(text) and text end

local function write_video(clip, path)
  local writer <close> = core.io.video_writer(path, clip:rate())
  local shown = progress.new("overlay", clip.frames)
  for n = 0, clip.frames - 1 do
    tensor.tidy(function() writer:add(skeletons.draw(clip:frame(n), clip:hands(n))) end)
    shown:update(n + 1)
  end
  writer:commit()
  shown:finish()
end

return {
  summary = "finds the hands in every frame of a video: a file of landmarks",
  configure = function(parser)
    parser:argument("video", "A video file or a folder of pictures.")
    parser:option("--out", "Where the landmarks go (.json)."):count(1)
      :convert(cli.as("--out: expected a .json file", json))
    parser:option("--overlay", "A video of the frames with the hands over them (.mp4, .gif).")
      :convert(cli.as("--overlay: expected a .mp4 or .gif file", video))
  end,
  run = function(args)
    local clip = data.clip(args.video)
    clip.hands_files = {} -- they are found, whatever a file says
    weights.fetch("hands", function(line) io.stderr:write(line, "\n") end)
    clip:hands():save(args.out)
    local frames, hands = 0, 0
    for n = 0, clip.frames - 1 do
      local count = #clip:hands(n)
      frames, hands = frames + (count > 0 and 1 or 0), hands + count
    end
    io.stderr:write(("%d hands in %d of %d frames\n"):format(hands, frames, clip.frames))
    if args.overlay then write_video(clip, args.overlay) end
    print(args.out)
    if args.overlay then print(args.overlay) end
  end,
}
