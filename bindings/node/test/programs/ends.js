// SPDX-License-Identifier: MIT
'use strict';
// Ends while its pool runs, or its stop descriptor is readable: ends.js unref|exit|throw|worker

const { Pool, worker } = require('libprefork');

const [, , mode] = process.argv;
const pool = new Pool({ workers: 2, readyTimeout: 60000 });

function work(self) {
  const timer = setInterval(() => {}, 1000);
  self.on('stop', () => clearInterval(timer));
  console.log(`pid ${process.pid}`);
  self.ready();
}

// The request comes in the last turn of the event loop.
function workAndEnd(self) {
  void self.signal;
  self.ready();
  setImmediate(() => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    process.exitCode = 0;
  });
}

pool.on('ready', () => {
  if (mode === 'worker') {
    pool.stop();
  } else if (mode === 'exit') {
    process.exit(5);
  } else if (mode === 'throw') {
    throw new Error('of a listener');
  }
});
pool.on('exited', ({ exitCode, signal }) => console.log(`exited ${exitCode} ${signal}`));
pool.run(mode === 'worker' ? workAndEnd : work);
if (mode === 'unref' && worker.taskId === null) {
  pool.unref();
}
