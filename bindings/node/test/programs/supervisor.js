// SPDX-License-Identifier: MIT
'use strict';
// A program as users have it: supervisor.js WORKERS MAX_RESTARTS STATUS|stay|drain [SIGNALS]

const { Pool, dieOfSignal, worker } = require('libprefork');

const [, , workers, maxRestarts, what, signals = 'standard'] = process.argv;

function work(self) {
  if (what === 'stay') {
    setInterval(() => {}, 1000);
  } else if (what === 'drain') {
    const timer = setInterval(() => {}, 1000);
    self.on('stop', () => clearInterval(timer));
  } else {
    process.exitCode = Number(what);
  }
  console.log(`task ${self.taskId} pid ${process.pid}`); // it can be stopped from now on
}

async function main() {
  if (worker.taskId === null) {
    console.log(`supervisor ${process.pid}`);
  }
  const pool = new Pool({ workers: Number(workers), maxRestarts: Number(maxRestarts), signals });
  try {
    const self = await pool.run(work);
    if (self === null) {
      console.log(`done ${pool.stopSignal}`);
      if (pool.stopSignal !== null) {
        dieOfSignal(pool.stopSignal);
      }
    }
  } catch (error) {
    console.log(`error ${error.name} ${error.code}`);
    process.exitCode = 7;
  }
}

main();
