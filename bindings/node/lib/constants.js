// SPDX-License-Identifier: MIT
'use strict';
// The names of JavaScript for the constants of prefork.h: PF_EVENT_START_FAILED is 'startFailed'.

const { constants } = require('node:os');

const EVENTS = {
  starting: 1, started: 2, ready: 3, exited: 4, gaveUp: 5, startFailed: 6, stopping: 7, killed: 8,
  unresponsive: 9, reloading: 10, reloaded: 11, reloadFailed: 12, resized: 13, done: 14,
  forkWanted: 15, signalUnavailable: 16, adopted: 17, spareStarted: 18, spareExited: 19,
};
const REASONS = {
  none: 0, start: 1, restart: 2, replace: 3, reload: 4, lifetime: 5, retire: 6, resize: 7, stop: 8,
  readyTimeout: 9, heartbeatTimeout: 10, limit: 11, protocol: 12, outOfMemory: 13,
};
const WORKER_STATES = { empty: 0, starting: 1, ready: 2, stopping: 3, backoff: 4, done: 5 };
const COUNTERS = {
  started: 1, exited: 2, abnormal: 3, restarted: 4, startFailed: 5, unresponsive: 6, reloads: 7,
  ready: 8, alive: 9, replaceFailed: 10, spares: 11,
};
const RESTART_POLICIES = { onFailure: 0, always: 1, never: 2 };
const LIMIT_ACTIONS = { stop: 0, degrade: 1 };
const EXIT_ACTIONS = { default: 0, restart: 1, done: 2, fatal: 3 };
const RELOAD_ORDERS = { startFirst: 0, stopFirst: 1 };
const SIGNAL_SETS = { none: 0, standard: 1, stopOnly: 2 };
const BACKENDS = { auto: 0, pidfd: 1, sigchld: 2 };
const ORPHANS = { none: 0, adopted: 1, all: 2 };
const GROUP_MODES = { none: 0, signals: 1, kill: 2 };
const LEVELS = { error: 3, warning: 4, notice: 5, info: 6, debug: 7 };

const UNLIMITED = 2147483647;
const TASK_SPARE = -2;
const BIND_REUSEPORT = 1;
const OWN_ERRORS = { PF_EGAVEUP: -4097, PF_ETHREADS: -4098, PF_ERESOLVE: -4099, PF_EFATAL: -4100 };

function inverted(table) {
  return new Map(Object.entries(table).map(([name, number]) => [number, name]));
}

const nameOf = {
  event: inverted(EVENTS),
  reason: inverted(REASONS),
  state: inverted(WORKER_STATES),
  level: inverted(LEVELS),
  signal: inverted(constants.signals),
  ownError: inverted(OWN_ERRORS),
  // The first name of a number: EWOULDBLOCK is EAGAIN.
  errno: inverted(Object.fromEntries(Object.entries(constants.errno).reverse())),
};
nameOf.signal.set(constants.signals.SIGABRT, 'SIGABRT');
nameOf.signal.set(constants.signals.SIGIO, 'SIGIO');

module.exports = {
  BACKENDS, BIND_REUSEPORT, COUNTERS, EVENTS, EXIT_ACTIONS, GROUP_MODES, LEVELS, LIMIT_ACTIONS,
  ORPHANS, OWN_ERRORS, REASONS, RELOAD_ORDERS, RESTART_POLICIES, SIGNAL_SETS, TASK_SPARE,
  UNLIMITED, WORKER_STATES, nameOf,
};
