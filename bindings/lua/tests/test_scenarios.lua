--- The scenarios that the bindings of all languages run: see bindings/README.md.
--
-- SPDX-License-Identifier: MIT
local C = require("ffi").C
local lu = require("luaunit")
local prefork = require("prefork")
local support = require("support")

local events_until, of_type, pluck = support.events_until, support.of_type, support.pluck

TestScenarios = {}

function TestScenarios:tearDown()
  support.clean_up()
end

local STAY = [[
local task = assert(prefork.fork_processes(3))
say("worker", task, support.getpid())
stay()
]]

local function stay()
  while true do
    support.sleep_ms(1000)
  end
end

local function sorted(list)
  table.sort(list)
  return list
end

function TestScenarios:test_task_ids()
  local program = support.run([[
say("before", prefork.task_id())
local task = assert(prefork.fork_processes(4))
say("worker", task, prefork.task_id())
]])
  program:finish(0)
  lu.assertEquals(program:lines("before"), { "before nil" })
  lu.assertEquals(sorted(program:lines("worker")),
    { "worker 0 0", "worker 1 1", "worker 2 2", "worker 3 3" })
  program = support.run([[
local pool = assert(prefork.pool{workers = 3, name = "mine"})
assert(pool:run(function(task) say("worker", task, prefork.task_id(), prefork.pool_name()) end))
say("after", prefork.task_id(), prefork.pool_name())
]])
  program:finish(0)
  lu.assertEquals(program:lines("after"), { "after nil nil" })
  lu.assertEquals(sorted(program:lines("worker")),
    { "worker 0 0 mine", "worker 1 1 mine", "worker 2 2 mine" })
end

function TestScenarios:test_restart_with_the_same_id()
  local program = support.run(STAY)
  local pids = {}
  for _, line in ipairs(program:wait_for("worker", 3)) do
    local task, pid = line:match("worker (%d) (%d+)")
    pids[task] = tonumber(pid)
  end
  support.kill(pids["1"], support.SIGKILL)
  local again = program:wait_for("worker", 4)[4]
  lu.assertStrMatches(again, "worker 1 %d+")
  lu.assertNotEquals(again, "worker 1 " .. pids["1"])
  program:signal(support.SIGTERM)
  program:finish(-support.SIGTERM)
end

