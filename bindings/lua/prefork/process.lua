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
  local is_shown, text = pcall(tostring, what)
  -- In one piece, for other workers write there too.
  local line = "prefork: worker %d: %s\n"
  io.stderr:write(line:format(lib.pf_task_id(), is_shown and text or "a value without a text"))
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
  local is_number = type(result) == "number"
  report(("the function of a worker returned %s; expected nil, or an exit status from 0 to 255")
    :format(is_number and tostring(result) or "a " .. type(result)))
  return 1
end

local function traceback(problem)
  if type(problem) == "string" then
    return debug.traceback(problem, 2)
  end
  return problem == nil and "nil" or problem
end

local function call(target, task_id)
  local is_fine, result, message = xpcall(target, traceback, task_id)
  if is_fine then
    return status_of(result, message)
  end
  report(result)
  return 1
end

-- A yield of the function would go on with the program of the supervisor, where that runs in a
-- coroutine.
local function call_in_coroutine(target, task_id)
  local routine = coroutine.create(call)
  local is_fine, status = coroutine.resume(routine, target, task_id)
  if is_fine and coroutine.status(routine) == "suspended" then
    report("the function of a worker yielded")
    return 1
  end
  return is_fine and status or 1
end

--- Run the function of a worker, and end the process with what it returns.
--
-- Neither handlers of atexit(3) nor finalizers of the supervisor run in a worker. No error and no
-- yield of it leaves this function.
function M.run_worker(target, task_id)
  local run = coroutine.running() and call_in_coroutine or call
  local is_fine, status = pcall(run, target, task_id)
  system.flush()
  system.exit(is_fine and status or 1)
end

local function fork(pool, task_id)
  local result = lib.pf_pool_fork_prepare(pool, task_id)
  if result < 0 and result ~= -system.EALREADY then
    return -- the pool does not want this worker any more
  end
  local pid = system.fork()
  if pid ~= 0 then
    lib.pf_pool_fork_parent(pool, task_id, pid > 0 and pid or -ffi.errno())
    return
  end
  result = lib.pf_pool_fork_child(pool, task_id)
  if result < 0 then
    system.exit(task_id == lib.PF_TASK_SPARE and 0 or 1)
  end
  return task_id == lib.PF_TASK_SPARE and result or task_id
end

--- Make the worker that the pool asks for. Returns in the supervisor only.
--
-- The library blocks all signals between the two calls, and starts the worker when the supervisor
-- has reported its process id. A hook of the program must not raise in between.
function M.fork(pool, task_id, target)
  system.flush()
  local hook, mask, count = debug.gethook()
  if hook then
    debug.sethook()
  end
  local task = fork(pool, task_id)
  if not task then
    if hook then
      debug.sethook(hook, mask, count)
    end
    return
  end
  system.reseed()
  M.run_worker(function(...)
    if hook then
      debug.sethook(hook, mask, count)
    end
    return target(...)
  end, task)
end

return M
