--- What a pool that runs can be asked and told. These are methods of a pool.
--
-- Each returns true or a value, or nil, a message and an errno. A value that no pool can have is an
-- error. In a process that did not make the pool each fails with ECHILD.
--
-- SPDX-License-Identifier: MIT
-- @module prefork.control
local errors = require("prefork.errors")
local lib = require("prefork.library").lib
local names = require("prefork.names")
local settings = require("prefork.settings")
local system = require("prefork.system")

local SLOTS = 65536

local M = {}

--- The pool of the library. Other modules of this package use it.
function M:handle()
  if not self._handle then
    errors.raise("the pool is closed")
  end
  return self._handle
end

local function slot(value)
  return errors.integer("task_id", value, 0, SLOTS - 1)
end

--- Stop all workers gracefully: a signal, and SIGKILL after the stop time-out.
function M:stop()
  return errors.done(lib.pf_pool_stop(self:handle()))
end

--- Stop all workers by SIGKILL.
function M:kill()
  return errors.done(lib.pf_pool_kill(self:handle()))
end

--- Replace all workers, one after the other, each when its replacement is ready.
function M:reload()
  return errors.done(lib.pf_pool_reload(self:handle()))
end

--- Make `getfd()` readable, and the wait of `next` begin anew.
function M:wake()
  return errors.done(lib.pf_pool_wake(self:handle()))
end

--- Handle a signal that the program received in its own way, as signals = "standard" does.
-- @param signal TERM, INT, QUIT, HUP, TTIN, TTOU, USR1, USR2 or WINCH
function M:handle_signal(signal)
  return errors.done(lib.pf_pool_handle_signal(self:handle(), settings.required_signal(signal)), "signal")
end

--- Change the number of workers, 1 to 65,536.
function M:resize(count)
  errors.integer("count", count, 1, SLOTS)
  return errors.done(lib.pf_pool_resize(self:handle(), count))
end

--- Replace one worker. It is stopped when the new one is ready.
function M:replace_worker(task_id)
  return errors.done(lib.pf_pool_replace_worker(self:handle(), slot(task_id)), "task_id")
end

--- Stop one worker, and leave its slot empty until `replace_worker` is called for it.
function M:stop_worker(task_id)
  return errors.done(lib.pf_pool_stop_worker(self:handle(), slot(task_id)), "task_id")
end

--- Send a signal to one worker, or to all.
-- @param signal a number or a name such as "USR1"
-- @tparam[opt] int task_id nil: all workers
function M:send_signal(signal, task_id)
  local number = settings.required_signal(signal)
  local index = task_id == nil and -1 or slot(task_id)
  return errors.done(lib.pf_pool_send_signal(self:handle(), index, number), "task_id")
end

--- Keep so many workers that are started ahead of need.
function M:set_spares(count)
  errors.integer("count", count, 0, SLOTS)
  return errors.done(lib.pf_pool_set_spares(self:handle(), count))
end

--- Change the program of later workers by exec.
-- @param program true for this one, or a list of a program and its arguments
-- @tparam[opt] table env names and values; nil: those of this process now
function M:set_exec(program, env)
  return settings.set_program(self:handle(), program, env)
end

--- The number of slots.
function M:worker_count()
  return errors.check(lib.pf_pool_worker_count(self:handle()))
end

--- The number of processes.
function M:alive_count()
  return errors.check(lib.pf_pool_alive_count(self:handle()))
end

--- The state of one worker.
-- @treturn table `task_id`, `pid` (nil: no process), `state` ("empty", "starting", "ready",
-- "stopping", "backoff", "done"), `restarts`, `uptime` in seconds; or nil, a message and an errno
function M:worker(task_id)
  local handle = self:handle()
  local state, message, number = errors.check(lib.pf_pool_worker_state(handle, slot(task_id)),
    "task_id")
  if not state then
    return nil, message, number
  end
  local pid = lib.pf_pool_worker_pid(handle, task_id)
  return {
    task_id = task_id,
    pid = pid > 0 and pid or nil,
    state = names.name_of("PF_WORKER_", state),
    restarts = lib.pf_pool_worker_restarts(handle, task_id),
    uptime = tonumber(lib.pf_pool_worker_uptime_ms(handle, task_id)) / 1000,
  }
end

--- The states of all workers: a list, where the worker with task id 0 is at index 1.
function M:workers()
  local count, message, number = self:worker_count()
  if not count then
    return nil, message, number
  end
  local list = {}
  for task_id = 0, count - 1 do
    list[task_id + 1], message, number = self:worker(task_id)
    if not list[task_id + 1] then
      return nil, message, number
    end
  end
  return list
end

--- One counter for metrics.
-- @tparam string name "started", "exited", "abnormal", "restarted", "start_failed",
-- "unresponsive", "reloads", "ready", "alive", "replace_failed" or "spares"
function M:counter(name)
  local which = names.numbers.PF_COUNT_[name]
  if not which then
    errors.misuse("name", "one of " .. names.list("PF_COUNT_"), name)
  end
  return tonumber(lib.pf_pool_counter(self:handle(), which))
end

--- All counters by their names.
function M:counters()
  local all = {}
  for name, which in pairs(names.numbers.PF_COUNT_) do
    all[name] = tonumber(lib.pf_pool_counter(self:handle(), which))
  end
  return all
end

--- The number of the signal that stopped the pool, or nil. See `prefork.die_of_signal`.
function M:stopped_by()
  local number = lib.pf_pool_stop_signal(self:handle())
  if number < 0 then
    return errors.failure(number)
  end
  return number > 0 and number or nil
end

--- The descriptor that is readable when `poll` has something to do. Do not read or close it.
--
-- It has this name so that LuaSocket's select takes a pool.
function M:getfd()
  return errors.check(lib.pf_pool_fd(self:handle()))
end

--- Execute the program anew in this process, which keeps its workers and sockets.
--
-- Call it outside of `on_event`, after all events have been read.
-- @tparam[opt] table program its name, which PATH finds unless it has a slash, and arguments; nil:
-- as this one was started
-- @tparam[opt] table env names and values; nil: those of this process
-- @return only if it failed: nil, a message and an errno; EAGAIN while events wait
function M:upgrade(program, env)
  self:handle()
  if program ~= nil and (type(program) ~= "table" or type(program[1]) ~= "string") then
    errors.misuse("program", "a list of a program and its arguments", program)
  end
  local arguments = settings.strings("program", program)
  local variables = settings.environment(env)
  local path, message, number
  if program then
    path, message, number = settings.find_program(program[1])
    if not path then
      return nil, message, number
    end
  end
  system.flush()
  local code = lib.pf_upgrade(path, arguments, variables)
  return errors.failure(code, "upgrade")
end

return M
