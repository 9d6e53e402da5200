--- Failures are nil, a message and a number; misuse is an error that names the parameter.
--
-- SPDX-License-Identifier: MIT
local lu = require("luaunit")
local prefork = require("prefork")
local support = require("support")

TestErrors = {}

function TestErrors:tearDown()
  support.clean_up()
end

local function stay()
  while true do
    support.sleep_ms(1000)
  end
end

local WRONG = {
  { { workers = 65537 }, "workers must be a whole number from 0 to 65536, not 65537" },
  { { workers = 1.5 }, "workers must be a whole number" },
  { { workers = "2" }, 'workers must be a whole number from 0 to 65536, not "2"' },
  { { max_restarts = 2 ^ 32 }, "max_restarts must be a whole number" },
  { { stop_timeout = -1 }, "stop_timeout must be a number of seconds, at least 0" },
  { { stop_timeout = 0 / 0 }, "stop_timeout must be a number of seconds" },
  { { ready_timeout = math.huge }, "ready_timeout must be a number of seconds" },
  { { stop_signal = 1000 }, "stop_signal must be a signal" },
  { { stop_signal = "NONE" }, 'stop_signal must be a signal, as a number or a name such as "TERM"' },
  { { backoff = { 2, 1 } }, "backoff must be {first, max} in seconds" },
  { { backoff = 2 }, "backoff must be {seconds, seconds}, not 2" },
  { { restart_window = { 1, 0 } }, "restart_window must be {restarts, seconds}" },
  { { restart_policy = "often" }, 'restart_policy must be one of "on_failure", "always", "never"' },
  { { signals = true }, 'signals must be one of "none", "standard", "stop_only", not true' },
  { { process_groups = 3 }, 'process_groups must be one of true, false, "signals", "kill"' },
  { { stop_fd = 1 }, "stop_fd must be true or false, not 1" },
  { { replace_width = 0 }, "replace_width must be a whole number from 1 to 65536" },
  { { name = ("x"):rep(64) }, "name must be a string of at most 63 bytes" },
  { { name = "a\0b" }, "name must be a string without NUL" },
  { { exit_actions = { [256] = "done" } }, "exit_actions must be a whole number from 0 to 255" },
  { { exit_actions = { [1] = "perhaps" } }, 'exit_actions must be one of "default", "restart"' },
  { { env = { A = "1" } }, "env must be nil where workers are forked" },
  { { foreign_workers = true }, "foreign_workers must be true only where exec is a list" },
  { { exec = "program" }, "exec must be true, or a list of a program and its arguments" },
  { { exec = true, env = 5 }, "env must be a table of names and values, not 5" },
  { { exec = { "program", 5 } }, "exec must be a string without NUL, not 5" },
  { { fds = { ["a:b"] = 0 } }, "fds must be a table of names, 1 to 255 bytes without colon" },
  { { fds = { a = -1 } }, "fds must be a whole number" },
  { { wrokers = 4 }, 'there is no setting "wrokers"' },
}

function TestErrors:test_errors_as_the_languages_own()
  for _, case in ipairs(WRONG) do
    local is_made, message = pcall(prefork.pool, case[1])
    lu.assertFalse(is_made, case[2])
    lu.assertStrContains(message, case[2])
    lu.assertStrContains(message, "test_errors.lua:") -- where the program is wrong
  end
  lu.assertErrorMsgContains("must be a table of settings", prefork.pool, 4)

  local pool = assert(prefork.pool({ workers = 1, max_restarts = 0 }))
  lu.assertErrorMsgContains("has not started", pool.next, pool)
  lu.assertErrorMsgContains("the function of a worker must be a function", pool.run, pool)
  local is_done, message, number = pool:run(function() return 1 end, function() end)
  lu.assertEquals({ is_done or false, message, number },
    { false, "Too many restarts", prefork.EGAVEUP })
  lu.assertEquals(select("#", pool:result()), 3)
  pool:close()
  lu.assertErrorMsgContains("the pool is closed", pool.stop, pool)

  pool = assert(prefork.pool({ workers = 1, exit_actions = { [9] = "fatal" } }))
  lu.assertEquals({ select(3, pool:run(function() return 9 end, function() end)) },
    { prefork.EFATAL })
  pool = assert(prefork.pool({ workers = 1, max_restarts = 0, exit_actions = { [9] = "done" } }))
  lu.assertTrue(pool:run(function() return 9 end))
