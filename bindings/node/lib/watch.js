// SPDX-License-Identifier: MIT
'use strict';
// Descriptors that Node's own classes refuse, watched by its event loop: libuv polls them beside
// all others. No thread waits for them.

const koffi = require('koffi');

const watched = new Set();

// While Node ends, its event loop turns once more, and koffi aborts the process if it cannot call back.
process.on('exit', () => watched.forEach((handle) => handle.close()));

// Calls back once in each turn of the event loop in which the descriptor is readable.
function watch(fd, callback) {
  let scheduled = null;
  // What is called from here is outside of Node's scopes: promises would not be settled after it.
  const handle = koffi.node.poll(fd, () => {
    scheduled ??= setImmediate(() => {
      scheduled = null;
      callback();
    });
  });
  watched.add(handle);
  return {
    close() {
      if (watched.delete(handle)) {
        handle.close();
      }
      if (scheduled !== null) {
        clearImmediate(scheduled);
      }
    },
    ref: () => handle.ref(),
    unref: () => handle.unref(),
  };
}

module.exports = { watch };
