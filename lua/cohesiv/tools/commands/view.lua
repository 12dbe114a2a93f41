-- cohesiv view CLIP --out F.html: one page to explore a clip's maps, with the temperature as a slider.
local tensor = require "cohesiv.tensor"
local arguments, view = require "cohesiv.tools.map_arguments", require "cohesiv.tools.view"

local function positive(text)
  local n = math.tointeger(tonumber(text))
  return n and n > 0 and n
end

local function range(text)
  local first, last = text:match "^(%d+)%-(%d+)$"
  first, last = math.tointeger(tonumber(first or text)), math.tointeger(tonumber(last or text))
  return first and last and first >= 0 and first <= last and { first, last }
end

local function html(text) return text:lower():find "%.html?$" and text end

-- "frames 0 to 230, every 10th"
local function words(frames, every)
  local ending = ({ "st", "nd", "rd" })[every % 100 // 10 ~= 1 and every % 10 or 0] or "th"
  local step = every > 1 and (", every %d%s"):format(every, ending) or ""
  return ("frames %d to %d%s"):format(frames[1], frames[#frames], step)
end

return {
  summary = "one HTML page to explore a clip's maps",
  configure = function(parser)
    arguments.configure(parser)
    arguments.option(parser, "--out", "The page to write (.html).", "a .html file", html):count(1)
    arguments.option(parser, "--frames", "Which frames: FIRST-LAST, from 0.", "FIRST-LAST, frames from 0", range)
    arguments.option(parser, "--every", "The step between them; by default as many as make a page of 10 MB.",
      "an integer of 1 or more", positive)
  end,
  run = function(args)
    local first, last = table.unpack(args.frames or {})
    local frames, every, bytes = tensor.tidy(tensor.no_grad, view.write, arguments.clip(args), args.out,
      { first = first, last = last, every = args.every, options = arguments.options(args) })
    io.stderr:write(("view: %s: %d in a page of %.1f MB%s\n"):format(words(frames, every), #frames, bytes / 1e6,
      args.every and "" or " (--frames and --every choose others)"))
    print(args.out)
  end,
}
