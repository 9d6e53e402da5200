--- Programs that are run, and conditions that are waited for.
--
-- SPDX-License-Identifier: MIT
local ffi = require("ffi")

ffi.cdef([[
typedef struct { int fd; short events; short revents; } test_pollfd;
typedef struct { uint16_t family; uint16_t port; uint32_t address; char zero[8]; } test_inet;
int test_fork(void) __asm__("fork");
int test_setsid(void) __asm__("setsid");
int test_getpid(void) __asm__("getpid");
int test_open(const char *path, int flags, ...) __asm__("open");
int test_dup2(int from, int to) __asm__("dup2");
int test_close(int fd) __asm__("close");
int test_pipe(int *fds) __asm__("pipe");
long test_read(int fd, void *buffer, size_t size) __asm__("read");
long test_write(int fd, const char *buffer, size_t size) __asm__("write");
int test_execvp(const char *file, const char *const *arguments) __asm__("execvp");
int test_setenv(const char *name, const char *value, int overwrite) __asm__("setenv");
void test_exit(int status) __asm__("_exit");
int test_waitpid(int pid, int *status, int options) __asm__("waitpid");
int test_kill(int pid, int number) __asm__("kill");
int test_poll(test_pollfd *fds, unsigned long count, int timeout) __asm__("poll");
int test_socket(int family, int kind, int protocol) __asm__("socket");
int test_connect(int fd, const test_inet *address, uint32_t size) __asm__("connect");
int test_getsockname(int fd, test_inet *address, uint32_t *size) __asm__("getsockname");
]])

local C = ffi.C
local system = require("prefork.system")

local M = {
  DEADLINE = 60,
  SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGKILL = 9, SIGTERM = 15,
  monotonic = system.monotonic,
  getpid = C.test_getpid,
  kill = C.test_kill,
  close = C.test_close,
}

local O_RDWR, O_CREAT, O_APPEND = 2, 64, 1024
local WNOHANG = 1
local AF_INET, SOCK_STREAM = 2, 1

function M.sleep_ms(time)
  C.test_poll(nil, 0, time)
end

--- Wait for what is true in the end, and return it.
function M.wait_until(what, condition)
  local last = M.monotonic() + M.DEADLINE
  while true do
    local value = condition()
    if value then
      return value
    end
    if M.monotonic() > last then
      error("waited in vain for " .. what, 2)
    end
    M.sleep_ms(5)
  end
end

