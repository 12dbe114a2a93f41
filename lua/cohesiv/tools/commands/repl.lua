-- cohesiv repl, or cohesiv alone: the interactive session.
return {
  summary = "the interactive session (also: cohesiv alone)",
  run = function(args) return require("cohesiv.tools.repl").run(args) end,
}
