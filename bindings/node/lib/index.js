// SPDX-License-Identifier: MIT
'use strict';

const { pf } = require('./library');
const { TASK_SPARE } = require('./constants');
const { FatalExitError, GaveUpError, PreforkError, check, signalNumber } = require('./errors');
const { PoolEvent } = require('./event');
const { Pool } = require('./pool');
const { Worker, worker } = require('./worker');
const { bindSockets, bindUnixSocket, listenFds } = require('./sockets');
const { drain } = require('./drain');

const cpuCount = () => pf.pf_cpu_count();
const libraryVersion = () => pf.pf_version();

function dieOfSignal(signal) {
  const number = signalNumber(signal, 'signal');
  check(pf.pf_die_of_signal(number), 'dieOfSignal', signal);
}

module.exports = {
  FatalExitError, GaveUpError, Pool, PoolEvent, PreforkError, TASK_SPARE, Worker, bindSockets,
  bindUnixSocket, cpuCount, dieOfSignal, drain, libraryVersion, listenFds, worker,
};