function M.read_file(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a") or ""
  if file then
    file:close()
  end
  return text
end

function M.write_file(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local directory = assert(os.getenv("TEST_DIRECTORY"), "TEST_DIRECTORY is not set")
local count = 0

--- A path that nothing else uses.
function M.new_path(name)
  count = count + 1
  return ("%s/%d-%d-%s"):format(directory, M.getpid(), count, name)
end

local Program = {}
Program.__index = Program
local running = {}

local function child(command, out, err, variables)
  C.test_setsid()
  local null = C.test_open("/dev/null", O_RDWR)
  C.test_dup2(null, 0)
  for place, path in ipairs({ out, err }) do
    local fd = C.test_open(path, bit.bor(O_RDWR, O_CREAT, O_APPEND), ffi.cast("int", 384))
    C.test_dup2(fd, place)
  end
  for name, value in pairs(variables) do
    C.test_setenv(name, value, 1)
  end
  local arguments = ffi.new("const char *[?]", #command + 1)
  for index, argument in ipairs(command) do
    arguments[index - 1] = argument
  end
  C.test_execvp(command[1], arguments)
  C.test_exit(127)
end

--- Run a command in a session of its own. Its output is appended to files.
function M.run_command(command, variables)
  local self = setmetatable({ out_path = M.new_path("out"), err_path = M.new_path("err") }, Program)
  io.stdout:flush()
  self.pid = C.test_fork()
  if self.pid == 0 then
    child(command, self.out_path, self.err_path, variables or {})
  end
  running[self] = true
  return self
end

local PRELUDE = [[
local prefork = require("prefork")
local support = require("support")
local function say(...)
  local words = {}
  for index = 1, select("#", ...) do
    words[index] = tostring((select(index, ...)))
  end
  support.say(table.concat(words, " ") .. "\n")
end
local function stay() while true do prefork.wait(nil, 3600) support.sleep_ms(1000) end end
]]

--- Run a Lua program. It has prefork, say(...), which writes a line, and stay().
function M.run(code, arguments, variables)
  local path = M.new_path("program.lua")
  M.write_file(path, PRELUDE .. code)
  local command = { "luajit", path }
  for _, argument in ipairs(arguments or {}) do
    command[#command + 1] = tostring(argument)
  end
  return M.run_command(command, variables)
end

--- Write a line by one call, so that those of several processes are not mixed.
function M.say(line)
  C.test_write(1, line, #line)
end

function Program:out()
  return M.read_file(self.out_path)
end

function Program:err()
  return M.read_file(self.err_path)
end

--- The whole lines of the output that begin so.
function Program:lines(start)
  local lines = {}
  for line in self:out():gmatch("([^\n]*)\n") do
    if line:sub(1, #(start or "")) == (start or "") then
      lines[#lines + 1] = line
    end
  end
  return lines
end

function Program:has_ended()
  if not self.status then
    local status = ffi.new("int[1]")
    if C.test_waitpid(self.pid, status, WNOHANG) == self.pid then
      local word = status[0]
      self.status = word % 128 ~= 0 and -(word % 128) or bit.rshift(word, 8)
    end
  end
  return self.status ~= nil
end

--- Wait for so many lines that begin so, and return them.
function Program:wait_for(start, number)
  return M.wait_until(("%d lines %q"):format(number or 1, start), function()
    local ended = self:has_ended()
    local lines = self:lines(start)
    if #lines >= (number or 1) then
      return lines
    end
    if ended then
      error("the program ended: " .. self:out() .. self:err())
    end
  end)
end

function Program:signal(number)
  C.test_kill(self.pid, number)
end

function Program:group_is_gone()
  return C.test_kill(-self.pid, 0) < 0
end

--- Wait for its end and that of all that it started. Returns the exit status, or -signal.
function Program:finish(expected)
  M.wait_until("the end of the program", function() return self:has_ended() end)
  M.wait_until("the end of all processes", function() return self:group_is_gone() end)
  running[self] = nil
  if expected and self.status ~= expected then
    error(("status %d: %s%s"):format(self.status, self:out(), self:err()), 2)
  end
  return self.status
end

--- End what a test that failed has left.
function M.clean_up()
  for program in pairs(running) do
    C.test_kill(-program.pid, M.SIGKILL)
    M.wait_until("the end of a program", function() return program:has_ended() end)
    running[program] = nil
  end
end

--- The port of a listening socket.
function M.port_of(fd)
  local address, size = ffi.new("test_inet"), ffi.new("uint32_t[1]", ffi.sizeof("test_inet"))
  assert(C.test_getsockname(fd, address, size) == 0)
  return bit.bor(bit.lshift(bit.band(address.port, 255), 8), bit.rshift(address.port, 8))
end

--- Connect to a port of this machine. Returns the descriptor, or nil.
function M.connect(port)
  local fd = C.test_socket(AF_INET, SOCK_STREAM, 0)
  local address = ffi.new("test_inet", { family = AF_INET })
  address.port = bit.bor(bit.lshift(bit.band(port, 255), 8), bit.rshift(port, 8))
  address.address = ffi.abi("le") and 0x0100007f or 0x7f000001
  if C.test_connect(fd, address, ffi.sizeof("test_inet")) ~= 0 then
    C.test_close(fd)
    return nil
  end
  return fd
end

--- Wait for input, and read what is there: "" at the end.
function M.receive(fd)
  local place = ffi.new("test_pollfd[1]", { { fd, 1, 0 } })
  assert(C.test_poll(place, 1, M.DEADLINE * 1000) == 1, "nothing came")
  local buffer = ffi.new("char[?]", 65536)
  local length = tonumber(C.test_read(fd, buffer, 65536))
  return length > 0 and ffi.string(buffer, length) or ""
end

--- Read to the end.
function M.receive_all(fd)
  local parts = {}
  repeat
    parts[#parts + 1] = M.receive(fd)
  until parts[#parts] == ""
  return table.concat(parts)
end

function M.send(fd, text)
  return tonumber(C.test_write(fd, text, #text)) == #text
end

--- Read events of a pool until so many of a type have come.
function M.events_until(pool, kind, number)
  local events, seen = {}, 0
  while seen < (number or 1) do
    local event, message = pool:next()
    if not event then
      error("the pool ended: " .. tostring(message), 2)
    end
    events[#events + 1] = event
    seen = seen + (event.type == kind and 1 or 0)
  end
  return events
end

--- Those of the events that have a type.
function M.of_type(events, kind)
  local list = {}
  for _, event in ipairs(events) do
    if event.type == kind then
      list[#list + 1] = event
    end
  end
  return list
end

--- One field of each.
function M.pluck(events, field)
  local list = {}
  for index, event in ipairs(events) do
    list[index] = event[field]
  end
  return list
end

return M
