--- XML as data sets use it (PASCAL VOC): elements, attributes, text, comments, CDATA. Strict: what is not closed,
-- nested or escaped as it should be is one line with its place. No document types, no entities but the five and
-- numbers: a file that brings its own is refused.
local core = require "cohesiv.core"
local xml = {}

local LIMIT, DEPTH = 1 << 24, 64 -- bytes of a file, elements within elements
local ENTITIES = { lt = "<", gt = ">", amp = "&", quot = '"', apos = "'" }

local Reader = {}
Reader.__index = Reader

function Reader:fail(format, ...)
  local _, line = self.text:sub(1, self.at - 1):gsub("\n", "")
  core.refuse("%s: line %d: " .. format, self.what, line + 1, ...)
end

-- Text with its entities resolved.
function Reader:plain(text)
  return (text:gsub("&([^;]*);?", function(name)
    local number = name:match "^#(%d+)$" or name:match "^#x(%x+)$" and "0x" .. name:sub(3)
    local code = number and #number < 10 and math.tointeger(tonumber(number))
    if code and code > 0 and code <= 0x10FFFF then return utf8.char(code) end
    return ENTITIES[name] or self:fail("expected an entity that is known, found &%s", name:sub(1, 20))
  end))
end

-- Moves on behind what the pattern (anchored) matches, and gives its captures.
function Reader:take(pattern)
  local first, last, a, b = self.text:find("^" .. pattern, self.at)
  if not first then return nil end
  self.at = last + 1
  return a or "", b
end

-- Comments, instructions and white space between elements.
function Reader:skip()
  repeat until not (self:take "%s+" or self:take "<!%-%-.-%-%->" or self:take "<%?.-%?>")
  if self.text:find("^<!DOCTYPE", self.at) then self:fail "expected no document type, found one" end
end

function Reader:element(depth)
  local name = self:take "<([%a_][%w_.:-]*)"
  if not name then self:fail("expected an element, found %s", core.found(self.text:sub(self.at, self.at + 9))) end
  if depth > DEPTH then self:fail("expected at most %d elements within each other, found more", DEPTH) end
  local node, parts = { name = name, attributes = {} }, {}
  while true do
    local key = self:take "%s+([%a_][%w_.:-]*)%s*=%s*"
    if not key then break end
    local value = self:take '"([^"<]*)"' or self:take "'([^'<]*)'"
    if not value then self:fail("<%s>: expected a quoted value of %s, found none", name, key) end
    node.attributes[key] = self:plain(value)
  end
  if not self:take "%s*/>" then
    if not self:take "%s*>" then self:fail("<%s>: expected its end, found none", name) end
    while true do
      local text = self:take "([^<]+)"
      local raw = not text and self:take "<!%[CDATA%[(.-)%]%]>"
      if text then
        parts[#parts + 1] = self:plain(text)
      elseif raw then
        parts[#parts + 1] = raw
      elseif self:take "</" then
        local closed = self:take "([%w_.:-]*)%s*>"
        if closed ~= name then
          self:fail("expected </%s>, found %s", name, closed and "</" .. closed .. ">" or "none")
        end
        break
      elseif self.at > #self.text then
        self:fail("expected </%s>, found the end of the file", name)
      elseif not self:take "<!%-%-.-%-%->" then
        node[#node + 1] = self:element(depth + 1)
      end
    end
  end
  node.text = table.concat(parts):match "^%s*(.-)%s*$"
  return node
end

--- decode(text, what): the root { name, attributes, text, [1] = its first element, … }; messages call it `what`.
function xml.decode(text, what)
  local reader = setmetatable({ text = text:gsub("^\xEF\xBB\xBF", ""), what = what, at = 1 }, Reader)
  reader:skip()
  local root = reader:element(1)
  reader:skip()
  if reader.at <= #reader.text then reader:fail "expected one element with all others in it, found more behind it" end
  return root
end

--- read(path): the root of a file.
function xml.read(path) return xml.decode(core.io.read_file(path, LIMIT), path) end

--- child(node, name): its first element of that name, or nil; value(node, name): that one's text.
function xml.child(node, name)
  for _, inner in ipairs(node) do
    if inner.name == name then return inner end
  end
end

function xml.value(node, name)
  local inner = xml.child(node, name)
  return inner and inner.text
end

return xml
