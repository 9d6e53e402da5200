--- The settings of a pool: what each may be, and how the library gets it.
--
-- SPDX-License-Identifier: MIT
local ffi = require("ffi")
local errors = require("prefork.errors")
local lib = require("prefork.library").lib
local names = require("prefork.names")
local system = require("prefork.system")
local is_program, signals = system.is_program, system.SIGNALS

local SLOTS = 65536
local INT_MAX = 2147483647
local MS_MAX = 2 ^ 53

local M = {}

local function whole(least, most)
  return function(name, value)
    return errors.integer(name, value, least, most)
  end
end

local function flag(name, value)
  if type(value) ~= "boolean" then
    errors.misuse(name, "true or false", value)
  end
  return value and 1 or 0
end

-- A setting that is a flag too: false is "none", true one of the names.
local function choice(prefix, when_true)
  return function(name, value)
    if type(value) == "boolean" and when_true then
      return value and names.numbers[prefix][when_true] or 0
    end
    local number = type(value) == "string" and names.numbers[prefix][value]
    if not number then
      local expected = when_true and "true, false, " or ""
      errors.misuse(name, "one of " .. expected .. names.list(prefix), value)
    end
    return number
  end
end

local function milliseconds(name, value)
  if type(value) ~= "number" or not (value >= 0 and value * 1000 < MS_MAX) then
    errors.misuse(name, "a number of seconds, at least 0", value)
  end
  return math.ceil(value * 1000)
end

local function signal(name, value)
  local number = M.signal_number(value)
  if not number then
    errors.misuse(name, 'a signal, as a number or a name such as "TERM"; 0: none', value)
  end
  return number
end

-- Two values in a table, each of which is checked.
local function pair(first, second, expected)
  return function(name, value)
    if type(value) ~= "table" or #value ~= 2 then
      errors.misuse(name, expected, value)
    end
    return first(name, value[1]), second(name, value[2])
  end
end

local function text(name, value)
  return errors.text(name, value)
end

-- What each setting may be. The name is that of pf_pool_set_...
local KINDS = {
  name = { text, "a string of at most 63 bytes" },
  workers = { whole(0, SLOTS), "a whole number from 0 to 65536" },
  restart_policy = { choice("PF_RESTART_") },
  max_restarts = { whole(0, INT_MAX) },
  restart_window = {
    pair(whole(0, SLOTS), milliseconds, "{restarts, seconds}"),
    "{restarts, seconds}, 1 to 65536 restarts; {0, 0}: no such limit",
  },
  backoff = {
    pair(milliseconds, milliseconds, "{seconds, seconds}"),
    "{first, max} in seconds, where max is not smaller than first",
  },
  boot_limit = { whole(0, INT_MAX) },
  limit_action = { choice("PF_LIMIT_") },
  ready_timeout = { milliseconds },
  min_uptime = { milliseconds },
  heartbeat_timeout = { milliseconds },
  lifetime = {
    pair(milliseconds, milliseconds, "{seconds, seconds}"),
    "{age, random part} in seconds",
  },
  reload_order = { choice("PF_RELOAD_") },
  replace_width = { whole(1, SLOTS), "a whole number from 1 to 65536" },
  signals = { choice("PF_SIGNALS_") },
  stop_fd = { flag },
  process_groups = { choice("PF_GROUP_", "signals") },
  parent_death_signal = { signal, "a signal that the system has; 0: none" },
  reap_orphans = { choice("PF_REAP_", "adopted") },
  manager_notify = { flag },
  backend = { choice("PF_BACKEND_"), "a backend that this system supports" },
  spares = { whole(0, SLOTS), "a whole number from 0 to 65536" },
  foreign_workers = { flag },
}

-- Settings that are not one call with the name of the setting.
local OTHERS = {
  stop_signal = true, stop_timeout = true, exit_actions = true, exec = true, env = true, fds = true,
}

