-- explore: what its keys do and what it draws, on a generated clip; and driven by tmux, as a user at a terminal would.
local co = require "cohesiv"
local core = require "cohesiv.core"
local explore = require "cohesiv.tools.explore"
local frames, panel = require "cohesiv.data.frames", require "cohesiv.tools.panel"
local support = require "tests.support"

local folder = support.temp()
local cache_before = os.getenv "COHESIV_CACHE"
setup(function()
  core.system.setenv("COHESIV_CACHE", folder .. "/cache")
  co.world { out = folder .. "/world", clips = 1, frames = 14, size = { 96, 64 }, seed = 3, progress = false }
end)
teardown(function() core.system.setenv("COHESIV_CACHE", cache_before) end)

local SIZE = { 192, 128 } -- at which the hand is large enough to be cut out
local function clip()
  local data = co.data(folder .. "/world")
  return data:clip(data.clips[1])
end
local function view(frame) return explore.view(clip(), { frame = frame or 6, size = SIZE }) end

-- A view after keys, and the number of times that they went on.
local function pressed(keys, frame)
  local v = view(frame)
  for key in keys:gmatch "[^ ]+" do assert.is_true(v:press((key:gsub("ESC", "\27")))) end
  return v
end

local function expected(frame, options, hand)
  options.size = SIZE
  local c = clip()
  local R = c:responsibility(frame, options)
  if hand and #R.scene.hands > 1 then R = R:with { keep = { hand } } end
  return panel.overlay(R, c:frame(frame), hand)
end

local function same(a, b) assert.equal(0, support.difference(a, b)) end

