-- cohesiv sweep FILE [key=value …]: runs the recipes of a sweep, here or by Slurm; again: goes on; its folder last.
local core = require "cohesiv.core"
local columns, lists = require "cohesiv.base.columns", require "cohesiv.base.lists"
local sweeps, sweep_folder = require "cohesiv.train.sweep", require "cohesiv.train.sweep_folder"
local cli, jobs = require "cohesiv.tools.cli", require "cohesiv.tools.sweep_jobs"
local plans, tables = require "cohesiv.tools.sweep_plan", require "cohesiv.tools.sweep_table"
local slurm = require "cohesiv.tools.sweep_slurm"

local function positive(text)
  local n = math.tointeger(tonumber(text))
  return n and n > 0 and n
end

-- "1,3-5" → { 1, 3, 4, 5 }
local function places(text)
  local list = {}
  for part in (text .. ","):gmatch "([^,]*)," do
    local first, last = part:match "^(%d+)%-(%d+)$"
    first, last = positive(first or part), positive(last or part)
    if not first or not last or last < first or last - first > 100000 then return nil end
    for i = first, last do list[#list + 1] = i end
  end
  return list
end

local function print_plan(plan)
  local lines, rows, place = { { "", "run", "state", "changes" } }, plan:look(), lists.set(plan.folder.entries)
  for i, entry in ipairs(plan.entries) do
    lines[i + 1] = { tostring(place[entry]), entry.name, rows[i].state, sweeps.changes_text(entry) }
  end
  print(columns(lines, 4))
end

-- One entry, in this process: what the others are started for.
local function work(folder, args)
  local entry = folder.entries[args.worker]
  if args.parent then core.system.end_with(args.parent) end
  local ok, problem = pcall(folder.work, folder, entry, args.pause)
  if ok then return 0 end
  if core.system.stopped() and slurm.within() then return slurm.requeue(problem) end
  core.error(problem, 0)
end

-- Raises where a run that is wanted has no data, before each of them fails by that.
local function check_data(sweep, only)
  local wanted = only and lists.set(only)
  for place, entry in ipairs(sweep) do
    if (not wanted or wanted[place]) and not entry.recipe.data then
      core.refuse("sweep: %s: expected a data folder (data=PATH), found none", entry.name)
    end
  end
end

return {
  summary = "Runs the recipes of a sweep, several at once; goes on where it stopped; prints its folder last.",
  configure = function(parser)
    parser:argument("file", "A Lua file that returns sweep.grid, sweep.random or sweep.list.")
    parser:argument("changes", "Changes of all its recipes: key=value."):args "*"
    parser:option("--jobs", "Runs at a time, which share the CPUs (1, or as many as there are GPUs).")
      :convert(cli.as("--jobs: expected an integer of 1 or more", positive))
    parser:option("--only", "Only these runs by their place: 2 or 1,3-5.")
      :convert(cli.as("--only: expected places such as 2 or 1,3-5", places))
    parser:option("--name", "The folder's name within runs/ (the file's).")
      :convert(cli.as("--name: expected letters, digits, _ . + -", function(text)
        return text:match "^[%w_.+-]*[%w_+-]+[%w_.+-]*$"
      end))
    parser:flag("--halving", "Successive halving: of runs that have had a share of their training the worse half is "
      .. "given up, by the IoU that thresholds reach on the calibration clips, else by the loss.")
    parser:flag("--dry-run", "Print what would be run and how it stands; write nothing.")
    parser:flag("--slurm", "Submit the runs as a job array and follow it.")
    parser:option("--sbatch", "With --slurm: an option of sbatch, such as --sbatch=--time=4:00:00."):count "*"
    parser:option("--worker"):convert(positive):hidden(true)
    parser:option("--parent"):convert(positive):hidden(true)
    parser:option("--pause"):convert(tonumber):hidden(true)
  end,
  run = function(args)
    local sweep, text = sweeps.load(args.file, args.changes)
    local name = args.name or args.file:match "([^/]+)%.lua$" or args.file:match "[^/]+$"
    local folder = sweep_folder.at("runs/" .. name, sweep)
    for _, place in ipairs(args.only or { args.worker }) do
      if not sweep[place] then cli.usage("--only: expected a place of 1 to %d, found %d", #sweep, place) end
    end
    if args.worker then return work(folder, args) end
    local plan = plans.new(folder, { only = args.only, halving = args.halving })
    if args.dry_run then
      folder:check()
      return print_plan(plan)
    end
    check_data(sweep, args.only)
    folder:create(args.file, args.changes, text)
    if sweep.prepare then sweep.prepare(sweep) end
    local words = { "sweep", args.file, "--name", name }
    table.move(args.changes, 1, #args.changes, #words + 1, words)
    local told = tables.new(name)
    local run = args.slurm and slurm.run or jobs.run
    local rows = run(plan, told, { words = words, jobs = args.jobs, sbatch = args.sbatch })
    local ok, problem = pcall(plan.finish, plan, rows)
    print(folder.path)
    if not ok then core.error(problem, 0) end
  end,
}