--- The names of all settings.
function M.all()
  local all = {}
  for name in pairs(KINDS) do
    all[#all + 1] = name
  end
  for name in pairs(OTHERS) do
    all[#all + 1] = name
  end
  table.sort(all)
  return all
end

--- The number of a signal that is a number or a name, or nil.
function M.signal_number(value)
  if type(value) == "string" then
    return signals[value:upper():gsub("^SIG", "")]
  end
  if type(value) == "number" and value % 1 == 0 and value >= 0 and value <= 64 then
    return value
  end
end

--- The same of an argument, which has to be a signal.
function M.required_signal(value)
  local number = M.signal_number(value)
  if not number or number == 0 then
    errors.misuse("signal", 'a signal, as a number or a name such as "TERM"', value)
  end
  return number
end

-- A value that the checks above let pass but the library refuses is misuse as well.
local function call(name, expected, value, setter, ...)
  local code = setter(...)
  if code == -22 then
    errors.misuse(name, expected or "in the range of pf_pool_set_" .. name .. "(3)", value)
  end
  return errors.done(code, name)
end

local function set_stop(pool, settings)
  local number, timeout = settings.stop_signal, settings.stop_timeout
  if number == nil and timeout == nil then
    return true
  end
  number = signal("stop_signal", number == nil and signals.TERM or number)
  timeout = milliseconds("stop_timeout", timeout == nil and 10 or timeout)
  return call("stop_signal", "a signal that the system has; 0: none", number,
    lib.pf_pool_set_stop, pool, number, timeout)
end

local function set_exit_actions(pool, actions)
  if type(actions) ~= "table" then
    errors.misuse("exit_actions", "a table of statuses and actions", actions)
  end
  for status, action in pairs(actions) do
    local number = errors.integer("exit_actions", status, 0, 255)
    local is_set, message, errno = call("exit_actions", nil, action, lib.pf_pool_set_exit_action,
      pool, number, choice("PF_EXIT_")("exit_actions", action))
    if not is_set then
      return nil, message, errno
    end
  end
  return true
end

--- What C was given last under each name: it is not collected before the call.
M.anchors = {}

--- A list of strings as C has it: an array that NULL ends.
function M.strings(name, list)
  if list == nil then
    return nil
  end
  if type(list) ~= "table" then
    errors.misuse(name, "a list of strings", list)
  end
  local array = ffi.new("const char *[?]", #list + 1)
  local anchor = { array }
  M.anchors[name] = anchor
  for index, value in ipairs(list) do
    anchor[index + 1] = errors.text(name, value)
    array[index - 1] = value
  end
  return array
end

--- An environment as C has it, of a table of names and values.
function M.environment(env)
  if env == nil then
    return nil
  end
  if type(env) ~= "table" then
    errors.misuse("env", "a table of names and values", env)
  end
  local list = {}
  for name, value in pairs(env) do
    if type(name) ~= "string" or name == "" or name:find("=", 1, true) or type(value) == "table" then
      errors.misuse("env", "a table of names without = and values", name)
    end
    list[#list + 1] = tostring(name) .. "=" .. tostring(value)
  end
  return M.strings("env", list)
end

--- The path of the program that a shell would run, or nil, a message and an errno.
function M.find_program(name)
  if name:find("/", 1, true) then
    return name
  end
  for directory in (os.getenv("PATH") or "/usr/bin:/bin"):gmatch("[^:]+") do
    local path = directory .. "/" .. name
    if is_program(path) then
      return path
    end
  end
  return errors.failure(-system.ENOENT, name)
end

--- Have the workers execute a program: true for this one, or its name and arguments.
function M.set_program(pool, program, env)
  local variables = M.environment(env)
  local path, arguments
  if program ~= true then
    if type(program) ~= "table" or type(program[1]) ~= "string" then
      errors.misuse("exec", "true, or a list of a program and its arguments", program)
    end
    arguments = M.strings("exec", program)
    local message, number
    path, message, number = M.find_program(program[1])
    if not path then
      return nil, message, number
    end
  end
  local code = lib.pf_pool_set_exec(pool, path, arguments, variables)
  return errors.done(code, "exec")
end

--- The descriptor of a number, or of what has a method getfd, as the sockets of LuaSocket.
function M.descriptor(name, value)
  if type(value) == "table" or type(value) == "userdata" then
    local has_method, getfd = pcall(function() return value.getfd end)
    value = has_method and getfd and getfd(value) or value
  end
  return errors.integer(name, value, 0, INT_MAX)
end

local function add_fds(pool, fds)
  if type(fds) ~= "table" then
    errors.misuse("fds", "a table of names and descriptors", fds)
  end
  for name, value in pairs(fds) do
    local fd = M.descriptor("fds", value)
    local is_added, message, errno = call("fds",
      "a table of names, 1 to 255 bytes without colon, and descriptors", name,
      lib.pf_pool_add_fd, pool, errors.text("fds", name), fd)
    if not is_added then
      return nil, message, errno
    end
  end
  return true
end

local function set_one(pool, name, value, settings)
  if name == "exec" then
    if value == false then
      return true
    end
    return M.set_program(pool, value, settings.env)
  elseif name == "exit_actions" then
    return set_exit_actions(pool, value)
  elseif name == "fds" then
    return add_fds(pool, value)
  elseif OTHERS[name] then
    return true
  end
  local kind = KINDS[name]
  local first, second = kind[1](name, value)
  local setter = lib["pf_pool_set_" .. name]
  if second ~= nil then
    return call(name, kind[2], value, setter, pool, first, second)
  end
  return call(name, kind[2], value, setter, pool, first)
end

--- Give the pool its settings. true, or nil, a message and a number; an error for misuse.
function M.apply(pool, settings)
  for name in pairs(settings) do
    if not KINDS[name] and not OTHERS[name] then
      errors.raise(("there is no setting %q"):format(tostring(name)))
    end
  end
  if settings.env ~= nil and not settings.exec then
    errors.misuse("env", "nil where workers are forked", settings.env)
  elseif settings.foreign_workers and type(settings.exec) ~= "table" then
    errors.misuse("foreign_workers", "true only where exec is a list", settings.foreign_workers)
  end
  for name, value in pairs(settings) do
    local is_set, message, number = set_one(pool, name, value, settings)
    if not is_set then
      return nil, message, number
    end
  end
  return set_stop(pool, settings)
end

return M
