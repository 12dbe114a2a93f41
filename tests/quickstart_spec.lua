-- The main job end to end at a tiny size: a report that stands alone and that a browser opens; and videos without
-- landmarks, which get one line that says what to give.
local co = require "cohesiv"
local core = require "cohesiv.core"
local support = require "tests.support"

local folder = support.temp()

local function quickstart(words, options, env)
  options = options or {}
  options.dir, options.timeout = folder, 600
  options.env = env or {}
  options.env.COHESIV_CACHE = folder .. "/cache"
  return support.cohesiv({ "quickstart", table.unpack(words) }, options)
end

local SMALL = {
  "size=112,64", "epochs=2", "minutes=none", "batch=2", "maps.frames=2", "maps.fit.points=100", "maps.gaps=-2,2",
  "maps.tau=0.2", "maps.band=0", "maps.closeness=none",
  "model.encoder=mobilenet_v2", "model.decoder_widths=8,8,8,8,8", "model.embedding_dim=4", "model.attention_dim=4",
  "calibrate.steps=8", "calibrate.embeddings=30",
}

local function set(changes)
  local words = {}
  for _, change in ipairs(changes) do
    words[#words + 1] = "--set"
    words[#words + 1] = change
  end
  return words
end

describe("cohesiv quickstart", function()
  local report

  it("makes a world, learns from it, and prints the report's path last", function()
    local words = { "--clips", "1", "--held", "3", table.unpack(set(SMALL)) }
    local result = quickstart(words)
    assert.equal(0, result.status, result.stderr)
    assert.equal("runs/quickstart/report.html\n", result.stdout)
    report = support.read(folder .. "/runs/quickstart/report.html")
    local run = require("cohesiv.train.run").open(folder .. "/runs/quickstart")
    assert.equal("done", run:status().state)
    assert.equal(2, #run:metrics())
    assert.same({ "cache", "runs" }, support.list(folder))
  end)

  it("takes changes with --set or as they are, and refuses videos beside a data folder", function()
    support.refuses(quickstart { "bach=3" }, 1, 'unknown key "bach"')
    support.refuses(quickstart { "--data", folder, "some.mp4" }, 1,
      "expected either --data or videos, found both: " .. folder .. ", some.mp4")
  end)

  it("writes a report that stands alone: a table with baselines, curves, pictures", function()
    for _, text in ipairs { "COHESIV", "Thresholded responsibility", "Flow", "Saliency", "Responsibility maps", "<svg",
      "All", "Pair", "Hand", "Obj" } do
      assert.is_truthy(report:find(text, 1, true), text)
    end
    local plain = report:gsub("http://www%.w3%.org/[%w/]*", "") -- names of namespaces are not fetched
    assert.is_nil(plain:find("https?://"))
    for link in plain:gmatch "src%s*=%s*[\"']([^\"']*)" do assert.is_truthy(link:find "^data:", link:sub(1, 60)) end
    assert.is_nil(plain:find "<link")
    local pictures = select(2, report:gsub("data:image/jpeg;base64,", ""))
    assert.is_true(pictures >= 4)
  end)

  local browser = support.run("command -v chromium || command -v chromium-browser").stdout:match "%S+"
  local browse = browser and it or pending
  browse("writes a report that a browser opens without a complaint", function()
    local result = support.run({ browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
      "--log-level=0", "--dump-dom", "file://" .. folder .. "/runs/quickstart/report.html" },
      { timeout = 120, env = { HOME = folder } })
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stdout:find("Thresholded responsibility", 1, true))
    assert.is_nil(result.stderr:find "CONSOLE", result.stderr)
  end)

  it("writes the report that cohesiv report writes", function()
    local result = support.cohesiv({ "report", "runs/quickstart", "--out", "again.html" },
      { dir = folder, timeout = 300 })
    assert.equal(0, result.status, result.stderr)
    assert.equal("again.html\n", result.stdout)
    local again = support.read(folder .. "/again.html")
    os.remove(folder .. "/again.html")
    local function plain(text)
      return (text:gsub("<div><dt>Whole job</dt>[^\n]*\n", ""):gsub("%d+%-%d+%-%d+", "DAY"))
    end
    assert.is_true(plain(report) == plain(again))
    local calibration = require("cohesiv.train.run").open(folder .. "/runs/quickstart"):calibration()
    assert.equal(1, #calibration.calibrated_on)
  end)

  it("reports real video with its own figures alone", function()
    local world = require("cohesiv.data.world").world { seed = 5, clips = 4, size = { 96, 64 }, truth = { "person" },
      out = support.temp() .. "/world", progress = false }
    local small = set { "maps.sharpen=false", "maps.size=112,64", "pretrain.clips=3", table.unpack(SMALL) }
    local result = quickstart { "--data", world, "--set", "name=real", table.unpack(small) }
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("all clips have masks: those that are reported are trained on", 1, true))
    assert.is_false(require("cohesiv.train.run").open(folder .. "/runs/real").recipe.held_out)
    local text = support.read(folder .. "/runs/real/report.html")
    assert.is_nil(text:find "ublished" or text:find "ython")
    -- With a clip that has none, nothing of the others is trained on.
    os.execute(("mv '%s/masks/%s' '%s/away'"):format(world, co.data(world).clips[1], world))
    result = quickstart { "--data", world, "--set", "name=held", table.unpack(small) }
    assert.equal(0, result.status, result.stderr)
    local samples = support.read(folder .. "/runs/held/samples.jsonl")
    for _, clip in ipairs(co.data(world).annotated) do assert.is_nil(samples:find(clip, 1, true)) end
  end)

  it("goes on after Ctrl-C where it was", function()
    local changes = { "name=stopped", table.unpack(SMALL) }
    local script = support.write(folder .. "/interrupt.lua", ([[
      local progress = require "cohesiv.base.progress"
      local new = progress.new
      progress.new = function(label, total)
        if label:find "epoch 2" then io.popen("kill -INT " .. require("cohesiv.core").system.pid()):close() end
        return new(label, total)
      end
      require("cohesiv.tools.quickstart").run { clips = 4, held = 3, changes = { %s } }]]):format(
      ("%q, "):rep(#changes):format(table.unpack(changes))))
    local result = support.cohesiv({ script }, { dir = folder, env = { COHESIV_CACHE = folder .. "/cache" } })
    assert.equal(130, result.status, result.stderr)
    local run = require("cohesiv.train.run").open(folder .. "/runs/stopped")
    assert.is_truthy(result.stderr:find("go on with the same command (runs/stopped)", 1, true), result.stderr)
    assert.equal(1, #run:metrics())
    assert.equal("stopped", run:status().state)
    support.write(run:file "report.html", "of what there is so far") -- does not make the run a finished one
    local again = { "--clips", "4", "--held", "3", table.unpack(set(changes)) }
    result = quickstart(again)
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("goes on with runs/stopped", 1, true), result.stderr)
    assert.equal("runs/stopped/report.html\n", result.stdout)
    assert.equal(2, #run:metrics())
    assert.equal("done", run:status().state)
    os.remove(run:file "report.html") -- nor does its absence make a finished one unfinished
    assert.equal("runs/stopped-2/report.html\n", quickstart(again).stdout)
  end)

  it("says what a video without landmarks lacks", function()
    core.io.make_folder(folder .. "/lone")
    local made = support.run({ "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=1",
      "-pix_fmt", "yuv420p", folder .. "/lone/a.mp4" })
    assert.equal(0, made.status, made.stderr)
    core.io.make_folder(folder .. "/bin") -- a pip without a network
    support.write(folder .. "/bin/pip3",
      '#!/bin/sh\n[ "$1" = --version ] && echo pip && exit\necho ERROR: no network; exit 1\n')
    os.execute("chmod +x " .. support.quote(folder .. "/bin/pip3"))
    local result = quickstart({ folder .. "/lone/a.mp4" }, nil, {
      PATH = folder .. "/bin:" .. os.getenv "PATH", COHESIV_WEIGHTS = folder .. "/weights" })
    assert.is_truthy(result.stderr:find("^fetching hands: .-36 MB, by pip %(Apache%-2%.0%)\n"), result.stderr)
    result.stderr = result.stderr:gsub("^[^\n]*\n", "")
    support.refuses(result, 1, "clip a: expected landmarks")
    assert.is_truthy(result.stderr:find("no network", 1, true), result.stderr)
    assert.is_truthy(result.stderr:find("landmarks", 1, true), result.stderr)
    assert.is_truthy(result.stderr:find("json", 1, true), result.stderr)
  end)

  it("refuses what is wrong in one line", function()
    support.refuses(quickstart { "--data", folder .. "/none" }, 1, "none")
    support.refuses(quickstart { folder .. "/none.mp4" }, 1, "none.mp4")
    support.refuses(quickstart { "--set", "bach=3" }, 1, "batch")
    assert.equal(2, quickstart({ "--clips", "many" }).status)
    assert.is_nil(core.io.status(folder .. "/runs/quickstart-2"))
  end)
end)