describe("a view of a clip", function()
  it("shows the maps of its frame", function()
    same(expected(6, {}), view():picture(96, 64))
    assert.is_truthy(view():status():find("frame 6 of 0–13  T 2  static background  gaps ±1,2,3", 1, true))
  end)

  it("goes on from frame to frame, and stays within the clip", function()
    for keys, frame in pairs { ["ESC[C"] = 7, ["ESC[D ESC[D"] = 4, ["ESCOC"] = 7, ["ESC[A"] = 13, ["ESC[B"] = 0,
      ["ESC[H"] = 0, ["ESC[F"] = 13, ["ESC[F ESC[C"] = 13, x = 6 } do
      assert.equal(frame, pressed(keys).frame, keys)
    end
    local v = pressed "ESC[C"
    v:picture(96, 64)
    v:press "\27[C"
    same(expected(8, {}), v:picture(96, 64))
  end)

  it("is warmer and colder, and comes back", function()
    local v = pressed "+ + + +"
    assert.is_true(math.abs(v.temperature - 4) < 1e-9)
    local warm = v:picture(96, 64)
    assert.is_true(support.difference(warm, expected(6, { temperature = 4 })) <= 1)
    for _ = 1, 4 do v:press "-" end
    assert.is_true(support.difference(v:picture(96, 64), expected(6, {})) <= 1)
    assert.is_true(support.difference(warm, expected(6, {})) > 1)
    for _ = 1, 100 do v:press "-" end
    assert.is_true(v.temperature >= 0.05)
  end)

  it("changes background, gaps and hands", function()
    same(expected(6, { background = "homography" }), pressed("b"):picture(96, 64))
    same(expected(6, { gaps = { -1, 1 } }), pressed("g"):picture(96, 64))
    local hands = #clip():hands(6)
    assert.is_true(hands >= 1)
    local v = view()
    for k = 1, hands do
      v:press "h"
      same(expected(6, {}, k), v:picture(96, 64))
      assert.is_truthy(v:status():find(("hands %d of %d"):format(k, hands), 1, true))
    end
    v:press "h"
    v:picture(96, 64)
    assert.is_truthy(v:status():find("hands all of", 1, true))
  end)

  it("draws maps, cut-out maps, heat, distances, flow and the frame", function()
    local v, seen = view(), {}
    for _, layer in ipairs { "maps", "sharpened", "heat", "distance", "flow", "frame" } do
      local picture = v:picture(192, 128)
      assert.is_truthy(v:status():find("  " .. layer, 1, true), v:status())
      assert.is_true(picture.shape[1] <= 128 and picture.shape[2] <= 192)
      seen[#seen + 1] = picture:png()
      v:press "m"
    end
    for i = 1, #seen do
      for k = 1, i - 1 do assert.is_true(seen[i] ~= seen[k], i .. " " .. k) end
    end
    same(clip():frame(6), pressed("m m m m m"):picture(96, 64))
    same(expected(6, {}), pressed("m m m m m m"):picture(96, 64))
  end)

  it("saves the picture in the clip's own pixels", function()
    local here = require("lfs").currentdir()
    finally(function() require("lfs").chdir(here) end)
    require("lfs").chdir(support.temp())
    local v = pressed "s"
    local path = v:status():match "saved (%S+%.png)"
    same(expected(6, {}), co.image.read(path))
    v:press "+"
    assert.is_nil(v:status():find("saved", 1, true))
  end)

  it("ends by q, escape and Ctrl-D", function()
    for _, key in ipairs { "q", "\27", "\4" } do assert.is_false(view():press(key)) end
  end)

  it("says what is missing, and shows the frame", function()
    local bare = folder .. "/bare"
    core.io.make_folder(bare)
    for n = 0, 1 do co.image.write(("%s/%06d.png"):format(bare, n), co.full(60 * n, 32, 48, 3, { dtype = "uint8" })) end
    core.io.write_file(folder .. "/bare.json", '{"width": 48,')
    local v = explore.view(co.clip(bare, { hands = folder .. "/bare.json" }))
    same(v.clip:frame(0), v:picture(48, 32))
    assert.is_truthy(v:status():find("bare.json", 1, true), v:status())
    assert.is_nil(v:status():find "\n")
  end)

  it("refuses what is no clip, no frame of it, no terminal", function()
    support.raises("explore: expected a clip, found 3", explore.explore, 3)
    support.raises("explore: frame: expected 0 to 13, found 14", explore.view, clip(), { frame = 14 })
    support.raises("explore", explore.view, clip(), { fram = 1 })
    local result = support.cohesiv({}, { stdin = ("explore(co.clip '%s')\n"):format(clip().path) })
    assert.is_truthy(result.stderr:find("explore: expected a terminal that shows pictures", 1, true), result.stderr)
  end)

  it("gives its memory back", function()
    frames.forget()
    support.no_leak(function()
      local v = view()
      for key in ("+ b g m m h ESC[C ESC[D - b g g g h m m m m"):gmatch "[^ ]+" do
        v:press((key:gsub("ESC", "\27")))
        v:picture(48, 32):close()
      end
      frames.forget()
    end)
  end)
end)

describe("explore in a terminal", function()
  it("draws, follows keys, saves, and leaves the session as it was", function()
    if not os.execute "command -v tmux >/dev/null" then return pending "tmux is not installed" end
    local at = support.temp()
    local function tmux(...)
      local result = support.run { "tmux", "-u", "-f", "/dev/null", "-S", at .. "/socket", ... }
      return result.stdout, result.status
    end
    finally(function() tmux "kill-server" end)
    tmux("new-session", "-d", "-x", "100", "-y", "30", ("cd %s; TERM=xterm XDG_STATE_HOME=%s COHESIV_CACHE=%s/cache "
      .. "lua5.4 %s/lua/cohesiv/main.lua; sleep 60"):format(at, at, folder, support.root))
    -- Waits for a text on the screen; a key is pressed again where it got lost in a busy machine (`key` may be twice).
    local function wait(text, key)
      for round = 1, 100 do
        if key and round % 20 == 1 then tmux("send-keys", key) end
        local screen = tmux("capture-pane", "-p")
        if screen:find(text, 1, true) then return screen end
        core.system.sleep(0.1)
      end
      error(("expected '%s' on the screen, found:\n%s"):format(text, (tmux("capture-pane", "-p"))))
    end
    wait "help()"
    tmux("send-keys", ("explore(co.clip '%s', { frame = 6, size = { 192, 128 } })"):format(clip().path), "Enter")
    local screen = wait "frame 6 of 0–13"
    assert.is_truthy(screen:find "▀▀▀▀")
    assert.is_nil(screen:find("help()", 1, true))
    wait("frame 7 of 0–13", "Right")
    wait("homography background", "b")
    wait("gaps ±1  ", "g")
    wait("hands 1 of", "h")
    wait("  sharpened", "m")
    wait("saved ", "s")
    tmux("resize-window", "-x", "60", "-y", "20")
    wait "q leave"
    tmux("send-keys", "q")
    wait "explore(co.clip"
    tmux("send-keys", "6 * 7", "Enter")
    wait "42" -- the terminal echoes and edits again
    local saved = 0
    for _, name in ipairs(core.io.list(at)) do saved = saved + (name:find "%.png$" and 1 or 0) end
    assert.is_true(saved >= 1)
    -- Ctrl-C ends the view, not the session
    tmux("send-keys", ("explore(co.clip '%s', { frame = 6, size = { 192, 128 } })"):format(clip().path), "Enter")
    wait "frame 6 of 0–13"
    tmux("send-keys", "C-c")
    wait "interrupted"
    tmux("send-keys", "11 * 11", "Enter")
    wait "121"
  end)
end)
