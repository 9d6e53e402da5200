--- One fork, as Lua has to see it, and the end of a worker.
--
-- No Lua code runs inside a call of the library, so no error of Lua can cross a frame of C.
--
-- SPDX-License-Identifier: MIT
local ffi = require("ffi")
local lib = require("prefork.library").lib
local system = require("prefork.system")

local M = {}

local function report(what)
  -- In one piece, for other workers write there too.
  io.stderr:write(("prefork: worker %d: %s\n"):format(lib.pf_task_id(), tostring(what)))
end

local function status_of(result, message)
  if result == nil and message ~= nil then
    report(message)
    return 1
  end
  if result == nil or result == true then
    return 0
  end
  if type(result) == "number" and result % 1 == 0 and result >= 0 and result <= 255 then
    return result
  end
  report("the function of a worker returned " .. tostring(result)
    .. "; expected nil, or an exit status from 0 to 255")
  return 1
end

local function traceback(problem)
  if type(problem) == "string" then
    return debug.traceback(problem, 2)
  end
  return problem == nil and "nil" or problem
end

--- Run the function of a worker, and end the process with what it returns.
--
-- Neither handlers of atexit(3) nor finalizers of the supervisor run in a worker.
function M.run_worker(target, task_id)
  local is_fine, result, message = xpcall(target, traceback, task_id)
  local status = 1
  if is_fine then
    status = status_of(result, message)
  else
    report(result)
  end
  system.flush()
  system.exit(status)
end

--- Make the worker that the pool asks for. Returns in the supervisor only.
--
-- The library blocks all signals between the two calls, and starts the worker when the supervisor
-- has reported its process id.
function M.fork(pool, task_id, target)
  system.flush()
  if lib.pf_pool_fork_prepare(pool, task_id) < 0 then
    return -- the pool does not want this worker any more
  end
  local pid = system.fork()
  if pid ~= 0 then
    lib.pf_pool_fork_parent(pool, task_id, pid > 0 and pid or -ffi.errno())
    return
  end
  local result = lib.pf_pool_fork_child(pool, task_id)
  if result < 0 then
    system.exit(task_id == lib.PF_TASK_SPARE and 0 or 1)
  end
  system.reseed()
  M.run_worker(target, task_id == lib.PF_TASK_SPARE and result or task_id)
end

return M
