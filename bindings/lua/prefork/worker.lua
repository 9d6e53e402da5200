--- What a worker reports to its supervisor, and what it learns from it.
--
-- Each function fails with ECHILD in a process that is not a worker: nil, a message and an errno.
--
-- SPDX-License-Identifier: MIT
-- @module prefork.worker
local ffi = require("ffi")
local errors = require("prefork.errors")
local lib = require("prefork.library").lib
local settings = require("prefork.settings")
local system = require("prefork.system")

local M = {}

--- The task id of this worker, 0 to n-1; `prefork.SPARE` in a spare; nil in other processes.
function M.task_id()
  local id = lib.pf_task_id()
  return id ~= -1 and id or nil
end

--- Report that this worker can serve.
function M.ready()
  return errors.done(lib.pf_worker_ready())
end

--- Report that this worker makes progress: within each heartbeat time-out.
function M.heartbeat()
  return errors.done(lib.pf_worker_heartbeat())
end

--- Request a replacement of this worker. It works on until it is asked to stop.
function M.retire()
  return errors.done(lib.pf_worker_retire())
end

--- The descriptor that is readable when this worker must stop. Do not read or close it.
function M.stop_fd()
  return errors.check(lib.pf_worker_stop_fd())
end

--- The descriptor that the setting fds gave this name.
function M.worker_fd(name)
  return errors.check(lib.pf_worker_fd(errors.text("name", name)), "fds: " .. name)
end

--- The name of the pool of this worker, or nil in a process that is not a worker.
function M.pool_name()
  local name = lib.pf_worker_pool_name()
  return name ~= nil and ffi.string(name) or nil
end

local places = ffi.new("prefork_pollfd[2]")

local function timeout_ms(deadline)
  if not deadline then
    return -1
  end
  return math.max(0, math.min(2 ^ 31 - 1, math.ceil((deadline - system.monotonic()) * 1000)))
end

--- Wait until a descriptor is readable, or until this worker must stop.
--
-- A worker that ends only after it has finished its work uses it with `ignore_signal("TERM")`.
-- @param[opt] fd a number, or a socket with a method getfd; nil: only the stop
-- @tparam[opt] number seconds the longest time, not negative; nil: no limit
-- @return "stop", also in a worker whose supervisor has ended; "readable"; nil after the time; or
-- nil, a message and an errno
function M.wait(fd, seconds)
  local stop, message, number = M.stop_fd()
  if not stop then
    return nil, message, number
  end
  places[0].fd = stop
  places[0].events = system.POLLIN
  places[1].fd = fd == nil and -1 or settings.descriptor("fd", fd)
  places[1].events = system.POLLIN
  if seconds ~= nil and (type(seconds) ~= "number" or seconds ~= seconds) then
    errors.misuse("seconds", "nil, or a number", seconds)
  end
  local deadline = seconds and system.monotonic() + seconds
  while true do
    local count = system.poll(places, 2, timeout_ms(deadline))
    if count > 0 then
      return places[0].revents ~= 0 and "stop" or "readable"
    elseif count == 0 then
      return nil
    elseif ffi.errno() ~= system.EINTR then
      return errors.failure(-ffi.errno(), "wait")
    end
  end
end

--- Whether this worker must stop.
-- @return true or false; or nil, a message and an errno
function M.must_stop()
  local what, message, number = M.wait(nil, 0)
  if number then
    return nil, message, number
  end
  return what == "stop"
end

return M
