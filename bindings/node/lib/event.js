// SPDX-License-Identifier: MIT
'use strict';

const { pf } = require('./library');
const { nameOf } = require('./constants');
const { errorOf } = require('./errors');

// A fact about the pool or one worker. Fields that the type does not have are null.
class PoolEvent {
  constructor(event) {
    const type = pf.pf_event_type(event);
    this.type = nameOf.event.get(type) ?? pf.pf_event_type_name(type) ?? `type${type}`;
    const level = pf.pf_event_level(event);
    this.level = nameOf.level.get(level) ?? 'notice';
    this.message = pf.pf_event_message(event);
    const none = (value, nothing) => (value === nothing ? null : value);
    this.taskId = none(pf.pf_event_task_id(event), -1);
    this.pid = none(pf.pf_event_pid(event), 0);
    this.exitCode = none(pf.pf_event_exit_code(event), -1);
    const signal = pf.pf_event_signal(event);
    this.signal = signal === 0 ? null : (nameOf.signal.get(signal) ?? `SIG${signal}`);
    this.coreDumped = pf.pf_event_core_dumped(event) === 1;
    this.willRestart = pf.pf_event_will_restart(event) === 1;
    const error = pf.pf_event_error(event);
    this.error = error === 0 ? null : errorOf(error, this.type);
    const reason = pf.pf_event_reason(event);
    this.reason = reason === 0 ? null : (nameOf.reason.get(reason) ?? `reason${reason}`);
    this.restarts = pf.pf_event_restarts(event);
    this.workerCount = none(pf.pf_event_worker_count(event), 0);
    this.delayMs = Number(pf.pf_event_delay_ms(event));
    this.uptimeMs = Number(pf.pf_event_uptime_ms(event));
    this.timeNs = BigInt(pf.pf_event_time_ns(event));
    this.userUs = Number(pf.pf_event_user_us(event));
    this.systemUs = Number(pf.pf_event_system_us(event));
    this.maxRssKib = Number(pf.pf_event_max_rss_kib(event));
    Object.freeze(this);
  }
}

module.exports = { PoolEvent };
