-- Busted with this checkout on the search paths: `cohesiv tests/busted_run.lua FILES…`. Ctrl-C ends it at once.

require("cohesiv.core").system.on_signal "default"
require "busted.runner" { standalone = false }
