--- thousands(n): a whole number as text, its digits in groups of three: 34,680,944.
return function(n)
  local text = ("%d"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end
