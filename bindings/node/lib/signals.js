// SPDX-License-Identifier: MIT
'use strict';
// Signals that control a pool. Node's runtime has handlers of its own for some of them, so all are
// received by Node, and handed to the pool. At its start Node gives all signals their default action and
// unblocks them, whatever the program before it had.

const fs = require('node:fs');

const SETS = {
  none: [],
  standard: ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTTIN', 'SIGTTOU', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'],
  stopOnly: ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'],
};

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
  const names = SETS[set].filter((name) => !(terminal && name.startsWith('SIGTT')));
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