end

function TestErrors:test_failures_have_an_errno()
  for _, call in ipairs({ prefork.ready, prefork.heartbeat, prefork.retire, prefork.stop_fd,
    prefork.wait, prefork.must_stop }) do
    local result, message, number = call()
    lu.assertNil(result)
    lu.assertEquals({ message, number }, { "No child processes", 10 })
  end
  local taken = assert(prefork.bind_sockets({ port = 0, host = "127.0.0.1" }))[1]
  local port = support.port_of(taken)
  local result, message, number = prefork.bind_sockets({ port = port, host = "127.0.0.1" })
  lu.assertNil(result)
  lu.assertEquals({ message, number },
    { ("127.0.0.1, port %d: Address already in use"):format(port), 98 })
  lu.assertEquals(select(3, prefork.accept(taken)), 11)
  support.close(taken)
  lu.assertEquals(select(3, prefork.bind_sockets({ port = 0, host = "no.such.host.invalid" })),
    prefork.ERESOLVE)
  local path = support.new_path("file")
  support.write_file(path, "")
  lu.assertEquals(select(3, prefork.bind_unix_socket(path)), 17)
  lu.assertErrorMsgContains("port must be a whole number", prefork.bind_sockets, {})
  lu.assertErrorMsgContains("family must be one of", prefork.bind_sockets,
    { port = 0, family = "ipx" })
  lu.assertErrorMsgContains('bind_sockets has no option "reuse_port"', prefork.bind_sockets,
    { port = 0, reuse_port = true })

  local pool = assert(prefork.pool({ workers = 1 }))
  assert(pool:start(stay))
  support.events_until(pool, "worker_started")
  lu.assertEquals({ select(3, pool:worker(1)) }, { 22 })
  lu.assertEquals({ select(3, pool:start(stay)) }, { 114 })
  lu.assertErrorMsgContains("signal must be a signal", pool.send_signal, pool, "NONE", 0)
  lu.assertErrorMsgContains("task_id must be a whole number", pool.worker, pool, "0")
  lu.assertErrorMsgContains('name must be one of "started"', pool.counter, pool, "begun")
  pool:close()
end

function TestErrors:test_a_signal_that_cannot_be_ignored_is_refused()
  lu.assertEquals({ prefork.ignore_signal("KILL") }, { nil, "signal: Invalid argument", 22 })
  lu.assertEquals({ prefork.reset_signal("STOP") }, { nil, "signal: Invalid argument", 22 })
  lu.assertTrue(prefork.ignore_signal("USR1"))
  lu.assertTrue(prefork.reset_signal("USR1"))
end

function TestErrors:test_an_error_in_a_worker_is_written_and_is_status_1()
  local program = support.run([[
local pool = assert(prefork.pool{workers = 4, restart_policy = "never"})
pool:run(function(task)
  if task == 0 then error("oops") end
  if task == 1 then error({}) end
  if task == 2 then return nil, "cannot serve" end
  return "yes"
end, function(event)
  if event.type == "worker_exited" then say("status", event.exit_code) end
end)
]])
  program:finish(0)
  lu.assertEquals(#program:lines("status 1"), 4)
  lu.assertStrMatches(program:err(), ".*prefork: worker 0: [^\n]*program.lua:%d+: oops\nstack.*")
  lu.assertStrContains(program:err(), "prefork: worker 1: table: ")
  lu.assertStrContains(program:err(), "prefork: worker 2: cannot serve\n")
  lu.assertStrContains(program:err(), "expected nil, or an exit status from 0 to 255")
end

function TestErrors:test_an_error_in_on_event_stops_the_pool_and_is_raised()
  local program = support.run([[
local pool = assert(prefork.pool{workers = 2})
say("raised", pcall(pool.run, pool, stay, function(event)
  if event.type == "worker_started" then error("of the program", 0) end
end))
say("alive", pool:alive_count())
]])
  program:finish(0)
  lu.assertStrContains(program:out(), "raised false of the program\n")
  lu.assertEquals(program:lines("alive"), { "alive 0" })
end
