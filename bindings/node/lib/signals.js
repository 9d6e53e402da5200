// SPDX-License-Identifier: MIT
'use strict';
// Signals that control a pool. Node's runtime has handlers of its own for some of them, so all are
// received by Node, and handed to the pool.

const fs = require('node:fs');
const { constants } = require('node:os');

const SETS = {
  none: [],
  standard: ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTTIN', 'SIGTTOU', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'],
  stopOnly: ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'],
};

// Signals that the kernel ignores for this process, as nohup(1) has it for SIGHUP.
function isIgnored(name) {
  try {
    const line = fs.readFileSync('/proc/self/status', 'latin1').match(/^SigIgn:\s*([0-9a-f]+)$/m);
    return line !== null && ((BigInt(`0x${line[1]}`) >> BigInt(constants.signals[name] - 1)) & 1n) === 1n;
  } catch {
    return false;
  }
}

// The kernel sends SIGTTIN and SIGTTOU to stop a background job that uses its terminal. Node does
// not tell who sent a signal, so they are left alone in a process that has a terminal.
function hasTerminal() {
  try {
    const { O_RDONLY, O_NOCTTY, O_NONBLOCK } = fs.constants;
    fs.closeSync(fs.openSync('/dev/tty', O_RDONLY | O_NOCTTY | O_NONBLOCK));
    return true;
  } catch {
    return false;
  }
}

// Calls back with the name of each signal of the set. Returns what ends that.
function receive(set, callback) {
  const terminal = hasTerminal();
  const names = SETS[set].filter((name) => !isIgnored(name) && !(terminal && name.startsWith('SIGTT')));
  for (const name of names) {
    process.on(name, callback);
  }
  return () => {
    for (const name of names) {
      process.removeListener(name, callback);
    }
  };
}

module.exports = { SETS, receive };
