-- cohesiv view: the page of a clip's maps, and what it computes, in headless Chromium where there is one.
local co = require "cohesiv"
local json = require "cohesiv.base.json"
local support = require "tests.support"

local folder = support.temp()
local data = co.world { seed = 3, clips = 1, frames = 9, size = { 96, 64 }, mask_every = 0, truth = false,
  out = folder .. "/world", progress = false }
local name = co.data(data).clips[1]
local clip = co.data(data):clip(name)
local page = folder .. "/clip.html"
local q = support.quote

local function view(...)
  return support.cohesiv({ "view", ... }, { env = { COHESIV_CACHE = folder .. "/cache" } })
end

-- What the page knows.
local function content(path)
  return json.decode(support.read(path):match '<script type="application/json" id="data">(.-)</script>', path)
end

describe("view", function()
  local made = view(clip.path, "--out", page, "--size", "96x64", "--gaps", "-1,1,2", "--every", "2")

  it("writes a page that needs nothing beside it, and tells what is in it", function()
    assert.equal(0, made.status, made.stderr)
    assert.equal(page .. "\n", made.stdout)
    assert.is_truthy(made.stderr:find("view: frames 0 to 8, every 2nd: 5 in a page of 0%.%d MB"), made.stderr)
    local text = support.read(page)
    assert.is_nil(text:find "%ssrc=")
    assert.is_nil(text:find "href=")
    assert.is_nil(text:find "url%(")
    assert.is_truthy(text:find("<title>" .. name .. "</title>", 1, true))
    local known = content(page)
    assert.same({ 96, 64 }, known.map)
    local last = known.frames[5]
    assert.same({ 8, { -1 } }, { last.n, last.gaps })
    assert.equal(#clip:hands(8), #last.logits)
    assert.equal(12.5, known.rate)
  end)

  it("takes as many frames as were asked for", function()
    local result = view(clip.path, "--out", page .. ".html", "--size", "48x32", "--gaps", "1", "--frames", "2-3")
    assert.equal(0, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("view: frames 2 to 3: 2 in a page", 1, true), result.stderr)
    assert.same({ 48, 32 }, content(page .. ".html").map)
    result = view(clip.path, "--out", page .. ".html", "--size", "48x32", "--gaps=-2,3", "--frames", "5-8")
    assert.equal(0, result.status, result.stderr)
    local frames = content(page .. ".html").frames
    assert.same({ { -2, 3 }, { -2 }, { -2 } }, { frames[1].gaps, frames[2].gaps, frames[4].gaps })
    result = view(clip.path, "--out", page .. ".html", "--size", "48x32", "--gaps=-2", "--frames", "0-3")
    assert.is_truthy(result.stderr:find("view: frames 2 to 3: 2 in a page", 1, true), result.stderr)
  end)

  it("shows a clip in which nobody is seen", function()
    local none = { width = 96, height = 64, frames = json.list {} }
    json.write(folder .. "/none.json", none)
    local result = view(clip.path, "--hands", folder .. "/none.json", "--out", folder .. "/none.html", "--size",
      "48x32", "--gaps", "1", "--frames", "1")
    assert.equal(0, result.status, result.stderr)
    local known = content(folder .. "/none.html")
    assert.same({ 0, 0, 0 }, { #known.hands, #known.frames[1].logits, #known.frames[1].sharpened })
    local text = support.read(folder .. "/none.html")
    for _, list in ipairs { "hands", "logits", "sharpened" } do -- lists, which {} is not in the page's language
      assert.is_truthy(text:find(('"%s":[]'):format(list), 1, true), list)
    end
  end)

  it("refuses in one line what it cannot show", function()
    support.refuses(view(clip.path, "--out", folder .. "/x.png"), 2, "--out: expected a .html file, found")
    support.refuses(view(clip.path, "--out", page, "--every", "0"), 2, "--every: expected an integer of 1 or more")
    support.refuses(view(clip.path, "--out", page, "--frames", "5-2"), 2, "--frames: expected FIRST-LAST, frames from")
    support.refuses(view(clip.path, "--out", page, "--frames", "9-20"), 1,
      "frames: expected some of 0 to 8, found 9 to 20")
    support.refuses(view(clip.path, "--out", folder .. "/none/x.html", "--frames", "1"), 1,
      "expected a folder to write in, found none")
    support.refuses(view(folder .. "/no.mp4", "--out", page), 1, "found nothing")
    local one, hands = folder .. "/one", json.read(clip.hands_files[1])
    hands.frames = { hands.frames[1] }
    json.write(folder .. "/one.json", hands)
    assert(require("lfs").mkdir(one))
    co.image.write(one .. "/00000.png", clip:frame(0))
    support.refuses(view(one, "--out", page, "--hands", folder .. "/one.json"), 1,
      "expected one within the clip's 1 frames, found none")
  end)

  local chromium = io.popen("command -v chromium chromium-browser google-chrome 2>/dev/null"):read "l"
  if not chromium or support.small then
    pending("computes maps in headless Chromium: none is installed, or a small run")
    return
  end

  -- The script runs behind the page's own, and its value is what finished(value) is called with.
  local function evaluate(script)
    local path = folder .. "/run.html"
    local text = support.read(page):gsub("</main></body>", function(ending)
      return ("<script>const finished = x => document.body.dataset.result = JSON.stringify(x);\n%s</script>%s"):format(
        script, ending)
    end)
    support.write(path, text)
    local pipe = io.popen(("HOME=%s timeout 120 %s --headless --no-sandbox --disable-gpu --virtual-time-budget=20000 "
      .. "--window-size=900,900 --screenshot=%s --dump-dom file://%s 2>/dev/null"):format(q(folder), q(chromium),
      q(folder .. "/page.png"), q(path)))
    local dom = pipe:read "a"
    pipe:close()
    local result = dom:match '<body data%-result="(.-)">'
    assert.is_truthy(result, "the page gave no answer")
    return json.decode((result:gsub("&quot;", '"'):gsub("&amp;", "&"):gsub("&lt;", "<")), "the page's answer")
  end

  it("computes maps in headless Chromium as the library does, at every temperature", function()
    local found = evaluate [[
      const key = name => document.dispatchEvent(new KeyboardEvent("keydown", { key: name }));
      const drawn = async () => { await view.ready; await new Promise(r => setTimeout(r, 50));
        return [view.state.temperature,
        document.getElementById("place").textContent, document.getElementById("degrees").textContent]; };
      view.ready.then(async () => {
        const maps = {};
        for (const t of [0.5, 2, 8]) maps[t] = (await view.map(2, t)).map(plane => Array.from(plane));
        const states = [await drawn()], slider = document.getElementById("temperature");
        slider.value = 1, slider.dispatchEvent(new Event("input"));
        states.push(await drawn());
        const before = paint.getImageData(0, 0, 96, 64).data.join();
        slider.value = 3, slider.dispatchEvent(new Event("input"));
        states.push(await drawn());
        const changed = before !== paint.getImageData(0, 0, 96, 64).data.join();
        key("ArrowRight"), states.push(await drawn()), key("-"), states.push(await drawn());
        key("ArrowLeft"), key("ArrowLeft"), states.push(await drawn());
        for (const name of ["h", "b", "o", "g", "l", "s", "f"]) key(name);
        await drawn();
        finished({ maps, states, changed, layers: view.state.layers, gap: view.state.gap,
          said: document.getElementById("values").textContent, milliseconds: view.milliseconds });
      }).catch(problem => finished(String(problem)));
    ]]
    assert.equal("table", type(found), tostring(found))
    local R = clip:responsibility(4, { size = { 96, 64 }, gaps = { -1, 1, 2 } })
    assert.is_true(#R.gaps == 3 and R.map.shape[3] > 1)
    for t, within in pairs { [0.5] = 0.02, [2] = 0.01, [8] = 0.006 } do
      local planes = found.maps[("%g"):format(t)]
      local map = R:with { temperature = t }.map
      assert.equal(map.shape[3], #planes)
      for k, plane in ipairs(planes) do
        local difference = support.difference(co.tensor(plane):reshape(64, 96), map:select(3, k):contiguous())
        assert.is_true(difference < within, ("T = %g, plane %d: %g"):format(t, k, difference))
      end
    end
    assert.is_true(support.difference(co.tensor(found.maps["0.5"][1]), co.tensor(found.maps["8"][1])) > 0.1)
    assert.same({ 2, "frame 0 / 8", "2.00 px" }, found.states[1])
    assert.same({ 2, "2.00 px" }, { found.states[2][1], found.states[2][3] })
    assert.same({ 8, "8.00 px" }, { found.states[3][1], found.states[3][3] })
    assert.is_true(found.changed)
    assert.equal("frame 2 / 8", found.states[4][2])
    assert.is_true(math.abs(found.states[5][1] - 8 / 2 ^ 0.25) < 1e-4)
    assert.equal("frame 8 / 8", found.states[6][2]) -- round from the first to the last
    assert.same({ false, true, true, false, true, false }, { found.layers.frame, found.layers.background,
      found.layers.flow, found.layers.landmarks, found.layers.sharpened, found.layers.hand0 })
    assert.equal("-1", found.gap)
    assert.is_truthy(found.said:find("flow to frame 7, full colour at", 1, true), found.said)
    local shot = co.image.read(folder .. "/page.png"):to "float32"
    assert.equal(900, shot.shape[2])
    assert.is_true(shot:var():item() > 20)
  end)
end)
