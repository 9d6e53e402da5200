// SPDX-License-Identifier: MIT
'use strict';
// What Node has no function for: the flags of descriptors, and whether they are readable.

const koffi = require('koffi');

const F_SETFD = 2;
const FD_CLOEXEC = 1;
const POLLIN = 1;
const SIG_IGN = 1;
const STANDARD_FILES = [0, 1, 2];

const c = koffi.load(null); // with the C library that Node uses
const fcntl = c.func('int fcntl(int fd, int command, ...)');
const setAction = c.func('void *signal(int number, intptr_t action)');
const poll = c.func('int poll(int32_t *fds, unsigned long count, int timeout)');

function setFlags(flags) {
  for (const fd of STANDARD_FILES) {
    fcntl(fd, F_SETFD, 'int', flags);
  }
}

// Node has marked descriptors 0 to 2 as close-on-exec. Returns what undoes it, if it fails.
function beginUpgrade() {
  setFlags(0);
  return () => setFlags(FD_CLOEXEC);
}

function isReadable(fd) {
  const pollfd = new Int32Array([fd, 0]);
  new Int16Array(pollfd.buffer)[2] = POLLIN;
  return poll(pollfd, 1, 0) > 0;
}

// Signals that Node has no name for cannot be listened to.
function ignoreSignal(number) {
  setAction(number, SIG_IGN);
}

module.exports = { beginUpgrade, ignoreSignal, isReadable };
