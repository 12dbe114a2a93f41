--- What the timing programs of the network share: options, model, a training step, and the protocol (print `ready`
-- after warming up, then for every line `run` on standard input do the work once and print the seconds that it took).
local co = require "cohesiv"

local M = {}

local function whole(name, text)
  local n = math.tointeger(tonumber(text))
  if not n or n < 1 then error(("%s: expected a positive integer, found %s"):format(name, tostring(text)), 0) end
  return n
end

--- options(arg) → { n, height, width, encoder, widths, threads, dtype } from -n, --height, --width, --encoder, --widths
-- (five, with commas), --threads and --dtype.
function M.options(words)
  local o = { n = 1, height = 256, width = 256, threads = 2 }
  for i = 1, #words, 2 do
    local name, value = words[i], words[i + 1]
    local key = name:match "^%-%-?(%a+)$"
    if key == "n" or key == "height" or key == "width" or key == "threads" then
      o[key] = whole(name, value)
    elseif (key == "encoder" or key == "dtype") and value then
      o[key] = value
    elseif key == "widths" and value then
      o.widths = {}
      for w in value:gmatch "[^,]+" do o.widths[#o.widths + 1] = whole(name, w) end
    else
      error("expected -n, --height, --width, --encoder, --widths, --threads or --dtype with a value, found " .. name, 0)
    end
  end
  co.threads(o.threads)
  co.seed(0)
  return o
end

--- model(o): the network, with statistics of batch norm that are not those of a fresh one.
function M.model(o)
  local model = co.model { encoder = o.encoder, decoder_widths = o.widths }
  for name, b in model:named_buffers() do
    if name:match "running_mean$" then
      b[{ {} }] = co.randn(#b) * 0.1
    elseif name:match "running_var$" then
      b[{ {} }] = co.rand(#b) + 0.5
    end
  end
  return model
end

--- step(o) → a function: one training step of the network: forward, both losses, backward, AdamW. One hand in each
-- image.
function M.step(o)
  local model = M.model(o):train()
  local optimiser = co.optim.AdamW(model:parameters(), { lr = 1e-3 })
  local n, h, w = o.n, o.height, o.width
  local x, R = co.randn(n, h, w, 3), co.rand(n, h, w)
  local queries = co.rand(n, 2) * co.tensor { w - 1, h - 1 }
  local labels = (co.rand(n, h, w) * 3):to "int32" + 1
  return function()
    optimiser:zero_grad()
    local out = model:forward(x)
    local loss = co.losses.responsibility(out.Q, out.K, R, queries) * 10 + co.losses.embedding(out.Z, labels)
    loss:backward()
    optimiser:step()
  end
end

M.serve = require("experiments.bench.contender").serve

return M
