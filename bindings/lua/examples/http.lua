--- A small HTTP server on LuaSocket, which loses no request when it stops.
--
-- A worker serves many connections at a time by select. When it must stop, it accepts no more, and
-- answers what comes on the connections that it has, with "Connection: close". Idle connections are
-- closed after GRACE_S, of the environment or two seconds.
--
-- SPDX-License-Identifier: MIT
local prefork = require("prefork")
local socket = require("socket")

local GRACE_S = tonumber(os.getenv("GRACE_S") or 2)
local BLOCK = 8192

local M = {}

--- A listening descriptor as a socket of LuaSocket.
function M.listener_of(fd)
  local listener = assert(socket.tcp())
  listener:setfd(fd)
  assert(listener:listen(128)) -- which makes it one that accepts
  listener:settimeout(0)
  return listener
end

local Server = {}
Server.__index = Server

--- A server that answers with answer(path), the status and the body.
function M.new(listeners, answer)
  return setmetatable({ listeners = listeners, answer = answer, clients = {} }, Server)
end

local function accept(self, listener)
  local client = listener:accept() -- nil if another worker was faster
  if client then
    client:settimeout(0)
    client:setoption("tcp-nodelay", true)
    self.clients[client] = ""
  end
end

local function close(self, client)
  self.clients[client] = nil
  client:close()
end

--- Close all connections, for example those of the supervisor in a worker.
function Server:close_all()
  for client in pairs(self.clients) do
    client:close()
  end
  self.clients = {}
end

local function reply(self, client, request)
  local method, path, version = request:match("^(%u+) (%S+) HTTP/(1%.%d)")
  local status, body = "400 Bad Request", "what is this?\n"
  if method == "GET" then
    status, body = self.answer(path)
  elseif method then
    status, body = "405 Method Not Allowed", "only GET\n"
  end
  local closes = self.is_stopping or not method or version == "1.0"
    or request:lower():find("\r\nconnection: *close") ~= nil
  client:settimeout(10)
  local is_sent = client:send(("HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s\r\n%s")
    :format(status, #body, closes and "Connection: close\r\n" or "", body))
  client:settimeout(0)
  return is_sent and not closes
end

local function receive(self, client)
  local block, problem, part = client:receive(BLOCK)
  local buffer = self.clients[client] .. (block or part)
  while true do
    local _, last = buffer:find("\r\n\r\n", 1, true)
    if not last then
      break
    end
    if not reply(self, client, buffer:sub(1, last)) then
      return close(self, client)
    end
    buffer = buffer:sub(last + 1)
  end
  if problem == "closed" or #buffer > BLOCK then
    return close(self, client)
  end
  self.clients[client] = buffer
end

-- What select watches: the other object, the listeners, and the connections.
local function watched(self, other)
  local list = { other }
  if not self.is_stopping then
    for _, listener in ipairs(self.listeners) do
      list[#list + 1] = listener
    end
  end
  for client in pairs(self.clients) do
    list[#list + 1] = client
  end
  return list
end

--- Serve what is ready within so many seconds; nil: wait.
-- @return whether the other object, which has a method getfd, is readable
function Server:step(seconds, other)
  local is_other = false
  for _, ready in ipairs((socket.select(watched(self, other), nil, seconds))) do
    if ready == other then
      is_other = true
    elseif self.clients[ready] then
      receive(self, ready)
    else
      accept(self, ready)
    end
  end
  return is_other
end

--- In a worker: report that it is ready, and serve until it must stop.
function Server:serve()
  prefork.ignore_signal("TERM") -- the descriptor says when to stop
  local fd = assert(prefork.stop_fd())
  local stop = { getfd = function() return fd end }
  assert(prefork.ready())
  repeat
    self.is_stopping = self:step(nil, stop)
  until self.is_stopping
  for _, listener in ipairs(self.listeners) do
    listener:close()
  end
  local deadline = socket.gettime() + GRACE_S
  local left = GRACE_S
  while next(self.clients) and left > 0 do
    left = math.max(deadline - socket.gettime(), 0) -- with 0 it looks once more
    self:step(left)
  end
end

return M
