-- cohesiv segment VIDEO --out DIR [--overlay F.mp4]: masks of hands and of what they hold, from the video's maps alone;
-- cohesiv segment IMAGE --at x,y … --model RUN --out DIR: the same at points of one picture, by a trained network;
-- without --at at those that it predicts (experiments/predicted_query.lua).
local core = require "cohesiv.core"
local predict = require "cohesiv.hands.predict"
local runs = require "cohesiv.train.run"
local tensor, image_part = require "cohesiv.tensor", require "cohesiv.tensor.image"
local cli, panel, viz = require "cohesiv.tools.cli", require "cohesiv.tools.panel", require "cohesiv.tools.viz"
local segment_video = require "cohesiv.tools.segment_video"

local function point(text)
  local x, y = text:match "^%s*([%-%d%.eE+]+)%s*,%s*([%-%d%.eE+]+)%s*$"
  return tonumber(x) and tonumber(y) and { tonumber(x), tonumber(y) }
end

local function video(text) return core.io.video_writer_knows(text) and text end

-- The points of an image's hands that a network predicts.
local function predicted(model, image, args)
  if not model.queries then
    cli.usage("segment: expected --at x,y for %s: %s is no run of experiments/predicted_query.lua, which finds hands",
      args.input, args.model)
  end
  local points = model:queries(image)
  for _, p in ipairs(points) do
    io.stderr:write(("%s: a hand at %.0f,%.0f (%.2f)\n"):format(args.input, p[1], p[2], p.score))
  end
  if #points == 0 then io.stderr:write(args.input, ": no hand found\n") end
  return points
end

local function segment_image(args)
  local image = image_part.read(args.input)
  local model = runs.run(args.model):model()
  local points = #args.at > 0 and args.at or predicted(model, image, args)
  local folder = args.out:gsub("(.)/+$", "%1")
  tensor.tidy(tensor.no_grad, function()
    local predictions = predict.predict(model, image, points)
    local maps = predict.maps(model, image, points)
    core.io.make_folder(folder)
    for k, prediction in ipairs(predictions) do
      for _, what in ipairs { "hand", "object", "contact" } do
        image_part.write(("%s/%s%d.png"):format(folder, what, k), prediction[what], { depth = 1 })
      end
    end
    image_part.write(folder .. "/overlay.png", viz.overlay(image, predictions))
    if #points == 0 then return end
    image_part.write(folder .. "/panel.png", panel.predictions { image = image, queries = points,
      predictions = predictions, Z = maps.Z, scale = maps.scale })
  end)
  print(folder)
end

return {
  summary = "masks of hands and held objects: of every frame of a video, or at points of an image",
  configure = function(parser)
    parser:argument("input", "A video file or a folder of pictures; with --model a .png or .jpg file.")
    parser:option("--out", "Folder for the masks (1-bit .png): NNNNNN_handK, _objectK, _contactK of the K-th hand in "
      .. "frame NNNNNN; of an image handK, objectK, contactK of the K-th point, overlay, panel."):count(1)
    parser:option("--overlay", "A video of the masks over the frames."):convert(cli.as(
      "--overlay: expected a .mp4 or .gif file", video))
    parser:option("--hands", "The landmark file, if it is not ../hands_json/NAME.json or NAME.json beside the video.")
    parser:option("--flow", "How flow is estimated."):choices { "dis", "raft_small", "raft_large" }
    parser:option("--at", "Of an image: a point x,y on a hand, pixels from 0; once per hand. Without one a network "
      .. "with predicted queries finds the hands."):count "*"
      :convert(cli.as("--at: expected x,y in pixels", point))
    parser:option("--model", "Of an image: a run folder.")
  end,
  run = function(args)
    local points = #args.at > 0
    local picture = args.input:lower():find "%.png$" or args.input:lower():find "%.jpe?g$"
    if args.model and (points or picture) then
      if args.overlay or args.hands or args.flow then
        cli.usage "segment: --overlay, --hands and --flow are of videos, not of an image"
      end
      return segment_image(args)
    end
    if args.model or points then
      cli.usage("segment: expected --at and --model together for an image, found %s alone",
        points and "--at" or "--model")
    end
    if picture then
      cli.usage("segment: expected a video, or --at x,y and --model RUN for the image %s, found neither", args.input)
    end
    print(segment_video(args.input, args))
  end,
}
