--- What this package needs of the C library.
--
-- The declarations have names of their own, so that they do not conflict with those of other
-- modules of the program.
--
-- SPDX-License-Identifier: MIT
local ffi = require("ffi")

ffi.cdef([[
typedef struct { int fd; short events; short revents; } prefork_pollfd;
typedef struct { long seconds; long nanoseconds; } prefork_timespec;
int prefork_c_fork(void) __asm__("fork");
int prefork_c_getpid(void) __asm__("getpid");
void prefork_c_exit(int status) __asm__("_exit");
int prefork_c_fflush(void *stream) __asm__("fflush");
int prefork_c_poll(prefork_pollfd *fds, unsigned long count, int timeout) __asm__("poll");
void *prefork_c_signal(int number, void *handler) __asm__("signal");
int prefork_c_clock_gettime(int clock, prefork_timespec *time) __asm__("clock_gettime");
long prefork_c_readlink(const char *path, char *buffer, size_t size) __asm__("readlink");
char *prefork_c_strerror(int number) __asm__("strerror");
int prefork_c_access(const char *path, int mode) __asm__("access");
]])

local C = ffi.C
local CLOCK_MONOTONIC = 1
local SIGINT = 2

local M = {
  ENOENT = 2,
  EINTR = 4,
  EAGAIN = 11,
  ECHILD = 10,
  EALREADY = 114,
  EINVAL = 22,
  POLLIN = 1,
  fork = C.prefork_c_fork,
  getpid = C.prefork_c_getpid,
  exit = C.prefork_c_exit,
  poll = C.prefork_c_poll,
}

local SIG_DFL = ffi.cast("void *", 0)
local SIG_IGN = ffi.cast("void *", 1)
local SIG_ERR = ffi.cast("void *", -1)

--- The names of the signals that programs use, as kill -l has them.
M.SIGNALS = {
  HUP = 1, INT = 2, QUIT = 3, ABRT = 6, KILL = 9, USR1 = 10, SEGV = 11, USR2 = 12, PIPE = 13,
  ALRM = 14, TERM = 15, CHLD = 17, CONT = 18, STOP = 19, TSTP = 20, TTIN = 21, TTOU = 22,
  WINCH = 28,
}

--- Write what is buffered: a child would write it again.
function M.flush()
  C.prefork_c_fflush(nil)
end

--- The text of an errno.
function M.strerror(number)
  return ffi.string(C.prefork_c_strerror(number))
end

--- Whether this process may execute the file.
function M.is_program(path)
  local X_OK, F_OK = 1, 0
  local is_directory = C.prefork_c_access(path .. "/.", F_OK) == 0
  return not is_directory and C.prefork_c_access(path, X_OK) == 0
end

local time = ffi.new("prefork_timespec")

--- Seconds of CLOCK_MONOTONIC, the clock of the field time of events.
function M.monotonic()
  C.prefork_c_clock_gettime(CLOCK_MONOTONIC, time)
  return tonumber(time.seconds) + tonumber(time.nanoseconds) / 1e9
end

--- Set the disposition of a signal. Returns 0, or a negative errno.
function M.set_signal(number, is_ignored)
  local before = C.prefork_c_signal(number, is_ignored and SIG_IGN or SIG_DFL)
  return before == SIG_ERR and -ffi.errno() or 0
end

local function is_luajit_program()
  local buffer = ffi.new("char[?]", 4096)
  local length = tonumber(C.prefork_c_readlink("/proc/self/exe", buffer, 4096))
  return length <= 0 or ffi.string(buffer, length):match("[^/]*$"):find("luajit", 1, true) ~= nil
end

--- Give SIGINT its default disposition, if the program is luajit itself.
--
-- Its handler raises an error at the first SIGINT, which no loop can use. The library controls a
-- pool only by signals with the default disposition. Another program keeps its handler.
function M.release_interrupt()
  if not is_luajit_program() then
    return
  end
  local handler = C.prefork_c_signal(SIGINT, SIG_DFL)
  if handler == SIG_IGN then
    C.prefork_c_signal(SIGINT, SIG_IGN)
  end
end

--- Give this process a sequence of math.random of its own.
function M.reseed()
  local file = io.open("/dev/urandom", "rb")
  local bytes = file and file:read(6) or ""
  if file then
    file:close()
  end
  local seed = M.monotonic() * 1e6 + M.getpid()
  for index = 1, #bytes do
    seed = (seed * 256 + bytes:byte(index)) % 2 ^ 52
  end
  math.randomseed(seed)
end

return M
