--- Workers that end in every way, hooks that raise, values that make no sense.
--
-- SPDX-License-Identifier: MIT
local lu = require("luaunit")
local prefork = require("prefork")
local support = require("support")
local system = require("prefork.system")

TestHostile = {}

function TestHostile:tearDown()
  support.clean_up()
end

-- What is done in a worker must not go on with the program of the supervisor.
local ENDS = [[
local bad = function() return setmetatable({}, {__tostring = function() error("in tostring") end}) end
local ends = {
  {"error that has no text", function() error(bad()) end, 1},
  {"result that has no text", bad, 1},
  {"message that has no text", function() return nil, bad() end, 1},
  {"status 256", function() return 256 end, 1},
  {"status -1", function() return -1 end, 1},
  {"not a number", function() return 0 / 0 end, 1},
  {"os.exit", function() os.exit(7) end, 7},
  {"a stack that overflows", function() local function f() return 1 + f() end f() end, 1},
  {"stderr closed", function() io.stderr:close() error("nobody reads it") end, 1},
  {"yield", function() coroutine.yield(1) end, 1},
  {"coroutine", function()
    return coroutine.wrap(function() coroutine.yield(5) end)()
  end, 5},
  {"pool", function()
    local pool = assert(prefork.pool{workers = 2, signals = "none"})
    assert(pool:run(function() end))
    pool:close()
    return 6
  end, 6},
}
local pool = assert(prefork.pool{workers = #ends, restart_policy = "never"})
local function supervise()
  pool:run(function(task) return ends[task + 1][2]() end, function(event)
    if event.type == "worker_exited" then
      local of = ends[event.task_id + 1]
      if event.exit_code ~= of[3] then say("wrong", of[1], event.exit_code, event.signal) end
    end
  end)
end
]]

for name, way in pairs({
  in_the_main_thread = 'supervise() say("over")\n',
  in_a_coroutine = 'local routine = coroutine.create(supervise)\n'
    .. 'while coroutine.status(routine) ~= "dead" do say("round", coroutine.resume(routine)) end say("over")\n',
}) do
  TestHostile["test_no_worker_gets_into_the_program_of_the_supervisor_" .. name] = function()
    local program = support.run(ENDS .. way)
    program:finish(0)
    lu.assertEquals(program:lines("wrong"), {})
    lu.assertEquals(#program:lines("over"), 1)
    lu.assertTrue(#program:lines("round") <= 1)
    lu.assertStrContains(program:err(), "a value without a text")
  end
end

-- The library repeats a request for a fork that is not answered only after 10 s.
local SOON = 8

-- Calls a function with a hook that raises at the nth instruction of the package.
local function raising_at(number, call)
  local count, own = 0, system.getpid()
  local function hook()
    if system.getpid() == own and debug.getinfo(2, "S").source:find("prefork/[%w_]+%.lua$") then
      count = count + 1
      if count == number then
        error("of the hook", 0)
      end
    end
  end
  local is_fine, message = pcall(function()
    debug.sethook(hook, "", 1)
    call()
  end)
  debug.sethook()
  lu.assertTrue(is_fine or message == "of the hook", message)
  return not is_fine
end

function TestHostile:test_a_hook_that_raises_loses_no_request_for_a_worker()
  local own = system.getpid()
  local number = 1
  while true do
    local pool = assert(prefork.pool({ workers = 1, restart_policy = "never", signals = "none" }))
    assert(pool:start(function() prefork.wait() end))
    local is_raised = raising_at(number, function()
      repeat
        assert(pool:next())
      until pool:counter("started") == 1
    end)
    if system.getpid() ~= own then
      system.exit(1)
    end
    local began = system.monotonic()
    while pool:counter("started") == 0 and system.monotonic() - began < SOON do
      assert(pool:poll())
    end
    lu.assertEquals(pool:counter("started"), 1, "instruction " .. number)
    pool:close()
    if not is_raised then
      break
    end
    number = number + 3
  end
  lu.assertTrue(number > 50)
end

function TestHostile:test_a_program_is_looked_for_in_path()
  local path = support.new_path("none")
  local pool = assert(prefork.pool({ workers = 1 }))
  assert(pool:start(function() prefork.wait() end))
  support.events_until(pool, "worker_started")
  for _, program in ipairs({ "prefork-has-no-such-program", path }) do
    local result, message, number = pool:upgrade({ program })
    lu.assertNil(result)
    lu.assertEquals(number, 2, message)
  end
  pool:close()
  lu.assertEquals(select(3, prefork.pool({ exec = { "prefork-has-no-such-program" } })), 2)

  local program = support.run([[
local pool = assert(prefork.pool{workers = 1})
assert(pool:start(function() prefork.wait() end))
for event in pool:events() do
  if event.type == "worker_started" then break end
end
print(pool:upgrade({"sh", "-c", "kill $(cat /proc/$$/task/$$/children); wait; echo by path"}))
]])
  program:finish(0)
  lu.assertEquals(program:lines("by"), { "by path" })
end

function TestHostile:test_values_that_make_no_sense()
  for _, env in ipairs({ { ["A=B"] = "" }, { [""] = "x" }, { "A=B" }, { A = {} }, { A = "\0" } }) do
    lu.assertErrorMsgContains("env must be ", prefork.pool, { exec = true, env = env })
  end
  for _, fd in ipairs({ {}, io.stdout, "1", 0 / 0, function() end, { getfd = function() end } }) do
    lu.assertErrorMsgContains("fds must be ", prefork.pool, { fds = { a = fd } })
  end
  for _, seconds in ipairs({ 1e-300, 1e-7, 0.0001 }) do
    assert(prefork.pool({ heartbeat_timeout = seconds, backoff = { seconds, seconds } })):close()
  end
  local program = support.run([[
local pool = assert(prefork.pool{workers = 1, restart_policy = "never"})
pool:run(function()
  say("refused", pcall(prefork.wait, nil, 0 / 0))
  say("refused", pcall(prefork.wait, nil, "x"))
  say("over", prefork.wait(nil, -1))
end)
]])
  program:finish(0)
  for _, line in ipairs(program:lines("refused")) do
    lu.assertStrContains(line, "seconds must be nil, or a number")
  end
  lu.assertEquals(#program:lines("refused"), 2)
  lu.assertEquals(#program:lines("over"), 1)
end

function TestHostile:test_many_descriptors_of_systemd()
  local path = support.new_path("program.lua")
  support.write_file(path, 'local fds = require("prefork").listen_fds()\n'
    .. 'print("fds", #fds, fds[1], fds[1100])\n')
  local opened = {}
  for fd = 3, 1102 do
    opened[#opened + 1] = ("exec %d</dev/null"):format(fd)
  end
  local pipe = io.popen("exec bash -c 'ulimit -n 4096; " .. table.concat(opened, ";")
    .. "; LISTEN_PID=$$ LISTEN_FDS=1100 exec luajit " .. path .. "' 2>&1")
  lu.assertEquals(pipe:read("*a"), "fds\t1100\t3\t1102\n")
  pipe:close()
end
