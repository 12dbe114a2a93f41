--- Progress of long work on standard error: a bar that redraws itself on a terminal, plain lines otherwise.
local core = require "cohesiv.core"
local Progress = {}
Progress.__index = Progress

local LINE_SECONDS = 15 -- between plain lines
local M = {
  quiet = false,
  heard = nil, -- heard(label, done, total, facts): of every update, for who shows progress in a way of his own
}

--- clock(seconds): "42 s", "3:05 min".
function M.clock(seconds)
  seconds = math.floor(seconds + 0.5)
  if seconds < 60 then return seconds .. " s" end
  return ("%d:%02d min"):format(seconds // 60, seconds % 60)
end

--- new(label, total): a progress of `total` steps; p:update(done, note?, facts?) and p:finish(note?).
function M.new(label, total)
  local now = core.system.time()
  return setmetatable({ label = label, total = total, started = now, shown = -math.huge,
    tty = core.system.isatty "stderr" }, Progress)
end

function Progress:update(done, note, facts)
  if M.heard then M.heard(self.label, done, self.total, facts) end
  local now = core.system.time()
  local every = self.tty and 0.1 or LINE_SECONDS
  if M.quiet or (now - self.shown < every and not (self.tty and done == self.total)) then return end
  self.shown = now
  local spent = now - self.started
  local left = done > 0 and done < self.total and spent / done * (self.total - done)
  left = left and M.clock(left) .. " left" or M.clock(spent)
  if self.tty then
    local cells = self.total > 0 and math.floor(24 * done / self.total) or 24
    io.stderr:write(("\r\27[K%s [%s%s] %d/%d  %s  %s"):format(self.label, ("#"):rep(cells), ("."):rep(24 - cells), done,
      self.total, left, note or ""))
  else
    io.stderr:write(("%s: %d of %d, %s%s\n"):format(self.label, done, self.total, left, note and ", " .. note or ""))
  end
end

function Progress:finish(note)
  if M.quiet then return end
  local spent = M.clock(core.system.time() - self.started)
  io.stderr:write(("%s%s: %s, %s\n"):format(self.tty and "\r\27[K" or "", self.label,
    note or (self.total .. " done"), spent))
end

return M
