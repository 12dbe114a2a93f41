-- cohesiv repl, or cohesiv alone: the interactive session.
local command = { summary = "the interactive session (also: cohesiv alone)" }

function command.run(args) return require("cohesiv.tools.repl").run(args) end

return command
