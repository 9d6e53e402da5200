--- Supervised pre-fork worker processes: libprefork by the ffi of LuaJIT.
--
--    local prefork = require("prefork")
--    local pool = assert(prefork.pool{workers = 4})
--    assert(pool:run(function(task) ... end))
--
-- Failures of the system are nil, a message and a number, an errno or `prefork.EGAVEUP` and the
-- like. Misuse is an error. Durations are in seconds. The manual is prefork(7).
--
-- SPDX-License-Identifier: MIT
-- @module prefork
local ffi = require("ffi")
local errors = require("prefork.errors")
local lib = require("prefork.library").lib
local Pool = require("prefork.pool")
local settings = require("prefork.settings")
local sockets = require("prefork.sockets")
local system = require("prefork.system")
local worker = require("prefork.worker")

local M = {
  --- The version of this package.
  VERSION = "0.2.0",
  --- As max_restarts: no limit.
  UNLIMITED = lib.PF_UNLIMITED,
  --- In place of a task id: a worker that has none yet.
  SPARE = lib.PF_TASK_SPARE,
  EGAVEUP = errors.EGAVEUP,
  ETHREADS = errors.ETHREADS,
  ERESOLVE = errors.ERESOLVE,
  EFATAL = errors.EFATAL,
}

for _, module in ipairs({ worker, sockets }) do
  for name, value in pairs(module) do
    M[name] = value
  end
end

--- Make a pool of workers. See `prefork.pool` for its methods.
--
-- @tparam[opt] table settings
--
--  * `workers`: how many; 0: one for each processor, the default
--  * `name`: at most 63 bytes. A worker by exec finds its pool by it.
--  * `exec`: true: each worker executes this program anew, up to `start` or `run` of the pool. A
--    list: it executes this program with these arguments. Default: workers are forked.
--  * `env`: the environment of workers by exec, names and values; nil: that of this process
--  * `foreign_workers`: true: the program of exec does not use this library
--  * `fds`: descriptors for the workers by name, for `worker_fd`
--  * `spares`: workers that are started ahead of need
--  * `restart_policy`: "on_failure", "always", "never": which ends lead to a restart
--  * `max_restarts`: in the life of the pool; default 100; `prefork.UNLIMITED`
--  * `restart_window`: {restarts, seconds}
--  * `boot_limit`: how many workers may end in a row before one is ready; 0: any number
--  * `backoff`: {first, max}, the delay before a restart in seconds
--  * `limit_action`: "stop", "degrade": what too many restarts lead to
--  * `stop_signal`: default "TERM"; 0: none, the workers watch `stop_fd`
--  * `stop_timeout`: seconds until SIGKILL; default 10; 0: never
--  * `exit_actions`: a table of exit statuses and "default", "restart", "done", "fatal"
--  * `ready_timeout`: in which time a worker must call `ready`; 0: it need not
--  * `min_uptime`: how long a worker must live to count as started well; default 1
--  * `heartbeat_timeout`: the longest time between two calls of `heartbeat`; 0: any
--  * `lifetime`: {age, random part}: when a worker is replaced
--  * `reload_order`: "start_first", "stop_first"
--  * `replace_width`: how many slots are replaced at a time
--  * `signals`: "standard", the default: TERM, INT, QUIT stop, HUP reloads, TTIN, TTOU resize,
--    USR1, USR2, WINCH go to the workers; "stop_only"; "none". Lua has no handlers of its own.
--  * `process_groups`: true, "signals", "kill": each worker leads a process group
--  * `parent_death_signal`: what the kernel sends workers when this process ends; default "TERM"
--  * `stop_fd`: whether workers can have `stop_fd`; default true
--  * `reap_orphans`: true, "adopted", "all": which other children are reaped
--  * `manager_notify`: true: speak the protocol of sd_notify(3)
--  * `backend`: "auto", "pidfd", "sigchld": how ends are noticed
-- @return the pool; or nil, a message and an errno
function M.pool(...)
  return Pool.new(...)
end

--- Fork workers, and supervise them until all have finished.
-- @tparam[opt] int count of workers; nil, 0: one for each processor
-- @tparam[opt] int max_restarts default 100
-- @return the task id in a worker. In the supervisor nil, a message and a number if it failed; it
-- ends with status 0 when all workers have, and by the signal that stopped it.
function M.fork_processes(count, max_restarts)
  count = errors.integer("count", count or 0, 0, 65536)
  max_restarts = errors.integer("max_restarts", max_restarts or 100, 0, lib.PF_UNLIMITED)
  system.release_interrupt()
  system.flush()
  local task, message, number = errors.check(lib.pf_fork_processes(count, max_restarts))
  if task then
    system.reseed()
  end
  return task, message, number
end

--- The number of processors that this process may use.
function M.cpu_count()
  return lib.pf_cpu_count()
end

--- The version of the shared library.
function M.library_version()
  return ffi.string(lib.pf_version())
end

--- Continue as a daemon. The launcher ends when the workers are ready.
-- @tparam[opt] string pid_file a file that the daemon locks, and removes at its end
-- @return true in the daemon; nil, a message and a number if there is none
function M.daemonize(pid_file)
  local path = pid_file ~= nil and errors.text("pid_file", pid_file) or nil
  system.flush()
  return errors.done(lib.pf_daemonize(path), pid_file)
end

--- Report to the launcher that the daemon is ready, without waiting for workers.
function M.daemon_ready()
  return errors.done(lib.pf_daemon_ready())
end

--- End this process as a signal does, usually that of `pool:stopped_by()`. Close the pools before.
-- @return only if it failed
function M.die_of_signal(signal)
  system.flush()
  return errors.done(lib.pf_die_of_signal(settings.required_signal(signal)), "signal")
end

--- Ignore a signal in this process: a worker that uses `wait` ignores TERM.
-- @return true, or nil, a message and an errno: KILL and STOP cannot be ignored
function M.ignore_signal(signal)
  return errors.done(system.set_signal(settings.required_signal(signal), true), "signal")
end

--- Give a signal its default disposition in this process.
-- @return true, or nil, a message and an errno
function M.reset_signal(signal)
  return errors.done(system.set_signal(settings.required_signal(signal), false), "signal")
end

return M
