--- Workers by exec, spares, descriptors, event loops, upgrades, daemons, and what forks share.
--
-- SPDX-License-Identifier: MIT
local lu = require("luaunit")
local prefork = require("prefork")
local support = require("support")

local events_until, of_type, pluck = support.events_until, support.of_type, support.pluck

TestPool = {}

function TestPool:tearDown()
  support.clean_up()
end

local function stay()
  while true do
    support.sleep_ms(1000)
  end
end

local function sorted(list)
  table.sort(list)
  return list
end

function TestPool:test_workers_by_exec_run_the_program_anew()
  local program = support.run([[
say("program", prefork.task_id() or "supervisor")
local fd = assert(prefork.bind_sockets{port = 0, host = "127.0.0.1"})[1]
local pool = assert(prefork.pool{
  workers = 2, name = "by exec", exec = true, exit_actions = {[3] = "done"}, fds = {input = 0},
})
local is_done = assert(pool:run(function(task)
  say("worker", task, prefork.pool_name(), support.port_of(fd), prefork.worker_fd("input") > 2,
    select(3, prefork.worker_fd("other")), os.getenv("PF_FDS"))
  return 3
end, function(event)
  if event.type == "worker_exited" then say("exited", event.exit_code) end
end))
say("port", support.port_of(fd))
]])
  program:finish(0)
  local port = program:lines("port")[1]:match("%d+")
  lu.assertEquals(sorted(program:lines("worker")), {
    ("worker 0 by exec %s true 2 nil"):format(port),
    ("worker 1 by exec %s true 2 nil"):format(port),
  })
  lu.assertEquals(sorted(program:lines("program")),
    { "program 0", "program 1", "program supervisor" })
  lu.assertEquals(#program:lines("exited 3"), 2)
end

function TestPool:test_workers_by_exec_of_another_program()
  local path = support.new_path("result")
  local pool = assert(prefork.pool({
    workers = 1, exec = { "sh", "-c", 'echo "$WORD" >"$0"', path }, env = { WORD = "of env" },
    foreign_workers = true,
  }))
  lu.assertTrue(pool:run(nil))
  lu.assertEquals(support.read_file(path), "of env\n")
  pool = assert(prefork.pool({ workers = 1, exec = { "/no/such/program" }, foreign_workers = true }))
  lu.assertEquals({ select(3, pool:run(nil, function() end)) }, { 2 })

  pool = assert(prefork.pool({ workers = 1, exec = { "sleep", "600" }, foreign_workers = true }))
  assert(pool:start())
  events_until(pool, "worker_started")
  assert(pool:set_exec({ "sh", "-c", 'echo "$WORD" >"$0"', path }, { WORD = "of set_exec" }))
  assert(pool:send_signal("KILL", 0))
  events_until(pool, "done")
  lu.assertEquals(support.read_file(path), "of set_exec\n")
end

function TestPool:test_spares()
  local pool = assert(prefork.pool({ workers = 1, spares = 1, stop_timeout = 5 }))
  assert(pool:start(function(task)
    lu.assertEquals(prefork.task_id(), task)
    stay()
  end))
  local spare = events_until(pool, "spare_started")
  lu.assertEquals(spare[#spare].task_id, prefork.SPARE)
  lu.assertEquals(pool:counter("spares"), 1)
  assert(pool:send_signal("KILL", 0))
  local started = of_type(events_until(pool, "worker_started"), "worker_started")
  lu.assertEquals({ started[1].pid, started[1].task_id }, { spare[#spare].pid, 0 })
  assert(pool:set_spares(0))
  assert(pool:stop())
  events_until(pool, "done")
end

function TestPool:test_an_event_loop_waits_for_the_descriptor()
  local socket = require("socket")
  local pool = assert(prefork.pool({ workers = 2 }))
  assert(pool:start(function() end))
  local events = {}
  while not pool:is_done() do
    socket.select({ pool }, nil, support.DEADLINE)
    for _, event in ipairs(assert(pool:poll())) do
      events[#events + 1] = event
    end
  end
  lu.assertEquals(#events, 6)
  lu.assertEquals(events[6].type, "done")
  lu.assertEquals(pool:poll(), {})
end

function TestPool:test_events_in_a_coroutine()
  local pool = assert(prefork.pool({ workers = 2 }))
  assert(pool:start(function() end))
  local types = {}
  for event in coroutine.wrap(function()
    for event in pool:events() do
      coroutine.yield(event)
    end
  end) do
    types[#types + 1] = event.type
  end
  lu.assertEquals(#types, 6)
end

function TestPool:test_many_forks_under_the_compiler()
  local pool = assert(prefork.pool({
    workers = 2, restart_policy = "always", max_restarts = 300, min_uptime = 0,
  }))
  local exits = 0
  assert(pool:start(function() end))
  for event in pool:events() do
    if event.type == "worker_exited" then
      if exits < 300 then
        lu.assertEquals(event.exit_code, 0)
      end
      exits = exits + 1
      if exits == 300 then
        assert(pool:stop())
      end
    end
  end
  lu.assertTrue(exits >= 300)
  lu.assertNil(pool:result())
end

function TestPool:test_random_numbers_differ_and_buffers_are_written_once()
  local program = support.run([[
io.stdout:setvbuf("full")
io.write("of the supervisor\n")
local file = io.open(arg[1], "w")
file:write("once\n")
assert(prefork.pool{workers = 4}:run(function() io.write("random ", math.random(), "\n") end))
]], { support.new_path("file") })
  program:finish(0)
  local numbers = sorted(program:lines("random"))
  lu.assertEquals(#numbers, 4)
  for index = 2, 4 do
    lu.assertNotEquals(numbers[index], numbers[index - 1])
  end
  lu.assertEquals(#program:lines("of the supervisor"), 1)
end

function TestPool:test_heartbeats_and_retirement()
  local pool = assert(prefork.pool({
    workers = 1, heartbeat_timeout = 0.2, stop_timeout = 0.1, max_restarts = 0,
  }))
  assert(pool:start(function()
    prefork.heartbeat()
    stay()
  end))
  local hangs = events_until(pool, "worker_unresponsive")
  lu.assertEquals(hangs[#hangs].reason, "heartbeat_timeout")
  events_until(pool, "done")
  lu.assertEquals({ select(3, pool:result()) }, { prefork.EGAVEUP })

  pool = assert(prefork.pool({ workers = 1, min_uptime = 0, replace_width = 1 }))
  assert(pool:start(function()
    assert(prefork.retire())
    stay()
  end))
  local started = of_type(events_until(pool, "worker_started", 2), "worker_started")
  lu.assertEquals(pluck(started, "reason"), { "start", "retire" })
  pool:close()
end

function TestPool:test_waiting_in_a_worker()
  local program = support.run([[
local fd = assert(prefork.bind_sockets{port = 0, host = "127.0.0.1"})[1]
local pool = assert(prefork.pool{workers = 1, stop_signal = 0})
local began = support.monotonic()
assert(pool:run(function()
  say("time", prefork.wait(fd, 0.05), support.monotonic() - began >= 0.05)
  local client = support.connect(support.port_of(fd))
  say("input", prefork.wait(fd), prefork.must_stop())
  say("must", prefork.wait(nil, 60), prefork.must_stop())
end, function(event) if event.type == "worker_started" then pool.pid = event.pid end end))
]])
  program:wait_for("input")
  program:signal(support.SIGTERM)
  program:finish(0)
  lu.assertEquals(program:out(), "time nil true\ninput readable false\nmust stop true\n")
end

function TestPool:test_unix_sockets_and_those_of_systemd()
  local path = support.new_path("socket")
  local fd = assert(prefork.bind_unix_socket(path, tonumber("600", 8)))
  lu.assertStrContains(io.popen("stat -c '%F %a' " .. path):read("*a"), "socket 600")
  lu.assertEquals({ select(3, prefork.bind_unix_socket(path)) }, { 98 })
  support.close(fd)
  lu.assertEquals(prefork.listen_fds(), {})
end

function TestPool:test_signals_control_a_pool()
  local program = support.run([[
local pool = assert(prefork.pool{workers = 1, min_uptime = 0})
say("stopped by", select(2, assert(pool:run(stay, function(event)
  say(event.type)
  if event.type == "resized" then assert(pool:handle_signal("INT")) end
end))))
]])
  program:wait_for("worker_started")
  program:signal(support.SIGHUP)
  program:wait_for("reloaded")
  program:signal(21)
  program:finish(0)
  lu.assertEquals(program:lines("stopped by"), { "stopped by 2" })
end

function TestPool:test_a_program_that_ends_with_an_error_leaves_nobody()
  local program = support.run([[
local pool = assert(prefork.pool{workers = 2})
assert(pool:start(stay))
for event in pool:events() do
  if event.type == "worker_started" and event.task_id == 1 then error("of the loop") end
end
]])
  program:finish(1)
  lu.assertStrContains(program:err(), "of the loop")
end

function TestPool:test_upgrade_keeps_the_workers()
  local program = support.run([[
local pool = assert(prefork.pool{workers = 2, name = "web", ready_timeout = 60})
assert(pool:start(function(task)
  say("worker", task, support.getpid())
  prefork.ready()
  stay()
end))
local ready = 0
for event in pool:events() do
  say(event.type)
  if event.type == "worker_ready" then ready = ready + 1 end
  if ready == 2 then
    ready = 0
    local _, message, number
    repeat
      pool:poll()
      _, message, number = pool:upgrade()
    until number ~= 11
    say("failed", message)
  end
end
]])
  program:wait_for("adopted")
  program:signal(support.SIGTERM)
  program:finish(0)
  lu.assertEquals(#program:lines("worker "), 2)
  lu.assertEquals(program:lines("failed"), {})
end

function TestPool:test_a_daemon_is_ready_when_its_workers_are()
  local path = support.new_path("pid")
  local program = support.run([[
assert(prefork.daemonize(arg[1]))
local pool = assert(prefork.pool{workers = 1, ready_timeout = 60})
assert(pool:run(function()
  prefork.ready()
  stay()
end))
]], { path })
  support.wait_until("the end of the launcher", function() return program:has_ended() end)
  lu.assertEquals(program.status, 0, program:err())
  local pid = tonumber(support.read_file(path))
  lu.assertEquals(support.kill(pid, support.SIGTERM), 0)
  support.wait_until("the end of the daemon", function() return support.kill(pid, 0) ~= 0 end)
  lu.assertEquals(support.read_file(path), "")
  program:finish(0)
end
