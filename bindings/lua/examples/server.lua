--- A pre-forked HTTP server: sockets first, then workers that share them.
--
--    luajit server.lua [PORT [WORKERS]]
--
-- PORT and WORKERS are in the environment as well; default 8090, and one worker for each processor.
-- GET / answers with the pid and the task id of the worker. TERM stops the server gracefully, HUP
-- replaces the workers one after the other.
--
-- SPDX-License-Identifier: MIT
package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
local http = require("http")
local prefork = require("prefork")

local port = tonumber(arg[1] or os.getenv("PORT") or 8090)
local workers = tonumber(arg[2] or os.getenv("WORKERS") or 0)

-- The pid of this process. LuaJIT declares what it needs of C.
local ffi = require("ffi")
ffi.cdef("int getpid(void);")

local fds = assert(prefork.bind_sockets({ port = port }))
local listeners = {}
for index, fd in ipairs(fds) do
  listeners[index] = http.listener_of(fd)
end

local pool = assert(prefork.pool({ workers = workers, name = "server", ready_timeout = 10 }))
local is_done, result = pool:run(function(task)
  local body = ("hello from pid %d, task %d\n"):format(ffi.C.getpid(), task)
  http.new(listeners, function(path)
    if path == "/" then
      return "200 OK", body
    end
    return "404 Not Found", "there is only /\n"
  end):serve()
end)
if not is_done then
  io.stderr:write("server: ", result, "\n")
  os.exit(1)
end
pool:close()
if result then -- a signal stopped the server: it ends by this signal
  prefork.die_of_signal(result)
end
