--- The counters of a pool for Prometheus, served by the supervisor while it supervises.
--
--    luajit metrics.lua [PORT [WORKERS]]
--
-- GET / on PORT answers with the text format of Prometheus. The workers only sleep.
--
-- SPDX-License-Identifier: MIT
package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
local http = require("http")
local prefork = require("prefork")

local port = tonumber(arg[1] or os.getenv("PORT") or 9190)
local workers = tonumber(arg[2] or os.getenv("WORKERS") or 2)

local IS_GAUGE = { ready = true, alive = true, spares = true }

--- All counters in the text format.
local function text_of(pool)
  local lines = {}
  for name, value in pairs(pool:counters()) do
    local metric = "prefork_workers_" .. name .. (IS_GAUGE[name] and "" or "_total")
    lines[#lines + 1] = ("# TYPE %s %s\n%s %d\n"):format(metric,
      IS_GAUGE[name] and "gauge" or "counter", metric, value)
  end
  table.sort(lines)
  return table.concat(lines)
end

local pool = assert(prefork.pool({ workers = workers }))
local listener = http.listener_of(assert(prefork.bind_sockets({
  port = port, host = "127.0.0.1", family = "inet",
}))[1])
local server = http.new({ listener }, function()
  return "200 OK", text_of(pool)
end)
assert(pool:start(function()
  listener:close()
  server:close_all() -- a client waits for the end of its connection
  repeat until prefork.wait() == "stop"
end))
while not pool:is_done() do
  server:step(nil, pool)
  for _, event in ipairs(assert(pool:poll())) do
    io.stderr:write("prefork: ", event.message, "\n")
  end
end
