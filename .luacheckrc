-- Lua 5.4 everywhere; the specs also know Busted's names.
std = "lua54"
max_line_length = 120
ignore = { "581" } -- `not (x <= y)` is not `x > y` where NaN may come
files["tests/*_spec.lua"] = { std = "+busted" }
files["tests/support.lua"] = { std = "+busted" }
files[".busted"] = { std = "max" }
