--- Pictures in a terminal: what it can show (asked once), how large a picture may be there, and the bytes that draw
-- it. kitty's graphics, iTerm2's inline images and DEC's sixels have pixels; half blocks (two of them a character, in
-- 24-bit colours) are shown everywhere else. $COHESIV_GRAPHICS chooses by hand.
local core = require "cohesiv.core"
local lists = require "cohesiv.base.lists"
local M = {}

local CELL = { 8, 16 } -- pixels of a character, where the terminal does not tell
local SECONDS = 1 -- to wait for its answer; over ssh a round trip
local CHUNK = 4096 -- bytes of base64 that kitty takes at once

--- What $COHESIV_GRAPHICS may name: "none" describes pictures in words.
M.names = { "kitty", "iterm2", "sixel", "blocks", "none" }

-- Asks for kitty's graphics, the size of a character, and (which all terminals answer) what it is. An answer to the
-- last ends the wait.
local QUESTIONS = "\27_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\27\\\27[16t\27[c"

local function ask()
  local told = {}
  if not core.system.isatty "stdin" then return told end
  local keys <close> = core.system.keys()
  io.write(QUESTIONS)
  io.flush()
  for _ = 1, 64 do -- answers, and what was typed meanwhile
    local answer = keys:read(SECONDS)
    if not answer or answer == "" then break end
    if answer:find "^\27_Gi=31;OK" then told.kitty = true end
    local height, width = answer:match "^\27%[6;(%d+);(%d+)t"
    if height then told.cell = { tonumber(width), tonumber(height) } end
    local attributes = answer:match "^\27%[%?([%d;]*)c"
    if attributes then
      told.sixel = (";" .. attributes .. ";"):find(";4;", 1, true) ~= nil
      break
    end
  end
  return told
end

local asked
local function answers()
  asked = asked or ask()
  return asked
end

local function variable(name) return os.getenv(name) or "" end

-- By the names that terminals give themselves; nil for those that must be asked. Within tmux they are not those of the
-- terminal that draws.
local function by_name()
  if variable "TMUX" ~= "" then return nil end
  local term, program = variable "TERM", variable "TERM_PROGRAM"
  if term:find "kitty" or term:find "ghostty" or program == "ghostty" then return "kitty" end
  if program == "iTerm.app" or program == "WezTerm" or program == "mintty" or variable "LC_TERMINAL" == "iTerm2" then
    return "iterm2"
  end
end

--- graphics(): which of M.names is drawn with on stdout.
function M.graphics()
  local wanted = variable "COHESIV_GRAPHICS"
  if wanted ~= "" then
    if lists.set(M.names)[wanted] then return wanted end
    core.refuse("COHESIV_GRAPHICS: expected one of %s, found %s", table.concat(M.names, ", "), core.text(wanted))
  end
  if not core.system.isatty "stdout" or variable "TERM" == "dumb" or variable "NO_COLOR" ~= "" then return "none" end
  local named = by_name()
  if named then return named end
  local told = answers()
  return told.kitty and "kitty" or told.sixel and "sixel" or "blocks"
end

--- size(): columns and rows: of the terminal, else $COLUMNS and $LINES, else 80 and 24.
function M.size()
  local columns, rows = core.system.terminal()
  return columns or tonumber(os.getenv "COLUMNS") or 80, rows or tonumber(os.getenv "LINES") or 24
end

-- Pixels of a character.
local function cell()
  local columns, rows, width, height = core.system.terminal()
  if width and width > 0 and height > 0 then return width / columns, height / rows end
  return table.unpack(M.graphics() ~= "blocks" and answers().cell or CELL)
end

--- room(graphics, columns, lines): width and height in pixels that fit there.
function M.room(graphics, columns, lines)
  if graphics == "blocks" then return columns, 2 * lines end
  local w, h = cell()
  return math.floor(columns * w), math.floor(lines * h)
end

--- fit(width, height, room_width, room_height): the largest size of that aspect which fits, at most 4 times its own.
function M.fit(width, height, room_width, room_height)
  local s = math.min(room_width / width, room_height / height, 4)
  return math.max(1, math.floor(width * s + 0.5)), math.max(1, math.floor(height * s + 0.5))
end

--- resized(picture, width, height): a picture, mask or map at that size.
function M.resized(picture, width, height)
  local h, w = picture.shape[1], picture.shape[2]
  if h == height and w == width then return picture end
  return core.io.resample(picture, width / w, height / h, width, height, width, height)
end

local draw = {}

function draw.blocks(picture) return core.picture.blocks(picture, picture.shape[2], (picture.shape[1] + 1) // 2) end

function draw.sixel(picture) return core.picture.sixel(picture) end

function draw.iterm2(picture)
  local bytes = core.io.png_bytes(picture, 8, true)
  return ("\27]1337;File=inline=1;size=%d;width=%dpx;height=%dpx:%s\7"):format(#bytes, picture.shape[2],
    picture.shape[1], core.io.base64(bytes))
end

-- In pieces, all but the last announcing another. With a number the next image of that number takes its place.
function draw.kitty(picture, number)
  local data, out = core.io.base64(core.io.png_bytes(picture, 8, true)), {}
  local first = number and ("a=T,q=2,C=1,i=%d,p=1,"):format(number) or "a=T,q=2,"
  for i = 1, #data, CHUNK do
    out[#out + 1] = ("\27_G%sf=100,m=%d;%s\27\\"):format(i == 1 and first or "", i + CHUNK <= #data and 1 or 0,
      data:sub(i, i + CHUNK - 1))
  end
  return table.concat(out)
end

--- draw(graphics, picture, number?): the bytes that draw a picture, pixel by pixel, at the cursor.
function M.draw(graphics, picture, number) return draw[graphics](picture, number) end

return M
