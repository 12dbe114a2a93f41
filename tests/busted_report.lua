-- Busted's output for `./cohesiv test`: says what failed and what was skipped, nothing about what passed, and leaves
-- the counts in $COHESIV_TEST_COUNTS for the sum of all runs.

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local passed, failed, skipped = 0, 0, 0

  local function report(kind, element, message, trace)
    local at = message and element.trace and ("%s:%s "):format(element.trace.short_src, element.trace.currentline) or ""
    print(("  %s  %s%s"):format(kind, at, handler.getFullName(element)))
    if message then
      local text = type(message) == "string" and message or require "pl.pretty".write(message)
      print("        " .. text:gsub("%s+$", ""):gsub("\n", "\n        "))
    end
    if trace and options.verbose then print(trace.traceback) end
  end

  local function on_end(element, _, status)
    if status == "success" then
      passed = passed + 1
    elseif status == "pending" then
      skipped = skipped + 1
      report("skip", element)
    end
    return nil, true
  end

  local function on_problem(element, _, message, trace)
    failed = failed + 1
    report("FAIL", element, message, trace)
    return nil, true
  end

  local function on_finish()
    local file = io.open(os.getenv "COHESIV_TEST_COUNTS" or "/dev/null", "w")
    if file then
      file:write(("%d %d %d\n"):format(passed, failed, skipped))
      file:close()
    end
    return nil, true
  end

  function handler.subscribe()
    busted.subscribe({ "test", "end" }, on_end)
    busted.subscribe({ "failure" }, on_problem)
    busted.subscribe({ "error" }, on_problem)
    busted.subscribe({ "suite", "end" }, on_finish)
  end

  return handler
end
