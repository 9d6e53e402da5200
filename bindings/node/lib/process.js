// SPDX-License-Identifier: MIT
'use strict';
// What Node has no functions for: flags of descriptors and the signal mask of the main thread.

const koffi = require('koffi');

const F_SETFD = 2;
const FD_CLOEXEC = 1;
const SIG_UNBLOCK = 1;
const STANDARD_FILES = [0, 1, 2];

const c = koffi.load(null); // with the C library that Node uses
const fcntl = c.func('int fcntl(int fd, int command, ...)');
const sigmask = c.func('int pthread_sigmask(int how, const uint8_t *set, void *old)');

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

// A program that was executed by an upgrade begins with all signals blocked.
function unblockSignals() {
  sigmask(SIG_UNBLOCK, Buffer.alloc(128, 0xff), null);
}

module.exports = { beginUpgrade, unblockSignals };
