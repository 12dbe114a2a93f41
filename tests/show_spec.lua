-- co.show: each way to draw in a terminal, decoded again; which one is taken; curves.
local co = require "cohesiv"
local plot, terminal = require "cohesiv.tools.plot", require "cohesiv.tools.terminal"
local support = require "tests.support"

local folder = support.temp()

local function picture(h, w)
  local t = co.zeros(h, w, 3, { dtype = "uint8" })
  for y = 1, h do
    t[{ y, {}, 1 }] = (y * 255) // h
    t[{ y, {}, 2 }] = 128
  end
  t[{ {}, { 1, math.max(1, w // 2) }, 3 }] = 255
  return t
end

-- The bytes of base64.
local function decoded(text)
  local path = support.write(folder .. "/64", text)
  local out = support.run(("base64 -d < %s > %s/bytes"):format(path, folder))
  assert.equal(0, out.status, out.stderr)
  return support.read(folder .. "/bytes")
end

local function picture_of(bytes) return co.image.read(support.write(folder .. "/x.png", bytes)) end

-- A picture of sixels, as a terminal of 1987 would paint it: list of rows of { r, g, b } per cent.
local function sixels(text)
  local w, h, body = text:match '^\27P0;1q"1;1;(%d+);(%d+)(.*)\27\\$'
  assert.is_truthy(w, text:sub(1, 40))
  local colors, rows, x, y, color = {}, {}, 0, 0, nil
  for i = 0, tonumber(h) - 1 do rows[i] = {} end
  local at = 1
  while at <= #body do
    local index, r, g, b, after = body:match("^#(%d+);2;(%d+);(%d+);(%d+)()", at)
    local chosen, behind = body:match("^#(%d+)()", at)
    local count, glyph, ending = body:match("^!(%d+)([?-~])()", at)
    if index then
      colors[index], at = { tonumber(r), tonumber(g), tonumber(b) }, after
    elseif chosen then
      color, at = assert(colors[chosen]), behind
    elseif body:sub(at, at) == "$" then
      x, at = 0, at + 1
    elseif body:sub(at, at) == "-" then
      x, y, at = 0, y + 6, at + 1
    else
      if not count then count, glyph, ending = 1, assert(body:match("^[?-~]", at)), at + 1 end
      for _ = 1, count do
        for bit = 0, 5 do
          if (glyph:byte() - 63) >> bit & 1 == 1 then
            assert.is_nil(rows[y + bit][x]) -- each pixel once
            rows[y + bit][x] = color
          end
        end
        x = x + 1
      end
      at = ending
    end
  end
  return rows, tonumber(w), tonumber(h)
end

describe("a picture in a terminal", function()
  it("is a PNG in pieces for kitty", function()
    local image = co.rand(90, 80, 3):mul(255):to "uint8"
    local text, data, last = terminal.draw("kitty", image), {}, nil
    for head, piece in text:gmatch "\27_G([^;]*);([^\27]*)\27\\" do
      assert.is_true(#piece <= 4096)
      assert.equal(#data == 0, head:find("a=T", 1, true) ~= nil)
      data[#data + 1], last = piece, head:match "m=(%d)"
    end
    assert.is_true(#data > 2)
    assert.equal("0", last)
    assert.equal(0, support.difference(image, picture_of(decoded(table.concat(data)))))
    assert.is_truthy(terminal.draw("kitty", image, 7):find("i=7", 1, true))
  end)

  it("is a file for iTerm2", function()
    local image = picture(9, 14)
    local size, data = terminal.draw("iterm2", image)
      :match "^\27%]1337;File=inline=1;size=(%d+);width=14px;height=9px:([%w+/=]+)\7$"
    assert.equal(tonumber(size), #decoded(data))
    assert.equal(0, support.difference(image, picture_of(decoded(data))))
  end)

  it("is dithered sixels, near in every place on average", function()
    for _, size in ipairs { { 48, 40 }, { 7, 5 }, { 1, 1 } } do
      local image = picture(table.unpack(size))
      local rows, w, h = sixels(terminal.draw("sixel", image))
      assert.same({ size[2], size[1] }, { w, h })
      local values = image:totable()
      for y0 = 0, h - 8, 8 do -- means of 8×8
        for x0 = 0, w - 8, 8 do
          for c = 1, 3 do
            local sum, want = 0, 0
            for y = y0, y0 + 7 do
              for x = x0, x0 + 7 do
                sum, want = sum + rows[y][x][c] * 2.55, want + values[y + 1][x + 1][c]
              end
            end
            assert.is_true(math.abs(sum - want) / 64 <= 6, ("%d,%d"):format(x0, y0))
          end
        end
      end
      for y = 0, h - 1 do
        for x = 0, w - 1 do assert.is_truthy(rows[y][x]) end
      end
    end
  end)

  it("fits: its aspect kept, enlarged at most fourfold", function()
    assert.same({ 100, 50 }, { terminal.fit(200, 100, 100, 1000) })
    assert.same({ 40, 20 }, { terminal.fit(400, 200, 1000, 20) })
    assert.same({ 40, 20 }, { terminal.fit(10, 5, 1000, 1000) })
    assert.same({ 20, 1 }, { terminal.fit(10000, 1, 20, 20) })
  end)

  local SHOW = folder .. "/show.lua"
  support.write(SHOW, 'local co = require "cohesiv" co.show(co.zeros(4, 6))')
  local function shown(env) return support.cohesiv({ SHOW }, { env = env }) end

  it("is drawn as $COHESIV_GRAPHICS says", function()
    for name, start in pairs { kitty = "\27_G", iterm2 = "\27]1337", sixel = "\27P", blocks = "\27[38",
      none = "float32 4x6" } do
      assert.equal(start, shown({ COHESIV_GRAPHICS = name }).stdout:sub(1, #start))
    end
    support.refuses(shown { COHESIV_GRAPHICS = "ascii" }, 1,
      "COHESIV_GRAPHICS: expected one of kitty, iterm2, sixel, blocks, none, found ascii")
  end)

  -- On a terminal, whose answers are typed in beforehand.
  local function on_terminal(answers, env)
    local words = { "TMUX=", "TERM_PROGRAM=", "LC_TERMINAL=", "TERM=xterm" }
    for name, value in pairs(env or {}) do words[#words + 1] = name .. "=" .. value end
    support.write(folder .. "/answers", answers)
    local command = ("(cat %s; sleep 3) | script -qec 'env %s lua5.4 %s/lua/cohesiv/main.lua %s' /dev/null"):format(
      folder .. "/answers", table.concat(words, " "), support.root, SHOW)
    return support.run(command, { timeout = 60 }).stdout
  end

  it("is drawn as the terminal answers, or is named", function()
    if not os.execute "command -v script >/dev/null" then return pending "script(1) is not installed" end
    assert.is_truthy(on_terminal("\27_Gi=31;OK\27\\\27[6;20;10t\27[?62;4c"):find("\27_Ga=T", 1, true))
    assert.is_truthy(on_terminal("\27[6;20;10t\27[?62;4;9c"):find("\27P0;1q", 1, true))
    assert.is_truthy(on_terminal("\27[?62;14c"):find("\27[38;2", 1, true))
    assert.is_truthy(on_terminal("", { TERM = "xterm-kitty" }):find("\27_Ga=T", 1, true))
    assert.is_truthy(on_terminal("", { TERM_PROGRAM = "iTerm.app" }):find("\27]1337", 1, true))
    assert.is_truthy(on_terminal("", { TERM = "dumb" }):find("float32 4x6", 1, true))
    assert.is_truthy(on_terminal("", { NO_COLOR = "1" }):find("float32 4x6", 1, true))
  end)
end)

describe("curves", function()
  local function lines(text)
    local list = {}
    for line in text:gmatch "([^\n]*)\n" do list[#list + 1] = line end
    return list
  end

  it("stand between numbered axes", function()
    local list = lines(plot.text(plot.series(co.tensor { 0, 1, 2, 3 }), 40, 12))
    assert.equal(12, #list)
    assert.is_truthy(list[1]:find "^%s*3 │")
    assert.is_truthy(list[10]:find "^%s*0 │")
    assert.is_truthy(list[12]:find "^%s+1%s+4$")
    for _, line in ipairs(list) do assert.is_true(utf8.len(line) <= 40) end
    -- a rising line: top right and bottom left are set, the other corners not
    assert.is_truthy(list[1]:find "[\xe2][\xa0-\xa3][\x80-\xbf]$")
    assert.is_nil(list[1]:find "│\xe2[\xa0-\xa3]")
    assert.is_truthy(list[10]:find "│\xe2[\xa0-\xa3]")
  end)

  it("may be several, with names and their last values, of points, with gaps", function()
    local text = plot.text(plot.series { a = { { 0, 1 }, { 10, 0 / 0 }, { 20, 3 } }, b = { 2, 2 } }, 60, 10, true)
    assert.is_truthy(text:find("a 3", 1, true) and text:find("b 2", 1, true))
    assert.is_truthy(text:find("\27[34m", 1, true) and text:find("\27[33m", 1, true))
    assert.is_nil(plot.text(plot.series { 1, 2 }, 60, 10):find "\27")
    for _, one in ipairs {
      { 5 }, { 0 / 0 }, { 1e299, -1e299 }, { 1e308, -1e308, 2 }, { math.maxinteger, math.mininteger },
      { { math.maxinteger, 1 }, { math.maxinteger, 2 } }, { math.huge, 1 } } do
      assert.equal(10, #lines(plot.text(plot.series(one), 30, 10)))
    end
  end)

  it("are told from pictures", function()
    for _, x in ipairs { co.zeros(2, 2), {}, { "a" }, { a = 1 }, { { 1 } }, co.zeros(0), "x" } do
      assert.is_nil(plot.series(x))
    end
    support.raises("expected an image, map, flow", co.show, { "a" })
    support.raises('graphics: expected kitty', co.show, co.zeros(2, 2), { graphics = "x" })
  end)
end)
