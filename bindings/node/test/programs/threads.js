// SPDX-License-Identifier: MIT
'use strict';
// A pool beside the one thread of libuv's pool.

const fs = require('node:fs');
const { Pool, worker } = require('libprefork');

const count = () => fs.readdirSync('/proc/self/task').length;

async function main() {
  if (worker.taskId === null) {
    await fs.promises.readFile(__filename); // libuv has its thread now
  }
  const before = count();
  const pool = new Pool({ workers: 2 });
  if (pool.start() !== null) {
    setInterval(() => {}, 1000);
    return;
  }
  for (let i = 0; i < 20; i += 1) {
    await fs.promises.readFile(__filename);
  }
  console.log('read 20 files');
  console.log(count() <= before ? 'no more threads' : `threads ${count()} ${before}`);
  pool.stop();
  await pool.run();
}

main();
