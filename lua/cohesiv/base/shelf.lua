--- A shelf of things by keys, of so much room: the least recently used are closed first.
local function shelf(room)
  local entries, clock = {}, 0
  local self = {}

  --- drop(key): closes what lies under a key, if anything does.
  function self.drop(key)
    local entry = entries[key]
    if not entry then return end
    entries[key], room = nil, room + entry.size
    entry.thing:close()
  end

  --- get(key): what lies there, or nil.
  function self.get(key)
    clock = clock + 1
    if entries[key] then entries[key].used = clock end
    return entries[key] and entries[key].thing
  end

  --- put(key, size, make): what make() gives, once there is room for it (or nothing else is left).
  function self.put(key, size, make)
    self.drop(key)
    while room < size and next(entries) do
      local oldest = next(entries)
      for other, entry in pairs(entries) do
        if entry.used < entries[oldest].used then oldest = other end
      end
      self.drop(oldest)
    end
    entries[key], room = { thing = make(), size = size }, room - size
    return self.get(key)
  end

  --- clear(): closes everything.
  function self.clear()
    for key in pairs(entries) do self.drop(key) end
  end

  return self
end

return shelf
