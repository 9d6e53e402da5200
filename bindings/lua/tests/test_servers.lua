--- The examples, and reloads under load.
--
-- SPDX-License-Identifier: MIT
local lu = require("luaunit")
local prefork = require("prefork")
local support = require("support")

TestServers = {}

function TestServers:tearDown()
  support.clean_up()
end

local EXAMPLES = assert(os.getenv("PREFORK_EXAMPLES"))
local REQUEST = "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
local RELOADS = 10

-- A port that was free a moment ago.
local function free_port()
  local fd = assert(prefork.bind_sockets({ port = 0, host = "127.0.0.1" }))[1]
  local port = support.port_of(fd)
  support.close(fd)
  return port
end

local function ask(port)
  local fd = support.connect(port)
  if not fd then
    return nil
  end
  support.send(fd, REQUEST)
  local answer = support.receive_all(fd)
  support.close(fd)
  return answer
end

local function example(name, workers)
  local port = free_port()
  local server = support.run_command({ "luajit", EXAMPLES .. "/" .. name }, {
    PORT = tostring(port), WORKERS = tostring(workers), GRACE_S = "5",
  })
  support.wait_until("the first answer", function()
    assert(not server:has_ended(), server:err())
    return ask(port)
  end)
  return server, port
end

local function pids_of(port, count)
  local pids, seen = {}, 0
  support.wait_until(count .. " pids", function()
    local pid = ask(port):match("hello from pid (%d+), task %d")
    if not pids[pid] then
      pids[pid] = true
      seen = seen + 1
    end
    return seen == count
  end)
  return pids
end

local function is_alive(pid)
  local state = support.read_file("/proc/" .. pid .. "/stat"):match("%) (%a)")
  return state ~= nil and state ~= "Z"
end

-- Replace all workers, and wait for the end of the old ones.
local function reload(server, port)
  local before = pids_of(port, 2)
  server:signal(support.SIGHUP)
  support.wait_until("the end of the old workers", function()
    for pid in pairs(before) do
      if is_alive(pid) then
        return false
      end
    end
    return true
  end)
end

-- Without the program load: ask again and again, with a connection for each request.
local LOAD = [[
local ffi = require("ffi")
local port, path, answered, lost = tonumber(arg[1]), arg[2], 0, 0
while support.read_file(path) == "" do
  local fd = support.connect(port)
  local is_sent = fd and support.send(fd, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
  if is_sent and support.receive_all(fd):find("^HTTP/1.1 200 OK\r\n") then
    answered = answered + 1
  else
    lost = lost + 1
  end
  if fd then support.close(fd) end
end
say("answered", answered, "lost", lost)
]]

local function with_load(port, way, step)
  local program = os.getenv("LOAD")
  local load, path
  if program then
    load = support.run_command({ program, tostring(port), "4", way })
  else
    path = support.new_path("end")
    load = support.run(LOAD, { port, path })
  end
  for _ = 1, RELOADS do
    step()
  end
  if path then
    support.write_file(path, "end")
  else
    load:signal(support.SIGTERM)
  end
  load:finish(0)
  print(way .. ": " .. load:out():gsub("\n", ""))
  return load:out()
end

function TestServers:test_rolling_reload()
  for _, way in ipairs({ "new", "kept" }) do
    local server, port = example("server.lua", 2)
    local out = with_load(port, way, function() reload(server, port) end)
    lu.assertTrue(tonumber(out:match("answered (%d+)")) > RELOADS)
    lu.assertEquals(tonumber(out:match("lost (%d+)")), 0)
    lu.assertEquals(tonumber(out:match("refused (%d+)") or 0), 0)
    lu.assertEquals(tonumber(out:match("late (%d+)") or 0), 0)
    server:signal(support.SIGTERM)
    server:finish(-support.SIGTERM)
  end
end

function TestServers:test_the_example_answers_as_HTTP_wants()
  local server, port = example("server.lua", 1)
  local fd = support.connect(port)
  for _, line in ipairs({ "GET / HTTP/1.1\r\n", "Host: test\r\n\r\nGET /no HTTP/1.1\r\n\r\n" }) do
    support.send(fd, line)
  end
  support.send(fd, "POST / HTTP/1.0\r\n\r\n")
  local answers = support.receive_all(fd)
  lu.assertStrMatches(answers, "HTTP/1.1 200 OK\r\n.*Content%-Length: %d+\r\n\r\nhello from pid %d+, "
    .. "task 0\nHTTP/1.1 404 .*HTTP/1.1 405 .*Connection: close\r\n\r\n.*")
  server:signal(support.SIGINT)
  server:finish(-support.SIGINT)
end

function TestServers:test_metrics()
  local server, port = example("metrics.lua", 2)
  local answer = support.wait_until("two workers", function()
    local text = ask(port)
    return text:find("\nprefork_workers_alive 2\n", 1, true) and text
  end)
  for _, name in ipairs({ "started", "exited", "abnormal", "restarted", "reloads" }) do
    lu.assertStrContains(answer, ("# TYPE prefork_workers_%s_total counter\n"):format(name))
  end
  lu.assertStrContains(answer, "\nprefork_workers_started_total 2\n")
  server:signal(support.SIGTERM)
  server:finish(0)
end
