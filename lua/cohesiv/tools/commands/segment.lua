-- cohesiv segment IMAGE --at x,y … --model RUN --out DIR: masks of the hands at the points and of what they hold.
local core = require "cohesiv.core"
local predict = require "cohesiv.hands.predict"
local runs = require "cohesiv.train.run"
local tensor, image_part = require "cohesiv.tensor", require "cohesiv.tensor.image"
local cli, panel, viz = require "cohesiv.tools.cli", require "cohesiv.tools.panel", require "cohesiv.tools.viz"

local function point(text)
  local x, y = text:match "^%s*([%-%d%.eE+]+)%s*,%s*([%-%d%.eE+]+)%s*$"
  return tonumber(x) and tonumber(y) and { tonumber(x), tonumber(y) }
end

return {
  summary = "masks of hands and held objects at given points of an image",
  configure = function(parser)
    parser:argument("image", "A .png or .jpg file.")
    parser:option("--at", "A point x,y on a hand, pixels from 0; once per hand."):count "+"
      :convert(cli.as("--at: expected x,y in pixels", point))
    parser:option("--model", "A run folder."):count(1)
    parser:option("--out", "Folder for handK.png objectK.png contactK.png (1-bit, K-th point), overlay.png, panel.png.")
      :count(1)
  end,
  run = function(args)
    local image = image_part.read(args.image)
    local model = runs.run(args.model):model()
    local folder = args.out:gsub("(.)/+$", "%1")
    tensor.tidy(tensor.no_grad, function()
      local predictions = predict.predict(model, image, args.at)
      local maps = predict.maps(model, image, args.at)
      core.io.make_folder(folder)
      for k, prediction in ipairs(predictions) do
        for _, what in ipairs { "hand", "object", "contact" } do
          image_part.write(("%s/%s%d.png"):format(folder, what, k), prediction[what], { depth = 1 })
        end
      end
      image_part.write(folder .. "/overlay.png", viz.overlay(image, predictions))
      image_part.write(folder .. "/panel.png", panel.predictions { image = image, queries = args.at,
        predictions = predictions, Z = maps.Z, scale = maps.scale })
    end)
    print(folder)
  end,
}
