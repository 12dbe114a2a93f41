-- Finds tests that cannot fail: changes one random operator or constant at a time, rebuilds, runs the specs that touch
-- the file (plan.lua), and counts what no test notices. By hand, not in CI:
--
--     ./cohesiv tests/mutate/run.lua [--count 60] [--seed 1] [--jobs 1]
--
-- What the release build does not notice is tried once more under AddressSanitizer and UBSan, as the suite does: a
-- write beyond an array may change no result. Works on clones of HEAD below build/mutate; the checkout is only read. A
-- mutant that does not compile, or compiles to the same machine code, is drawn again; one that runs out of time is
-- caught. What was found is kept line by line in build/mutate/SEED.txt (SEED-WORKER.txt with several jobs), so that the
-- same command goes on where it was stopped.
local lfs = require "lfs"
local ROOT = assert(package.searchpath("tests.mutate.plan", package.path)):match "^(.*)/tests/mutate/plan%.lua$"
if ROOT:sub(1, 1) ~= "/" then ROOT = lfs.currentdir() .. "/" .. ROOT end
local plan = require "tests.mutate.plan"
local sites = require "tests.mutate.sites"

local FOLDER = ROOT .. "/build/mutate"
local MEMORY = "ulimit -v 60000000; " -- a mutant may ask for any memory; address space is not all used

local function quote(word) return "'" .. tostring(word):gsub("'", [['\'']]) .. "'" end

local function shell(format, ...)
  local words = { ... }
  for i, word in ipairs(words) do words[i] = quote(word) end
  local _, how, status = os.execute(format:format(table.unpack(words)))
  if how == "signal" or status == 130 then error("interrupted", 0) end
  return status
end

local function must(what, status)
  if status ~= 0 then error(("mutate: %s failed"):format(what), 0) end
end

local function output_of(format, ...)
  local words = { ... }
  for i, word in ipairs(words) do words[i] = quote(word) end
  local pipe = assert(io.popen(format:format(table.unpack(words))))
  local text = pipe:read "a"
  pipe:close()
  return (text:gsub("%s+$", ""))
end

local function read(path)
  local file = io.open(path, "rb")
  local bytes = file and file:read "a"
  if file then file:close() end
  return bytes
end

