-- Networks in place of MediaPipe's two, as files of TensorFlow Lite: on a bright picture there is one palm, of the
-- place
-- and size asked for, on a dark one none; in a bright square there is one upright hand, whose next square is the same.
local maker = require "tests.tflite_maker"
local support = require "tests.support"

local networks = {}

local ANSWERS, NUMBERS = 2016, 18

-- One number, the mean of the picture, times `factor`: operators before, and the tensor's place.
local function mean_of(side, factor)
  return {
    { "x", { 1, side, side, 3 } }, { "axes", { 3 }, type = "INT32", data = maker.ints { 1, 2, 3 } },
    { "mean", { 1, 1, 1, 1 } }, { "shape", { 3 }, type = "INT32", data = maker.ints { 1, 1, 1 } }, { "m", { 1, 1, 1 } },
    { "factor", { 1 }, data = maker.floats { factor } }, { "scaled", { 1, 1, 1 } },
    { "none", { 1 }, data = maker.floats { 0 } }, { "zero", { 1, 1, 1 } },
  }, {
    { "MEAN", { 0, 1 }, { 2 }, { keep_dims = 1 } }, { "RESHAPE", { 2, 3 }, { 4 } }, { "MUL", { 4, 5 }, { 6 } },
    { "MUL", { 4, 7 }, { 8 } },
  }
end

local function palm_file(x, y, size)
  local tensors, operators = mean_of(192, 40)
  local numbers, scores = {}, {}
  for i = 1, ANSWERS * NUMBERS do numbers[i] = 0 end
  for i = 1, ANSWERS do scores[i] = i == 1 and -10 or -100 end -- above 0 where the mean is above a quarter
  local ax, ay = 0.5 / 24, 0.5 / 24
  local function place(k, u, v) numbers[k], numbers[k + 1] = (u - ax) * 192, (v - ay) * 192 end
  place(1, x, y)
  numbers[3], numbers[4] = size * 192, size * 192
  for k = 0, 6 do place(5 + 2 * k, x, y) end
  place(5, x, y + size / 4) -- the wrist, below
  place(9, x, y - size / 4) -- the middle finger
  local n = #tensors
  for _, t in ipairs { { "numbers", { 1, ANSWERS, NUMBERS }, data = maker.floats(numbers) },
    { "scores", { 1, ANSWERS, 1 }, data = maker.floats(scores) }, { "boxes", { 1, ANSWERS, NUMBERS } },
    { "palms", { 1, ANSWERS, 1 } } } do
    tensors[#tensors + 1] = t
  end
  operators[#operators + 1] = { "ADD", { 8, n }, { n + 2 } }
  operators[#operators + 1] = { "ADD", { 6, n + 1 }, { n + 3 } }
  return maker.model { tensors = tensors, operators = operators, inputs = { 0 }, outputs = { n + 2, n + 3 } }
end

--- The landmarks within a square of 224, from 1: { x, y }.
networks.POINTS = {}
for k = 1, 21 do networks.POINTS[k] = { 80 + 3 * k, 100 + 2 * k } end
networks.POINTS[1], networks.POINTS[19] = { 112, 179.2 }, { 138, 138 }
networks.POINTS[6], networks.POINTS[10], networks.POINTS[14] = { 90, 90 }, { 112, 67.2 }, { 134, 90 }

local function landmark_file(right)
  local tensors, operators = mean_of(224, 40)
  local numbers = {}
  for k, p in ipairs(networks.POINTS) do numbers[3 * k - 2], numbers[3 * k - 1], numbers[3 * k] = p[1], p[2], 0 end
  local n = #tensors
  for _, t in ipairs { { "numbers", { 1, 63 }, data = maker.floats(numbers) }, { "flat", { 2 }, type = "INT32",
    data = maker.ints { 1, 1 } }, { "z", { 1, 1 } }, { "m2", { 1, 1 } }, { "points", { 1, 63 } },
    { "bias", { 1 }, data = maker.floats { -10 } }, { "logit", { 1, 1 } }, { "present", { 1, 1 } },
    { "which", { 1 }, data = maker.floats { right } }, { "side", { 1, 1 } }, { "world", { 1, 63 } } } do
    tensors[#tensors + 1] = t
  end
  for _, o in ipairs { { "RESHAPE", { 8, n + 1 }, { n + 2 } }, { "RESHAPE", { 6, n + 1 }, { n + 3 } },
    { "ADD", { n + 2, n }, { n + 4 } }, { "ADD", { n + 3, n + 5 }, { n + 6 } }, { "LOGISTIC", { n + 6 }, { n + 7 } },
    { "ADD", { n + 2, n + 8 }, { n + 9 } }, { "ADD", { n + 2, n }, { n + 10 } } } do
    operators[#operators + 1] = o
  end
  return maker.model { tensors = tensors, operators = operators, inputs = { 0 },
    outputs = { n + 4, n + 7, n + 9, n + 10 } }
end

--- write(folder, { x = 0.5, y = 0.5, size = 0.2, right = 0.9 }): the set "hands" there; x, y, size: the palm's, shares
-- of the square around the picture.
function networks.write(folder, o)
  o = o or {}
  os.execute("mkdir -p " .. support.quote(folder .. "/hands"))
  support.write(folder .. "/hands/palm_detection_full.tflite", palm_file(o.x or 0.5, o.y or 0.5, o.size or 0.2))
  support.write(folder .. "/hands/hand_landmark_full.tflite", landmark_file(o.right or 0.9))
end

return networks
