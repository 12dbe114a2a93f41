-- A Slurm of one node, of this machine and for one test: munged, slurmctld and slurmd in a folder of its own.
local core = require "cohesiv.core"
local support = require "tests.support"
local lfs = require "lfs"

local CONF = [[
ClusterName=test
SlurmctldHost=HOST(127.0.0.1)
SlurmUser=USER
SlurmdUser=USER
AuthType=auth/munge
AuthInfo=socket=DIR/munge.socket,cred_expire=5
StateSaveLocation=DIR/state
SlurmdSpoolDir=DIR/spool
SlurmctldPidFile=DIR/slurmctld.pid
SlurmdPidFile=DIR/slurmd.pid
SlurmctldLogFile=DIR/slurmctld.log
SlurmdLogFile=DIR/slurmd.log
SlurmctldPort=PORT1
SlurmdPort=PORT2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
KillWait=2
MinJobAge=2
ReturnToService=2
NodeName=HOST NodeAddr=127.0.0.1 CPUs=COUNT State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
]]

local NEEDED = { munged = "munge", slurmctld = "slurmctld", slurmd = "slurmd", sbatch = "slurm-client" }

-- Daemons lie where not everybody's PATH leads.
local PATH = (os.getenv "PATH" or "") .. ":/usr/sbin:/sbin"

local function run(words, env) return support.run(words, { env = env or { PATH = PATH }, timeout = 20 }) end

local Slurm = {}
Slurm.__index = Slurm

--- slurm:close(): ends the daemons, by their numbers.
function Slurm:close()
  for _, name in ipairs { "slurmd", "slurmctld", "munged" } do
    local file = io.open(("%s/%s.pid"):format(self.folder, name))
    local pid = file and file:read "n"
    if file then file:close() end
    if pid then os.execute(("kill %d 2>/dev/null"):format(math.tointeger(pid))) end
  end
end
Slurm.__close = Slurm.close

--- start(): a Slurm with .environment for its programs, or nil and why there is none.
local function start()
  for program, package in pairs(NEEDED) do
    if run("command -v " .. program).status ~= 0 then
      return nil, ("%s is not here (Debian's package %s)"):format(program, package)
    end
  end
  local folder = support.temp()
  local self = setmetatable({ folder = folder, environment = { PATH = PATH, SLURM_CONF = folder .. "/slurm.conf" } },
    Slurm)
  local port = 20000 + core.system.pid() % 20000
  local values = { HOST = run("hostname -s").stdout:match "%S+", USER = run("id -un").stdout:match "%S+", DIR = folder,
    PORT1 = tostring(port), PORT2 = tostring(port + 1), COUNT = tostring(core.system.cpu().count) }
  os.execute("chmod 700 " .. support.quote(folder))
  for _, name in ipairs { "state", "spool" } do lfs.mkdir(folder .. "/" .. name) end
  support.write(folder .. "/slurm.conf", (CONF:gsub("%u+%d?", values)))
  support.write(folder .. "/key", io.open("/dev/urandom", "rb"):read(1024))
  os.execute("chmod 400 " .. support.quote(folder .. "/key"))
  local commands = {
    { "munged", "--force", "--key-file=" .. folder .. "/key", "--socket=" .. folder .. "/munge.socket",
      "--pid-file=" .. folder .. "/munged.pid", "--log-file=" .. folder .. "/munged.log",
      "--seed-file=" .. folder .. "/seed" },
    { "slurmctld", "-c" }, { "slurmd", "-N", values.HOST },
  }
  for _, words in ipairs(commands) do
    local result = run(words, self.environment)
    if result.status ~= 0 then
      self:close()
      return nil, ("%s does not start here: %s"):format(words[1], result.stderr:match "[^\n]*")
    end
  end
  for _ = 1, 40 do
    local state = run({ "sinfo", "--noheader", "--format=%T" }, self.environment).stdout
    if state:find "^idle" then return self end
    core.system.sleep(0.25)
  end
  self:close()
  return nil, "no node is idle after ten seconds"
end

return { start = start }
