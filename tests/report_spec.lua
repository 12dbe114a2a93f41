-- Reports: base64, charts, pages that hold everything they need; opened in headless Chromium where there is one.

local co = require "cohesiv"
local comparison = require "cohesiv.train.comparison"
local core = require "cohesiv.core"
local failures, groups = require "cohesiv.tools.report_failures", require "cohesiv.tools.report_groups"
local order = require "cohesiv.tools.report_order"
local published, tables = require "cohesiv.tools.published", require "cohesiv.tools.report_table"
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
      { title = "Thresholds", surfaces = { { title = "Obj", values = { { 0.1, 0.2 }, { 0.4, 0.3 } }, best = { 2, 1 },
        rows = { "score", -1, 1 }, columns = { "attention", 0, 1 } } } },
      { title = "Pictures", pictures = { { title = "clip", text = "text", columns = 2,
        items = { { image = picture, caption = "own" }, { image = core.io.png_bytes(picture), caption = "other" },
          { image = picture, caption = "c", with = 2 }, { caption = "nothing" } } } } },
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

describe("a surface", function()
  it("marks the best pair, and colours from the lowest to the highest", function()
    local text = svg.surface("Obj", { { 0.1, 0.2 }, { 0.4, 0.3 } }, { "score", -1, 1 }, { "attention", 0, 1 }, { 2, 1 })
    assert.is_truthy(text:find(">10 – 40 %<", 1, true), text)
    assert.are.equal(4, select(2, text:gsub('class="level', "")))
    local x, y = text:match 'class="best" cx="([%d.]+)" cy="([%d.]+)"'
    assert.are.same({ 44 + 0.75 * 236, 28 + 0.75 * 236 }, { tonumber(x), tonumber(y) })
    local first = text:match 'class="level l11" d="M([%d.]+ [%d.]+)' -- the highest is the best one
    assert.are.equal(("%.1f %.1f"):format(44 + 118, 28 + 118), first)
  end)
end)

describe("a table", function()
  local t = { name = "t", caption = "IoU_1", columns = { "All", "Pair" }, rows = {
    { name = "a, b", main = true, cells = { All = { mean = 51.25, low = 48, high = 55.5 }, Pair = "–" } },
    { name = "50 %_x", cells = { All = { difference = -1.5, low = -2, high = -1, p = 0.01, significant = true } } } } }

  it("is CSV with a column for each part, JSON, and LaTeX with bold differences", function()
    assert.are.equal('name,All,All,All low,All high,All p,Pair\n"a, b",51.25,,48,55.5,,–\n'
      .. "50 %_x,,-1.5,-2,-1,0.01,\n", tables.csv(t))
    local rows = require("cohesiv.base.json").decode(tables.json(t), "t").rows
    assert.are.same({ 51.25, "–", true }, { rows[1].cells.All.mean, rows[1].cells.Pair,
      rows[2].cells.All.significant })
    local tex = tables.latex(t)
    assert.is_truthy(tex:find("a, b & 51.2 {\\scriptsize (48.0 -- 55.5)} & -- \\\\\n", 1, true), tex)
    assert.is_truthy(tex:find("50 \\%\\_x & \\textbf{$-1.5$} {\\scriptsize (-2.0 to -1.0)} & -- \\\\\n", 1, true), tex)
  end)
end)

describe("Holm's correction", function()
  it("equals the known example, and never falls", function()
    local corrected = comparison.holm { 0.01, 0.04, 0.03, 0.005 }
    for i, p in ipairs { 0.03, 0.06, 0.06, 0.02 } do assert.is_true(math.abs(corrected[i] - p) < 1e-12) end
    assert.are.same({ 1, 1 }, comparison.holm { 0.6, 0.9 })
  end)
end)

