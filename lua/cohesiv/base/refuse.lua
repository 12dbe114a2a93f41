--- refuse(format, …): raises one line, whatever it quotes: control characters are written out.
local raise = require("cohesiv.core").error

return function(format, ...) raise(format:format(...), 0) end