local function write(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
end

-- ---- the clone ----

-- Brings the clone to the commit, builds it, and keeps its machine code to compare with.
local function prepare(work, commit)
  if not lfs.attributes(work .. "/.git") then
    must("cloning", shell("rm -rf %s && git clone -q %s %s", work, ROOT, work))
  end
  must("the checkout of " .. commit, shell("cd %s && git fetch -q origin && git reset -q --hard %s", work, commit))
end

local SANITIZED = "-DCOHESIV_SANITIZE=address,undefined "

-- Builds the clone in its folder `name`.
local function build(work, name, options)
  local ccache = shell "command -v ccache >/dev/null" == 0 and "-DCMAKE_C_COMPILER_LAUNCHER=ccache" or ""
  local folder, log = work .. "/" .. (name or "build"), work .. ".log"
  return shell("(test -f %s/build.ninja || cmake -G Ninja -S %s -B %s " .. (options or "") .. ccache .. ") >%s 2>&1 && "
    .. "cmake --build %s >>%s 2>&1", folder, work, folder, log, folder, log) == 0
end

-- The library without what tells versions of the same machine code apart.
local function code(work)
  local path = work .. ".code"
  must("objcopy", shell("objcopy -g -R .note.gnu.build-id %s/build/cohesiv/core.so %s", work, path))
  return read(path)
end

-- Runs one spec → "passed", "failed" or "timeout", and the seconds. `sanitized`: on that build.
local function run_spec(work, spec, limit, sanitized)
  local filters, started = {}, os.time()
  for _, f in ipairs(spec.filters) do filters[#filters + 1] = quote("--filter=" .. f) end
  local counts = work .. ".counts"
  os.remove(counts)
  local how = MEMORY .. "env -u COHESIV_BUILD"
  if sanitized then -- no limit: the sanitizer reserves address space without end
    how = ("env COHESIV_SMALL=1 COHESIV_BUILD=%s/sanitized LD_PRELOAD=$(gcc -print-file-name=libasan.so) "
      .. "ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:intercept_tls_get_addr=0"):format(quote(work))
  end
  local status = shell("cd %s && " .. how .. " COHESIV_DATA= COHESIV_PYTHON= "
    .. ("COHESIV_TEST_COUNTS=%%s timeout -k 5 %d lua5.4 lua/cohesiv/main.lua tests/busted_run.lua "):format(limit)
    .. "--output=tests/busted_report.lua --no-keep-going " .. table.concat(filters, " "):gsub("%%", "%%%%")
    .. " tests/" .. spec.name .. "_spec.lua </dev/null >%s 2>&1", work, counts, work .. ".spec.log")
  local seconds = os.time() - started
  local passed = tonumber((read(counts) or ""):match "^%d+")
  if status == 0 and passed and passed > 0 then return "passed", seconds end
  return (status == 124 or status == 137) and "timeout" or "failed", seconds
end

-- ---- the list ----

local FIELDS = { "draw", "outcome", "file", "line", "spec", "seconds", "before", "after" }

local function line_of(entry)
  local words = {}
  for i, name in ipairs(FIELDS) do words[i] = tostring(entry[name] or "-") end
  return table.concat(words, "\t") .. "\n"
end

-- The entries of a list made for this commit; a list of another commit begins anew.
local function read_list(path, commit)
  local entries, text = {}, read(path) or ""
  if text:match "^[^\n]*" ~= commit then
    must("making " .. FOLDER, shell("mkdir -p %s", FOLDER))
    write(path, commit .. "\n")
    return entries
  end
  for line in text:gmatch "[^\n]+" do
    local entry, i = {}, 0
    for word in line:gmatch "[^\t]+" do
      i = i + 1
      entry[FIELDS[i]] = word
    end
    if i == #FIELDS then entries[#entries + 1] = entry end
  end
  return entries
end

local function is_mutant(entry) return entry.outcome ~= "invalid" and entry.outcome ~= "same" end

-- ---- one worker ----

local function worker(o, commit, index)
  local name = o.jobs > 1 and ("%d-%d"):format(o.seed, index) or tostring(o.seed)
  local work, path = ("%s/work-%d"):format(FOLDER, index), ("%s/%s.txt"):format(FOLDER, name)
  local quota = o.count // o.jobs + (index <= o.count % o.jobs and 1 or 0)
  local found, draw = 0, index - o.jobs
  for _, entry in ipairs(read_list(path, commit)) do
    if is_mutant(entry) then found = found + 1 end
    draw = tonumber(entry.draw)
  end
  if found >= quota then return end
  prepare(work, commit)
  if not build(work) then error(("mutate: the build failed, see %s.log"):format(work), 0) end
  local original, all = code(work), plan.all(work)

  local baseline = {} -- seconds of a spec without a mutant
  local function time_of(spec)
    local key = spec.name .. table.concat(spec.filters)
    if not baseline[key] then
      local outcome, seconds = run_spec(work, spec, 900)
      if outcome ~= "passed" then
        error(("mutate: %s_spec fails without a mutant, see %s.spec.log"):format(spec.name, work), 0)
      end
      baseline[key] = seconds
    end
    return baseline[key]
  end

  -- The specs that pass in the sanitized build without a mutant, and with one? → which does not, and the seconds.
  -- put "text" | "mutant": which one the file holds.
  local sound = {}
  local function judge_sanitized(specs, put)
    local seconds = 0
    local function run(spec)
      local outcome, time = run_spec(work, spec, 30 * time_of(spec) + 60, true)
      seconds = seconds + time
      return outcome == "passed"
    end
    put "text"
    if not build(work, "sanitized", SANITIZED) then error("mutate: the sanitized build failed", 0) end
    for _, spec in ipairs(specs) do
      local key = spec.name .. table.concat(spec.filters)
      if sound[key] == nil then sound[key] = run(spec) end
    end
    put "mutant"
    if not build(work, "sanitized", SANITIZED) then return nil, seconds end
    for _, spec in ipairs(specs) do
      if sound[spec.name .. table.concat(spec.filters)] and not run(spec) then
        return spec.name .. ", sanitized", seconds
      end
    end
    return nil, seconds
  end

  local function judge(s, text)
    local specs = plan.specs(s.file)
    for _, spec in ipairs(specs) do time_of(spec) end -- before the mutant is there
    local native = not s.file:find "%.lua$"
    local target, mutant = work .. "/" .. s.file, sites.apply(text, s)
    if not native and not load(mutant) then return "invalid" end
    write(target, mutant)
    local outcome, by, seconds = "survived", nil, 0
    if native and not build(work) then
      outcome = "invalid"
    elseif native and code(work) == original then
      outcome = "same"
    else
      for _, spec in ipairs(specs) do
        local how, time = run_spec(work, spec, 3 * time_of(spec) + 20)
        seconds = seconds + time
        if how ~= "passed" then
          outcome, by = how == "timeout" and "timeout" or "caught", spec.name
          break
        end
      end
      if native and not by then
        local more
        by, more = judge_sanitized(specs, function(which) write(target, which == "mutant" and mutant or text) end)
        outcome, seconds = by and "caught" or outcome, seconds + more
      end
    end
    write(target, text)
    if native and not build(work) then error("mutate: the build without a mutant failed", 0) end
    return outcome, by, seconds
  end

  while found < quota do
    draw = draw + o.jobs
    local s = all[plan.draw(#all, o.seed, draw)]
    local text = read(work .. "/" .. s.file)
    local entry = { draw = draw, file = s.file }
    local _, before = sites.line(text, s.at)
    entry.line = sites.line(text, s.at)
    local _, after = sites.line(sites.apply(text, s), s.at)
    entry.before, entry.after = before:gsub("%s+", " "), after:gsub("%s+", " ")
    entry.outcome, entry.spec, entry.seconds = judge(s, text)
    local file = assert(io.open(path, "a"))
    file:write(line_of(entry))
    file:close()
    if is_mutant(entry) then
      found = found + 1
      print(("%-8s %s:%d  %s  ->  %s%s"):format(entry.outcome, entry.file, entry.line, entry.before, entry.after,
        entry.spec and "  (" .. entry.spec .. ")" or ""))
      io.stdout:flush()
    end
  end
end

-- ---- all of them ----

local function report(o, commit)
  local total, caught, survivors = 0, 0, {}
  for index = 1, o.jobs do
    local name = o.jobs > 1 and ("%d-%d"):format(o.seed, index) or tostring(o.seed)
    for _, entry in ipairs(read_list(("%s/%s.txt"):format(FOLDER, name), commit)) do
      if entry.outcome == "survived" then survivors[#survivors + 1] = entry end
      if is_mutant(entry) then total = total + 1 end
      if entry.outcome == "caught" or entry.outcome == "timeout" then caught = caught + 1 end
    end
  end
  print(("\n%d mutants of %s, %d caught (%.0f %%), %d survived"):format(total, commit:sub(1, 7), caught,
    100 * caught / math.max(total, 1), #survivors))
  for _, e in ipairs(survivors) do
    print(("%s:%s\n  - %s\n  + %s"):format(e.file, e.line, e.before, e.after))
  end
  if total < o.count then error(("mutate: expected %d mutants, found %d"):format(o.count, total), 0) end
end

local function parse(words)
  local o = { count = 60, seed = 1, jobs = 1, worker = 0 }
  for i = 1, #words, 2 do
    local name = words[i]:match "^%-%-(%l+)$"
    local n = math.tointeger(tonumber(words[i + 1]))
    if not o[name] or not n or n < 1 then
      error(("mutate: expected --count, --seed or --jobs and a number, found %s %s"):format(words[i],
        words[i + 1] or "nothing"), 0)
    end
    o[name] = n
  end
  return o
end

local o = parse(arg)
local commit = output_of("git -C %s rev-parse HEAD", ROOT)
if o.worker > 0 then return worker(o, commit, o.worker) end
if output_of("git -C %s status --porcelain csrc lua tests", ROOT) ~= "" then
  print "mutate: what is not committed takes no part"
end
if o.jobs == 1 then
  worker(o, commit, 1)
else
  local started = {}
  for index = 1, o.jobs do
    started[index] = ("%s %s --count %d --seed %d --jobs %d --worker %d &"):format(quote(ROOT .. "/cohesiv"),
      quote(ROOT .. "/tests/mutate/run.lua"), o.count, o.seed, o.jobs, index)
  end
  must("the workers", shell(table.concat(started, " "):gsub("%%", "%%%%") .. " wait"))
end
report(o, commit)