describe("runs side by side", function()
  local base = require "experiments.cohesiv"
  -- A result of ten clips whose Pair is `level` and a ripple.
  local function result(name, level, changes)
    local rows, names = {}, {}
    for i = 1, 10 do
      names[i] = "c" .. i
      rows[i] = { clip = names[i], n = 1, q = 1, task = "Pair", iou = level + 0.01 * (i % 3) }
    end
    return { name = name, run = { recipe = base(changes) }, rows = rows, names = names, main = true,
      summary = require("cohesiv.hands.evaluate").summarise(rows, names) }
  end
  local list = { result("x_seed-0", 0.3, { seed = 0 }), result("x_seed-1", 0.5, { seed = 1 }),
    result("y_seed-0", 0.6, { maps = { temperature = 4 } }), result("z", 0.4, { maps = { temperature = 1 } }) }
  local all = groups.groups(list)

  it("are grouped over seeds, and compared on the means of their queries", function()
    assert.are.same({ "x", "y_seed-0", "z" }, { all[1].name, all[2].name, all[3].name })
    assert.is_true(math.abs(all[1].cells.Pair.mean - 41) < 0.01)
    local differences = groups.differences(all)
    local y, z = differences.rows[1].cells.Pair, differences.rows[2].cells.Pair
    assert.is_true(math.abs(y.difference - 20) < 1e-6 and y.low > 19.9 and y.significant and y.p < 0.01)
    assert.is_true(math.abs(z.difference) < 1e-6 and not z.significant)
    local spread = groups.spread(all).rows[1].cells.Pair
    assert.is_true(math.abs(spread.spread - 100 * math.sqrt(0.02)) < 1e-6 and spread.n == 2)
  end)

  it("tell the settings that differ and what they do", function()
    local keys = groups.differing(all)
    assert.are.same({ "maps.temperature" }, keys)
    local settings = groups.settings(all, keys)
    assert.are.same({ { "2" }, { "4" }, { "1" } }, { settings.rows[1].cells, settings.rows[2].cells,
      settings.rows[3].cells })
    local plot = groups.swept(all, keys)[1].curves[1]
    assert.are.equal("maps.temperature", plot.x_label)
    assert.are.same({ 1, 2, 4 }, { plot.series[1].points[1][1], plot.series[1].points[2][1],
      plot.series[1].points[3][1] })
    assert.are.equal(4, #plot.series[1].lone)
  end)
end)

describe("the paper's order", function()
  local evaluate = require "cohesiv.hands.evaluate"
  -- Ten clips of a hand and ten of two: means of All, of Pair where there is one hand, and where there are two.
  local function group(name, all, one, two, note)
    local rows, names = {}, {}
    for i = 1, 20 do
      local clip, ripple, hands = "c" .. i, 0.01 * (i % 3), i % 2 + 1
      names[i] = clip
      rows[#rows + 1] = { clip = clip, n = 3, task = "All", iou = all + ripple }
      for q = 1, hands do
        rows[#rows + 1] = { clip = clip, n = 3, q = q, task = "Pair", iou = (hands == 1 and one or two) + ripple }
      end
    end
    return { name = name, note = note, rows = rows, names = names, cells = evaluate.summarise(rows, names) }
  end
  local cohesiv, attention = group("cohesiv", 0.6, 0.5, 0.5), group("attention_only_seed-0", 0.4, 0.3, 0.3)
  local embeddings = group("embeddings_only", 0.6, 0.5, 0.2)
  local box, truth = group("supervised_box_seed-0 (supervised)", 0.3, 0.2, 0.2), group("True boxes", 0.65, 0.5, 0.5)

  it("is told by differences, and by figures where it is another", function()
    local section = order.section { cohesiv, attention, embeddings, box, truth, group("Flow", 0.2, 0.1, 0.1) }
    local notes = {}
    for _, row in ipairs(section.table.rows) do notes[row.name] = row.note end
    assert.same({ ["cohesiv above attention_only"] = "holds", ["cohesiv above flow"] = "holds",
      ["cohesiv above embeddings_only"] = "does not hold on All",
      ["supervised_box above cohesiv"] = "does not hold on All" }, notes)
    assert.is_true(math.abs(section.table.rows[1].cells.All.difference - 20) < 1e-9)
    local text = table.concat(section.text, "\n")
    assert.is_truthy(text:find("Pair is +0.0 (+0.0 to +0.0) above theirs on frames of one hand, +30.0", 1, true), text)
    assert.is_truthy(text:find("Boxes of the truth reach 66.0 on All, +5.0", 1, true), text)
    assert.is_truthy(text:find("The network's boxes reach 31.0", 1, true), text)
  end)

  it("is told of the paper's systems alone", function()
    assert.is_nil(order.section { cohesiv, group("Flow", 0.2, 0.1, 0.1) })
    assert.is_nil(order.section { attention, embeddings })
  end)

  it("stands beside results for one hand and for several", function()
    local t = groups.by_hands { cohesiv, embeddings }
    local cells = t.rows[2].cells
    assert.is_true(math.abs(cells.Pair.mean - cells["Pair, several"].mean - 30) < 1.5)
    assert.same({ 10, 20 }, { cells.Pair.n, cells["Pair, several"].n })
    local alone = {}
    for _, row in ipairs(cohesiv.rows) do
      if row.q ~= 2 then alone[#alone + 1] = row end
    end
    assert.is_nil(groups.by_hands { { name = "x", rows = alone, names = cohesiv.names } })
  end)
end)

describe("failures", function()
  -- Masks of 8×8 pixels from rectangles { x0, y0, x1, y1 }, counted from 1.
  local function mask(...)
    local t = co.zeros(8, 8, { dtype = "uint8" })
    for _, r in ipairs { ... } do t[{ { r[2], r[4] }, { r[1], r[3] } }] = 1 end
    return t
  end
  local function union(a, b) return co.metrics.union { a, b } end
  local hand, object, other = mask { 1, 1, 3, 3 }, mask { 4, 1, 6, 3 }, mask { 1, 6, 3, 8 }
  local truth = { hand = { hand, other }, object = { object }, pair = { union(hand, object), other },
    all = union(union(hand, object), other) }
  local function kind(q, hands, objects, t)
    return failures.kind({ Hand = { [q] = hands }, Obj = { [q] = objects }, Pair = { [q] = union(hands, objects) } },
      t or truth, q)
  end

  it("are named by what went wrong", function()
    local none = mask()
    assert.are.equal("nothing found", kind(1, none, none))
    assert.are.equal("another hand", kind(1, other, none))
    assert.are.equal("hand and object exchanged", kind(1, object, hand))
    assert.are.equal("object missed", kind(1, hand, none))
    assert.are.equal("object invented", kind(2, other, mask { 4, 6, 5, 7 }))
    assert.are.equal("spilled into the background", kind(1, hand, mask { 4, 1, 8, 8 }))
    assert.are.equal("only a part", kind(1, mask { 1, 1, 2, 2 }, mask { 4, 1, 5, 1 }))
    assert.are.equal("ragged outline", kind(1, mask { 1, 1, 3, 2 }, mask { 4, 1, 6, 2 }))
  end)

  it("are told by shape, colours and motion", function()
    local function rectangle(...)
      local t = co.zeros(40, 60, { dtype = "uint8" })
      for _, r in ipairs { ... } do t[{ { r[2], r[4] }, { r[1], r[3] } }] = r[5] or 1 end
      return t
    end
    local own, held = rectangle { 5, 10, 14, 19 }, rectangle { 15, 10, 34, 19 } -- a hand of 10×10, an object of 20×10
    local t = { hand = { own }, object = { held }, pair = { union(own, held) }, all = union(own, held) }
    local function named(hands, objects, of)
      return failures.kind({ Hand = { hands }, Obj = { objects }, Pair = { union(hands, objects) } }, t, 1, of)
    end
    assert.are.equal("hollow object", named(own, rectangle({ 15, 10, 34, 19 }, { 18, 12, 31, 17, 0 })))
    assert.are.equal("far part", named(own, rectangle { 15, 10, 20, 19 }))
    assert.are.equal("halo", named(own, rectangle { 13, 8, 36, 22 }))
    assert.are.equal("spilled into the background", named(own, rectangle { 15, 10, 59, 35 }))
    local picture = co.zeros(40, 60, 3)
    picture[{ { 10, 19 }, { 5, 14 } }] = 200
    picture[{ { 25, 35 }, { 15, 59 } }] = 201
    picture = (picture + co.rand(40, 60, 3) * 4):to "uint8"
    assert.are.equal("skin-coloured background", named(own, rectangle({ 15, 10, 34, 19 }, { 15, 25, 59, 35 }),
      { picture = picture }))
    local function moving(mean) return { moving = function() return co.full(mean, 40, 60) end } end
    assert.are.equal("still object", named(own, rectangle(), moving(0.1)))
    assert.are.equal("object missed", named(own, rectangle(), moving(0.8)))
  end)

  it("are the worst answers below a half, worst first", function()
    local rows = {}
    for i = 1, 6 do rows[i] = { clip = "c", n = i, q = 1, task = i == 6 and "All" or "Pair", iou = 0.1 * (7 - i) } end
    local list, all_of = failures.candidates(rows, 2)
    assert.are.same({ 5, 4 }, { list[1].n, list[2].n })
    assert.are.equal(3, all_of)
  end)
end)

describe("published figures", function()
  it("are those of the data set that is evaluated, and of no other", function()
    local folder = support.temp()
    assert.is_nil(published.table_of(folder))
    assert.is_nil(published.table_of(folder .. "/world"))
    assert.are.equal("51.9", published.table_of(folder .. "/100DOH/").rows[1].cells[1])
    support.write(folder .. "/dataset.json", '{ "name": "EPIC-KITCHENS" }')
    assert.are.equal("43.2", published.table_of(folder).rows[1].cells[1])
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
    assert.are.equal(3, select(2, dom:gsub("<img", "")))
    assert.is_truthy(dom:find('data-note="other"', 1, true)) -- the page's script has run
    os.execute(("cd %s && %s --hide-scrollbars --window-size=900,1400 --screenshot=%s file://%s >/dev/null 2>&1")
      :format(q(folder), open, q(folder .. "/page.png"), q(path)))
    local page = co.image.read(folder .. "/page.png"):to "float32"
    assert.are.equal(900, page.shape[2])
    assert.is_true(page:var():item() > 20) -- something is drawn
  end)
end)
