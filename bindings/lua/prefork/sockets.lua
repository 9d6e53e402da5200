--- Sockets that workers share. Descriptors are numbers: LuaSocket takes one by setfd.
--
-- SPDX-License-Identifier: MIT
-- @module prefork.sockets
local ffi = require("ffi")
local errors = require("prefork.errors")
local lib = require("prefork.library").lib

local MOST = 64
local ENOBUFS = 105
local FAMILIES = { any = 0, inet = 2, inet6 = 10 }

local OPTIONS = { port = true, host = true, family = true, backlog = true, reuseport = true }

local M = {}

local function list_of(fds, count, message, number)
  if not count then
    return nil, message, number
  end
  local list = {}
  for index = 1, count do
    list[index] = fds[index - 1]
  end
  return list
end

--- Bind a listening TCP socket to each address of a host.
-- @tparam table wanted `port` (0: the kernel chooses), `host` (nil: any address), `family` ("any",
-- "inet", "inet6"), `backlog`, `reuseport` (true or false)
-- @treturn table a list of descriptors; or nil, a message and a number
function M.bind_sockets(wanted)
  if type(wanted) ~= "table" then
    errors.misuse("the argument of bind_sockets", "a table", wanted)
  end
  for name in pairs(wanted) do
    if not OPTIONS[name] then
      errors.raise(("bind_sockets has no option %q"):format(tostring(name)))
    end
  end
  local port = errors.integer("port", wanted.port, 0, 65535)
  local host = wanted.host and errors.text("host", wanted.host) or nil
  local family = FAMILIES[wanted.family or "any"]
  if not family then
    errors.misuse("family", 'one of "any", "inet", "inet6"', wanted.family)
  end
  local backlog = errors.integer("backlog", wanted.backlog or 0, 0, 2 ^ 31 - 1)
  local flags = wanted.reuseport and lib.PF_BIND_REUSEPORT or 0
  local fds = ffi.new("int[?]", MOST)
  return list_of(fds, errors.check(
    lib.pf_bind_sockets(host, port, family, backlog, flags, fds, MOST),
    ("%s, port %d"):format(host or "any address", port)))
end

--- Bind a listening UNIX stream socket.
-- @tparam string path of the socket file
-- @tparam[opt=0700] int mode permissions, at most 0777, as a number: tonumber("600", 8)
-- @tparam[opt] int backlog as for listen(2)
-- @return the descriptor, or nil, a message and an errno
function M.bind_unix_socket(path, mode, backlog)
  errors.text("path", path)
  mode = errors.integer("mode", mode or 448, 0, 511)
  backlog = errors.integer("backlog", backlog or 0, 0, 2 ^ 31 - 1)
  return errors.check(lib.pf_bind_unix_socket(path, mode, backlog), path)
end

--- The descriptors that systemd passed to this process, in their order.
-- @treturn table a list, empty if there are none; or nil, a message and an errno
function M.listen_fds()
  local most, fds, count = MOST
  repeat
    fds = ffi.new("int[?]", most)
    count = lib.pf_listen_fds(fds, most)
    most = most * 2
  until count ~= -ENOBUFS or most > 2 ^ 29
  return list_of(fds, errors.check(count, "LISTEN_FDS"))
end

--- Accept a connection from a listening socket of this module.
-- @return a non-blocking descriptor; or nil, a message and an errno: EAGAIN (11) if none waits
function M.accept(fd)
  return errors.check(lib.pf_accept(errors.integer("fd", fd, 0, 2 ^ 31 - 1)))
end

return M
