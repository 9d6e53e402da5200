// SPDX-License-Identifier: MIT
'use strict';

const { execFile } = require('node:child_process');
const { Pool, worker } = require('libprefork');

const pools = [new Pool({ name: 'web', workers: 2 }), new Pool({ name: 'jobs', workers: 1 })];

function child(status) {
  return new Promise((resolve) => {
    execFile('/bin/sh', ['-c', `exit ${status}`], (error) => resolve(error?.code ?? 0));
  });
}

async function supervise() {
  const ends = pools.map((pool) => pool.run());
  for (const status of [0, 1, 2]) {
    console.log(`child ${await child(status)}`);
  }
  await Promise.all(ends);
  console.log('done');
}

async function work() {
  const other = pools.find((pool) => pool.name !== worker.poolName);
  if (worker.poolName === 'jobs') {
    await other.run().catch((error) => console.log(`wrong ${error.code}`));
  }
  const own = pools.find((pool) => pool.name === worker.poolName);
  await own.run((self) => console.log(`${own.name} ${self.taskId}`));
}

if (worker.poolName === null) {
  supervise();
} else {
  work();
}
