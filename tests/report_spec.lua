-- Reports: base64, charts, pages that hold everything they need; opened in headless Chromium where there is one.

local co = require "cohesiv"
local core = require "cohesiv.core"
local report = require "cohesiv.tools.report"
local support = require "tests.support"
local svg = require "cohesiv.tools.svg"

local function value(mean) return { mean = mean, low = mean - 3, high = mean + 4, n = 20 } end

local function content()
  co.seed(1)
  local picture = (co.rand(20, 30, 3) * 255):to "uint8"
  local points = {}
  for i = 1, 30 do points[i] = { i, 3 / i } end
  return {
    title = "A <title> & more", lead = "Lead", facts = { { "Data", "generated" } }, footer = "Foot",
    sections = {
      { title = "Results", text = { "One & two.", "Three." },
        table = { caption = "IoU", columns = { "All", "Pair" }, bars = true, rows = {
          { name = "COHESIV", main = true, cells = { All = value(51.3), Pair = value(46) } },
          { name = "Flow", note = "sees video", cells = { value(21), "–" } } } } },
      { title = "Training", curves = { { title = "Loss", x_label = "epoch",
        series = { { name = "training", points = points, dots = true } } } } },
      { title = "Pictures", pictures = { { title = "clip", text = "text",
        items = { { image = picture, caption = "a" }, { image = picture, caption = "b" } } } } },
    },
  }
end

describe("base64", function()
  it("equals known texts at every length", function()
    local known = { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", ["\0\255\128"] = "AP+A" }
    for bytes, text in pairs(known) do assert.are.equal(text, core.io.base64(bytes)) end
  end)
end)

describe("charts", function()
  it("draw bars to scale, whiskers at the interval", function()
    local text = svg.bars("All", { { name = "x", mean = 50, low = 25, high = 100, main = true }, { name = "y" } }, 100)
    local left, width = text:match '<rect class="bar main" x="(%d+)" y="[%d.]+" width="([%d.]+)"'
    local low, high = text:match 'class="whisker" d="M([%d.]+) [%d.]+H([%d.]+)'
    local span = 2 * width
    assert.is_true(math.abs((low - left) / span - 0.25) < 1e-3 and math.abs((high - left) / span - 1) < 1e-3)
    assert.is_truthy(text:find ">–</text>")
  end)

  it("draw curves of one point, of equal values, and of negative ones", function()
    local cases = { { { 1, 2 } }, { { 1, 0 }, { 2, 0 } }, { { 1, -3 }, { 5, 4 } }, { { 3, 1e-7 }, { 4, 2e-7 } } }
    for _, points in ipairs(cases) do
      local text = svg.curves("t", { { name = "s", points = points } }, "epoch")
      assert.is_nil(text:lower():find "nan")
      assert.is_nil(text:find "inf")
      assert.is_truthy(text:find '<path class="line s1" d="M')
    end
  end)
end)

describe("a report", function()
  it("holds everything inside itself and closes every tag", function()
    local path = support.temp() .. "/report.html"
    report.write(path, content())
    local text = support.read(path)
    assert.is_truthy(text:find("A &lt;title&gt; &amp; more", 1, true))
    assert.is_truthy(text:find("51.3<small>48.3 – 55.3</small>", 1, true))
    assert.is_truthy(text:find("21.0<small>18.0 – 25.0</small>", 1, true))
    assert.is_nil(text:find "src=\"[^d]")
    assert.is_nil(text:find "href=")
    assert.is_nil(text:find "url%(")
    for _, tag in ipairs { "section", "table", "tr", "td", "div", "svg", "figure", "figcaption", "main", "p" } do
      local _, opened = text:gsub("<" .. tag .. "[ >]", "")
      local _, closed = text:gsub("</" .. tag .. ">", "")
      assert.are.equal(opened, closed, tag)
    end
    assert.is_nil(io.open(path .. ".tmp"))
  end)

  it("fails with one line where it cannot be written", function()
    local ok, message = pcall(report.write, support.temp() .. "/none/report.html", content())
    assert.is_false(ok)
    assert.is_nil(message:find "\n")
  end)

  local chromium = io.popen("command -v chromium chromium-browser google-chrome 2>/dev/null"):read "l"
  if not chromium or support.small then
    pending("opens in headless Chromium: none is installed, or a small run")
    return
  end

  it("opens in headless Chromium, with its pictures", function()
    local folder = support.temp()
    local path = folder .. "/report.html"
    report.write(path, content())
    local q = support.quote
    local open = ("HOME=%s timeout 120 %s --headless --no-sandbox --disable-gpu"):format(q(folder), q(chromium))
    local pipe = io.popen(("%s --dump-dom file://%s 2>/dev/null"):format(open, q(path)))
    local dom = pipe:read "a"
    pipe:close()
    assert.is_truthy(dom:find("A &lt;title&gt; &amp; more", 1, true))
    assert.are.equal(2, select(2, dom:gsub("<img", "")))
    os.execute(("cd %s && %s --hide-scrollbars --window-size=900,1400 --screenshot=%s file://%s >/dev/null 2>&1")
      :format(q(folder), open, q(folder .. "/page.png"), q(path)))
    local page = co.image.read(folder .. "/page.png"):to "float32"
    assert.are.equal(900, page.shape[2])
    assert.is_true(page:var():item() > 20) -- something is drawn
  end)
end)
