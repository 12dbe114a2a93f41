--- first_line(command): the first line that a command of the shell prints, nil for none; its complaints are dropped.
return function(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local line = pipe and pipe:read "l"
  if pipe then pipe:close() end
  return line ~= "" and line or nil
end