function TestScenarios:test_clean_exit()
  local program = support.run([[
io.write("buffered\n")
local pool = assert(prefork.pool{workers = 2})
local is_done, signal = pool:run(function(task) io.write("worker\n") end)
say("result", is_done, signal)
]])
  program:finish(0)
  lu.assertEquals(#program:lines("buffered"), 1)
  lu.assertEquals(#program:lines("worker"), 2)
  lu.assertEquals(program:lines("result"), { "result true nil" })
  support.run("prefork.fork_processes(2)"):finish(0)
end

function TestScenarios:test_limit_gives_up()
  local program = support.run([[
local pool = assert(prefork.pool{workers = 2, max_restarts = 2})
local is_done, message, number = pool:run(function(task)
  say("worker", task)
  if task == 0 then return 7 end
  stay()
end)
say("error", is_done, message, number == prefork.EGAVEUP)
say("alive", pool:alive_count())
os.exit(5)
]])
  program:finish(5)
  lu.assertEquals(program:lines("error"), { "error nil Too many restarts true" })
  lu.assertEquals(program:lines("alive"), { "alive 0" })
  lu.assertEquals(#program:lines("worker 0"), 3)
  lu.assertStrContains(program:err(), "exited with status 7")
end

function TestScenarios:test_terminated_supervisor_leaves_nobody()
  for _, number in ipairs({ support.SIGTERM, support.SIGHUP, support.SIGQUIT }) do
    local program = support.run(STAY)
    program:wait_for("worker", 3)
    program:signal(number)
    program:finish(-number)
  end
  local program = support.run([[
local pool = assert(prefork.pool{workers = 2})
local is_done, signal = pool:run(function(task) say("worker", task) stay() end)
pool:close()
prefork.die_of_signal(signal)
]])
  program:wait_for("worker", 2)
  program:signal(support.SIGTERM)
  program:finish(-support.SIGTERM)
end

function TestScenarios:test_killed_supervisor_leaves_nobody()
  local pool = [[
assert(prefork.pool{workers = 3}):run(function(task)
  prefork.ignore_signal("TERM")
  say("worker", task)
  while prefork.wait() ~= "stop" do end
end)
]]
  for _, code in ipairs({ STAY, pool }) do
    local program = support.run(code)
    program:wait_for("worker", 3)
    program:signal(support.SIGKILL)
    program:finish(-support.SIGKILL)
  end
end

function TestScenarios:test_event_order_and_fields()
  local began = support.monotonic()
  local path = support.new_path("once")
  local pool = assert(prefork.pool({ workers = 2, max_restarts = 1 }))
  assert(pool:start(function(task)
    if task == 1 and support.read_file(path) == "" then
      support.write_file(path, "begun")
      support.kill(support.getpid(), support.SIGKILL)
      stay()
    end
  end))
  local events = {}
  for event in pool:events() do
    events[#events + 1] = event
  end
  lu.assertNil(pool:result())
  local types = pluck(events, "type")
  lu.assertEquals({ types[1], types[2], types[3], types[#types] },
    { "starting", "worker_started", "worker_started", "done" })
  lu.assertEquals(#events, 8)
  lu.assertEquals(events[1].worker_count, 2)
  lu.assertNil(events[1].task_id)
  lu.assertNil(events[1].pid)
  local times = pluck(events, "time")
  lu.assertEquals(times, sorted(pluck(events, "time")))
  lu.assertTrue(began <= times[1] and times[#times] <= support.monotonic())

  local mine = {}
  for _, event in ipairs(events) do
    if event.task_id == 1 then
      mine[#mine + 1] = event
    end
  end
  lu.assertEquals(pluck(mine, "type"),
    { "worker_started", "worker_exited", "worker_started", "worker_exited" })
  local killed, normal = mine[2], mine[4]
  lu.assertEquals(killed.pid, mine[1].pid)
  lu.assertEquals(normal.pid, mine[3].pid)
  lu.assertEquals({ killed.signal, killed.will_restart, killed.level, killed.restarts },
    { support.SIGKILL, true, 4, 1 })
  lu.assertNil(killed.exit_code)
  lu.assertEquals(killed.message,
    ("child 1 (pid %d) killed by signal 9, restarting"):format(killed.pid))
  lu.assertEquals({ normal.exit_code, normal.will_restart, normal.core_dumped }, { 0, false, false })
  lu.assertNil(normal.signal)
  lu.assertEquals({ mine[1].reason, mine[3].reason }, { "start", "restart" })
  lu.assertTrue(normal.max_rss_kib > 0 and normal.user_time + normal.system_time > 0)
  lu.assertEquals({ type(normal.time), type(normal.max_rss_kib) }, { "number", "number" })
end

function TestScenarios:test_graceful_stop()
  local pool = assert(prefork.pool({ workers = 2, ready_timeout = 60 }))
  assert(pool:start(function()
    prefork.ignore_signal("TERM")
    prefork.ready()
    return prefork.wait() == "stop" and 0 or 1
  end))
  events_until(pool, "worker_ready", 2)
  assert(pool:stop())
  local events = events_until(pool, "done")
  lu.assertEquals(events[1].type, "stopping")
  lu.assertEquals(pluck(of_type(events, "worker_exited"), "exit_code"), { 0, 0 })
  lu.assertNil(pool:next())

  pool = assert(prefork.pool({ workers = 1, ready_timeout = 60, stop_timeout = 0.05 }))
  assert(pool:start(function()
    prefork.ignore_signal("SIGTERM")
    prefork.ready()
    stay()
  end))
  events_until(pool, "worker_ready")
  assert(pool:stop())
  events = events_until(pool, "done")
  lu.assertEquals(pluck(events, "type"), { "stopping", "worker_killed", "worker_exited", "done" })
  lu.assertEquals(events[3].signal, support.SIGKILL)
end

function TestScenarios:test_resize()
  local pool = assert(prefork.pool({ workers = 2 }))
  assert(pool:start(stay))
  events_until(pool, "worker_started", 2)
  assert(pool:resize(4))
  local events = events_until(pool, "worker_started", 2)
  lu.assertEquals(sorted(pluck(of_type(events, "worker_started"), "task_id")), { 2, 3 })
  assert(pool:resize(1))
  events = events_until(pool, "worker_exited", 3)
  lu.assertEquals(sorted(pluck(of_type(events, "worker_exited"), "task_id")), { 1, 2, 3 })
  lu.assertEquals({ pool:worker_count(), pool:alive_count() }, { 1, 1 })
  lu.assertErrorMsgContains("count must be a whole number from 1 to 65536, not 0", pool.resize,
    pool, 0)
  pool:close()
end

function TestScenarios:test_pids_and_states()
  local pool = assert(prefork.pool({ workers = 2 }))
  assert(pool:start(function(task)
    if task == 0 then
      stay()
    end
  end))
  local started = of_type(events_until(pool, "worker_exited"), "worker_started")
  local stays, done = unpack(pool:workers())
  lu.assertEquals({ stays.task_id, stays.state, stays.restarts }, { 0, "ready", 0 })
  lu.assertEquals(stays.pid, started[started[1].task_id + 1].pid)
  lu.assertTrue(stays.uptime >= 0)
  lu.assertEquals({ done.task_id, done.state }, { 1, "done" })
  lu.assertNil(done.pid)
  assert(pool:send_signal("KILL", 0))
  events_until(pool, "worker_started")
  local again = pool:worker(0)
  lu.assertEquals(again.restarts, 1)
  lu.assertNotEquals(again.pid, stays.pid)
  assert(pool:replace_worker(1))
  events_until(pool, "worker_started")
  lu.assertNotNil(pool:worker(1).pid)
  lu.assertEquals(pool:counter("restarted"), 1)
  lu.assertEquals(pool:counters().started, 4)
  pool:close()
end

function TestScenarios:test_shared_listening_socket()
  local program = support.run([[
local fd = assert(prefork.bind_sockets{port = 0, host = "127.0.0.1"})[1]
say("port", support.port_of(fd))
local task = assert(prefork.fork_processes(2))
local connection
repeat
  prefork.wait(fd)
  connection = prefork.accept(fd)
until connection
support.send(connection, "task " .. task)
support.receive(connection)
]])
  local port = tonumber(program:wait_for("port")[1]:match("%d+"))
  -- Each worker accepts one and waits: the second is served by the other worker.
  local first, second = support.connect(port), support.connect(port)
  lu.assertEquals(sorted({ support.receive(first), support.receive(second) }),
    { "task 0", "task 1" })
  support.close(first)
  support.close(second)
  program:finish(0)
end

function TestScenarios:test_use_after_fork_refused()
  local pool
  pool = assert(prefork.pool({ workers = 1, max_restarts = 0 }))
  local is_done, message = pool:run(function()
    for _, method in ipairs({ "stop", "reload", "next", "poll", "workers", "worker_count", "start",
                              "getfd" }) do
      local result, _, number = pool[method](pool, stay)
      if result ~= nil or number ~= 10 then
        return nil, method .. " was not refused"
      end
    end
  end)
  lu.assertTrue(is_done, message)

  pool = assert(prefork.pool({ workers = 1 })) -- a child that is no worker
  assert(pool:start(stay))
  events_until(pool, "worker_started")
  local child = C.test_fork()
  if child == 0 then
    local _, _, number = pool:stop()
    pool:close()
    C.test_exit(number == 10 and 7 or 8)
  end
  local status = require("ffi").new("int[1]")
  C.test_waitpid(child, status, 0)
  lu.assertEquals(status[0], 7 * 256)
  lu.assertEquals(pool:alive_count(), 1)
  pool:close()

  local program = support.run([[
prefork.fork_processes(1)
say("refused", prefork.fork_processes(2))
]])
  program:finish(0)
  lu.assertStrContains(program:out(), "refused nil")
end

local CTRL_C = {
  [[prefork.fork_processes(1) say("worker") support.sleep_ms(600000)]],
  [[prefork.fork_processes(1) say("worker") stay()]],
  [[prefork.fork_processes(1) say("worker") while true do end]],
  [[
local pool = prefork.pool{workers = 1}
local _, signal = pool:run(function() say("worker") while true do end end)
pool:close()
prefork.die_of_signal(signal)]],
}

function TestScenarios:test_ctrl_c_within_100_ms()
  for _, code in ipairs(CTRL_C) do
    local took = {}
    for attempt = 1, 20 do -- the best of some: the machine may be busy
      local program = support.run(code)
      program:wait_for("worker")
      local began = support.monotonic()
      support.kill(-program.pid, support.SIGINT)
      program:finish(-support.SIGINT)
      took[attempt] = support.monotonic() - began
      if took[attempt] < 0.1 then
        break
      end
    end
    lu.assertTrue(took[#took] < 0.1, code .. ": " .. table.concat(took, " "))
  end
end

local OLD = 'const char *pf_version(void) { return "%s"; }\n'

local function library_of(source)
  local path = support.new_path("old")
  support.write_file(path .. ".c", source)
  assert(os.execute(("cc -shared -o %s.so %s.c"):format(path, path)) == 0)
  return path .. ".so"
end

function TestScenarios:test_library_missing_or_too_old()
  local missing = support.new_path("libprefork.so.0")
  local program = support.run("", {}, { PREFORK_LIBRARY = missing })
  program:finish(1)
  lu.assertStrContains(program:err(), "prefork: the shared library libprefork was not found")
  lu.assertStrContains(program:err(), missing)
  lu.assertStrContains(program:err(), "set PREFORK_LIBRARY to the path")
  for source, message in pairs({
    [OLD:format("0.0.9")] = "has version 0.0.9; libprefork 0.2.0 or later is needed",
    [OLD:format("0.2.0")] = "has version 0.2.0 and lacks pf_fork_processes; libprefork",
    ["int other;\n"] = "is not libprefork",
  }) do
    program = support.run("", {}, { PREFORK_LIBRARY = library_of(source) })
    program:finish(1)
    lu.assertStrContains(program:err(), message)
  end
end
