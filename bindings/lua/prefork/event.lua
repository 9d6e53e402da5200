--- Events as tables. Fields that the type of an event does not have are nil.
--
--  * `type`: a name such as "worker_exited"; the number of a type that this version does not know
--  * `level`: as syslog(3), 3 (error) to 7 (debug)
--  * `message`: one line of text
--  * `task_id`: nil for the whole pool; `prefork.SPARE` for a spare
--  * `pid`, `exit_code`, `signal`, `core_dumped`, `will_restart`
--  * `error`: an errno, or `prefork.EGAVEUP` and the like
--  * `restarts`: counted so far in the pool
--  * `worker_count`: the number of slots; of "adopted" and "stopping", that of processes
--  * `reason`: a name such as "reload"
--  * `delay`: seconds until the next try
--  * `uptime`: seconds that the worker has lived
--  * `time`: seconds of CLOCK_MONOTONIC
--  * `user_time`, `system_time`: seconds of the processor
--  * `max_rss_kib`: the largest resident set
--
-- The types are "starting", "worker_started", "worker_ready", "worker_exited", "gave_up",
-- "start_failed", "stopping", "worker_killed", "worker_unresponsive", "reloading", "reloaded",
-- "reload_failed", "resized", "signal_unavailable", "adopted", "spare_started", "spare_exited" and
-- "done". pf_event(3) has what each means, and which fields it has.
--
-- SPDX-License-Identifier: MIT
-- @module prefork.event
local ffi = require("ffi")
local lib = require("prefork.library").lib
local names = require("prefork.names")

local NONE = -1

local function present(number, none)
  if number ~= none then
    return number
  end
end

local function seconds(number, unit)
  return tonumber(number) / unit
end

--- Copy an event of the library, which is valid only until the next one is read.
local function copy(event)
  local number = lib.pf_event_type(event)
  local name = lib.pf_event_type_name(number)
  local code = lib.pf_event_error(event)
  return {
    type = name ~= nil and ffi.string(name) or number,
    level = lib.pf_event_level(event),
    message = ffi.string(lib.pf_event_message(event)),
    task_id = present(lib.pf_event_task_id(event), NONE),
    pid = present(lib.pf_event_pid(event), 0),
    exit_code = present(lib.pf_event_exit_code(event), NONE),
    signal = present(lib.pf_event_signal(event), 0),
    core_dumped = lib.pf_event_core_dumped(event) == 1,
    will_restart = lib.pf_event_will_restart(event) == 1,
    error = code ~= 0 and -code or nil,
    restarts = lib.pf_event_restarts(event),
    worker_count = present(lib.pf_event_worker_count(event), 0),
    reason = names.name_of("PF_REASON_", lib.pf_event_reason(event)),
    delay = seconds(lib.pf_event_delay_ms(event), 1e3),
    uptime = seconds(lib.pf_event_uptime_ms(event), 1e3),
    time = seconds(lib.pf_event_time_ns(event), 1e9),
    user_time = seconds(lib.pf_event_user_us(event), 1e6),
    system_time = seconds(lib.pf_event_system_us(event), 1e6),
    max_rss_kib = tonumber(lib.pf_event_max_rss_kib(event)),
  }
end

return { copy = copy }
