--- A pool of workers.
--
-- SPDX-License-Identifier: MIT
-- @classmod prefork.pool
local ffi = require("ffi")
local control = require("prefork.control")
local errors = require("prefork.errors")
local event = require("prefork.event")
local lib = require("prefork.library").lib
local process = require("prefork.process")
local settings = require("prefork.settings")
local system = require("prefork.system")

local Pool = {}
Pool.__index = Pool
for name, method in pairs(control) do
  Pool[name] = method
end

local WARNING = 4
local FORK_WANTED = lib.PF_EVENT_FORK_WANTED

--- Make a pool. Errors of the system are nil, a message and an errno; a wrong setting is an error.
-- @tparam[opt] table wanted the settings, see README.md and `prefork.pool`
-- @return the pool, or nil, a message and a number
function Pool.new(wanted)
  wanted = wanted or {}
  if type(wanted) ~= "table" then
    errors.misuse("the argument of prefork.pool", "a table of settings", wanted)
  end
  local place = ffi.new("pf_pool *[1]")
  local is_made, message, number = errors.done(lib.pf_pool_new(place))
  if not is_made then
    return nil, message, number
  end
  local self = setmetatable({
    _handle = ffi.gc(place[0], lib.pf_pool_free),
    _executes = wanted.exec ~= nil and wanted.exec ~= false,
    _has_own_program = type(wanted.exec) == "table",
    _name = wanted.name or "",
    _event = ffi.new("const pf_event *[1]"),
    _is_started = false,
    _is_finished = false,
  }, Pool)
  -- Lua has no handlers of signals: those of the library control a pool, unless told otherwise.
  local applied = { signals = "standard" }
  for name, value in pairs(wanted) do
    applied[name] = value
  end
  is_made, message, number = settings.apply(self._handle, applied)
  if not is_made then
    self:close()
    return nil, message, number
  end
  if not self._executes then
    lib.pf_pool_set_host_fork(self._handle, 1)
  end
  return self
end

local function check_target(self, target)
  if self._has_own_program and target == nil then
    return
  end
  if type(target) ~= "function" then
    errors.misuse("the function of a worker", "a function of the task id", target)
  end
end

-- A worker by exec runs the program up to here.
local function run_executed(self, target)
  local name = lib.pf_worker_pool_name()
  if lib.pf_task_id() == -1 or name == nil or ffi.string(name) ~= self._name then
    return true
  end
  local task = ffi.new("int[1]", -1)
  local is_worker, message, number = errors.done(lib.pf_pool_run(self:handle(), task))
  if not is_worker then
    return nil, message, number
  end
  system.reseed()
  process.run_worker(target, task[0])
end

--- Begin. The workers are started while events are read.
--
-- A worker by exec runs its function here, and ends.
-- @tparam function target called in each worker with its task id, 0 to n-1. Its result is the exit
-- status (nil: 0). An error, and nil with a message, are written to stderr; the status is 1.
-- @return true, or nil, a message and an errno
function Pool:start(target)
  check_target(self, target)
  if self._executes then
    local is_supervisor, message, number = run_executed(self, target)
    if not is_supervisor then
      return nil, message, number
    end
  end
  system.release_interrupt()
  local is_started, message, number = errors.done(lib.pf_pool_start(self:handle()))
  if is_started then
    self._target = target
    self._is_started = true
    self._owner = system.getpid()
  end
  return is_started, message, number
end

-- The next event that waits. Makes the workers that the pool asks for before it.
--
-- A hook of the program may raise in between: an event is valid until the next one is asked for, and
-- is kept until all is done with it.
local function pull(self)
  while true do
    local code = self._event[0] == nil and lib.pf_pool_next_event(self:handle(), self._event) or 1
    if code <= 0 then
      if code < 0 then
        return errors.failure(code)
      end
      return nil
    end
    local copied
    if lib.pf_event_type(self._event[0]) == FORK_WANTED then
      process.fork(self:handle(), lib.pf_event_task_id(self._event[0]), self._target)
    else
      copied = event.copy(self._event[0])
    end
    self._event[0] = nil
    if copied then
      return copied
    end
  end
end

-- Let the library do what is to be done, and wait for that.
local function dispatch(self, timeout_ms)
  local code = lib.pf_pool_dispatch(self._handle, timeout_ms)
  if code == -system.ECHILD then
    return errors.failure(code)
  end
  if code <= 0 then
    self._is_finished = true
    self._failure = code < 0 and code or nil
  end
  return true
end

--- Wait for the next event.
-- @return the event, a table as `prefork.event` describes; nil when the pool is done; nil, a
-- message and a number when the pool has failed
function Pool:next()
  if not self._is_started then
    errors.raise("the pool has not started")
  end
  while true do
    local next_event, message, number = pull(self)
    if next_event or number then
      return next_event, message, number
    end
    if self._is_finished then
      return self:result()
    end
    local is_done
    is_done, message, number = dispatch(self, -1)
    if not is_done then
      return nil, message, number
    end
  end
end

--- Iterate over the events to the end of the pool: `for event in pool:events() do`.
--
-- `pool:result()` tells afterwards whether the pool has failed.
function Pool:events()
  if not self._is_started then
    errors.raise("the pool has not started")
  end
  return function()
    return (self:next())
  end
end

--- Do what is to be done now, without waiting, for event loops: they wait for `pool:getfd()`.
-- @return a list of the events, or nil, a message and a number
function Pool:poll()
  if not self._is_started then
    errors.raise("the pool has not started")
  end
  local events = {}
  if not self._is_finished then
    local is_done, message, number = dispatch(self, 0)
    if not is_done then
      return nil, message, number
    end
  end
  while true do
    local next_event, message, number = pull(self)
    if number then
      return nil, message, number
    elseif not next_event then
      return events
    end
    events[#events + 1] = next_event
  end
end

--- Whether all workers have ended, and none will be started.
function Pool:is_done()
  return self._is_finished
end

--- What a pool that is done ended with.
-- @return nil if it has succeeded or still runs; nil, a message and a number such as
-- `prefork.EGAVEUP` if it has failed
function Pool:result()
  if self._failure then
    return errors.failure(self._failure)
  end
  return nil
end

local function report(reported)
  if reported.level <= WARNING then
    io.stderr:write("prefork: " .. reported.message .. "\n")
  end
end

--- Start, and supervise to the end.
-- @tparam function target as for `start`
-- @tparam[opt] function on_event called with each event. Without it, warnings and worse are written
-- to stderr. An error in it stops the pool, and is raised when no worker is left.
-- @return true and the signal that stopped the pool, if there was one; or nil, a message and a
-- number: no worker is left
function Pool:run(target, on_event)
  if on_event ~= nil and type(on_event) ~= "function" then
    errors.misuse("on_event", "a function of the event", on_event)
  end
  check_target(self, target)
  local is_started, message, number = self:start(target)
  if not is_started then
    return nil, message, number
  end
  on_event = on_event or report
  local problem
  while true do
    local next_event
    next_event, message, number = self:next()
    if not next_event then
      break
    end
    if not problem then
      local is_fine, raised = xpcall(on_event, debug.traceback, next_event)
      if not is_fine then
        problem = { raised }
        self:stop()
      end
    end
  end
  if problem then
    error(problem[1], 0)
  end
  if number then
    return nil, message, number
  end
  return true, self:stopped_by()
end

--- Free the pool. Workers that are alive are killed. In a worker only memory is released.
--
-- The collector does it as well.
function Pool:close()
  if self._handle then
    self._event[0] = nil
    lib.pf_pool_free(ffi.gc(self._handle, nil))
    self._handle = nil
  end
end

return Pool
