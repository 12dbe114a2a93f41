--- How the time of a whole pass grows with pixels and batch: it should grow in proportion, odd sizes included. Prints a
-- table and draws a chart.
local co = require "cohesiv"
local core = require "cohesiv.core"
local svg = require "cohesiv.tools.svg"

local SIZES = { { 64, 64 }, { 96, 96 }, { 128, 128 }, { 161, 161 }, { 192, 192 }, { 250, 190 }, { 256, 256 },
  { 320, 240 }, { 333, 333 }, { 448, 256 }, { 511, 383 }, { 640, 480 }, { 801, 601 }, { 1280, 720 } }
local BATCHES = { 1, 2, 4, 10 }
local MOST = 1.3e6 -- pixels of a pass, so that the table takes minutes
local ROUNDS, SECONDS = 2, 0.2

local STYLE = [[<style>
svg { background: white; } text { font: 12px sans-serif; fill: #222; } .chart-title { font-weight: bold; }
.tick { font-size: 11px; fill: #666; } .gridline { stroke: #ddd; } .line { fill: none; stroke-width: 1; }
.s1 { stroke: #999; } .s2 { stroke: #2457d6; } .s3 { stroke: #d97706; } .s4 { stroke: #0f9d76; }
.s5 { stroke: #b4389b; }
.dot { stroke: none; } .dot.s2 { fill: #2457d6; } .dot.s3 { fill: #d97706; } .dot.s4 { fill: #0f9d76; }
.dot.s5 { fill: #b4389b; }
</style>]]

-- Milliseconds of a pass, the least of several.
local function measure(frozen, n, h, w)
  return co.tidy(function()
    local x = co.randn(n, h, w, 3)
    local function pass() frozen:forward(x) end
    co.tidy(pass) -- recorded, weights packed
    local best, spent, rounds = math.huge, 0, 0
    local clock = core.threads() == 1 and os.clock or core.system.time
    while spent < SECONDS or rounds < ROUNDS do
      local start = clock()
      co.tidy(pass)
      local took = clock() - start
      best, spent, rounds = math.min(best, took), spent + took, rounds + 1
    end
    return best * 1e3
  end)
end

-- The chart as a file of its own; a grey line shows what is in proportion, by the median of all.
local function chart_of(title, series)
  local rates, most = {}, 0
  for _, s in ipairs(series) do
    for _, p in ipairs(s.points) do
      rates[#rates + 1] = p[2] / p[1]
      most = math.max(most, p[1])
    end
    table.sort(s.points, function(a, b) return a[1] < b[1] end)
  end
  table.sort(rates)
  local even = { name = "in proportion", points = { { 0, 0 }, { most, most * rates[(#rates + 1) // 2] } } }
  local chart = svg.curves(title, { even, table.unpack(series) }, "thousands of pixels x batch")
  return (chart:gsub("^<svg", '<svg xmlns="http://www.w3.org/2000/svg"'):gsub(">", ">" .. STYLE, 1))
end

local function padded(side) return side + -side % 32 end

return function(o, network)
  co.tidy(function()
    local model = network.model(o):eval()
    local FORMAT = "%-9s  %5s  %10s  %8s  %14s  %21s"
    print(FORMAT:format("size", "batch", "megapixels", "ms", "ms / megapixel", "ms / padded megapixel"))
    local series = {}
    for b, n in ipairs(BATCHES) do
      local frozen = model:freeze()
      series[b] = { name = ("batch %d"):format(n), points = {}, dots = true }
      for _, size in ipairs(SIZES) do
        local w, h = size[1], size[2]
        local pixels = n * w * h
        if pixels <= MOST then
          local ok, ms = pcall(measure, frozen, n, h, w)
          if ok then
            table.insert(series[b].points, { pixels / 1e3, ms })
            print(FORMAT:format(("%dx%d"):format(w, h), n, ("%.3f"):format(pixels / 1e6), ("%.1f"):format(ms),
              ("%.0f"):format(ms / pixels * 1e6), ("%.0f"):format(ms / (n * padded(w) * padded(h)) * 1e6)))
          else
            print(("%dx%d, batch %d: %s"):format(w, h, n, ms)) -- memory is short
            collectgarbage()
          end
          io.stdout:flush()
        end
      end
      collectgarbage()
    end
    if o.out then
      local chart = chart_of(model.options.encoder .. ", ms of a pass", series)
      core.io.write_file(o.out, chart)
      print(o.out)
    end
  end)
end
